//! A database of a cluster as one user sees it: the pools to its shards, and what was learnt of it.

use super::hidden::{HIDDEN_SQL, hidden_state};
use crate::backend::ServerConnection;
use crate::backend::query::{self, QueryError};
use crate::error::SqlError;
use crate::ids::ShardId;
use crate::pool::{CheckoutError, ConnectFailed, ServerPool};
use crate::rules::Rules;
use crate::session::describe::HiddenState;
use crate::session::params::Parameters;
use crate::session::settings::Settings;
use crate::session::{Pooling, Shared};
use crate::sqlstate;
use crate::store::View;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// Counters of one database, since the start.
#[derive(Debug, Default)]
pub struct DatabaseStats {
    /// Transactions.
    pub transactions: AtomicU64,
    /// Statements or pipelines answered.
    pub queries: AtomicU64,
    /// Bytes from clients.
    pub received_bytes: AtomicU64,
    /// Bytes to clients.
    pub sent_bytes: AtomicU64,
    /// Time with a server connection, in microseconds.
    pub query_us: AtomicU64,
    /// Time from a transaction's first statement to its end, in microseconds.
    pub transaction_us: AtomicU64,
    /// Time waiting for a server connection, in microseconds.
    pub wait_us: AtomicU64,
}

/// What a client is told at login under given startup settings.
pub type Prepared = Arc<Parameters>;

/// One cluster's database, for one user.
#[derive(Debug)]
pub struct Database {
    /// The name clients connect to.
    pub name: Box<str>,
    /// The user.
    pub user: Box<str>,
    /// Statements are shared among clients of equal keys.
    pub key: u64,
    /// When connections go back.
    pub pooling: Pooling,
    /// One pool per shard, in order of shard id.
    pub pools: Vec<Arc<ServerPool>>,
    /// The sharding rules; under a view, those of the configuration, which may not be in force yet.
    pub rules: Arc<Rules>,
    /// What the cluster's proxies agree on; `None` without a maintenance user or rules.
    pub view: Option<Arc<View>>,
    /// How many statements a server connection keeps prepared.
    pub prepared_statements_max: usize,
    /// Counters.
    pub stats: DatabaseStats,
    welcomes: Mutex<HashMap<usize, (Arc<Settings>, Prepared)>>,
    hidden: RwLock<Arc<HiddenState>>,
    /// The schema epoch as of which `hidden` was read, plus one; 0 is never.
    hidden_epoch: AtomicU64,
}

/// Everything a database is made of that does not change.
#[derive(Debug)]
pub(super) struct Parts {
    pub name: Box<str>,
    pub user: Box<str>,
    pub key: u64,
    pub pooling: Pooling,
    pub pools: Vec<Arc<ServerPool>>,
    pub rules: Arc<Rules>,
    pub view: Option<Arc<View>>,
    pub prepared_statements_max: usize,
}

impl Database {
    pub(super) fn new(parts: Parts) -> Self {
        Database {
            name: parts.name,
            user: parts.user,
            key: parts.key,
            pooling: parts.pooling,
            pools: parts.pools,
            rules: parts.rules,
            view: parts.view,
            prepared_statements_max: parts.prepared_statements_max,
            stats: DatabaseStats::default(),
            welcomes: Mutex::default(),
            hidden: RwLock::default(),
            hidden_epoch: AtomicU64::new(0),
        }
    }

    /// The pool of a shard.
    pub fn pool(&self, shard: ShardId) -> Option<&Arc<ServerPool>> {
        self.pools.get(shard.index())
    }

    /// Whether statements have to be routed: there are several shards.
    pub fn is_routed(&self) -> bool {
        self.view.is_some() || !self.rules.is_home_only()
    }

    /// Whether any of its pools was replaced: it is to be looked up again.
    pub fn is_retired(&self) -> bool {
        self.pools.iter().any(|pool| pool.is_retired())
    }

    /// What a client with these startup settings is told, if one was told before.
    pub fn welcome(&self, startup: &Arc<Settings>) -> Option<Prepared> {
        let welcomes = self.welcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::as_ptr(startup).addr();
        welcomes.get(&key).filter(|(known, _)| Arc::ptr_eq(known, startup)).map(|(_, told)| Arc::clone(told))
    }

    /// Remembers what a client with these startup settings is told.
    pub fn remember_welcome(&self, startup: &Arc<Settings>, told: &Prepared) {
        let mut welcomes = self.welcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if welcomes.len() > 1000 {
            welcomes.clear();
        }
        welcomes.insert(Arc::as_ptr(startup).addr(), (Arc::clone(startup), Arc::clone(told)));
    }

    /// Defaults of roles or databases changed: connections log in again before they are used.
    pub fn defaults_changed(&self) {
        self.welcomes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for pool in &self.pools {
            pool.close_all();
        }
    }

    /// Code in the database that leaves marks on sessions, as last read.
    pub fn hidden(&self) -> Arc<HiddenState> {
        Arc::clone(&self.hidden.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// [`Self::hidden`], if it was read again since it was `known`.
    pub fn hidden_if_newer(&self, known: &HiddenState) -> Option<Arc<HiddenState>> {
        (self.hidden_epoch.load(Ordering::Acquire) != known.epoch).then(|| self.hidden())
    }

    /// Whether [`Self::hidden`] is as of the schema's present epoch.
    pub fn knows_hidden(&self, shared: &Shared) -> bool {
        self.hidden_epoch.load(Ordering::Relaxed) == shared.statements.epoch() + 1
    }

    /// Reads the code in the database on a connection that nobody uses at the moment.
    ///
    /// # Errors
    /// The connection's; the server refusing counts as knowing nothing.
    pub async fn learn_hidden(
        &self,
        connection: &mut ServerConnection,
        shared: &Shared,
    ) -> Result<(), QueryError> {
        let epoch = shared.statements.epoch();
        let rows = match query::query(connection, HIDDEN_SQL, Duration::from_secs(10)).await {
            Err(QueryError::Server { message, .. }) => {
                tracing::warn!(database = %self.name, %message, "cannot read the database's functions");
                Vec::new()
            }
            other => other?,
        };
        let hidden = HiddenState { epoch: epoch + 1, ..hidden_state(&rows) };
        *self.hidden.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(hidden);
        self.hidden_epoch.store(epoch + 1, Ordering::Release);
        Ok(())
    }
}

/// What a client is told when no connection could be had.
pub fn checkout_error(error: &CheckoutError, shard: &str) -> SqlError {
    match error {
        CheckoutError::Timeout | CheckoutError::QueueFull => {
            SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, error.to_string())
                .with_detail(format!("All connections of the pool to shard \"{shard}\" are in use."))
                .with_hint("Raise the pool's size or queue_timeout, or end transactions sooner.")
        }
        CheckoutError::Retired => {
            SqlError::new(sqlstate::CANNOT_CONNECT_NOW, "the configuration changed: try again")
        }
        CheckoutError::Connect(ConnectFailed::Full) => {
            SqlError::new(sqlstate::TOO_MANY_CONNECTIONS, error.to_string())
        }
        CheckoutError::Connect(ConnectFailed::Connect(error)) => error.to_sql_error(shard),
    }
}
