//! Answers requests from the store, and asks the origin for the rest.
//!
//! A request's way: key and rules, look-up, judgement (`policy`), then the stored answer, or a fetch: one for all who
//! want the same, written to the store while they read it, and independent of whether they stay.

mod absent;
mod alone;
mod answer;
mod aside;
mod batch;
mod borrow;
mod buffers;
mod confirm;
mod credential;
mod exchange;
mod fetch;
mod file_body;
mod follow;
mod head;
mod in_place;
mod join;
pub(crate) mod key;
pub(crate) mod learn;
mod link;
mod opened;
mod part;
mod progress;
mod promises;
mod refuted;
mod report;
mod room;
mod shape;
mod shelf;
mod spill;
mod stored;
mod transfer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Display;
use std::future::ready;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, CONTENT_LOCATION, IF_MATCH, IF_UNMODIFIED_SINCE, LOCATION, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::absent::Absent;
use self::alone::Large;
use self::batch::Memory;
use self::credential::Credentials;
pub(crate) use self::credential::binds;
pub use self::credential::is_credential;
use self::exchange::Exchange;
use self::fetch::Job;
pub use self::key::Key;
use self::learn::Readings;
pub(crate) use self::learn::promise_key;
pub(crate) use self::link::links;
pub(crate) use self::opened::Opened;
use self::progress::{Fetch, Progress};
use self::promises::Promises;
pub(crate) use self::promises::has_digest;
use self::report::{CacheStatus, Forward};
pub use self::room::{Keep, WHOLE_FOR_RANGE};
pub(crate) use self::shape::to_store;
pub(crate) use self::shelf::InFile;
use self::shelf::Shelf;
use crate::body::Body;
use crate::current::Current;
use crate::flow::{FlowRecorder, Outcome};
use crate::inspect::{Dropped, Target};
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::policy::CacheControl;
use crate::rules::{Rules, Verdict};
use crate::store::{Provenance, Store, StoreError, Touch, from_millis, millis};
use crate::turns::Turns;

/// Bodies put in place at a time. Each is an open file and a thread that waits for the disk.
const PLACED_AT_ONCE: usize = 128;

/// What the cache may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Serve what is stored, fetch the rest.
    Cache,
    /// Never ask upstream: serve what is stored, also stale; answer 403 to the rest.
    Offline,
}

/// Marks a request that upstream is asked for whatever is stored. No client can send it: it is no field.
#[derive(Clone, Copy, Debug)]
pub struct Refetch;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// What became of a cache since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How often it could not be read or written.
    pub faults: u64,
    /// Responses removed to make room.
    pub evicted: u64,
    /// Bytes of bodies removed to make room.
    pub evicted_bytes: u64,
}

/// The cache. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    shelf: Option<Shelf>,
    origin: Arc<dyn Origin>,
    mode: AtomicU8,
    rules: Current<Rules>,
    clock: Clock,
    /// When this cache was made.
    made: SystemTime,
    absent: Absent,
    credentials: Credentials,
    promises: Promises,
    readings: Readings,
    large: Large,
    /// Memory for what is on its way to the disk.
    memory: Memory,
    /// Turns at writing to the disk.
    turns: Arc<Turns>,
    /// Turns at putting bodies in place.
    places: Arc<Turns>,
    /// When the run began, in milliseconds since 1970; 0 before the first.
    run: AtomicI64,
    /// What was confirmed before is asked for again, in milliseconds since 1970; 0 where nothing was said.
    anew: AtomicI64,
    /// Fetches that others may join.
    fetches: Mutex<HashMap<[u8; 16], Arc<Fetch>>>,
    /// The runtime it was made on, for whatever is not of one connection.
    home: Option<Handle>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    warned: AtomicBool,
    faults: AtomicU64,
}

impl Cache {
    /// A cache over `store`; without one everything passes uncached.
    pub fn new(store: Option<Store>, origin: Arc<dyn Origin>, mode: Mode, rules: Rules) -> Self {
        Self::with_clock(store, origin, mode, rules, Arc::new(SystemTime::now))
    }

    /// The same with a clock of the caller's.
    pub fn with_clock(store: Option<Store>, origin: Arc<dyn Origin>, mode: Mode, rules: Rules, clock: Clock) -> Self {
        let inner = Inner {
            origin,
            mode: AtomicU8::new(mode as u8),
            rules: Current::new(rules),
            made: clock(),
            clock,
            absent: Absent::default(),
            credentials: Credentials::new(store.as_ref().map(Store::root)),
            promises: Promises::default(),
            readings: Readings::default(),
            large: Large::default(),
            memory: Memory::default(),
            turns: Turns::new(2 * std::thread::available_parallelism().map_or(2, NonZeroUsize::get)),
            places: Turns::new(PLACED_AT_ONCE),
            shelf: store.map(Shelf::new),
            run: AtomicI64::new(0),
            anew: AtomicI64::new(0),
            fetches: Mutex::default(),
            home: Handle::try_current().ok(),
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            warned: AtomicBool::new(false),
            faults: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Answers a request. Errors become responses, with `Cache-Status` and `Proxy-Status`.
    pub fn call(&self, request: Request<Body>, context: RequestContext) -> BoxFuture<'_, Response<Body>> {
        let Some(key) = Key::of(request.uri()) else {
            context.flow.outcome(Outcome::Denied, "the URL is not absolute, or neither http nor https");
            let text = "the URL must be absolute, with http or https".to_owned();
            return Box::pin(ready(report::message(StatusCode::BAD_REQUEST, text)));
        };
        let verdict = self.inner.rules.look().classify(request.uri().path(), Some(request.headers()));
        let authorized = request.headers().keys().any(is_credential);
        context.flow.update(|flow| {
            flow.authorized |= authorized;
            flow.class = verdict.class;
            flow.rule = verdict.rule.into();
            flow.key = crate::redact::url(&key.url);
            flow.key_is_cut = flow.key != key.url;
        });
        if let Some(why) = self.unsuited(&request) {
            return Box::pin(self.around(key, request, context, why));
        }
        let (parts, _) = request.into_parts();
        let exchange = Exchange {
            inner: &self.inner,
            known: None,
            anew: false,
            nature: None,
            borrowed: None,
            found: None,
            parts: Vec::new(),
            large: false,
            key,
            verdict,
            refetch: parts.extensions.get::<Refetch>().is_some(),
            control: CacheControl::parse(&parts.headers),
            method: parts.method,
            uri: parts.uri,
            headers: parts.headers,
            context,
            now: self.inner.now(),
            forward: Forward::UriMiss,
        };
        Box::pin(Box::new(exchange).answer())
    }

    /// Why the store has no part in a request.
    fn unsuited(&self, request: &Request<Body>) -> Option<&'static str> {
        let headers = request.headers();
        if self.inner.shelf.is_none() {
            return Some("there is no cache");
        }
        if *request.method() != Method::GET && *request.method() != Method::HEAD {
            return Some("only GET and HEAD are cached");
        }
        if headers.contains_key(IF_MATCH) || headers.contains_key(IF_UNMODIFIED_SINCE) {
            return Some("the request has a condition on the state at the origin");
        }
        let body = headers.get(CONTENT_LENGTH).is_some_and(|value| value != "0");
        (body || headers.contains_key(TRANSFER_ENCODING)).then_some("the request has a body")
    }

    /// Passes on what the store has no part in.
    async fn around(&self, key: Key, request: Request<Body>, context: RequestContext, why: &str) -> Response<Body> {
        if self.mode() == Mode::Offline {
            context.flow.outcome(Outcome::Denied, "offline, and not stored");
            context.flow.update(|flow| flow.offline_miss = true);
            return offline_miss(&key.url);
        }
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.inner.pass(request, context, Outcome::Bypass, why).await;
        for outdated in invalidated(&method, &uri, &response) {
            self.inner.invalidate(outdated.hash).await;
        }
        response
    }

    /// Changes the mode for every request from now on, on listeners and connections already open as well. What is
    /// being fetched goes on, and so do tunnels.
    pub fn set_mode(&self, mode: Mode) {
        self.inner.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Judges by other rules from now on.
    pub(crate) fn set_rules(&self, rules: Rules) {
        self.inner.rules.set(rules);
    }

    /// The mode in force.
    pub fn mode(&self) -> Mode {
        self.inner.mode()
    }

    /// Keeps what is stored below so many bytes: what was used least recently goes, but nothing of the present run.
    pub fn keep_below(&self, bytes: u64) {
        if let Some(shelf) = &self.inner.shelf {
            shelf.room().set(|keep| keep.max_bytes = Some(bytes));
        }
    }

    /// Keeps what is stored within limits.
    pub fn keep(&self, limits: Keep) {
        if let Some(shelf) = &self.inner.shelf {
            shelf.room().set(|keep| *keep = limits);
        }
    }

    /// What became of it since it was opened.
    pub fn figures(&self) -> Figures {
        let faults = self.inner.faults.load(Ordering::Relaxed);
        let (evicted, evicted_bytes) = self.inner.shelf.as_ref().map_or((0, 0), |shelf| shelf.room().made());
        Figures { faults, evicted, evicted_bytes }
    }

    /// The store behind it, where there is one.
    pub fn store(&self) -> Option<Store> {
        self.inner.shelf.as_ref().map(|shelf| shelf.store().clone())
    }

    /// Removes stored answers, so that the very next request for one finds it gone; without a store there are none.
    pub async fn remove(&self, target: Target) -> Result<Dropped, StoreError> {
        match &self.inner.shelf {
            Some(stored) => stored.remove(target).await,
            None => Ok(Dropped::default()),
        }
    }

    /// Begins a run: an index that upstream confirms from now on is not asked for again until the next.
    pub fn begin_run(&self) {
        self.inner.run.store(millis(self.inner.now()), Ordering::Relaxed);
        self.look_anew();
    }

    /// Lets upstream be asked again, within the same run, for what it has confirmed or said not to have: somebody has
    /// mended something, and tries again.
    pub fn look_anew(&self) {
        self.inner.anew.store(millis(self.inner.now()), Ordering::Relaxed);
    }

    /// Waits for fetches still being stored. After `limit` they are cancelled, and leave nothing; a cache that has
    /// been cancelled so fetches nothing more.
    pub async fn drain(&self, limit: Duration) {
        let tasks = &self.inner.tasks;
        tasks.close();
        if tokio::time::timeout(limit, tasks.wait()).await.is_err() {
            self.inner.cancel.cancel();
            tasks.wait().await;
        }
        tasks.reopen();
        if let Some(shelf) = &self.inner.shelf {
            shelf.settle(self.inner.run()).await;
        }
    }
}

impl Inner {
    fn now(&self) -> SystemTime {
        (self.clock)()
    }

    fn mode(&self) -> Mode {
        if self.mode.load(Ordering::Relaxed) == Mode::Offline as u8 { Mode::Offline } else { Mode::Cache }
    }

    fn run(&self) -> Option<SystemTime> {
        Some(self.run.load(Ordering::Relaxed)).filter(|&run| run > 0).map(from_millis)
    }

    /// Since when a confirmation counts, where there has been a run.
    fn confirmed_since(&self) -> Option<SystemTime> {
        Some(self.anew.load(Ordering::Relaxed)).filter(|&anew| anew > 0).map(from_millis)
    }

    fn provenance(&self, context: &RequestContext, verdict: &Verdict) -> Provenance {
        let identity = context.flow.identity();
        let provenance = Provenance {
            run: self.run(),
            build: Some(identity.build.to_string()),
            step: identity.step.map(|step| step.to_string()),
            route: Provenance::way(context.flow.route(), context.flow.is_authorized()),
            source: None,
            rule: Some(verdict.rule.to_string()),
        };
        if context.flow.is_kept_from_guests() { provenance.kept_from_guests() } else { provenance }
    }

    /// Joins the fetch under way for a key, or begins one.
    fn join(self: &Arc<Self>, key: [u8; 16], url: [u8; 16]) -> Joined {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetch) = fetches.get(&key) {
            return Joined::Following(fetch.subscribe());
        }
        Joined::Leading(self.begin(&mut fetches, key, url))
    }

    fn begin(self: &Arc<Self>, fetches: &mut HashMap<[u8; 16], Arc<Fetch>>, key: [u8; 16], url: [u8; 16]) -> Leading {
        let fetch = Arc::new(Fetch::new(url));
        fetches.insert(key, fetch.clone());
        Leading { inner: self.clone(), key: Some(key), fetch }
    }

    /// Makes the store forget a URL, and fetches of it under way keep nothing, whoever asked for them.
    async fn invalidate(&self, key: [u8; 16]) {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, fetch| {
            let outdated = fetch.is_of(&key);
            if outdated {
                fetch.outdate();
            }
            !outdated
        });
        if let Some(shelf) = &self.shelf
            && let Err(error) = shelf.invalidate(key).await
        {
            self.warn(&error);
        }
    }

    /// The fetch under way for a key, for who only looks on.
    fn under_way(&self, key: &[u8; 16]) -> Option<watch::Receiver<Progress>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(|fetch| fetch.subscribe())
    }

    /// A fetch that nobody can join: what it is listed under is nobody else's.
    fn alone(self: &Arc<Self>, url: [u8; 16]) -> Leading {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        self.begin(&mut fetches, key::hash16(&[b"alone ", &number[..]].concat()), url)
    }

    fn spawn(&self, job: Job, leading: Leading) {
        let cancel = self.cancel.clone();
        self.behind(async move {
            let _leading = leading;
            cancel.run_until_cancelled_owned(Box::pin(job.run())).await;
        });
    }

    /// Does work that no client's connection is made to wait for, and that outlives it.
    fn behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.home {
            Some(home) => self.tasks.spawn_on(work, home),
            None => self.tasks.spawn(work),
        };
    }

    /// Passes a request on, around the store.
    async fn pass(
        &self,
        request: Request<Body>,
        context: RequestContext,
        outcome: Outcome,
        why: &str,
    ) -> Response<Body> {
        context.flow.outcome(outcome, why.to_owned());
        let forward = if request.method().is_safe() { Forward::Bypass } else { Forward::Method };
        match self.origin.send(request, &context).await {
            Ok(mut response) => {
                let status = CacheStatus::forwarded(forward).answered(response.status());
                status.append_to(response.headers_mut());
                counted(response, context.flow)
            }
            Err(error) => self.upstream_failed(&error, &context, None, forward),
        }
    }

    /// The answer when upstream gave none, noted in the flow.
    fn upstream_failed(
        &self,
        error: &UpstreamError,
        context: &RequestContext,
        key: Option<[u8; 16]>,
        forward: Forward,
    ) -> Response<Body> {
        let outcome = if error.phase == Phase::Denied { Outcome::Denied } else { Outcome::Error };
        context.flow.outcome(outcome, error.message.clone());
        if let Some(key) = key {
            self.note(Touch { key, entry: None, at: self.now(), outcome, why: error.message.clone().into(), uses: 1 });
        }
        let mut response = crate::error::rescue(error);
        CacheStatus::forwarded(forward).append_to(response.headers_mut());
        response
    }

    fn note(&self, touch: Touch) {
        if let Some(shelf) = &self.shelf {
            shelf.touch(touch);
        }
    }

    /// Warns that the cache does not work as it should: once, however many requests it hits.
    fn warn(&self, error: &StoreError) {
        self.say(&format_args!("{error} (hint: {})", error.hint()));
    }

    fn say(&self, error: &dyn Display) {
        self.faults.fetch_add(1, Ordering::Relaxed);
        if self.warned.swap(true, Ordering::Relaxed) {
            tracing::debug!(%error, "the cache failed again");
        } else {
            tracing::warn!(%error, "the cache failed; downloads go on without it");
        }
    }
}

/// Whether a URL carries user information, or a parameter that is a secret or a signature.
pub fn carries_secret(url: &str) -> bool {
    let whole = url.split('#').next().unwrap_or_default();
    crate::redact::url(url) != whole.strip_suffix('?').unwrap_or(whole)
}

enum Joined {
    Following(watch::Receiver<Progress>),
    Leading(Leading),
}

/// A fetch begun. However it ends, it is taken off the list of those that can be joined, and who waits learns of it.
struct Leading {
    inner: Arc<Inner>,
    key: Option<[u8; 16]>,
    fetch: Arc<Fetch>,
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.fetch.settled();
        let Some(key) = &self.key else { return };
        let mut fetches = self.inner.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        // After an invalidation another may have its place.
        if fetches.get(key).is_some_and(|fetch| Arc::ptr_eq(fetch, &self.fetch)) {
            fetches.remove(key);
        }
    }
}

/// Counts the body as read from upstream.
fn counted(response: Response<Body>, flow: Arc<FlowRecorder>) -> Response<Body> {
    response.map(|body| {
        body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            flow.update(|flow| flow.bytes_upstream += bytes);
            frame
        })
        .boxed()
    })
}

/// What an answer makes outdated (RFC 9111 section 4.4): after a method that is not safe, and unless it failed, the URL
/// itself, and what `Location` and `Content-Location` name of the same origin.
fn invalidated(method: &Method, uri: &Uri, response: &Response<Body>) -> Vec<Key> {
    let status = response.status();
    if method.is_safe() || !(status.is_success() || status.is_redirection()) {
        return Vec::new();
    }
    let named = [LOCATION, CONTENT_LOCATION].into_iter().filter_map(|name| {
        let reference = response.headers().get(name)?.to_str().ok()?;
        let base = url::Url::parse(&uri.to_string()).ok()?;
        let target = base.join(reference).ok()?;
        (target.origin() == base.origin()).then(|| target.as_str().parse().ok())?
    });
    let mut keys: Vec<_> = named.chain([uri.clone()]).filter_map(|uri: Uri| Key::of(&uri)).collect();
    keys.dedup();
    keys
}

/// The answer to what is not stored, offline. Tools ask again after a 5xx, and elsewhere after a 404; not after a 403.
fn offline_miss(url: &str) -> Response<Body> {
    let text = format!("{} is not in Larder's cache, and Larder is offline", crate::redact::url(url));
    let mut response = crate::error::answer(StatusCode::FORBIDDEN, "http_request_denied", &text);
    CacheStatus::forwarded(Forward::Miss).detail("offline").append_to(response.headers_mut());
    response
}
