//! What clients see as a database: shards, pools.

use super::{ANY_DATABASE, PemFile, Secret, TlsIdentity};
use crate::ids::ShardId;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// When a server connection goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// After each transaction.
    Transaction,
    /// When the client disconnects.
    Session,
    /// After each statement.
    Statement,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooling::Transaction => "transaction",
            Pooling::Session => "session",
            Pooling::Statement => "statement",
        })
    }
}

/// What clients see as one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The database name that clients use, or [`ANY_DATABASE`].
    pub name: String,
    /// When a server connection goes back to the pool.
    pub pooling: Pooling,
    /// Folder of sharding rules; it exists.
    pub rules: Option<PathBuf>,
    /// The shard that holds single tables.
    pub home_shard: ShardId,
    /// Who loads the catalog and checks the shards.
    pub maintenance: Option<Maintenance>,
    /// Whether clients may choose the shard by a hint.
    pub hints: bool,
    /// In the file's order, which is the order of [`ShardId`]s; never empty.
    pub shards: Vec<Arc<Shard>>,
    /// Server connections per shard, user and database.
    pub pool: PoolSettings,
}

impl Cluster {
    /// Whether it serves every database without a cluster of its own.
    pub fn is_any_database(&self) -> bool {
        self.name == ANY_DATABASE
    }

    /// A shard by its number.
    pub fn shard(&self, id: ShardId) -> Option<&Arc<Shard>> {
        self.shards.get(id.index())
    }
}

/// Who loads the catalog and checks the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
}

/// A Postgres server that holds a part of a cluster's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its place in the cluster's list.
    pub id: ShardId,
    /// Its name.
    pub name: String,
    /// The server.
    pub primary: ServerAddress,
    /// The database there; `None` only in the cluster for any database: the one the client asked for.
    pub database: Option<String>,
    /// Encryption.
    pub tls: ServerTls,
}

/// Where a Postgres server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerAddress {
    /// TCP.
    Tcp {
        /// A host name, or an address without brackets.
        host: String,
        /// The port, from 1.
        port: u16,
    },
    /// A Unix socket `directory/.s.PGSQL.port`.
    Unix {
        /// The folder.
        directory: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            ServerAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            ServerAddress::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// Encryption between Howdah and a shard; never used on Unix sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// How the server's certificate is asked for and checked.
    pub mode: ServerTlsMode,
    /// Authorities; present for the verifying modes.
    pub root: Option<PemFile>,
    /// Howdah's own certificate and key.
    pub identity: Option<TlsIdentity>,
}

/// How a shard's certificate is asked for and checked, as libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// No encryption.
    Disable,
    /// Encryption if the server has it.
    Prefer,
    /// Encryption, with any certificate.
    Require,
    /// Encryption, with a certificate that `root` signed.
    VerifyCa,
    /// Encryption, with a certificate that `root` signed for the server's host name.
    VerifyFull,
}

/// Server connections per shard, user and database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// At most; at least 1.
    pub size: u32,
    /// Kept ready; at most `size`.
    pub min_idle: u32,
    /// After this age a connection is closed when idle.
    pub max_lifetime: Option<Duration>,
    /// After this long idle a connection is closed.
    pub idle_timeout: Option<Duration>,
    /// Clients that may wait; 0: none.
    pub queue_limit: u32,
    /// How long a client waits.
    pub queue_timeout: Option<Duration>,
    /// For connecting and logging in; more than zero.
    pub connect_timeout: Duration,
    /// Prepared statements kept on a connection; at least 1.
    pub prepared_statements_max: u32,
}

impl Default for PoolSettings {
    fn default() -> Self {
        PoolSettings {
            size: 20,
            min_idle: 0,
            max_lifetime: Some(Duration::from_secs(3600)),
            idle_timeout: Some(Duration::from_secs(600)),
            queue_limit: 10_000,
            queue_timeout: Some(Duration::from_secs(120)),
            connect_timeout: Duration::from_secs(5),
            prepared_statements_max: 500,
        }
    }
}
