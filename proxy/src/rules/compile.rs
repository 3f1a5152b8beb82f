//! From rules as data to one set of regular expressions, matched in a single pass.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::{HeaderMap, HeaderName};
use lru::LruCache;
use regex::{Regex, RegexSet};
use serde::Deserialize;

use super::guard::Guard;
use super::{Format, Nature, Promised};
use crate::error::ConfigError;
use crate::flow::Class;
use crate::spread::Spread;

const PRESETS: &str = include_str!("presets.toml");

/// A rule of the user's: a regular expression on the path, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRule {
    pattern: String,
    nature: Nature,
    class: Class,
}

impl UserRule {
    /// Reads a rule: `what` is a nature, and a class where it is not `other`, as in `immutable package`.
    pub fn parse(pattern: &str, what: &str) -> Result<Self, ConfigError> {
        let refuse = |reason: String| ConfigError::Rule { pattern: pattern.to_owned(), reason };
        let mut words = what.split_whitespace();
        let nature = words
            .next()
            .and_then(Nature::named)
            .ok_or_else(|| refuse(format!("`{what}` does not begin with immutable, lasting, mutable or plain")))?;
        let class = match words.next() {
            None => Class::Other,
            Some(word) => [Class::Package, Class::Index, Class::Image, Class::Other]
                .into_iter()
                .find(|class| class.as_str() == word)
                .ok_or_else(|| refuse(format!("`{word}` is none of package, index, image and other")))?,
        };
        if words.next().is_some() {
            return Err(refuse(format!("`{what}` has more than a nature and a class")));
        }
        Regex::new(pattern).map_err(|error| refuse(last_line(&error.to_string())))?;
        Ok(Self { pattern: pattern.to_owned(), nature, class })
    }
}

/// A regular expression's error ends with what is wrong; before it stands a drawing of where.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[derive(Deserialize)]
struct File {
    order: Vec<String>,
    #[serde(flatten)]
    tables: BTreeMap<String, Vec<Raw>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    path: Vec<String>,
    nature: Nature,
    class: Class,
    guard: Option<Guard>,
    #[serde(default)]
    request: BTreeMap<String, String>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    not_types: Vec<String>,
    learns: Option<Format>,
    #[serde(default)]
    secret: bool,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: &'static str,
    pub nature: Nature,
    pub class: Class,
    pub types: Vec<String>,
    pub not_types: Vec<String>,
    pub learns: Option<Format>,
    pub secret: bool,
    guard: Option<Guard>,
    request: Vec<(HeaderName, Regex)>,
}

impl Rule {
    fn admits(&self, request: Option<&HeaderMap>) -> bool {
        let has = |(name, wanted): &(HeaderName, Regex)| {
            let values = request.into_iter().flat_map(|request| request.get_all(name));
            values.filter_map(|value| value.to_str().ok()).any(|value| wanted.is_match(value))
        };
        self.request.is_empty() || self.request.iter().any(has)
    }
}

/// One regular expression of a rule.
#[derive(Debug)]
struct Pattern {
    rule: Arc<Rule>,
    /// Finds the digest, where the path has one.
    digest: Option<(Regex, &'static str)>,
}

impl Pattern {
    fn new(text: &str, rule: &Arc<Rule>) -> Result<Self, regex::Error> {
        let mut digest = None;
        for name in ["sha256", "sha512", "sha1"] {
            if text.contains(&format!("(?<{name}>")) || text.contains(&format!("(?P<{name}>")) {
                digest = Some((Regex::new(text)?, name));
            }
        }
        Ok(Self { rule: rule.clone(), digest })
    }

    /// The digest that the path promises.
    fn promised(&self, path: &str) -> Option<Promised> {
        let (regex, name) = self.digest.as_ref()?;
        Promised::named(name, regex.captures(path)?.name(name)?.as_str())
    }
}

/// Paths remembered by a thread, and the longest of them.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");
const LONGEST: usize = 512;

/// A pattern that matches a path, and the digest it finds there.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pattern: usize,
    pub promised: Option<Promised>,
}

/// All rules, in order.
#[derive(Debug)]
pub(super) struct Compiled {
    set: RegexSet,
    patterns: Vec<Pattern>,
    /// What is asked for once is asked for again: then no path is matched twice.
    seen: Spread<LruCache<Box<str>, Arc<[Match]>>>,
}

impl Compiled {
    pub(super) fn new(own: &[UserRule]) -> Result<Self, ConfigError> {
        let mut own: Vec<&UserRule> = own.iter().collect();
        own.sort_by(|one, other| other.pattern.len().cmp(&one.pattern.len()).then(one.pattern.cmp(&other.pattern)));
        let rules = own.into_iter().map(user_rule).chain(presets());
        let mut texts = Vec::new();
        let mut patterns = Vec::new();
        for (rule, paths) in rules {
            let rule = Arc::new(rule);
            for text in paths {
                let refuse = |error: &regex::Error| ConfigError::Rule {
                    pattern: text.clone(),
                    reason: last_line(&error.to_string()),
                };
                patterns.push(Pattern::new(&text, &rule).map_err(|error| refuse(&error))?);
                texts.push(text);
            }
        }
        let set = RegexSet::new(texts).map_err(|error| ConfigError::Rule {
            pattern: "all rules together".to_owned(),
            reason: last_line(&error.to_string()),
        })?;
        Ok(Self { set, patterns, seen: Spread::new(|| LruCache::new(REMEMBERED)) })
    }

    /// The first rule that matches, by which of its patterns.
    pub(super) fn find(&self, path: &str, request: Option<&HeaderMap>) -> Option<(Match, &Arc<Rule>)> {
        let matches = self.matches(path);
        let found = matches.iter().find(|found| self.patterns[found.pattern].rule.admits(request))?;
        Some((found.clone(), &self.patterns[found.pattern].rule))
    }

    fn matches(&self, path: &str) -> Arc<[Match]> {
        if path.len() > LONGEST {
            return self.match_anew(path);
        }
        let mut seen = self.seen.mine();
        if let Some(found) = seen.get(path) {
            return found.clone();
        }
        let found = self.match_anew(path);
        seen.put(path.into(), found.clone());
        found
    }

    fn match_anew(&self, path: &str) -> Arc<[Match]> {
        let fits = |&at: &usize| self.patterns[at].rule.guard.is_none_or(|guard| guard.holds(path));
        let matches = self.set.matches(path).into_iter().filter(fits);
        matches.map(|pattern| Match { pattern, promised: self.patterns[pattern].promised(path) }).collect()
    }
}

fn user_rule(own: &UserRule) -> (Rule, Vec<String>) {
    let rule = Rule {
        name: lasting(format!("settings: {}", own.pattern)),
        nature: own.nature,
        class: own.class,
        types: Vec::new(),
        not_types: Vec::new(),
        learns: None,
        secret: false,
        guard: None,
        request: Vec::new(),
    };
    (rule, vec![own.pattern.clone()])
}

fn presets() -> Vec<(Rule, Vec<String>)> {
    let File { order, mut tables } = toml::from_str(PRESETS).expect("the built-in rules are valid");
    let rules = order.iter().flat_map(|name| tables.remove(name).expect("every table in the order is there"));
    let rules = rules.map(preset).collect();
    assert!(tables.is_empty(), "every table has its place in the order");
    rules
}

fn preset(raw: Raw) -> (Rule, Vec<String>) {
    let request = raw.request.iter().map(|(name, value)| {
        let name = name.parse().expect("a field of the built-in rules has a valid name");
        (name, Regex::new(value).expect("the built-in patterns are valid"))
    });
    let rule = Rule {
        name: lasting(raw.name),
        nature: raw.nature,
        class: raw.class,
        types: raw.types,
        not_types: raw.not_types,
        learns: raw.learns,
        secret: raw.secret,
        guard: raw.guard,
        request: request.collect(),
    };
    (rule, raw.path)
}

/// The name for as long as the program runs: it goes with every request, and rules are read again only where the
/// settings are. Each is kept once.
fn lasting(name: String) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let name: &'static str = name.leak();
    names.insert(name);
    name
}
