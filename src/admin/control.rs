//! The commands that change something.
//!
//! A command that waits (PAUSE, KILL) only looks at counters; whoever runs it decides how long.

use super::Admin;
use super::command::Victim;
use crate::error::SqlError;
use crate::pool::ServerPool;
use crate::sqlstate;
use std::sync::Arc;
use std::time::Duration;

/// How often a waiting command looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long KILL waits for those it ended to be gone.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Notices that a command leads to, before its tag.
pub type Notices = Vec<SqlError>;

/// Reads the configuration again.
pub async fn reload(admin: &Admin) -> Result<Notices, SqlError> {
    let store = Arc::clone(&admin.store);
    let reloaded = tokio::task::spawn_blocking(move || store.reload())
        .await
        .map_err(|error| SqlError::new(sqlstate::INTERNAL_ERROR, format!("the reload broke off: {error}")))?;
    match reloaded {
        Ok(report) => {
            let mut notices: Notices = Vec::new();
            for warning in &report.warnings {
                notices.push(SqlError::new(sqlstate::WARNING, warning.one_line()));
            }
            let changed =
                if report.changed.is_empty() { "nothing".into() } else { report.changed.join(", ") };
            tracing::info!(changed, "configuration reloaded");
            notices.push(SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, format!("changed: {changed}")));
            if !report.needs_restart.is_empty() {
                let parts = report.needs_restart.join(", ");
                notices
                    .push(SqlError::new(sqlstate::WARNING, format!("takes effect after a restart: {parts}")));
            }
            Ok(notices)
        }
        Err(found) => {
            let lines: Vec<String> = found.iter().map(crate::diagnostic::Diagnostic::one_line).collect();
            tracing::error!("configuration not reloaded: the one before stays in force");
            let errors = found.iter().filter(|one| one.is_error()).count();
            let what = if errors == 1 { "an error".into() } else { format!("{errors} errors") };
            Err(SqlError::new(
                sqlstate::CONFIG_FILE_ERROR,
                format!("the configuration has {what}: the one before stays in force"),
            )
            .with_detail(lines.join("\n")))
        }
    }
}

/// Fails where no cluster serves this database.
fn check_database(admin: &Admin, name: Option<&str>) -> Result<(), SqlError> {
    match name {
        Some(name) if !admin.service.directory.has_cluster(name) => {
            Err(SqlError::new(sqlstate::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
                .with_hint("SHOW DATABASES lists them."))
        }
        _ => Ok(()),
    }
}

fn subject(name: Option<&str>) -> String {
    name.map_or_else(|| "the proxy".to_owned(), |name| format!("database \"{name}\""))
}

/// Starts a pause: no statement gets a server connection from now on.
pub fn begin_pause(admin: &Admin, name: Option<&str>) -> Result<(), SqlError> {
    check_database(admin, name)?;
    if admin.service.directory.set_paused(name, true) {
        tracing::info!(database = name, "paused");
        return Ok(());
    }
    let message = format!("{} is already paused", subject(name));
    Err(SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
        .with_hint("RESUME ends the pause."))
}

/// Ends a pause.
pub fn resume(admin: &Admin, name: Option<&str>) -> Result<(), SqlError> {
    // First of all, since what is paused may have left the configuration.
    if admin.service.directory.set_paused(name, false) {
        tracing::info!(database = name, "resumed");
        return Ok(());
    }
    check_database(admin, name)?;
    let message = format!("{} is not paused", subject(name));
    let error = SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
    Err(match name {
        Some(_) if admin.service.directory.is_paused(None) => {
            error.with_hint("RESUME resumes all databases.")
        }
        _ => error,
    })
}

/// The pools of a database, or of all.
fn pools(admin: &Admin, name: Option<&str>) -> Vec<Arc<ServerPool>> {
    let databases = admin.service.directory.databases();
    let chosen = databases.iter().filter(|database| name.is_none_or(|name| *database.name == *name));
    chosen.flat_map(|database| database.pools.iter().cloned()).collect()
}

/// Waits until no client has a server connection and those that were idle are closed.
///
/// Cancel safe: nothing is undone or left half done.
pub async fn released(admin: &Admin, name: Option<&str>) {
    loop {
        // Looked up each time: pools may be replaced while one waits.
        let pools = pools(admin, name);
        pools.iter().filter(|pool| pool.manager().open() > 0).for_each(|pool| pool.close_all());
        if pools.iter().all(|pool| pool.gate().in_use == 0 && pool.manager().open() == 0) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Server connections open now are closed when they are free; new ones take their place.
pub fn reconnect(admin: &Admin, name: Option<&str>) -> Result<(), SqlError> {
    check_database(admin, name)?;
    pools(admin, name).iter().for_each(|pool| pool.close_all());
    Ok(())
}

/// Ends clients, and for a database also its server connections, and pauses it.
pub async fn kill(admin: &Admin, victim: &Victim) -> Result<Notices, SqlError> {
    let name = match victim {
        Victim::Client(id) => return kill_client(admin, *id).map(|()| Vec::new()),
        Victim::Database(name) => Some(name.as_str()),
        Victim::All => None,
    };
    check_database(admin, name)?;
    admin.service.directory.set_paused(name, true);
    let clients = admin.service.registry.list();
    let chosen = clients.iter().filter(|client| match name {
        Some(name) => client.pools.is_some() && &*client.database == name,
        None => client.pools.is_some(),
    });
    chosen.for_each(|client| client.kill());
    tracing::info!(database = name, "killed and paused");
    let mut notices = Vec::new();
    if tokio::time::timeout(KILL_WAIT, released(admin, name)).await.is_err() {
        notices.push(SqlError::new(sqlstate::WARNING, "some server connections are still being closed"));
    }
    let resume = name.map_or_else(|| "RESUME".to_owned(), |name| format!("RESUME \"{name}\""));
    let paused = format!("{} is paused: {resume} lets clients go on", subject(name));
    notices.push(SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, paused));
    Ok(notices)
}

fn kill_client(admin: &Admin, id: i32) -> Result<(), SqlError> {
    match admin.service.registry.list().iter().find(|client| client.process_id == id) {
        Some(client) => {
            tracing::info!(client = id, "killed");
            client.kill();
            Ok(())
        }
        None => Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, format!("there is no client {id}"))
            .with_hint("SHOW CLIENTS has the clients' numbers in its column id; a database of digits is written in quotes.")),
    }
}
