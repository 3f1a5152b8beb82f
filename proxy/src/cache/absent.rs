//! What upstream does not have, remembered for a moment: tools ask for the same missing file again and again.
//!
//! In memory only, so that no later process and no later run goes by it; and beside what is stored, which a mirror's
//! hiccup must not destroy.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use lru::LruCache;

use super::borrow::audience;
use super::exchange::Exchange;
use super::fetch::{Job, content_length};
use super::report::CacheStatus;
use super::{report, shape};
use crate::body::{Body, full};
use crate::flow::{Answered, Class, Outcome};
use crate::store::Digest;

/// Longest time it is believed.
const BELIEVED: Duration = Duration::from_mins(1);
/// Most bytes of an apology that are kept.
const LONGEST: usize = 64 * 1024;
const MOST: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

#[derive(Debug)]
struct Answer {
    at: SystemTime,
    headers: HeaderMap,
    body: Bytes,
}

/// The answers, by what joins requests.
#[derive(Debug)]
pub(super) struct Absent {
    answers: Mutex<LruCache<[u8; 16], Answer>>,
}

impl Default for Absent {
    fn default() -> Self {
        Self { answers: Mutex::new(LruCache::new(MOST)) }
    }
}

impl Job {
    /// Notes a 404 for an index or a package, and hands it back.
    pub(super) async fn note_absence(&self, response: Response<Body>, now: SystemTime) -> Response<Body> {
        let of_use =
            matches!(self.verdict.class, Class::Index | Class::Package) && !self.context.flow.is_kept_from_guests();
        let Some(key) = self.joined.filter(|_| of_use) else { return response };
        let short = content_length(response.headers()).is_none_or(|length| length <= LONGEST as u64);
        let allowed = audience(&self.request, StatusCode::OK, response.headers(), self.verdict.nature, now);
        if !short || allowed.is_err() {
            return response;
        }
        let (parts, body) = response.into_parts();
        match Limited::new(body, LONGEST).collect().await {
            Ok(body) => {
                let body = body.to_bytes();
                let headers = shape::to_store(parts.headers.clone(), self.verdict.nature);
                let answer = Answer { at: now, headers, body: body.clone() };
                self.inner.absent.answers.lock().unwrap_or_else(PoisonError::into_inner).put(key, answer);
                Response::from_parts(parts, full(body))
            }
            // Its text is of no use to anybody; that there is nothing is.
            Err(_) => {
                let text = format!("{} is not there", self.key.url);
                report::message(StatusCode::NOT_FOUND, text)
            }
        }
    }
}

impl Exchange<'_> {
    /// Upstream's answer of a moment ago, that there is nothing.
    pub(super) fn absence(&self, joined: [u8; 16]) -> Option<Response<Body>> {
        if self.anew || self.refetch || self.control.no_cache {
            return None;
        }
        let mut response = {
            let mut answers = self.inner.absent.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = answers.get(&joined)?;
            let age = self.now.duration_since(answer.at).unwrap_or_default();
            if answer.at < self.inner.since() || age >= BELIEVED {
                answers.pop(&joined);
                return None;
            }
            let vary = self.inner.credentials.fields(&self.headers, &answer.headers, false).unwrap_or_default();
            let mut answered = Answered::of(404, &answer.headers, &vary, self.verdict.nature);
            answered.size = Some(answer.body.len() as u64);
            self.context.flow.update(|flow| {
                flow.answer = Some(Arc::new(answered));
                flow.digest = Some(Digest::of(&answer.body).to_string().into());
            });
            let mut response = Response::new(full(answer.body.clone()));
            *response.headers_mut() = answer.headers.clone();
            response.headers_mut().insert(http::header::AGE, age.as_secs().into());
            response
        };
        *response.status_mut() = StatusCode::NOT_FOUND;
        CacheStatus::HIT.detail("negative").append_to(response.headers_mut());
        self.outcome(Outcome::Hit, "upstream did not have it less than a minute ago".to_owned(), None);
        Some(response)
    }
}
