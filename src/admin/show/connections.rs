//! SHOW CLIENTS and SHOW SERVERS.

use super::super::Admin;
use super::super::clock::date;
use super::super::table::{Column, Row, Value, int4, text};
use crate::backend::ServerInfo;
use crate::frontend::ClientHandle;
use crate::pool::ServerPool;
use crate::topology::Database;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// PgBouncer's nineteen, then the id that KILL takes, the shard, and why the server connection is kept.
pub const CLIENTS: [Column; 22] = with(int4("id"), text("pinned"));

/// PgBouncer's nineteen, then the number of the connection, the shard, and the client's number.
pub const SERVERS: [Column; 22] = with(int4("id"), int4("client"));

const fn with(id: Column, last: Column) -> [Column; 22] {
    [
        text("type"),
        text("user"),
        text("database"),
        text("state"),
        text("addr"),
        int4("port"),
        text("local_addr"),
        int4("local_port"),
        text("connect_time"),
        text("request_time"),
        int4("wait"),
        int4("wait_us"),
        int4("close_needed"),
        text("ptr"),
        text("link"),
        int4("remote_pid"),
        text("tls"),
        text("application_name"),
        int4("prepared_statements"),
        id,
        text("shard"),
        last,
    ]
}

/// A server connection in use is known by its pool and the server's process id.
type Place = (*const ServerPool, i32);

/// Who uses which server connection now.
fn users(clients: &[Arc<ClientHandle>]) -> HashMap<Place, &Arc<ClientHandle>> {
    let place = |client: &ClientHandle| Some(place(client.pools.as_ref()?, client)?.0);
    clients.iter().filter_map(|client| Some((place(client)?, client))).collect()
}

/// The pool that a client has a connection of, and the connection's place.
fn place<'a>(database: &'a Database, client: &ClientHandle) -> Option<(Place, &'a Arc<ServerPool>)> {
    let target = client.server()?;
    let pool = database.pool(target.shard)?;
    Some(((Arc::as_ptr(pool), target.process_id), pool))
}

/// The rows of SHOW CLIENTS.
pub fn clients(admin: &Admin) -> Vec<Row> {
    let clients = admin.service.registry.list();
    let servers: HashMap<Place, u64> = admin
        .service
        .directory
        .databases()
        .iter()
        .flat_map(|database| &database.pools)
        .flat_map(|pool| {
            let key = |info: &ServerInfo| ((Arc::as_ptr(pool), info.process_id), info.id);
            pool.manager().connections().iter().map(|info| key(info)).collect::<Vec<_>>()
        })
        .collect();
    clients.iter().map(|client| client_row(client, &servers)).collect()
}

fn client_row(client: &ClientHandle, servers: &HashMap<Place, u64>) -> Row {
    let found = client.pools.as_ref().and_then(|database| place(database, client));
    let link = found.and_then(|(place, _)| servers.get(&place)).map(|id| format!("S{id}"));
    let is_waiting = client.is_waiting.load(Ordering::Relaxed);
    let state = match (client.pools.is_none() || client.is_active(), is_waiting) {
        (_, true) => "waiting",
        (true, false) => "active",
        (false, false) => "idle",
    };
    let (addr, port) = split_address(&client.address);
    let name = client.application_name.lock().unwrap_or_else(PoisonError::into_inner).to_string();
    vec![
        "C".into(),
        client.user.as_ref().into(),
        client.database.as_ref().into(),
        state.into(),
        addr.into(),
        port.into(),
        Value::Null,
        Value::Null,
        date(client.connected_at).into(),
        Value::Null,
        wait(is_waiting),
        wait(is_waiting),
        0_u32.into(),
        format!("C{}", client.process_id).into(),
        link.unwrap_or_default().into(),
        0_u32.into(),
        tls(client.is_tls),
        name.into(),
        Value::Null,
        client.process_id.unsigned_abs().into(),
        found.map(|(_, pool)| pool.shard.as_ref()).into(),
        client.pins().describe().into(),
    ]
}

/// How long a client has waited is known of the longest waiting one only: SHOW POOLS shows it.
fn wait(is_waiting: bool) -> Value {
    if is_waiting { Value::Null } else { 0_u32.into() }
}

fn tls(is_tls: bool) -> Value {
    if is_tls { "TLS".into() } else { "".into() }
}

/// An address as it is logged, as PgBouncer's `addr` and `port`; `unix` and 0 for a Unix socket.
fn split_address(address: &str) -> (String, u32) {
    match address.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port().into()),
        Err(_) => ("unix".to_owned(), 0),
    }
}

/// The rows of SHOW SERVERS.
pub fn servers(admin: &Admin) -> Vec<Row> {
    let clients = admin.service.registry.list();
    let users = users(&clients);
    let mut rows = Vec::new();
    for database in admin.service.directory.databases() {
        for pool in &database.pools {
            for info in pool.manager().connections() {
                let user = users.get(&(Arc::as_ptr(pool), info.process_id)).copied();
                rows.push(server_row(&database, pool, &info, user));
            }
        }
    }
    rows
}

fn server_row(
    database: &Database,
    pool: &ServerPool,
    info: &ServerInfo,
    client: Option<&Arc<ClientHandle>>,
) -> Row {
    let address = |address: Option<SocketAddr>| match address {
        Some(address) => (address.ip().to_string(), u32::from(address.port())),
        None => ("unix".to_owned(), 0),
    };
    let ((addr, port), (local_addr, local_port)) = (address(info.peer), address(info.local));
    let link = client.map(|client| format!("C{}", client.process_id)).unwrap_or_default();
    vec![
        "S".into(),
        database.user.as_ref().into(),
        database.name.as_ref().into(),
        if client.is_some() { "active" } else { "idle" }.into(),
        addr.into(),
        port.into(),
        local_addr.into(),
        local_port.into(),
        date(info.connected_at).into(),
        Value::Null,
        0_u32.into(),
        0_u32.into(),
        u32::from(pool.manager().is_close_needed(info)).into(),
        format!("S{}", info.id).into(),
        link.into(),
        info.process_id.unsigned_abs().into(),
        tls(info.is_tls),
        "".into(),
        Value::Null,
        info.id.into(),
        pool.shard.as_ref().into(),
        client.map(|client| client.process_id.unsigned_abs()).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::split_address;

    #[test]
    fn addresses_are_split_into_host_and_port() {
        assert_eq!(split_address("127.0.0.1:5000"), ("127.0.0.1".to_owned(), 5000));
        assert_eq!(split_address("[::1]:5000"), ("::1".to_owned(), 5000));
        assert_eq!(split_address("[local]"), ("unix".to_owned(), 0));
    }
}
