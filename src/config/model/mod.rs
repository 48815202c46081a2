//! The configuration in force: plain, immutable, validated data.
//!
//! Everything here is comparable, so that a reload can tell what changed, and shared by `Arc`. Secrets
//! are [`Secret`]s, which show themselves as `***`.

mod access;
mod cluster;
mod listener;

pub use access::*;
pub use cluster::*;
pub use listener::*;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Name of the admin database; no cluster may have it.
pub const ADMIN_DATABASE: &str = "howdah";

/// Name of the cluster that serves every database without a cluster of its own.
pub const ANY_DATABASE: &str = "*";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A validated `howdah.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// Settings of the whole process.
    pub general: General,
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// Users by name.
    pub users: BTreeMap<String, Arc<User>>,
    /// How other users are found.
    pub auth_query: Option<Arc<AuthQuery>>,
    /// Never empty; the first rule that matches decides, and none that matches means reject.
    pub hba: Vec<HbaRule>,
    /// Clusters by the database name that clients use; [`ANY_DATABASE`] for the one that serves the rest.
    pub clusters: BTreeMap<String, Arc<Cluster>>,
    /// Files whose contents are part of this value: certificates, keys, secrets. Absolute or as resolved
    /// against the configuration file's folder.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// The cluster that serves a database name: its own, else the one for any database.
    pub fn cluster_for(&self, database: &str) -> Option<&Arc<Cluster>> {
        self.clusters.get(database).or_else(|| self.clusters.get(ANY_DATABASE))
    }

    /// Whether a user may use the admin database.
    pub fn is_admin(&self, user: &str) -> bool {
        self.general.admin_users.iter().any(|name| name == user)
    }
}

/// Settings of the whole process. A duration or limit that is `None` is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct General {
    /// Worker threads; 0: one for every two cores.
    pub threads: u16,
    /// What the installation is called.
    pub cluster_name: String,
    /// Users who may use the admin database.
    pub admin_users: Vec<String>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged, as a tracing filter.
    pub log_level: String,
    /// From how long on a statement is logged as slow.
    pub slow_statement: Option<Duration>,
    /// By when a client must have logged in.
    pub login_timeout: Option<Duration>,
    /// How long SIGTERM waits for running transactions.
    pub drain_timeout: Option<Duration>,
    /// Client connections at most; at least 1.
    pub client_limit: u32,
    /// Client connections per user.
    pub client_limit_per_user: Option<u32>,
    /// Client connections per database.
    pub client_limit_per_database: Option<u32>,
    /// Bytes of a client message at most, its length field included.
    pub message_bytes_max: u32,
    /// How long a client may be idle outside a transaction.
    pub idle_client_timeout: Option<Duration>,
    /// How long a client may be idle inside a transaction.
    pub idle_transaction_timeout: Option<Duration>,
    /// How long a statement may run.
    pub query_timeout: Option<Duration>,
    /// After how long of silence a socket is probed.
    pub tcp_keepalive: Option<Duration>,
    /// Statement templates remembered; at least 1.
    pub plan_cache_entries: u32,
}

impl Default for General {
    fn default() -> Self {
        General {
            threads: 0,
            cluster_name: "howdah".to_owned(),
            admin_users: Vec::new(),
            log_format: LogFormat::Text,
            log_level: "info".to_owned(),
            slow_statement: Some(Duration::from_secs(1)),
            login_timeout: Some(Duration::from_secs(60)),
            drain_timeout: Some(Duration::from_secs(60)),
            client_limit: 10_000,
            client_limit_per_user: None,
            client_limit_per_database: None,
            message_bytes_max: 1 << 30,
            idle_client_timeout: None,
            idle_transaction_timeout: None,
            query_timeout: None,
            tcp_keepalive: Some(Duration::from_secs(60)),
            plan_cache_entries: 10_000,
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}
