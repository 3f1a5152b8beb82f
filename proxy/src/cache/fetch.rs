//! One fetch from upstream, on its way into the store, independent of the clients that read it.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};

use super::borrow::{Audience, audience};
use super::follow::{self, Arrived, Follow};
use super::learn::Reading;
use super::part::{Span, as_whole};
use super::progress::{End, Fetch, Head, SharedHead};
use super::promises::Known;
use super::refuted::Again;
use super::spill::Rest;
use super::{Inner, Key, shape};
use crate::body::{Body, empty};
use crate::flow::Class;
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::policy::freshness::explicit_lifetime;
use crate::policy::{condition, surrogate};
use crate::rules::{Format, Nature, Verdict};
use crate::store::{BlobWriter, Draft, Entry, Part, Provenance, StoreError, VaryField};

/// Bytes gathered before they are written.
const BATCH: usize = 1024 * 1024;

/// What only the client that began the fetch gets.
pub(super) enum Lead {
    /// The answer itself, which is not stored, and why.
    Answer(Response<Body>, &'static str),
    /// The rest of a body that the store has no room for.
    Tail(mpsc::Receiver<io::Result<Bytes>>),
}

/// A fetch about to run.
pub(super) struct Job {
    pub inner: Arc<Inner>,
    pub fetch: Arc<Fetch>,
    pub key: Key,
    pub uri: Uri,
    /// The client's fields.
    pub request: HeaderMap,
    pub context: RequestContext,
    pub verdict: Verdict,
    /// What the body must be.
    pub known: Option<Known>,
    /// Whether it is asked for past every cache on the way.
    pub anew: bool,
    /// What requests have in common that may join.
    pub joined: Option<[u8; 16]>,
    /// Whether what is stored is for other credentials.
    pub borrowed: bool,
    /// What is stored and to be confirmed.
    pub stored: Option<Entry>,
    /// Where that is a part of the object: all the parts there are, in their order.
    pub parts: Vec<Entry>,
    /// Whether only the client's range is fetched.
    pub alone: bool,
    /// Whether the client wants a range only, so that the whole is fetched only if it is of a sane size.
    pub reluctant: bool,
    /// Where redirects led.
    pub from: Option<String>,
    /// Bytes of the body that come out of the store.
    pub from_store: Vec<Span>,
    pub lead: oneshot::Sender<Lead>,
}

/// What went wrong with a body.
enum Broken {
    /// Upstream's side; why, and what has arrived, where that is sound.
    Upstream(String, Option<Box<BlobWriter>>),
    /// The store's side; and what it did not take.
    Store(StoreError, Box<Rest>),
}

impl Job {
    /// Runs to the end. Whoever reads along learns of it through the fetch.
    pub(super) async fn run(mut self) {
        let mut requested = self.inner.now();
        let mut answer = self.send().await;
        if !self.anew && answer.as_ref().is_ok_and(|response| self.is_refuted(response)) {
            (self.anew, self.stored) = (true, None);
            self.parts.clear();
            requested = self.inner.now();
            answer = self.send().await;
        }
        if let Ok(response) = answer {
            answer = match self.completed(response).await {
                Some(response) => Ok(response),
                None => {
                    self.stored = None;
                    self.parts.clear();
                    requested = self.inner.now();
                    self.send().await
                }
            };
        }
        match answer {
            Err(error) => self.fetch.head(Head::Failed(Arc::new(error))),
            Ok(response) => self.receive(response, requested).await,
        }
    }

    async fn send(&mut self) -> Result<Response<Body>, UpstreamError> {
        let mut answer = follow::send(&self.inner, self.upstream_head(), &self.context, self.follow()).await;
        if answer.as_ref().is_err_and(|error| error.retryable && error.phase != Phase::Denied) {
            answer = follow::send(&self.inner, self.upstream_head(), &self.context, self.follow()).await;
        }
        let Arrived { response, from } = answer?;
        self.from = from.map(|from| follow::without_signature(&from));
        Ok(response)
    }

    pub(super) fn follow(&self) -> Follow {
        Follow::of(&self.verdict, self.known.is_some())
    }

    /// The whole object is asked for, unless only a range is fetched, with the store's validators in place of the
    /// client's. Where nothing is stored, and the client need not have what the store wants, its own go on.
    pub(super) fn upstream_head(&self) -> (Method, Uri, HeaderMap) {
        let mut headers = self.request.clone();
        for name in [RANGE, IF_RANGE, IF_MATCH, IF_UNMODIFIED_SINCE, CONTENT_LENGTH] {
            headers.remove(name);
        }
        if self.stored.is_some() || self.verdict.nature != Nature::Plain {
            headers.remove(IF_NONE_MATCH);
            headers.remove(IF_MODIFIED_SINCE);
        }
        self.ask_for_part(&mut headers);
        if self.anew {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        }
        surrogate::announce(&mut headers);
        (Method::GET, self.uri.clone(), headers)
    }

    async fn receive(mut self, response: Response<Body>, requested: SystemTime) {
        let responded = self.inner.now();
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED
            && let Some(stored) = self.stored.take()
        {
            return self.confirm(stored, &response, requested, responded).await;
        }
        if status.is_server_error() && (self.has_better(responded) || self.audience(&response, responded).is_err()) {
            let _ = self.lead.send(Lead::Answer(response, "a server error is not stored"));
            return self.fetch.head(Head::ServerError(status));
        }
        if self.is_refuted(&response) {
            return self.refute();
        }
        let part = self.fitting(&response).filter(|_| self.alone && status == StatusCode::PARTIAL_CONTENT);
        if (status == StatusCode::OK || part.is_some()) && !self.verdict.fits(response.headers()) {
            self.verdict = Verdict::none();
        }
        let size = content_length(response.headers()).filter(|_| status == StatusCode::OK);
        if let Some(size) = size.filter(|&size| self.inner.is_large(Some(size))) {
            self.inner.note_large(self.key.hash, size);
            if self.alone {
                return self.hand_over(response, "the whole of it is too large to be fetched for a range");
            }
            if self.reluctant {
                return self.fetch.head(Head::TooLarge);
            }
        }
        if status.is_redirection() && self.follow() != Follow::Never {
            let response = self.set_aside(response).await;
            return self.hand_over(response, "a redirect to a package is not stored");
        }
        if status == StatusCode::NOT_FOUND && matches!(self.verdict.class, Class::Index | Class::Package) {
            let response = self.set_aside(response).await;
            let response = self.note_absence(response, responded).await;
            return self.hand_over(response, "upstream does not have it");
        }
        if self.verdict.secret && explicit_lifetime(response.headers(), responded).is_none() {
            return self.hand_over(response, "it is a token without a lifetime of its own");
        }
        // A part is kept as what it is a part of would be.
        let kept_as = if part.is_some() { StatusCode::OK } else { status };
        let audience = match audience(&self.request, kept_as, response.headers(), self.verdict.nature, responded) {
            Ok(audience) => audience,
            Err(_) if status == StatusCode::PARTIAL_CONTENT => {
                return self.hand_over(
                    response,
                    "a part that is not the one asked for, or that nobody could tell later what it belongs to",
                );
            }
            Err(why) => {
                let response = self.set_aside(response).await;
                return self.hand_over(response, why);
            }
        };
        let bound = audience == Audience::Bearer;
        let Some(vary) = self.inner.credentials.fields(&self.request, response.headers(), bound) else {
            return self.hand_over(response, "there is no secret to keep answers to credentials apart by");
        };
        let store = self.inner.shelf.as_ref().map(|shelf| shelf.store().clone());
        let opened = tokio::task::spawn_blocking(move || store.map(|store| store.writer())).await;
        match opened {
            Ok(Some(Ok(writer))) => self.store(writer, response, vary, (requested, responded), part).await,
            Ok(Some(Err(error))) => {
                self.inner.warn(&error);
                self.hand_over(response, "the cache cannot be written");
            }
            Ok(None) | Err(_) => self.hand_over(response, "there is no cache"),
        }
    }

    /// For whom an answer may be stored.
    fn audience(&self, response: &Response<Body>, now: SystemTime) -> Result<Audience, &'static str> {
        audience(&self.request, response.status(), response.headers(), self.verdict.nature, now)
    }

    /// Why the body is fetched, as far as the request goes: upstream may send the whole again though it is the same.
    fn why(&self) -> &'static str {
        match &self.stored {
            _ if self.alone => "the whole of it is too large to be fetched for a range",
            Some(_) if self.borrowed => "it was stored for another user only",
            None => "it was not in the cache",
            Some(stored) if stored.draft.part.is_some() => "a part of it was stored",
            Some(stored) if condition::has_validator(&stored.draft.headers) => "upstream sent it anew",
            Some(_) => "upstream gives nothing to revalidate it by",
        }
    }

    fn hand_over(self, response: Response<Body>, why: &'static str) {
        let response = self.checked(response);
        let _ = self.lead.send(Lead::Answer(response, why));
        self.fetch.head(Head::Unshared);
    }

    async fn store(
        mut self,
        mut writer: BlobWriter,
        response: Response<Body>,
        vary: Vec<VaryField>,
        (requested, responded): (SystemTime, SystemTime),
        part: Option<(Part, u64)>,
    ) {
        let why = self.why();
        let response = if part.is_some() { as_whole(response) } else { response };
        let (parts, body) = response.into_parts();
        let total = part.map_or_else(|| content_length(&parts.headers), |(_, length)| Some(length));
        let part = part.map(|(part, _)| part);
        // A coding that the origin applies on the way is not part of what is promised.
        let plain = parts.status == StatusCode::OK && part.is_none() && !parts.headers.contains_key(CONTENT_ENCODING);
        let promised = self.promised(&parts.headers).filter(|_| plain);
        // An index that teaches is not whole for anybody before it is announced that it will be read.
        let held = promised.is_some() || (self.verdict.learns.is_some() && part.is_none());
        if let Some(promised) = promised {
            writer.promise(promised);
        }
        let learns = self.verdict.learns.filter(|_| parts.status == StatusCode::OK && part.is_none());
        let headers = shape::to_store(parts.headers, self.verdict.nature);
        let draft = Draft {
            key: self.key.hash,
            url: self.key.url.clone(),
            status: parts.status.as_u16(),
            vary,
            headers,
            requested,
            responded,
            class: self.verdict.class,
            part,
            provenance: Provenance { source: self.from.take(), ..self.inner.provenance(&self.context, &self.verdict) },
        };
        let keeps = self.stored.as_ref().is_none_or(|entry| entry.draft.part.is_some());
        let asked = self.upstream_head().2;
        let follow = self.follow();
        let (sender, tail) = mpsc::channel(2);
        let _ = self.lead.send(Lead::Tail(tail));
        self.fetch.head(Head::Shared(Arc::new(SharedHead {
            status: parts.status,
            headers: draft.headers.clone(),
            vary: draft.vary.clone(),
            total: part.map_or(total, |part| Some(part.total)),
            base: part.map_or(0, |part| part.from),
            part: part.is_some(),
            file: writer.file(),
            at: (requested, responded),
            why,
            kept_from_guests: draft.provenance.is_kept_from_guests(),
        })));
        let again = Again {
            key: self.key,
            request: self.request,
            verdict: self.verdict,
            source: self.known.as_ref().and_then(|known| known.source.clone()),
            known: self.known,
            anew: self.anew,
        };
        let transfer = Transfer {
            asked,
            inner: self.inner,
            fetch: self.fetch,
            context: self.context,
            uri: self.uri,
            follow,
            total,
            from_store: self.from_store,
            keeps,
            held,
            learns,
            draft,
            again,
        };
        transfer.run(writer, body, sender).await;
    }
}

/// A body on its way into the store.
pub(super) struct Transfer {
    pub inner: Arc<Inner>,
    pub fetch: Arc<Fetch>,
    pub context: RequestContext,
    pub uri: Uri,
    pub follow: Follow,
    /// The fields of the request to upstream.
    pub asked: HeaderMap,
    /// Bytes of the body, where the origin said.
    pub total: Option<u64>,
    /// Those that come out of the store.
    pub from_store: Vec<Span>,
    /// Whether a part of it is better than what is stored.
    pub keeps: bool,
    /// Whether the last byte is kept back until the body is known to be right.
    pub held: bool,
    learns: Option<Format>,
    pub draft: Draft,
    pub again: Again,
}

impl Transfer {
    async fn run(self, writer: BlobWriter, body: Body, tail: mpsc::Sender<io::Result<Bytes>>) {
        match self.copy(writer, body).await {
            Ok(writer) => self.finish(writer).await,
            Err(Broken::Upstream(why, None)) => self.broken(&why),
            Err(Broken::Upstream(why, Some(writer))) => {
                // Whoever reads it learns of the break once the part can be found.
                if self.keep(*writer).await {
                    self.fetch.end(End::Broken(format!("{why} (what arrived is kept, to be completed)").into()));
                }
                self.broken(&why);
            }
            Err(Broken::Store(error, rest)) => {
                self.inner.warn(&error);
                self.spill(rest, tail).await;
            }
        }
    }

    pub(super) fn broken(&self, why: &str) {
        let url = &self.draft.url;
        tracing::debug!(url, why, "nothing stored");
        self.fetch.end(End::Broken(format!("{why} (nothing was stored)").into()));
    }

    async fn copy(&self, mut writer: BlobWriter, mut body: Body) -> Result<BlobWriter, Broken> {
        let mut ended = false;
        let mut resumed = false;
        while !ended {
            let gathered = gather(&mut body).await;
            let short = matches!(&gathered, Ok((batch, true)) if batch.is_empty() && self.lacks(&writer));
            if (gathered.is_err() || short)
                && !std::mem::replace(&mut resumed, true)
                && let Some(rest) = self.resume(writer.size()).await
            {
                body = rest;
                continue;
            }
            let (batch, last) = match gathered {
                Ok(gathered) => gathered,
                Err(error) => return Err(Broken::Upstream(error.to_string(), Some(writer.into()))),
            };
            // The end is looked at in a round of its own, so that a body too short can be resumed.
            ended = last && (batch.is_empty() || self.total.is_none());
            if batch.is_empty() {
                continue;
            }
            if last && !ended {
                body = empty();
            }
            let bytes: usize = batch.iter().map(Bytes::len).sum();
            let new = self.fetched((writer.size(), writer.size() + bytes as u64));
            self.context.flow.update(|flow| flow.bytes_upstream += new);
            let written = writer.size();
            let writing = tokio::task::spawn_blocking(move || {
                let result = batch.iter().try_for_each(|chunk| writer.write(chunk));
                (writer, result, batch)
            });
            let (back, result, batch) = writing.await.map_err(|error| Broken::Upstream(error.to_string(), None))?;
            writer = back;
            if let Err(error) = result {
                let rest = if ended { empty() } else { body };
                return Err(Broken::Store(error, Rest::after(writer, written, batch, rest)));
            }
            if self.total.is_some_and(|total| writer.size() > total) {
                return Err(Broken::Upstream("upstream sent more than it announced".to_owned(), None));
            }
            self.fetch.available(writer.size() - u64::from(self.held));
        }
        match self.total {
            Some(total) if total != writer.size() => {
                let why = format!("upstream sent {} of {total} bytes", writer.size());
                Err(Broken::Upstream(why, Some(writer.into())))
            }
            _ => Ok(writer),
        }
    }

    fn lacks(&self, writer: &BlobWriter) -> bool {
        self.total.is_some_and(|total| writer.size() < total)
    }

    /// The body is whole: it is checked, and then made durable and put in place, which no client waits for.
    async fn finish(self, mut writer: BlobWriter) {
        match writer.check() {
            Err(StoreError::Mismatch(why)) => {
                tracing::warn!(url = self.draft.url, why, "refused a body that is not the one promised");
                self.forget_parts().await;
                return self.refuted(&why).await;
            }
            Err(error) => return self.broken(&error.to_string()),
            Ok(()) => {}
        }
        self.note_whole(writer.sums());
        let Self { inner, fetch, context, draft, learns, again, .. } = self;
        let reading = learns.map(|format| Reading::announce(&inner, &draft.url, format));
        // The flow ends with the client's last byte, not with what the disk has taken.
        drop(context);
        fetch.available(writer.size());
        fetch.end(End::Whole);
        let Some(shelf) = &inner.shelf else { return };
        let key = draft.key;
        if fetch.is_outdated() {
            return;
        }
        match shelf.commit(writer, draft, inner.run()).await {
            // It may have become so meanwhile.
            Ok(_) if fetch.is_outdated() => inner.invalidate(key).await,
            Ok(entry) if entry.draft.part.is_some() => inner.join_parts(entry, again.known),
            Ok(entry) => match reading {
                Some(reading) => reading.begin(entry),
                None => inner.config_arrived(&entry.draft.url),
            },
            Err(error) => inner.warn(&error),
        }
    }
}

/// Waits for the next bytes, and takes along what else is there already; `true` when the body has ended.
async fn gather(body: &mut Body) -> io::Result<(Vec<Bytes>, bool)> {
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH {
        let frame = if batch.is_empty() {
            body.frame().await
        } else {
            match body.frame().now_or_never() {
                Some(frame) => frame,
                None => break,
            }
        };
        let Some(frame) = frame else { return Ok((batch, true)) };
        if let Ok(chunk) = frame?.into_data()
            && !chunk.is_empty()
        {
            size += chunk.len();
            batch.push(chunk);
        }
    }
    Ok((batch, false))
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
