//! Ranges of objects that are too large to be fetched whole for their sake: the range alone is fetched, and kept as a part.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{IF_RANGE, RANGE};
use http::{Response, StatusCode};
use lru::LruCache;

use super::exchange::{Exchange, Followed};
use super::key::hash16;
use super::progress::{Fetch, SharedHead, ended};
use super::report::CacheStatus;
use super::room::WHOLE_FOR_RANGE;
use super::{Inner, Joined};
use crate::body::Body;
use crate::flow::Outcome;
use crate::policy::freshness::Judgement;
use crate::policy::{condition, range};
use crate::store::Entry;

/// The share of the cache that an object may take for the sake of a range, and the share of what is free on its disk.
const OF_CACHE: u64 = 8;
const OF_DISK: u64 = 2;

/// How far ahead of what has arrived a range may begin that waits for it.
const AHEAD: u64 = 16 * 1024 * 1024;

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// URLs whose objects have turned out too large, and their sizes.
#[derive(Debug)]
pub(super) struct Large {
    sizes: Mutex<LruCache<[u8; 16], u64>>,
}

impl Default for Large {
    fn default() -> Self {
        Self { sizes: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

impl Inner {
    /// Whether an object of so many bytes is too large to be fetched for the sake of a range. What does not say how large
    /// it is is made as it is asked for, and has seldom ranges.
    pub(super) fn is_large(&self, size: Option<u64>) -> bool {
        let Some(shelf) = &self.shelf else { return false };
        let keep = shelf.room().keep();
        let sane = keep.whole_for_range.unwrap_or(WHOLE_FOR_RANGE).min(keep.max_bytes.unwrap_or(u64::MAX) / OF_CACHE);
        size.is_some_and(|size| size > sane || shelf.store().free_bytes().is_ok_and(|free| size > free / OF_DISK))
    }

    /// The most bytes that a body may have to be stored, where there is a limit: to make room for a larger one would empty
    /// the cache, and it would go with the next.
    pub(super) fn most(&self) -> Option<u64> {
        self.shelf.as_ref()?.room().keep().max_bytes
    }

    /// Remembers how large a URL's object is, so that it need not be found out again.
    pub(super) fn note_large(&self, url: [u8; 16], size: u64) {
        self.large.sizes.lock().unwrap_or_else(PoisonError::into_inner).put(url, size);
    }

    fn noted_size(&self, url: &[u8; 16]) -> Option<u64> {
        self.large.sizes.lock().unwrap_or_else(PoisonError::into_inner).get(url).copied()
    }
}

impl Exchange<'_> {
    /// Whether the client wants less than the whole.
    pub(super) fn is_partial(&self) -> bool {
        range::is_partial(&self.headers)
    }

    /// The parts there are of what is stored.
    pub(super) fn parts_of(&self, stored: Option<&Entry>) -> Vec<Entry> {
        match stored.filter(|entry| entry.draft.part.is_some()) {
            None => Vec::new(),
            Some(entry) if self.parts.iter().any(|part| part.id == entry.id) => self.parts.clone(),
            Some(entry) => vec![entry.clone()],
        }
    }

    /// Whether the range alone is fetched.
    pub(super) fn wants_alone(&self, stored: Option<&Entry>) -> bool {
        if !self.is_partial() || self.anew {
            return false;
        }
        let known = self.known.as_ref().filter(|known| known.binding).and_then(|known| known.size);
        match stored {
            Some(entry) => match entry.draft.part {
                Some(part) => self.inner.is_large(Some(part.total)),
                // It may be confirmed.
                None => false,
            },
            None => self.large || self.inner.is_large(known.or_else(|| self.inner.noted_size(&self.key.hash))),
        }
    }

    /// Whether the request is for one range of what an entry is a part of, so that the parts there are may be of use.
    pub(super) fn is_one_range_of(&self, entry: &Entry) -> bool {
        matches!(range::wanted(&self.headers, super::stored::total(entry)), range::Wanted::Part(..))
    }

    /// Whether a range is short, and would have to be waited for until much else has arrived: few clients do.
    pub(super) fn is_far(&self, head: &SharedHead, available: u64) -> bool {
        let Some(total) = head.total.filter(|_| head.status == StatusCode::OK && head.base == 0) else { return false };
        match range::wanted(&self.headers, total) {
            range::Wanted::Part(from, to) => {
                to - from <= AHEAD && from > available + AHEAD && condition::range_allowed(&self.headers, &head.headers)
            }
            _ => false,
        }
    }

    /// Waits for parts that are only being put in place, which takes as long as the disk does. They may be all that is
    /// wanted, or much of it.
    pub(super) async fn parts_in_place(&mut self, stored: &mut Option<Entry>) -> Option<Response<Body>> {
        let placed: Vec<_> = {
            let fetches = self.inner.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            let places = |fetch: &&Arc<Fetch>| fetch.is_of(&self.key.hash) && fetch.places_part();
            fetches.values().filter(places).map(|fetch| fetch.subscribe()).collect()
        };
        if placed.is_empty() || self.anew {
            return None;
        }
        for progress in placed {
            ended(progress).await;
        }
        *stored = self.lookup().await.ok().flatten().or(stored.take());
        let entry = stored.clone()?;
        let Judgement::Use(why) = self.judge(&entry) else { return None };
        self.serve(&entry, Outcome::Hit, why.to_owned(), CacheStatus::HIT).await
    }

    /// Fetches the client's range alone. Those who want the same range of it join.
    pub(super) async fn fetch_alone(mut self: Box<Self>, mut stored: Option<Entry>) -> Response<Body> {
        let of_another = |entry: &Entry| !condition::range_allowed(&self.headers, &entry.draft.headers);
        if stored.as_ref().is_some_and(of_another) {
            return self.pass(Outcome::Miss, "a range of another state of the object than is stored").await;
        }
        let Some(joined) = self.joined().map(|joined| self.with_range(joined)) else {
            let alone = self.inner.alone(self.key.hash);
            return self.fetch(alone, stored).await;
        };
        for again in [true, false] {
            let progress = match self.inner.join(joined, self.key.hash) {
                Joined::Leading(leading) => return self.fetch(leading, stored).await,
                Joined::Following(progress) => progress,
            };
            if progress.borrow().end.is_some() {
                // It has ended since we looked.
                if let Some(response) = self.parts_in_place(&mut stored).await {
                    return response;
                }
                ended(progress).await;
                if again {
                    continue;
                }
                break;
            }
            match self.follow(progress, None, stored.as_ref()).await {
                Followed::Answer(response) => return response,
                Followed::Gone if again => {}
                Followed::Alone | Followed::Gone | Followed::TooLarge => break,
            }
        }
        let alone = self.inner.alone(self.key.hash);
        self.fetch(alone, stored).await
    }

    /// What is the same for requests for one range.
    fn with_range(&self, joined: [u8; 16]) -> [u8; 16] {
        let mut text = joined.to_vec();
        for name in [RANGE, IF_RANGE] {
            text.push(0);
            text.extend(self.headers.get(name).map_or(&b""[..], |value| value.as_bytes()));
        }
        hash16(&text)
    }
}
