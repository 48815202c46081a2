//! Certificates for one test run: an authority, servers and clients signed by it, and a stranger.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// PEM files in a folder.
pub struct Certificates {
    pub folder: tempfile::TempDir,
}

impl Certificates {
    /// Makes them: `ca`, `other-ca`, `ed25519-ca`, `localhost` (alternative name), `cn-only` (common name localhost and
    /// no alternative names), `ed25519`, `cert_user` (client), `stranger` (client of the other authority).
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let ca = authority(at, "ca");
        let other = authority(at, "other-ca");
        let ecdsa = || KeyPair::generate().unwrap();
        issue(at, "localhost", "localhost", &["localhost"], (&ca, ecdsa()));
        issue(at, "cn-only", "localhost", &[], (&ca, ecdsa()));
        let ed25519 = authority_with(at, "ed25519-ca", ed25519_key());
        issue(at, "ed25519", "localhost", &["localhost"], (&ed25519, ed25519_key()));
        issue(at, "cert_user", "cert_user", &[], (&ca, ecdsa()));
        issue(at, "stranger", "cert_user", &[], (&other, ecdsa()));
        Certificates { folder }
    }

    /// A certificate's file.
    pub fn certificate(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.crt"))
    }

    /// Its key's file.
    pub fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }
}

fn write(folder: &Path, name: &str, certificate: &rcgen::Certificate, key: &KeyPair) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(folder.join(format!("{name}.crt")), certificate.pem()).unwrap();
    let path = folder.join(format!("{name}.key"));
    std::fs::write(&path, key.serialize_pem()).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn ed25519_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()
}

fn authority(folder: &Path, name: &str) -> Issuer<'static, KeyPair> {
    authority_with(folder, name, KeyPair::generate().unwrap())
}

fn authority_with(folder: &Path, name: &str, key: KeyPair) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write(folder, name, &params.self_signed(&key).unwrap(), &key);
    Issuer::new(params, key)
}

fn issue(
    folder: &Path,
    name: &str,
    common_name: &str,
    hosts: &[&str],
    (issuer, key): (&Issuer<'static, KeyPair>, KeyPair),
) {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    write(folder, name, &params.signed_by(&key, issuer).unwrap(), &key);
}
