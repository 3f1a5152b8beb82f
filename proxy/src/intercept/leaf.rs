//! Certificates for intercepted hosts, made when first asked for and kept while they are in use.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use lru::LruCache;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::{CipherSuite, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ca::Ca;
use crate::error::CaError;

/// From the backdated beginning to the end: 24 hours ahead of now at most.
const LIFE_AHEAD: Duration = Duration::from_hours(23);
/// A leaf with less life left is made anew.
const RENEW_BEFORE: Duration = Duration::from_hours(1);
/// How far before now a leaf begins, for guests whose clocks run behind.
const BACKDATE: Duration = Duration::from_hours(1);
/// Hosts kept; a guest that asks for more only makes work.
const KEPT: usize = 1024;

/// Makes and keeps the server configuration of each host. All share one key pair (a leaf then costs 20 µs) and one
/// ticket key, so that sessions resume.
pub(crate) struct Leaves {
    ca: Arc<Ca>,
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    ticketer: Arc<dyn ProducesTickets>,
    kept: Mutex<LruCache<String, (SystemTime, Arc<ServerConfig>)>>,
}

/// What is spoken with clients: AES with 128 bits first. Clients put 256 bits first, whose SHA-384 no processor has
/// instructions for: a seventh of a handshake.
fn provider() -> CryptoProvider {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => 3,
        _ => 4,
    });
    provider
}

/// The same for a client that has no instructions for AES, and says so by what it wants most.
pub(crate) fn in_client_order(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.ignore_client_order = false;
    Arc::new(config)
}

impl Leaves {
    pub(crate) fn new(ca: Arc<Ca>) -> Result<Self, CaError> {
        let failed = |message: String| CaError::Certificate { action: "make a key for leaves", message };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(error.to_string()))?;
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            ca,
            key,
            provider: Arc::new(provider()),
            ticketer,
            kept: Mutex::new(LruCache::new(NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN))),
        })
    }

    /// The configuration to serve `host` with: a name in lower case, or an address without brackets.
    pub(crate) fn config(&self, host: &str, now: SystemTime) -> Result<Arc<ServerConfig>, CaError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((not_after, config)) = kept.get(host)
            && not_after.duration_since(now).is_ok_and(|left| left > RENEW_BEFORE)
        {
            return Ok(config.clone());
        }
        let not_after = (now + LIFE_AHEAD).min(self.ca.not_after);
        let config = Arc::new(self.make(host, now, not_after)?);
        kept.put(host.to_owned(), (not_after, config.clone()));
        Ok(config)
    }

    fn make(&self, host: &str, now: SystemTime, not_after: SystemTime) -> Result<ServerConfig, CaError> {
        let failed = |message: String| CaError::Certificate { action: "make a certificate for the host", message };
        let certificate = self.certificate(host, now, not_after).map_err(|error| failed(error.to_string()))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(|error| failed(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = self.ticketer.clone();
        config.ignore_client_order = true;
        // Tickets carry the session; a store a host would only cost memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(config)
    }

    fn certificate(
        &self,
        host: &str,
        now: SystemTime,
        not_after: SystemTime,
    ) -> Result<CertificateDer<'static>, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.not_before = (now - BACKDATE).into();
        params.not_after = not_after.into();
        params.distinguished_name = rcgen::DistinguishedName::new();
        // A common name holds 64 characters (RFC 5280 appendix A.1); clients look at the alternative name only.
        let common = if host.len() <= 64 { host } else { "larder" };
        params.distinguished_name.push(DnType::CommonName, common);
        params.subject_alt_names = vec![match host.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(host.try_into()?),
        }];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(&self.key, &self.ca.issuer)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    #[test]
    fn leaves_are_short_lived_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let ca = Arc::new(Ca::load_or_create(&dir.path().join("ca"), now).unwrap());
        let leaves = Leaves::new(ca.clone()).unwrap();
        let first = leaves.config("example.org", now).unwrap();
        assert!(Arc::ptr_eq(&first, &leaves.config("example.org", now).unwrap()));
        let later = leaves.config("example.org", now + Duration::from_hours(23)).unwrap();
        assert!(!Arc::ptr_eq(&first, &later));

        let long = format!("{}.example.org", "a".repeat(63));
        for host in ["example.org", "192.0.2.1", "2001:db8::1", "under_score.example.org", long.as_str()] {
            let der = leaves.certificate(host, now, now + LIFE_AHEAD).unwrap();
            let (_, leaf) = X509Certificate::from_der(&der).unwrap();
            let (_, issuer) = X509Certificate::from_der(ca.der()).unwrap();
            assert_eq!(leaf.issuer(), issuer.subject(), "{host}");
            let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
            assert!(life <= 24 * 3600, "{host}: {life} s");
            let names = leaf.subject_alternative_name().unwrap().unwrap();
            assert_eq!(names.value.general_names.len(), 1);
        }
        for index in 0..KEPT + 10 {
            leaves.config(&format!("h{index}.example.org"), now).unwrap();
        }
        assert_eq!(leaves.kept.lock().unwrap().len(), KEPT);
    }

    #[test]
    fn ten_thousand_names_leave_no_more_than_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let leaves = Leaves::new(Arc::new(Ca::load_or_create(&dir.path().join("ca"), now).unwrap())).unwrap();
        // As SNI has them from who means ill: most are names, some are none.
        let mut state = 7_u64;
        let mut refused = 0;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let odd = ["", "*.", "xn--", "_", "\u{e9}", "\0"][usize::try_from(state >> 61).unwrap() % 6];
            refused += usize::from(leaves.config(&format!("{odd}{state:x}.example.org"), now).is_err());
            assert!(leaves.kept.lock().unwrap().len() <= KEPT);
        }
        assert_eq!(leaves.kept.lock().unwrap().len(), KEPT);
        assert!(refused < 10_000, "{refused}");
    }
}
