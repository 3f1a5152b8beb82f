//! Checks certificates as the verifier it stands before does, and tells who looks on what was shown and found.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::observe::{Event, note};

/// Certificates of a chain that are told; more is nobody's chain.
const CHAIN: usize = 12;

/// Stands before another verifier.
#[derive(Debug)]
pub(super) struct Witness(pub(super) Arc<dyn ServerCertVerifier>);

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        note(|| Event::Certificates {
            host: server_name.to_str().into_owned(),
            chain: std::iter::once(end_entity)
                .chain(intermediates)
                .take(CHAIN)
                .cloned()
                .map(CertificateDer::into_owned)
                .collect(),
            refused: verdict.as_ref().err().map(|error| match error {
                Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "its issuer is not trusted here".to_owned()
                }
                Error::InvalidCertificate(error) => error.to_string(),
                error => error.to_string(),
            }),
        });
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[rustls::DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}
