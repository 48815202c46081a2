//! Rules that choose how a client must authenticate, as in Postgres's `pg_hba.conf`.
//!
//! Rules are tried in order and the first that matches decides; a client that none matches is refused.
//!
//! Source: PostgreSQL manual, "The pg_hba.conf File"; `src/backend/libpq/{hba,auth}.c`.

use crate::error::SqlError;
use crate::sqlstate;
use std::net::IpAddr;
use std::str::FromStr;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaRule {
    /// What kind of connection it matches.
    pub connection: ConnectionType,
    /// Which databases.
    pub databases: Vec<DatabaseMatch>,
    /// Which users.
    pub users: Vec<UserMatch>,
    /// Which addresses; not looked at for [`ConnectionType::Local`].
    pub address: AddressMatch,
    /// How the client must authenticate.
    pub method: Method,
    /// What the client's certificate must be, besides.
    pub client_cert: ClientCert,
}

/// The kind of connection that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionType {
    /// Unix-domain sockets.
    Local,
    /// TCP, with TLS or without.
    Host,
    /// TCP with TLS.
    HostSsl,
    /// TCP without TLS.
    HostNoSsl,
}

/// A database that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseMatch {
    /// `all`
    All,
    /// `sameuser`: the one with the user's name.
    SameUser,
    /// One name.
    Name(Box<str>),
}

/// A user that a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserMatch {
    /// `all`
    All,
    /// One name.
    Name(Box<str>),
}

/// Addresses that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressMatch {
    /// `all`
    All,
    /// A network: an address and the number of leading bits that count.
    Cidr(IpAddr, u8),
}

/// How a client must authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    Trust,
    /// Never allowed.
    Reject,
    /// SCRAM-SHA-256 (-PLUS).
    ScramSha256,
    /// md5, or SCRAM where the stored password is a SCRAM verifier.
    Md5,
    /// The password in clear text.
    Password,
    /// A TLS client certificate whose common name is the user's name.
    Cert,
}

/// What a client's certificate must be besides the method (`clientcert=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCert {
    /// Need not be there.
    NotAsked,
    /// Must be there and trusted (`verify-ca`).
    VerifyCa,
    /// Must also have the user's name as its common name (`verify-full`).
    VerifyFull,
}

/// A client's place, as far as rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HbaRequest<'a> {
    /// Its name.
    pub user: &'a str,
    /// The database it wants.
    pub database: &'a str,
    /// Its address; `None` on a Unix-domain socket.
    pub address: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
}

/// Finds the rule that decides: the first that matches.
///
/// # Errors
/// `28000` in Postgres's words where no rule matches, or the one that does rejects.
pub fn decide<'r>(rules: &'r [HbaRule], request: &HbaRequest<'_>) -> Result<&'r HbaRule, SqlError> {
    let refuse = |what: &str| {
        let host = request.address.map_or_else(|| "[local]".to_owned(), |ip| ip.to_string());
        let encryption = if request.is_tls { "SSL encryption" } else { "no encryption" };
        let text = format!(
            "host \"{host}\", user \"{}\", database \"{}\", {encryption}",
            request.user, request.database
        );
        Err(SqlError::fatal(sqlstate::INVALID_AUTHORIZATION, format!("{what} {text}")))
    };
    match rules.iter().find(|rule| rule.matches(request)) {
        None => refuse("no pg_hba.conf entry for"),
        Some(rule) if rule.method == Method::Reject => refuse("pg_hba.conf rejects connection for"),
        Some(rule) => Ok(rule),
    }
}

impl HbaRule {
    /// Whether the rule is for this client.
    pub fn matches(&self, request: &HbaRequest<'_>) -> bool {
        let is_type = match (self.connection, request.address) {
            (ConnectionType::Local, address) => address.is_none(),
            (_, None) => false,
            (ConnectionType::Host, Some(ip)) => self.address.contains(ip),
            (ConnectionType::HostSsl, Some(ip)) => request.is_tls && self.address.contains(ip),
            (ConnectionType::HostNoSsl, Some(ip)) => !request.is_tls && self.address.contains(ip),
        };
        is_type
            && self.databases.iter().any(|database| match database {
                DatabaseMatch::All => true,
                DatabaseMatch::SameUser => request.user == request.database,
                DatabaseMatch::Name(name) => **name == *request.database,
            })
            && self.users.iter().any(|user| match user {
                UserMatch::All => true,
                UserMatch::Name(name) => **name == *request.user,
            })
    }
}

impl AddressMatch {
    /// Whether `ip` lies in the network. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self, ip.to_canonical()) {
            (AddressMatch::All, _) => true,
            (AddressMatch::Cidr(IpAddr::V4(net), bits), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            (AddressMatch::Cidr(IpAddr::V6(net), bits), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                net.to_bits() & mask == ip.to_bits() & mask
            }
            (AddressMatch::Cidr(..), _) => false,
        }
    }
}

/// What in a rule's text is not right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HbaError {
    /// The first word.
    #[error("connection type {0:?} is none of local, host, hostssl, hostnossl")]
    ConnectionType(Box<str>),
    /// The address.
    #[error("address {0:?} is neither all nor a network such as 10.0.0.0/8 or ::1/128")]
    Address(Box<str>),
    /// The method.
    #[error("method {0:?} is none of trust, reject, scram-sha-256, md5, password, cert")]
    Method(Box<str>),
    /// An option.
    #[error("option {0:?} is none of clientcert=verify-ca, clientcert=verify-full")]
    Option(Box<str>),
    /// A certificate is asked for where there is no TLS.
    #[error("client certificates need a connection type of hostssl")]
    CertWithoutTls,
    /// A group of users or a name for which Howdah has no meaning.
    #[error("{0:?} is not supported: list users and databases by name, or all")]
    Name(Box<str>),
    /// Too few words.
    #[error("a rule is: type database user [address] method [options]")]
    Incomplete,
}

impl FromStr for ConnectionType {
    type Err = HbaError;

    fn from_str(text: &str) -> Result<Self, HbaError> {
        match text {
            "local" => Ok(ConnectionType::Local),
            "host" => Ok(ConnectionType::Host),
            "hostssl" => Ok(ConnectionType::HostSsl),
            "hostnossl" => Ok(ConnectionType::HostNoSsl),
            other => Err(HbaError::ConnectionType(other.into())),
        }
    }
}

impl FromStr for DatabaseMatch {
    type Err = HbaError;

    fn from_str(text: &str) -> Result<Self, HbaError> {
        match text {
            "all" => Ok(DatabaseMatch::All),
            "sameuser" => Ok(DatabaseMatch::SameUser),
            "samerole" | "samegroup" => Err(HbaError::Name(text.into())),
            name if name.starts_with(['@', '/']) => Err(HbaError::Name(text.into())),
            name => Ok(DatabaseMatch::Name(name.trim_matches('"').into())),
        }
    }
}

impl FromStr for UserMatch {
    type Err = HbaError;

    fn from_str(text: &str) -> Result<Self, HbaError> {
        match text {
            "all" => Ok(UserMatch::All),
            name if name.starts_with(['@', '/', '+']) => Err(HbaError::Name(text.into())),
            name => Ok(UserMatch::Name(name.trim_matches('"').into())),
        }
    }
}

impl FromStr for AddressMatch {
    type Err = HbaError;

    fn from_str(text: &str) -> Result<Self, HbaError> {
        let wrong = || HbaError::Address(text.into());
        if text == "all" {
            return Ok(AddressMatch::All);
        }
        let (ip, bits) = match text.split_once('/') {
            Some((ip, bits)) => (ip, Some(bits)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_invalid| wrong())?;
        let bits_max = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(bits_max), |bits| bits.parse().map_err(|_invalid| wrong()))?;
        if bits > bits_max { Err(wrong()) } else { Ok(AddressMatch::Cidr(ip, bits)) }
    }
}

impl FromStr for Method {
    type Err = HbaError;

    fn from_str(text: &str) -> Result<Self, HbaError> {
        match text {
            "trust" => Ok(Method::Trust),
            "reject" => Ok(Method::Reject),
            "scram-sha-256" => Ok(Method::ScramSha256),
            "md5" => Ok(Method::Md5),
            "password" => Ok(Method::Password),
            "cert" => Ok(Method::Cert),
            other => Err(HbaError::Method(other.into())),
        }
    }
}

impl FromStr for HbaRule {
    type Err = HbaError;

    /// Reads one line of `pg_hba.conf`'s shape, such as
    /// `hostssl shop app,web 10.0.0.0/8 scram-sha-256 clientcert=verify-ca`.
    fn from_str(line: &str) -> Result<Self, HbaError> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().ok_or(HbaError::Incomplete);
        let connection: ConnectionType = word()?.parse()?;
        let databases = word()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let users = word()?.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let address =
            if connection == ConnectionType::Local { AddressMatch::All } else { word()?.parse()? };
        let method = word()?.parse()?;
        let mut client_cert = ClientCert::NotAsked;
        for option in words {
            client_cert = match option {
                "clientcert=verify-ca" => ClientCert::VerifyCa,
                "clientcert=verify-full" => ClientCert::VerifyFull,
                other => return Err(HbaError::Option(other.into())),
            };
        }
        let rule = HbaRule { connection, databases, users, address, method, client_cert };
        rule.check().map(|()| rule)
    }
}

impl HbaRule {
    /// Checks what no single field can tell: certificates come over TLS only.
    ///
    /// # Errors
    /// [`HbaError::CertWithoutTls`]
    pub fn check(&self) -> Result<(), HbaError> {
        let asks_certificate = self.method == Method::Cert || self.client_cert != ClientCert::NotAsked;
        if asks_certificate && self.connection != ConnectionType::HostSsl {
            return Err(HbaError::CertWithoutTls);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
