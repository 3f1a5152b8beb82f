//! Bodies that are stored already, for another user or from another URL: served once upstream has confirmed that this
//! client may have them, so that no byte of them is sent again.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LOCATION, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};

use super::credential::binds;
use super::exchange::Exchange;
use super::fetch::{Job, content_length};
use super::follow::{self, Arrived, Follow};
use super::key::carries_signature;
use super::learn::same_origin;
use super::report::CacheStatus;
use super::shape;
use crate::body::Body;
use crate::flow::Outcome;
use crate::policy::storable::storable;
use crate::rules::Nature;
use crate::store::{Draft, Entry, Provenance};

/// For whom an answer may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    Everybody,
    /// Who has the request's credentials.
    Bearer,
}

/// For whom an answer to a GET may be stored, or why for nobody. What only its credentials forbid to share (RFC 9111
/// section 3.5) is stored for who has them.
pub(super) fn audience(
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    nature: Nature,
    now: std::time::SystemTime,
) -> Result<Audience, &'static str> {
    let judge = |request: &HeaderMap| storable(&Method::GET, request, status, response, nature, now);
    match judge(request) {
        Ok(()) => Ok(Audience::Everybody),
        Err(why) if request.keys().any(binds) => {
            let anonymous = request.iter().filter(|(name, _)| !binds(name));
            let anonymous = anonymous.map(|(name, value)| (name.clone(), value.clone())).collect();
            judge(&anonymous).map(|()| Audience::Bearer).map_err(|_| why)
        }
        Err(why) => Err(why),
    }
}

/// Whether a body may be lent to a URL, once that URL's server has confirmed it: to any where everybody may have it,
/// else only where the very server decides that gave it. Another one could confirm what it has only heard of.
fn may_lend(lender: &Entry, url: &str) -> bool {
    let draft = &lender.draft;
    let bound = draft.vary.iter().any(|(name, _)| name == AUTHORIZATION);
    !draft.headers.contains_key(CONTENT_ENCODING) && (!bound || same_origin(&draft.url, url))
}

impl Job {
    /// Upstream's 304 to the condition of an entry that is not this client's: from now on it is.
    pub(super) async fn confirm_borrowed(&self, mut entry: Entry, draft: Draft) -> Entry {
        let (now, nature) = (draft.responded, self.verdict.nature);
        let audience = audience(&self.request, StatusCode::OK, &draft.headers, nature, now);
        let bound = audience != Ok(Audience::Everybody);
        entry.draft = Arc::new(draft);
        let vary = self.inner.credentials.fields(&self.request, &entry.draft.headers, bound);
        // Without a hash nobody selects it.
        let storable = audience.is_ok() && vary.is_some();
        Arc::make_mut(&mut entry.draft).vary = vary.unwrap_or_else(|| vec![(AUTHORIZATION, Some(String::new()))]);
        if let Some(shelf) = self.inner.shelf.as_ref().filter(|_| storable) {
            match shelf.adopt(entry.digest, (*entry.draft).clone()).await {
                Ok(Some(adopted)) => return adopted,
                Ok(None) => {}
                Err(error) => self.inner.warn(&error),
            }
        }
        entry
    }
}

impl Exchange<'_> {
    /// What is stored for other credentials, and can be confirmed for these by a condition.
    pub(super) async fn of_others(&self) -> Option<Entry> {
        let entries = self.inner.shelf.as_ref()?.lookup(self.key.hash).await.ok()?;
        let strong = |entry: &&Entry| {
            let draft = &entry.draft;
            let tag = draft.headers.get(ETAG);
            draft.status == 200 && draft.part.is_none() && tag.is_some_and(|tag| tag.as_bytes().starts_with(b"\""))
        };
        let selects = |entry: &&Entry| {
            self.inner.credentials.selects_but_for_credentials(&self.headers, &entry.draft.vary, &entry.draft.headers)
                && self.takes(&entry.draft.headers)
                && self.may_have(entry)
        };
        entries.iter().filter(strong).find(selects).cloned()
    }

    /// Serves the body with the promised digest that is stored under whatever URL, when upstream says that there is
    /// something of its size for this client.
    pub(super) async fn borrow_body(&self) -> Option<Response<Body>> {
        let digest = self.known.as_ref().filter(|known| known.binding)?.sha256?;
        if self.anew || self.refetch || self.control.no_store || self.method != Method::GET {
            return None;
        }
        let shelf = self.inner.shelf.as_ref()?;
        let lenders = shelf.holders(digest).await.ok()?;
        let lender = lenders.into_iter().find(|lender| may_lend(lender, &self.key.url) && self.may_have(lender))?;
        let requested = self.inner.now();
        let confirmed = self.confirmed(&lender).await?;
        let (nature, responded) = (self.verdict.nature, self.inner.now());
        let headers = shape::to_store(confirmed, nature);
        let bound = audience(&self.headers, StatusCode::OK, &headers, nature, responded).ok()? == Audience::Bearer;
        let draft = Draft {
            key: self.key.hash,
            url: self.key.url.clone(),
            status: 200,
            vary: self.inner.credentials.fields(&self.headers, &headers, bound)?,
            headers,
            requested,
            responded,
            class: self.verdict.class,
            part: None,
            provenance: Provenance {
                source: Some(lender.draft.url.clone()),
                ..self.inner.provenance(&self.context, &self.verdict)
            },
        };
        let entry = shelf.adopt(digest, draft).await.map_err(|error| self.inner.warn(&error)).ok()??;
        let why = format!("upstream has it, and its body was stored from {}", lender.draft.url);
        let said = CacheStatus::forwarded(self.forward).detail("known-body");
        self.serve(&entry, Outcome::Revalidated, why, said).await
    }

    /// Upstream's head for the client's own request, when it is for the body known: of its size, or a redirect to a
    /// signed URL, which is given to nobody who may not have what it leads to.
    async fn confirmed(&self, lender: &Entry) -> Option<HeaderMap> {
        let mut headers = self.headers.clone();
        for name in [RANGE, http::header::IF_RANGE, http::header::IF_NONE_MATCH, http::header::IF_MODIFIED_SINCE] {
            headers.remove(name);
        }
        let head = (Method::HEAD, self.uri.clone(), headers);
        // A signed URL is for GET alone, most often, so the redirect itself has to do.
        let Arrived { response, .. } = follow::send(self.inner, head, &self.context, Follow::Unsigned).await.ok()?;
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        if response.status().is_redirection() && location.is_some_and(carries_signature) {
            let mut headers = lender.draft.headers.clone();
            headers.remove(CONTENT_LENGTH);
            return Some(headers);
        }
        let fits = response.status() == StatusCode::OK
            && content_length(response.headers()) == Some(lender.size)
            && !response.headers().contains_key(CONTENT_ENCODING);
        fits.then(|| response.headers().clone())
    }
}
