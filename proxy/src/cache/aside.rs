//! What the store does not keep for those who can ask upstream, kept for a run that cannot: that something is not there,
//! and where a redirect leads. Package tools probe for the one and go on by it, and follow the other.
//!
//! It is filed under a key of its own, so that nobody is answered by it who is online, and so that a mirror's hiccup
//! replaces nothing.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use url::Url;

use super::borrow::{Audience, audience};
use super::exchange::Exchange;
use super::fetch::Job;
use super::key::hash16;
use super::report::CacheStatus;
use super::{Key, Mode, shape};
use crate::body::{Body, chain, full};
use crate::flow::{Answered, Outcome};
use crate::redact;
use crate::store::{Digest, Draft, Entry, Provenance, Touch};

/// Most bytes of a body that are kept.
const LONGEST: usize = 64 * 1024;

impl Key {
    /// What answers for offline runs only are filed under: redirects, and that something is not there.
    pub fn aside(&self) -> [u8; 16] {
        aside(self.hash)
    }
}

fn aside(key: [u8; 16]) -> [u8; 16] {
    hash16(&[b"offline ", &key[..]].concat())
}

fn is_of_use(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308 | 404 | 410)
}

impl Job {
    /// Keeps an answer that is not stored, if a run offline can use it, and hands it back.
    pub(super) async fn set_aside(&self, response: Response<Body>) -> Response<Body> {
        let now = self.inner.now();
        let status = response.status();
        if !is_of_use(status) {
            return response;
        }
        let (parts, body) = response.into_parts();
        // Whether it may be kept at all does not depend on how long it lasts.
        let nature = self.verdict.nature;
        let audience = audience(&self.request, StatusCode::OK, &parts.headers, nature, now);
        let bound = audience == Ok(Audience::Bearer);
        let vary = self.inner.credentials.fields(&self.request, &parts.headers, bound);
        let mut headers = shape::to_store(parts.headers.clone(), nature);
        headers.remove(http::header::SET_COOKIE);
        let (Ok(_), Some(vary), true) = (audience, vary, self.make_lasting(&mut headers)) else {
            return Response::from_parts(parts, body);
        };
        let (whole, body) = gathered(body).await;
        let Some(mut whole) = whole else { return Response::from_parts(parts, body) };
        if headers.get(LOCATION) != parts.headers.get(LOCATION) {
            // The page that comes with a redirect repeats its URL, signature and all.
            whole = Bytes::new();
            headers.remove(CONTENT_TYPE);
            headers.remove(CONTENT_ENCODING);
        }
        let draft = Draft {
            key: self.key.aside(),
            url: self.key.url.clone(),
            status: status.as_u16(),
            vary,
            headers,
            requested: now,
            responded: now,
            class: self.verdict.class,
            part: None,
            provenance: Provenance { source: None, ..self.inner.provenance(&self.context, &self.verdict) },
        };
        let mut answered = Answered::of(draft.status, &draft.headers, &draft.vary, nature);
        answered.size = Some(whole.len() as u64);
        answered.location = redirected(&draft.url, &draft.headers);
        self.context.flow.update(|flow| {
            flow.answer = Some(Arc::new(answered));
            flow.digest = Some(Digest::of(&whole).to_string().into());
        });
        self.keep_aside(draft, whole);
        Response::from_parts(parts, body)
    }

    /// Takes the signature off the URL that a redirect leads to: it is over in minutes, and the cache files what is there
    /// without it. Whether nothing is left that could be a secret.
    fn make_lasting(&self, headers: &mut HeaderMap) -> bool {
        let Some(location) = headers.get(LOCATION) else { return true };
        let Some(to) = location.to_str().ok().and_then(|to| absolute(&self.key.url, to)) else { return false };
        let Some(key) = to.as_str().parse().ok().and_then(|uri| Key::of(&uri)) else { return false };
        if redact::url(&key.url) != key.url || !to.username().is_empty() || to.password().is_some() {
            return false;
        }
        if key.signed {
            let Ok(value) = HeaderValue::from_str(&key.url) else { return false };
            headers.insert(LOCATION, value);
        }
        true
    }

    /// Stores it, which the client does not wait for; what is there already is only used again.
    fn keep_aside(&self, draft: Draft, body: Bytes) {
        let Some(shelf) = self.inner.shelf.clone() else { return };
        let inner = self.inner.clone();
        self.inner.behind(async move {
            let digest = Digest::of(&body);
            let known = shelf.lookup(draft.key).await.ok();
            let same = |old: &&Entry| {
                let (old_draft, location) = (&old.draft, draft.headers.get(LOCATION));
                old.digest == digest
                    && old_draft.status == draft.status
                    && old_draft.vary == draft.vary
                    && old_draft.headers.get(LOCATION) == location
            };
            if let Some(old) = known.as_ref().and_then(|entries| entries.iter().find(same)) {
                inner.note(used(old, draft.responded, "seen again"));
                return;
            }
            let (store, run) = (shelf.store().clone(), inner.run());
            let written = tokio::task::spawn_blocking(move || {
                let mut writer = store.writer()?;
                writer.write(&body)?;
                Ok(writer)
            });
            let stored = match written.await {
                Ok(Ok(writer)) => shelf.commit(writer, draft, run).await.map(drop),
                Ok(Err(error)) => Err(error),
                Err(_) => return,
            };
            if let Err(error) = stored {
                inner.warn(&error);
            }
        });
    }
}

fn absolute(base: &str, reference: &str) -> Option<Url> {
    Url::parse(base).ok()?.join(reference).ok()
}

/// Where the answer of a URL leads, as the cache files that: absolute, without signature.
pub(super) fn redirected(url: &str, headers: &HeaderMap) -> Option<String> {
    let to = absolute(url, headers.get(LOCATION)?.to_str().ok()?)?;
    Key::of(&to.as_str().parse().ok()?).map(|key| redact::url(&key.url))
}

fn used(entry: &Entry, at: std::time::SystemTime, why: &str) -> Touch {
    Touch {
        key: entry.draft.key,
        entry: Some(entry.id),
        at,
        outcome: Outcome::Hit,
        why: why.to_owned().into(),
        uses: 1,
    }
}

impl Exchange<'_> {
    /// What was set aside for a run that is offline.
    pub(super) async fn set_aside(&self) -> Option<Response<Body>> {
        debug_assert_eq!(self.inner.mode(), Mode::Offline);
        let entries = self.inner.shelf.as_ref()?.lookup(self.key.aside()).await.ok()?;
        let entry = entries
            .iter()
            .find(|entry| self.selects(&entry.draft.vary, &entry.draft.headers) && self.may_have(entry))?;
        let status = entry.draft.status;
        let why = format!("offline: upstream answered {status} when it was asked");
        let said = CacheStatus::HIT.detail("offline");
        let response = self.serve(entry, Outcome::Stale, why, said).await?;
        self.inner.note(used(entry, self.now, "served offline"));
        Some(response)
    }
}

/// The whole of a short body, and the body as it was to come.
async fn gathered(mut body: Body) -> (Option<Bytes>, Body) {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let data = match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => data,
            Ok(Err(_)) => continue,
            Err(error) => {
                let broken = futures_util::stream::iter([Err(error)]);
                let rest = http_body_util::StreamBody::new(broken).boxed();
                return (None, chain(vec![full(whole.freeze()), rest]));
            }
        };
        whole.extend_from_slice(&data);
        if whole.len() > LONGEST {
            return (None, chain(vec![full(whole.freeze()), body]));
        }
    }
    let whole = whole.freeze();
    (Some(whole.clone()), full(whole))
}
