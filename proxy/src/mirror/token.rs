//! Tokens of OCI registries (distribution specification, token authentication).
//!
//! A registry answers 401 with a realm to ask for a token. For a mirror this is done here: the guest never learns of the
//! mirror's realm, and never holds a token of the user's. Only reading is ever asked for.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::header::{HeaderMap, WWW_AUTHENTICATE};
use http::{HeaderValue, Uri};
use lru::LruCache;
use url::Url;

/// A token that names no lifetime holds for so long (same place).
const LIFETIME: Duration = Duration::from_mins(1);
/// How much earlier a token is given up than it ends.
const MARGIN: Duration = Duration::from_secs(10);
/// The longest that a token is kept, whatever it says.
const LONGEST: Duration = Duration::from_hours(1);
/// Tokens kept.
const KEPT: usize = 256;
/// Most bytes of an answer with a token.
pub(crate) const LARGEST: usize = 256 * 1024;

/// What a registry asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    realm: Url,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// The `Bearer` challenge of an answer, where there is one with a realm that is an `http(s)` URL.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| Self::parse(value.to_str().ok()?))
    }

    fn parse(value: &str) -> Option<Self> {
        let (scheme, parameters) = value.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let realm = Url::parse(&parameter(parameters, "realm")?).ok()?;
        if !matches!(realm.scheme(), "http" | "https") {
            return None;
        }
        let service = parameter(parameters, "service");
        let scope = parameter(parameters, "scope").map(|scope| reading(&scope));
        Some(Self { realm, service, scope })
    }

    /// Where to ask for the token.
    pub(crate) fn realm(&self) -> &Url {
        &self.realm
    }

    /// What to ask there.
    pub(crate) fn question(&self) -> Option<Uri> {
        let mut url = self.realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = &self.service {
                query.append_pair("service", service);
            }
            if let Some(scope) = &self.scope {
                query.append_pair("scope", scope);
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        url.as_str().parse().ok()
    }
}

/// A parameter of a challenge (RFC 9110 section 11.2): quoted, with backslashes, or a token.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (found, after) = rest.split_once('=')?;
        let found = found.trim().trim_start_matches(',').trim();
        let after = after.trim_start();
        let (value, next) = if let Some(quoted) = after.strip_prefix('"') {
            let mut value = String::new();
            let mut letters = quoted.char_indices();
            let end = loop {
                match letters.next()? {
                    (at, '"') => break at + 1,
                    (_, '\\') => value.push(letters.next()?.1),
                    (_, letter) => value.push(letter),
                }
            };
            (value, &quoted[end..])
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// A scope cut down to reading: a guest must not write with what the settings hold.
fn reading(scope: &str) -> String {
    let one = |scope: &str| match scope.rsplit_once(':') {
        Some((resource, _)) if resource.starts_with("repository:") => format!("{resource}:pull"),
        _ => scope.to_owned(),
    };
    let kept: Vec<String> = scope.split(' ').filter(|one| !one.is_empty()).map(one).collect();
    kept.join(" ")
}

/// A token out of an answer's JSON, and how long it holds.
pub(crate) fn read(json: &[u8]) -> Option<(HeaderValue, Duration)> {
    let answer: serde_json::Value = serde_json::from_slice(json).ok()?;
    let token = ["token", "access_token"].iter().find_map(|name| answer.get(name)?.as_str())?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| !token.is_empty())?;
    value.set_sensitive(true);
    let lifetime = answer.get("expires_in").and_then(serde_json::Value::as_u64).map_or(LIFETIME, Duration::from_secs);
    Some((value, lifetime.min(LONGEST)))
}

/// Tokens at hand: by mirror and repository.
#[derive(Debug)]
pub(crate) struct Tokens(Mutex<LruCache<(String, String), (HeaderValue, Instant)>>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(KEPT).unwrap_or(NonZeroUsize::MIN))))
    }
}

impl Tokens {
    pub(crate) fn get(&self, mirror: &str, path: &str, now: Instant) -> Option<HeaderValue> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, until) = tokens.get(&(mirror.to_owned(), repository(path).to_owned()))?;
        (*until > now).then(|| value.clone())
    }

    pub(crate) fn put(&self, mirror: &str, path: &str, token: HeaderValue, lifetime: Duration, now: Instant) {
        let key = (mirror.to_owned(), repository(path).to_owned());
        let until = now + lifetime.saturating_sub(MARGIN);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, (token, until));
    }
}

/// The repository that a path of a registry's API is about.
fn repository(path: &str) -> &str {
    let name = path.rfind("/v2/").map_or(path, |at| &path[at + "/v2/".len()..]);
    let kinds = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
    kinds.iter().find_map(|kind| name.rfind(kind)).map_or(name, |at| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(value: &str) -> Option<String> {
        Challenge::parse(value)?.question().map(|uri| uri.to_string())
    }

    #[test]
    fn challenges_are_read() {
        let table = [
            (
                r#"Bearer realm="https://a.example.org/token",service="r.example.org",scope="repository:x/y:pull""#,
                Some("https://a.example.org/token?service=r.example.org&scope=repository%3Ax%2Fy%3Apull"),
            ),
            (
                r#"bearer service="a,\"b\"", realm="https://a.example.org/t?x=1""#,
                Some("https://a.example.org/t?x=1&service=a%2C%22b%22"),
            ),
            (r#"Bearer realm="https://a.example.org/t", error=invalid_token"#, Some("https://a.example.org/t")),
            (
                r#"Bearer realm="https://a.example.org/t",scope="repository:x:pull,push,delete repository:y:*""#,
                Some("https://a.example.org/t?scope=repository%3Ax%3Apull+repository%3Ay%3Apull"),
            ),
            (r#"Basic realm="Sonatype""#, None),
            (r#"Bearer realm="file:///etc/passwd""#, None),
            (r#"Bearer realm="not closed"#, None),
            ("Bearer", None),
            ("", None),
        ];
        for (value, expected) in table {
            assert_eq!(question(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn tokens_are_read_and_kept_for_their_time() {
        let (token, lifetime) = read(br#"{"access_token":"abc","expires_in":300}"#).unwrap();
        assert_eq!((token.to_str().unwrap(), lifetime), ("Bearer abc", Duration::from_mins(5)));
        assert!(token.is_sensitive());
        assert_eq!(read(br#"{"token":"t"}"#).unwrap().1, LIFETIME);
        assert_eq!(read(br#"{"token":"t","expires_in":99999999}"#).unwrap().1, LONGEST);
        for text in ["", "{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#, r#"{"token":1}"#] {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
        let (tokens, now) = (Tokens::default(), Instant::now());
        tokens.put("m", "/api/docker/r/v2/a/b/manifests/x", token.clone(), lifetime, now);
        assert_eq!(tokens.get("m", "/api/docker/r/v2/a/b/blobs/sha256:0", now), Some(token));
        assert_eq!(tokens.get("m", "/api/docker/r/v2/a/c/blobs/sha256:0", now), None);
        assert_eq!(tokens.get("other", "/api/docker/r/v2/a/b/blobs/sha256:0", now), None);
        assert!(tokens.get("m", "/v2/a/b/tags/list", now + Duration::from_secs(289)).is_some());
        assert_eq!(tokens.get("m", "/v2/a/b/tags/list", now + Duration::from_secs(290)), None);
    }
}
