//! TLS on client connections, Howdah being the server.

use super::certificate::{TlsConfigError, end_point_hash, read_certificates, read_private_key};
use super::prefixed::Prefixed;
use super::stream::Stream;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The protocol name of Postgres over TLS, which direct TLS connections must ask for.
const ALPN: &[u8] = b"postgresql";

/// Files of a TLS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServerFiles {
    /// Certificate chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Roots of client certificates, PEM; without it no client certificate is asked for. Those that a
    /// client sends must be trusted; whether one must be sent is for the HBA rules to say.
    pub client_ca: Option<PathBuf>,
}

/// A TLS server's settings, ready to accept.
#[derive(Clone)]
pub struct TlsServer {
    acceptor: tokio_rustls::TlsAcceptor,
    end_point_hash: Option<Arc<[u8]>>,
}

impl std::fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl TlsServer {
    /// Reads the files. Blocks on disk: for start and reload.
    ///
    /// # Errors
    /// [`TlsConfigError`]
    pub fn load(files: &TlsServerFiles) -> Result<Self, TlsConfigError> {
        let chain = read_certificates(&files.certificate)?;
        let hash = chain.first().and_then(|own| end_point_hash(own)).map(Arc::from);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Versions)?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in read_certificates(path)? {
                    roots
                        .add(certificate)
                        .map_err(|source| TlsConfigError::Root { path: path.clone(), source })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(TlsConfigError::ClientVerifier)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, read_private_key(&files.key)?)
            .map_err(TlsConfigError::KeyPair)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsServer { acceptor: Arc::new(config).into(), end_point_hash: hash })
    }

    /// The hash of the server's certificate for channel binding, where its signature defines one.
    pub fn end_point_hash(&self) -> Option<&[u8]> {
        self.end_point_hash.as_deref()
    }

    /// Runs the TLS handshake on a plain TCP stream, of which `read` was read already.
    ///
    /// # Errors
    /// The socket's, or `InvalidData` with rustls's reason.
    pub async fn accept(&self, stream: Stream, read: Vec<u8>) -> io::Result<Stream> {
        let Stream::Tcp(tcp) = stream else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is for plain TCP connections only"));
        };
        Ok(Stream::TlsServer(Box::new(self.acceptor.accept(Prefixed::new(read, tcp)).await?)))
    }
}

/// Whether the client asked for the protocol `postgresql` by ALPN; a direct TLS connection must.
pub fn is_postgres_alpn(stream: &Stream) -> bool {
    match stream {
        Stream::TlsServer(tls) => tls.get_ref().1.alpn_protocol() == Some(ALPN),
        Stream::Tcp(_) | Stream::Unix(_) | Stream::TlsClient(_) => false,
    }
}
