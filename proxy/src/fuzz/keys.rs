//! Cache keys.

use http::Uri;

use crate::cache::Key;
use crate::cache::key::{carries_signature, dropped};

/// What an origin can tell of a URL, by the equivalence that [`Key`] documents: scheme, host in lower case, port, path
/// with `/` for none, and the query's parameters but for those of a signature.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    https: bool,
    host: String,
    port: u32,
    path: String,
    query: Option<Vec<String>>,
}

fn told(uri: &Uri) -> Option<Told> {
    let https = match uri.scheme_str()? {
        scheme if scheme.eq_ignore_ascii_case("https") => true,
        scheme if scheme.eq_ignore_ascii_case("http") => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    let after = authority.as_str().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.contains([']', '@']));
    let port = match after {
        Some("") | None => Some(if https { 443 } else { 80 }),
        Some(digits) => digits.parse().ok(),
    };
    let gone = dropped(uri);
    let query = uri.query().map(|query| {
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        query.split('&').filter(|pair| !gone.contains(&name(pair))).map(str::to_owned).collect::<Vec<_>>()
    });
    let query = query.filter(|pairs| gone.is_empty() || !pairs.is_empty());
    let path = if uri.path().is_empty() { "/" } else { uri.path() };
    Some(Told { https, host: authority.host().to_ascii_lowercase(), port: port?, path: path.to_owned(), query })
}

/// Two URLs, a line each: one key exactly where an origin cannot tell them apart; a key's URL has that key.
pub fn cache_keys(data: &[u8]) {
    let mut uris = data.split(|&byte| byte == b'\n').filter_map(|line| Uri::try_from(line).ok());
    let (Some(one), other) = (uris.next(), uris.next()) else { return };
    let Some(key) = Key::of(&one) else { return };
    let again = Key::of(&key.url.parse().expect("a key's URL is a URL")).expect("with scheme and host");
    assert_eq!((&again.url, again.hash), (&key.url, key.hash), "of its own URL a key is another");
    assert!(!carries_signature(&key.url), "{} still carries a signature", key.url);
    assert_eq!(key.signed, !dropped(&one).is_empty(), "{one}");
    let Some(other) = other else { return };
    if let Some(second) = Key::of(&other) {
        let same = told(&one) == told(&other);
        assert_eq!(key.url == second.url, same, "{one} and {other}: {} and {}", key.url, second.url);
        assert_eq!(key.hash == second.hash, same, "{one} and {other}");
    }
}
