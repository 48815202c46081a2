//! The servers: reachable, and what each answers; `compare` judges the answers.

use super::Finding;
use super::compare;
use super::queries::{self, Facts};
use super::tables::{self, Depth, OnShard, Questions, Tables};
use crate::catalog::Catalog;
use crate::config::{Cluster, Config, Secret, ServerAddress, ServerTls, ServerTlsMode, Shard};
use crate::net::stream::Stream;
use crate::net::tls_client::{SslMode, TlsClient, TlsClientFiles};
use crate::protocol::startup;
use crate::rules::Rules;
use crate::store::BucketRange;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls};

/// A shard's questions are answered within this time, or it counts as hanging.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The database for questions where a cluster names none.
const ANY_DATABASE_ASKED: &str = "postgres";

/// Checks every shard of every cluster; shards of a cluster are asked at the same time.
///
/// # Errors
/// When the operating system gives no event queue.
pub(super) fn check(
    config: &Config,
    rules: &BTreeMap<String, Arc<Rules>>,
    depth: Depth,
) -> io::Result<Vec<Finding>> {
    let runtime = runtime()?;
    let mut findings = Vec::new();
    for cluster in config.clusters.values() {
        let login = login(config, cluster);
        if cluster.maintenance.is_none() {
            let found = match &login {
                Some(login) => format!("no `maintenance_user`: the user {:?} asks instead", login.user),
                None => "no `maintenance_user`: only looked whether the shards are reachable".to_owned(),
            };
            findings.push(Finding::warning(&cluster.name, found));
        }
        let rules = rules.get(&cluster.name).filter(|rules| !rules.is_home_only());
        let answers =
            runtime.block_on(ask_all(cluster, login, rules.map(|rules| (Arc::clone(rules), depth))));
        findings.extend(compare::judge(config, cluster, &answers));
        if let Some(rules) = rules {
            store_of(cluster, &answers, &mut findings);
            tables_of(cluster, rules, &answers, &mut findings);
        }
    }
    Ok(findings)
}

/// What became of asking a shard.
#[derive(Debug)]
pub(super) enum Answer {
    /// Its answers; with those about tables where the cluster has rules.
    Facts(Box<Facts>, Option<Box<Result<Tables, AskError>>>),
    /// It can be reached; there was nobody to ask as.
    Reachable,
    /// What went wrong.
    Failed(AskError),
}

/// Why a shard did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("cannot connect to {0}: {1}")]
    Connect(String, #[source] io::Error),
    #[error("cannot connect to {0}: no answer within {1:?}")]
    Slow(String, Duration),
    #[error("cannot log in as {user:?}: {reason}")]
    Login { user: String, reason: String },
    #[error("a question failed: {0}")]
    Query(String),
    #[error("the task that asked it failed")]
    Task,
}

/// Whether the maintenance user may keep what proxies agree on.
fn store_of(cluster: &Cluster, answers: &[Answer], findings: &mut Vec<Finding>) {
    if cluster.maintenance.is_none() {
        return;
    }
    for (shard, answer) in cluster.shards.iter().zip(answers) {
        let Answer::Facts(facts, _) = answer else { continue };
        if facts.version >= compare::VERSION_MIN && !facts.may_store {
            let found = "the maintenance user may not make the schema `howdah`, or it is another's";
            let hint = "GRANT CREATE ON DATABASE ... TO the maintenance user: the cluster has sharding rules, and its proxies agree there on where rows lie";
            findings.push(Finding::error(compare::subject(cluster, shard), found).hint(hint));
        }
    }
}

/// What was found of tables, on the shards that told of theirs.
fn tables_of(cluster: &Cluster, rules: &Rules, answers: &[Answer], findings: &mut Vec<Finding>) {
    let subjects: Vec<String> = cluster.shards.iter().map(|shard| compare::subject(cluster, shard)).collect();
    let mut shards = Vec::new();
    for ((shard, subject), answer) in cluster.shards.iter().zip(&subjects).zip(answers) {
        let Answer::Facts(_, Some(tables)) = answer else { continue };
        match &**tables {
            Ok(tables) => shards.push(OnShard { id: shard.id, subject, tables }),
            Err(error) => findings.push(Finding::error(subject, format!("cannot read its tables: {error}"))),
        }
    }
    tables::judge(rules, &cluster.name, &shards, findings);
}

/// Whom a check logs in as.
#[derive(Clone, Debug)]
struct Login {
    user: String,
    password: Option<Secret>,
}

/// The maintenance user, else a user whose password is known.
fn login(config: &Config, cluster: &Cluster) -> Option<Login> {
    if let Some(maintenance) = &cluster.maintenance {
        return Some(Login { user: maintenance.user.clone(), password: maintenance.password.clone() });
    }
    let user = config.users.values().find(|user| user.server_password.is_some())?;
    Some(Login { user: user.name.clone(), password: user.server_password.clone() })
}

/// Asks every shard, in the order of the shards.
async fn ask_all(
    cluster: &Arc<Cluster>,
    login: Option<Login>,
    rules: Option<(Arc<Rules>, Depth)>,
) -> Vec<Answer> {
    let mut tasks = JoinSet::new();
    for shard in &cluster.shards {
        let (cluster, shard, login) = (Arc::clone(cluster), Arc::clone(shard), login.clone());
        let rules = rules.clone();
        tasks.spawn(async move {
            let answer = ask(&cluster, &shard, login.as_ref(), rules).await;
            (shard.id, answer.unwrap_or_else(Answer::Failed))
        });
    }
    let mut answers: Vec<Answer> = cluster.shards.iter().map(|_| Answer::Failed(AskError::Task)).collect();
    while let Some(done) = tasks.join_next().await {
        if let Ok((id, answer)) = done
            && let Some(slot) = answers.get_mut(id.index())
        {
            *slot = answer;
        }
    }
    answers
}

async fn ask(
    cluster: &Cluster,
    shard: &Shard,
    login: Option<&Login>,
    rules: Option<(Arc<Rules>, Depth)>,
) -> Result<Answer, AskError> {
    let Some(login) = login else {
        open(cluster, shard).await?;
        return Ok(Answer::Reachable);
    };
    let database = shard.database.as_deref().unwrap_or(ANY_DATABASE_ASKED);
    let (client, connection) = log_in(cluster, shard, login, (database, "howdah check")).await?;
    let questions = async {
        let slow = |_elapsed| AskError::Slow(shard.primary.to_string(), ANSWER_TIMEOUT);
        let facts = timeout(ANSWER_TIMEOUT, queries::ask(&client)).await.map_err(slow)?;
        let facts = facts.map_err(|error| AskError::Query(reason(&error)))?;
        let is_served = facts.version >= compare::VERSION_MIN;
        let tables = match rules.filter(|_| is_served) {
            Some((rules, depth)) => {
                let questions = Questions { rules: &rules, shard: shard.id, depth };
                let asked = tables::ask(&client, questions).await;
                Some(Box::new(asked.map_err(|error| AskError::Query(error.reason()))))
            }
            None => None,
        };
        Ok(Answer::Facts(Box::new(facts), tables))
    };
    tokio::select! {
        answered = questions => answered,
        ended = connection => Err(AskError::Query(ended_by(ended))),
    }
}

/// Opens the connection within the pool's time.
async fn open(cluster: &Cluster, shard: &Shard) -> Result<Stream, AskError> {
    let limit = cluster.pool.connect_timeout;
    let stream = timeout(limit, connect(shard)).await;
    let stream = stream.map_err(|_elapsed| AskError::Slow(shard.primary.to_string(), limit))?;
    stream.map_err(|error| AskError::Connect(shard.primary.to_string(), error))
}

/// Logs in to a database, by an application's name.
async fn log_in(
    cluster: &Cluster,
    shard: &Shard,
    login: &Login,
    (database, application): (&str, &str),
) -> Result<(Client, Connection<Stream, NoTlsStream>), AskError> {
    let limit = cluster.pool.connect_timeout;
    let stream = open(cluster, shard).await?;
    let mut options = tokio_postgres::Config::new();
    options.user(&login.user).application_name(application).dbname(database);
    options.ssl_mode(tokio_postgres::config::SslMode::Disable);
    if let Some(password) = &login.password {
        options.password(password.expose());
    }
    let connected = timeout(limit, options.connect_raw(stream, NoTls)).await;
    let connected = connected.map_err(|_elapsed| AskError::Slow(shard.primary.to_string(), limit))?;
    connected.map_err(|error| AskError::Login { user: login.user.clone(), reason: reason(&error) })
}

/// Reads the tables of a cluster's home shard, and of its store where the buckets lie; in words why not. `database`
/// is for a cluster that serves any.
pub(in crate::cli) fn catalog(
    config: &Config,
    cluster: &Cluster,
    database: Option<&str>,
) -> Result<(Catalog, BucketRanges), String> {
    let shard = cluster.shard(cluster.home_shard).ok_or("there is no home shard")?;
    let Some(login) = login(config, cluster) else {
        return Err("there is neither a `maintenance_user` nor a user with a `server_password`".to_owned());
    };
    let any = if cluster.is_any_database() { database.unwrap_or(ANY_DATABASE_ASKED) } else { &cluster.name };
    let database = shard.database.as_deref().unwrap_or(any);
    let asked = async {
        let (client, connection) = log_in(cluster, shard, &login, (database, "howdah explain")).await?;
        read_catalog(client, connection, None).await
    };
    let runtime = runtime().map_err(|error| error.to_string())?;
    runtime.block_on(asked).map_err(|error: AskError| format!("shard {:?}: {error}", shard.name))
}

/// Reads what a text of SQL makes in an empty database; in words why not.
pub(in crate::cli) fn catalog_of_sql(options: tokio_postgres::Config, sql: &str) -> Result<Catalog, String> {
    let asked = async {
        let (client, connection) =
            options.connect(NoTls).await.map_err(|error| AskError::Query(reason(&error)))?;
        read_catalog(client, connection, Some(sql)).await
    };
    let runtime = runtime().map_err(|error| error.to_string())?;
    runtime.block_on(asked).map(|(catalog, _no_store)| catalog).map_err(|error| error.to_string())
}

/// Runs a text of SQL, where there is one, and reads what tables there are.
async fn read_catalog<S, T>(
    client: Client,
    connection: Connection<S, T>,
    sql: Option<&str>,
) -> Result<(Catalog, BucketRanges), AskError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let questions = async {
        if let Some(sql) = sql {
            client.batch_execute(sql).await.map_err(|error| AskError::Query(placed(&error, sql)))?;
        }
        let catalog = tables::read_catalog(&client).await.map_err(|error| AskError::Query(error.reason()))?;
        let ranges = bucket_ranges(&client).await.map_err(|error| AskError::Query(reason(&error)))?;
        Ok((catalog, ranges))
    };
    tokio::select! {
        answered = timeout(ANSWER_TIMEOUT, questions) => {
            answered.map_err(|_elapsed| AskError::Query(format!("no answer within {ANSWER_TIMEOUT:?}")))?
        }
        ended = connection => Err(AskError::Query(ended_by(ended))),
    }
}

/// Buckets by their group's name, as the store has them; none where there is no store.
pub(in crate::cli) type BucketRanges = BTreeMap<String, Vec<BucketRange>>;

async fn bucket_ranges(client: &Client) -> Result<BucketRanges, tokio_postgres::Error> {
    let mut ranges = BucketRanges::new();
    let store = "SELECT pg_catalog.to_regclass('howdah.bucket_range') IS NOT NULL";
    if !client.query_one(store, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(ranges);
    }
    let sql = "SELECT colocation_group, first, last, shard FROM howdah.bucket_range";
    for row in client.query(sql, &[]).await? {
        let bucket = |at| Ok(u32::try_from(row.try_get::<_, i32>(at)?).unwrap_or(u32::MAX));
        let range = BucketRange { first: bucket(1)?, last: bucket(2)?, shard: row.try_get(3)? };
        ranges.entry(row.try_get(0)?).or_default().push(range);
    }
    Ok(ranges)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

fn ended_by(ended: Result<(), tokio_postgres::Error>) -> String {
    ended.err().map_or_else(|| "the server closed the connection".to_owned(), |error| reason(&error))
}

/// What the server said of a text, with the line.
fn placed(error: &tokio_postgres::Error, sql: &str) -> String {
    use tokio_postgres::error::ErrorPosition;
    let position = error.as_db_error().and_then(|told| match told.position() {
        Some(ErrorPosition::Original(at)) => usize::try_from(*at).ok(),
        _ => None,
    });
    let Some(position) = position else { return reason(error) };
    let line = sql.chars().take(position.saturating_sub(1)).filter(|c| *c == '\n').count() + 1;
    format!("line {line}: {}", reason(error))
}

/// What the server said, or what happened to the connection.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} ({})", told.message(), told.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Opens the socket, with TLS as the shard's mode says.
async fn connect(shard: &Shard) -> io::Result<Stream> {
    let (host, port) = match &shard.primary {
        ServerAddress::Tcp { host, port } => (host, *port),
        ServerAddress::Unix { directory, port } => {
            return UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await.map(Stream::Unix);
        }
    };
    let mut stream = Stream::Tcp(TcpStream::connect((host.as_str(), port)).await?);
    if shard.tls.mode == ServerTlsMode::Disable {
        return Ok(stream);
    }
    let tls = TlsClient::load(&tls_files(&shard.tls)).map_err(io::Error::other)?;
    let mut request = Vec::with_capacity(8);
    startup::write_ssl_request(&mut request);
    stream.write_all(&request).await?;
    // One byte and no more: anything behind it would be unencrypted and must not be trusted.
    match stream.read_u8().await? {
        b'S' => Box::pin(tls.connect(stream, host)).await,
        b'N' if shard.tls.mode == ServerTlsMode::Prefer => Ok(stream),
        b'N' => Err(io::Error::new(io::ErrorKind::Unsupported, "the server does not offer TLS")),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not speak Postgres's protocol")),
    }
}

fn tls_files(tls: &ServerTls) -> TlsClientFiles {
    let identity = tls.identity.as_ref();
    TlsClientFiles {
        mode: match tls.mode {
            ServerTlsMode::Disable => SslMode::Disable,
            ServerTlsMode::Prefer => SslMode::Prefer,
            ServerTlsMode::Require => SslMode::Require,
            ServerTlsMode::VerifyCa => SslMode::VerifyCa,
            ServerTlsMode::VerifyFull => SslMode::VerifyFull,
        },
        root_certificate: tls.root.as_ref().map(|file| file.path.clone()),
        client: identity.map(|identity| (identity.certificate.path.clone(), identity.key.path.clone())),
    }
}
