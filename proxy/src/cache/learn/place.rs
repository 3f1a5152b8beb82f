//! URLs that an index names.

use url::Url;

use crate::cache::key::{Key, hash16};

/// What a promise for a URL is kept under: apt asks for `%2b` where its index says `+`, others do not, so both count
/// as the same.
pub(crate) fn promise_key(key: &Key) -> [u8; 16] {
    if key.url.contains('%') { hash16(plain(&key.url).as_bytes()) } else { key.hash }
}

/// The same of a URL that an index names; `None` for one that is no absolute http or https URL.
pub(super) fn key_of(url: &str) -> Option<[u8; 16]> {
    let url = url.split('#').next().unwrap_or_default();
    // What a URL may not hold as it is, a client encodes.
    let url: String = url.bytes().fold(String::with_capacity(url.len()), |mut text, byte| {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte))
        } else {
            text.push_str(&format!("%{byte:02X}"))
        }
        text
    });
    Some(promise_key(&Key::of(&url.parse().ok()?)?))
}

/// Decodes what needs no encoding in a path.
fn plain(url: &str) -> String {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let mut text = String::with_capacity(url.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) if byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%' | b'?' | b'#') => {
                text.push(char::from(byte));
                rest = &after[2..];
            }
            Some(byte) => {
                text.push_str(&format!("%{byte:02X}"));
                rest = &after[2..];
            }
            None => {
                text.push('%');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    text
}

/// The URL's directory, with the slash at its end, and without query.
pub(super) fn directory(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    &path[..path.rfind('/').map_or(0, |at| at + 1)]
}

/// Scheme, host and port.
pub(super) fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find(['/', '?', '#']).map_or(url.len(), |at| after + at);
    &url[..end]
}

/// A path below a directory; `None` for one that leads out of it.
pub(super) fn below(directory: &str, path: &str) -> Option<String> {
    let mut path = path;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    let leads_out = path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..");
    (!leads_out && !path.contains("://")).then(|| format!("{directory}{path}"))
}

/// What a reference in a document means.
pub(super) fn resolve(base: &Url, reference: &str) -> Option<Url> {
    let url = base.join(reference.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host().is_some()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one() {
        let key = |url: &str| promise_key(&Key::of(&url.parse().unwrap()).unwrap());
        let plain = key("http://example.org/pool/g/libstdc++6_12~rc1.deb");
        assert_eq!(key("http://example.org/pool/g/libstdc%2b%2b6_12%7erc1.deb"), plain);
        assert_eq!(key("http://EXAMPLE.org/pool/g/libstdc%2B%2B6_12~rc1.deb"), plain);
        assert_ne!(key("http://example.org/pool%2fg/libstdc++6_12~rc1.deb"), plain);
        assert_eq!(key_of("http://example.org/pool/g/libstdc++6_12~rc1.deb#x"), Some(plain));
        assert_eq!(key("http://example.org/a%20b"), key_of("http://example.org/a b").unwrap());
        assert_eq!(key_of("/relative"), None);
        assert_ne!(key("http://example.org/a?b=%2b"), key("http://example.org/a?b=+"));
    }

    #[test]
    fn paths_stay_below() {
        let below = |path| below("http://example.org/a/", path);
        assert_eq!(below("./b/c").as_deref(), Some("http://example.org/a/b/c"));
        for path in ["../b", "b/../../c", "/etc", "", "http://other.example/x"] {
            assert_eq!(below(path), None, "{path}");
        }
        assert_eq!(directory("http://example.org/a/b?c=/d"), "http://example.org/a/");
        assert_eq!(origin("http://example.org:81/a"), "http://example.org:81");
    }
}
