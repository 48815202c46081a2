//! Who may connect, and how clients prove it: plain data; `auth` does the proving.

use super::{Pooling, Secret};
use std::net::IpAddr;
use std::time::Duration;

/// A user that clients log in as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// What clients must know.
    pub credential: Credential,
    /// The password towards the shards: `server_password`, else `password`; `None`: SCRAM pass-through,
    /// or a server that trusts Howdah.
    pub server_password: Option<Secret>,
    /// Client connections; outer `None`: the general limit, inner `None`: unlimited.
    pub client_limit: Option<Option<u32>>,
    /// Server connections per shard and database, in place of the pool's size.
    pub pool_size: Option<u32>,
    /// Pooling, in place of the cluster's.
    pub pooling: Option<Pooling>,
}

/// What a client must know to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing configured: only `trust` and `cert` let the user in.
    None,
    /// The password.
    Password(Secret),
    /// A SCRAM-SHA-256 verifier as in pg_authid, checked for syntax.
    Scram(Secret),
    /// An md5 verifier (`md5` and 32 hex digits), checked for syntax.
    Md5(Secret),
}

/// How users outside the file are found: a query on the home shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthQuery {
    /// With `$1` for the user's name; gives name and verifier.
    pub query: String,
    /// Who runs it.
    pub user: String,
    /// That user's password.
    pub password: Option<Secret>,
    /// How long an answer is used; zero: once.
    pub ttl: Duration,
}

/// A rule of how clients prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaRule {
    /// The kind of connection.
    pub connection: HbaConnection,
    /// Database names.
    pub databases: NameSet,
    /// User names.
    pub users: NameSet,
    /// Client addresses; not looked at for Unix sockets.
    pub addresses: AddressSet,
    /// The proof.
    pub method: HbaMethod,
    /// What the client's certificate must be besides.
    pub client_cert: HbaClientCert,
    /// The rule's line in the file, from 1; 0 for the default rules.
    pub line: u32,
}

/// Kinds of client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaConnection {
    /// TCP.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS.
    HostNoSsl,
    /// Unix socket.
    Local,
}

/// Proofs of who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaMethod {
    /// None at all.
    Trust,
    /// None suffices.
    Reject,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// MD5, or SCRAM-SHA-256 for users with a SCRAM verifier.
    Md5,
    /// The password in clear text.
    Password,
    /// A TLS client certificate whose common name is the user.
    Cert,
}

/// What a client's certificate must be, besides the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HbaClientCert {
    /// Need not be there.
    NotAsked,
    /// There, and signed by the listener's `client_ca`.
    VerifyCa,
    /// Also with the user's name as its common name.
    VerifyFull,
}

/// All names, or those listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameSet {
    /// All.
    All,
    /// These.
    Only(Vec<String>),
}

impl NameSet {
    /// Whether a name is in it.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            NameSet::All => true,
            NameSet::Only(names) => names.iter().any(|n| n == name),
        }
    }
}

/// All addresses, or those in the ranges listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSet {
    /// All.
    All,
    /// These.
    Only(Vec<AddressRange>),
}

impl AddressSet {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            AddressSet::All => true,
            AddressSet::Only(ranges) => ranges.iter().any(|range| range.contains(address)),
        }
    }
}

/// A CIDR range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Its first address: the bits after `prefix` are zero.
    pub base: IpAddr,
    /// Leading bits that must agree.
    pub prefix: u8,
}

impl AddressRange {
    /// Whether an address is in it; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32u32.saturating_sub(u32::from(self.prefix));
                (u32::from(base) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix));
                (u128::from(base) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}
