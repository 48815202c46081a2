//! The configuration in force as rows of `SHOW CONFIG`. No secret is among them.

use super::units::{show_duration, show_size};
use super::{
    AddressSet, Cluster, Config, Credential, General, HbaClientCert, HbaConnection, HbaMethod, HbaRule,
    ListenerTls, LogFormat, NameSet, PemFile, PoolSettings, ServerTlsMode, Shard, User,
};
use std::time::Duration;

/// A row of `SHOW CONFIG`, with PgBouncer's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, with its table: `general.client_limit`, `cluster.shop.pool.size`.
    pub key: String,
    /// The value in force, as it could be written in the file.
    pub value: String,
    /// The value without the key; `None` where there is none.
    pub default: Option<String>,
    /// Whether a reload can change it.
    pub is_changeable: bool,
}

/// Keys of `[general]` that need a restart.
const FIXED: [&str; 4] = ["threads", "cluster_name", "log_format", "plan_cache_entries"];

/// Every setting in force, in the file's order.
pub fn settings(config: &Config) -> Vec<Setting> {
    let mut rows = Vec::new();
    let defaults = general(&General::default());
    for ((name, value), (_, default)) in general(&config.general).into_iter().zip(defaults) {
        let key = format!("general.{name}");
        rows.push(Setting { key, value, default: Some(default), is_changeable: !FIXED.contains(&name) });
    }
    for (number, listener) in config.listeners.iter().enumerate() {
        let (key, value) = (format!("listener.{number}.address"), listener.address.to_string());
        rows.push(Setting { key, value, default: None, is_changeable: false });
        listener_tls(&mut rows, &format!("listener.{number}.tls"), &listener.tls);
    }
    for user in config.users.values() {
        user_rows(&mut rows, user);
    }
    if let Some(auth) = &config.auth_query {
        let mut row = |key: &str, value: String| push(&mut rows, "auth", key, value, None);
        row("auth_query", auth.query.clone());
        row("auth_user", auth.user.clone());
        row("auth_password", mask(auth.password.is_some()));
        row("auth_query_ttl", show_duration(auth.ttl));
    }
    for (number, rule) in config.hba.iter().enumerate() {
        push(&mut rows, "hba", &number.to_string(), hba(rule), None);
    }
    for cluster in config.clusters.values() {
        cluster_rows(&mut rows, cluster);
    }
    rows
}

/// Adds a setting that a reload can change.
fn push(rows: &mut Vec<Setting>, table: &str, key: &str, value: String, default: Option<&str>) {
    let default = default.map(str::to_owned);
    rows.push(Setting { key: format!("{table}.{key}"), value, default, is_changeable: true });
}

/// What is shown of a secret: whether there is one.
fn mask(is_set: bool) -> String {
    if is_set { "***" } else { "" }.to_owned()
}

fn path(file: Option<&PemFile>) -> String {
    file.map(|file| file.path.display().to_string()).unwrap_or_default()
}

fn listener_tls(rows: &mut Vec<Setting>, table: &str, tls: &ListenerTls) {
    match tls {
        ListenerTls::Disabled => push(rows, table, "mode", "disable".to_owned(), None),
        ListenerTls::Enabled { required, identity, client_ca } => {
            let mode = if *required { "require" } else { "allow" };
            push(rows, table, "mode", mode.to_owned(), Some("allow"));
            push(rows, table, "certificate", path(Some(&identity.certificate)), None);
            push(rows, table, "key", path(Some(&identity.key)), None);
            push(rows, table, "client_ca", path(client_ca.as_ref()), None);
        }
    }
}

fn user_rows(rows: &mut Vec<Setting>, user: &User) {
    let table = format!("user.{}", user.name);
    let mut row = |key: &str, value: String| push(rows, &table, key, value, Some(""));
    let is_password = matches!(user.credential, Credential::Password(_));
    row("password", mask(is_password));
    row("verifier", mask(!is_password && user.credential != Credential::None));
    row("server_password", mask(user.server_password.is_some()));
    row("client_limit", user.client_limit.map(limit).unwrap_or_default());
    row("pool_size", user.pool_size.map(|size| size.to_string()).unwrap_or_default());
    row("pooling", user.pooling.map(|pooling| pooling.to_string()).unwrap_or_default());
}

/// A rule as a line of pg_hba.conf.
fn hba(rule: &HbaRule) -> String {
    let connection = match rule.connection {
        HbaConnection::Host => "host",
        HbaConnection::HostSsl => "hostssl",
        HbaConnection::HostNoSsl => "hostnossl",
        HbaConnection::Local => "local",
    };
    let method = match rule.method {
        HbaMethod::Trust => "trust",
        HbaMethod::Reject => "reject",
        HbaMethod::ScramSha256 => "scram-sha-256",
        HbaMethod::Md5 => "md5",
        HbaMethod::Password => "password",
        HbaMethod::Cert => "cert",
    };
    let names = |names: &NameSet| match names {
        NameSet::All => "all".to_owned(),
        NameSet::Only(names) => names.join(","),
    };
    let addresses = match &rule.addresses {
        AddressSet::All => "all".to_owned(),
        AddressSet::Only(ranges) => {
            let ranges: Vec<_> =
                ranges.iter().map(|range| format!("{}/{}", range.base, range.prefix)).collect();
            ranges.join(",")
        }
    };
    let certificate = match rule.client_cert {
        HbaClientCert::NotAsked => "",
        HbaClientCert::VerifyCa => " clientcert=verify-ca",
        HbaClientCert::VerifyFull => " clientcert=verify-full",
    };
    let (databases, users) = (names(&rule.databases), names(&rule.users));
    format!("{connection} {databases} {users} {addresses} {method}{certificate}")
}

fn cluster_rows(rows: &mut Vec<Setting>, cluster: &Cluster) {
    let table = format!("cluster.{}", cluster.name);
    let mut row = |key: &str, value: String, default: Option<&str>| push(rows, &table, key, value, default);
    row("pooling", cluster.pooling.to_string(), Some("transaction"));
    let rules = cluster.rules.as_ref().map(|folder| folder.display().to_string());
    row("rules", rules.unwrap_or_default(), Some(""));
    let home = cluster.shard(cluster.home_shard).map(|shard| shard.name.clone());
    row("home_shard", home.unwrap_or_default(), cluster.shards.first().map(|shard| shard.name.as_str()));
    row("hints", cluster.hints.to_string(), Some("false"));
    let maintenance = cluster.maintenance.as_ref();
    row("maintenance_user", maintenance.map(|one| one.user.clone()).unwrap_or_default(), Some(""));
    row("maintenance_password", mask(maintenance.is_some_and(|one| one.password.is_some())), Some(""));
    for shard in &cluster.shards {
        shard_rows(&mut row, cluster, shard);
    }
    let defaults = pool(&PoolSettings::default());
    for ((key, value), (_, default)) in pool(&cluster.pool).into_iter().zip(defaults) {
        row(&format!("pool.{key}"), value, Some(&default));
    }
}

fn shard_rows(row: &mut impl FnMut(&str, String, Option<&str>), cluster: &Cluster, shard: &Shard) {
    let mut row = |key: &str, value: String, default: Option<&str>| {
        row(&format!("shard.{}.{key}", shard.name), value, default);
    };
    row("primary", shard.primary.to_string(), None);
    let same_name = if cluster.is_any_database() { "" } else { cluster.name.as_str() };
    row("database", shard.database.clone().unwrap_or_else(|| same_name.to_owned()), Some(same_name));
    let mode = match shard.tls.mode {
        ServerTlsMode::Disable => "disable",
        ServerTlsMode::Prefer => "prefer",
        ServerTlsMode::Require => "require",
        ServerTlsMode::VerifyCa => "verify-ca",
        ServerTlsMode::VerifyFull => "verify-full",
    };
    row("tls.mode", mode.to_owned(), None);
    let identity = shard.tls.identity.as_ref();
    row("tls.root", path(shard.tls.root.as_ref()), Some(""));
    row("tls.certificate", path(identity.map(|identity| &identity.certificate)), Some(""));
    row("tls.key", path(identity.map(|identity| &identity.key)), Some(""));
}

fn general(general: &General) -> Vec<(&'static str, String)> {
    let format = match general.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    vec![
        ("threads", general.threads.to_string()),
        ("cluster_name", general.cluster_name.clone()),
        ("admin_users", general.admin_users.join(", ")),
        ("log_format", format.to_owned()),
        ("log_level", general.log_level.clone()),
        ("slow_statement", duration(general.slow_statement)),
        ("login_timeout", duration(general.login_timeout)),
        ("drain_timeout", duration(general.drain_timeout)),
        ("client_limit", general.client_limit.to_string()),
        ("client_limit_per_user", limit(general.client_limit_per_user)),
        ("client_limit_per_database", limit(general.client_limit_per_database)),
        ("message_size_max", show_size(u64::from(general.message_bytes_max))),
        ("idle_client_timeout", duration(general.idle_client_timeout)),
        ("idle_transaction_timeout", duration(general.idle_transaction_timeout)),
        ("query_timeout", duration(general.query_timeout)),
        ("tcp_keepalive", duration(general.tcp_keepalive)),
        ("plan_cache_entries", general.plan_cache_entries.to_string()),
    ]
}

fn pool(pool: &PoolSettings) -> Vec<(&'static str, String)> {
    vec![
        ("size", pool.size.to_string()),
        ("min_idle", pool.min_idle.to_string()),
        ("max_lifetime", duration(pool.max_lifetime)),
        ("idle_timeout", duration(pool.idle_timeout)),
        ("queue_limit", pool.queue_limit.to_string()),
        ("queue_timeout", duration(pool.queue_timeout)),
        ("connect_timeout", show_duration(pool.connect_timeout)),
        ("prepared_statements_max", pool.prepared_statements_max.to_string()),
    ]
}

fn duration(duration: Option<Duration>) -> String {
    show_duration(duration.unwrap_or_default())
}

fn limit(limit: Option<u32>) -> String {
    limit.unwrap_or(0).to_string()
}
