//! `larder cache explain`: why a URL is answered as it is, and what would come of a request now.

use std::time::SystemTime;

use http::header::EXPIRES;
use http::{HeaderMap, Uri};
use rusqlite::OptionalExtension as _;

use super::{Variant, explain_as};
use crate::cache::key::dropped;
use crate::cache::{Key, has_digest, promise_key};
use crate::policy::freshness::{Stored, may_serve_stale};
use crate::policy::{CacheControl, condition, vary};
use crate::rules::{Nature, Promised, Rules, Verdict};
use crate::store::{Entry, Store, StoreError, from_millis};

/// Why a URL is answered as it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Canonical URL, the cache key.
    pub key: String,
    /// Whether signature parameters were dropped from it.
    pub signed: bool,
    /// The names of the query parameters that were dropped.
    pub dropped: Vec<String>,
    /// What the rules say.
    pub verdict: Verdict,
    /// The digest that the body must have, where that is known.
    pub promised: Option<PromisedBy>,
    /// The stored variants, the newest first.
    pub variants: Vec<Variant>,
    /// More of each of them, in the same order.
    pub details: Vec<Detail>,
    /// The last outcome noted, when, and why.
    pub last: Option<Last>,
    /// What would come of a plain GET now.
    pub next: Next,
}

/// The outcome of the last request: its word, when, and why.
pub type Last = (String, SystemTime, String);

/// A digest, and who says that the body has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromisedBy {
    /// The digest.
    pub promised: Promised,
    /// Size in bytes, where it was said as well.
    pub size: Option<u64>,
    /// URL of the index that says so, and when it was read; `None` where it is the URL itself.
    pub index: Option<(String, SystemTime)>,
}

/// More of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// How long it lives, by rule, head and digest.
    pub nature: Nature,
    /// Whether its body has the promised digest; `None` where none is promised, or nobody can tell.
    pub kept: Option<bool>,
    /// What its lifetime follows from.
    pub basis: &'static str,
    /// When its body was first stored; `None` where the body is gone.
    pub stored: Option<SystemTime>,
    /// Whether its body is there, and of its size. What it holds is looked at when it is served.
    pub present: bool,
    /// Whether it is served while upstream cannot be reached.
    pub outlives_upstream: bool,
}

/// What would come of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The variant that would be served or confirmed, by its place in the list.
    pub variant: Option<usize>,
    /// The word of the outcome: `HIT`, `MISS`, or `REVALIDATED` where upstream is asked whether it is still the same.
    pub outcome: &'static str,
    /// Why.
    pub why: String,
    /// `Cache-Status` of the answer, where upstream answers as expected.
    pub cache_status: String,
}

impl Store {
    /// Why a URL is answered as it is; `None` when it is not an absolute http or https URL.
    pub fn explain(&self, url: &str, rules: &Rules, now: SystemTime) -> Result<Option<Explanation>, StoreError> {
        let Some((uri, key)) = url.parse::<Uri>().ok().and_then(|uri| Key::of(&uri).map(|key| (uri, key))) else {
            return Ok(None);
        };
        let verdict = rules.classify(uri.path(), None);
        let promised = self.promised_for(&key, &verdict)?;
        let (mut variants, mut details) = (Vec::new(), Vec::new());
        for entry in self.lookup(&key.hash)? {
            let (variant, detail) = self.explain_variant(entry, &verdict, promised.as_ref(), now)?;
            variants.push(variant);
            details.push(detail);
        }
        let last = self
            .read_index()
            .query_row("SELECT outcome, at, why FROM outcome WHERE key = ?1", [&key.hash[..]], |row| {
                Ok((row.get(0)?, from_millis(row.get(1)?), row.get(2)?))
            })
            .optional()?;
        let next = next(&variants, &details);
        let dropped = dropped(&uri);
        let (key, signed) = (key.url, key.signed);
        Ok(Some(Explanation { key, signed, dropped, verdict, promised, variants, details, last, next }))
    }

    fn promised_for(&self, key: &Key, verdict: &Verdict) -> Result<Option<PromisedBy>, StoreError> {
        if let Some(promised) = &verdict.promised {
            return Ok(Some(PromisedBy { promised: promised.clone(), size: None, index: None }));
        }
        let learnt = self.promised(&promise_key(key))?;
        Ok(learnt.map(|learnt| PromisedBy {
            promised: learnt.promise.promised,
            size: learnt.promise.size,
            index: Some((learnt.source, learnt.at)),
        }))
    }

    fn explain_variant(
        &self,
        entry: Entry,
        verdict: &Verdict,
        promised: Option<&PromisedBy>,
        now: SystemTime,
    ) -> Result<(Variant, Detail), StoreError> {
        let draft = &entry.draft;
        let whole = draft.status == 200 && draft.part.is_none();
        let kept = promised
            .filter(|_| whole)
            .and_then(|by| match by.promised.name() {
                "sha256" => Some(by.promised.hex == entry.digest.to_string()),
                _ => has_digest(self, entry.digest, entry.size, &by.promised).ok(),
            })
            // A coding that the origin applied on the way is not part of what is promised.
            .filter(|&same| same || !draft.headers.contains_key(http::header::CONTENT_ENCODING));
        let nature = if draft.status == 200 && verdict.fits(&draft.headers) {
            verdict.nature.with_digest(kept == Some(true))
        } else {
            Nature::Plain
        };
        let stored = Stored {
            status: draft.status,
            headers: &draft.headers,
            requested: draft.requested,
            responded: draft.responded,
            nature,
        };
        let outlives_upstream = may_serve_stale(&stored, &CacheControl::default(), now, false);
        let found = std::fs::metadata(self.blob_path(&entry.digest));
        let detail = Detail {
            nature,
            kept,
            basis: basis(nature, &draft.headers, super::lifetime(&stored)),
            stored: self.blob_stored(&entry)?,
            present: found.is_ok_and(|found| found.len() == entry.size),
            outlives_upstream,
        };
        Ok((explain_as(entry, nature, now), detail))
    }

    fn blob_stored(&self, entry: &Entry) -> Result<Option<SystemTime>, StoreError> {
        let sql = "SELECT stored FROM blob WHERE digest = ?1";
        let found = self.read_index().query_row(sql, [&entry.digest.0[..]], |row| row.get(0)).optional()?;
        Ok(found.map(from_millis))
    }
}

/// What a lifetime follows from (RFC 9111 section 4.2.1 and 4.2.2, and the rules).
fn basis(nature: Nature, headers: &HeaderMap, lifetime: u64) -> &'static str {
    let control = CacheControl::parse(headers);
    match nature {
        Nature::Immutable => "its digest is known, so it never changes",
        _ if control.no_cache => "no-cache: confirmed for each request",
        _ if control.s_maxage.is_some() => "explicit: s-maxage",
        _ if control.max_age.is_some() => "explicit: max-age",
        _ if headers.contains_key(EXPIRES) => "explicit: Expires",
        _ if lifetime > 0 => "heuristic: a tenth of the age it had, at most a day",
        Nature::Lasting | Nature::Mutable => "by rule: confirmed once a run",
        Nature::Plain => "nothing says for how long",
    }
}

/// What would come of a GET without fields of its own, in a run that has not asked for it yet.
fn next(variants: &[Variant], details: &[Detail]) -> Next {
    let plain = HeaderMap::new();
    let chosen = variants
        .iter()
        .position(|variant| vary::selects(&plain, &variant.entry.draft.vary, &variant.entry.draft.headers));
    let fetched = |variant, why: &str| Next {
        variant,
        outcome: "MISS",
        why: why.to_owned(),
        cache_status: format!(
            "larder; fwd={}; fwd-status=200; stored",
            if variant.is_some() { "stale" } else { "miss" }
        ),
    };
    let Some(index) = chosen else {
        return fetched(
            None,
            if variants.is_empty() { "nothing is stored" } else { "no variant is for such a request" },
        );
    };
    let (variant, detail) = (&variants[index], &details[index]);
    if !detail.present {
        return fetched(None, "its body is damaged or missing");
    }
    if detail.kept == Some(false) {
        return fetched(None, "its body is not the one promised");
    }
    if variant.entry.draft.part.is_some() {
        let cache_status = "larder; fwd=partial; fwd-status=206; stored".to_owned();
        let why = "only a part of it is stored, and the rest is asked for".to_owned();
        return Next { variant: Some(index), outcome: "MISS", why, cache_status };
    }
    if variant.usable {
        let left = i64::try_from(variant.lifetime).unwrap_or(i64::MAX) - i64::try_from(variant.age).unwrap_or(0);
        // What never changes has no time left: it has all of it.
        let left = if detail.nature == Nature::Immutable { String::new() } else { format!("; ttl={left}") };
        let cache_status = format!("larder; hit{left}");
        return Next { variant: Some(index), outcome: "HIT", why: variant.why.to_owned(), cache_status };
    }
    if !condition::has_validator(&variant.entry.draft.headers) {
        return fetched(Some(index), &format!("{}, and there is nothing to confirm it by", variant.why));
    }
    let cache_status = "larder; hit; fwd=stale; fwd-status=304".to_owned();
    Next { variant: Some(index), outcome: "REVALIDATED", why: variant.why.to_owned(), cache_status }
}
