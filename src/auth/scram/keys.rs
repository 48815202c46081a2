//! Keys and verifiers of SCRAM-SHA-256.

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use subtle::ConstantTimeEq;

/// Bytes of every key, nonce proof and signature.
pub const KEY_LEN: usize = 32;
/// Bytes of a salt that we make.
pub const SALT_LEN: usize = 16;
/// Iterations of a verifier that we make, as in Postgres.
pub const ITERATIONS: u32 = 4096;

/// What proves a user to a server without the password: SCRAM pass-through.
///
/// As good as the password for every server that holds the same verifier, so it never prints.
#[derive(Clone)]
pub struct ScramKeys {
    /// Makes the proofs.
    pub client_key: [u8; KEY_LEN],
    /// Checks the server's signature.
    pub server_key: [u8; KEY_LEN],
}

impl std::fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramKeys(***)")
    }
}

impl PartialEq for ScramKeys {
    fn eq(&self, other: &Self) -> bool {
        (self.client_key.ct_eq(&other.client_key) & self.server_key.ct_eq(&other.server_key)).into()
    }
}

impl Eq for ScramKeys {}

impl ScramKeys {
    /// Derives the keys from a password, as the salt and iteration count of the server's verifier say.
    ///
    /// Costs `iterations` × 2 hashes of SHA-256: about a millisecond for Postgres's 4096.
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(&prepare(password), salt, iterations);
        ScramKeys { client_key: hmac(&salted, &[b"Client Key"]), server_key: hmac(&salted, &[b"Server Key"]) }
    }
}

/// What a server stores for a user: it checks proofs and cannot make them.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Iterations of the key derivation.
    pub iterations: u32,
    /// Its salt.
    pub salt: Box<[u8]>,
    /// SHA-256 of the client key.
    pub stored_key: [u8; KEY_LEN],
    /// Signs for the server.
    pub server_key: [u8; KEY_LEN],
}

impl std::fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramVerifier(***)")
    }
}

impl ScramVerifier {
    /// Makes the verifier of a password.
    pub fn from_password(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let keys = ScramKeys::derive(password, salt, iterations);
        ScramVerifier {
            iterations,
            salt: salt.into(),
            stored_key: Sha256::digest(keys.client_key).into(),
            server_key: keys.server_key,
        }
    }

    /// Reads the stored form `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    pub fn parse(stored: &str) -> Option<Self> {
        let mut parts = stored.strip_prefix("SCRAM-SHA-256$")?.split('$');
        let (iterations, salt) = parts.next()?.split_once(':')?;
        let (stored_key, server_key) = parts.next()?.split_once(':')?;
        let iterations: u32 = iterations.parse().ok()?;
        let key = |text: &str| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
        let verifier = ScramVerifier {
            iterations,
            salt: BASE64_STANDARD.decode(salt).ok()?.into(),
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        };
        (parts.next().is_none() && iterations > 0).then_some(verifier)
    }

    /// The stored form.
    pub fn to_stored(&self) -> String {
        format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            BASE64_STANDARD.encode(&self.salt),
            BASE64_STANDARD.encode(self.stored_key),
            BASE64_STANDARD.encode(self.server_key)
        )
    }

    /// The keys of `password` where it is the right one (constant-time comparison).
    pub fn check_password(&self, password: &[u8]) -> Option<ScramKeys> {
        let keys = ScramKeys::derive(password, &self.salt, self.iterations);
        let is_right: bool = keys.server_key.ct_eq(&self.server_key).into();
        is_right.then_some(keys)
    }

    /// The verifier of a user who does not exist: no password fits it, and the salt is the same at each
    /// attempt, so that a client cannot tell.
    pub fn mock(user: &str, mock_secret: &[u8; 32]) -> Self {
        let salt = Sha256::new().chain_update(user.as_bytes()).chain_update(mock_secret).finalize();
        ScramVerifier {
            iterations: ITERATIONS,
            salt: salt.get(..SALT_LEN).unwrap_or_default().into(),
            stored_key: hmac(mock_secret, &[b"Stored Key", user.as_bytes()]),
            server_key: hmac(mock_secret, &[b"Server Key", user.as_bytes()]),
        }
    }
}

/// HMAC-SHA-256 of the parts, one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_LEN] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// `a` XOR `b`.
pub(super) fn xor(a: &[u8; KEY_LEN], b: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    let mut out = *a;
    for (o, b) in out.iter_mut().zip(b) {
        *o ^= b;
    }
    out
}

/// RFC 5802's `Hi`: PBKDF2 with HMAC-SHA-256 and one block.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; KEY_LEN] {
    let mac = keyed(password);
    let mut u: [u8; KEY_LEN] =
        mac.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes().into();
    let mut result = u;
    for _ in 1..iterations {
        u = mac.clone().chain_update(u).finalize().into_bytes().into();
        result = xor(&result, &u);
    }
    result
}

/// SASLprep; a password that it cannot take (not UTF-8, prohibited characters) is used as it stands, as
/// Postgres does.
fn prepare(password: &[u8]) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(password) else { return Cow::Borrowed(password) };
    match stringprep::saslprep(text) {
        Ok(Cow::Owned(prepared)) if !prepared.is_empty() => Cow::Owned(prepared.into_bytes()),
        _ => Cow::Borrowed(password),
    }
}
