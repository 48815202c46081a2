//! Where clients connect, and TLS material read from files.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A place where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// Encryption.
    pub tls: ListenerTls,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket `directory/.s.PGSQL.port`.
    Unix {
        /// The folder.
        directory: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

impl ListenAddress {
    /// The socket's file, for a Unix socket.
    pub fn socket_path(&self) -> Option<PathBuf> {
        match self {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix { directory, port } => Some(directory.join(format!(".s.PGSQL.{port}"))),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(f, "{address}"),
            ListenAddress::Unix { directory, port } => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// Encryption between clients and Howdah.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// Clients that ask for it are told no.
    Disabled,
    /// Clients may use it, or must.
    Enabled {
        /// Whether clients without it are refused.
        required: bool,
        /// Certificate and key.
        identity: TlsIdentity,
        /// Authorities that sign clients' certificates.
        client_ca: Option<PemFile>,
    },
}

/// A PEM file that was read with the configuration, so that a changed certificate is a changed value.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its bytes; at least one PEM section of the kind asked for.
    pub bytes: Arc<[u8]>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PemFile({})", self.path.display())
    }
}

/// A certificate chain with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The chain, the own certificate first.
    pub certificate: PemFile,
    /// The private key.
    pub key: PemFile,
}
