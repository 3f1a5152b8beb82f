//! What there is of root certificates, for whoever looks into why TLS fails.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// The roots that upstream TLS is checked by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Certificates of the system's store (or of `SSL_CERT_FILE` and `SSL_CERT_DIR`).
    pub system: usize,
    /// What of it could not be read.
    pub errors: Vec<String>,
    /// The user's own files, each with what it holds.
    pub files: Vec<(PathBuf, FileOfRoots)>,
}

/// What a file of roots holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOfRoots {
    /// Certificates, and how many of them have run out.
    Certificates {
        /// All of them.
        all: usize,
        /// Those that have run out, or do not hold yet.
        expired: usize,
    },
    /// Nothing that can be used, and why.
    Unusable(String),
}

impl FileOfRoots {
    /// How many certificates can be used.
    pub fn usable(&self) -> usize {
        match self {
            Self::Certificates { all, expired } => all - expired,
            Self::Unusable(_) => 0,
        }
    }
}

/// Looks at the system's roots and at `files`. Reads many files: call it from the blocking pool.
pub fn survey(files: &[PathBuf], now: SystemTime) -> Survey {
    let native = rustls_native_certs::load_native_certs();
    Survey {
        system: native.certs.len(),
        errors: native.errors.iter().map(ToString::to_string).collect(),
        files: files.iter().map(|path| (path.clone(), file(path, now))).collect(),
    }
}

fn file(path: &Path, now: SystemTime) -> FileOfRoots {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found {
        Err(error) => FileOfRoots::Unusable(error.to_string()),
        Ok(found) if found.is_empty() => FileOfRoots::Unusable("there is no certificate in PEM form".to_owned()),
        Ok(found) => {
            let expired = found.iter().filter(|certificate| !holds(certificate, now)).count();
            FileOfRoots::Certificates { all: found.len(), expired }
        }
    }
}

/// Whether the time is within the certificate's validity.
fn holds(certificate: &CertificateDer<'_>, now: SystemTime) -> bool {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(seconds).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_counted_and_its_dates_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let pem = params.self_signed(&key).unwrap().pem();
        std::fs::write(&path, format!("text before\n{pem}{pem}")).unwrap();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(file(&path, at(1_700_000_000)), FileOfRoots::Certificates { all: 2, expired: 0 });
        assert_eq!(file(&path, at(2_000_000_000)), FileOfRoots::Certificates { all: 2, expired: 2 });
        assert_eq!(file(&path, at(1_000_000_000)), FileOfRoots::Certificates { all: 2, expired: 2 });
        std::fs::write(&path, "nothing").unwrap();
        assert!(matches!(file(&path, at(0)), FileOfRoots::Unusable(_)));
        assert!(matches!(file(&directory.path().join("absent"), at(0)), FileOfRoots::Unusable(_)));
    }
}
