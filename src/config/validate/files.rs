//! Files and variables that the configuration names: PEM files, secrets.

use super::Context;
use crate::config::model::{PemFile, Secret, TlsIdentity};
use crate::config::raw::RawSecret;
use crate::diagnostic::At;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::ops::Range;

/// Largest file that is read: no certificate bundle or password comes near.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What a PEM file must hold.
#[derive(Clone, Copy)]
pub(super) enum Pem {
    Certificates,
    PrivateKey,
}

impl Context<'_> {
    /// The secret that a key gives, directly or through `env:` or `file:`. Its text is never reported.
    pub(super) fn secret(&mut self, raw: At<RawSecret>, key: &str) -> Option<Secret> {
        let text = raw.get().0.as_str();
        let found = match text.split_once(':') {
            Some(("env", name)) => match (self.environment)(name) {
                Some(value) => Ok(value),
                None => Err(format!("`{key}` names an environment variable that is not set")),
            },
            Some(("file", path)) => self.secret_file(path).map_err(|error| format!("`{key}`: {error}")),
            Some(("literal", text)) => Ok(text.to_owned()),
            _ => Ok(text.to_owned()),
        };
        let found = found.and_then(|text| match text.contains('\0') || text.is_empty() {
            true => Err(format!("`{key}` is empty, or contains a zero byte")),
            false => Ok(Secret::new(text)),
        });
        let allowed = "the secret itself, \"env:NAME\", \"file:PATH\" or \"literal:TEXT\"";
        found.map_err(|message| self.error(raw.span(), message, allowed)).ok()
    }

    fn secret_file(&mut self, path: &str) -> Result<String, String> {
        let bytes = self.read(path)?;
        let text = String::from_utf8(bytes).map_err(|_ignored| "the file is not UTF-8".to_owned())?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let path = self.resolve(path);
        let length = std::fs::metadata(&path).map_err(|error| error.to_string())?;
        if !length.is_file() || length.len() > FILE_BYTES_MAX {
            return Err(format!("not a file of at most {FILE_BYTES_MAX} bytes"));
        }
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        self.files.push(path);
        Ok(bytes)
    }

    /// A PEM file with at least one section of a kind, every one of them readable.
    pub(super) fn pem(&mut self, raw: &At<String>, kind: Pem) -> Option<PemFile> {
        let bytes = match self.read(raw.get()) {
            Ok(bytes) => bytes,
            Err(error) => {
                let path = self.resolve(raw.get());
                let found = format!("cannot read {:?}: {error}", path.display().to_string());
                self.error(raw.span(), found, "a PEM file; relative paths start at the configuration file");
                return None;
            }
        };
        let (is_good, what) = match kind {
            Pem::Certificates => {
                let sections: Vec<_> = CertificateDer::pem_slice_iter(&bytes).collect();
                (!sections.is_empty() && sections.iter().all(Result::is_ok), "-----BEGIN CERTIFICATE-----")
            }
            Pem::PrivateKey => (PrivateKeyDer::from_pem_slice(&bytes).is_ok(), "-----BEGIN PRIVATE KEY-----"),
        };
        if !is_good {
            let found = format!("{:?} is not such a PEM file", raw.get());
            self.error(raw.span(), found, format!("a PEM file with {what}"));
            return None;
        }
        Some(PemFile { path: self.resolve(raw.get()), bytes: bytes.into() })
    }

    /// A certificate with its key: both or neither.
    pub(super) fn identity(
        &mut self,
        certificate: Option<At<String>>,
        key: Option<At<String>>,
        table: Range<usize>,
    ) -> Option<TlsIdentity> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => (certificate, key),
            (certificate, key) => {
                let span = certificate.or(key).map_or(table, |given| given.span());
                self.error(
                    span,
                    "a certificate without its key, or a key without its certificate",
                    "both or neither",
                );
                return None;
            }
        };
        let certificate = self.pem(&certificate, Pem::Certificates);
        let key = self.pem(&key, Pem::PrivateKey);
        Some(TlsIdentity { certificate: certificate?, key: key? })
    }
}
