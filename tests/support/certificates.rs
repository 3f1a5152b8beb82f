//! A CA of the test's own, and certificates of servers.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]
#![allow(clippy::allow_attributes, reason = "an unfulfilled `expect` would fail in the targets that use all of it")]

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// Who signs.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Files that a server takes.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TestCa {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "CA of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The CA's certificate in a file of `directory`.
    pub fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("test-ca.pem");
        fs::write(&path, &self.pem).unwrap();
        path
    }

    /// A server's certificate and key for these names, in files of `directory` that begin with `name`.
    pub fn identity(&self, directory: &Path, name: &str, names: &[&str], expired: bool) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        if expired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        write(directory, name, &pem, &key)
    }
}

/// A certificate that nobody but its own key has signed.
pub fn self_signed(directory: &Path, name: &str, names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    write(directory, name, &params.self_signed(&key).unwrap().pem(), &key)
}

fn write(directory: &Path, name: &str, certificate: &str, key: &KeyPair) -> Identity {
    let identity =
        Identity { certificate: directory.join(format!("{name}.pem")), key: directory.join(format!("{name}.key")) };
    fs::write(&identity.certificate, certificate).unwrap();
    fs::write(&identity.key, key.serialize_pem()).unwrap();
    identity
}
