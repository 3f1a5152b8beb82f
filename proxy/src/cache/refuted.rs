//! Bodies that are not the ones they must be: never stored, never served whole, and asked for once more.

use std::sync::{Arc, PoisonError};

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::oneshot;

use super::fetch::{Job, content_length};
use super::key::hash16;
use super::progress::{Fetch, Head};
use super::promises::Known;
use super::transfer::Transfer;
use super::{Key, Leading};
use crate::body::Body;
use crate::flow::Class;
use crate::origin::{Phase, UpstreamError};
use crate::rules::{Promised, Verdict};

/// What it takes to ask once more.
pub(super) struct Again {
    pub key: Key,
    pub request: HeaderMap,
    pub verdict: Verdict,
    pub known: Option<Known>,
    /// The index that promised something else.
    pub source: Option<String>,
    /// Whether this was the second time.
    pub anew: bool,
}

impl Job {
    /// Whether an answer's length alone shows that its body is not the one promised.
    pub(super) fn is_refuted(&self, response: &Response<Body>) -> bool {
        let coded = response.headers().contains_key(CONTENT_ENCODING);
        let size = self.known.as_ref().and_then(|known| known.size);
        let size = size.filter(|_| response.status() == StatusCode::OK && !coded);
        size.zip(content_length(response.headers())).is_some_and(|(promised, announced)| promised != announced)
    }

    /// Gives up: what upstream sends is not what must be there, twice.
    pub(super) fn refute(self) {
        let source = self.known.as_ref().and_then(|known| known.source.as_deref());
        let message = format!(
            "{} has another length than {} says; ask the operator of the server, or try again later",
            self.key.url,
            source.unwrap_or("its URL"),
        );
        if let Some(source) = source {
            self.inner.promises.suspect(hash16(source.as_bytes()));
        }
        tracing::warn!(url = self.key.url, source, "refused a body that is not the one promised");
        self.fetch.head(Head::Failed(Arc::new(UpstreamError { phase: Phase::Exchange, message, retryable: false })));
    }

    /// The digest that the body must have: as promised, or as the answer itself says where registries do.
    pub(super) fn promised(&self, response: &HeaderMap) -> Option<Promised> {
        let of_registry = || {
            let is_registry = self.verdict.rule.starts_with("oci ") && self.verdict.class != Class::Other;
            let value = response.get("docker-content-digest").filter(|_| is_registry)?.to_str().ok()?;
            let (algorithm, hex) = value.split_once(':')?;
            Promised::named(algorithm, hex)
        };
        self.known.as_ref().map(|known| known.promised.clone()).or_else(of_registry)
    }
}

impl Transfer {
    /// Nobody gets the last byte of a wrong body. It may be old, or the promise: each is asked for once more, past
    /// every cache on the way.
    pub(super) async fn refuted(self, why: &str) {
        if self.again.anew {
            self.broken(why);
            if let Some(source) = &self.again.source {
                self.inner.promises.suspect(hash16(source.as_bytes()));
            }
            return;
        }
        let fetch = Arc::new(Fetch::new(self.again.key.hash));
        let mut leading = Leading { inner: self.inner.clone(), key: None, fetch: fetch.clone() };
        if let Some((joined, shared)) = self
            .inner
            .fetches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
            .find(|(_, one)| Arc::ptr_eq(one, &self.fetch))
        {
            *shared = fetch.clone();
            leading.key = Some(*joined);
        }
        // Now: who hears of it and asks again at once joins the new one.
        self.broken(why);
        let Self { inner, context, uri, again, .. } = self;
        let (lead, _) = oneshot::channel();
        let Again { key, request, verdict, known, .. } = again;
        let job = Job {
            inner,
            fetch,
            key,
            uri,
            request,
            context,
            verdict,
            known,
            anew: true,
            joined: None,
            borrowed: false,
            stored: None,
            parts: Vec::new(),
            alone: false,
            reluctant: false,
            from: None,
            from_store: Vec::new(),
            lead,
        };
        Box::pin(job.run()).await;
        drop(leading);
    }
}
