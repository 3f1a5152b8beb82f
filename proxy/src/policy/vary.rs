//! Which stored variant answers a request (RFC 9111 section 4.1).

use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, VARY};
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

/// Whether a request selects the variant that has this head. One in the language that the client wants most is what
/// the origin would choose as well (RFC 9110 section 12.5.4).
pub fn selects(request: &HeaderMap, vary: &[VaryField], stored: &HeaderMap) -> bool {
    vary.iter().all(|(name, value)| {
        normalised(request, name) == *value || (name == ACCEPT_LANGUAGE && in_language_wanted(request, stored))
    })
}

fn in_language_wanted(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(language) = stored.get(CONTENT_LANGUAGE).and_then(|value| value.to_str().ok()) else { return false };
    let wanted = languages(words(request, &ACCEPT_LANGUAGE));
    let best = match wanted.as_slice() {
        [(best, _)] => best,
        [(best, weight), (_, second), ..] if weight > second => best,
        _ => return false,
    };
    language.trim().eq_ignore_ascii_case(best)
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

fn words(request: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for line in request.get_all(name) {
        words.extend(String::from_utf8_lossy(line.as_bytes()).split(',').map(|word| word.trim().to_owned()));
    }
    words.retain(|word| !word.is_empty());
    words
}

fn normalised(request: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut words = words(request, name);
    if name == ACCEPT_ENCODING {
        words = words.iter().filter_map(|word| coding(word)).collect();
        words.sort();
        words.dedup();
    } else if name == ACCEPT_LANGUAGE {
        words = languages(words).into_iter().map(|(tag, weight)| format!("{tag};q={weight}")).collect();
    }
    if words.is_empty() { None } else { Some(words.join(", ")) }
}

/// Languages in lower case with their weights in thousandths, the most wanted first; the order of equals says nothing.
fn languages(words: Vec<String>) -> Vec<(String, u16)> {
    let mut languages: Vec<_> = words
        .into_iter()
        .map(|word| {
            let (tag, weight) = word.split_once(';').unwrap_or((&word, ""));
            (tag.trim().to_ascii_lowercase(), thousandths(weight))
        })
        .collect();
    languages.sort_by(|(tag, weight), (other, other_weight)| other_weight.cmp(weight).then_with(|| tag.cmp(other)));
    languages.dedup();
    languages
}

/// A weight (RFC 9110 section 12.4.2) in thousandths; without a readable one it is 1.
fn thousandths(weight: &str) -> u16 {
    let Some(text) = weight.trim().strip_prefix("q=") else { return 1000 };
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = rest.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u16>()) {
        ("0", Ok(weight)) => weight,
        _ => 1000,
    }
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
        assert!(selects(&encoding("br;q=0.5,GZIP, junk-1"), &vary, &response));
        assert!(!selects(&encoding("gzip, br;q=0"), &vary, &response));
        assert!(!selects(&HeaderMap::new(), &vary, &response));
        assert!(selects(&HeaderMap::new(), &fields(&encoding("junk"), &response), &response));
    }

    #[test]
    fn languages_are_normalised() {
        let accept = |value: &'static str| HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(value))]);
        let mut response = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Accept-Language"))]);
        let vary = fields(&accept("en, de"), &response);
        for (value, expected) in [
            ("de, en", true),
            ("eN ,  De", true),
            ("en;q=1.0, de", true),
            ("en, de;q=0.5", false),
            ("en", false),
            ("de;q=1.0, fr;q=0.5", false),
        ] {
            assert_eq!(selects(&accept(value), &vary, &response), expected, "{value}");
        }
        response.insert(CONTENT_LANGUAGE, HeaderValue::from_static("de"));
        for (value, expected) in
            [("fr;q=0.5, de;q=1.0", true), ("de", true), ("fr, de", false), ("fr, de;q=0.9", false), ("fr", false)]
        {
            assert_eq!(selects(&accept(value), &vary, &response), expected, "{value}");
        }
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
