//! An origin in memory that does as scripted and counts what it is asked.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::mpsc;

use crate::body::{Body, full};
use crate::origin::{BoxFuture, Origin, Phase, RequestContext, UpstreamError};
use crate::policy::condition::range_allowed;
use crate::policy::range::{Wanted, wanted};

/// One answer.
#[derive(Default)]
pub(super) struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    /// The body comes from here instead, at the test's speed.
    live: Option<mpsc::Receiver<io::Result<Bytes>>>,
    fails: Option<(Phase, bool)>,
    /// Answers 304 to a conditional request.
    conditional: bool,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    pub(super) fn ok(body: impl Into<Bytes>) -> Self {
        Self::new(200, body)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        self
    }

    /// An `ETag`, and 304 to who has it.
    pub(super) fn tagged(mut self, tag: &str) -> Self {
        self.conditional = true;
        self.with("etag", tag)
    }

    pub(super) fn failure(phase: Phase, retryable: bool) -> Self {
        Self { fails: Some((phase, retryable)), ..Self::default() }
    }

    /// An answer whose body the test sends bit by bit; dropping the sender ends it.
    pub(super) fn live() -> (Self, mpsc::Sender<io::Result<Bytes>>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self { status: 200, live: Some(receiver), ..Self::default() }, sender)
    }

    /// The same answer, its body sent by the test.
    pub(super) fn drip(self) -> (Self, mpsc::Sender<io::Result<Bytes>>) {
        let (live, sender) = Self::live();
        (Self { live: live.live, ..self }, sender)
    }

    fn response(self, request: &Request<Body>) -> Result<Response<Body>, UpstreamError> {
        if let Some((phase, retryable)) = self.fails {
            return Err(UpstreamError { phase, message: "example.org: scripted failure".to_owned(), retryable });
        }
        let given = request.headers().get("if-none-match");
        if self.conditional && given.is_some() && given == self.headers.get("etag") {
            let mut response = Response::new(full(Bytes::new()));
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
            *response.headers_mut() = self.headers;
            return Ok(response);
        }
        let body = match self.live {
            None => full(self.body),
            Some(receiver) => {
                let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
                    let next = receiver.recv().await?;
                    Some((next.map(Frame::data), receiver))
                });
                StreamBody::new(stream).boxed()
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = http::StatusCode::from_u16(self.status).unwrap();
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

/// The origin. Each URL has a queue of answers.
#[derive(Default)]
pub(super) struct FakeOrigin {
    /// What is there whenever nothing is scripted: an object, and its tag.
    objects: Mutex<HashMap<String, (Bytes, &'static str)>>,
    replies: Mutex<HashMap<String, VecDeque<Reply>>>,
    requests: Mutex<Vec<(String, HeaderMap)>>,
}

impl FakeOrigin {
    pub(super) fn reply(&self, url: &str, reply: Reply) {
        self.replies.lock().unwrap().entry(url.to_owned()).or_default().push_back(reply);
    }

    /// Has an object served from now on, whole and in ranges.
    pub(super) fn serve(&self, url: &str, body: Bytes, tag: &'static str) {
        self.objects.lock().unwrap().insert(url.to_owned(), (body, tag));
    }

    fn of_object(&self, url: &str, request: &HeaderMap) -> Option<Reply> {
        let objects = self.objects.lock().unwrap();
        let (body, tag) = objects.get(url)?;
        let reply = |status, body: Bytes| {
            let length = body.len().to_string();
            Reply::new(status, body).with("content-length", &length).tagged(tag).with("cache-control", "max-age=60")
        };
        let stored = HeaderMap::from_iter([(http::header::ETAG, tag.parse().unwrap())]);
        let size = body.len() as u64;
        match wanted(request, size) {
            Wanted::Part(from, to) if range_allowed(request, &stored) => {
                let part = body.slice(usize::try_from(from).unwrap()..usize::try_from(to).unwrap());
                Some(reply(206, part).with("content-range", &format!("bytes {from}-{}/{size}", to - 1)))
            }
            _ => Some(reply(200, body.clone())),
        }
    }

    /// How many requests have arrived.
    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// A field of the last request.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        let requests = self.requests.lock().unwrap();
        requests.last()?.1.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Origin for FakeOrigin {
    fn send<'a>(
        &'a self,
        request: Request<Body>,
        _context: &'a RequestContext,
    ) -> BoxFuture<'a, Result<Response<Body>, UpstreamError>> {
        let url = request.uri().to_string();
        self.requests.lock().unwrap().push((url.clone(), request.headers().clone()));
        let reply = self.replies.lock().unwrap().get_mut(&url).and_then(VecDeque::pop_front);
        let reply = reply.or_else(|| self.of_object(&url, request.headers()));
        let reply = reply.unwrap_or_else(|| panic!("the origin was asked for {url} more often than scripted"));
        Box::pin(async move { reply.response(&request) })
    }
}
