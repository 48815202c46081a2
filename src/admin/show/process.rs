//! SHOW CONFIG, LISTS, STATE, USERS and VERSION: what is not about connections.

use super::super::Admin;
use super::super::command::VERSION;
use super::super::table::{Column, Row, Value, int4, text};
use crate::config::Setting;
use std::collections::BTreeSet;

/// As PgBouncer's.
pub const CONFIG: [Column; 4] = [text("key"), text("value"), text("default"), text("changeable")];

/// As PgBouncer's.
pub const LISTS: [Column; 2] = [text("list"), int4("items")];

/// As PgBouncer's.
pub const STATE: [Column; 2] = [text("key"), text("value")];

/// PgBouncer's two, then ours.
pub const USERS: [Column; 5] =
    [text("name"), text("pool_mode"), int4("pool_size"), int4("client_limit"), int4("current_clients")];

/// As PgBouncer's.
pub const VERSION_COLUMNS: [Column; 1] = [text("version")];

/// The rows of SHOW VERSION.
pub fn version() -> Vec<Row> {
    vec![vec![VERSION.into()]]
}

/// The rows of SHOW CONFIG: no secret is among them.
pub fn config(admin: &Admin) -> Vec<Row> {
    let yes_no = |yes| if yes { "yes" } else { "no" };
    let settings = crate::config::settings(&admin.store.current());
    // Exporters ask for the limit by PgBouncer's name.
    let limit = settings.iter().find(|s| s.key == "general.client_limit").cloned();
    let limit = limit.map(|limit| Setting { key: "max_client_conn".into(), ..limit });
    settings
        .into_iter()
        .chain(limit)
        .map(|s| vec![s.key.into(), s.value.into(), s.default.into(), yes_no(s.is_changeable).into()])
        .collect()
}

/// The rows of SHOW LISTS.
pub fn lists(admin: &Admin) -> Vec<Row> {
    let config = admin.store.current();
    let databases = admin.service.directory.databases();
    let pools = databases.iter().flat_map(|database| &database.pools);
    let servers: u32 = pools.map(|pool| count(pool.manager().connections().len())).sum();
    let users = config.users.len().max(databases.iter().map(|one| &one.user).collect::<BTreeSet<_>>().len());
    [
        ("databases", count(config.clusters.len())),
        ("users", count(users)),
        ("peers", 0),
        ("pools", count(databases.len())),
        ("peer_pools", 0),
        ("used_clients", admin.service.registry.len()),
        // What follows are lists of structures that PgBouncer keeps and Howdah does not.
        ("free_clients", 0),
        ("login_clients", 0),
        ("used_servers", servers),
        ("free_servers", 0),
        ("dns_names", 0),
        ("dns_zones", 0),
        ("dns_queries", 0),
        ("dns_pending", 0),
    ]
    .into_iter()
    .map(|(list, items)| vec![list.into(), items.into()])
    .collect()
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The rows of SHOW STATE.
pub fn state(admin: &Admin) -> Vec<Row> {
    let paused = admin.service.directory.is_paused(None);
    let yes_no = |yes| Value::from(if yes { "yes" } else { "no" });
    [("active", !paused), ("paused", paused), ("suspended", false)]
        .into_iter()
        .map(|(key, yes)| vec![key.into(), yes_no(yes)])
        .collect()
}

/// The rows of SHOW USERS: the configured ones.
pub fn users(admin: &Admin) -> Vec<Row> {
    let config = admin.store.current();
    let users = config.users.values().map(|user| {
        let limit = user.client_limit.unwrap_or(config.general.client_limit_per_user);
        let (_, current, _) = admin.service.registry.counts(&user.name, "");
        vec![
            user.name.clone().into(),
            user.pooling.map(|pooling| pooling.to_string()).into(),
            user.pool_size.into(),
            limit.unwrap_or(0).into(),
            current.into(),
        ]
    });
    users.collect()
}
