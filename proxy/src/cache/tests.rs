//! Behaviour of the cache over a scripted origin.

mod damage;
mod fake_origin;
mod faults;
mod front;
mod hostile;
mod joining;
mod offline;
mod parts;
mod promises;
mod ranges;
mod serving;
mod users;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tempfile::TempDir;

use self::fake_origin::{FakeOrigin, Reply};
use super::{Cache, Keep, Key, Mode, PLACED_AT_ONCE, Refetch};
use crate::body::empty;
use crate::flow::{Flow, FlowRecorder, Outcome};
use crate::identity::Identity;
use crate::in_flight::Flows;
use crate::inspect::Target;
use crate::origin::RequestContext;
use crate::rules::Rules;
use crate::store::{Entry, Store};

const DEB: &str = "http://example.org/debian/pool/main/h/hello/hello_1_amd64.deb";
const INDEX: &str = "http://example.org/debian/dists/stable/InRelease";
const PLAIN: &str = "http://example.org/plain";

/// A cache, its directory, its origin, its clock, and the flows that passed.
struct Bed {
    cache: Cache,
    origin: Arc<FakeOrigin>,
    store: Store,
    time: Arc<Mutex<SystemTime>>,
    flows: Arc<Mutex<Vec<Flow>>>,
    dir: Arc<TempDir>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// The body, or how it broke.
    body: Result<Bytes, String>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Bed {
    fn new() -> Self {
        Self::on(Arc::new(TempDir::new().unwrap()))
    }

    /// A new process, as it were, on the same directory.
    fn again(&self) -> Self {
        let bed = Self::on(self.dir.clone());
        *bed.time.lock().unwrap() = *self.time.lock().unwrap();
        bed
    }

    fn on(dir: Arc<TempDir>) -> Self {
        let path = dir.path().to_owned();
        Self::at(dir, &path)
    }

    /// As a proxy starts.
    fn mending(dir: Arc<TempDir>) -> Self {
        let (store, _) = Store::open_mending(dir.path()).unwrap();
        if store.needs_recovery() {
            store.recover().unwrap();
        }
        Self::over(dir, store)
    }

    fn at(dir: Arc<TempDir>, path: &Path) -> Self {
        Self::over(dir, Store::open(path).unwrap())
    }

    fn over(dir: Arc<TempDir>, store: Store) -> Self {
        let origin = Arc::new(FakeOrigin::default());
        let time = Arc::new(Mutex::new(UNIX_EPOCH + Duration::from_hours(500_000)));
        let clock = time.clone();
        let cache = Cache::with_clock(
            Some(store.clone()),
            origin.clone(),
            Mode::Cache,
            Rules::default(),
            Arc::new(move || *clock.lock().unwrap()),
        );
        Self { cache, origin, store, time, flows: Arc::default(), dir }
    }

    fn later(&self, seconds: u64) {
        *self.time.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn context(&self, url: &str) -> RequestContext {
        let flows = self.flows.clone();
        let sink = Arc::new(move |flow: Flow| flows.lock().unwrap().push(flow));
        let flow = FlowRecorder::begin(Identity::default(), &http::Method::GET, url.to_owned(), &Flows::new(sink));
        RequestContext { flow, guest: true }
    }

    async fn call(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> http::Response<crate::body::Body> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.cache.call(request.body(empty()).unwrap(), self.context(url)).await
    }

    /// A whole exchange; what is being stored has been stored afterwards.
    async fn get(&self, url: &str) -> Answer {
        self.send("GET", url, &[]).await
    }

    async fn with(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", url, headers).await
    }

    async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = read(self.call(method, url, headers).await).await;
        self.settle().await;
        answer
    }

    async fn settle(&self) {
        self.cache.drain(Duration::from_secs(20)).await;
    }

    /// What is stored of a URL, for those who may ask upstream.
    fn stored(&self, url: &str) -> Vec<Entry> {
        self.store.lookup(&Key::of(&url.parse().unwrap()).unwrap().hash).unwrap()
    }

    /// What is kept of it for those who may not.
    fn aside(&self, url: &str) -> Vec<Entry> {
        self.store.lookup(&Key::of(&url.parse().unwrap()).unwrap().aside()).unwrap()
    }

    fn last(&self) -> Flow {
        self.flows.lock().unwrap().last().unwrap().clone()
    }

    fn outcome(&self) -> Outcome {
        self.last().outcome
    }

    #[track_caller]
    fn assert_sound(&self) {
        let report = self.store.verify(false).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

async fn read(response: http::Response<crate::body::Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string());
    Answer { status: parts.status, headers: parts.headers, body }
}

fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}
