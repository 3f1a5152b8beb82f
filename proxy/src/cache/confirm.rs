//! What upstream's answer says of what is stored: that it is still right, or that it is better than the answer.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::borrow::audience;
use super::fetch::Job;
use super::progress::Head;
use super::shape;
use super::stored::stored;
use crate::body::Body;
use crate::policy::freshness::may_serve_stale;
use crate::policy::{CacheControl, condition};
use crate::rules::Nature;
use crate::store::Entry;

impl Job {
    /// Upstream's 304 (RFC 9111 section 4.3.4).
    pub(super) async fn confirm(
        &self,
        mut entry: Entry,
        fresh: &Response<Body>,
        requested: SystemTime,
        responded: SystemTime,
    ) {
        let fields = shape::to_store(fresh.headers().clone(), self.verdict.nature);
        let merged = condition::merge(&entry.draft.headers, &fields);
        let allowed = audience(&self.request, StatusCode::OK, &merged, self.verdict.nature, responded);
        let draft = Arc::make_mut(&mut entry.draft);
        if allowed.is_ok() {
            draft.headers = merged;
        } else {
            take_back(&mut draft.headers, &fields);
        }
        draft.requested = requested;
        draft.responded = responded;
        if self.borrowed {
            let draft = draft.clone();
            let entry = self.confirm_borrowed(entry, draft).await;
            return self.fetch.head(Head::Confirmed(Arc::new(entry)));
        }
        if let Some(shelf) = self.inner.shelf.as_ref().filter(|_| !self.fetch.is_outdated())
            && let Err(error) = shelf.refresh(entry.clone()).await
        {
            self.inner.warn(&error);
        }
        if let Some(format) = self.verdict.learns {
            self.inner.promises_confirmed(&entry, format).await;
        }
        self.fetch.head(Head::Confirmed(Arc::new(entry)));
    }

    /// Whether what is stored is better than a server error.
    pub(super) fn has_better(&self, now: SystemTime) -> bool {
        let control = CacheControl::parse(&self.request);
        self.stored.as_ref().is_some_and(|entry| {
            let nature = if entry.draft.status == 200 { self.verdict.nature } else { Nature::Plain };
            may_serve_stale(&stored(entry, nature), &control, now, true)
        })
    }
}

/// What the origin no longer lets be shared is from now on confirmed for each client before it is served.
fn take_back(stored: &mut HeaderMap, fresh: &HeaderMap) {
    let said = CacheControl::parse(fresh);
    if said.private || said.no_store {
        let control = if said.no_store { "no-cache, no-store" } else { "no-cache, private" };
        stored.insert(CACHE_CONTROL, HeaderValue::from_static(control));
        for name in ["expires", "surrogate-control"] {
            stored.remove(name);
        }
    }
}
