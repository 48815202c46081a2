//! The server's side of SCRAM: checks a client's proof against a verifier, and so learns the client key.
//!
//! Message checks, their order, texts and codes are those of PostgreSQL 15's `auth-scram.c`.

use super::keys::{KEY_LEN, ScramKeys, ScramVerifier, hmac, xor};
use super::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, TLS_SERVER_END_POINT, binding_attribute};
use crate::error::SqlError;
use crate::sqlstate;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Why an exchange ends without success.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The client broke the protocol; it is told how.
    #[error(transparent)]
    Protocol(#[from] SqlError),
    /// The proof is wrong, or the user does not exist: the client is told neither.
    #[error("wrong proof")]
    WrongProof,
}

/// Writes the payload of AuthenticationSASL: the mechanisms offered, the better one first.
pub fn mechanisms(binding: &ChannelBinding) -> &'static [u8] {
    match binding {
        ChannelBinding::ServerEndPoint(_) => b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
        ChannelBinding::NoTls | ChannelBinding::Undefined => b"SCRAM-SHA-256\0\0",
    }
}

/// What the server brings to an exchange.
#[derive(Clone, Copy, Debug)]
pub struct ScramServer<'a> {
    /// The user's verifier, or a mock.
    pub verifier: &'a ScramVerifier,
    /// Whether the verifier is real; with a mock no proof is right.
    pub user: UserState,
    /// The connection's channel binding.
    pub binding: &'a ChannelBinding,
    /// The server's part of the nonce: printable, without comma.
    pub nonce: &'a str,
}

/// Whether a user can log in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// There is a verifier.
    Known,
    /// The exchange runs against a mock and fails at its end.
    Doomed,
}

/// An exchange that has sent its challenge.
#[derive(Clone, Debug)]
pub struct AwaitingProof {
    verifier: ScramVerifier,
    user: UserState,
    /// What `c=` must be.
    binding_attribute: String,
    is_bound: bool,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl ScramServer<'_> {
    /// Checks that the mechanism is one that was offered; gives the hash to bind to, for `-PLUS`.
    ///
    /// # Errors
    /// `08P01`
    pub fn check_mechanism(&self, mechanism: &[u8]) -> Result<Option<&[u8]>, SqlError> {
        match (mechanism, self.binding) {
            (m, ChannelBinding::ServerEndPoint(hash)) if m == SCRAM_SHA_256_PLUS.as_bytes() => Ok(Some(hash)),
            (m, _) if m == SCRAM_SHA_256.as_bytes() => Ok(None),
            _ => Err(SqlError::protocol("client selected an invalid SASL authentication mechanism")),
        }
    }

    /// Answers the client's first message with the challenge.
    ///
    /// # Errors
    /// In Postgres's words: `08P01` for malformed messages and an unknown mechanism, `28000` for a
    /// client that was made to believe there is no channel binding, `0A000` for extensions.
    pub fn challenge(&self, mechanism: &[u8], message: &[u8]) -> Result<AwaitingProof, SqlError> {
        let bound_hash = self.check_mechanism(mechanism)?;
        let text = message_text(message)?;
        let (header_attribute, mut rest) = self.read_gs2_header(text, bound_hash.is_some())?;
        let client_first_bare = rest.to_owned();
        if rest.starts_with('m') {
            return Err(SqlError::fatal(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "client requires an unsupported SCRAM extension",
            ));
        }
        // Postgres takes the user's name from the startup packet and ignores this one.
        let _user = read_attribute(&mut rest, 'n')?;
        let client_nonce = read_attribute(&mut rest, 'r')?;
        if !client_nonce.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b',') {
            return Err(SqlError::protocol("non-printable characters in SCRAM nonce"));
        }
        while !rest.is_empty() {
            read_any_attribute(&mut rest)?;
        }
        let nonce = format!("{client_nonce}{}", self.nonce);
        let salt = BASE64_STANDARD.encode(&self.verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", self.verifier.iterations);
        Ok(AwaitingProof {
            verifier: self.verifier.clone(),
            user: self.user,
            binding_attribute: bound_hash.map_or_else(|| header_attribute.to_owned(), binding_attribute),
            is_bound: bound_hash.is_some(),
            nonce,
            client_first_bare,
            server_first,
        })
    }

    /// Reads `n,,`, `y,,` or `p=...,,`; returns the `c=` attribute that must follow, and the rest.
    fn read_gs2_header<'m>(
        &self,
        text: &'m str,
        is_bound: bool,
    ) -> Result<(&'static str, &'m str), SqlError> {
        let flag = text.chars().next().unwrap_or('\0');
        let mut rest = text;
        let attribute = match flag {
            'n' | 'y' if is_bound => {
                return Err(malformed(
                    "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include \
                     channel binding data.",
                ));
            }
            'y' if matches!(self.binding, ChannelBinding::ServerEndPoint(_)) => {
                return Err(SqlError::fatal(
                    sqlstate::INVALID_AUTHORIZATION,
                    "SCRAM channel binding negotiation error",
                )
                .with_detail(
                    "The client supports SCRAM channel binding but thinks the server does not.  \
                     However, this server does support channel binding.",
                ));
            }
            'n' | 'y' => {
                rest = text.get(1..).unwrap_or_default();
                rest = match rest.strip_prefix(',') {
                    Some(rest) => rest,
                    None => {
                        let found = sanitize_char(rest);
                        return Err(malformed(format!("Comma expected, but found character \"{found}\".")));
                    }
                };
                if flag == 'n' { "biws" } else { "eSws" }
            }
            'p' if !is_bound => {
                return Err(malformed(
                    "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message \
                     includes channel binding data.",
                ));
            }
            'p' => {
                let binding_type = read_attribute(&mut rest, 'p')?;
                if binding_type != TLS_SERVER_END_POINT {
                    return Err(SqlError::protocol(format!(
                        "unsupported SCRAM channel-binding type \"{}\"",
                        sanitize(binding_type)
                    )));
                }
                ""
            }
            _ => {
                let found = sanitize_char(text);
                return Err(malformed(format!("Unexpected channel-binding flag \"{found}\".")));
            }
        };
        if rest.starts_with('a') {
            return Err(SqlError::fatal(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "client uses authorization identity, but it is not supported",
            ));
        }
        match rest.strip_prefix(',') {
            Some(rest) => Ok((attribute, rest)),
            None => Err(malformed(format!(
                "Unexpected attribute \"{}\" in client-first-message.",
                sanitize_char(rest)
            ))),
        }
    }
}

impl AwaitingProof {
    /// The challenge: the payload of AuthenticationSASLContinue.
    pub fn server_first(&self) -> &[u8] {
        self.server_first.as_bytes()
    }

    /// Checks the client's final message; gives the payload of AuthenticationSASLFinal, and the keys
    /// that the proof gave away, with which other servers of the same verifier can be logged in to.
    ///
    /// # Errors
    /// [`ScramError::WrongProof`], also for a doomed user; [`ScramError::Protocol`] for malformed
    /// messages, a wrong nonce or channel binding.
    pub fn verify(&self, message: &[u8]) -> Result<(Vec<u8>, ScramKeys), ScramError> {
        let text = message_text(message)?;
        let mut rest = text;
        if read_attribute(&mut rest, 'c')? != self.binding_attribute {
            return Err(if self.is_bound {
                SqlError::fatal(sqlstate::INVALID_AUTHORIZATION, "SCRAM channel binding check failed").into()
            } else {
                SqlError::protocol("unexpected SCRAM channel-binding attribute in client-final-message")
                    .into()
            });
        }
        let nonce = read_attribute(&mut rest, 'r')?;
        let (without_proof, proof) = loop {
            // The comma before the attribute belongs to neither.
            let before = text.len() - rest.len() - 1;
            let (attribute, value) = read_any_attribute(&mut rest)?;
            if attribute == 'p' {
                break (text.get(..before).unwrap_or_default(), value);
            }
        };
        let proof: [u8; KEY_LEN] = BASE64_STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok())
            .ok_or_else(|| malformed("Malformed proof in client-final-message."))?;
        if !rest.is_empty() {
            return Err(malformed("Garbage found at the end of client-final-message.").into());
        }
        if !bool::from(nonce.as_bytes().ct_eq(self.nonce.as_bytes())) {
            return Err(SqlError::protocol("invalid SCRAM response")
                .with_detail("Nonce does not match.")
                .into());
        }
        let auth_message: [&[u8]; 5] = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let client_key = xor(&proof, &hmac(&self.verifier.stored_key, &auth_message));
        let stored_key: [u8; KEY_LEN] = Sha256::digest(client_key).into();
        let is_right: bool = stored_key.ct_eq(&self.verifier.stored_key).into();
        if !is_right || self.user == UserState::Doomed {
            return Err(ScramError::WrongProof);
        }
        let signature = BASE64_STANDARD.encode(hmac(&self.verifier.server_key, &auth_message));
        let keys = ScramKeys { client_key, server_key: self.verifier.server_key };
        Ok((format!("v={signature}").into_bytes(), keys))
    }
}

fn malformed(detail: impl Into<std::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::protocol("malformed SCRAM message").with_detail(detail)
}

fn message_text(message: &[u8]) -> Result<&str, SqlError> {
    if message.is_empty() {
        return Err(malformed("The message is empty."));
    }
    if message.contains(&0) {
        return Err(malformed("Message length does not match input length."));
    }
    std::str::from_utf8(message).map_err(|_invalid| malformed("The message is not valid UTF-8."))
}

fn read_attribute<'a>(rest: &mut &'a str, attribute: char) -> Result<&'a str, SqlError> {
    let Some(value) = rest.strip_prefix(attribute) else {
        let found = sanitize_char(rest);
        return Err(malformed(format!("Expected attribute \"{attribute}\" but found \"{found}\".")));
    };
    read_value(rest, value, attribute)
}

fn read_any_attribute<'a>(rest: &mut &'a str) -> Result<(char, &'a str), SqlError> {
    let Some(attribute) = rest.chars().next() else {
        return Err(malformed("Attribute expected, but found end of string."));
    };
    if !attribute.is_ascii_alphabetic() {
        let found = sanitize_char(rest);
        return Err(malformed(format!("Attribute expected, but found invalid character \"{found}\".")));
    }
    let value = rest.get(1..).unwrap_or_default();
    Ok((attribute, read_value(rest, value, attribute)?))
}

/// Reads `=value` up to the comma, which is skipped, or the end.
fn read_value<'a>(rest: &mut &'a str, value: &'a str, attribute: char) -> Result<&'a str, SqlError> {
    let Some(value) = value.strip_prefix('=') else {
        return Err(malformed(format!("Expected character \"=\" for attribute \"{attribute}\".")));
    };
    let (value, after) = value.split_once(',').unwrap_or((value, ""));
    *rest = after;
    Ok(value)
}

/// The first byte in Postgres's form for messages: itself in quotes where printable, else `0x` and its value.
fn sanitize_char(text: &str) -> String {
    match text.bytes().next().unwrap_or(0) {
        byte @ 0x21..=0x7e => format!("'{}'", char::from(byte)),
        byte => format!("0x{byte:02x}"),
    }
}

/// At most 30 bytes, with a question mark for each that is not printable.
fn sanitize(text: &str) -> String {
    let printable = |b: u8| if (0x21..=0x7e).contains(&b) { char::from(b) } else { '?' };
    text.bytes().take(30).map(printable).collect()
}
