//! The cache key: what makes two URLs the same resource.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use http::Uri;
use http::uri::Authority;

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
    /// The key of an absolute URI; `None` where scheme or host is missing, or host or port is none: what cannot be asked for
    /// must not share the key of what can.
    pub fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?;
        let authority = uri.authority().filter(|authority| is_host(authority.host()))?;
        let (scheme, default) = match () {
            () if scheme.eq_ignore_ascii_case("http") => ("http://", 80),
            () if scheme.eq_ignore_ascii_case("https") => ("https://", 443),
            () => return None,
        };
        let length =
            scheme.len() + authority.as_str().len() + uri.path_and_query().map_or(1, |path| path.as_str().len());
        let mut url = String::with_capacity(length + 1);
        url.push_str(scheme);
        url.push_str(authority.host());
        url.make_ascii_lowercase();
        if let Some(port) = port(authority)?.filter(|&port| port != default) {
            let _ = write!(url, ":{port}");
        }
        let path = uri.path();
        url.push_str(if path.is_empty() { "/" } else { path });
        let mut signed = false;
        if let Some(query) = uri.query() {
            let (kept, dropped) = without_signature(query);
            signed = dropped;
            if let Some(kept) = kept {
                url.push('?');
                url.push_str(&kept);
            }
        }
        let hash = hash16(url.as_bytes());
        Some(Self { url, hash, signed })
    }
}

/// Whether it may be a host, as far as brackets tell: those around an address of IPv6 (RFC 3986 section 3.2.2), and no other.
fn is_host(text: &str) -> bool {
    let within = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    !within.is_empty() && !within.contains(['[', ']'])
}

/// The port that an authority names: the inner `None` where it names none.
#[expect(clippy::option_option, reason = "no port is one thing, and one that cannot be read another")]
fn port(authority: &Authority) -> Option<Option<u16>> {
    let after = authority.as_str().rsplit('@').next()?.strip_prefix(authority.host())?;
    match after.strip_prefix(':') {
        None => after.is_empty().then_some(None),
        Some("") => Some(None),
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok().map(Some))?,
    }
}

/// The names of the query parameters that the key of a URL leaves out.
pub(crate) fn dropped(uri: &Uri) -> Vec<String> {
    let pairs: Vec<&str> = uri.query().map(|query| query.split('&').collect()).unwrap_or_default();
    let sets = sets_in(&pairs);
    let dropped = pairs.into_iter().map(name_of).filter(|name| sets.iter().any(|set| set.drop.contains(name)));
    dropped.map(str::to_owned).collect()
}

fn name_of(pair: &str) -> &str {
    pair.split('=').next().unwrap_or_default()
}

/// The sets that apply, one after the other: what is left once the parameters of one are gone may still be another.
fn sets_in(pairs: &[&str]) -> Vec<&'static SignatureSet> {
    let mut names: Vec<&str> = pairs.iter().map(|pair| name_of(pair)).collect();
    let mut sets = Vec::new();
    for set in SIGNATURES {
        if set.when.iter().all(|name| names.contains(name)) {
            names.retain(|name| !set.drop.contains(name));
            sets.push(set);
        }
    }
    sets
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
        Some((path, (None, _))) => path.to_owned(),
        Some((path, (Some(kept), true))) => format!("{path}?{kept}"),
        _ => url.to_owned(),
    };
    (!super::carries_secret(&lasting)).then_some(lasting)
}

/// What is left of a query (`None`: not even that there is one), and whether something went.
fn without_signature(query: &str) -> (Option<String>, bool) {
    let pairs: Vec<&str> = query.split('&').collect();
    let sets = sets_in(&pairs);
    if sets.is_empty() {
        return (Some(query.to_owned()), false);
    }
    let is_kept = |pair: &&&str| !sets.iter().any(|set| set.drop.contains(&name_of(pair)));
    let kept: Vec<&str> = pairs.iter().filter(is_kept).copied().collect();
    ((!kept.is_empty()).then(|| kept.join("&")), true)
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
        assert_eq!(key("http://u:p@example.org:/a"), "http://example.org/a");
        // What cannot be asked for has no key, least of all that of another URL.
        for url in [
            "http://example.org:99999/a",
            "http://[2001:db8::1]:443=d/",
            "http://[2001:db8::1]x/",
            "http://[2001:db8::@1]:443/a",
            "http://:80/a",
        ] {
            let Ok(uri) = url.parse::<Uri>() else { continue };
            assert!(Key::of(&uri).is_none(), "{url}");
        }
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
        // Two sets at once, as a store behind a network that signs as well has them; both go, in either order.
        let both = "https://example.org/o?Expires=1&Signature=b&Key-Pair-Id=c&v=2&sig=x&se=9&sp=r";
        assert_eq!(key(both), "https://example.org/o?v=2");
        assert_eq!(key("https://example.org/o?&sig=x&se=9&sp=r"), "https://example.org/o?");
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
