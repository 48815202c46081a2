//! The configuration in force: plain, immutable, validated data.
//!
//! Everything here is comparable, so that a reload can tell what changed, and shared by `Arc`. Secrets
//! are [`Secret`]s, which show themselves as `***`.

use crate::ids::ShardId;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
    /// Worker threads; 0: one per core.
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

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// Encryption.
    pub tls: ListenerTls,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket `directory/.s.PGSQL.port`.
    Unix {
        /// The folder.
        directory: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

impl ListenAddress {
    /// The socket's file, for a Unix socket.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match self {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix { directory, port } => Some(directory.join(format!(".s.PGSQL.{port}"))),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(f, "{address}"),
            ListenAddress::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// Encryption between clients and Howdah.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// Clients that ask for it are told no.
    Disabled,
    /// Clients may use it, or must.
    Enabled {
        /// Whether clients without it are refused.
        required: bool,
        /// Certificate and key.
        identity: TlsIdentity,
        /// Authorities that sign clients' certificates.
        client_ca: Option<PemFile>,
    },
}

/// A PEM file that was read with the configuration, so that a changed certificate is a changed value.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its bytes; at least one PEM section of the kind asked for.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PemFile({})", self.path.display())
    }
}

/// A certificate chain with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The chain, the own certificate first.
    pub certificate: PemFile,
    /// The private key.
    pub key: PemFile,
}

/// A user that clients log in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What clients must know.
    pub credential: Credential,
    /// The password towards the shards: `server_password`, else `password`; `None`: SCRAM pass-through,
    /// or a server that trusts Howdah.
    pub server_password: Option<Secret>,
    /// Client connections; outer `None`: the general limit, inner `None`: unlimited.
    pub client_limit: Option<Option<u32>>,
    /// Server connections per shard and database, in place of the pool's size.
    pub pool_size: Option<u32>,
    /// Pooling, in place of the cluster's.
    pub pooling: Option<Pooling>,
}

/// What a client must know to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing configured: only `trust` and `cert` let the user in.
    None,
    /// The password.
    Password(Secret),
    /// A SCRAM-SHA-256 verifier as in pg_authid, checked for syntax.
    Scram(Secret),
    /// An md5 verifier (`md5` and 32 hex digits), checked for syntax.
    Md5(Secret),
}

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

/// How users outside the file are found: a query on the home shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthQuery {
    /// With `$1` for the user's name; gives name and verifier.
    pub query: String,
    /// Who runs it.
    pub user: String,
    /// That user's password.
    pub password: Option<Secret>,
    /// How long an answer is used; zero: once.
    pub ttl: Duration,
}

/// A rule of how clients prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaRule {
    /// The kind of connection.
    pub connection: HbaConnection,
    /// Database names.
    pub databases: NameSet,
    /// User names.
    pub users: NameSet,
    /// Client addresses; not looked at for Unix sockets.
    pub addresses: AddressSet,
    /// The proof.
    pub method: HbaMethod,
    /// The rule's line in the file, from 1; 0 for the default rules.
    pub line: u32,
}

/// Kinds of client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaConnection {
    /// TCP.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS.
    HostNoSsl,
    /// Unix socket.
    Local,
}

/// Proofs of who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaMethod {
    /// None at all.
    Trust,
    /// None suffices.
    Reject,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// MD5, or SCRAM-SHA-256 for users with a SCRAM verifier.
    Md5,
    /// The password in clear text.
    Password,
    /// A TLS client certificate whose common name is the user.
    Cert,
}

/// All names, or those listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameSet {
    /// All.
    All,
    /// These.
    Only(Vec<String>),
}

impl NameSet {
    /// Whether a name is in it.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            NameSet::All => true,
            NameSet::Only(names) => names.iter().any(|n| n == name),
        }
    }
}

/// All addresses, or those in the ranges listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSet {
    /// All.
    All,
    /// These.
    Only(Vec<AddressRange>),
}

impl AddressSet {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            AddressSet::All => true,
            AddressSet::Only(ranges) => ranges.iter().any(|range| range.contains(address)),
        }
    }
}

/// A CIDR range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Its first address: the bits after `prefix` are zero.
    pub base: IpAddr,
    /// Leading bits that must agree.
    pub prefix: u8,
}

impl AddressRange {
    /// Whether an address is in it; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32u32.saturating_sub(u32::from(self.prefix));
                (u32::from(base) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix));
                (u128::from(base) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
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
