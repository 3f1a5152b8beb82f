//! The cache key: what makes two URLs the same resource.

use aws_lc_rs::digest;
use http::Uri;

/// Parameters that carry a signature. A set applies only where all of `when` are present; then `drop` goes.
struct SignatureSet {
    when: &'static [&'static str],
    drop: &'static [&'static str],
}

/// Names are compared exactly: each service spells its own in one way.
const SIGNATURES: &[SignatureSet] = &[
    SignatureSet {
        when: &["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"],
        drop: &[
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
        ],
    },
    SignatureSet {
        when: &["X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Signature"],
        drop: &[
            "X-Goog-Algorithm",
            "X-Goog-Credential",
            "X-Goog-Date",
            "X-Goog-Expires",
            "X-Goog-SignedHeaders",
            "X-Goog-Signature",
        ],
    },
    // Azure's shared access signatures; `jwt` travels beside them on release downloads.
    SignatureSet {
        when: &["sig", "se", "sp"],
        drop: &["sig", "se", "sp", "st", "sv", "sr", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv", "jwt"],
    },
    SignatureSet { when: &["Signature", "Key-Pair-Id", "Expires"], drop: &["Signature", "Key-Pair-Id", "Expires"] },
    SignatureSet { when: &["Signature", "Key-Pair-Id", "Policy"], drop: &["Signature", "Key-Pair-Id", "Policy"] },
    SignatureSet {
        when: &["AWSAccessKeyId", "Signature", "Expires"],
        drop: &["AWSAccessKeyId", "Signature", "Expires"],
    },
    SignatureSet {
        when: &["GoogleAccessId", "Signature", "Expires"],
        drop: &["GoogleAccessId", "Signature", "Expires"],
    },
    SignatureSet { when: &["expires", "signature"], drop: &["expires", "signature"] },
];

/// A URL in canonical form, and its hash.
///
/// Scheme and host are lower-cased, the default port and the fragment dropped, an empty path is `/`. Path and query
/// bytes are untouched (an origin may tell `%7E` from `~`), but for query parameters that only carry a signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The canonical URL.
    pub url: String,
    /// First 16 bytes of the SHA-256 of `url`.
    pub hash: [u8; 16],
    /// Whether signature parameters were dropped.
    pub signed: bool,
}

impl Key {
    /// The key of an absolute URI; `None` where scheme or host is missing.
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let authority = uri.authority()?;
        let host = authority.host().to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let mut url = format!("{scheme}://{host}");
        if let Some(port) = authority.port_u16().filter(|&port| port != default) {
            url.push(':');
            url.push_str(&port.to_string());
        }
        let path = uri.path();
        url.push_str(if path.is_empty() { "/" } else { path });
        let mut signed = false;
        if let Some(query) = uri.query() {
            let (kept, dropped) = without_signature(query);
            signed = dropped;
            if !(dropped && kept.is_empty()) {
                url.push('?');
                url.push_str(&kept);
            }
        }
        let hash = hash16(url.as_bytes());
        Some(Self { url, hash, signed })
    }
}

/// The names of the query parameters that the key of a URL leaves out.
pub(crate) fn dropped(uri: &Uri) -> Vec<String> {
    let names: Vec<&str> = uri.query().map(names_of).unwrap_or_default();
    let set = SIGNATURES.iter().find(|set| set.when.iter().all(|name| names.contains(name)));
    let dropped = names.into_iter().filter(|name| set.is_some_and(|set| set.drop.contains(name)));
    dropped.map(str::to_owned).collect()
}

fn names_of(query: &str) -> Vec<&str> {
    query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect()
}

/// The first 16 bytes of the SHA-256.
pub(crate) fn hash16(bytes: &[u8]) -> [u8; 16] {
    let full = digest::digest(&digest::SHA256, bytes);
    let mut hash = [0; 16];
    hash.copy_from_slice(&full.as_ref()[..16]);
    hash
}

/// Whether the query of `url` carries a signature. Relative references are looked into as well.
pub(crate) fn carries_signature(url: &str) -> bool {
    url.split_once('?').is_some_and(|(_, query)| without_signature(query.split('#').next().unwrap_or_default()).1)
}

/// A URL, or a relative reference, without its signature and its fragment; `None` where it still carries a secret.
pub(crate) fn lasting(url: &str) -> Option<String> {
    let url = url.split('#').next().unwrap_or_default();
    let lasting = match url.split_once('?').map(|(path, query)| (path, without_signature(query))) {
        Some((path, (kept, true))) if kept.is_empty() => path.to_owned(),
        Some((path, (kept, true))) => format!("{path}?{kept}"),
        _ => url.to_owned(),
    };
    (!super::carries_secret(&lasting)).then_some(lasting)
}

fn without_signature(query: &str) -> (String, bool) {
    let names = names_of(query);
    let Some(set) = SIGNATURES.iter().find(|set| set.when.iter().all(|name| names.contains(name))) else {
        return (query.to_owned(), false);
    };
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !set.drop.contains(&pair.split('=').next().unwrap_or_default())).collect();
    (kept.join("&"), true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(url: &str) -> String {
        Key::of(&url.parse().unwrap()).unwrap().url
    }

    #[test]
    fn canonical_forms() {
        for (given, expected) in [
            ("http://Example.ORG", "http://example.org/"),
            ("HTTP://example.org:80/a", "http://example.org/a"),
            ("https://example.org:443/a?b", "https://example.org/a?b"),
            ("https://example.org:80/a", "https://example.org:80/a"),
            ("http://example.org/a?", "http://example.org/a?"),
            ("http://example.org/%7Ea//b/../C", "http://example.org/%7Ea//b/../C"),
        ] {
            assert_eq!(key(given), expected);
        }
        assert!(Key::of(&"/only/a/path".parse().unwrap()).is_none());
    }

    #[test]
    fn signatures_are_dropped_as_sets_only() {
        assert_eq!(
            key("https://example.org/o?X-Amz-Algorithm=a&X-Amz-Credential=c&X-Amz-Date=1&X-Amz-Signature=s"),
            "https://example.org/o"
        );
        assert_eq!(key("https://example.org/o?sp=r&v=2&sig=x&se=9&rscd=name"), "https://example.org/o?v=2&rscd=name");
        assert_eq!(key("https://example.org/o?Expires=1&Signature=b&Key-Pair-Id=c"), "https://example.org/o");
        assert_eq!(key("https://example.org/o?sig=x"), "https://example.org/o?sig=x");
        assert_eq!(key("https://example.org/o?Expires=1"), "https://example.org/o?Expires=1");
        assert!(carries_signature("/x?expires=1&signature=b#f"));
        assert!(!carries_signature("/x?a=1"));
    }

    proptest! {
        /// Whatever an origin can tell apart stays apart.
        #[test]
        fn never_merges_distinct_urls(
            a in "(http|https)://[a-c]{1,2}(:(80|443|8080))?/[a-c%/.~]{0,6}(\\?[a-c=&]{0,4})?",
            b in "(http|https)://[a-c]{1,2}(:(80|443|8080))?/[a-c%/.~]{0,6}(\\?[a-c=&]{0,4})?",
        ) {
            let (Ok(a), Ok(b)) = (a.parse::<Uri>(), b.parse::<Uri>()) else { return Ok(()) };
            let identity = |uri: &Uri| {
                let https = uri.scheme_str() == Some("https");
                let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
                (https, uri.host().map(str::to_owned), port, uri.path().to_owned(), uri.query().map(str::to_owned))
            };
            prop_assert_eq!(identity(&a) == identity(&b), Key::of(&a) == Key::of(&b));
        }
    }
}
