//! Connections of the maintenance user.

use super::error::StoreError;
use crate::auth::Secret;
use crate::backend::connect::{self, ConnectError, Target};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, NoTls, Row, types::ToSql};

/// No statement of the store's takes this long, or its connection counts as lost.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of the maintenance user's sessions. Compiling the catalog's query takes longer than running it.
const OPTIONS: &str = "-c jit=off -c statement_timeout=20s -c lock_timeout=5s \
    -c idle_in_transaction_session_timeout=30s -c default_transaction_isolation=read\\ committed \
    -c row_security=off -c default_transaction_read_only=off";

/// Who works on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceLogin {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
}

/// A shard as the maintenance user reaches it.
#[derive(Clone, Debug)]
pub struct StoreShard {
    /// Its name.
    pub name: String,
    /// Its primary.
    pub target: Target,
    /// Its database.
    pub database: String,
}

/// A connection; its task ends when it is dropped.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    shard: String,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Connects and logs in; `wake` is told of each notification, and when the connection ends.
    pub(super) async fn open(
        shard: &StoreShard,
        login: &MaintenanceLogin,
        wake: Arc<Notify>,
    ) -> Result<Link, StoreError> {
        let limit = shard.target.connect_timeout;
        let attempt = tokio::time::timeout(limit, Link::connect(shard, login, wake)).await;
        let timeout = StoreError::Connect { shard: shard.name.clone(), source: ConnectError::Timeout(limit) };
        attempt.unwrap_or(Err(timeout))
    }

    async fn connect(
        shard: &StoreShard,
        login: &MaintenanceLogin,
        wake: Arc<Notify>,
    ) -> Result<Link, StoreError> {
        let stream = connect::open(&shard.target).await;
        let stream = stream.map_err(|source| StoreError::Connect { shard: shard.name.clone(), source })?;
        let mut options = tokio_postgres::Config::new();
        options.user(&login.user).dbname(&shard.database).application_name("howdah store");
        options.ssl_mode(tokio_postgres::config::SslMode::Disable).options(OPTIONS);
        if let Some(password) = &login.password {
            options.password(password.expose());
        }
        let connected = options.connect_raw(stream, NoTls).await;
        let (client, mut connection) =
            connected.map_err(|source| StoreError::Postgres { shard: shard.name.clone(), source })?;
        let name = shard.name.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(_)) => wake.notify_one(),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, shard = name, "a connection of the maintenance user ended");
                        break;
                    }
                }
            }
            wake.notify_one();
        });
        let link = Link { client, shard: shard.name.clone(), task: task.abort_handle() };
        // Not at the start of the session, which would hide what sessions of others start with.
        link.run("SET search_path = pg_catalog").await?;
        Ok(link)
    }

    /// Whether it is of no more use.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters.
    pub(super) async fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.within(self.client.batch_execute(sql)).await
    }

    /// Runs one statement.
    pub(super) async fn rows(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.within(self.client.query(sql, values)).await
    }

    /// Runs statements of one message and gives their rows as text.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<tokio_postgres::SimpleQueryRow>, StoreError> {
        let messages = self.within(self.client.simple_query(sql)).await?;
        let row = |message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    /// Of a row that must be there: the column's value.
    pub(super) fn value<'a, T: tokio_postgres::types::FromSql<'a>>(
        &self,
        row: &'a Row,
        column: usize,
    ) -> Result<T, StoreError> {
        row.try_get(column).map_err(|error| self.failed(error))
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| self.failed(error)),
            Err(_elapsed) => {
                self.task.abort();
                Err(StoreError::Timeout { shard: self.shard.clone() })
            }
        }
    }

    fn failed(&self, error: tokio_postgres::Error) -> StoreError {
        let grant = "Grant the maintenance user what `howdah check` lists.";
        StoreError::of(&self.shard, grant, error)
    }
}
