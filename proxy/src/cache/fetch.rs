//! One fetch from upstream, on its way into the store, independent of the clients that read it.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, PRAGMA, RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use tokio::sync::{mpsc, oneshot};

use super::borrow::{Audience, audience};
use super::follow::{self, Arrived, Follow};
use super::part::{Span, as_whole};
use super::progress::{Fetch, Head, SharedHead};
use super::promises::Known;
use super::refuted::Again;
use super::transfer::Transfer;
use super::{Inner, Key, shape};
use crate::body::Body;
use crate::flow::Class;
use crate::origin::{Phase, RequestContext, UpstreamError};
use crate::policy::freshness::explicit_lifetime;
use crate::policy::{condition, surrogate};
use crate::rules::{Nature, Verdict};
use crate::store::{BlobWriter, Draft, Entry, Part, Provenance, VaryField};

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
        if size.is_some_and(|size| self.inner.most().is_some_and(|most| size > most)) {
            return self.hand_over(response, "it is larger than the cache may be");
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
        // Bodies that come faster than they can be put in place would be many files and threads that wait.
        drop(self.inner.places.take(&self.context.flow.identity()).await);
        if let Some(shelf) = &self.inner.shelf {
            shelf.room().wait().await;
        }
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

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
