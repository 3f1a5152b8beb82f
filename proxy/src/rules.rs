//! What the shape of a path says about the content: package, index or image, and whether it can ever change.
//!
//! The rules are data (`rules/presets.toml`), and the user's settings may add to them. Host names play no part, so they
//! hold behind mirrors and repository managers.

mod compile;
mod guard;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

pub use self::compile::UserRule;
use self::compile::{Compiled, Rule};
use crate::error::ConfigError;
use crate::flow::Class;

/// How long content named by a path lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nature {
    /// Never changes under its name, whatever its headers say. As long as no digest is known for it, it is asked for
    /// once a run all the same, unless its own headers give it a lifetime.
    Immutable,
    /// Is not meant to change, but sometimes does: treated alike.
    Lasting,
    /// Changes: asked for again once a run, and served stale when upstream fails.
    Mutable,
    /// Nothing known: RFC 9111 as it stands.
    Plain,
}

impl Nature {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::Lasting => "lasting",
            Self::Mutable => "mutable",
            Self::Plain => "plain",
        }
    }

    /// The word, read.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Immutable, Self::Lasting, Self::Mutable, Self::Plain].into_iter().find(|nature| nature.as_str() == word)
    }

    /// What it amounts to: only what a digest vouches for is never asked for again.
    #[must_use]
    pub const fn with_digest(self, known: bool) -> Self {
        match self {
            Self::Immutable | Self::Lasting if known => Self::Immutable,
            Self::Immutable => Self::Lasting,
            other => other,
        }
    }
}

/// A digest that is promised for the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The algorithm, in the spelling of aws-lc-rs.
    pub algorithm: &'static digest::Algorithm,
    /// Lower-case hex.
    pub hex: String,
}

/// Algorithms by the names used in indexes and in the store, the strongest first.
const ALGORITHMS: [(&str, &digest::Algorithm); 3] =
    [("sha512", &digest::SHA512), ("sha256", &digest::SHA256), ("sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY)];

impl Promised {
    /// A digest by the name of its algorithm, in hex of any case; `None` where either is not known or not one.
    pub fn named(algorithm: &str, hex: impl Into<String>) -> Option<Self> {
        let (_, algorithm) = ALGORITHMS.into_iter().find(|(name, _)| *name == algorithm)?;
        let hex = hex.into().to_ascii_lowercase();
        let fits = hex.len() == algorithm.output_len() * 2 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(Self { algorithm, hex })
    }

    /// The name of the algorithm: `sha512`, `sha256` or `sha1`.
    pub fn name(&self) -> &'static str {
        ALGORITHMS.into_iter().find(|(_, algorithm)| *algorithm == self.algorithm).map_or("unknown", |(name, _)| name)
    }

    /// The digest itself.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.hex).ok()
    }
}

/// What an index lists the digests of, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `InRelease`, `Release`, `Packages` and `Sources`: told apart by their content.
    Apt,
    /// `repomd.xml` and the primary index.
    Rpm,
    /// A page of the simple index, in HTML or JSON (PEP 503, 691, 658, 714).
    Pypi,
    /// A packument, full or abbreviated.
    Npm,
    /// A file of a sparse index.
    Cargo,
    /// A gem's file of the compact index.
    Gem,
    /// `SHA256SUMS` and the like, or the digest of one file beside it.
    Checksums,
}

/// What the rules say about one URL.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Kind of content.
    pub class: Class,
    /// How long it lives.
    pub nature: Nature,
    /// Name of the rule that matched, or `none`.
    pub rule: &'static str,
    /// Digest the URL says the body has.
    pub promised: Option<Promised>,
    /// What can be learnt from the answer about other URLs.
    pub learns: Option<Format>,
    /// Whether the answer is a secret, stored only where it says for how long.
    pub secret: bool,
    matched: Option<Arc<Rule>>,
}

impl Verdict {
    /// Whether an answer is one the rule is about: what logs in, blocks or apologises in HTML is not a package.
    pub fn fits(&self, response: &HeaderMap) -> bool {
        let Some(rule) = &self.matched else { return true };
        if rule.types.is_empty() && rule.not_types.is_empty() {
            return true;
        }
        let Some(found) = response.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return true };
        let found = found.trim_start().as_bytes();
        let begins =
            |prefix: &String| found.get(..prefix.len()).is_some_and(|f| f.eq_ignore_ascii_case(prefix.as_bytes()));
        (rule.types.is_empty() || rule.types.iter().any(begins)) && !rule.not_types.iter().any(begins)
    }

    /// What holds of an answer that the rule is not about.
    pub fn none() -> Self {
        Self {
            class: Class::Other,
            nature: Nature::Plain,
            rule: "none",
            promised: None,
            learns: None,
            secret: false,
            matched: None,
        }
    }
}

/// The rules in force. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules {
    compiled: Arc<Compiled>,
}

static PRESETS: LazyLock<Arc<Compiled>> =
    LazyLock::new(|| Arc::new(Compiled::new(&[]).expect("the built-in rules are valid")));

impl Default for Rules {
    fn default() -> Self {
        Self { compiled: PRESETS.clone() }
    }
}

impl Rules {
    /// The built-in rules, and before them the user's. Of several of the user's that match, the longest pattern decides.
    pub fn new(own: &[UserRule]) -> Result<Self, ConfigError> {
        if own.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self { compiled: Arc::new(Compiled::new(own)?) })
    }

    /// Judges a URL by its path, and by the request's fields where they are known.
    pub fn classify(&self, path: &str, request: Option<&HeaderMap>) -> Verdict {
        let Some((found, rule)) = self.compiled.find(path, request) else { return Verdict::none() };
        Verdict {
            class: rule.class,
            nature: rule.nature,
            rule: rule.name,
            promised: found.promised,
            learns: rule.learns,
            secret: rule.secret,
            matched: Some(rule.clone()),
        }
    }
}
