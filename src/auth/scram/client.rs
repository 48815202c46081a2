//! The client's side of SCRAM: proves a password, or keys recovered from a client's proof, to a server.

use super::keys::{KEY_LEN, ScramKeys, hmac, xor};
use super::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, binding_attribute};
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Iterations that a server may ask for; each costs the thread two hashes.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// What proves the user.
#[derive(Clone, Copy, Debug)]
pub enum ScramCredential<'a> {
    /// The password.
    Password(&'a crate::auth::Secret),
    /// Keys that fit the server's verifier, whatever its salt.
    Keys(&'a ScramKeys),
}

/// Why an exchange fails at our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramClientError {
    /// No mechanism in common.
    #[error("the server offers no SASL mechanism that is supported")]
    Mechanism,
    /// The challenge is malformed.
    #[error("malformed SCRAM challenge from the server")]
    Challenge,
    /// The nonce does not begin with ours.
    #[error("the server's SCRAM nonce does not continue ours")]
    Nonce,
    /// Too many iterations.
    #[error("the server asks for more than {ITERATIONS_MAX} SCRAM iterations")]
    Iterations,
    /// The server could not prove that it knows the verifier.
    #[error("the server's SCRAM signature is wrong")]
    Signature,
}

/// An exchange that has chosen its mechanism.
#[derive(Clone, Debug)]
pub struct ScramClient {
    mechanism: &'static str,
    header: &'static str,
    binding_attribute: String,
    nonce: String,
}

/// An exchange that has sent its proof.
#[derive(Clone, Debug)]
pub struct AwaitingSignature {
    message: String,
    signature: [u8; KEY_LEN],
}

impl ScramClient {
    /// Chooses among the mechanisms offered (the payload of AuthenticationSASL).
    ///
    /// `nonce` is printable, without comma. Channel binding is used where both sides can; where only we
    /// can, the server is told so, and so would notice that someone took its offer away.
    ///
    /// # Errors
    /// [`ScramClientError::Mechanism`]
    pub fn start(offered: &[u8], binding: &ChannelBinding, nonce: String) -> Result<Self, ScramClientError> {
        let offers = |name: &str| offered.split(|&b| b == 0).any(|offer| offer == name.as_bytes());
        let (mechanism, header, attribute) = match binding {
            ChannelBinding::ServerEndPoint(hash) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,", binding_attribute(hash))
            }
            _ if !offers(SCRAM_SHA_256) => return Err(ScramClientError::Mechanism),
            ChannelBinding::ServerEndPoint(_) => (SCRAM_SHA_256, "y,,", "eSws".to_owned()),
            ChannelBinding::NoTls | ChannelBinding::Undefined => (SCRAM_SHA_256, "n,,", "biws".to_owned()),
        };
        Ok(ScramClient { mechanism, header, binding_attribute: attribute, nonce })
    }

    /// The mechanism chosen.
    pub fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// The first message. Postgres takes the user's name from the startup packet, so none is sent.
    pub fn first_message(&self) -> String {
        format!("{}{}", self.header, self.first_bare())
    }

    fn first_bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Answers the server's challenge (the payload of AuthenticationSASLContinue).
    ///
    /// # Errors
    /// [`ScramClientError`]
    pub fn prove(
        &self,
        challenge: &[u8],
        credential: ScramCredential<'_>,
    ) -> Result<AwaitingSignature, ScramClientError> {
        let bad = ScramClientError::Challenge;
        let text = std::str::from_utf8(challenge).map_err(|_invalid| bad)?;
        let mut attributes = text.split(',');
        let mut attribute = |name| attributes.next().and_then(|a| a.strip_prefix(name)).ok_or(bad);
        let nonce = attribute("r=")?;
        let salt = BASE64_STANDARD.decode(attribute("s=")?).map_err(|_invalid| bad)?;
        let iterations: u32 = attribute("i=")?.parse().map_err(|_invalid| bad)?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramClientError::Nonce);
        }
        let keys = match credential {
            ScramCredential::Keys(keys) => keys.clone(),
            ScramCredential::Password(_) if iterations > ITERATIONS_MAX => {
                return Err(ScramClientError::Iterations);
            }
            ScramCredential::Password(_) if iterations == 0 => return Err(bad),
            ScramCredential::Password(password) => ScramKeys::derive(password.expose(), &salt, iterations),
        };
        let without_proof = format!("c={},r={nonce}", self.binding_attribute);
        let first_bare = self.first_bare();
        let auth_message: [&[u8]; 5] =
            [first_bare.as_bytes(), b",", challenge, b",", without_proof.as_bytes()];
        let stored_key: [u8; KEY_LEN] = Sha256::digest(keys.client_key).into();
        let proof = xor(&keys.client_key, &hmac(&stored_key, &auth_message));
        Ok(AwaitingSignature {
            message: format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)),
            signature: hmac(&keys.server_key, &auth_message),
        })
    }
}

impl AwaitingSignature {
    /// The final message, with the proof.
    pub fn final_message(&self) -> &[u8] {
        self.message.as_bytes()
    }

    /// Checks that the server knows the verifier (the payload of AuthenticationSASLFinal).
    ///
    /// # Errors
    /// [`ScramClientError::Signature`]
    pub fn verify(&self, server_final: &[u8]) -> Result<(), ScramClientError> {
        let signature = server_final.strip_prefix(b"v=").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let is_right = signature.is_some_and(|signature| signature.ct_eq(&self.signature).into());
        if is_right { Ok(()) } else { Err(ScramClientError::Signature) }
    }
}
