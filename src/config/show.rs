//! The configuration in force as rows of `SHOW CONFIG`. No secret is among them.

use super::units::{show_duration, show_size};
use super::{Config, General, LogFormat, PoolSettings};
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
    }
    let users = config.users.keys().cloned().collect::<Vec<_>>().join(", ");
    rows.push(Setting { key: "users".to_owned(), value: users, default: None, is_changeable: true });
    for (name, cluster) in &config.clusters {
        let mut row = |key: &str, value: String, default: Option<String>| {
            rows.push(Setting { key: format!("cluster.{name}.{key}"), value, default, is_changeable: true });
        };
        row("pooling", cluster.pooling.to_string(), Some("transaction".to_owned()));
        let rules = cluster.rules.as_ref().map(|folder| folder.display().to_string());
        row("rules", rules.unwrap_or_default(), Some(String::new()));
        let home = cluster.shard(cluster.home_shard).map(|shard| shard.name.clone());
        row("home_shard", home.unwrap_or_default(), cluster.shards.first().map(|shard| shard.name.clone()));
        row("hints", cluster.hints.to_string(), Some("false".to_owned()));
        for shard in &cluster.shards {
            row(&format!("shard.{}.primary", shard.name), shard.primary.to_string(), None);
        }
        let defaults = pool(&PoolSettings::default());
        for ((key, value), (_, default)) in pool(&cluster.pool).into_iter().zip(defaults) {
            row(&format!("pool.{key}"), value, Some(default));
        }
    }
    rows
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
