//! What a certificate chain says, and which of the roots trusted here it ends in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Name;

/// Where distributions keep the roots of public authorities alone, beside the store that has the administrator's too:
/// a directory of PEM files, or one file. Debian, Ubuntu and Alpine; Fedora and its kin; Arch.
pub const PUBLIC_ROOTS: [&str; 3] = [
    "/usr/share/ca-certificates/mozilla",
    "/usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit",
    "/usr/share/ca-certificates/trust-source/mozilla.trust.p11-kit",
];

/// A certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Whom it is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when it holds, in seconds since 1970.
    pub not_after: i64,
}

/// Where the root of a chain is trusted from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Root {
    /// The system's store; a public authority.
    Public {
        /// Its name.
        name: String,
    },
    /// The system's store, where an administrator has put it: no public authority.
    System {
        /// Its name.
        name: String,
    },
    /// The system's store; whether it is a public authority cannot be told here.
    Unclear {
        /// Its name.
        name: String,
    },
    /// A file of the settings, and not the system's store.
    File {
        /// Its name.
        name: String,
        /// The file.
        file: PathBuf,
    },
    /// Nobody here: the name is of who signed last.
    Unknown {
        /// Its name.
        name: String,
    },
}

impl Root {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Public { name }
            | Self::System { name }
            | Self::Unclear { name }
            | Self::File { name, .. }
            | Self::Unknown { name } => name,
        }
    }

    /// Whether it is known to be no public authority's: then somebody on the way has opened the TLS.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::System { .. } | Self::File { .. })
    }
}

/// Reads what the certificates of a chain say; those that cannot be read are left out.
pub fn describe(chain: &[CertificateDer<'_>]) -> Vec<Certificate> {
    let one = |certificate: &CertificateDer<'_>| {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some(Certificate {
            subject: name(parsed.subject()).unwrap_or_else(|| alternative(&parsed)),
            issuer: name(parsed.issuer()).unwrap_or_default(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    };
    chain.iter().filter_map(one).collect()
}

/// The roots trusted here, by their names.
#[derive(Debug, Default)]
pub struct Roots {
    system: HashMap<Vec<u8>, String>,
    /// `None`: there is nothing here that tells.
    public: Option<HashMap<Vec<u8>, String>>,
    files: Vec<(PathBuf, HashMap<Vec<u8>, String>)>,
}

impl Roots {
    /// Reads the system's store, the public ones of it (of the first of [`PUBLIC_ROOTS`] that is there), and `files`.
    /// Reads many files: call it from the blocking pool.
    pub fn read(files: &[PathBuf], public: &[&str]) -> Self {
        let public = public.iter().map(Path::new).find(|path| path.exists()).map(|path| {
            let inside = std::fs::read_dir(path).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
            let inside: Vec<PathBuf> = inside.unwrap_or_else(|_| vec![path.to_owned()]);
            inside.iter().flat_map(|file| of_file(file)).collect::<HashMap<_, _>>()
        });
        Self {
            system: by_name(&rustls_native_certs::load_native_certs().certs),
            public: public.filter(|found| !found.is_empty()),
            files: files.iter().map(|file| (file.clone(), of_file(file))).collect(),
        }
    }

    /// Where the root of a chain comes from, by the names in it: whether the signatures are right is the verifier's to
    /// say. `None` where there is no certificate to look at.
    pub fn of(&self, chain: &[CertificateDer<'_>]) -> Option<Root> {
        let parsed: Vec<X509Certificate<'_>> =
            chain.iter().filter_map(|der| Some(x509_parser::parse_x509_certificate(der).ok()?.1)).collect();
        let mut last = parsed.first()?;
        for _ in 0..parsed.len() {
            let next = parsed.iter().find(|other| {
                other.subject().as_raw() == last.issuer().as_raw() && last.subject().as_raw() != last.issuer().as_raw()
            });
            let Some(next) = next else { break };
            last = next;
        }
        let issuer = last.issuer().as_raw();
        if let Some(name) = self.system.get(issuer) {
            let name = name.clone();
            return Some(match &self.public {
                None => Root::Unclear { name },
                Some(public) if public.contains_key(issuer) => Root::Public { name },
                Some(_) => Root::System { name },
            });
        }
        let in_file = self.files.iter().find_map(|(file, names)| {
            names.get(issuer).map(|name| Root::File { name: name.clone(), file: file.clone() })
        });
        in_file.or_else(|| Some(Root::Unknown { name: name(last.issuer()).unwrap_or_default() }))
    }
}

fn of_file(path: &Path) -> HashMap<Vec<u8>, String> {
    let found = CertificateDer::pem_file_iter(path).map(|found| found.flatten().collect::<Vec<_>>());
    by_name(&found.unwrap_or_default())
}

fn by_name(certificates: &[CertificateDer<'_>]) -> HashMap<Vec<u8>, String> {
    let named = certificates.iter().filter_map(|certificate| {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some((parsed.subject().as_raw().to_vec(), name(parsed.subject()).unwrap_or_default()))
    });
    named.collect()
}

/// The common name, else the organisation, else all there is.
fn name(name: &X509Name<'_>) -> Option<String> {
    let first = |part: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        part.and_then(|value| value.as_str().ok()).map(str::to_owned)
    };
    let text = first(name.iter_common_name().next())
        .or_else(|| first(name.iter_organizational_unit().next()))
        .or_else(|| first(name.iter_organization().next()))
        .unwrap_or_else(|| name.to_string());
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(text).filter(|text| !text.is_empty())
}

/// The first name of those that a certificate without a subject is for.
fn alternative(certificate: &X509Certificate<'_>) -> String {
    let names = certificate.subject_alternative_name().ok().flatten();
    let first = names.and_then(|names| names.value.general_names.first().map(ToString::to_string));
    first.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::*;

    fn authority(name: &str) -> (Issuer<'static, KeyPair>, String, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&key).unwrap();
        (Issuer::new(params, key), made.pem(), made.der().clone())
    }

    fn leaf(issuer: &Issuer<'static, KeyPair>) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["x.example.org".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "x.example.org");
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    #[test]
    fn where_a_root_comes_from_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (corporate, pem, own) = authority("Corporate inspection");
        let (public, public_pem, _) = authority("Public authority");
        let file = directory.path().join("corporate.pem");
        std::fs::write(&file, pem).unwrap();
        let publics = directory.path().join("public");
        std::fs::create_dir(&publics).unwrap();
        std::fs::write(publics.join("one.crt"), public_pem).unwrap();
        let mut roots = Roots::read(std::slice::from_ref(&file), &["/nonexistent", publics.to_str().unwrap()]);
        let chain = [leaf(&corporate), own.clone()];
        let in_file = Root::File { name: "Corporate inspection".to_owned(), file };
        assert_eq!(roots.of(&chain), Some(in_file.clone()));
        assert!(in_file.is_private());
        assert_eq!(roots.of(&chain[..1]), Some(in_file));
        assert_eq!(roots.of(&[]), None);
        let other = [leaf(&public)];
        assert_eq!(roots.of(&other), Some(Root::Unknown { name: "Public authority".to_owned() }));
        roots.system = roots.public.clone().unwrap();
        assert_eq!(roots.of(&other), Some(Root::Public { name: "Public authority".to_owned() }));
        roots.system.extend(by_name(&[own]));
        assert_eq!(roots.of(&chain).unwrap(), Root::System { name: "Corporate inspection".to_owned() });
        roots.public = None;
        assert_eq!(roots.of(&other), Some(Root::Unclear { name: "Public authority".to_owned() }));
        let told = describe(&chain);
        assert_eq!((told[0].subject.as_str(), told[0].issuer.as_str()), ("x.example.org", "Corporate inspection"));
        assert_eq!(told.len(), 2);
    }
}
