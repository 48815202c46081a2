//! SHOW CONFIG, LISTS, STATE, USERS and VERSION: what is not about connections.

use super::super::Admin;
use super::super::command::VERSION;
use super::super::table::{Column, Row, Value, int4, text};

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
    settings
        .into_iter()
        .map(|s| vec![s.key.into(), s.value.into(), s.default.into(), yes_no(s.is_changeable).into()])
        .collect()
}

/// The rows of SHOW LISTS.
pub fn lists(admin: &Admin) -> Vec<Row> {
    let config = admin.store.current();
    let databases = admin.service.directory.databases();
    let servers: usize = databases
        .iter()
        .flat_map(|database| &database.pools)
        .map(|pool| pool.manager().connections().len())
        .sum();
    [
        ("databases", config.clusters.len().into()),
        ("users", config.users.len().into()),
        ("pools", databases.len().into()),
        ("used_clients", Value::from(admin.service.registry.len())),
        ("used_servers", servers.into()),
    ]
    .into_iter()
    .map(|(list, items)| vec![list.into(), items])
    .collect()
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
