//! Which stored variant answers a request (RFC 9111 section 4.1).

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderName};

use crate::store::VaryField;

/// The codings that a normalised `Accept-Encoding` keeps: junk must not make variants.
const CODINGS: [&str; 6] = ["br", "deflate", "gzip", "identity", "x-gzip", "zstd"];

/// The names in `Vary`; `None` for `*`, or for what is not a field name.
pub fn names(response: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for line in response.get_all(VARY) {
        for word in line.to_str().ok()?.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if word == "*" {
                return None;
            }
            let name = HeaderName::from_bytes(word.as_bytes()).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

/// What the response varies on, with the request's normalised values.
pub fn fields(request: &HeaderMap, response: &HeaderMap) -> Vec<VaryField> {
    names(response)
        .unwrap_or_default()
        .into_iter()
        .map(|name| {
            let value = normalised(request, &name);
            (name, value)
        })
        .collect()
}

/// Whether a request selects the variant.
pub fn selects(request: &HeaderMap, vary: &[VaryField]) -> bool {
    vary.iter().all(|(name, value)| normalised(request, name) == *value)
}

/// Whether the client takes the coding of a stored body.
pub fn accepts_coding(request: &HeaderMap, response: &HeaderMap) -> bool {
    let Some(coding) = response.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) else { return true };
    if !request.contains_key(ACCEPT_ENCODING) {
        return true;
    }
    let accepted = normalised(request, &ACCEPT_ENCODING).unwrap_or_default();
    let coding = coding.trim().to_ascii_lowercase();
    !CODINGS.contains(&coding.as_str()) || accepted.split(", ").any(|one| one == coding || one == "*")
}

fn normalised(request: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    for line in request.get_all(name) {
        words.extend(String::from_utf8_lossy(line.as_bytes()).split(',').map(|word| word.trim().to_owned()));
    }
    if name == ACCEPT_ENCODING {
        words = words.iter().filter_map(|word| coding(word)).collect();
        words.sort();
        words.dedup();
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() { None } else { Some(words.join(", ")) }
}

fn coding(word: &str) -> Option<String> {
    let (name, weight) = word.split_once(';').unwrap_or((word, ""));
    let name = name.trim().to_ascii_lowercase();
    let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
    (!refused && (name == "*" || CODINGS.contains(&name.as_str()))).then_some(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn encoding(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn encodings_are_normalised() {
        let response = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Accept-Encoding"))]);
        let vary = fields(&encoding("gzip, br"), &response);
        assert!(selects(&encoding("br;q=0.5,GZIP, junk-1"), &vary));
        assert!(!selects(&encoding("gzip, br;q=0"), &vary));
        assert!(!selects(&HeaderMap::new(), &vary));
        assert!(selects(&HeaderMap::new(), &fields(&encoding("junk"), &response)));
    }

    #[test]
    fn a_refused_coding_is_not_served() {
        let gzip = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        assert!(accepts_coding(&encoding("gzip"), &gzip));
        assert!(accepts_coding(&encoding("*"), &gzip));
        assert!(accepts_coding(&HeaderMap::new(), &gzip));
        assert!(!accepts_coding(&encoding("identity"), &gzip));
        assert!(!accepts_coding(&encoding("gzip;q=0"), &gzip));
    }
}
