//! What of the traffic is shown: `host:`, `result:`, `build:`, `step:`, text, `/re/`, each with `!` for all others.

use larder_proxy::flow::{Flow, Outcome};
use regex::{Regex, RegexBuilder};

/// Terms that all have to hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// As typed.
    pub query: String,
    terms: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    holds: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Host(String),
    Result(String),
    Build(String),
    Step(String),
    Text(String),
    Pattern(Regex),
}

/// Largest automaton a pattern may become.
const PATTERN_SIZE: usize = 1 << 20;

impl Filter {
    /// Reads a filter; fails with the reason if a pattern cannot be read. Case plays no part.
    pub fn parse(query: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for word in words(query) {
            let (holds, word) = word.strip_prefix('!').map_or((true, word.as_str()), |rest| (false, rest));
            if word.is_empty() {
                continue;
            }
            let lower = |text: &str| text.to_lowercase();
            let what = if let Some(pattern) = word.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
                let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(PATTERN_SIZE).build();
                What::Pattern(built.map_err(|_| format!("`{pattern}` is not a regular expression"))?)
            } else {
                match word.split_once(':') {
                    Some(("host", host)) => What::Host(lower(host)),
                    Some(("result", result)) => What::Result(lower(result)),
                    Some(("build", build)) => What::Build(lower(build)),
                    Some(("step", step)) => What::Step(lower(step)),
                    _ => What::Text(lower(word)),
                }
            };
            terms.push(Term { holds, what });
        }
        Ok(Self { query: query.to_owned(), terms })
    }

    /// Whether it lets everything by.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a flow is shown. One under way has no result yet.
    pub fn shows(&self, flow: &Flow, outcome: Option<Outcome>) -> bool {
        self.terms.iter().all(|term| term.what.is(flow, outcome) == term.holds)
    }
}

impl What {
    fn is(&self, flow: &Flow, outcome: Option<Outcome>) -> bool {
        match self {
            Self::Host(host) => contains(host_of(&flow.url), host),
            Self::Result(result) => outcome.is_some_and(|outcome| starts_with(outcome.as_str(), result)),
            Self::Build(build) => contains(&flow.identity.build, build),
            Self::Step(step) => flow.identity.step.as_ref().is_some_and(|name| contains(name, step)),
            Self::Text(text) => {
                contains(&flow.url, text)
                    || contains(&flow.why, text)
                    || starts_with(&flow.method, text)
                    || outcome.is_some_and(|outcome| starts_with(outcome.as_str(), text))
            }
            Self::Pattern(pattern) => pattern.is_match(&flow.url),
        }
    }
}

/// Host and port of a URL, or of a tunnel's `host:port`.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// Whether `text` contains `lower`, which is in lower case.
pub fn contains(text: &str, lower: &str) -> bool {
    let (text, lower) = (text.as_bytes(), lower.as_bytes());
    lower.is_empty() || text.windows(lower.len()).any(|window| window.eq_ignore_ascii_case(lower))
}

fn starts_with(text: &str, lower: &str) -> bool {
    text.get(..lower.len()).is_some_and(|start| start.eq_ignore_ascii_case(lower))
}

/// Words between spaces; one in slashes may hold spaces, and slashes that no space comes after.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut in_pattern = false;
    let mut characters = query.chars().peekable();
    while let Some(character) = characters.next() {
        let word = words.last_mut().expect("there is one");
        if character == ' ' && !in_pattern {
            if !word.is_empty() {
                words.push(String::new());
            }
            continue;
        }
        let begins = word.is_empty() || word == "!";
        let ends = characters.peek().is_none_or(|next| *next == ' ');
        if character == '/' && (begins || (in_pattern && ends)) {
            in_pattern = !in_pattern;
        }
        word.push(character);
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::state::proxy::testing::flow;

    #[test]
    fn terms_hold_together() {
        let mut one = flow(1, Outcome::Miss, "http://example.org/debian/pool/a b_1.deb", 10);
        one.identity.build = "rootfs.debian".into();
        one.identity.step = Some("shell (install tools)".into());
        for (query, shown) in [
            ("", true),
            ("pool", true),
            ("POOL", true),
            ("!pool", false),
            ("host:example.org", true),
            ("host:pool", false),
            ("result:miss", true),
            ("result:hit", false),
            ("!result:hit", true),
            ("build:debian step:install", true),
            ("build:ubuntu", false),
            ("/pool/.*a b/", true),
            ("/POOL/ !/x$/", true),
            ("!/deb$/", false),
            ("get", true),
            ("  pool   miss ", true),
            ("http://example.org/debian", true),
            ("nothing:here", false),
        ] {
            let filter = Filter::parse(query).unwrap();
            assert_eq!(filter.shows(&one, Some(one.outcome)), shown, "{query}");
        }
        assert!(!Filter::parse("result:miss").unwrap().shows(&one, None));
        assert!(Filter::parse("/(/").is_err());
    }

    proptest::proptest! {
        #[test]
        fn nothing_typed_panics(query in ".{0,40}") {
            let one = flow(1, Outcome::Hit, "http://example.org/ünïcode", 1);
            if let Ok(filter) = Filter::parse(&query) {
                let _ = filter.shows(&one, Some(one.outcome));
            }
        }
    }
}
