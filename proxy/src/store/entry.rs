//! One stored response.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName};

use super::Digest;
use crate::flow::{Class, Outcome};

/// A request field that the response varied on, and its normalised value at the time (`None`: absent).
pub type VaryField = (HeaderName, Option<String>);

/// Which bytes of an object a stored body is, when it is not the whole: as many as the body has, from `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Position of the first byte.
    pub from: u64,
    /// Bytes of the whole object.
    pub total: u64,
}

impl Part {
    /// Whether this part, with a body of `size` bytes, makes another of the same object superfluous.
    pub fn covers(&self, size: u64, other: &Self, other_size: u64) -> bool {
        self.from <= other.from && other.from + other_size <= self.from + size
    }
}

/// How a response came into the store. What is not known is `None`, as in everything stored by older versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// When the run that fetched it began.
    pub run: Option<SystemTime>,
    /// The build, or the label of another client.
    pub build: Option<String>,
    /// The step of the build.
    pub step: Option<String>,
    /// The way taken: direct, through which proxy, from which mirror.
    pub route: Option<String>,
    /// The URL it was fetched from, where that is another than its own; without signature and user information.
    pub source: Option<String>,
    /// The rule that classified it.
    pub rule: Option<String>,
}

/// What the way of an answer says that came from where a guest may not go.
const KEPT_FROM_GUESTS: &str = ", from an address kept from guests";
/// What the way of an answer says that was given to credentials of the settings.
const WITH_CREDENTIALS: &str = ", with credentials";

impl Provenance {
    /// The way taken, as it is kept.
    pub fn way(route: String, authorized: bool) -> Option<String> {
        if route.is_empty() {
            return None;
        }
        Some(if authorized { route + WITH_CREDENTIALS } else { route })
    }

    /// The same, of what came from where a guest may not go.
    #[must_use]
    pub fn kept_from_guests(mut self) -> Self {
        let route = self.route.unwrap_or_default();
        self.route = Some(match route.strip_suffix(WITH_CREDENTIALS) {
            Some(way) => format!("{way}{KEPT_FROM_GUESTS}{WITH_CREDENTIALS}"),
            None => route + KEPT_FROM_GUESTS,
        });
        self
    }

    /// Whether it came from where a guest may not go.
    pub fn is_kept_from_guests(&self) -> bool {
        let way = |route: &str| route.strip_suffix(WITH_CREDENTIALS).unwrap_or(route).ends_with(KEPT_FROM_GUESTS);
        self.route.as_deref().is_some_and(way)
    }

    /// Whether credentials went with the request.
    pub fn is_authorized(&self) -> bool {
        self.route.as_ref().is_some_and(|route| route.ends_with(WITH_CREDENTIALS))
    }
}

/// A response about to be stored.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Hash of the URL.
    pub key: [u8; 16],
    /// Canonical URL.
    pub url: String,
    /// Status.
    pub status: u16,
    /// Fields, without those of one hop.
    pub headers: HeaderMap,
    /// What it varies on.
    pub vary: Vec<VaryField>,
    /// When it was asked for.
    pub requested: SystemTime,
    /// When its head arrived.
    pub responded: SystemTime,
    /// Kind of content.
    pub class: Class,
    /// Where the body is only a part of the object: which.
    pub part: Option<Part>,
    /// How it came here.
    pub provenance: Provenance,
}

/// A stored response.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Row of the index.
    pub id: i64,
    /// What was stored; the times are those of the last validation. Shared, since every hit has an entry of its own.
    pub draft: Arc<Draft>,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// Bytes of the body.
    pub size: u64,
    /// When it was last served.
    pub last_used: SystemTime,
    /// How often it was served.
    pub uses: u64,
    /// Whether it is kept whatever the limits say.
    pub pinned: bool,
}

/// What happened to a key, to be noted in the index some time soon.
#[derive(Clone, Debug)]
pub struct Touch {
    /// Hash of the URL.
    pub key: [u8; 16],
    /// The entry served, where one was.
    pub entry: Option<i64>,
    /// When.
    pub at: SystemTime,
    /// How the answer came about.
    pub outcome: Outcome,
    /// Why.
    pub why: Cow<'static, str>,
    /// How many requests this stands for.
    pub uses: u64,
}
