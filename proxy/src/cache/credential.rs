//! Answers to credentials: kept for who has them, under a hash that says nothing without a secret of the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName};

use crate::policy::vary;
use crate::store::VaryField;

const NAME: &str = "credential.key";

/// Fields whose values are nobody's business: the index holds their hashes.
pub fn is_credential(name: &HeaderName) -> bool {
    const OTHERS: [&str; 8] = [
        "x-jfrog-art-api",
        "x-api-key",
        "x-auth-token",
        "private-token",
        "job-token",
        "x-amz-security-token",
        "x-vault-token",
        "x-consul-token",
    ];
    name == AUTHORIZATION || name == COOKIE || name == PROXY_AUTHORIZATION || OTHERS.contains(&name.as_str())
}

/// Whether an answer to a request with the field may be for its sender alone (RFC 9111 section 3.5, for the fields that
/// stand in for `Authorization` too). Cookies have rules of their own, and a login at this proxy says nothing of origins.
pub(crate) fn binds(name: &HeaderName) -> bool {
    is_credential(name) && name != COOKIE && name != PROXY_AUTHORIZATION
}

/// Hashes credentials with the secret of one cache.
#[derive(Debug)]
pub(super) struct Credentials {
    path: Option<PathBuf>,
    key: Mutex<Option<hmac::Key>>,
}

impl Credentials {
    /// With the secret in the cache's folder; it is made when it is first needed.
    pub(super) fn new(dir: Option<&Path>) -> Self {
        Self { path: dir.map(|dir| dir.join(NAME)), key: Mutex::default() }
    }

    /// What a response varies on, with the request's values: those of credentials hashed. With `bound` it is for nobody
    /// else than who has the request's `Authorization`, and what else it sent of that kind. `None` when there is no secret to hash with.
    pub(super) fn fields(&self, request: &HeaderMap, response: &HeaderMap, bound: bool) -> Option<Vec<VaryField>> {
        let mut fields = vary::fields(request, response);
        if bound {
            let sent = request.keys().filter(|name| binds(name) && *name != AUTHORIZATION).cloned();
            for name in std::iter::once(AUTHORIZATION).chain(sent) {
                if !fields.iter().any(|(known, _)| *known == name) {
                    fields.push((name, None));
                }
            }
        }
        for (name, value) in &mut fields {
            if is_credential(name) {
                *value = match joined(request, name) {
                    Some(credential) => Some(self.hash(name, &credential)?),
                    None => None,
                };
            }
        }
        Some(fields)
    }

    /// Whether a request selects a stored variant.
    pub(super) fn selects(&self, request: &HeaderMap, fields: &[VaryField], stored: &HeaderMap) -> bool {
        fields.iter().all(|field| self.selects_field(request, field, stored))
    }

    /// Whether it would with other credentials.
    pub(super) fn selects_but_for_credentials(
        &self,
        request: &HeaderMap,
        fields: &[VaryField],
        stored: &HeaderMap,
    ) -> bool {
        fields.iter().all(|field| binds(&field.0) || self.selects_field(request, field, stored))
    }

    fn selects_field(&self, request: &HeaderMap, field: &VaryField, head: &HeaderMap) -> bool {
        let (name, stored) = field;
        if !is_credential(name) {
            return vary::selects(request, std::slice::from_ref(field), head);
        }
        match (joined(request, name), stored) {
            (None, None) => true,
            (Some(credential), Some(stored)) => self.hash(name, &credential).as_ref() == Some(stored),
            _ => false,
        }
    }

    /// The hash of a request's `Authorization`.
    pub(super) fn of(&self, request: &HeaderMap) -> Option<String> {
        self.hash(&AUTHORIZATION, &joined(request, &AUTHORIZATION)?)
    }

    fn hash(&self, name: &HeaderName, credential: &[u8]) -> Option<String> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if key.is_none() {
            match load_or_create(self.path.as_deref()?) {
                Ok(secret) => *key = Some(hmac::Key::new(hmac::HMAC_SHA256, &secret)),
                Err(error) => {
                    tracing::warn!(%error, "no secret for credentials in the cache, so answers to them are not stored");
                    return None;
                }
            }
        }
        let mut context = hmac::Context::with_key(key.as_ref()?);
        context.update(name.as_str().as_bytes());
        context.update(b"\0");
        context.update(credential);
        Some(format!("hmac-sha256:{}", hex::encode(context.sign())))
    }
}

/// All values of a field; `None` where there are none.
fn joined(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = request.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    if values.is_empty() { None } else { Some(values.join(&b"\0"[..])) }
}

/// The secret, of which all processes that share the cache have to have the same: it is written whole under another
/// name, and the first to link it wins.
fn load_or_create(path: &Path) -> io::Result<[u8; 32]> {
    if let Some(secret) = load(path)? {
        return Ok(secret);
    }
    let mut secret = [0; 32];
    let mut suffix = [0; 8];
    let random = SystemRandom::new();
    let filled = random.fill(&mut secret).and_then(|()| random.fill(&mut suffix));
    filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
    let draft = path.with_extension(hex::encode(suffix));
    let written = write(&draft, &secret).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let _ = fs::remove_file(&draft);
    written?;
    load(path)?.ok_or_else(|| io::Error::other("the secret of the cache has vanished"))
}

fn write(path: &Path, secret: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret)?;
    file.sync_all()
}

fn load(path: &Path) -> io::Result<Option<[u8; 32]>> {
    let mut secret = [0; 32];
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(mut file) => file.read_exact(&mut secret)?,
    }
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use http::HeaderValue;
    use http::header::VARY;

    use super::*;

    fn with(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])
    }

    #[test]
    fn one_secret_for_all_who_share_the_cache() {
        let dir = tempfile::TempDir::new().unwrap();
        let (one, two) = (Credentials::new(Some(dir.path())), Credentials::new(Some(dir.path())));
        let (mine, yours) = (with("Bearer mine"), with("Bearer yours"));
        let hashes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Credentials::new(Some(dir.path())).of(&mine))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(hashes.iter().all(|hash| Some(hash) == one.of(&mine).as_ref()), "{hashes:?}");
        assert_ne!(one.of(&mine), two.of(&yours));
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [NAME], "no draft is left");
        let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::TempDir::new().unwrap();
        assert_ne!(Credentials::new(Some(other.path())).of(&mine), one.of(&mine), "another cache, another secret");
    }

    #[test]
    fn credentials_are_never_stored_as_they_are() {
        let dir = tempfile::TempDir::new().unwrap();
        let credentials = Credentials::new(Some(dir.path()));
        let varies = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Cookie, Accept, Authorization"))]);
        let mut request = with("Bearer secret");
        request.insert(COOKIE, HeaderValue::from_static("session=secret"));
        let fields = credentials.fields(&request, &varies, false).unwrap();
        assert!(!format!("{fields:?}").contains("secret"), "{fields:?}");
        assert!(credentials.selects(&request, &fields, &HeaderMap::new()));
        request.insert(COOKIE, HeaderValue::from_static("session=other"));
        assert!(!credentials.selects(&request, &fields, &HeaderMap::new()));
        let bound = credentials.fields(&with("a"), &HeaderMap::new(), true).unwrap();
        assert!(credentials.selects(&with("a"), &bound, &HeaderMap::new()));
        assert!(
            !credentials.selects(&with("b"), &bound, &HeaderMap::new())
                && !credentials.selects(&HeaderMap::new(), &bound, &HeaderMap::new())
        );
        assert!(credentials.selects_but_for_credentials(&with("b"), &bound, &HeaderMap::new()));
    }
}
