//! Client connections: login, the loop that serves one, cancel requests.

mod attach;
pub mod authenticate;
mod client;
mod forward;
pub mod handshake;
mod input;
mod login;
mod lost;
mod registry;
mod relay;
mod routed;
mod settle;
mod settling;
mod timeout;

pub use login::{AdminDatabase, serve_connection};
pub use registry::{CancelTarget, ClientHandle, NewClient, Registry};
pub use timeout::watch as watch_timeouts;

use crate::session::Shared;
use crate::topology::Directory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;
use tokio::sync::Notify;

/// What all client connections share.
#[derive(Debug)]
pub struct Service {
    /// Settings, parameters and statements by content.
    pub shared: Arc<Shared>,
    /// Clusters and their pools.
    pub directory: Directory,
    /// Plans of routed databases, by the database's key.
    pub routers: std::sync::Mutex<std::collections::HashMap<u64, Arc<crate::exec::Router>>>,
    /// The clients.
    pub registry: Arc<Registry>,
    /// Limits that may change while it runs.
    pub limits: arc_swap::ArcSwap<Limits>,
    /// Changes with `limits`.
    pub limits_version: AtomicU64,
    /// Source of session ids.
    pub next_session: AtomicU64,
    /// The process is ending: idle clients are sent away.
    pub draining: AtomicBool,
    /// Told when `draining` is set.
    pub drain: Notify,
    /// Told when a client of the admin database ends the process.
    pub stop: Notify,
    /// Time zero of uptime.
    pub started_at: std::time::Instant,
}

/// Limits and times of client connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message taken, in bytes.
    pub message_size_max: usize,
    /// Most clients.
    pub client_limit: u32,
    /// Most clients of one user.
    pub client_limit_per_user: Option<u32>,
    /// Most clients of one database.
    pub client_limit_per_database: Option<u32>,
    /// A client that is idle outside a transaction for this long is sent away.
    pub idle_client_timeout: Option<Duration>,
    /// A client that is idle inside a transaction for this long is sent away.
    pub idle_transaction_timeout: Option<Duration>,
    /// A statement that runs for this long is cancelled.
    pub query_timeout: Option<Duration>,
    /// Plans kept for each database and user.
    pub plan_cache_entries: u32,
    /// A statement that takes longer is logged.
    pub slow_statement: Option<Duration>,
}

impl Service {
    /// The router of a database, made when it is first asked for; under a view, of the present snapshot.
    pub(crate) fn router(&self, database: &crate::topology::Database) -> Arc<crate::exec::Router> {
        let snapshot = database.view.as_ref().and_then(|view| view.snapshot());
        let mut routers = self.routers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(router) = routers.get(&database.key)
            && snapshot.as_ref().is_none_or(|snapshot| router.version() == snapshot.version)
        {
            return Arc::clone(router);
        }
        let plans = u64::from(self.limits.load().plan_cache_entries);
        let known = self.directory.databases();
        routers.retain(|key, _| *key == database.key || known.iter().any(|one| one.key == *key));
        let router = match &snapshot {
            None => crate::exec::Router::new(Arc::clone(&database.rules), &database.user, plans),
            Some(snapshot) => crate::exec::Router::of_snapshot(snapshot, &database.user, plans),
        };
        let router = Arc::new(router);
        let before = routers.insert(database.key, Arc::clone(&router));
        drop(routers);
        if let Some(before) = before.filter(|before| before.version() != 0)
            && snapshot.is_some()
            && before.defaults_digest() != router.defaults_digest()
        {
            database.defaults_changed();
        }
        router
    }
}
