//! Looks users' verifiers up on a server, as a user who may read them.
//!
//! Each miss opens a connection of its own; a small cache keeps that rare, also for users who do not exist.

use super::connect::{ConnectError, Login, ServerError, Target, connect};
use super::login::Receiver;
use crate::auth::Verifier;
use crate::error::SqlError;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{backend, frontend, write};
use crate::sqlstate;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// The query where none is configured. Its user must be a superuser, or the owner of a function that is.
pub const DEFAULT_QUERY: &str = "SELECT usename, passwd FROM pg_shadow WHERE usename=$1";
/// Users kept at most; where it is full, all are forgotten.
const ENTRIES_MAX: usize = 10_000;
/// Connections for look-ups at one time.
const CONNECTIONS_MAX: usize = 4;

/// Why a look-up failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthQueryError {
    /// No connection to ask on.
    #[error("auth query cannot connect: {0}")]
    Connect(#[from] ConnectError),
    /// The query failed.
    #[error("auth query failed: {0}")]
    Query(#[source] ServerError),
    /// The query did not answer in time.
    #[error("auth query did not answer within {0:?}")]
    Timeout(Duration),
    /// The query's result is not the user's name and stored password.
    #[error("auth query must return two columns, the user's name and stored password")]
    Columns,
}

impl AuthQueryError {
    /// What a client is told: nothing of the server asked.
    pub fn to_sql_error(&self) -> SqlError {
        SqlError::fatal(
            sqlstate::CANNOT_CONNECT_NOW,
            "authentication is not available: the auth query failed",
        )
    }
}

/// A user's stored password, or that there is none.
type Found = Option<Arc<Verifier>>;

/// Looks verifiers up by a query.
#[derive(Debug)]
pub struct AuthQuery {
    target: Target,
    login: Login,
    query: Box<str>,
    time_to_live: Duration,
    permits: Semaphore,
    cache: Mutex<HashMap<Box<str>, (Instant, Found)>>,
}

impl AuthQuery {
    /// `query` takes the user's name as `$1`; answers are kept for `time_to_live`.
    pub fn new(target: Target, login: Login, query: impl Into<Box<str>>, time_to_live: Duration) -> Self {
        AuthQuery {
            target,
            login,
            query: query.into(),
            time_to_live,
            permits: Semaphore::new(CONNECTIONS_MAX),
            cache: Mutex::new(HashMap::new()),
        }
    }

    /// What the cache knows of a user, where that is fresh.
    pub fn cached(&self, user: &str) -> Option<Option<Arc<Verifier>>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched, found) = cache.get(user)?;
        (fetched.elapsed() < self.time_to_live).then(|| found.clone())
    }

    /// A user's verifier; `None` for one who does not exist or has no password.
    ///
    /// # Errors
    /// [`AuthQueryError`]; failures are not cached.
    pub async fn lookup(&self, user: &str) -> Result<Option<Arc<Verifier>>, AuthQueryError> {
        if let Some(found) = self.cached(user) {
            return Ok(found);
        }
        let _permit = self.permits.acquire().await;
        // Another look-up of the same user may have been waited for.
        if let Some(found) = self.cached(user) {
            return Ok(found);
        }
        let stored = self.fetch(user).await?;
        let found = stored.map(|stored| Arc::new(Verifier::parse(&stored, rand::random())));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= ENTRIES_MAX {
            cache.clear();
        }
        cache.insert(user.into(), (Instant::now(), found.clone()));
        Ok(found)
    }

    async fn fetch(&self, user: &str) -> Result<Option<String>, AuthQueryError> {
        let settings = [("application_name", "howdah auth query"), ("client_encoding", "UTF8")];
        let connected = connect(&self.target, &self.login, &settings).await?;
        let asked = ask(Receiver::new(connected.stream), &self.query, user);
        match timeout(self.target.connect_timeout, asked).await {
            Ok(stored) => stored,
            Err(_elapsed) => Err(AuthQueryError::Timeout(self.target.connect_timeout)),
        }
    }
}

/// Runs the query; gives the second column of its first row.
async fn ask(mut receiver: Receiver, query: &str, user: &str) -> Result<Option<String>, AuthQueryError> {
    let mut out = Vec::with_capacity(256);
    write::parse(&mut out, b"", query.as_bytes(), &[0, 0]);
    write::message(&mut out, frontend::BIND, |b| {
        // Unnamed portal and statement, no formats given (text), one value, no result formats (text).
        b.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
        b.extend_from_slice(&u32::try_from(user.len()).unwrap_or(u32::MAX).to_be_bytes());
        b.extend_from_slice(user.as_bytes());
        b.extend_from_slice(&[0, 0]);
    });
    write::message(&mut out, frontend::EXECUTE, |b| b.extend_from_slice(&[0; 5]));
    write::sync(&mut out);
    receiver.send(&out).await?;
    let mut stored = None;
    loop {
        let (tag, body) = receiver.receive().await?;
        match tag {
            backend::DATA_ROW if stored.is_none() => {
                stored = second_column(&body).map_err(|_malformed| AuthQueryError::Columns)?;
            }
            backend::ERROR_RESPONSE => {
                return Err(AuthQueryError::Query(ServerError { body: body.into() }));
            }
            backend::READY_FOR_QUERY => break,
            _ => {}
        }
    }
    out.clear();
    write::terminate(&mut out);
    receiver.send(&out).await?;
    Ok(stored)
}

fn second_column(row: &[u8]) -> Result<Option<String>, Malformed> {
    let mut reader = Reader::new(row);
    if reader.i16()? < 2 {
        return Err(Malformed);
    }
    let mut column = || match reader.i32()? {
        -1 => Ok(None),
        len => reader.bytes(usize::try_from(len).map_err(|_negative| Malformed)?).map(Some),
    };
    column()?;
    Ok(column()?.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()))
}
