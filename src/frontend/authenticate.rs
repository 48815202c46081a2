//! The authentication exchange on a client's connection: asks as the HBA rule says, checks the answers.
//!
//! What messages must look like, and the errors, are those of PostgreSQL 15's `auth.c` and `auth-sasl.c`.

use crate::auth::hba::{ClientCert, HbaRule, Method};
use crate::auth::scram::keys::ScramVerifier;
use crate::auth::scram::server::{ScramError, ScramServer, UserState, mechanisms};
use crate::auth::scram::{ChannelBinding, nonce_text};
use crate::auth::{ScramKeys, Verifier};
use crate::error::SqlError;
use crate::net::certificate::common_name;
use crate::net::stream::Stream;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{frame, frontend, write};
use crate::sqlstate;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tokio::io::AsyncWriteExt;

/// Longest SASL message of a client, as in Postgres.
const SASL_LEN_MAX: usize = 1024;
/// Longest password message of a client, as in Postgres.
const PASSWORD_LEN_MAX: usize = 65_535;

/// Where verifiers of users are looked up.
pub trait UserSource: Send + Sync {
    /// Looks one user up; `database` is the one that the client wants.
    fn lookup<'a>(&'a self, user: &'a str, database: &'a str) -> Lookup<'a>;
}

/// A user's verifier, if there is one.
pub type Found = Option<Arc<Verifier>>;

/// A look-up that is done, or has to wait for a server.
pub enum Lookup<'a> {
    /// The verifier; `None` for a user who does not exist or has no password.
    Done(Found),
    /// The same, later; an error is told to the client.
    Pending(Pin<Box<dyn Future<Output = Result<Found, SqlError>> + Send + 'a>>),
}

impl std::fmt::Debug for Lookup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Lookup::Done(_) => "Lookup::Done",
            Lookup::Pending(_) => "Lookup::Pending",
        })
    }
}

/// Why a client did not get in.
#[derive(Debug)]
pub(super) enum AuthError {
    /// To be told to the client.
    Sql(SqlError),
    /// The client is gone.
    Io(io::Error),
}

impl From<SqlError> for AuthError {
    fn from(error: SqlError) -> Self {
        AuthError::Sql(error)
    }
}

impl From<io::Error> for AuthError {
    fn from(error: io::Error) -> Self {
        AuthError::Io(error)
    }
}

/// One client's attempt to get in.
pub(super) struct Attempt<'a> {
    pub(super) stream: &'a mut Stream,
    /// Bytes read and not yet used.
    pub(super) input: &'a mut Vec<u8>,
    /// Messages not yet sent.
    pub(super) output: &'a mut Vec<u8>,
    pub(super) rule: &'a HbaRule,
    pub(super) user: &'a str,
    pub(super) database: &'a str,
    pub(super) users: &'a dyn UserSource,
    pub(super) mock_secret: &'a [u8; 32],
    /// Hash of our certificate, where the stream is TLS and there is one.
    pub(super) end_point_hash: Option<&'a [u8]>,
}

/// Runs the exchange; gives keys for pass-through where the method is one that proves a password.
///
/// AuthenticationOk is left in the output, unsent.
pub(super) async fn authenticate(mut attempt: Attempt<'_>) -> Result<Option<ScramKeys>, AuthError> {
    let rule = attempt.rule;
    let asks_certificate = rule.method == Method::Cert || rule.client_cert != ClientCert::NotAsked;
    if asks_certificate && attempt.stream.peer_certificates().is_empty() {
        let message = "connection requires a valid client certificate";
        return Err(SqlError::fatal(sqlstate::INVALID_AUTHORIZATION, message).into());
    }
    let keys = match rule.method {
        Method::Trust | Method::Cert => None,
        Method::Reject => return Err(attempt.failed().into()),
        Method::Password => attempt.password().await?,
        Method::ScramSha256 => attempt.scram_or_mock().await?,
        Method::Md5 => attempt.md5_or_scram().await?,
    };
    if rule.method == Method::Cert || rule.client_cert == ClientCert::VerifyFull {
        let name = attempt.stream.peer_certificates().first().and_then(|own| common_name(own));
        if name.as_deref() != Some(attempt.user) {
            let message = format!("certificate authentication failed for user \"{}\"", attempt.user);
            return Err(SqlError::fatal(sqlstate::INVALID_AUTHORIZATION, message).into());
        }
    }
    write::authentication(attempt.output, 0, &[]);
    Ok(keys)
}

impl Attempt<'_> {
    fn failed(&self) -> SqlError {
        let message = format!("password authentication failed for user \"{}\"", self.user);
        SqlError::fatal(sqlstate::INVALID_PASSWORD, message)
    }

    async fn lookup(&self) -> Result<Option<Arc<Verifier>>, SqlError> {
        match self.users.lookup(self.user, self.database) {
            Lookup::Done(verifier) => Ok(verifier),
            Lookup::Pending(later) => later.await,
        }
    }

    /// Sends what is in the output.
    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(self.output).await?;
        self.output.clear();
        self.stream.flush().await
    }

    /// Receives the body of a password or SASL message of at most `len_max` bytes.
    async fn receive(&mut self, expected: &str, len_max: usize) -> Result<Vec<u8>, AuthError> {
        loop {
            if let Some(&tag) = self.input.first()
                && tag != frontend::PASSWORD
            {
                let message = format!("expected {expected} response, got message type {tag}");
                return Err(SqlError::protocol(message).into());
            }
            let header = frame::header(self.input).map_err(|bad| SqlError::protocol(bad.to_string()))?;
            if let Some(header) = header {
                if header.frame_len > len_max + frame::HEADER_LEN {
                    return Err(SqlError::protocol(format!("invalid {expected} message length")).into());
                }
                if self.input.len() >= header.frame_len {
                    let rest = self.input.split_off(header.frame_len);
                    let mut message = std::mem::replace(self.input, rest);
                    message.drain(..frame::HEADER_LEN);
                    return Ok(message);
                }
            }
            if self.stream.read_more(self.input).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    /// Receives a password: one string, not empty.
    async fn receive_password(&mut self) -> Result<Vec<u8>, AuthError> {
        let mut body = self.receive("password", PASSWORD_LEN_MAX).await?;
        if body.pop() != Some(0) || body.contains(&0) {
            return Err(SqlError::protocol("invalid password packet size").into());
        }
        if body.is_empty() {
            let message = "empty password returned by client";
            return Err(SqlError::fatal(sqlstate::INVALID_PASSWORD, message).into());
        }
        Ok(body)
    }

    async fn password(&mut self) -> Result<Option<ScramKeys>, AuthError> {
        write::authentication(self.output, 3, &[]);
        self.flush().await?;
        let password = self.receive_password().await?;
        match self.lookup().await?.as_deref() {
            Some(Verifier::Md5(hash)) if hash.accepts_password(self.user, &password) => Ok(None),
            Some(Verifier::Plain { password: right, .. }) if right.expose().ct_eq(&password).into() => {
                Ok(None)
            }
            Some(Verifier::Scram(verifier)) => match verifier.check_password(&password) {
                Some(keys) => Ok(Some(keys)),
                None => Err(self.failed().into()),
            },
            _ => Err(self.failed().into()),
        }
    }

    async fn md5_or_scram(&mut self) -> Result<Option<ScramKeys>, AuthError> {
        let verifier = self.lookup().await?;
        let Some(hash) = verifier.as_ref().and_then(|verifier| verifier.md5(self.user)) else {
            return self.scram(verifier.as_deref()).await;
        };
        let salt: [u8; 4] = rand::random();
        write::authentication(self.output, 5, &salt);
        self.flush().await?;
        let response = self.receive_password().await?;
        if hash.accepts(salt, &response) { Ok(None) } else { Err(self.failed().into()) }
    }

    async fn scram_or_mock(&mut self) -> Result<Option<ScramKeys>, AuthError> {
        let verifier = self.lookup().await?;
        self.scram(verifier.as_deref()).await
    }

    async fn scram(&mut self, verifier: Option<&Verifier>) -> Result<Option<ScramKeys>, AuthError> {
        let mock;
        let (verifier, user) = match verifier.and_then(Verifier::scram) {
            Some(verifier) => (verifier, UserState::Known),
            None => {
                mock = ScramVerifier::mock(self.user, self.mock_secret);
                (&mock, UserState::Doomed)
            }
        };
        let binding = match self.end_point_hash {
            _ if !self.stream.is_tls() => ChannelBinding::NoTls,
            Some(hash) => ChannelBinding::ServerEndPoint(hash.into()),
            None => ChannelBinding::Undefined,
        };
        write::authentication(self.output, 10, mechanisms(&binding));
        self.flush().await?;
        let body = self.receive("SASL", SASL_LEN_MAX).await?;
        let (mechanism, message) = read_sasl_initial(&body)?;
        let nonce = nonce_text(&rand::random());
        let server = ScramServer { verifier, user, binding: &binding, nonce: &nonce };
        let challenged = match message {
            Some(message) => server.challenge(mechanism, message)?,
            None => {
                // A client may leave its first message for after an empty challenge.
                server.check_mechanism(mechanism)?;
                write::authentication(self.output, 11, &[]);
                self.flush().await?;
                let message = self.receive("SASL", SASL_LEN_MAX).await?;
                server.challenge(mechanism, &message)?
            }
        };
        write::authentication(self.output, 11, challenged.server_first());
        self.flush().await?;
        let proof = self.receive("SASL", SASL_LEN_MAX).await?;
        match challenged.verify(&proof) {
            Ok((server_final, keys)) => {
                write::authentication(self.output, 12, &server_final);
                Ok(Some(keys))
            }
            Err(ScramError::WrongProof) => Err(self.failed().into()),
            Err(ScramError::Protocol(error)) => Err(error.into()),
        }
    }
}

/// Reads SASLInitialResponse: the mechanism, and the first message if there is one.
fn read_sasl_initial(body: &[u8]) -> Result<(&[u8], Option<&[u8]>), SqlError> {
    let cut_off = |_: Malformed| SqlError::protocol("insufficient data left in message");
    let mut reader = Reader::new(body);
    let mechanism = reader.cstr().map_err(|_: Malformed| SqlError::protocol("invalid string in message"))?;
    let message = match reader.i32().map_err(cut_off)? {
        -1 => None,
        len => {
            let len = usize::try_from(len).map_err(|_negative| cut_off(Malformed))?;
            Some(reader.bytes(len).map_err(cut_off)?)
        }
    };
    if reader.is_empty() {
        Ok((mechanism, message))
    } else {
        Err(SqlError::protocol("invalid message format"))
    }
}
