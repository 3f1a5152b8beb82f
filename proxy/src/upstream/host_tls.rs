//! What the settings say of TLS with single hosts, origins and proxies alike.

use std::path::PathBuf;

use base64::Engine as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::ConfigError;
use crate::host_pattern::HostPattern;

/// TLS with the hosts that a pattern covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTls {
    /// Which hosts and ports.
    pub hosts: Vec<HostPattern>,
    /// Who to be there.
    pub identity: Option<ClientIdentity>,
    /// The public keys of which the peer's must be one; none for any. Its certificate is checked all the same.
    pub pins: Vec<Pin>,
}

impl HostTls {
    /// Whether it is about this host (an IPv6 address without brackets).
    pub fn matches(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host, port))
    }
}

/// A client certificate and its key, in PEM files, read when they are first needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// The key; it may be in the same file.
    pub key: PathBuf,
}

impl ClientIdentity {
    /// Reads both. The error names the file and says what is wrong with it.
    pub fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let wrong =
            |path: &PathBuf, what: &str| format!("the client certificate cannot be used: {}: {what}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong(&self.certificate, &error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, "there is no certificate in PEM form"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| match error {
            rustls_pki_types::pem::Error::NoItemsFound => {
                wrong(&self.key, "there is no key in PEM form without a password (`openssl pkey` takes one off)")
            }
            error => wrong(&self.key, &error.to_string()),
        })?;
        Ok((chain, key))
    }

    pub(super) fn refused(&self, why: &str) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("the client certificate in {certificate} cannot be used with the key in {key}: {why}")
    }
}

/// The SHA-256 of a public key as it stands in a certificate (SubjectPublicKeyInfo, DER).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads curl's form: `sha256//` and base64.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let digest = text
            .strip_prefix("sha256//")
            .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok())
            .and_then(|bytes| bytes.try_into().ok());
        digest.map(Self).ok_or_else(|| ConfigError::Pin { text: text.to_owned() })
    }

    /// That of a certificate's key.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.public_key().raw);
        digest.as_ref().try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256//{}", base64::engine::general_purpose::STANDARD.encode(self.0))
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_written_as_curl_has_them() {
        let text = "sha256//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(Pin::parse(text).unwrap().to_string(), text);
        for wrong in ["", "AAEC", "sha256//", "sha256//AAEC", "sha1//AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="] {
            let error = Pin::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("sha256//"), "{error}");
        }
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key] = ["a.pem", "b.pem"].map(|name| directory.path().join(name));
        let identity = ClientIdentity { certificate: certificate.clone(), key: key.clone() };
        assert!(identity.read().unwrap_err().contains("a.pem"));
        let made = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&made).unwrap();
        std::fs::write(&certificate, own.pem()).unwrap();
        std::fs::write(&key, "nothing").unwrap();
        let error = identity.read().unwrap_err();
        assert!(error.contains("b.pem: there is no key in PEM form"), "{error}");
        std::fs::write(&key, made.serialize_pem()).unwrap();
        assert_eq!(identity.read().unwrap().0.len(), 1);
    }
}
