//! The check of a peer's certificate where its key counts, too.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::host_tls::Pin;

/// Checks chain and name as ever, then the key.
#[derive(Debug)]
pub(super) struct Verify {
    pub(super) inner: Arc<WebPkiServerVerifier>,
    /// Keys of which the peer's must be one.
    pub(super) pins: Vec<Pin>,
}

#[derive(Debug)]
struct WrongKey {
    pins: usize,
    shown: Option<Pin>,
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.shown.map_or_else(|| "cannot be read".to_owned(), |pin| format!("is {pin}"));
        let pinned = if self.pins == 1 { "not the one" } else { "none of those" };
        write!(
            f,
            "its key {shown}, {pinned} that `pins` of `upstream_tls` names: something stands in between, or the host \
             has a new key"
        )
    }
}

impl std::error::Error for WrongKey {}

impl ServerCertVerifier for Verify {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now)?;
        let shown = Pin::of(end_entity);
        if shown.is_some_and(|shown| self.pins.contains(&shown)) {
            return Ok(verified);
        }
        let wrong = WrongKey { pins: self.pins.len(), shown };
        Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(wrong)))))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}
