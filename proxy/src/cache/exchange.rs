//! One request on its way through the cache: what answers it.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, COOKIE, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use tokio::sync::{oneshot, watch};

use super::credential::binds;
use super::fetch::{Job, Lead};
use super::key::hash16;
use super::progress::{Head, Progress, ended};
use super::promises::Known;
use super::report::{CacheStatus, Forward};
use super::shelf::Found;
use super::stored::{stored, suffices};
use super::{Inner, Joined, Key, Leading, Mode, part, report};
use crate::body::{Body, empty};
use crate::flow::{Class, Outcome};
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::policy::freshness::{Judgement, Stored, Terms, judge_by};
use crate::policy::{CacheControl, surrogate, vary};
use crate::rules::{Nature, Verdict};
use crate::store::Entry;

/// A GET or HEAD that the store may answer. Boxed on its way: futures that hold it are as large as all that they hold at
/// any time together.
pub(super) struct Exchange<'a> {
    /// Borrowed: what all threads count the users of costs as much as a lock.
    pub inner: &'a Arc<Inner>,
    pub key: Key,
    pub verdict: Verdict,
    /// What is known of the body, whoever sends it.
    pub known: Option<Known>,
    /// Whether it is fetched past every cache on the way.
    pub anew: bool,
    /// How long the entry with this number lives, once that has been worked out.
    pub nature: Option<(i64, Nature)>,
    /// What was looked up last.
    pub found: Option<Arc<Found>>,
    /// What is stored for other credentials, to be confirmed for these.
    pub borrowed: Option<Entry>,
    /// Where what was found is a part of the object: all the parts there are, in their order.
    pub parts: Vec<Entry>,
    /// Whether the whole turned out too large to be fetched for a range of it.
    pub large: bool,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub control: CacheControl,
    /// Whether upstream is asked however fresh the stored answer is.
    pub refetch: bool,
    pub context: RequestContext,
    pub now: SystemTime,
    /// Why it goes on to the origin, if it does.
    pub forward: Forward,
}

/// What one who waits for a fetch finds.
pub(super) enum Followed {
    Answer(Response<Body>),
    /// It was not for sharing.
    Alone,
    /// Who began it went away, or found an answer, before it was under way.
    Gone,
    /// It was given up, since the whole is too large for who began it.
    TooLarge,
}

impl Exchange<'_> {
    /// Answers: from the store, or by fetching. What misses is boxed: the future of a hit stays small.
    pub(super) async fn answer(mut self: Box<Self>) -> Response<Body> {
        self.inner.indexes_read(&self.key.url, self.verdict.nature).await;
        self.known = self.inner.known(&self.key, &self.verdict).await;
        self.anew = self.inner.promises.take_suspect(&self.key.hash);
        self.now = self.inner.now();
        // Twice: a damaged blob is forgotten, and looked up again.
        for _ in 0..2 {
            let Ok(entry) = self.lookup().await else {
                return self.pass(Outcome::Bypass, "the cache's index failed").await;
            };
            let Some(entry) = entry else { break };
            if self.anew || self.is_refuted(&entry).await {
                self.anew = true;
                return Box::pin(self.miss(None)).await;
            }
            // Now that all is known of it: it is asked for again when it is judged, and when it is served.
            self.nature = Some((entry.id, self.nature(&entry)));
            let (why, ask) = match self.judge(&entry) {
                Judgement::Ask(_) => return Box::pin(self.miss(Some(entry))).await,
                Judgement::Use(why) => (why, false),
                Judgement::UseAndAsk(why) => (why, true),
            };
            let outcome = if ask { Outcome::Stale } else { Outcome::Hit };
            if let Some(response) = self.serve(&entry, outcome, why, CacheStatus::HIT).await {
                if ask {
                    self.ask_behind(entry);
                }
                return response;
            }
        }
        Box::pin(self.miss(None)).await
    }

    /// The newest stored answer that the request selects.
    pub(super) async fn lookup(&mut self) -> Result<Option<Entry>, ()> {
        self.nature = None;
        let Some(store) = &self.inner.shelf else { return Err(()) };
        let entries = store.lookup(self.key.hash).await.map_err(|error| self.inner.warn(&error))?;
        let selects = |entry: &&Entry| self.selects(&entry.draft.vary, &entry.draft.headers) && self.may_have(entry);
        let found = entries.iter().find(selects).cloned();
        self.parts = found.as_ref().map_or_else(Vec::new, |found| part::together(found, &entries));
        if found.is_none() {
            self.forward = if entries.is_empty() { Forward::UriMiss } else { Forward::VaryMiss };
        }
        self.found = Some(entries);
        Ok(found)
    }

    pub(super) fn selects(&self, fields: &[crate::store::VaryField], stored: &HeaderMap) -> bool {
        self.inner.credentials.selects(&self.headers, fields, stored) && self.takes(stored)
    }

    /// Whether the client could have fetched a stored answer as well: what came from where a guest may not go is not
    /// for guests.
    pub(super) fn may_have(&self, entry: &Entry) -> bool {
        !self.context.guest
            || !(entry.draft.provenance.is_kept_from_guests() || self.inner.origin.is_kept_from_guests(&self.uri))
    }

    /// Whether the client takes a stored body in its coding.
    pub(super) fn takes(&self, stored: &HeaderMap) -> bool {
        self.verdict.nature == Nature::Immutable || vary::accepts_coding(&self.headers, stored)
    }

    /// Whether an entry may answer; what forbids it is noted as the reason for going on.
    pub(super) fn judge(&mut self, entry: &Entry) -> Judgement {
        let offline = self.inner.mode() == Mode::Offline;
        let judgement = if self.refetch {
            self.forward = Forward::Request;
            Judgement::Ask("asked for anew")
        } else if suffices(entry, &self.parts, &self.method, &self.headers) {
            self.forward = if self.control.no_cache { Forward::Request } else { Forward::Stale };
            let stored = self.stored(entry);
            if offline && stored.nature == Nature::Lasting {
                return Judgement::Use("offline, and a package by its path");
            }
            // A package is asked for once a run, or once a process where there are no runs.
            let run =
                if stored.nature == Nature::Lasting { Some(self.inner.since()) } else { self.inner.confirmed_since() };
            judge_by(&self.terms(entry), &stored, &self.control, self.now, run)
        } else {
            self.forward = Forward::Partial;
            Judgement::Ask("only a part of it is stored")
        };
        match judgement {
            Judgement::UseAndAsk(why) if offline => Judgement::Use(why),
            other => other,
        }
    }

    /// What an entry's own fields say of its freshness.
    pub(super) fn terms(&self, entry: &Entry) -> Arc<Terms> {
        match &self.found {
            Some(found) => found.terms(entry),
            None => Arc::new(Terms::of(&self.stored(entry))),
        }
    }

    /// An entry as far as freshness goes.
    pub(super) fn stored<'a>(&self, entry: &'a Entry) -> Stored<'a> {
        let known = self.nature.filter(|(id, _)| *id == entry.id).map(|(_, nature)| nature);
        stored(entry, known.unwrap_or_else(|| self.nature(entry)))
    }

    /// How long an entry lives: by its path, its head, and whether a digest vouches for its body.
    pub(super) fn nature(&self, entry: &Entry) -> Nature {
        if entry.draft.status != 200 || !self.verdict.fits(&entry.draft.headers) {
            return Nature::Plain;
        }
        let vouches =
            |known: &&Known| entry.draft.part.is_none() && known.vouches(&self.inner.promises, entry) == Some(true);
        match (self.verdict.nature, self.known.as_ref().filter(vouches)) {
            // An index of this run names the very body.
            (Nature::Mutable | Nature::Plain, Some(known)) if known.binding => Nature::Immutable,
            (nature, known) => nature.with_digest(known.is_some()),
        }
    }

    /// Whether the stored body is not the one that it must be.
    pub(super) async fn is_refuted(&self, entry: &Entry) -> bool {
        if entry.draft.part.is_some() {
            return false;
        }
        self.inner.check(self.known.as_ref(), entry).await;
        let binding = self.known.as_ref().filter(|known| known.binding);
        binding.is_some_and(|known| known.vouches(&self.inner.promises, entry) == Some(false))
    }

    /// Has a stale answer confirmed that has been served already (RFC 5861 section 3).
    fn ask_behind(&self, entry: Entry) {
        if let Some(joined) = self.joined()
            && let Joined::Leading(leading) = self.inner.join(joined, self.key.hash)
        {
            let (lead, _) = oneshot::channel();
            let job = self.job(&leading, Some(entry), lead);
            self.inner.spawn(job, leading);
        }
    }

    /// Nothing usable is stored.
    async fn miss(mut self: Box<Self>, mut stored: Option<Entry>) -> Response<Body> {
        if self.inner.mode() == Mode::Offline {
            return self.offline(stored).await;
        }
        if self.control.only_if_cached {
            return self.not_cached();
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
        if let Some(response) = self.parts_in_place(&mut stored).await {
            return response;
        }
        if self.wants_alone(stored.as_ref()) {
            return self.fetch_alone(stored).await;
        }
        if joined != Some(self.key.hash)
            && let Some(response) = self.being_put_in_place().await
        {
            return response;
        }
        let Some(joined) = joined else {
            let alone = self.inner.alone(self.key.hash);
            return self.fetch(alone, stored).await;
        };
        // Once more where a fetch was just being put in place: then its answer is in the index, to be confirmed. And once
        // more where one was given up that only a range was wanted of.
        for again in [true, true, false] {
            let progress = match self.inner.join(joined, self.key.hash) {
                Joined::Leading(leading) => {
                    // Between the look-up and now a fetch may have been put in place.
                    if let Some(response) = self.usable_by_now(&mut stored).await {
                        return response;
                    }
                    return self.lead(leading, stored).await;
                }
                Joined::Following(progress) => progress,
            };
            if self.is_over(&progress) {
                ended(progress).await;
                if again {
                    continue;
                }
                stored = self.lookup().await.ok().flatten().or(stored);
                break;
            }
            match self.follow(progress, None, stored.as_ref()).await {
                Followed::Answer(response) => return response,
                Followed::Gone if again => {}
                Followed::Alone | Followed::Gone => break,
                Followed::TooLarge if self.is_partial() => {
                    self.large = true;
                    return self.fetch_alone(stored).await;
                }
                Followed::TooLarge => {}
            }
        }
        let alone = self.inner.alone(self.key.hash);
        self.fetch(alone, stored).await
    }

    /// What is the same for requests that may have one answer: URL and credentials. With a cookie or a key each is on its own.
    pub(super) fn joined(&self) -> Option<[u8; 16]> {
        if self.headers.keys().any(|name| name == COOKIE || (binds(name) && name != AUTHORIZATION)) {
            return None;
        }
        if !self.headers.contains_key(AUTHORIZATION) {
            return Some(self.key.hash);
        }
        let credential = self.inner.credentials.of(&self.headers)?;
        Some(hash16(&[&self.key.hash[..], credential.as_bytes()].concat()))
    }

    /// Whether the client's own condition goes on to the origin, so that the answer may be none that others can share.
    fn is_conditional(&self, stored: Option<&Entry>) -> bool {
        stored.is_none()
            && self.borrowed.is_none()
            && self.verdict.nature == Nature::Plain
            && (self.headers.contains_key(IF_NONE_MATCH) || self.headers.contains_key(IF_MODIFIED_SINCE))
    }

    /// Begins the fetch that others join, unless one has ended since we looked.
    async fn lead(mut self: Box<Self>, leading: Leading, mut stored: Option<Entry>) -> Response<Body> {
        if let Some(shelf) = &self.inner.shelf {
            shelf.distrust(&self.key.hash);
        }
        if let Ok(Some(entry)) = self.lookup().await
            && stored.as_ref().is_none_or(|old| entry.draft.responded > old.draft.responded)
            && !self.anew
        {
            if let Judgement::Use(why) = self.judge(&entry)
                && let Some(response) = self.serve(&entry, Outcome::Hit, why.to_owned(), CacheStatus::HIT).await
            {
                leading.fetch.head(Head::Confirmed(Arc::new(entry)));
                return response;
            }
            stored = Some(entry);
        }
        let leading = if self.is_conditional(stored.as_ref()) { self.inner.alone(self.key.hash) } else { leading };
        self.fetch(leading, stored).await
    }

    fn not_cached(&self) -> Response<Body> {
        let text = format!("{} is not in the cache, and the request says only-if-cached", self.key.url);
        let mut response = report::message(StatusCode::GATEWAY_TIMEOUT, text);
        CacheStatus::default().detail("only-if-cached").append_to(response.headers_mut());
        self.outcome(Outcome::Denied, "not stored, and the request says only-if-cached".to_owned(), None);
        response
    }

    async fn offline(&self, stored: Option<Entry>) -> Response<Body> {
        if let Some(entry) = stored.filter(|entry| suffices(entry, &self.parts, &self.method, &self.headers)) {
            let why = "offline: served as it is".to_owned();
            let status = CacheStatus::HIT.detail("offline");
            if let Some(response) = self.serve(&entry, Outcome::Stale, why, status).await {
                return response;
            }
        }
        if let Some(response) = self.set_aside().await {
            return response;
        }
        if self.control.only_if_cached {
            return self.not_cached();
        }
        let response = super::offline_miss(&self.key.url);
        self.outcome(Outcome::Denied, "offline, and not stored".to_owned(), None);
        self.context.flow.update(|flow| flow.offline_miss = true);
        response
    }

    /// The same request, for upstream.
    pub(super) fn request(&self) -> Request<Body> {
        let mut request = Request::new(empty());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        surrogate::announce(request.headers_mut());
        request
    }

    /// Passes the request on, around the store.
    pub(super) async fn pass(&self, outcome: Outcome, why: &str) -> Response<Body> {
        self.inner.pass(self.request(), self.context.clone(), outcome, why).await
    }

    fn job(&self, leading: &Leading, stored: Option<Entry>, lead: oneshot::Sender<Lead>) -> Job {
        let alone = self.wants_alone(stored.as_ref());
        let stored = stored.filter(|entry| !alone || self.is_one_range_of(entry));
        Job {
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
            borrowed: stored.is_none() && self.borrowed.is_some() && !alone,
            parts: self.parts_of(stored.as_ref()),
            alone,
            reluctant: self.is_partial(),
            stored: stored.or_else(|| self.borrowed.clone().filter(|_| !alone)),
            from: None,
            from_store: Vec::new(),
            lead,
        }
    }

    /// Begins a fetch, which goes on without us if need be.
    pub(super) async fn fetch(mut self: Box<Self>, leading: Leading, stored: Option<Entry>) -> Response<Body> {
        let progress = leading.fetch.subscribe();
        let (lead, mine) = oneshot::channel();
        let job = self.job(&leading, stored.clone(), lead);
        self.inner.spawn(job, leading);
        match self.follow(progress, Some(mine), stored.as_ref()).await {
            Followed::Answer(response) => response,
            Followed::TooLarge if !self.large => {
                self.large = true;
                Box::pin(self.fetch_alone(None)).await
            }
            Followed::Alone | Followed::Gone | Followed::TooLarge => {
                self.pass(Outcome::Miss, "the fetch was not for sharing").await
            }
        }
    }

    /// Waits for the head of a fetch, and answers out of it. `mine` is there for who began it.
    pub(super) async fn follow(
        &self,
        mut progress: watch::Receiver<Progress>,
        mine: Option<oneshot::Receiver<Lead>>,
        stored: Option<&Entry>,
    ) -> Followed {
        let head = match progress.wait_for(|progress| progress.head.is_some()).await {
            Ok(progress) => progress.head.clone(),
            Err(_) => None,
        };
        let leading = mine.is_some();
        let answer = match head {
            None if !leading => return Followed::Gone,
            None => {
                let (phase, message) = (Phase::Exchange, format!("the fetch of {} was cancelled", self.key.url));
                self.failed(&UpstreamError { phase, message, retryable: true }, stored).await
            }
            // A guest may have begun it, who is refused more.
            Some(Head::Failed(error)) if !leading && error.phase == Phase::Denied && !self.context.guest => {
                return Followed::Alone;
            }
            Some(Head::Failed(error)) => self.failed(&error, stored).await,
            Some(Head::Shared(head)) if !leading && self.context.guest && head.kept_from_guests => {
                return Followed::Alone;
            }
            Some(Head::Confirmed(entry)) if !leading && !self.may_have(&entry) => return Followed::Alone,
            Some(Head::Shared(head)) if self.is_far(&head, progress.borrow().available) => {
                let why = "a short range far behind what has arrived of the whole";
                self.inner.pass(self.request(), self.context.clone(), Outcome::Miss, why).await
            }
            Some(Head::Shared(head)) if leading || self.selects(&head.vary, &head.headers) => {
                self.arriving(&head, progress, mine).await
            }
            Some(Head::Confirmed(entry)) if leading || self.selects(&entry.draft.vary, &entry.draft.headers) => {
                match self.serve_confirmed(&entry, leading).await {
                    Some(response) => response,
                    None => return Followed::Alone,
                }
            }
            Some(Head::ServerError(status)) => match self.stale_instead(status, stored).await {
                Some(response) => response,
                None => return self.own_answer(mine).await,
            },
            Some(Head::TooLarge) => {
                ended(progress).await;
                return Followed::TooLarge;
            }
            Some(Head::Unshared) => return self.own_answer(mine).await,
            Some(Head::Shared(_) | Head::Confirmed(_)) => return Followed::Alone,
        };
        Followed::Answer(answer)
    }

    /// The answer that is not stored, for who began the fetch.
    async fn own_answer(&self, mine: Option<oneshot::Receiver<Lead>>) -> Followed {
        let Some(mine) = mine else { return Followed::Alone };
        let Ok(Lead::Answer(mut response, why)) = mine.await else { return Followed::Alone };
        self.lost(&response, why);
        let status = CacheStatus { stored: Some(false), ..CacheStatus::forwarded(self.forward) };
        status.answered(response.status()).append_to(response.headers_mut());
        self.outcome(Outcome::Miss, format!("fetched, not stored: {why}"), None);
        Followed::Answer(super::counted(response, self.context.flow.clone()))
    }
}
