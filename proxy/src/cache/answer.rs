//! Answers made of what is stored, or arriving.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AGE, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot, watch};

use super::aside::redirected;
use super::exchange::Exchange;
use super::fetch::Lead;
use super::file_body::FileBody;
use super::part::{Piece, Span, covers, pieces, span};
use super::progress::{Progress, SharedHead};
use super::report::{CACHE_STATUS, CacheStatus};
use super::shape::{Payload, Shape, shape};
use super::shelf::{Content, InFile, Told, is_damage};
use super::stored::{suffices, total};
use crate::body::{Body, chain, empty};
use crate::field;
use crate::flow::{Answered, Outcome, is_bound};
use crate::origin::{Phase, UpstreamError};
use crate::policy::freshness::{may_serve_stale, time_left};
use crate::rules::Nature;
use crate::store::{Entry, StoreError, Touch};

/// Why a part cannot be given again.
pub(super) const PART: &str = "only a part of it was fetched";

/// Bytes of an object that are held, and where.
type Held = (Span, Content);

impl Exchange<'_> {
    /// An answer whose body is still arriving. `mine` is there for who began the fetch.
    pub(super) async fn arriving(
        &self,
        head: &Arc<SharedHead>,
        progress: watch::Receiver<Progress>,
        mine: Option<oneshot::Receiver<Lead>>,
    ) -> Response<Body> {
        let leading = mine.is_some();
        let tail = tail(mine).await;
        let Shape { status, mut headers, payload } =
            shape(&self.method, &self.headers, head.status, &head.headers, head.total);
        let in_file = |position: u64| position.saturating_sub(head.base);
        let counter = if leading {
            self.outcome(Outcome::Miss, format!("fetched: {}", head.why), None);
            None
        } else {
            self.outcome(Outcome::Coalesced, "joined a fetch under way", None);
            Some(self.context.flow.clone())
        };
        let mut answered = Answered::of(head.status.as_u16(), &head.headers, &head.vary, self.verdict.nature);
        answered.location = redirected(&self.key.url, &head.headers);
        self.context.flow.update(|flow| {
            flow.authorized |= is_bound(&head.vary);
            // A short body may be whole by now.
            answered.size = flow.answer.take().and_then(|whole| whole.size).or(head.total);
            flow.answer = Some(Arc::new(answered));
        });
        let said = CacheStatus::forwarded(self.forward).answered(head.status);
        let said = CacheStatus { stored: leading.then_some(true), collapsed: !leading, ..said };
        said.append_to(&mut headers);
        let body = match payload {
            Payload::None => empty(),
            Payload::Bytes(from, to) => {
                let range = (in_file(from), to.map(in_file));
                FileBody::arriving(head.file.clone(), range, progress, tail, counter).boxed()
            }
            Payload::Multipart(parts) => {
                let part = |from, to| {
                    let range = (in_file(from), Some(in_file(to)));
                    FileBody::arriving(head.file.clone(), range, progress.clone(), None, counter.clone()).boxed()
                };
                chain(parts.into_bodies(part))
            }
        };
        respond(status, headers, body)
    }

    /// What upstream has confirmed; `None` when the body turned out damaged, and was forgotten.
    pub(super) async fn serve_confirmed(&self, entry: &Entry, leading: bool) -> Option<Response<Body>> {
        let said = CacheStatus::forwarded(self.forward).answered(StatusCode::NOT_MODIFIED);
        if leading {
            return self.serve(entry, Outcome::Revalidated, "upstream confirmed it", said).await;
        }
        let said = CacheStatus { collapsed: true, ..said };
        self.serve(entry, Outcome::Coalesced, "confirmed for another request", said).await
    }

    /// An answer out of the store; `None` when the body turned out damaged, and was forgotten.
    pub(super) async fn serve(
        &self,
        entry: &Entry,
        outcome: Outcome,
        why: impl Into<Cow<'static, str>>,
        said: CacheStatus,
    ) -> Option<Response<Body>> {
        let code = StatusCode::from_u16(entry.draft.status).unwrap_or(StatusCode::OK);
        let shape = || shape(&self.method, &self.headers, code, &entry.draft.headers, Some(total(entry)));
        let (status, headers, payload) = if code == StatusCode::OK && self.wants_whole(entry) {
            (code, None, Payload::Bytes(0, Some(entry.size)))
        } else {
            let Shape { status, headers, payload } = shape();
            (status, Some(headers), payload)
        };
        let held = self.held(entry, &payload).await?;
        let judged = self.stored(entry);
        let terms = self.terms(entry);
        let age = terms.age(self.inner.now());
        let told = self.told(entry);
        // What runs and digests keep fresh is not stale when the seconds of its lifetime are over.
        let by_seconds = judged.nature == Nature::Plain || outcome == Outcome::Stale;
        let ttl = time_left(&judged, terms.lifetime(judged.nature), age).filter(|&left| left >= 0 || by_seconds);
        let said = CacheStatus { ttl, ..said };
        let with = |mut headers: HeaderMap| {
            headers.insert(AGE, field::number(age));
            said.append_to(&mut headers);
            headers
        };
        let headers = match (headers, &self.found) {
            (Some(headers), _) => with(headers),
            (None, Some(found)) => found.head(entry, age, said, || with(shape().headers)),
            (None, None) => with(shape().headers),
        };
        let flow = &self.context.flow;
        flow.update(|flow| {
            flow.digest = entry.draft.part.is_none().then_some(told.digest);
            flow.authorized |= entry.draft.provenance.is_authorized() || is_bound(&entry.draft.vary);
            flow.answer = Some(told.answered);
        });
        self.outcome(outcome, why, Some(entry.id));
        let part = |from, to| self.bytes(&held, from, to);
        let (body, in_file) = match payload {
            Payload::None => (empty(), None),
            Payload::Bytes(from, to) => {
                let to = to.unwrap_or_else(|| total(entry));
                (part(from, to), in_file(&held, (from, to)))
            }
            Payload::Multipart(parts) => (chain(parts.into_bodies(part)), None),
        };
        let mut response = respond(status, headers, body);
        in_file.map(|in_file| response.extensions_mut().insert(in_file));
        Some(response)
    }

    /// Whether nothing that the request says changes what is stored: it gets all of it.
    fn wants_whole(&self, entry: &Entry) -> bool {
        let changes = [RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE];
        self.method == Method::GET
            && entry.draft.part.is_none()
            && !self.headers.keys().any(|name| changes.contains(name))
    }

    /// The bodies that a payload is made of; `None` when one turned out damaged, and was forgotten.
    async fn held(&self, entry: &Entry, payload: &Payload) -> Option<Vec<Held>> {
        if entry.draft.part.is_none() {
            return Some(vec![((0, entry.size), self.content(entry).await?)]);
        }
        let wanted: Vec<Span> = match payload {
            Payload::None => Vec::new(),
            Payload::Bytes(from, to) => vec![(*from, to.unwrap_or_else(|| total(entry)))],
            Payload::Multipart(parts) => parts.spans().collect(),
        };
        if !wanted.iter().all(|&wanted| covers(&self.parts, wanted)) {
            return None;
        }
        let mut held = Vec::new();
        for part in &self.parts {
            let (begin, end) = span(part);
            if wanted.iter().any(|&(from, to)| begin < to && from < end) {
                held.push(((begin, end), self.content(part).await?));
            }
        }
        Some(held)
    }

    /// What is told of a stored answer, which may be given again.
    fn told(&self, entry: &Entry) -> Told {
        let nature = self.verdict.nature;
        let told = || {
            let draft = &entry.draft;
            let mut answered = Answered::of(draft.status, &draft.headers, &draft.vary, nature);
            answered.size = Some(total(entry));
            answered.lost = draft.part.map(|_| PART.to_owned());
            answered.location = redirected(&draft.url, &draft.headers);
            Told::of(entry, nature, answered)
        };
        match &self.found {
            Some(found) => found.told(entry, nature, told),
            None => told(),
        }
    }

    /// Notes an answer that is not stored, unless it was set aside.
    pub(super) fn lost(&self, response: &Response<Body>, why: &str) {
        let mut answered = Answered::of(response.status().as_u16(), response.headers(), &[], self.verdict.nature);
        answered.lost = Some(format!("it was not kept: {why}"));
        self.context.flow.update(|flow| {
            flow.answer.get_or_insert_with(|| Arc::new(answered));
        });
    }

    async fn content(&self, entry: &Entry) -> Option<Content> {
        let store = self.inner.shelf.as_ref()?;
        match store.content(entry).await {
            Ok(content) => Some(content),
            Err(error) if !is_damage(&error) => {
                self.inner.warn(&StoreError::io("read", &store.store().blob_path(&entry.digest), error));
                None
            }
            Err(error) => {
                self.context.flow.update(|flow| flow.damaged = true);
                tracing::warn!(url = entry.draft.url, %error, "a stored body was damaged or missing, and is fetched again");
                if let Err(error) = store.forget(entry.digest).await {
                    self.inner.warn(&error);
                }
                None
            }
        }
    }

    /// Bytes of the object, out of what is held of it.
    fn bytes(&self, held: &[Held], from: u64, to: u64) -> Body {
        let flow = &self.context.flow;
        if let [((begin, _), content)] = held {
            return content.body((from - begin, to - begin), flow);
        }
        let spans: Vec<Span> = held.iter().map(|(span, _)| *span).collect();
        let body = |piece: &Piece| match *piece {
            Piece::Held(number, (from, to)) => {
                let ((begin, _), content) = &held[number];
                content.body((from - begin, to - begin), flow)
            }
            Piece::Missing(_) => empty(),
        };
        chain(pieces(&spans, (from, to)).iter().map(body).collect())
    }

    /// What is stored, when upstream failed to answer and it may be served stale; else the failure.
    pub(super) async fn failed(&self, error: &UpstreamError, entry: Option<&Entry>) -> Response<Body> {
        if error.phase != Phase::Denied
            && let Some(entry) = entry.filter(|entry| self.may_be_stale(entry, false))
        {
            let why = format!("upstream failed ({error}), so what is stored was served");
            let said = CacheStatus::forwarded(self.forward).detail("upstream-failed");
            if let Some(mut response) = self.serve(entry, Outcome::Stale, why, said).await {
                crate::error::admit(response.headers_mut(), error);
                return response;
            }
        }
        self.inner.upstream_failed(error, &self.context, Some(self.key.hash), self.forward)
    }

    /// What is stored, where it is better than upstream's server error.
    pub(super) async fn stale_instead(&self, status: StatusCode, entry: Option<&Entry>) -> Option<Response<Body>> {
        let entry = entry.filter(|entry| self.may_be_stale(entry, true))?;
        let why = format!("upstream answered {status}, so what is stored was served");
        let said = CacheStatus::forwarded(self.forward).answered(status);
        self.serve(entry, Outcome::Stale, why, said).await
    }

    fn may_be_stale(&self, entry: &Entry, reached: bool) -> bool {
        suffices(entry, &self.parts, &self.method, &self.headers)
            && may_serve_stale(&self.stored(entry), &self.control, self.now, reached)
    }

    pub(super) fn outcome(&self, outcome: Outcome, why: impl Into<Cow<'static, str>>, entry: Option<i64>) {
        let why = why.into();
        self.context.flow.outcome(outcome, why.clone());
        self.inner.note(Touch { key: self.key.hash, entry, at: self.now, outcome, why, uses: 1 });
    }
}

/// Bytes of the object in the one file that holds them, where a connection had better send that.
fn in_file(held: &[Held], (from, to): Span) -> Option<InFile> {
    let [((begin, _), content)] = held else { return None };
    content.in_file((from - begin, to - begin))
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    debug_assert!(headers.contains_key(CACHE_STATUS), "every answer says how it came about");
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

async fn tail(mine: Option<oneshot::Receiver<Lead>>) -> Option<mpsc::Receiver<io::Result<Bytes>>> {
    match mine?.await {
        Ok(Lead::Tail(tail)) => Some(tail),
        _ => None,
    }
}
