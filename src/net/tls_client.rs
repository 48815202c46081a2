//! TLS on server connections, Howdah being the client: libpq's `sslmode`s.

use super::certificate::{
    TlsConfigError, common_name, has_alternative_names, read_certificates, read_private_key,
};
use super::stream::Stream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How much of TLS a server connection must have, as libpq's `sslmode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it, unverified.
    #[default]
    Prefer,
    /// TLS or failure; unverified unless there is a root file, which makes it [`SslMode::VerifyCa`].
    Require,
    /// TLS with a certificate of a trusted root.
    VerifyCa,
    /// TLS with a certificate of a trusted root for the host's name.
    VerifyFull,
}

/// Mode and files of TLS to servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsClientFiles {
    /// The mode.
    pub mode: SslMode,
    /// Trusted roots, PEM.
    pub root_certificate: Option<PathBuf>,
    /// Client certificate chain and its private key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// TLS settings of a server, ready to connect.
#[derive(Clone, Debug)]
pub struct TlsClient {
    mode: SslMode,
    config: Option<Arc<rustls::ClientConfig>>,
}

impl TlsClient {
    /// No TLS.
    pub fn disabled() -> Self {
        TlsClient { mode: SslMode::Disable, config: None }
    }

    /// Reads the files. Blocks on disk: for start and reload.
    ///
    /// # Errors
    /// [`TlsConfigError`]
    pub fn load(files: &TlsClientFiles) -> Result<Self, TlsConfigError> {
        let trust = match (files.mode, &files.root_certificate) {
            (SslMode::Disable, _) => return Ok(TlsClient::disabled()),
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => return Err(TlsConfigError::NoRoots),
            (SslMode::Prefer, _) | (SslMode::Require, None) => Trust::Anyone,
            (SslMode::Require | SslMode::VerifyCa, Some(path)) => Trust::Roots(read_roots(path)?),
            (SslMode::VerifyFull, Some(path)) => Trust::RootsAndName(read_roots(path)?),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }));
        let config = match &files.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_private_key(key)?)
                .map_err(TlsConfigError::KeyPair)?,
        };
        Ok(TlsClient { mode: files.mode, config: Some(Arc::new(config)) })
    }

    /// The mode.
    pub fn mode(&self) -> SslMode {
        self.mode
    }

    /// Runs the TLS handshake on a plain TCP stream.
    ///
    /// # Errors
    /// The socket's, or `InvalidData` with rustls's reason, such as a certificate that is not trusted.
    pub async fn connect(&self, stream: Stream, host: &str) -> io::Result<Stream> {
        let (Stream::Tcp(tcp), Some(config)) = (stream, &self.config) else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS is for plain TCP connections only"));
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))?;
        let tls = tokio_rustls::TlsConnector::from(config.clone()).connect(name, tcp).await?;
        Ok(Stream::TlsClient(Box::new(tls)))
    }
}

#[derive(Debug)]
struct Roots {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

fn read_roots(path: &Path) -> Result<Roots, TlsConfigError> {
    let certificates = read_certificates(path)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store
            .add(certificate.clone())
            .map_err(|source| TlsConfigError::Root { path: path.to_owned(), source })?;
    }
    Ok(Roots { store, certificates })
}

#[derive(Debug)]
enum Trust {
    Anyone,
    Roots(Roots),
    RootsAndName(Roots),
}

/// libpq's rules where they differ from the web's: a mode without the host's name, a server's
/// self-signed certificate named as root, and the common name where there are no alternative names.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (roots, checks_name) = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::Roots(roots) => (roots, false),
            Trust::RootsAndName(roots) => (roots, true),
        };
        if roots.certificates.contains(end_entity) {
            verify_validity(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                &roots.store,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        if checks_name {
            verify_name(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn verify_validity(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_invalid| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() {
        Err(CertificateError::NotValidYet.into())
    } else if now > validity.not_after.timestamp() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

fn verify_name(certificate: &CertificateDer<'_>, server_name: &ServerName<'_>) -> Result<(), rustls::Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_invalid| CertificateError::BadEncoding)?;
    if has_alternative_names(&parsed) {
        let reparsed = ParsedCertificate::try_from(certificate);
        return reparsed.and_then(|certificate| verify_server_name(&certificate, server_name));
    }
    let is_named = common_name(certificate).is_some_and(|name| name_matches(&name, &server_name.to_str()));
    if is_named { Ok(()) } else { Err(CertificateError::NotValidForName.into()) }
}

/// Whether a common name stands for `host`; a leading `*.` stands for one label.
fn name_matches(name: &str, host: &str) -> bool {
    name.eq_ignore_ascii_case(host)
        || match (name.strip_prefix("*."), host.split_once('.')) {
            (Some(domain), Some((label, rest))) => {
                domain.contains('.') && !label.is_empty() && domain.eq_ignore_ascii_case(rest)
            }
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_name_matches_exactly_or_by_one_label() {
        assert!(name_matches("db.example.com", "DB.example.com"));
        assert!(name_matches("*.example.com", "db.example.com"));
        assert!(!name_matches("*.example.com", "a.db.example.com"));
        assert!(!name_matches("*.com", "example.com"));
        assert!(!name_matches("*.example.com", "example.com"));
        assert!(!name_matches("*.example.com", ".example.com"));
    }
}
