//! `Cache-Control` (RFC 9111 section 5.2).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

/// The largest lifetime: larger numbers mean this one (RFC 9111 section 1.2.2).
pub const FOREVER: u64 = 1 << 31;

/// The directives that matter here. Names are compared without regard to case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// Not to be stored.
    pub no_store: bool,
    /// Not to be used without asking; the form with field names counts as the plain one.
    pub no_cache: bool,
    /// For one user only; the form with field names counts as the plain one.
    pub private: bool,
    /// May be stored whatever would speak against it.
    pub public: bool,
    /// Never to be used stale.
    pub must_revalidate: bool,
    /// The same, for shared caches.
    pub proxy_revalidate: bool,
    /// To be stored only by who understands the status.
    pub must_understand: bool,
    /// Answer from the store or not at all.
    pub only_if_cached: bool,
    /// Lifetime in seconds.
    pub max_age: Option<u64>,
    /// Lifetime in shared caches in seconds.
    pub s_maxage: Option<u64>,
    /// How stale the client takes it, in seconds.
    pub max_stale: Option<u64>,
    /// How fresh the client wants it to remain, in seconds.
    pub min_fresh: Option<u64>,
    /// How stale it may be served when upstream fails, in seconds (RFC 5861 section 4).
    pub stale_if_error: Option<u64>,
    /// How stale it may be served while upstream is asked, in seconds (RFC 5861 section 3).
    pub stale_while_revalidate: Option<u64>,
}

impl CacheControl {
    /// Reads all `Cache-Control` lines; without any, `Pragma: no-cache` counts (RFC 9111 section 5.4).
    pub fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        if !headers.contains_key(CACHE_CONTROL) {
            let pragma = headers.get_all(PRAGMA).iter().filter_map(|value| value.to_str().ok());
            control.no_cache =
                pragma.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case("no-cache"));
            return control;
        }
        for line in headers.get_all(CACHE_CONTROL) {
            // Bytes beyond ASCII can only be in arguments that are of no interest.
            for directive in directives(&String::from_utf8_lossy(line.as_bytes())) {
                control.apply(directive);
            }
        }
        control
    }

    fn apply(&mut self, directive: &str) {
        let (name, argument) = match directive.split_once('=') {
            Some((name, argument)) => (name.trim(), Some(argument.trim().trim_matches('"'))),
            None => (directive.trim(), None),
        };
        // Of several, the first counts; what is not a number makes the response stale (section 4.2.1).
        let seconds = |slot: &mut Option<u64>| {
            slot.get_or_insert(argument.and_then(seconds).unwrap_or(0));
        };
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match () {
            () if is("no-store") => self.no_store = true,
            () if is("no-cache") => self.no_cache = true,
            () if is("private") => self.private = true,
            () if is("public") => self.public = true,
            () if is("must-revalidate") => self.must_revalidate = true,
            () if is("proxy-revalidate") => self.proxy_revalidate = true,
            () if is("must-understand") => self.must_understand = true,
            () if is("only-if-cached") => self.only_if_cached = true,
            () if is("max-age") => seconds(&mut self.max_age),
            () if is("s-maxage") => seconds(&mut self.s_maxage),
            () if is("min-fresh") => seconds(&mut self.min_fresh),
            () if is("stale-if-error") => seconds(&mut self.stale_if_error),
            () if is("stale-while-revalidate") => seconds(&mut self.stale_while_revalidate),
            () if is("max-stale") => {
                self.max_stale.get_or_insert(argument.map_or(FOREVER, |text| self::seconds(text).unwrap_or(0)));
            }
            () => {}
        }
    }
}

/// Delta seconds (section 1.2.2): digits only, too large means the largest.
pub fn seconds(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse::<u64>().unwrap_or(FOREVER).min(FOREVER))
}

/// What stands between commas outside quotes.
fn directives(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    line.split(move |character| {
        match character {
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => return true,
            _ => {}
        }
        escaped = quoted && character == '\\' && !escaped;
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&'static str]) -> CacheControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, http::HeaderValue::from_static(line));
        }
        CacheControl::parse(&headers)
    }

    #[test]
    fn names_have_no_case_and_the_first_number_counts() {
        let control = parse(&["Max-Age=60, NO-STORE", "max-age=30, Private=\"a, no-cache\""]);
        assert_eq!(control.max_age, Some(60));
        assert!(control.no_store && control.private && !control.no_cache);
    }

    #[test]
    fn numbers() {
        assert_eq!(parse(&["max-age=99999999999999999999999"]).max_age, Some(FOREVER));
        assert_eq!(parse(&["max-age=-1"]).max_age, Some(0));
        assert_eq!(parse(&["max-age=1.5"]).max_age, Some(0));
        assert_eq!(parse(&["max-age=\"7\""]).max_age, Some(7));
        assert_eq!(parse(&["max-stale"]).max_stale, Some(FOREVER));
        assert_eq!(parse(&["xmax-age=5"]).max_age, None);
    }

    #[test]
    fn pragma_counts_only_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(PRAGMA, http::HeaderValue::from_static("No-Cache"));
        assert!(CacheControl::parse(&headers).no_cache);
        headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("max-age=1"));
        assert!(!CacheControl::parse(&headers).no_cache);
    }
}
