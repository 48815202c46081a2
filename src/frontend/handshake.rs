//! From an accepted socket to an authenticated client, or a cancel request.
//!
//! A client that never gets that far costs one small future and no buffer, and ends at the login
//! time-out. What goes wrong is told to the client here, as Postgres tells it, and the connection closed.
//!
//! Source: PostgreSQL 15 `src/backend/postmaster/postmaster.c` (`ProcessStartupPacket`).

use super::authenticate::{Attempt, AuthError, UserSource, authenticate};
use crate::auth::ScramKeys;
use crate::auth::hba::{self, ClientCert, HbaRequest, HbaRule, Method};
use crate::error::SqlError;
use crate::net::stream::{PeerAddr, Stream};
use crate::net::tls_server::{TlsServer, is_postgres_alpn};
use crate::protocol::startup::{self, Packet, PacketError, Parameters};
use crate::protocol::write;
use crate::sqlstate;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};

/// Bytes of a usual greeting: AuthenticationOk, fifteen ParameterStatus, BackendKeyData, ReadyForQuery.
const PENDING_BYTES: usize = 512;

/// What decides how clients come in.
#[derive(Clone)]
pub struct HandshakeSettings {
    /// Time for everything up to authentication's end, as Postgres's `authentication_timeout`.
    pub login_timeout: Duration,
    /// TLS, where it is offered.
    pub tls: Option<TlsServer>,
    /// The rules, in order.
    pub hba: Vec<HbaRule>,
    /// Where verifiers are looked up.
    pub users: Arc<dyn UserSource>,
    /// Random, the same for all threads and as long as possible: salts of users who do not exist.
    pub mock_secret: [u8; 32],
}

impl std::fmt::Debug for HandshakeSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandshakeSettings")
            .field("login_timeout", &self.login_timeout)
            .field("tls", &self.tls)
            .field("hba", &self.hba)
            .finish_non_exhaustive()
    }
}

/// How a handshake ends well.
#[derive(Debug)]
pub enum Handshake {
    /// A client is in.
    Client(Box<Authenticated>),
    /// A statement of another session is to be cancelled; the connection is only to be closed, after
    /// the request was passed on.
    Cancel {
        /// The connection.
        stream: Stream,
        /// The session's process id.
        process_id: i32,
        /// The session's secret.
        secret: i32,
    },
}

/// A client that has proved who it is.
#[derive(Debug)]
pub struct Authenticated {
    /// The connection.
    pub stream: Stream,
    /// Where it comes from.
    pub peer: PeerAddr,
    /// Its name.
    pub user: Box<str>,
    /// The database it wants; whether that exists was not looked at.
    pub database: Box<str>,
    /// The settings it asked for.
    pub parameters: Parameters,
    /// The method that let it in.
    pub method: Method,
    /// Keys for SCRAM pass-through, where the client proved a password with a SCRAM verifier.
    pub scram_keys: Option<ScramKeys>,
    /// Messages still to be sent, before ParameterStatus to ReadyForQuery: AuthenticationOk, and what
    /// came before it. Also before an error, if the caller has one to tell.
    pub pending: Vec<u8>,
    /// What the client sent after its last authentication message; usually nothing.
    pub read_ahead: Vec<u8>,
}

/// How a handshake ends badly. The client was told what it is to be told, and the connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client was refused.
    #[error("{error}")]
    Refused {
        /// What it was told.
        #[source]
        error: SqlError,
        /// The name it gave, where it came that far.
        user: Option<Box<str>>,
        /// The database it gave.
        database: Option<Box<str>>,
    },
    /// The client went away.
    #[error("connection closed by the client during start-up")]
    Closed,
    /// A packet whose length cannot be.
    #[error(transparent)]
    Packet(#[from] startup::BadPacketLength),
    /// The time for a login was up before there was a startup packet.
    #[error("no startup packet within the login time-out")]
    Timeout,
    /// The TLS handshake failed.
    #[error("TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The connection failed.
    #[error("connection lost during start-up")]
    Io(#[from] io::Error),
}

impl HandshakeError {
    fn refused(error: SqlError) -> Self {
        HandshakeError::Refused { error, user: None, database: None }
    }
}

/// Takes a connection through encryption, start-up and authentication.
///
/// # Errors
/// [`HandshakeError`]; the client has been told and the connection is closed.
pub async fn handshake(stream: Stream, settings: &HandshakeSettings) -> Result<Handshake, HandshakeError> {
    let deadline = Instant::now() + settings.login_timeout;
    let peer = stream.peer_addr()?;
    let opening = Opening { stream, input: Vec::new(), settings };
    let opened = match timeout_at(deadline, opening.run()).await {
        Ok(opened) => opened?,
        Err(_elapsed) => return Err(HandshakeError::Timeout),
    };
    match opened {
        Opened::Cancel { stream, process_id, secret } => Ok(Handshake::Cancel { stream, process_id, secret }),
        Opened::Startup { stream, input, packet_len } => {
            let session = Admission { stream, input, packet_len, peer, settings };
            session.run(deadline).await.map(|client| Handshake::Client(Box::new(client)))
        }
    }
}

/// Bytes and socket before the startup packet.
struct Opening<'a> {
    stream: Stream,
    input: Vec<u8>,
    settings: &'a HandshakeSettings,
}

enum Opened {
    Cancel {
        stream: Stream,
        process_id: i32,
        secret: i32,
    },
    /// `input` starts with a startup packet of `packet_len` bytes.
    Startup {
        stream: Stream,
        input: Vec<u8>,
        packet_len: usize,
    },
}

/// What an encryption request may follow. As in Postgres, the answer to one allows the other again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Ssl,
    Gss,
    Encrypted,
}

impl Opening<'_> {
    async fn run(mut self) -> Result<Opened, HandshakeError> {
        let mut asked = Asked::Nothing;
        loop {
            let packet_len = loop {
                if asked == Asked::Nothing
                    && self.settings.tls.is_some()
                    && self.input.first() == Some(&startup::TLS_HANDSHAKE_BYTE)
                {
                    self = Box::pin(self.accept_direct_tls()).await?;
                    asked = Asked::Encrypted;
                }
                match startup::packet_len(&self.input)? {
                    Some(len) if self.input.len() >= len => break len,
                    _ => {
                        if self.stream.read_more(&mut self.input).await? == 0 {
                            return Err(HandshakeError::Closed);
                        }
                    }
                }
            };
            match startup::parse(self.input.get(..packet_len).unwrap_or_default()) {
                Ok(Packet::Cancel { process_id, secret }) => {
                    return Ok(Opened::Cancel { stream: self.stream, process_id, secret });
                }
                Ok(Packet::SslRequest) if matches!(asked, Asked::Nothing | Asked::Gss) => {
                    self.input.drain(..packet_len);
                    (self, asked) = Box::pin(self.answer_ssl()).await?;
                }
                Ok(Packet::GssEncRequest) if matches!(asked, Asked::Nothing | Asked::Ssl) => {
                    self.input.drain(..packet_len);
                    self = Box::pin(self.answer_gss()).await?;
                    asked = Asked::Gss;
                }
                Ok(Packet::SslRequest) => return Err(self.refuse_version(startup::SSL_REQUEST).await),
                Ok(Packet::GssEncRequest) => {
                    return Err(self.refuse_version(startup::GSS_ENC_REQUEST).await);
                }
                Ok(Packet::Startup(_)) => {
                    return Ok(Opened::Startup { stream: self.stream, input: self.input, packet_len });
                }
                Err(PacketError::Length(error)) => return Err(error.into()),
                Err(PacketError::Version(version)) => return Err(self.refuse_version(version).await),
                Err(PacketError::Sql(error)) => return Err(self.refuse(error).await),
            }
        }
    }

    async fn answer_ssl(mut self) -> Result<(Self, Asked), HandshakeError> {
        let tls = self.settings.tls.as_ref().filter(|_| self.stream.tcp().is_some());
        self.stream.write_all(if tls.is_some() { b"S" } else { b"N" }).await?;
        // Bytes that came before the answer came in the clear: whoever is between could have put them
        // there to be taken for the client's encrypted ones (CVE-2021-23214).
        if !self.input.is_empty() {
            let told = self.refuse(early_data("received unencrypted data after SSL request"));
            return Err(told.await);
        }
        let Some(tls) = tls else { return Ok((self, Asked::Ssl)) };
        let stream = tls.accept(self.stream, Vec::new()).await.map_err(HandshakeError::Tls)?;
        Ok((Opening { stream, input: Vec::new(), settings: self.settings }, Asked::Encrypted))
    }

    async fn answer_gss(mut self) -> Result<Self, HandshakeError> {
        self.stream.write_all(b"N").await?;
        if !self.input.is_empty() {
            let told = self.refuse(early_data("received unencrypted data after GSSAPI encryption request"));
            return Err(told.await);
        }
        Ok(self)
    }

    /// PostgreSQL 17's `sslnegotiation=direct`: the client starts TLS without asking.
    async fn accept_direct_tls(self) -> Result<Self, HandshakeError> {
        let Some(tls) = &self.settings.tls else { return Ok(self) };
        let stream = tls.accept(self.stream, self.input).await.map_err(HandshakeError::Tls)?;
        let opening = Opening { stream, input: Vec::new(), settings: self.settings };
        if is_postgres_alpn(&opening.stream) {
            Ok(opening)
        } else {
            let error = SqlError::protocol(
                "received direct SSL connection request without ALPN protocol negotiation extension",
            );
            Err(opening.refuse(error).await)
        }
    }

    async fn refuse_version(self, version: u32) -> HandshakeError {
        let mut answer = Vec::new();
        startup::unsupported_version(&mut answer, version);
        Box::pin(self.stream.close_with(&answer)).await;
        HandshakeError::refused(SqlError::fatal(
            sqlstate::FEATURE_NOT_SUPPORTED,
            format!("unsupported frontend protocol {}.{}", version >> 16, version & 0xffff),
        ))
    }

    async fn refuse(self, error: SqlError) -> HandshakeError {
        let mut answer = Vec::new();
        write::error_response(&mut answer, &error);
        Box::pin(self.stream.close_with(&answer)).await;
        HandshakeError::refused(error)
    }
}

fn early_data(message: &'static str) -> SqlError {
    SqlError::protocol(message).with_detail(
        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
    )
}

/// Bytes and socket from the startup packet on.
struct Admission<'a> {
    stream: Stream,
    input: Vec<u8>,
    packet_len: usize,
    peer: PeerAddr,
    settings: &'a HandshakeSettings,
}

impl Admission<'_> {
    async fn run(mut self, deadline: Instant) -> Result<Authenticated, HandshakeError> {
        let read_ahead = self.input.split_off(self.packet_len);
        let packet = std::mem::replace(&mut self.input, read_ahead);
        // Room for what the caller adds up to ReadyForQuery, so that it all leaves in one write.
        let mut pending = Vec::with_capacity(PENDING_BYTES);
        let Ok(Packet::Startup(message)) = startup::parse(&packet) else {
            return Err(startup::BadPacketLength.into());
        };
        message.negotiate(&mut pending);
        let (user, database) = match message.identity() {
            Ok(names) => names,
            Err(error) => return Err(self.refuse(pending, error, None).await),
        };
        let request = HbaRequest {
            user,
            database,
            address: match self.peer {
                PeerAddr::Tcp(addr) => Some(addr.ip()),
                PeerAddr::Local => None,
            },
            is_tls: self.stream.is_tls(),
        };
        let rule = match hba::decide(&self.settings.hba, &request) {
            Ok(rule) => rule,
            Err(error) => return Err(self.refuse(pending, error, Some((user, database))).await),
        };
        let scram_keys = if rule.method == Method::Trust && rule.client_cert == ClientCert::NotAsked {
            write::authentication(&mut pending, 0, &[]);
            None
        } else {
            let attempt = Attempt {
                stream: &mut self.stream,
                input: &mut self.input,
                output: &mut pending,
                rule,
                user,
                database,
                users: self.settings.users.as_ref(),
                mock_secret: &self.settings.mock_secret,
                end_point_hash: self.settings.tls.as_ref().and_then(TlsServer::end_point_hash),
            };
            match Box::pin(timeout_at(deadline, authenticate(attempt))).await {
                Ok(Ok(keys)) => keys,
                Ok(Err(AuthError::Io(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(HandshakeError::Closed);
                }
                Ok(Err(AuthError::Io(error))) => return Err(error.into()),
                Ok(Err(AuthError::Sql(error))) => {
                    return Err(self.refuse(pending, error, Some((user, database))).await);
                }
                Err(_elapsed) => {
                    let text = "canceling authentication due to timeout";
                    let error = SqlError::fatal(sqlstate::QUERY_CANCELED, text);
                    return Err(self.refuse(pending, error, Some((user, database))).await);
                }
            }
        };
        Ok(Authenticated {
            stream: self.stream,
            peer: self.peer,
            user: user.into(),
            database: database.into(),
            parameters: message.parameters(),
            method: rule.method,
            scram_keys,
            pending,
            read_ahead: self.input,
        })
    }

    async fn refuse(
        self,
        mut unsent: Vec<u8>,
        error: SqlError,
        names: Option<(&str, &str)>,
    ) -> HandshakeError {
        write::error_response(&mut unsent, &error);
        Box::pin(self.stream.close_with(&unsent)).await;
        let (user, database) = names.unzip();
        HandshakeError::Refused { error, user: user.map(Box::from), database: database.map(Box::from) }
    }
}
