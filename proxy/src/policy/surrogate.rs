//! `Surrogate-Control` (Edge Architecture 1.0): what an origin says to the caches between it and its users alone.
//!
//! Requests announce this cache ([`announce`]), so an origin may address its answer to it by name; such a directive stands
//! above `Cache-Control`. One addressed to nobody in particular may be meant for an origin's own caches, which
//! it can purge and this one it cannot: it is taken to shorten a lifetime, but not to lengthen it beyond a day.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::control::seconds;

/// The response field.
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");
/// The request field that announces a surrogate.
const SURROGATE_CAPABILITY: HeaderName = HeaderName::from_static("surrogate-capability");
/// What it says.
const CAPABILITY: HeaderValue = HeaderValue::from_static("larder=\"Surrogate/1.0\"");
/// This cache's name, as directives address it.
const NAME: &str = "larder";

/// Longest lifetime that a directive without an addressee gives.
const LONGEST: u64 = 24 * 3600;

/// Announces this cache to the origin.
pub fn announce(request: &mut HeaderMap) {
    request.append(SURROGATE_CAPABILITY, CAPABILITY);
}

/// The directives that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surrogate {
    /// Lifetime in seconds.
    pub max_age: Option<u64>,
    /// Whether that was said to this cache by name.
    pub addressed: bool,
    /// Not to be stored.
    pub no_store: bool,
}

impl Surrogate {
    /// Reads all `Surrogate-Control` lines.
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut surrogate = Self::default();
        for line in headers.get_all(SURROGATE_CONTROL).iter().filter_map(|value| value.to_str().ok()) {
            for directive in line.split(',') {
                surrogate.apply(directive.trim());
            }
        }
        surrogate
    }

    fn apply(&mut self, directive: &str) {
        let (directive, target) = match directive.split_once(';') {
            Some((directive, target)) => (directive, Some(target.trim())),
            None => (directive, None),
        };
        if target.is_some_and(|target| target != NAME) {
            return;
        }
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        match name.to_ascii_lowercase().as_str() {
            "no-store" => self.no_store = true,
            // A second number, after `+`, is how long it may be served stale; nothing here needs it.
            "max-age" if self.max_age.is_none() || (target.is_some() && !self.addressed) => {
                self.max_age = seconds(argument.split('+').next().unwrap_or_default());
                self.addressed = target.is_some() && self.max_age.is_some();
            }
            _ => {}
        }
    }

    /// The lifetime, where `own` is what the other fields give.
    pub fn lifetime(&self, own: Option<u64>) -> Option<u64> {
        match self.max_age {
            None => own,
            Some(lifetime) if self.addressed => Some(lifetime),
            Some(lifetime) => Some(lifetime.min(own.unwrap_or(0).max(LONGEST))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &'static str) -> Surrogate {
        Surrogate::parse(&HeaderMap::from_iter([(SURROGATE_CONTROL, HeaderValue::from_static(value))]))
    }

    #[test]
    fn directives() {
        for (value, max_age, addressed, no_store) in [
            ("max-age=60", Some(60), false, false),
            ("foo, MaX-aGe=60+30", Some(60), false, false),
            ("max-age=60;larder", Some(60), true, false),
            ("max-age=60, max-age=90;larder", Some(90), true, false),
            ("max-age=60;other", None, false, false),
            ("max-age =60", None, false, false),
            ("max-age=x", None, false, false),
            ("no-store, content=\"ESI/1.0\"", None, false, true),
        ] {
            assert_eq!(parse(value), Surrogate { max_age, addressed, no_store }, "{value}");
        }
    }

    #[test]
    fn lifetimes() {
        for (value, own, expected) in [
            ("max-age=60", None, Some(60)),
            ("max-age=60", Some(3600), Some(60)),
            ("max-age=3600", Some(60), Some(3600)),
            ("max-age=9999999", Some(60), Some(LONGEST)),
            ("max-age=9999999", Some(200_000), Some(200_000)),
            ("max-age=9999999;larder", Some(60), Some(9_999_999)),
            ("no-store", Some(60), Some(60)),
        ] {
            assert_eq!(parse(value).lifetime(own), expected, "{value} beside {own:?}");
        }
    }
}
