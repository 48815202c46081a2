//! From an accepted socket to a served client.

use super::client::{Client, End};
use super::handshake::{Authenticated, Handshake, HandshakeError, HandshakeSettings, handshake};
use super::registry::{ClientHandle, NewClient};
use super::routed::Routed;
use super::{Limits, Service};
use crate::error::{Severity, SqlError};
use crate::net::stream::Stream;
use crate::protocol::{TransactionStatus, write};
use crate::session::Session;
use crate::session::settings::Settings;
use crate::sql::settings::{SettingValue, replay_sql};
use crate::sqlstate;
use crate::topology::Database;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The name of the admin database.
pub const ADMIN_DATABASE: &str = "howdah";

/// What serves clients of the admin database; given by the layer above.
pub trait AdminDatabase: std::fmt::Debug + Send + Sync {
    /// Whether this user may use it.
    fn is_admin(&self, user: &str) -> bool;

    /// Serves a client that has been told everything up to ReadyForQuery.
    fn serve(
        self: Arc<Self>,
        stream: Stream,
        read_ahead: Vec<u8>,
        handle: Arc<ClientHandle>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Serves one accepted connection to its end.
pub async fn serve_connection(
    stream: Stream,
    settings: Arc<HandshakeSettings>,
    service: Arc<Service>,
    admin: Arc<dyn AdminDatabase>,
) {
    // Boxed: a handshake's future is large, and an idle client is not to carry it.
    let shaken = Box::pin(handshake(stream, &settings)).await;
    match shaken {
        Ok(Handshake::Client(client)) => {
            let client = *client;
            let Some(client) = Box::pin(log_in(client, &service, &admin)).await else { return };
            run(client).await;
        }
        Ok(Handshake::Cancel { stream, process_id, secret }) => {
            Box::pin(cancel(&service, process_id, secret)).await;
            drop(stream);
        }
        Err(HandshakeError::Refused { error, user, database }) => {
            tracing::info!(user = user.as_deref(), database = database.as_deref(), code = %error.code, reason = %error.message, "login refused");
        }
        Err(error) => tracing::debug!(%error, "login did not come about"),
    }
}

async fn run(mut client: Box<Client>) {
    let end = client.serve().await;
    if let End::Told(error) = end {
        tracing::debug!(client = client.handle.process_id, %error, "closing a client connection");
        Box::pin(last_words(&mut client, &error)).await;
    }
    // A client that leaves takes its connection's clean-up with it, off its own task's life.
    Box::pin(client.leave()).await;
}

/// Tells a client why its connection ends, if it listens.
async fn last_words(client: &mut Client, error: &SqlError) {
    use tokio::io::AsyncWriteExt;
    let mut words = client.out.split_off(client.sent.min(client.out.len()));
    client.out.clear();
    write::error_response(&mut words, &SqlError { severity: Severity::Fatal, ..error.clone() });
    let limit = std::time::Duration::from_secs(2);
    let told = async {
        client.stream.write_all(&words).await?;
        client.stream.flush().await?;
        client.stream.shutdown().await
    };
    if !matches!(tokio::time::timeout(limit, told).await, Ok(Ok(()))) {
        tracing::debug!("a client did not take its last message");
    }
}

/// Passes a cancel request on to the servers that run the client's statement.
async fn cancel(service: &Service, process_id: i32, secret: i32) {
    let Some(handle) = service.registry.find(process_id, secret) else {
        tracing::debug!("a cancel request names no client");
        return;
    };
    handle.begin_cancel();
    cancel_statement(&handle).await;
}

/// Cancels what a client's statement runs on its servers, after [`ClientHandle::begin_cancel`].
pub(super) async fn cancel_statement(handle: &ClientHandle) {
    let mut requests = tokio::task::JoinSet::new();
    for target in handle.cancel_targets() {
        let pool = handle.pools.as_ref().and_then(|database| database.pool(target.shard));
        let Some(pool) = pool.cloned() else { continue };
        requests.spawn(async move {
            let to = pool.manager().target();
            let sent = crate::backend::connect::cancel(to, target.process_id, target.secret);
            if let Err(error) = sent.await {
                tracing::warn!(%error, "a cancel request could not be passed on");
            }
        });
    }
    while requests.join_next().await.is_some() {}
    handle.end_cancel();
}

/// Finds the client's database, and tells it everything up to ReadyForQuery.
async fn log_in(
    client: Authenticated,
    service: &Arc<Service>,
    admin: &Arc<dyn AdminDatabase>,
) -> Option<Box<Client>> {
    let limits = service.limits.load_full();
    if let Err(error) = check_limits(service, &limits, &client.user, &client.database) {
        refuse(client.stream, client.pending, &error).await;
        return None;
    }
    if client.database.as_ref() == ADMIN_DATABASE {
        serve_admin(client, service, admin).await;
        return None;
    }
    let startup = match startup_settings(&client) {
        Ok(settings) => service.shared.settings.intern(settings),
        Err(error) => {
            refuse(client.stream, client.pending, &error).await;
            return None;
        }
    };
    let found = service.directory.resolve(&client.database, &client.user, client.scram_keys.as_ref());
    let database = match found {
        Ok(database) => database,
        Err(error) => {
            refuse(client.stream, client.pending, &error).await;
            return None;
        }
    };
    let handle = register(&client, service, Some(Arc::clone(&database)));
    let id = service.next_session.fetch_add(1, Ordering::Relaxed) + 1;
    let told = database.welcome(&startup);
    let parameters = told.clone().unwrap_or_default();
    let session = Session::new(id, database.key, database.pooling, Arc::clone(&startup), parameters);
    let routed = database.is_routed().then(|| Box::new(Routed::new(service.router(&database))));
    let mut client = Box::new(Client {
        stream: client.stream,
        input: client.read_ahead,
        consumed: 0,
        wanted: 0,
        out: client.pending,
        sent: 0,
        session,
        service: Arc::clone(service),
        hidden: database.hidden(),
        database,
        handle,
        lease: None,
        sent_bytes: 0,
        received_bytes: 0,
        began: None,
        began_at: 0,
        began_with: None,
        transaction_began: None,
        limits: Arc::clone(&limits),
        limits_version: u64::MAX,
        routed,
        is_leaving: false,
        held: super::input::Held::No,
        untold: None,
        copy_passing: 0,
        settling: None,
    });
    match told {
        Some(parameters) => parameters.write_all(&mut client.out),
        None => {
            if let Err(end) = client.learn_welcome(&startup).await {
                end_login(client, end).await;
                return None;
            }
        }
    }
    write::backend_key_data(&mut client.out, client.handle.process_id, client.handle.secret);
    write::ready_for_query(&mut client.out, TransactionStatus::Idle);
    Some(client)
}

async fn end_login(mut client: Box<Client>, end: End) {
    if let End::Told(error) = end {
        last_words(&mut client, &error).await;
    }
    client.leave().await;
}

impl Client {
    /// The first client of its kind: asks a server what there is to be told.
    async fn learn_welcome(&mut self, startup: &Arc<Settings>) -> Result<(), End> {
        let parameters = self.first_parameters().await?;
        self.database.remember_welcome(startup, &parameters);
        Ok(())
    }
}

fn register(client: &Authenticated, service: &Service, pools: Option<Arc<Database>>) -> Arc<ClientHandle> {
    let application_name = client.parameters.get("application_name").unwrap_or_default();
    let new = NewClient {
        user: client.user.clone(),
        database: client.database.clone(),
        address: client.peer.to_string().into(),
        is_tls: client.stream.is_tls(),
        application_name: String::from_utf8_lossy(application_name).into(),
        pools,
    };
    service.registry.add(new, rand::random())
}

async fn serve_admin(client: Authenticated, service: &Service, admin: &Arc<dyn AdminDatabase>) {
    if !admin.is_admin(&client.user) {
        let error = SqlError::fatal(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("user \"{}\" may not use the admin database", client.user),
        )
        .with_hint("List the user in general.admin_users.");
        refuse(client.stream, client.pending, &error).await;
        return;
    }
    let handle = register(&client, service, None);
    let mut greeting = client.pending;
    for (name, value) in [
        ("server_version", concat!("15.0 (Howdah ", env!("CARGO_PKG_VERSION"), ")")),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("TimeZone", "UTC"),
    ] {
        write::parameter_status(&mut greeting, name.as_bytes(), value.as_bytes());
    }
    write::backend_key_data(&mut greeting, handle.process_id, handle.secret);
    write::ready_for_query(&mut greeting, TransactionStatus::Idle);
    let mut stream = client.stream;
    let greeted = tokio::io::AsyncWriteExt::write_all(&mut stream, &greeting).await;
    if greeted.is_ok() {
        Arc::clone(admin).serve(stream, client.read_ahead, Arc::clone(&handle)).await;
    }
    service.registry.remove(&handle);
}

async fn refuse(stream: Stream, mut pending: Vec<u8>, error: &SqlError) {
    // AuthenticationOk before an error is what Postgres sends too.
    write::error_response(&mut pending, &SqlError { severity: Severity::Fatal, ..error.clone() });
    stream.close_with(&pending).await;
}

fn check_limits(service: &Service, limits: &Limits, user: &str, database: &str) -> Result<(), SqlError> {
    if service.draining.load(Ordering::Relaxed) {
        return Err(SqlError::fatal(sqlstate::CANNOT_CONNECT_NOW, "the database system is shutting down"));
    }
    let (all, of_user, of_database) = service.registry.counts(user, database);
    let over = |limit: Option<u32>, count: u32| limit.is_some_and(|limit| count >= limit);
    let what = if over(Some(limits.client_limit), all) {
        "sorry, too many clients already".to_owned()
    } else if over(limits.client_limit_per_user, of_user) {
        format!("too many connections for user \"{user}\"")
    } else if over(limits.client_limit_per_database, of_database) {
        format!("too many connections for database \"{database}\"")
    } else {
        return Ok(());
    };
    Err(SqlError::fatal(sqlstate::TOO_MANY_CONNECTIONS, what)
        .with_hint("Raise client_limit, client_limit_per_user or client_limit_per_database."))
}

/// The settings of a startup packet, each as a statement that sets it as the packet does.
fn startup_settings(client: &Authenticated) -> Result<Settings, SqlError> {
    let mut settings = Settings::default();
    // As Postgres: the command line's first, then the packet's own.
    if let Some(options) = client.parameters.get("options") {
        for (name, value) in command_line_options(options)? {
            settings = add(settings, &name, &value);
        }
    }
    for (name, value) in client.parameters.iter() {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        match name.as_str() {
            "user" | "database" | "options" => {}
            "replication" => {
                if !matches!(value, b"false" | b"off" | b"no" | b"0") {
                    return Err(SqlError::fatal(
                        sqlstate::FEATURE_NOT_SUPPORTED,
                        "replication connections do not go through Howdah",
                    )
                    .with_hint("Connect to the shard itself."));
                }
            }
            _ if name.starts_with("_pq_.") => {}
            _ => settings = add(settings, &name, value),
        }
    }
    Ok(settings)
}

/// Adds one; the same one again adds to it, since a DateStyle may come in parts.
fn add(settings: Settings, name: &str, value: &[u8]) -> Settings {
    let mut replay = settings.get(name).map(|earlier| [earlier, b";"].concat()).unwrap_or_default();
    replay.extend_from_slice(&replay_sql(name, &SettingValue::Text(value.to_vec())));
    settings.with(name, &replay)
}

/// `-c name=value`, `-cname=value` and `--name=value`, with backslashes before blanks.
///
/// Source: PostgreSQL `process_postgres_switches`, `pg_split_opts`.
fn command_line_options(options: &[u8]) -> Result<Vec<(String, Vec<u8>)>, SqlError> {
    let mut words = split_options(options).into_iter();
    let mut list = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == b"-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix(b"--").or_else(|| word.strip_prefix(b"-c")) {
            rest.to_vec()
        } else {
            return Err(SqlError::fatal(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!(
                    "unsupported option \"{}\" in startup options: only -c name=value and --name=value are",
                    String::from_utf8_lossy(&word)
                ),
            ));
        };
        let Some(equals) = memchr::memchr(b'=', &setting) else {
            return Err(SqlError::fatal(
                sqlstate::SYNTAX_ERROR,
                format!("-c {} requires a value", String::from_utf8_lossy(&setting)),
            ));
        };
        let (name, value) = setting.split_at(equals);
        let name = String::from_utf8_lossy(name).to_ascii_lowercase().replace('-', "_");
        list.push((name, value.get(1..).unwrap_or_default().to_vec()));
    }
    Ok(list)
}

fn split_options(options: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut bytes = options.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii_whitespace() {
            words.extend(word.take());
        } else if byte == b'\\' {
            word.get_or_insert_default().extend(bytes.next());
        } else {
            word.get_or_insert_default().push(byte);
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_split_as_postgres_splits_them() {
        let options = command_line_options(b"-c a=b --work-mem=4MB  -cc=\\ d\\\\e").unwrap();
        assert_eq!(
            options,
            [
                ("a".to_owned(), b"b".to_vec()),
                ("work_mem".to_owned(), b"4MB".to_vec()),
                ("c".to_owned(), b" d\\e".to_vec())
            ]
        );
        assert!(command_line_options(b"-x").is_err());
        assert!(command_line_options(b"-c a").is_err());
    }
}
