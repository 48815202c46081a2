//! Names of prepared transactions.

use sha2::{Digest, Sha256};
use std::fmt;

/// What every name of ours begins with.
const PREFIX: &str = "howdah_";

/// A shard in a name: a hash of its name in the configuration, which may be longer than fits.
///
/// The first eight bytes of SHA-256, as sixteen hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardTag(u64);

impl ShardTag {
    /// Of the shard of this name.
    pub fn of(name: &str) -> ShardTag {
        let digest = Sha256::digest(name.as_bytes());
        let (first, _) = digest.split_at(8);
        ShardTag(first.iter().fold(0, |tag, byte| (tag << 8) | u64::from(*byte)))
    }
}

impl fmt::Display for ShardTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A transaction's key: the first half of the SHA-256 of a secret, as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transaction(u128);

impl Transaction {
    /// The key of the transaction whose secret this is; the function `howdah.decide` computes the same.
    pub fn of_secret(secret: &[u8]) -> Transaction {
        let digest = Sha256::digest(secret);
        let (first, _) = digest.split_at(16);
        Transaction(first.iter().fold(0, |key, byte| (key << 8) | u128::from(*byte)))
    }

    /// From its digits.
    pub fn parse(digits: &str) -> Option<Transaction> {
        (digits.len() == 32 && is_hex(digits))
            .then(|| u128::from_str_radix(digits, 16).ok())
            .flatten()
            .map(Transaction)
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The name of a prepared transaction: `howdah_<cluster>_<decider>_<participant>_<epoch>_<transaction>`, the numbers in
/// lower-case hexadecimal digits. Never longer than 127 bytes (Postgres takes 199).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gid {
    /// The cluster's id: a uuid's 32 digits.
    pub cluster: String,
    /// The shard whose decision it waits for.
    pub decider: ShardTag,
    /// The shard that prepared: two shards may be databases of one server, where names share a space.
    pub participant: ShardTag,
    /// The proxy that ran it, by the number of its start.
    pub epoch: i64,
    /// Its key.
    pub transaction: Transaction,
}

impl fmt::Display for Gid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gid { cluster, decider, participant, epoch, transaction } = self;
        write!(f, "{PREFIX}{cluster}_{decider}_{participant}_{epoch:x}_{transaction}")
    }
}

/// Why a name is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not the name of a prepared transaction of Howdah's")]
pub struct BadGid(pub String);

impl Gid {
    /// Reads a name, exactly as it is written.
    ///
    /// # Errors
    /// [`BadGid`] for anything else, whatever its prefix: it is somebody else's.
    pub fn parse(name: &str) -> Result<Gid, BadGid> {
        let read = || {
            let mut parts = name.strip_prefix(PREFIX)?.split('_');
            let mut next = || parts.next().filter(|part| !part.is_empty() && is_hex(part));
            let (cluster, decider, participant, epoch, transaction) =
                (next()?, next()?, next()?, next()?, next()?);
            let gid = Gid {
                cluster: cluster.to_owned(),
                decider: ShardTag(u64::from_str_radix(decider, 16).ok()?),
                participant: ShardTag(u64::from_str_radix(participant, 16).ok()?),
                epoch: i64::from_str_radix(epoch, 16).ok()?,
                transaction: Transaction::parse(transaction)?,
            };
            // Leading zeros, or more parts, would be another name.
            (gid.to_string() == name).then_some(gid)
        };
        read().ok_or_else(|| BadGid(name.to_owned()))
    }
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gid() -> Gid {
        Gid {
            cluster: "0f".repeat(16),
            decider: ShardTag::of("shard-1"),
            participant: ShardTag::of("shard-2"),
            epoch: 300,
            transaction: Transaction::of_secret(b"secret"),
        }
    }

    #[test]
    fn a_name_says_everything_and_is_read_back() {
        let name = gid().to_string();
        assert!(name.starts_with(&format!("howdah_{}_", "0f".repeat(16))), "{name}");
        assert!(name.ends_with(&format!("_12c_{}", Transaction::of_secret(b"secret"))), "{name}");
        assert!(name.len() <= 127, "{} bytes", name.len());
        assert_eq!(Gid::parse(&name), Ok(gid()));
    }

    #[test]
    fn the_key_is_the_hash_that_the_server_computes() {
        // select substr(encode(sha256('secret'), 'hex'), 1, 32)
        assert_eq!(Transaction::of_secret(b"secret").to_string(), "2bb80d537b1da3e38bd30361aa855686");
    }

    #[test]
    fn names_of_others_are_left_alone() {
        let ours = gid().to_string();
        for name in ["", "mine", "howdah_", "howdah_1_2_3", "citus_0_1_2_3", "howdah_x_1_2_3_4"] {
            assert!(Gid::parse(name).is_err(), "{name}");
        }
        for name in
            [format!("{ours}_1"), format!("{ours} "), ours.replace("_12c_", "_012c_"), ours.to_uppercase()]
        {
            assert!(Gid::parse(&name).is_err(), "{name}");
        }
    }
}
