//! The login on a server connection: StartupMessage, authentication, parameters, ReadyForQuery.

use super::connect::{ConnectError, Connected, Credential, Login, Parameter, SERVER_MAJOR_MIN, ServerError};
use crate::auth::md5::Md5Hash;
use crate::auth::scram::client::{AwaitingSignature, ScramClient, ScramCredential};
use crate::auth::scram::{ChannelBinding, nonce_text};
use crate::net::certificate::end_point_hash;
use crate::net::stream::Stream;
use crate::protocol::read::{Malformed, Reader};
use crate::protocol::{TransactionStatus, backend, frame, frontend, startup, write};
use std::io;
use tokio::io::AsyncWriteExt;

/// Longest message taken during login.
const MESSAGE_LEN_MAX: usize = 64 * 1024;

/// Messages from a connection, one at a time.
#[derive(Debug)]
pub(super) struct Receiver {
    stream: Stream,
    input: Vec<u8>,
}

impl Receiver {
    pub(super) fn new(stream: Stream) -> Self {
        Receiver { stream, input: Vec::new() }
    }

    /// The next message's type and body.
    pub(super) async fn receive(&mut self) -> Result<(u8, Vec<u8>), ConnectError> {
        loop {
            let header = frame::header(&self.input)
                .map_err(|_bad| ConnectError::Protocol("invalid message length"))?;
            if let Some(header) = header {
                if header.frame_len > MESSAGE_LEN_MAX {
                    return Err(ConnectError::Protocol("message too long"));
                }
                if self.input.len() >= header.frame_len {
                    let rest = self.input.split_off(header.frame_len);
                    let mut message = std::mem::replace(&mut self.input, rest);
                    message.drain(..frame::HEADER_LEN);
                    return Ok((header.tag, message));
                }
            }
            if self.stream.read_more(&mut self.input).await.map_err(ConnectError::Lost)? == 0 {
                return Err(ConnectError::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        self.stream.write_all(bytes).await.map_err(ConnectError::Lost)?;
        self.stream.flush().await.map_err(ConnectError::Lost)
    }

    /// Sends a password, SASLInitialResponse or SASLResponse message.
    async fn send_password(&mut self, body: &[u8]) -> Result<(), ConnectError> {
        let mut out = Vec::with_capacity(body.len() + frame::HEADER_LEN);
        write::message(&mut out, frontend::PASSWORD, |b| b.extend_from_slice(body));
        self.send(&out).await
    }

    fn channel_binding(&self) -> ChannelBinding {
        if !self.stream.is_tls() {
            return ChannelBinding::NoTls;
        }
        let hash = self.stream.peer_certificates().first().and_then(|server| end_point_hash(server));
        hash.map_or(ChannelBinding::Undefined, ChannelBinding::ServerEndPoint)
    }
}

/// Logs in on a fresh connection and waits until it is ready.
pub(super) async fn log_in(
    mut receiver: Receiver,
    login: &Login,
    settings: &[(&str, &str)],
) -> Result<Connected, ConnectError> {
    let mut pairs: Vec<(&[u8], &[u8])> =
        vec![(b"user", login.user.as_bytes()), (b"database", login.database.as_bytes())];
    pairs.extend(settings.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    let mut packet = Vec::with_capacity(256);
    startup::write_startup(&mut packet, &pairs);
    receiver.send(&packet).await?;
    authenticate(&mut receiver, login).await?;
    become_ready(receiver).await
}

fn unexpected(tag: u8, body: Vec<u8>) -> ConnectError {
    match tag {
        backend::ERROR_RESPONSE => ConnectError::Server(ServerError { body: body.into() }),
        _ => ConnectError::Protocol("unexpected message"),
    }
}

fn malformed(_malformed: Malformed) -> ConnectError {
    ConnectError::Protocol("malformed message")
}

/// Receives an authentication request: its kind and payload.
async fn receive_request(receiver: &mut Receiver) -> Result<(i32, Vec<u8>), ConnectError> {
    loop {
        match receiver.receive().await? {
            (backend::AUTHENTICATION, mut body) => {
                let kind = Reader::new(&body).i32().map_err(malformed)?;
                body.drain(..4);
                return Ok((kind, body));
            }
            (backend::NOTICE_RESPONSE | backend::NEGOTIATE_PROTOCOL_VERSION, _) => {}
            (tag, body) => return Err(unexpected(tag, body)),
        }
    }
}

async fn authenticate(receiver: &mut Receiver, login: &Login) -> Result<(), ConnectError> {
    let mut signature: Option<AwaitingSignature> = None;
    loop {
        let (kind, payload) = receive_request(receiver).await?;
        match (kind, &login.credential, &mut signature) {
            (0, _, None) => return Ok(()),
            (0, _, Some(_)) => {
                return Err(ConnectError::Protocol("AuthenticationOk before the server's proof"));
            }
            (3, Credential::Password(password), None) => {
                let mut body = Vec::with_capacity(password.expose().len() + 1);
                write::cstr(&mut body, password.expose());
                receiver.send_password(&body).await?;
            }
            (3, ..) => return Err(ConnectError::Credential("password")),
            (5, credential, None) => {
                let hash = match credential {
                    Credential::Md5Hash(hash) => *hash,
                    Credential::Password(password) => Md5Hash::from_password(&login.user, password.expose()),
                    Credential::None | Credential::ScramKeys(_) => {
                        return Err(ConnectError::Credential("md5"));
                    }
                };
                let salt = payload.as_slice().try_into().map_err(|_len| malformed(Malformed))?;
                let mut body = hash.response(salt).to_vec();
                body.push(0);
                receiver.send_password(&body).await?;
            }
            (10, credential, None) => {
                let credential = match credential {
                    Credential::Password(password) => ScramCredential::Password(password),
                    Credential::ScramKeys(keys) => ScramCredential::Keys(keys),
                    Credential::None | Credential::Md5Hash(_) => {
                        return Err(ConnectError::Credential("SCRAM"));
                    }
                };
                signature = Some(prove(receiver, &payload, credential).await?);
            }
            (12, _, pending @ Some(_)) => {
                if let Some(expected) = pending.take() {
                    expected.verify(&payload).map_err(ConnectError::Scram)?;
                }
            }
            (5 | 10 | 11 | 12, ..) => {
                return Err(ConnectError::Protocol("unexpected authentication request"));
            }
            (method, ..) => return Err(ConnectError::Method(method)),
        }
    }
}

/// Runs SCRAM up to the proof.
async fn prove(
    receiver: &mut Receiver,
    mechanisms: &[u8],
    credential: ScramCredential<'_>,
) -> Result<AwaitingSignature, ConnectError> {
    let nonce = nonce_text(&rand::random());
    let scram =
        ScramClient::start(mechanisms, &receiver.channel_binding(), nonce).map_err(ConnectError::Scram)?;
    let first = scram.first_message();
    let mut body = Vec::with_capacity(first.len() + 32);
    write::cstr(&mut body, scram.mechanism().as_bytes());
    body.extend_from_slice(&u32::try_from(first.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend_from_slice(first.as_bytes());
    receiver.send_password(&body).await?;
    match receive_request(receiver).await? {
        (11, challenge) => {
            let proof = scram.prove(&challenge, credential).map_err(ConnectError::Scram)?;
            receiver.send_password(proof.final_message()).await?;
            Ok(proof)
        }
        _ => Err(ConnectError::Protocol("unexpected authentication request")),
    }
}

/// Collects what follows AuthenticationOk up to ReadyForQuery.
async fn become_ready(mut receiver: Receiver) -> Result<Connected, ConnectError> {
    let mut parameters: Vec<Parameter> = Vec::with_capacity(16);
    let mut key = None;
    loop {
        let (tag, body) = receiver.receive().await?;
        let mut reader = Reader::new(&body);
        match tag {
            backend::PARAMETER_STATUS => {
                let name = reader.cstr().map_err(malformed)?;
                let value = reader.cstr().map_err(malformed)?;
                if name == b"server_version" {
                    check_version(value)?;
                }
                parameters.push((name.into(), value.into()));
            }
            backend::BACKEND_KEY_DATA => {
                key = Some((reader.i32().map_err(malformed)?, reader.i32().map_err(malformed)?));
            }
            backend::READY_FOR_QUERY => {
                if body != [TransactionStatus::Idle.byte()] || !receiver.input.is_empty() {
                    return Err(ConnectError::Protocol("not idle after login"));
                }
                // A server that keeps no key data cannot be sent cancel requests, and knows none.
                let (process_id, secret) = key.unwrap_or_default();
                return Ok(Connected { stream: receiver.stream, process_id, secret, parameters });
            }
            backend::NOTICE_RESPONSE => {}
            _ => return Err(unexpected(tag, body)),
        }
    }
}

/// Refuses servers that are too old; `version` is such as `15.4 (Debian 15.4-1)` or `17beta1`.
fn check_version(version: &[u8]) -> Result<(), ConnectError> {
    let text = String::from_utf8_lossy(version);
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<u32>() {
        Ok(major) if major >= SERVER_MAJOR_MIN => Ok(()),
        _ => Err(ConnectError::Version(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_15_are_refused() {
        assert!(check_version(b"15.4 (Debian 15.4-1)").is_ok());
        assert!(check_version(b"17beta1").is_ok());
        for old in ["14.9", "9.6.24", "", "devel"] {
            assert!(matches!(check_version(old.as_bytes()), Err(ConnectError::Version(_))), "{old}");
        }
    }
}
