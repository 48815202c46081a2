//! What is stored of a user's password.

use super::md5::Md5Hash;
use super::scram::keys::{ITERATIONS, SALT_LEN, ScramVerifier};
use super::secret::Secret;

/// A stored password, in one of the forms of `pg_authid.rolpassword` or in plain text.
#[derive(Clone, Debug)]
pub enum Verifier {
    /// `SCRAM-SHA-256$...`
    Scram(ScramVerifier),
    /// `md5...`
    Md5(Md5Hash),
    /// The password itself, with a verifier made of it once, so that a login needs no key derivation.
    Plain {
        /// The password.
        password: Secret,
        /// Its verifier.
        scram: ScramVerifier,
    },
}

impl Verifier {
    /// Reads a stored password: what is of neither of Postgres's forms is the password itself.
    ///
    /// `salt` (random) is used for a plain password only, which also costs a key derivation (about 1 ms).
    pub fn parse(stored: &str, salt: [u8; SALT_LEN]) -> Self {
        if let Some(scram) = ScramVerifier::parse(stored) {
            Verifier::Scram(scram)
        } else if let Some(hash) = Md5Hash::parse(stored) {
            Verifier::Md5(hash)
        } else {
            Verifier::Plain {
                password: Secret::from(stored),
                scram: ScramVerifier::from_password(stored.as_bytes(), &salt, ITERATIONS),
            }
        }
    }

    /// The SCRAM verifier, where there is one.
    pub fn scram(&self) -> Option<&ScramVerifier> {
        match self {
            Verifier::Scram(scram) | Verifier::Plain { scram, .. } => Some(scram),
            Verifier::Md5(_) => None,
        }
    }

    /// The md5 hash, where the form allows md5 authentication (a SCRAM verifier does not).
    pub fn md5(&self, user: &str) -> Option<Md5Hash> {
        match self {
            Verifier::Scram(_) => None,
            Verifier::Md5(hash) => Some(*hash),
            Verifier::Plain { password, .. } => Some(Md5Hash::from_password(user, password.expose())),
        }
    }
}
