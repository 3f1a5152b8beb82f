//! One request on its way through the cache.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AGE, AUTHORIZATION, COOKIE, RANGE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot, watch};

use super::fetch::{Job, Lead};
use super::file_body::FileBody;
use super::key::hash16;
use super::progress::{End, Head, Progress, SharedHead};
use super::promises::Known;
use super::shape::{Shape, shape};
use super::shelf::{Content, is_damage};
use super::{Inner, Joined, Key, Leading, Mode, report};
use crate::body::{Body, empty, full};
use crate::flow::{Class, Outcome};
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::policy::freshness::{Judgement, Stored, current_age, judge, lifetime, may_serve_stale};
use crate::policy::{CacheControl, vary};
use crate::rules::{Nature, Verdict};
use crate::store::{Entry, Touch};

/// A GET or HEAD that the store may answer.
pub(super) struct Exchange {
    pub inner: Arc<Inner>,
    pub key: Key,
    pub verdict: Verdict,
    /// What is known of the body, whoever sends it.
    pub known: Option<Known>,
    /// Whether it is fetched past every cache on the way.
    pub anew: bool,
    /// What is stored for other credentials, to be confirmed for these.
    pub borrowed: Option<Entry>,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub control: CacheControl,
    /// Whether upstream is asked however fresh the stored answer is.
    pub refetch: bool,
    pub context: RequestContext,
    pub now: SystemTime,
}

/// What one who waits for a fetch finds.
enum Followed {
    Answer(Response<Body>),
    /// It was not for sharing.
    Alone,
}

impl Exchange {
    /// Answers: from the store, or by fetching. What misses is boxed: the future of a hit stays small.
    pub(super) async fn answer(self) -> Response<Body> {
        // Twice: a damaged blob is forgotten, and looked up again.
        for _ in 0..2 {
            let Ok(entry) = self.lookup().await else {
                return self.pass(Outcome::Bypass, "the cache's index failed").await;
            };
            let Some(entry) = entry else { return Box::pin(self.miss(None)).await };
            if self.anew || self.is_refuted(&entry).await {
                return Box::pin(Self { anew: true, ..self }.miss(None)).await;
            }
            if self.refetch {
                return Box::pin(self.miss(Some(entry))).await;
            }
            match self.judge(&entry) {
                Judgement::Use(why) => {
                    if let Some(response) = self.serve(&entry, Outcome::Hit, why.to_owned(), "hit").await {
                        return response;
                    }
                }
                Judgement::Ask(_) => return Box::pin(self.miss(Some(entry))).await,
            }
        }
        Box::pin(self.miss(None)).await
    }

    async fn lookup(&self) -> Result<Option<Entry>, ()> {
        let Some(store) = &self.inner.shelf else { return Err(()) };
        let entries = store.lookup(self.key.hash).await.map_err(|error| self.inner.warn(&error))?;
        Ok(entries.iter().find(|entry| self.selects(&entry.draft.vary, &entry.draft.headers)).cloned())
    }

    fn selects(&self, fields: &[crate::store::VaryField], stored: &HeaderMap) -> bool {
        self.inner.credentials.selects(&self.headers, fields) && self.takes(stored)
    }

    /// Whether the client takes a stored body in its coding.
    pub(super) fn takes(&self, stored: &HeaderMap) -> bool {
        self.verdict.nature == Nature::Immutable || vary::accepts_coding(&self.headers, stored)
    }

    fn stored<'a>(&self, entry: &'a Entry) -> Stored<'a> {
        let draft = &entry.draft;
        Stored {
            status: draft.status,
            headers: &draft.headers,
            requested: draft.requested,
            responded: draft.responded,
            nature: self.nature(entry),
        }
    }

    fn judge(&self, entry: &Entry) -> Judgement {
        let stored = self.stored(entry);
        if stored.nature == Nature::Lasting && self.inner.mode() == Mode::Offline {
            return Judgement::Use("offline, and a package by its path");
        }
        // A package is asked for once a run, or once a process where there are no runs.
        let run = if stored.nature == Nature::Lasting { Some(self.inner.since()) } else { self.inner.run() };
        judge(&stored, &self.control, self.now, run)
    }

    /// How long an entry lives: by its path, its head, and whether a digest vouches for its body.
    fn nature(&self, entry: &Entry) -> Nature {
        if entry.draft.status != 200 || !self.verdict.fits(&entry.draft.headers) {
            return Nature::Plain;
        }
        let vouches = |known: &&Known| known.vouches(&self.inner.promises, entry) == Some(true);
        match (self.verdict.nature, self.known.as_ref().filter(vouches)) {
            // An index of this run names the very body.
            (Nature::Mutable | Nature::Plain, Some(known)) if known.binding => Nature::Immutable,
            (nature, known) => nature.with_digest(known.is_some()),
        }
    }

    /// Whether the stored body is not the one that it must be.
    async fn is_refuted(&self, entry: &Entry) -> bool {
        self.inner.check(self.known.as_ref(), entry).await;
        let binding = self.known.as_ref().filter(|known| known.binding);
        binding.is_some_and(|known| known.vouches(&self.inner.promises, entry) == Some(false))
    }

    /// Nothing usable is stored.
    async fn miss(mut self, stored: Option<Entry>) -> Response<Body> {
        if self.inner.mode() == Mode::Offline {
            return self.offline(stored).await;
        }
        if self.control.only_if_cached {
            let mut response = report::message(
                StatusCode::GATEWAY_TIMEOUT,
                format!("{} is not in the cache, and the request says only-if-cached", self.key.url),
            );
            report::cache_status(response.headers_mut(), "fwd=miss; detail=only-if-cached");
            self.outcome(Outcome::Denied, "not stored, and the request says only-if-cached".to_owned(), None);
            return response;
        }
        if self.method == Method::HEAD {
            return self.head(stored).await;
        }
        let joined = self.joined();
        if let Some(response) = joined.and_then(|joined| self.absence(joined)) {
            return response;
        }
        if stored.is_none() {
            if let Some(response) = self.borrow_body().await {
                return response;
            }
            self.borrowed = self.of_others().await.filter(|_| !self.anew);
        }
        let unknown = self.verdict.class == Class::Other;
        if unknown && self.headers.contains_key(AUTHORIZATION) && self.headers.contains_key(RANGE) {
            // Most likely nothing of it may be stored, so the whole is not fetched for the sake of a part.
            return self.pass(Outcome::Miss, "a range, asked for with credentials").await;
        }
        let Some(joined) = joined else {
            let alone = self.inner.alone();
            return self.fetch(alone, stored).await;
        };
        match self.inner.join(joined) {
            Joined::Leading(leading) => self.lead(leading, stored).await,
            Joined::Following(progress) => match self.follow(progress, None, stored.as_ref()).await {
                Followed::Answer(response) => response,
                Followed::Alone => {
                    let alone = self.inner.alone();
                    self.fetch(alone, stored).await
                }
            },
        }
    }

    /// What is the same for requests that may have one answer: URL and credentials. With a cookie each is on its own.
    fn joined(&self) -> Option<[u8; 16]> {
        if self.headers.contains_key(COOKIE) {
            return None;
        }
        if !self.headers.contains_key(AUTHORIZATION) {
            return Some(self.key.hash);
        }
        let credential = self.inner.credentials.of(&self.headers)?;
        Some(hash16(&[&self.key.hash[..], credential.as_bytes()].concat()))
    }

    /// Begins the fetch that others join, unless one has ended since we looked.
    async fn lead(self, leading: Leading, stored: Option<Entry>) -> Response<Body> {
        if let Some(shelf) = &self.inner.shelf {
            shelf.distrust(&self.key.hash);
        }
        if let Ok(Some(entry)) = self.lookup().await
            && stored.as_ref().is_none_or(|old| entry.draft.responded > old.draft.responded)
            && !self.anew
            && let Judgement::Use(why) = self.judge(&entry)
            && let Some(response) = self.serve(&entry, Outcome::Hit, why.to_owned(), "hit").await
        {
            leading.fetch.head(Head::Confirmed(Arc::new(entry)));
            return response;
        }
        self.fetch(leading, stored).await
    }

    async fn offline(&self, stored: Option<Entry>) -> Response<Body> {
        if let Some(entry) = stored {
            let why = "offline: served as it is".to_owned();
            if let Some(response) = self.serve(&entry, Outcome::Stale, why, "hit; detail=offline").await {
                return response;
            }
        }
        let response = super::offline_miss(&self.key.url);
        self.outcome(Outcome::Denied, "offline, and not stored".to_owned(), None);
        self.context.flow.update(|flow| flow.offline_miss = true);
        response
    }

    /// HEAD goes upstream as it is; its answer is not stored.
    async fn head(self, stored: Option<Entry>) -> Response<Body> {
        let mut request = Request::new(empty());
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        match self.inner.origin.send(request, &self.context).await {
            Ok(mut response) => {
                report::cache_status(response.headers_mut(), "fwd=miss");
                self.outcome(Outcome::Miss, "only answers to GET are stored".to_owned(), None);
                response
            }
            Err(error) => self.failed(&error, stored.as_ref()).await,
        }
    }

    /// Passes the request on, around the store.
    async fn pass(self, outcome: Outcome, why: &str) -> Response<Body> {
        let mut request = Request::new(empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        self.inner.pass(request, self.context.clone(), outcome, why).await
    }

    /// Begins a fetch, which goes on without us if need be.
    async fn fetch(self, leading: Leading, stored: Option<Entry>) -> Response<Body> {
        let progress = leading.fetch.subscribe();
        let (lead, mine) = oneshot::channel();
        let job = Job {
            inner: self.inner.clone(),
            fetch: leading.fetch.clone(),
            key: self.key.clone(),
            uri: self.uri.clone(),
            request: self.headers.clone(),
            context: self.context.clone(),
            verdict: self.verdict.clone(),
            known: self.known.clone().filter(|known| known.binding),
            anew: self.anew,
            joined: self.joined(),
            borrowed: stored.is_none() && self.borrowed.is_some(),
            stored: stored.clone().or_else(|| self.borrowed.clone()),
            from: None,
            lead,
        };
        self.inner.spawn(job, leading);
        match self.follow(progress, Some(mine), stored.as_ref()).await {
            Followed::Answer(response) => response,
            Followed::Alone => self.pass(Outcome::Miss, "the fetch was not for sharing").await,
        }
    }

    /// Waits for the head of a fetch, and answers out of it. `mine` is there for who began it.
    async fn follow(
        &self,
        mut progress: watch::Receiver<Progress>,
        mine: Option<oneshot::Receiver<Lead>>,
        stored: Option<&Entry>,
    ) -> Followed {
        if mine.is_none() && self.is_over(&progress) {
            return Followed::Alone;
        }
        let head = match progress.wait_for(|progress| progress.head.is_some()).await {
            Ok(progress) => progress.head.clone(),
            Err(_) => None,
        };
        let leading = mine.is_some();
        let answer = match head {
            // Who began it went away before it was under way.
            None if !leading => return Followed::Alone,
            None => {
                let (phase, message) = (Phase::Exchange, format!("the fetch of {} was cancelled", self.key.url));
                self.failed(&UpstreamError { phase, message, retryable: true }, stored).await
            }
            Some(Head::Failed(error)) => self.failed(&error, stored).await,
            Some(Head::Shared(head)) if leading || self.selects(&head.vary, &head.headers) => {
                self.arriving(&head, progress, tail(mine).await, leading)
            }
            Some(Head::Confirmed(entry)) if leading || self.selects(&entry.draft.vary, &entry.draft.headers) => {
                let (outcome, why, status) = if leading {
                    (Outcome::Revalidated, "upstream confirmed it", "hit; fwd=stale; fwd-status=304")
                } else {
                    (Outcome::Coalesced, "confirmed for another request", "hit; fwd=stale; collapsed")
                };
                match self.serve(&entry, outcome, why.to_owned(), status).await {
                    Some(response) => response,
                    None => return Followed::Alone,
                }
            }
            Some(Head::ServerError(status)) => match self.stale_instead(status, stored).await {
                Some(response) => response,
                None => return self.own_answer(mine, stored.is_some()).await,
            },
            Some(Head::Unshared) => return self.own_answer(mine, stored.is_some()).await,
            Some(Head::Shared(_) | Head::Confirmed(_)) => return Followed::Alone,
        };
        Followed::Answer(answer)
    }

    /// Whether a fetch that is only being put in place is of no use any more: collapsing is for requests that were
    /// there before the answer was whole; later ones get what a stored answer may give them (RFC 9111 section 4).
    fn is_over(&self, progress: &watch::Receiver<Progress>) -> bool {
        let progress = progress.borrow();
        match (&progress.end, &progress.head) {
            (None, _) => false,
            (Some(End::Whole), Some(Head::Shared(head))) => {
                let status = head.status.as_u16();
                let nature = if status == 200 { self.verdict.nature } else { Nature::Plain };
                let (requested, responded) = head.at;
                let stored = Stored { status, headers: &head.headers, requested, responded, nature };
                matches!(judge(&stored, &self.control, self.now, self.inner.run()), Judgement::Ask(_))
            }
            (Some(_), _) => true,
        }
    }

    /// The answer that is not stored, for who began the fetch.
    async fn own_answer(&self, mine: Option<oneshot::Receiver<Lead>>, stale: bool) -> Followed {
        let Some(mine) = mine else { return Followed::Alone };
        let Ok(Lead::Answer(mut response, why)) = mine.await else { return Followed::Alone };
        let forward = if stale { "stale" } else { "miss" };
        let status = response.status().as_u16();
        report::cache_status(response.headers_mut(), &format!("fwd={forward}; fwd-status={status}; stored=?0"));
        self.outcome(Outcome::Miss, format!("fetched, not stored: {why}"), None);
        Followed::Answer(super::counted(response, self.context.flow.clone()))
    }

    /// An answer whose body is still arriving.
    fn arriving(
        &self,
        head: &Arc<SharedHead>,
        progress: watch::Receiver<Progress>,
        tail: Option<mpsc::Receiver<io::Result<Bytes>>>,
        leading: bool,
    ) -> Response<Body> {
        let Shape { status, headers, part } =
            shape(&self.method, &self.headers, head.status, &head.headers, head.total);
        let forward = if head.stale { "stale" } else { "miss" };
        let code = head.status.as_u16();
        let mut response = Response::new(empty());
        let counter = if leading {
            self.outcome(Outcome::Miss, format!("fetched: {}", head.why), None);
            report::cache_status(response.headers_mut(), &format!("fwd={forward}; fwd-status={code}; stored"));
            None
        } else {
            self.outcome(Outcome::Coalesced, "joined a fetch under way".to_owned(), None);
            report::cache_status(response.headers_mut(), &format!("fwd={forward}; fwd-status={code}; collapsed"));
            Some(self.context.flow.clone())
        };
        let ours = std::mem::take(response.headers_mut());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        for value in ours.get_all(&report::CACHE_STATUS) {
            response.headers_mut().append(report::CACHE_STATUS, value.clone());
        }
        if let Some(part) = part {
            *response.body_mut() = FileBody::arriving(head.file.clone(), part, progress, tail, counter).boxed();
        }
        response
    }

    /// An answer out of the store; `None` when the body turned out damaged, and was forgotten.
    pub(super) async fn serve(
        &self,
        entry: &Entry,
        outcome: Outcome,
        why: String,
        status: &str,
    ) -> Option<Response<Body>> {
        let store = self.inner.shelf.as_ref()?;
        let content = match store.content(entry).await {
            Ok(content) => content,
            Err(error) if !is_damage(&error) => {
                self.inner.warn(&error);
                return None;
            }
            Err(error) => {
                self.context.flow.update(|flow| flow.damaged = true);
                tracing::warn!(url = entry.draft.url, %error, "a stored body was damaged or missing, and is fetched again");
                if let Err(error) = store.forget(entry.digest).await {
                    self.inner.warn(&error);
                }
                return None;
            }
        };
        let code = StatusCode::from_u16(entry.draft.status).unwrap_or(StatusCode::OK);
        let Shape { status: code, mut headers, part } =
            shape(&self.method, &self.headers, code, &entry.draft.headers, Some(entry.size));
        let stored = self.stored(entry);
        let age = current_age(&stored, self.inner.now());
        headers.insert(AGE, HeaderValue::from(age));
        let left = i64::try_from(lifetime(&stored)).unwrap_or(0) - i64::try_from(age).unwrap_or(0);
        report::cache_status(&mut headers, &format!("{status}; ttl={left}"));
        let flow = &self.context.flow;
        flow.update(|flow| flow.digest = Some(entry.digest.to_string()));
        self.outcome(outcome, why, Some(entry.id));
        let mut response = Response::new(match (part, content) {
            (None, _) => empty(),
            (Some((from, to)), Content::Memory(bytes)) => {
                let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.slice(index(from)..index(to.unwrap_or(entry.size)));
                flow.update(|flow| flow.bytes_cache += bytes.len() as u64);
                full(bytes)
            }
            (Some((from, to)), Content::File(file)) => {
                FileBody::whole(file, (from, to.unwrap_or(entry.size)), flow.clone()).boxed()
            }
        });
        *response.status_mut() = code;
        *response.headers_mut() = headers;
        Some(response)
    }

    /// What is stored, when upstream failed to answer and it may be served stale; else the failure.
    async fn failed(&self, error: &UpstreamError, stored: Option<&Entry>) -> Response<Body> {
        if error.phase != Phase::Denied
            && let Some(entry) = stored
            && may_serve_stale(&self.stored(entry), &self.control, self.now, false)
        {
            let why = format!("upstream failed ({error}), so what is stored was served");
            if let Some(response) =
                self.serve(entry, Outcome::Stale, why, "hit; fwd=stale; detail=upstream-failed").await
            {
                return response;
            }
        }
        self.inner.upstream_failed(error, &self.context, Some(self.key.hash), stored.is_some())
    }

    async fn stale_instead(&self, status: StatusCode, stored: Option<&Entry>) -> Option<Response<Body>> {
        let entry = stored.filter(|entry| may_serve_stale(&self.stored(entry), &self.control, self.now, true))?;
        let why = format!("upstream answered {status}, so what is stored was served");
        let parameters = format!("hit; fwd=stale; fwd-status={}", status.as_u16());
        self.serve(entry, Outcome::Stale, why, &parameters).await
    }

    pub(super) fn outcome(&self, outcome: Outcome, why: String, entry: Option<i64>) {
        self.context.flow.outcome(outcome, why.clone());
        self.inner.note(Touch { key: self.key.hash, entry, at: self.now, outcome, why, uses: 1 });
    }
}

async fn tail(mine: Option<oneshot::Receiver<Lead>>) -> Option<mpsc::Receiver<io::Result<Bytes>>> {
    match mine?.await {
        Ok(Lead::Tail(tail)) => Some(tail),
        _ => None,
    }
}
