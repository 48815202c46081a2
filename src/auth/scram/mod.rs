//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: keys, the server's and the client's side of the exchange.
//!
//! Source: RFC 5802, RFC 7677, RFC 5929; PostgreSQL 15 `src/backend/libpq/auth-scram.c`.

pub mod client;
pub mod keys;
pub mod server;

use base64::prelude::{BASE64_STANDARD, Engine};

/// The mechanism without channel binding.
pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding to the server's certificate.
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// The only channel binding type spoken.
const TLS_SERVER_END_POINT: &str = "tls-server-end-point";
/// Random bytes of a nonce that we make, before base64.
pub const NONCE_LEN: usize = 18;

/// What a connection offers for channel binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// No TLS.
    NoTls,
    /// TLS, but the certificate's signature algorithm defines no hash for it (RFC 5929 section 4.1).
    Undefined,
    /// TLS with a server certificate of this hash.
    ServerEndPoint(Box<[u8]>),
}

/// The printable form of a random nonce.
pub fn nonce_text(random: &[u8; NONCE_LEN]) -> String {
    BASE64_STANDARD.encode(random)
}

/// The `c=` attribute of a client that binds to a certificate.
fn binding_attribute(hash: &[u8]) -> String {
    let header = format!("p={TLS_SERVER_END_POINT},,");
    BASE64_STANDARD.encode([header.as_bytes(), hash].concat())
}

#[cfg(test)]
mod tests;
