//! X.509 certificates: PEM files, the hash for channel binding, names.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Digest;
use std::path::{Path, PathBuf};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Why certificates or keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read {} as PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate", .0.display())]
    Empty(PathBuf),
    /// A root file holds a certificate that cannot be one.
    #[error("{} holds a certificate that cannot be used as a root", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("certificate and private key cannot be used")]
    KeyPair(#[source] rustls::Error),
    /// The client certificate check cannot be set up.
    #[error("client certificate verification cannot be set up")]
    ClientVerifier(#[source] rustls::server::VerifierBuilderError),
    /// No protocol version fits the cryptography.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
    /// A mode that verifies needs root certificates.
    #[error("sslmode verify-ca and verify-full need a root certificate file")]
    NoRoots,
}

/// Reads all certificates of a PEM file, at least one.
///
/// # Errors
/// [`TlsConfigError`] with the file's name.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let pem = |source| TlsConfigError::Pem { path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(pem)?.collect::<Result<_, _>>().map_err(pem)?;
    if certificates.is_empty() { Err(TlsConfigError::Empty(path.to_owned())) } else { Ok(certificates) }
}

/// Reads the private key of a PEM file.
///
/// # Errors
/// [`TlsConfigError`] with the file's name.
pub fn read_private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsConfigError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsConfigError::Pem { path: path.to_owned(), source })
}

/// The hash of a server certificate for the channel binding `tls-server-end-point`.
///
/// The hash is the one of the certificate's signature, SHA-256 in place of MD5 and SHA-1; `None` where
/// the signature has no single hash (Ed25519) or the certificate cannot be read. Source: RFC 5929, 4.1.
pub fn end_point_hash(certificate: &[u8]) -> Option<Box<[u8]>> {
    use x509_parser::signature_algorithm::SignatureAlgorithm as S;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm;
    let sha2_bits = match algorithm.algorithm.to_id_string().as_str() {
        // md5, sha1, sha256 with RSA; ECDSA with SHA-1, SHA-256
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => 256,
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => 256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => 384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => 512,
        _ => match S::try_from(algorithm) {
            Ok(S::RSASSA_PSS(params)) => match params.hash_algorithm_oid().to_id_string().as_str() {
                "1.3.14.3.2.26" | "2.16.840.1.101.3.4.2.1" => 256,
                "2.16.840.1.101.3.4.2.2" => 384,
                "2.16.840.1.101.3.4.2.3" => 512,
                _ => return None,
            },
            _ => return None,
        },
    };
    Some(match sha2_bits {
        512 => sha2::Sha512::digest(certificate).as_slice().into(),
        384 => sha2::Sha384::digest(certificate).as_slice().into(),
        _ => sha2::Sha256::digest(certificate).as_slice().into(),
    })
}

/// The last common name of a certificate's subject; `None` where it has none, or one that holds a zero
/// byte (which would let one name pass for another).
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = parsed.subject().iter_common_name().last()?.as_str().ok()?;
    (!name.contains('\0')).then(|| name.to_owned())
}

/// Whether a certificate names hosts in a subjectAltName extension.
pub(super) fn has_alternative_names(certificate: &X509Certificate<'_>) -> bool {
    !matches!(certificate.subject_alternative_name(), Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    fn certificate(name: &str, key: &KeyPair) -> Vec<u8> {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(key).unwrap().der().to_vec()
    }

    #[test]
    fn end_point_hash_is_the_one_of_the_signature() {
        let sha256 = certificate("a", &KeyPair::generate().unwrap());
        assert_eq!(end_point_hash(&sha256).as_deref(), Some(sha2::Sha256::digest(&sha256).as_slice()));
        let sha384 = certificate("a", &KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
        assert_eq!(end_point_hash(&sha384).as_deref(), Some(sha2::Sha384::digest(&sha384).as_slice()));
        let none = certificate("a", &KeyPair::generate_for(&PKCS_ED25519).unwrap());
        assert_eq!(end_point_hash(&none), None);
        assert_eq!(end_point_hash(b"no certificate"), None);
    }

    #[test]
    fn common_names_are_read_and_those_with_zero_bytes_are_not() {
        let key = KeyPair::generate().unwrap();
        assert_eq!(common_name(&certificate("cert_user", &key)).as_deref(), Some("cert_user"));
        assert_eq!(common_name(&certificate("admin\0x", &key)), None);
        assert_eq!(common_name(b"no certificate"), None);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.crt");
        let error = |result: Result<Vec<_>, TlsConfigError>| result.unwrap_err().to_string();
        assert!(error(read_certificates(&path)).contains("server.crt"));
        std::fs::write(&path, "no PEM in here").unwrap();
        assert!(error(read_certificates(&path)).contains("holds no certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n").unwrap();
        assert!(error(read_certificates(&path)).contains("as PEM"));
        assert!(read_private_key(&path).is_err());
    }
}
