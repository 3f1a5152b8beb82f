//! One request and its answer through the proxy, as plain data.
//!
//! A [`FlowRecorder`] is made when a request arrives, filled in by the layers it passes, and turned into one
//! [`Flow`] when the answer's last byte has left (or the client went away).

mod answered;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::{Method, Version};
use serde::{Deserialize, Serialize};

pub use self::answered::Answered;
pub(crate) use self::answered::is_bound;
use crate::identity::Identity;
use crate::in_flight::{Desk, Flows, InFlight};

/// How the proxy came by the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Served from the cache; upstream was not asked.
    Hit,
    /// Fetched from upstream.
    Miss,
    /// Upstream said 304; the body came from the cache.
    Revalidated,
    /// Served from the cache though no longer fresh, because upstream could not be asked.
    Stale,
    /// Joined a fetch already under way for another request.
    Coalesced,
    /// Passed on without being looked into (CONNECT by rule).
    Tunnel,
    /// Passed on without the cache (method, or a rule).
    Bypass,
    /// Refused by the proxy.
    Denied,
    /// Upstream could not be reached, or failed.
    Error,
}

impl Outcome {
    /// The word shown to people and written to logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Revalidated => "REVALIDATED",
            Self::Stale => "STALE",
            Self::Coalesced => "COALESCED",
            Self::Tunnel => "TUNNEL",
            Self::Bypass => "BYPASS",
            Self::Denied => "DENIED",
            Self::Error => "ERROR",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What kind of content a URL names, by the shape of its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A package, immutable under its name: `.deb`, wheel, npm tarball, crate, jar, OCI blob.
    Package,
    /// An index that changes: `InRelease`, `Packages`, simple page, packument, sparse index, tag.
    Index,
    /// A disk, ISO or root file system image.
    Image,
    /// Anything else.
    #[default]
    Other,
}

impl Class {
    /// The word shown to people and written to logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Index => "index",
            Self::Image => "image",
            Self::Other => "other",
        }
    }
}

/// One finished request. URLs carry neither user information nor signature parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Number of the flow, unique within the process.
    pub id: u64,
    /// Who asked.
    pub identity: Identity,
    /// When the request's head had been read.
    pub started: SystemTime,
    /// From `started` to the last byte of the answer.
    pub duration: Duration,
    /// From `started` to the first byte of the answer's body, where there was one.
    pub first_byte: Option<Duration>,
    /// Method, as received.
    pub method: Cow<'static, str>,
    /// The URL asked for (for CONNECT tunnels `host:port`).
    pub url: String,
    /// Status sent to the client; 0 when the client went away first.
    pub status: u16,
    /// How the proxy came by the answer.
    pub outcome: Outcome,
    /// Why, in one sentence.
    pub why: Cow<'static, str>,
    /// What kind of content it was.
    pub class: Class,
    /// Way to the origin taken: `direct`, `proxy URL`, `mirror URL`; empty when upstream was not asked.
    pub route: String,
    /// Status of upstream's answer, where it was asked.
    pub upstream_status: Option<u16>,
    /// Body bytes sent to the client.
    pub bytes_sent: u64,
    /// Body bytes read from the client: an upload, or what it sent into a tunnel.
    #[serde(default)]
    pub bytes_received: u64,
    /// Body bytes read from the cache.
    pub bytes_cache: u64,
    /// Body bytes read from upstream for this request.
    pub bytes_upstream: u64,
    /// SHA-256 of the whole body, in hex, where it is known.
    pub digest: Option<Arc<str>>,
    /// Whether the answer ended before its last byte.
    pub aborted: bool,
    /// HTTP version of the client's request, such as `HTTP/2.0`.
    pub version: Cow<'static, str>,
    /// Whether the request came over intercepted TLS.
    pub intercepted: bool,
    /// Whether it was refused only because the run is offline and the cache has no answer.
    pub offline_miss: bool,
    /// The rule that classified it; empty where none was asked.
    #[serde(default)]
    pub rule: Cow<'static, str>,
    /// What the cache files it under: the canonical URL, without signature; empty where the cache has no part in it.
    #[serde(default)]
    pub key: String,
    /// Whether something was left out of `key` that may be a secret: what is stored is not found by it.
    #[serde(default)]
    pub key_is_cut: bool,
    /// Whether what was stored turned out damaged.
    #[serde(default)]
    pub damaged: bool,
    /// Whether credentials went with the request, the client's or those that the settings have for a mirror, or went when
    /// what is stored was fetched.
    #[serde(default)]
    pub authorized: bool,
    /// The answer as it can be given again; none where there is no such.
    #[serde(default)]
    pub answer: Option<Arc<Answered>>,
}

impl Flow {
    /// A flow of which nothing is known yet.
    fn blank(id: u64, identity: Identity, started: SystemTime) -> Self {
        Self {
            id,
            identity,
            started,
            duration: Duration::ZERO,
            first_byte: None,
            method: Cow::Borrowed(""),
            url: String::new(),
            status: 0,
            outcome: Outcome::Error,
            why: Cow::Borrowed(""),
            class: Class::Other,
            route: String::new(),
            upstream_status: None,
            bytes_sent: 0,
            bytes_received: 0,
            bytes_cache: 0,
            bytes_upstream: 0,
            digest: None,
            aborted: false,
            version: Cow::Borrowed(""),
            intercepted: false,
            offline_miss: false,
            rule: Cow::Borrowed(""),
            key: String::new(),
            key_is_cut: false,
            damaged: false,
            authorized: false,
            answer: None,
        }
    }
}

/// Receives each [`Flow`] when it ends. Must not block.
pub trait FlowSink: Send + Sync {
    /// Takes a finished flow.
    fn flow(&self, flow: Flow);
}

impl<F: Fn(Flow) + Send + Sync> FlowSink for F {
    fn flow(&self, flow: Flow) {
        self(flow);
    }
}

/// Collects the facts of one flow while it passes, and hands the [`Flow`] on when dropped.
pub struct FlowRecorder {
    flow: Mutex<Flow>,
    begun: Instant,
    /// Bytes of the answer's body; [`UNKNOWN`] where the length is not known.
    total: AtomicU64,
    hop: Mutex<Hop>,
    kept_from_guests: AtomicBool,
    /// Where it is listed, and where it ends.
    desk: Arc<Desk>,
}

/// The peer that was asked upstream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hop {
    /// Host and port of the origin, or of the proxy on the way to it; empty where nobody was asked.
    pub(crate) name: String,
    /// The HTTP version of its answer.
    pub(crate) version: Option<Version>,
}

const UNKNOWN: u64 = u64::MAX;

fn name(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => Cow::Borrowed("GET"),
        Method::HEAD => Cow::Borrowed("HEAD"),
        _ => Cow::Owned(method.as_str().to_owned()),
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl FlowRecorder {
    /// Begins a flow.
    pub fn begin(identity: Identity, method: &Method, url: String, flows: &Flows) -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let flow = Flow { method: name(method), url, ..Flow::blank(id, identity, SystemTime::now()) };
        let recorder = Arc::new(Self {
            flow: Mutex::new(flow),
            begun: Instant::now(),
            total: AtomicU64::new(UNKNOWN),
            hop: Mutex::default(),
            kept_from_guests: AtomicBool::new(false),
            desk: flows.desk(),
        });
        recorder.desk.begun(id, &recorder);
        recorder
    }

    /// Changes the record.
    pub fn update(&self, change: impl FnOnce(&mut Flow)) {
        change(&mut self.flow.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Sets how the answer came about, and why.
    pub fn outcome(&self, outcome: Outcome, why: impl Into<Cow<'static, str>>) {
        self.update(|flow| {
            flow.outcome = outcome;
            flow.why = why.into();
        });
    }

    /// The identity the request was attributed to.
    pub fn identity(&self) -> Identity {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).identity.clone()
    }

    /// The way to the origin, as far as it is known.
    pub fn route(&self) -> String {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).route.clone()
    }

    /// Whether credentials went with the request.
    pub fn is_authorized(&self) -> bool {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner).authorized
    }

    /// Notes that what is being answered came from where a guest may not go.
    pub fn keep_from_guests(&self) {
        self.kept_from_guests.store(true, Ordering::Relaxed);
    }

    /// Whether any of it did.
    pub fn is_kept_from_guests(&self) -> bool {
        self.kept_from_guests.load(Ordering::Relaxed)
    }

    /// Notes how long the answer's body is going to be.
    pub fn expect(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Counts body bytes that the client sent.
    pub(crate) fn received(&self, bytes: u64) {
        self.update(|flow| flow.bytes_received += bytes);
    }

    /// Notes who is asked upstream.
    pub(crate) fn asks(&self, name: String) {
        *self.hop.lock().unwrap_or_else(PoisonError::into_inner) = Hop { name, version: None };
    }

    /// Notes that the one asked has answered.
    pub(crate) fn answered(&self, version: Version, status: u16) {
        self.hop.lock().unwrap_or_else(PoisonError::into_inner).version = Some(version);
        self.update(|flow| flow.upstream_status = Some(status));
    }

    /// Who was asked upstream last.
    pub(crate) fn hop(&self) -> Hop {
        self.hop.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The flow as far as it has come.
    pub(crate) fn so_far(&self) -> InFlight {
        let mut flow = self.flow.lock().unwrap_or_else(PoisonError::into_inner).clone();
        flow.duration = self.begun.elapsed();
        let total = Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != UNKNOWN);
        // Whoever sets an outcome says why; until then it is the one a flow begins with.
        let outcome = (!flow.why.is_empty()).then_some(flow.outcome);
        InFlight { flow, outcome, total }
    }

    /// Counts body bytes sent to the client, noting the first.
    pub fn sent(&self, bytes: u64) {
        let elapsed = self.begun.elapsed();
        self.update(|flow| {
            flow.first_byte.get_or_insert(elapsed);
            flow.bytes_sent += bytes;
        });
    }
}

impl Drop for FlowRecorder {
    fn drop(&mut self) {
        let flow = self.flow.get_mut().unwrap_or_else(PoisonError::into_inner);
        flow.duration = self.begun.elapsed();
        let blank = Flow::blank(flow.id, Identity::default(), flow.started);
        self.desk.ended(std::mem::replace(flow, blank));
    }
}
