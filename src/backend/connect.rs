//! Opens connections to Postgres servers: socket, TLS, login; and sends cancel requests.
//!
//! A connection that comes out of here has answered ReadyForQuery and has nothing under way.

use super::login::{self, Receiver};
use crate::auth::md5::Md5Hash;
use crate::auth::scram::client::ScramClientError;
use crate::auth::{ScramKeys, Secret};
use crate::error::SqlError;
use crate::net::stream::{Keepalive, Stream};
use crate::net::tls_client::{SslMode, TlsClient};
use crate::protocol::read::error_field;
use crate::protocol::startup;
use crate::sqlstate;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

/// Oldest major version of a server.
pub const SERVER_MAJOR_MIN: u32 = 15;

/// Where a server is, and how it is reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// Name or address; a path with a leading `/` is the folder of a Unix-domain socket.
    pub host: Box<str>,
    /// TCP port, also part of a Unix-domain socket's name.
    pub port: u16,
    /// TLS; not used on a Unix-domain socket.
    pub tls: TlsClient,
    /// Time for everything from the socket to ReadyForQuery.
    pub connect_timeout: Duration,
    /// TCP keepalive.
    pub keepalive: Option<Keepalive>,
}

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub struct Login {
    /// The role.
    pub user: Box<str>,
    /// The server's database.
    pub database: Box<str>,
    /// What proves the role.
    pub credential: Credential,
}

/// What proves a role to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing, for servers that trust us or go by our certificate.
    None,
    /// A password, for every method.
    Password(Secret),
    /// Keys recovered from a client's proof, for SCRAM only.
    ScramKeys(ScramKeys),
    /// The hash that the server stores, for md5 only.
    Md5Hash(Md5Hash),
}

/// A setting's name and value, as in ParameterStatus.
pub type Parameter = (Box<[u8]>, Box<[u8]>);

/// A connection that has logged in and is idle.
#[derive(Debug)]
pub struct Connected {
    /// The connection; nothing of it is buffered.
    pub stream: Stream,
    /// For CancelRequest.
    pub process_id: i32,
    /// For CancelRequest.
    pub secret: i32,
    /// ParameterStatus as reported at login, in the server's order.
    pub parameters: Vec<Parameter>,
}

/// An ErrorResponse that a server sent during login.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The message's body, to be forwarded as it is.
    pub body: Box<[u8]>,
}

impl ServerError {
    /// The SQLSTATE; empty where the server sent none.
    pub fn code(&self) -> &[u8] {
        error_field(&self.body, b'C').unwrap_or_default()
    }

    /// The primary message.
    pub fn message(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(error_field(&self.body, b'M').unwrap_or_default())
    }
}

impl std::fmt::Debug for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message(), String::from_utf8_lossy(self.code()))
    }
}

impl std::error::Error for ServerError {}

/// Why there is no connection. `Display` is for logs; clients get [`ConnectError::to_sql_error`].
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No socket.
    #[error("cannot reach the server: {0}")]
    Unreachable(#[source] io::Error),
    /// The whole login took too long.
    #[error("no answer within the connect time-out of {0:?}")]
    Timeout(Duration),
    /// The server has no TLS, and we insist.
    #[error("the server does not support TLS, but the configured sslmode requires it")]
    TlsRefused,
    /// The TLS handshake failed.
    #[error("TLS handshake with the server failed: {0}")]
    Tls(#[source] io::Error),
    /// The connection broke during login.
    #[error("connection lost during login: {0}")]
    Lost(#[source] io::Error),
    /// The server refused; its error is kept as it came.
    #[error("the server refused the login: {0}")]
    Server(#[source] ServerError),
    /// The server sent what does not belong here.
    #[error("protocol violation during login: {0}")]
    Protocol(&'static str),
    /// The SCRAM exchange failed at our side.
    #[error("SCRAM authentication failed: {0}")]
    Scram(#[source] ScramClientError),
    /// The server asks for a proof that we do not have.
    #[error("the server asks for {0} authentication, for which there is no suitable credential")]
    Credential(&'static str),
    /// The server asks for a method that is not spoken (GSSAPI, SSPI, ...).
    #[error("the server asks for authentication method {0}, which is not supported")]
    Method(i32),
    /// Older than [`SERVER_MAJOR_MIN`].
    #[error("server version {0} is not supported: version {SERVER_MAJOR_MIN} or newer is needed")]
    Version(Box<str>),
}

impl ConnectError {
    /// The server's own error, which is forwarded to the client instead of ours.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            ConnectError::Server(error) => Some(error),
            _ => None,
        }
    }

    /// Whether a later attempt may succeed with nothing changed: network trouble, a server that starts
    /// or shuts down (`57P0x`) or has no slot free (`53xxx`).
    pub fn is_transient(&self) -> bool {
        match self {
            ConnectError::Unreachable(_) | ConnectError::Timeout(_) | ConnectError::Lost(_) => true,
            ConnectError::Server(error) => {
                error.code().starts_with(b"57P0") || error.code().starts_with(b"53")
            }
            _ => false,
        }
    }

    /// What a client is told: the shard's name, no host. An `ERROR`: the client's session can go on.
    pub fn to_sql_error(&self, shard: &str) -> SqlError {
        let lost =
            |text: &str| SqlError::new(sqlstate::CONNECTION_FAILURE, format!("shard \"{shard}\" {text}"));
        let refused =
            |text: &str| SqlError::new(sqlstate::CANNOT_CONNECT, format!("shard \"{shard}\" {text}"));
        match self {
            ConnectError::Unreachable(_) => lost("cannot be reached"),
            ConnectError::Timeout(_) => lost("does not answer"),
            ConnectError::Lost(_) => lost("closed the connection during login"),
            ConnectError::TlsRefused => refused("does not support TLS, which its sslmode requires"),
            ConnectError::Tls(_) => refused("cannot be connected to: the TLS handshake failed"),
            ConnectError::Protocol(_) => refused("broke the protocol during login"),
            ConnectError::Scram(_) => refused("cannot be logged in to: the SCRAM exchange failed"),
            ConnectError::Credential(method) => refused(&format!(
                "asks for {method} authentication, for which there is no suitable credential"
            ))
            .with_hint(
                "Configure a password for this user, or let the client log in by SCRAM with the \
                         same verifier on every shard.",
            ),
            ConnectError::Method(_) => refused("asks for an authentication method that is not supported"),
            ConnectError::Version(version) => SqlError::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                format!(
                    "shard \"{shard}\" runs server version {version}, but version {SERVER_MAJOR_MIN} or \
                     newer is needed"
                ),
            ),
            ConnectError::Server(error) => {
                let code = error.code().try_into().map_or(sqlstate::CANNOT_CONNECT, sqlstate::SqlState);
                SqlError::new(code, error.message().into_owned())
            }
        }
    }
}

/// Connects and logs in. `startup` are further settings for the StartupMessage.
///
/// # Errors
/// [`ConnectError`]. Dropping the future closes the socket.
pub async fn connect(
    target: &Target,
    login: &Login,
    startup: &[(&str, &str)],
) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + target.connect_timeout;
    let attempt = async {
        let stream = open(target).await?;
        login::log_in(Receiver::new(stream), login, startup).await
    };
    match timeout_at(deadline, attempt).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ConnectError::Timeout(target.connect_timeout)),
    }
}

/// Asks the server to cancel the statement of another session, and waits until it has taken the request
/// (it closes the connection; there is no answer).
///
/// # Errors
/// [`ConnectError`] where the server cannot be reached in time.
pub async fn cancel(target: &Target, process_id: i32, secret: i32) -> Result<(), ConnectError> {
    let deadline = Instant::now() + target.connect_timeout;
    let request = async {
        let mut stream = open(target).await?;
        let mut packet = Vec::with_capacity(16);
        startup::write_cancel_request(&mut packet, process_id, secret);
        stream.write_all(&packet).await.map_err(ConnectError::Lost)?;
        stream.flush().await.map_err(ConnectError::Lost)?;
        let mut nothing = [0; 64];
        // A reset, or TLS cut without its farewell, is an end as well.
        while matches!(stream.read(&mut nothing).await, Ok(n) if n > 0) {}
        Ok(())
    };
    match timeout_at(deadline, request).await {
        Ok(result) => result,
        Err(_elapsed) => Err(ConnectError::Timeout(target.connect_timeout)),
    }
}

/// Opens the socket, with TLS as the target's mode says; nobody has logged in yet.
///
/// # Errors
/// [`ConnectError`].
pub async fn open(target: &Target) -> Result<Stream, ConnectError> {
    let stream = open_plain(target).await?;
    let mode = if matches!(stream, Stream::Unix(_)) { SslMode::Disable } else { target.tls.mode() };
    if mode == SslMode::Disable {
        return Ok(stream);
    }
    match negotiate_tls(target, stream).await {
        // As libpq: a server whose TLS we cannot agree with is tried without, where that is allowed.
        Err(ConnectError::Tls(_)) if mode == SslMode::Prefer => open_plain(target).await,
        Ok(stream) if stream.is_tls() || mode == SslMode::Prefer => Ok(stream),
        Ok(_plain) => Err(ConnectError::TlsRefused),
        Err(error) => Err(error),
    }
}

async fn open_plain(target: &Target) -> Result<Stream, ConnectError> {
    if target.host.starts_with('/') {
        let path = format!("{}/.s.PGSQL.{}", target.host, target.port);
        return UnixStream::connect(path).await.map(Stream::Unix).map_err(ConnectError::Unreachable);
    }
    let tcp = TcpStream::connect((&*target.host, target.port)).await.map_err(ConnectError::Unreachable)?;
    let stream = Stream::Tcp(tcp);
    stream.set_nodelay().map_err(ConnectError::Unreachable)?;
    if let Some(keepalive) = &target.keepalive {
        stream.set_keepalive(keepalive).map_err(ConnectError::Unreachable)?;
    }
    Ok(stream)
}

/// Asks for TLS; gives the plain stream back where the server has none.
async fn negotiate_tls(target: &Target, mut stream: Stream) -> Result<Stream, ConnectError> {
    let mut request = Vec::with_capacity(8);
    startup::write_ssl_request(&mut request);
    stream.write_all(&request).await.map_err(ConnectError::Lost)?;
    // One byte and no more: anything behind it would be unencrypted and must not be trusted.
    match stream.read_u8().await.map_err(ConnectError::Lost)? {
        b'S' => Box::pin(target.tls.connect(stream, &target.host)).await.map_err(ConnectError::Tls),
        b'N' => Ok(stream),
        _ => Err(ConnectError::Protocol("unexpected answer to SSLRequest")),
    }
}
