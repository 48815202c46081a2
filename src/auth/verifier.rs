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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_tells_its_kind() {
        let scram = ScramVerifier::from_password(b"pencil", b"salt", 2);
        assert!(matches!(Verifier::parse(&scram.to_stored(), [0; 16]), Verifier::Scram(v) if v == scram));
        let md5 = Verifier::parse("md58bbf3f45673bf67d02e4214911f3417f", [0; 16]);
        assert!(md5.scram().is_none() && md5.md5("m").is_some());
        // What only looks like a hash is a password.
        let plain = Verifier::parse("md5sum", [0; 16]);
        assert_eq!(plain.md5("m"), Some(Md5Hash::from_password("m", b"md5sum")));
        assert!(plain.scram().is_some_and(|scram| scram.check_password(b"md5sum").is_some()));
        assert!(!format!("{plain:?}").contains("md5sum"));
    }
}
