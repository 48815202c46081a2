//! From the configuration's words to what the layers below take.

use super::stores::{Stores, Surroundings};
use crate::auth::hba::{AddressMatch, ClientCert, ConnectionType, DatabaseMatch, HbaRule, Method, UserMatch};
use crate::auth::md5::Md5Hash;
use crate::auth::{Secret, Verifier};
use crate::backend::auth_query::AuthQuery;
use crate::backend::connect::{Credential, Login, Target};
use crate::config::{self, Cluster, Config, Listener, ListenerTls, ServerAddress, ServerTlsMode, Shard};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText};
use crate::frontend::authenticate::{Lookup, UserSource};
use crate::frontend::handshake::HandshakeSettings;
use crate::net::stream::Keepalive;
use crate::net::tls_client::{SslMode, TlsClient, TlsClientFiles};
use crate::net::tls_server::{TlsServer, TlsServerFiles};
use crate::pool::PoolOptions;
use crate::rules::Rules;
use crate::session::Pooling;
use crate::store::View;
use crate::topology::{ClusterSettings, Directory, ShardSettings, UserCredential};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Clients in line wait this long where no limit is set.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a configuration's own validation does not look at: sharding rules.
pub(super) fn check(config: &Config) -> Vec<Diagnostic> {
    config.clusters.values().filter_map(|cluster| rules(cluster).err()).flatten().collect()
}

/// The sharding rules of a cluster, read anew.
pub(crate) fn rules(cluster: &Cluster) -> Result<Arc<Rules>, Vec<Diagnostic>> {
    let shards: Vec<String> = cluster.shards.iter().map(|shard| shard.name.clone()).collect();
    match &cluster.rules {
        None => Ok(Arc::new(Rules::unsharded(shards, cluster.home_shard))),
        Some(folder) => read_rules(folder, shards, cluster.home_shard)
            .map(|rules| Arc::new(rules.with_hints(cluster.hints))),
    }
}

/// Reads all `*.toml` files of a folder as one set of rules.
pub(crate) fn read_rules(
    folder: &std::path::Path,
    shards: Vec<String>,
    home: crate::ids::ShardId,
) -> Result<Rules, Vec<Diagnostic>> {
    let unreadable = |path: &std::path::Path, error: std::io::Error| {
        vec![Diagnostic::of_file(path.display().to_string(), format!("cannot be read: {error}"))]
    };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| unreadable(folder, error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        sources.push(SourceText::new(path.display().to_string(), text));
    }
    let mut diagnostics = Diagnostics::new();
    let rules = crate::rules::read(&sources, shards, home, &mut diagnostics);
    rules.ok_or_else(|| diagnostics.into_sorted())
}

/// Gives the directory its clusters and users.
pub(super) fn configure(
    directory: &Directory,
    config: &Config,
    (stores, surroundings): (&Stores, &Surroundings<'_>),
) -> Result<(), String> {
    let mut clusters = Vec::new();
    for cluster in config.clusters.values() {
        let rules = rules(cluster)
            .map_err(|found| found.iter().map(Diagnostic::one_line).collect::<Vec<_>>().join("\n"))?;
        let view = stores.view(config, cluster, &rules, surroundings)?;
        clusters.push(cluster_settings(config, cluster, rules, view)?);
    }
    let users = config.users.iter().map(|(name, user)| (name.clone(), user_credential(user))).collect();
    directory.configure(clusters, users);
    Ok(())
}

fn cluster_settings(
    config: &Config,
    cluster: &Cluster,
    rules: Arc<Rules>,
    view: Option<Arc<View>>,
) -> Result<ClusterSettings, String> {
    let mut shards = Vec::new();
    for shard in &cluster.shards {
        shards.push(ShardSettings {
            name: shard.name.clone(),
            target: target(config, shard, cluster.pool.connect_timeout)?,
            database: shard
                .database
                .clone()
                .or_else(|| (!cluster.is_any_database()).then(|| cluster.name.clone())),
        });
    }
    let pool = &cluster.pool;
    Ok(ClusterSettings {
        name: cluster.name.clone(),
        pooling: pooling(cluster.pooling),
        shards,
        pool: PoolOptions {
            size: pool.size,
            min_idle: pool.min_idle,
            max_lifetime: pool.max_lifetime,
            idle_timeout: pool.idle_timeout,
            queue_limit: pool.queue_limit,
            queue_timeout: pool.queue_timeout.unwrap_or(FOREVER),
        },
        prepared_statements_max: usize::try_from(pool.prepared_statements_max).unwrap_or(usize::MAX),
        // A view is followed through changed rules; another view means other servers.
        fingerprint: match &view {
            Some(view) => format!("{cluster:?}\n{:p}\n{:?}", Arc::as_ptr(view), config.general.tcp_keepalive),
            None => format!("{cluster:?}\n{rules:?}\n{:?}", config.general.tcp_keepalive),
        },
        rules,
        view,
    })
}

fn pooling(pooling: config::Pooling) -> Pooling {
    match pooling {
        config::Pooling::Transaction => Pooling::Transaction,
        config::Pooling::Session => Pooling::Session,
        config::Pooling::Statement => Pooling::Statement,
    }
}

pub(super) fn target(config: &Config, shard: &Shard, connect_timeout: Duration) -> Result<Target, String> {
    let (host, port) = match &shard.primary {
        ServerAddress::Tcp { host, port } => (host.clone(), *port),
        ServerAddress::Unix { directory, port } => (directory.display().to_string(), *port),
    };
    let tls = &shard.tls;
    let files = TlsClientFiles {
        mode: match tls.mode {
            ServerTlsMode::Disable => SslMode::Disable,
            ServerTlsMode::Prefer => SslMode::Prefer,
            ServerTlsMode::Require => SslMode::Require,
            ServerTlsMode::VerifyCa => SslMode::VerifyCa,
            ServerTlsMode::VerifyFull => SslMode::VerifyFull,
        },
        root_certificate: tls.root.as_ref().map(|file| file.path.clone()),
        client: tls
            .identity
            .as_ref()
            .map(|identity| (identity.certificate.path.clone(), identity.key.path.clone())),
    };
    let tls = if files.mode == SslMode::Disable {
        TlsClient::disabled()
    } else {
        TlsClient::load(&files).map_err(|error| format!("shard \"{}\": {error}", shard.name))?
    };
    Ok(Target {
        host: host.into(),
        port,
        tls,
        connect_timeout,
        keepalive: config.general.tcp_keepalive.map(|idle| Keepalive {
            idle,
            interval: Duration::from_secs(10),
            count: 5,
        }),
    })
}

fn user_credential(user: &config::User) -> UserCredential {
    let own = match &user.credential {
        config::Credential::Password(password) => Some(password),
        _ => None,
    };
    let password = user.server_password.as_ref().or(own);
    UserCredential {
        password: password.map(|password| Secret::from(password.expose())),
        md5: match &user.credential {
            config::Credential::Md5(hash) => Md5Hash::parse(hash.expose()),
            _ => None,
        },
        pool_size: user.pool_size,
        pooling: user.pooling.map(pooling),
    }
}

/// How clients come in at a listener.
pub(super) fn handshake_settings(
    config: &Config,
    listener: &Listener,
    mock_secret: [u8; 32],
) -> Result<HandshakeSettings, String> {
    let mut hba: Vec<HbaRule> = Vec::new();
    let tls = match &listener.tls {
        ListenerTls::Disabled => None,
        ListenerTls::Enabled { required, identity, client_ca } => {
            if *required {
                hba.push(HbaRule {
                    connection: ConnectionType::HostNoSsl,
                    databases: vec![DatabaseMatch::All],
                    users: vec![UserMatch::All],
                    address: AddressMatch::All,
                    method: Method::Reject,
                    client_cert: ClientCert::NotAsked,
                });
            }
            let files = TlsServerFiles {
                certificate: identity.certificate.path.clone(),
                key: identity.key.path.clone(),
                client_ca: client_ca.as_ref().map(|file| file.path.clone()),
            };
            Some(TlsServer::load(&files).map_err(|error| error.to_string())?)
        }
    };
    hba.extend(config.hba.iter().flat_map(hba_rules));
    Ok(HandshakeSettings {
        login_timeout: config.general.login_timeout.unwrap_or(FOREVER),
        tls,
        hba,
        users: Arc::new(users(config)?),
        mock_secret,
    })
}

/// One rule per address, since a rule of ours has one.
fn hba_rules(rule: &config::HbaRule) -> Vec<HbaRule> {
    let databases = match &rule.databases {
        config::NameSet::All => vec![DatabaseMatch::All],
        config::NameSet::Only(names) => names
            .iter()
            .map(|name| match name.as_str() {
                "sameuser" => DatabaseMatch::SameUser,
                name => DatabaseMatch::Name(name.into()),
            })
            .collect(),
    };
    let users = match &rule.users {
        config::NameSet::All => vec![UserMatch::All],
        config::NameSet::Only(names) => {
            names.iter().map(|name| UserMatch::Name(name.as_str().into())).collect()
        }
    };
    let addresses = match &rule.addresses {
        config::AddressSet::All => vec![AddressMatch::All],
        config::AddressSet::Only(ranges) => {
            ranges.iter().map(|range| AddressMatch::Cidr(range.base, range.prefix)).collect()
        }
    };
    let of = |address| HbaRule {
        connection: match rule.connection {
            config::HbaConnection::Host => ConnectionType::Host,
            config::HbaConnection::HostSsl => ConnectionType::HostSsl,
            config::HbaConnection::HostNoSsl => ConnectionType::HostNoSsl,
            config::HbaConnection::Local => ConnectionType::Local,
        },
        databases: databases.clone(),
        users: users.clone(),
        address,
        method: match rule.method {
            config::HbaMethod::Trust => Method::Trust,
            config::HbaMethod::Reject => Method::Reject,
            config::HbaMethod::ScramSha256 => Method::ScramSha256,
            config::HbaMethod::Md5 => Method::Md5,
            config::HbaMethod::Password => Method::Password,
            config::HbaMethod::Cert => Method::Cert,
        },
        client_cert: match rule.client_cert {
            config::HbaClientCert::NotAsked => ClientCert::NotAsked,
            config::HbaClientCert::VerifyCa => ClientCert::VerifyCa,
            config::HbaClientCert::VerifyFull => ClientCert::VerifyFull,
        },
    };
    addresses.into_iter().map(of).collect()
}

/// The configured users, and for the rest the auth query on the wanted cluster's home shard.
struct ClusterUsers {
    configured: HashMap<String, Option<Arc<Verifier>>>,
    auth_queries: HashMap<String, Arc<AuthQuery>>,
}

impl UserSource for ClusterUsers {
    fn lookup<'a>(&'a self, user: &'a str, database: &'a str) -> Lookup<'a> {
        if let Some(Some(verifier)) = self.configured.get(user) {
            return Lookup::Done(Some(Arc::clone(verifier)));
        }
        let query = self.auth_queries.get(database).or_else(|| self.auth_queries.get(config::ANY_DATABASE));
        let Some(query) = query else { return Lookup::Done(None) };
        match query.cached(user) {
            Some(found) => Lookup::Done(found),
            None => Lookup::Pending(Box::pin(async move {
                query.lookup(user).await.map_err(|error| {
                    tracing::warn!(%error, user, "auth query failed");
                    error.to_sql_error()
                })
            })),
        }
    }
}

fn users(config: &Config) -> Result<ClusterUsers, String> {
    let configured = config
        .users
        .iter()
        .map(|(name, user)| {
            let stored = match &user.credential {
                config::Credential::None => None,
                config::Credential::Password(secret)
                | config::Credential::Scram(secret)
                | config::Credential::Md5(secret) => Some(secret),
            };
            (name.clone(), stored.map(|secret| Arc::new(Verifier::parse(secret.expose(), rand::random()))))
        })
        .collect();
    let mut auth_queries = HashMap::new();
    if let Some(query) = &config.auth_query {
        for cluster in config.clusters.values() {
            let Some(shard) = cluster.shard(cluster.home_shard) else { continue };
            let database = match (&shard.database, cluster.is_any_database()) {
                (Some(database), _) => database.as_str(),
                (None, true) => "postgres",
                (None, false) => cluster.name.as_str(),
            };
            let login = Login {
                user: query.user.as_str().into(),
                database: database.into(),
                credential: match &query.password {
                    Some(password) => Credential::Password(Secret::from(password.expose())),
                    None => Credential::None,
                },
            };
            let target = target(config, shard, cluster.pool.connect_timeout)?;
            let query = AuthQuery::new(target, login, query.query.as_str(), query.ttl);
            auth_queries.insert(cluster.name.clone(), Arc::new(query));
        }
    }
    Ok(ClusterUsers { configured, auth_queries })
}
