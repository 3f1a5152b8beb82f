//! What goes into a bundle: of records and the cache, what may be handed on.

use std::collections::{BTreeMap, BTreeSet};

use http::header::{CONTENT_LOCATION, LOCATION, SET_COOKIE};
use http::{HeaderMap, Uri};
use larder_proxy::cache::{Key, carries_secret, is_credential};
use larder_proxy::store::{Digest, Entry, Store};

use super::document::{Answer, TemplateDocument, fields};
use crate::error::{Context as _, Error, Result};
use crate::history::record::{Incomplete, Kind, Record, RecordEntry, Sha256};

/// What is wanted in a bundle.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What runs fetched.
    pub records: Vec<Record>,
    /// The template.
    pub template: Option<TemplateDocument>,
    /// Also what was fetched with credentials.
    pub include_private: bool,
}

/// Why an entry is not in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The method.
    pub method: String,
    /// The URL.
    pub url: String,
    /// Why, in one sentence.
    pub why: &'static str,
}

/// What a bundle will hold.
#[derive(Debug)]
pub struct Plan {
    /// The record, of what is in it.
    pub record: Record,
    /// The heads of the answers that the cache has.
    pub answers: Vec<Answer>,
    /// Bytes of bodies, by digest.
    pub bodies: BTreeMap<Digest, u64>,
    /// What is not in it since it was fetched with credentials.
    pub private: Vec<Lacking>,
    /// How much is in it that was fetched with credentials.
    pub private_taken: usize,
    /// What is not in it and should be.
    pub missing: Vec<Lacking>,
    template: Option<TemplateDocument>,
}

/// The records of several runs as one: of two answers to one request the later run's counts.
fn merged(mut records: Vec<Record>) -> Option<Record> {
    records.sort_by_key(|record| record.captured_at);
    let mut newest = records.last()?.clone();
    let mut entries: BTreeMap<_, RecordEntry> = BTreeMap::new();
    let mut incomplete = BTreeSet::new();
    for record in &records {
        newest.egress = newest.egress.max(record.egress);
        newest.complete &= record.complete;
        incomplete.extend(record.incomplete.iter().cloned());
        if record.template_digest != newest.template_digest {
            newest.template_digest = None;
        }
        let mut own: Vec<&RecordEntry> = record.entries.iter().collect();
        // Of several answers that one run got, the last is what the cache has.
        own.sort_by_key(|entry| entry.seq);
        for entry in own {
            let key = (entry.url.clone(), entry.method.clone(), entry.vary.clone(), entry.request_digest);
            let mut entry = RecordEntry { seq: None, ..entry.clone() };
            if let Some(earlier) = entries.remove(&key) {
                entry.builds.extend(earlier.builds);
                entry.steps.extend(earlier.steps);
            }
            entries.insert(key, entry);
        }
    }
    newest.entries = entries.into_values().collect();
    newest.incomplete = incomplete.into_iter().collect();
    Some(newest)
}

/// Finds what is wanted in the cache.
pub fn plan(store: &Store, wanted: Wanted) -> Result<Plan> {
    let record = merged(wanted.records).ok_or_else(|| Error::new("there is nothing to put into the bundle"))?;
    let mut plan = Plan {
        answers: Vec::new(),
        bodies: BTreeMap::new(),
        private: Vec::new(),
        private_taken: 0,
        missing: Vec::new(),
        template: wanted.template,
        record: Record { entries: Vec::new(), ..record.clone() },
    };
    let mut seen = BTreeSet::new();
    let got: BTreeSet<&str> =
        record.entries.iter().filter(|entry| entry.method == "GET").map(|entry| entry.url.as_str()).collect();
    for entry in &record.entries {
        // What is asked of a HEAD is answered by what a GET got.
        if entry.method == "HEAD" && got.contains(entry.url.as_str()) {
            continue;
        }
        plan.take(store, entry, wanted.include_private, &mut seen)?;
    }
    plan.answers.sort_by(|a, b| (&a.url, &a.vary).cmp(&(&b.url, &b.vary)));
    let lacking = plan.missing.iter().map(|lacking| Incomplete {
        builds: BTreeSet::new(),
        method: Some(lacking.method.clone()),
        steps: BTreeSet::new(),
        url: Some(lacking.url.clone()),
        why: lacking.why.to_owned(),
    });
    let private = plan.private.iter().map(|_| Incomplete {
        builds: BTreeSet::new(),
        method: None,
        steps: BTreeSet::new(),
        url: None,
        why: "answers to credentials were left out".to_owned(),
    });
    let incomplete: BTreeSet<Incomplete> = plan.record.incomplete.drain(..).chain(lacking).chain(private).collect();
    plan.record.complete &= incomplete.is_empty();
    plan.record.incomplete = incomplete.into_iter().collect();
    Ok(plan)
}

/// URL, what the answer varies on, and whether it is for runs offline only.
type Seen = (String, BTreeMap<String, Option<String>>, bool);

impl Plan {
    /// The template that goes into the bundle.
    pub fn template(&self) -> Option<&TemplateDocument> {
        self.template.as_ref()
    }

    /// Whether something in the list of what a run offline cannot repeat is there only since the bundle lacks it.
    pub fn lacks(&self, lack: &Incomplete) -> bool {
        let url = lack.url.as_deref();
        self.missing.iter().any(|missing| Some(missing.url.as_str()) == url)
    }

    fn take(
        &mut self,
        store: &Store,
        entry: &RecordEntry,
        include_private: bool,
        seen: &mut BTreeSet<Seen>,
    ) -> Result<()> {
        let lacking = |why| Lacking { method: entry.method.clone(), url: shown(&entry.url), why };
        let bound = |vary: &BTreeMap<String, Option<String>>| {
            vary.iter().any(|(name, value)| value.is_some() && name.parse().is_ok_and(|name| is_credential(&name)))
        };
        let secret = carries_secret(&entry.url) || entry.location.as_deref().is_some_and(carries_secret);
        let private = entry.auth || bound(&entry.vary) || secret;
        if private && !include_private {
            self.private.push(lacking("it was fetched with credentials"));
            return Ok(());
        }
        if entry.method != "GET" && entry.method != "HEAD" {
            self.missing.push(lacking("the cache keeps no answers to this method"));
            return Ok(());
        }
        let mut entry = entry.clone();
        if private {
            entry.vary.retain(|name, _| !name.parse().is_ok_and(|name| is_credential(&name)));
            self.private_taken += 1;
        }
        let stored = of_cache(store, &entry, include_private)?;
        let body = entry.digest.zip(entry.size);
        let there = body.is_some_and(|(digest, size)| store.open_blob(&digest.0, size).is_ok());
        if stored.is_empty() {
            // An error that upstream answered with is nothing to build on.
            if !there && !bodiless(&entry) && (400..600).contains(&entry.status) {
                return Ok(());
            }
            if !there && !bodiless(&entry) {
                self.missing.push(lacking("the cache has it no more"));
                return Ok(());
            }
        }
        for answer in stored {
            if seen.insert((answer.url.clone(), answer.vary.clone(), answer.aside)) {
                self.bodies.insert(answer.digest.0, answer.size);
                self.answers.push(answer);
            }
        }
        match body {
            Some((digest, size)) if there => drop(self.bodies.insert(digest.0, size)),
            // That it is not there, or leads elsewhere, is what counts; the words that came with it are lost.
            _ => (entry.digest, entry.size) = (None, None),
        }
        self.record.entries.push(entry);
        Ok(())
    }
}

/// The answers of the cache that an entry of a record stands for.
fn of_cache(store: &Store, entry: &RecordEntry, include_private: bool) -> Result<Vec<Answer>> {
    let Some(key) = entry.url.parse::<Uri>().ok().and_then(|uri| Key::of(&uri)) else { return Ok(Vec::new()) };
    let look = |hash| store.lookup(&hash).context(|| "cannot read the cache".to_owned());
    let aside = look(key.aside())?;
    let found: Vec<Entry> = look(key.hash)?.into_iter().chain(aside).collect();
    let is_meant = |stored: &&Entry| {
        stored.draft.part.is_none()
            && stored.draft.status == entry.status
            && stored.draft.url == entry.url
            && entry.digest == Some(Sha256(stored.digest))
            && store.open_blob(&stored.digest, stored.size).is_ok()
    };
    Ok(found.iter().filter(is_meant).filter_map(|stored| answer(stored, &key, include_private)).collect())
}

/// The head of a stored answer; none where it is for certain credentials, or holds a secret.
fn answer(stored: &Entry, key: &Key, include_private: bool) -> Option<Answer> {
    let draft = &stored.draft;
    let bound = draft.provenance.is_authorized()
        || draft.vary.iter().any(|(name, value)| value.is_some() && is_credential(name));
    if bound && !include_private {
        return None;
    }
    let mut headers: HeaderMap = draft.headers.clone();
    headers.remove(SET_COOKIE);
    for name in [LOCATION, CONTENT_LOCATION] {
        if headers.get(&name).is_some_and(|value| value.to_str().is_ok_and(carries_secret)) && !include_private {
            headers.remove(&name);
        }
    }
    let vary = draft.vary.iter().filter(|(name, value)| value.is_none() || !is_credential(name));
    Some(Answer {
        aside: draft.key == key.aside(),
        auth: bound,
        class: draft.class,
        digest: Sha256(stored.digest),
        fetched: jiff::Timestamp::try_from(draft.responded).unwrap_or_default(),
        headers: fields(&headers),
        rule: draft.provenance.rule.clone(),
        size: stored.size,
        source: draft.provenance.source.clone().filter(|source| !carries_secret(source)),
        status: draft.status,
        url: draft.url.clone(),
        vary: vary.map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect(),
    })
}

/// Whether an entry says what it has to say without a body.
fn bodiless(entry: &RecordEntry) -> bool {
    matches!(entry.kind, Kind::Negative | Kind::Redirect)
}

/// A URL for people.
pub(super) fn shown(url: &str) -> String {
    if carries_secret(url) { url.split('?').next().unwrap_or_default().to_owned() } else { url.to_owned() }
}
