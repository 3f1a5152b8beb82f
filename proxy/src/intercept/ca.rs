//! The interception CA: one per folder, at most 30 days old, marked so that it can be found again in an image.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::ca_dir::CaDir;
use crate::error::CaError;

/// Life of the CA.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A CA with less life left is replaced, so that no build outlives the one it began with.
const RENEW_BEFORE: Duration = Duration::from_secs(3 * 24 * 3600);
/// Guests whose clocks run behind must accept new certificates.
pub(crate) const BACKDATE: Duration = Duration::from_secs(24 * 3600);

/// A certificate authority that signs leaves for intercepted hosts.
pub struct Ca {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) not_after: SystemTime,
    der: CertificateDer<'static>,
    pem: String,
    canary: String,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("canary", &self.canary).finish_non_exhaustive()
    }
}

impl Ca {
    /// Takes the CA in `dir`, or makes one where there is none, or where it has expired or soon will.
    pub fn load_or_create(dir: &Path, now: SystemTime) -> Result<Self, CaError> {
        let dir = CaDir::open(dir)?;
        let kept = match dir.read()? {
            // One that cannot be read as a CA is worth nothing, so it is replaced as an expired one is.
            Some(text) => Self::from_pem(&text).ok().filter(|ca| ca.serves(now)),
            None => None,
        };
        let ca = if let Some(ca) = kept {
            ca
        } else {
            let (ca, secret) = Self::generate(now)?;
            dir.write(&secret)?;
            ca
        };
        dir.publish(&ca.pem)?;
        Ok(ca)
    }

    /// The certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// A string found in this CA's subject and nowhere else.
    pub fn canary(&self) -> &str {
        &self.canary
    }

    fn serves(&self, now: SystemTime) -> bool {
        let left = self.not_after.duration_since(now).unwrap_or_default();
        left >= RENEW_BEFORE && left <= LIFE
    }

    /// A new CA, and the text to keep: key and certificate.
    fn generate(now: SystemTime) -> Result<(Self, String), CaError> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| failed("make a CA", "the system has no random numbers"))?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed("make a CA's key", error))?;
        let mut params = CertificateParams::default();
        params.not_before = (now - BACKDATE).into();
        params.not_after = (now + LIFE - BACKDATE).into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Larder interception CA");
        params.distinguished_name.push(DnType::OrganizationalUnitName, format!("larder-{}", hex::encode(random)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|error| failed("make a CA", error))?;
        let text = format!("{}{}", key.serialize_pem(), certificate.pem());
        Ok((Self::from_pem(&text)?, text))
    }

    fn from_pem(text: &str) -> Result<Self, CaError> {
        let bad = |error: &dyn fmt::Display| failed("read the CA", error);
        let key = KeyPair::from_pem(text).map_err(|error| bad(&error))?;
        let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| bad(&error))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| bad(&error))?;
        let subject = parsed.subject();
        let canary = subject.iter_organizational_unit().next().and_then(|unit| unit.as_str().ok());
        let canary = canary.ok_or_else(|| bad(&"it is not one of Larder's"))?.to_owned();
        let not_after = u64::try_from(parsed.validity().not_after.timestamp()).map_err(|error| bad(&error))?;
        if parsed.public_key().raw != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(bad(&"key and certificate do not belong together"));
        }
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| bad(&error))?;
        let pem = text.find("-----BEGIN CERTIFICATE").map(|at| text[at..].to_owned()).unwrap_or_default();
        Ok(Self { issuer, not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(not_after), der, pem, canary })
    }
}

fn failed(action: &'static str, message: impl fmt::Display) -> CaError {
    CaError::Certificate { action, message: message.to_string() }
}

#[cfg(test)]
mod tests;
