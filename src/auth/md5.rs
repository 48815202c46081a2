//! md5 authentication, both ways.
//!
//! Source: PostgreSQL manual, "Message Flow" (AuthenticationMD5Password), `src/common/md5_common.c`.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// What Postgres stores for an md5 user: 32 lower-case hexadecimal digits of md5(password ‖ user).
///
/// It is as good as the password (it is all that a client needs), so it never prints.
#[derive(Clone, Copy)]
pub struct Md5Hash([u8; 32]);

impl PartialEq for Md5Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Md5Hash {}

impl std::fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Md5Hash(***)")
    }
}

impl Md5Hash {
    /// Computes it from the password.
    pub fn from_password(user: &str, password: &[u8]) -> Self {
        Md5Hash(hex_md5(password, user.as_bytes()))
    }

    /// Reads the stored form `md5` and 32 hexadecimal digits.
    pub fn parse(stored: &str) -> Option<Self> {
        let digits: [u8; 32] = stored.strip_prefix("md5")?.as_bytes().try_into().ok()?;
        let is_hash = digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then_some(Md5Hash(digits))
    }

    /// What a client answers to a server's salt: `md5` and 32 digits.
    pub fn response(&self, salt: [u8; 4]) -> [u8; 35] {
        let mut response = [0; 35];
        let (prefix, digits) = response.split_at_mut(3);
        prefix.copy_from_slice(b"md5");
        digits.copy_from_slice(&hex_md5(&self.0, &salt));
        response
    }

    /// Whether `response` is the right answer to `salt`, in constant time.
    pub fn accepts(&self, salt: [u8; 4], response: &[u8]) -> bool {
        self.response(salt).ct_eq(response).into()
    }

    /// Whether `password` is the one that the hash was made of, in constant time.
    pub fn accepts_password(&self, user: &str, password: &[u8]) -> bool {
        Md5Hash::from_password(user, password) == *self
    }
}

fn hex_md5(a: &[u8], b: &[u8]) -> [u8; 32] {
    let digest = Md5::new().chain_update(a).chain_update(b).finalize();
    let mut hex = [0; 32];
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in hex.chunks_exact_mut(2).zip(digest) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `CREATE ROLE m PASSWORD 'pencil'` under `password_encryption = md5`.
    const STORED: &str = "md58bbf3f45673bf67d02e4214911f3417f";

    #[test]
    fn hash_is_the_one_that_postgres_stores() {
        let hash = Md5Hash::parse(STORED).unwrap();
        assert_eq!(hash, Md5Hash::from_password("m", b"pencil"));
        assert!(hash.accepts_password("m", b"pencil"));
        assert!(!hash.accepts_password("m", b"pen"));
        assert!(!hash.accepts_password("n", b"pencil"));
        assert_eq!(format!("{hash:?}"), "Md5Hash(***)");
    }

    #[test]
    fn only_the_answer_to_the_same_salt_is_accepted() {
        let hash = Md5Hash::parse(STORED).unwrap();
        let response = hash.response([1, 2, 3, 4]);
        assert_eq!(
            postgres_protocol::authentication::md5_hash(b"m", b"pencil", [1, 2, 3, 4]).as_bytes(),
            response
        );
        assert!(hash.accepts([1, 2, 3, 4], &response));
        assert!(!hash.accepts([1, 2, 3, 5], &response));
        assert!(!hash.accepts([1, 2, 3, 4], b""));
        assert!(!hash.accepts([1, 2, 3, 4], STORED.as_bytes()));
    }

    #[test]
    fn other_forms_are_not_read() {
        for bad in ["", "md5", "8bbf3f45673bf67d02e4214911f3417f", &STORED.to_uppercase(), &STORED[..34]] {
            assert_eq!(Md5Hash::parse(bad), None, "{bad}");
        }
        assert_eq!(Md5Hash::parse(&format!("{STORED}0")), None);
        assert_eq!(Md5Hash::parse(&STORED.replace("417f", "417g")), None);
    }
}
