//! `howdah.toml` as it is written: what serde reads and what `howdah schema` prints.
//!
//! Every field is optional here; `validate` fills in defaults and checks meanings. The default that a
//! docstring's schema names is held to the one in force by a test.

#![allow(rustdoc::broken_intra_doc_links, reason = "the texts are shown as they are: [::1] is an address")]

use crate::diagnostic::At;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;

/// A duration: a whole number of seconds, or text such as "250ms", "10s", "5min", "1h", "1d".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Duration")]
pub enum RawDuration {
    /// With its unit.
    Text(String),
    /// In seconds.
    Seconds(u64),
}

/// A size: a whole number of bytes, or text such as "512kB", "64MB", "1GB".
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Size")]
pub enum RawSize {
    /// With its unit.
    Text(String),
    /// In bytes.
    Bytes(u64),
}

/// One text, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "OneOrMore")]
pub enum RawList {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// A secret: the text itself, "env:NAME" (an environment variable), "file:PATH" (a file's first line), or "literal:TEXT".
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "Secret")]
pub struct RawSecret(pub String);

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The configuration of Howdah: howdah.toml.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Configuration")]
pub struct RawConfig {
    /// Settings of the whole process.
    pub general: Option<RawGeneral>,
    /// Where clients connect. At least one.
    #[serde(default)]
    pub listener: Vec<At<RawListener>>,
    /// Who may connect. Users that are not listed here may be found by `[auth]`.
    #[serde(default)]
    pub user: Vec<At<RawUser>>,
    /// How users that no `[[user]]` names are found.
    pub auth: Option<At<RawAuth>>,
    /// How clients prove who they are; the first rule that matches decides. Without any rule: scram-sha-256 from every address.
    #[serde(default)]
    pub hba: Vec<At<RawHba>>,
    /// What clients see as one database: one or more shards. At least one.
    #[serde(default)]
    pub cluster: Vec<At<RawCluster>>,
}

/// Settings of the whole process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "General")]
pub struct RawGeneral {
    /// Worker threads; 0: one for every two cores. A change needs a restart.
    #[schemars(extend("default" = 0), range(max = 1024))]
    pub threads: Option<At<u16>>,
    /// What this installation is called, in logs and metrics: 1 to 63 of a-z, 0-9, `_` and `-`.
    #[schemars(extend("default" = "howdah"))]
    pub cluster_name: Option<At<String>>,
    /// Users who may use the admin database `howdah`.
    #[schemars(extend("default" = []))]
    pub admin_users: Option<Vec<At<String>>>,
    /// How log lines are written.
    #[schemars(extend("default" = "text"))]
    pub log_format: Option<At<RawLogFormat>>,
    /// What is logged: error, warn, info, debug, trace, or a filter such as "info,howdah::pool=debug". HOWDAH_LOG overrides it.
    #[schemars(extend("default" = "info"))]
    pub log_level: Option<At<String>>,
    /// Statements that take this long are logged, without their literals; 0: none are.
    #[schemars(extend("default" = "1s"))]
    pub slow_statement: Option<At<RawDuration>>,
    /// A client must have logged in by then; 0: no limit.
    #[schemars(extend("default" = "60s"))]
    pub login_timeout: Option<At<RawDuration>>,
    /// How long SIGTERM waits for running transactions; 0: no limit.
    #[schemars(extend("default" = "60s"))]
    pub drain_timeout: Option<At<RawDuration>>,
    /// Client connections at most.
    #[schemars(extend("default" = 10000), range(min = 1))]
    pub client_limit: Option<At<u32>>,
    /// Client connections of one user at most; 0: no limit.
    #[schemars(extend("default" = 0))]
    pub client_limit_per_user: Option<At<u32>>,
    /// Client connections to one database at most; 0: no limit.
    #[schemars(extend("default" = 0))]
    pub client_limit_per_database: Option<At<u32>>,
    /// The largest message a client may send, 16kB to 1GB; a larger one ends its connection.
    #[schemars(extend("default" = "1GB"))]
    pub message_size_max: Option<At<RawSize>>,
    /// A client that is idle outside a transaction for this long is disconnected; 0: never.
    #[schemars(extend("default" = "0s"))]
    pub idle_client_timeout: Option<At<RawDuration>>,
    /// A client that is idle in a transaction for this long is disconnected; 0: never.
    #[schemars(extend("default" = "0s"))]
    pub idle_transaction_timeout: Option<At<RawDuration>>,
    /// A statement that runs for this long is cancelled; several of one message or pipeline have it once for each; 0: never.
    #[schemars(extend("default" = "0s"))]
    pub query_timeout: Option<At<RawDuration>>,
    /// Sockets are probed after being silent for this long; 0: never.
    #[schemars(extend("default" = "60s"))]
    pub tcp_keepalive: Option<At<RawDuration>>,
    /// Statement templates whose plans are remembered.
    #[schemars(extend("default" = 10000), range(min = 1))]
    pub plan_cache_entries: Option<At<u32>>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogFormat", inline)]
pub enum RawLogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A place where clients connect. A change needs a restart.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Listener")]
pub struct RawListener {
    /// "127.0.0.1:6432", "[::]:6432", or a directory for a Unix socket: "/run/howdah:6432".
    #[schemars(required)]
    pub address: Option<At<String>>,
    /// The port, when `address` does not name one.
    #[schemars(extend("default" = 6432))]
    pub port: Option<At<u16>>,
    /// Encryption; without it, clients that ask for it are told no.
    pub tls: Option<At<RawListenerTls>>,
}

/// Encryption between clients and Howdah.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ListenerTls")]
pub struct RawListenerTls {
    /// Whether clients may or must use it.
    #[schemars(extend("default" = "allow"))]
    pub mode: Option<At<RawListenerTlsMode>>,
    /// PEM file with the certificate and its chain.
    pub certificate: Option<At<String>>,
    /// PEM file with the certificate's private key.
    pub key: Option<At<String>>,
    /// PEM file with the authorities that sign clients' certificates; needed for the method `cert`.
    pub client_ca: Option<At<String>>,
}

/// Whether clients use encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListenerTlsMode", inline)]
pub enum RawListenerTlsMode {
    /// Nobody does.
    Disable,
    /// Those who ask for it.
    Allow,
    /// Everyone; others are refused. Unix sockets are exempt.
    Require,
}

/// A user that clients log in as.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "User")]
pub struct RawUser {
    /// The name, as in Postgres.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// The password that clients must know. Not together with `verifier`.
    pub password: Option<At<RawSecret>>,
    /// What Postgres keeps in pg_authid: "SCRAM-SHA-256$..." or "md5...". Not together with `password`.
    pub verifier: Option<At<RawSecret>>,
    /// The password that Howdah uses towards the shards. Default: `password`; with a SCRAM verifier, the client's own proof is passed through.
    pub server_password: Option<At<RawSecret>>,
    /// Connections of this user at most; 0: no limit. Default: `client_limit_per_user`.
    pub client_limit: Option<At<u32>>,
    /// Server connections of this user per shard and database at most. Default: the cluster's `pool.size`.
    #[schemars(range(min = 1))]
    pub pool_size: Option<At<u32>>,
    /// Pooling of this user's connections. Default: the cluster's.
    pub pooling: Option<At<RawPooling>>,
}

/// When a server connection goes back to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Pooling", inline)]
pub enum RawPooling {
    /// After each transaction.
    Transaction,
    /// When the client disconnects.
    Session,
    /// After each statement; transactions of several statements are refused.
    Statement,
}

/// How users that no `[[user]]` names are found: by a query on the home shard.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Auth")]
pub struct RawAuth {
    /// A query with the parameter $1, the user's name, that gives one row: name and verifier (or NULL).
    #[schemars(extend("default" = "SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1"))]
    pub auth_query: Option<At<String>>,
    /// Who runs it.
    #[schemars(required)]
    pub auth_user: Option<At<String>>,
    /// That user's password on the home shard.
    pub auth_password: Option<At<RawSecret>>,
    /// How long an answer is used.
    #[schemars(extend("default" = "60s"))]
    pub auth_query_ttl: Option<At<RawDuration>>,
}

/// A rule of how clients prove who they are, as a line of pg_hba.conf.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hba")]
pub struct RawHba {
    /// The kind of connection it is for.
    #[serde(rename = "type")]
    #[schemars(extend("default" = "host"))]
    pub connection: Option<At<RawHbaType>>,
    /// Databases it is for; "all" for all, "sameuser" for the one with the user's name.
    #[schemars(extend("default" = "all"))]
    pub database: Option<At<RawList>>,
    /// Users it is for; "all" for all.
    #[schemars(extend("default" = "all"))]
    pub user: Option<At<RawList>>,
    /// Client addresses it is for: "10.0.0.0/8", "::1", or "all".
    #[schemars(extend("default" = "all"))]
    pub address: Option<At<RawList>>,
    /// The proof it asks for.
    #[schemars(required)]
    pub method: Option<At<RawHbaMethod>>,
    /// The TLS client certificate that it asks for besides, in a rule of type "hostssl".
    pub clientcert: Option<At<RawClientCert>>,
}

/// What a client's certificate must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ClientCert", inline)]
pub enum RawClientCert {
    /// Signed by the listener's `client_ca`.
    VerifyCa,
    /// Also with the user's name as its common name.
    VerifyFull,
}

/// Kinds of client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HbaType", inline)]
pub enum RawHbaType {
    /// TCP, with TLS or without.
    Host,
    /// TCP with TLS.
    Hostssl,
    /// TCP without TLS.
    Hostnossl,
    /// Unix socket.
    Local,
}

/// Proofs of who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HbaMethod", inline)]
pub enum RawHbaMethod {
    /// None at all.
    Trust,
    /// None suffices.
    Reject,
    /// SCRAM-SHA-256, with channel binding where the client can.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// MD5; SCRAM-SHA-256 for users with a SCRAM verifier.
    Md5,
    /// The password in clear text.
    Password,
    /// A TLS client certificate whose common name is the user.
    Cert,
}

/// What clients see as one database.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Cluster")]
pub struct RawCluster {
    /// The database name that clients connect to; "*": any other, on one shard, under the same name there.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// When a server connection goes back to the pool.
    #[schemars(extend("default" = "transaction"))]
    pub pooling: Option<At<RawPooling>>,
    /// A folder of sharding rules (*.toml); without it every table is on the home shard.
    pub rules: Option<At<String>>,
    /// The shard that holds single tables. Default: the first.
    pub home_shard: Option<At<String>>,
    /// Who reads the shards' catalogs, keeps the store on them and checks them; without one, run one proxy only.
    pub maintenance_user: Option<At<String>>,
    /// That user's password on the shards.
    pub maintenance_password: Option<At<RawSecret>>,
    /// Whether clients may choose the shard by a hint.
    #[schemars(extend("default" = false))]
    pub hints: Option<At<bool>>,
    /// The Postgres servers that hold the data. At least one.
    #[serde(default)]
    pub shard: Vec<At<RawShard>>,
    /// Server connections.
    pub pool: Option<At<RawPool>>,
}

/// A Postgres server that holds a part of a cluster's data.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Shard")]
pub struct RawShard {
    /// The name, for hints, messages and metrics: 1 to 63 of a-z, A-Z, 0-9, `_` and `-`.
    #[schemars(required)]
    pub name: Option<At<String>>,
    /// Where the server is: "10.0.0.5:5432", "db.example:5432", "[::1]:5432" or "/run/postgresql:5432".
    #[schemars(required)]
    pub primary: Option<At<String>>,
    /// The database on the server. Default: the cluster's name.
    pub database: Option<At<String>>,
    /// Encryption; without it none is used.
    pub tls: Option<At<RawShardTls>>,
}

/// Encryption between Howdah and a shard.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShardTls")]
pub struct RawShardTls {
    /// As libpq's sslmode.
    #[schemars(extend("default" = "prefer"))]
    pub mode: Option<At<RawShardTlsMode>>,
    /// PEM file with the authorities that sign the server's certificate; needed for verify-ca and verify-full.
    pub root: Option<At<String>>,
    /// PEM file with Howdah's own certificate.
    pub certificate: Option<At<String>>,
    /// PEM file with its private key.
    pub key: Option<At<String>>,
}

/// How a shard's certificate is asked for and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ShardTlsMode", inline)]
pub enum RawShardTlsMode {
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
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Pool")]
pub struct RawPool {
    /// Server connections at most.
    #[schemars(extend("default" = 20), range(min = 1, max = 100_000))]
    pub size: Option<At<u32>>,
    /// Idle server connections that are kept ready.
    #[schemars(extend("default" = 0))]
    pub min_idle: Option<At<u32>>,
    /// A server connection that is older is closed when it is next idle; 0: never.
    #[schemars(extend("default" = "1h"))]
    pub max_lifetime: Option<At<RawDuration>>,
    /// A server connection that is idle for longer is closed; 0: never.
    #[schemars(extend("default" = "10min"))]
    pub idle_timeout: Option<At<RawDuration>>,
    /// Clients that may wait for a server connection; 0: none waits.
    #[schemars(extend("default" = 10000))]
    pub queue_limit: Option<At<u32>>,
    /// How long a client waits for a server connection; 0: no limit.
    #[schemars(extend("default" = "120s"))]
    pub queue_timeout: Option<At<RawDuration>>,
    /// Connecting and logging in to a server takes this long at most.
    #[schemars(extend("default" = "5s"))]
    pub connect_timeout: Option<At<RawDuration>>,
    /// Prepared statements kept on one server connection.
    #[schemars(extend("default" = 500), range(min = 1))]
    pub prepared_statements_max: Option<At<u32>>,
}
