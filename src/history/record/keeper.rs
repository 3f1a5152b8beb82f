//! Makes the record of a run while it goes on, out of the flows that pass.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use larder_proxy::flow::{Answered, Flow, Outcome};

use super::{Egress, Incomplete, Kind, Record, RecordEntry, Sha256};
use crate::event::redact::Redactor;

/// Most hops between a redirect and what is at its end.
const HOPS: usize = 10;

/// What of a run its flows do not tell.
#[derive(Clone, Debug)]
pub struct About {
    /// Id of the run.
    pub run: String,
    /// Where answers might come from.
    pub net: String,
    /// How surely the flows are everything that was fetched.
    pub egress: Egress,
    /// Digest of the template, if there is one.
    pub template_digest: Option<Sha256>,
    /// Why what was fetched is not all that the run would have fetched: it failed or was cancelled.
    pub cut_short: Vec<String>,
    /// When the run ended.
    pub now: Timestamp,
}

/// Collects what is fetched.
#[derive(Default)]
pub struct Keeper {
    redactor: Redactor,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By URL and vary: all of them answers to GET, by which HEAD is answered as well.
    resources: BTreeMap<(String, BTreeMap<String, Option<String>>), Resource>,
    gaps: BTreeMap<Gap, Who>,
}

/// The answers to one request, in the order they came.
#[derive(Default)]
struct Resource {
    versions: Vec<RecordEntry>,
    /// Who asked and did not see the whole of it.
    others: Who,
}

/// What was asked for and cannot be given again.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    url: String,
    method: String,
    why: String,
    /// Whether an answer that was kept makes good for it.
    passing: bool,
}

#[derive(Clone, Default)]
struct Who {
    builds: BTreeSet<String>,
    steps: BTreeSet<String>,
}

impl Who {
    fn of(flow: &Flow) -> Self {
        let identity = &flow.identity;
        Self {
            builds: [identity.build.to_string()].into(),
            steps: identity.step.iter().map(ToString::to_string).collect(),
        }
    }

    fn join(&mut self, other: Self) {
        self.builds.extend(other.builds);
        self.steps.extend(other.steps);
    }
}

impl Keeper {
    /// One that writes down nothing that `redactor` knows as a secret.
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, state: Mutex::default() }
    }

    /// Takes in a flow that has ended.
    pub fn flow(&self, flow: &Flow) {
        let who = Who::of(flow);
        let gap = |why: String, passing: bool| Err((why, passing));
        let kept = match (&flow.answer, flow.outcome) {
            _ if flow.offline_miss => gap("it was not in the cache, and the run was offline".to_owned(), true),
            (Some(answer), _) => match &answer.lost {
                Some(why) => gap(why.clone(), false),
                None if self.is_secret(flow) => {
                    gap("its URL holds what may be a secret, which is not written down".to_owned(), false)
                }
                None => Ok(&**answer),
            },
            (None, Outcome::Denied) => return,
            (None, Outcome::Tunnel) => gap("a tunnel: what went through it is not known".to_owned(), false),
            // The proxy's own answer, and the same offline.
            (None, Outcome::Bypass) if flow.upstream_status.is_none() => return,
            (None, Outcome::Bypass) => gap(format!("passed around the cache: {}", flow.why), false),
            (None, Outcome::Error) => gap(format!("upstream failed: {}", flow.why), true),
            (None, _) if flow.aborted => gap("the client went away before it was there".to_owned(), true),
            (None, _) => gap(format!("it was not kept: {}", flow.why), true),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match kept {
            Ok(answer) => state.keep(flow, answer, who, &self.redactor),
            Err((why, passing)) => {
                let url = if flow.key.is_empty() { &flow.url } else { &flow.key };
                let (url, why) = (self.redactor.text(url.clone()), self.redactor.text(why));
                let gap = Gap { url, method: flow.method.clone().into_owned(), why, passing };
                state.gaps.entry(gap).or_default().join(who);
            }
        }
    }

    fn is_secret(&self, flow: &Flow) -> bool {
        flow.key_is_cut || self.redactor.text(flow.key.clone()) != flow.key
    }

    /// The record of everything so far.
    pub fn finish(&self, about: About) -> Record {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::new();
        let mut broken = Vec::new();
        for ((url, _), resource) in &state.resources {
            let several = resource.versions.len() > 1;
            for (place, version) in (1..).zip(&resource.versions) {
                let mut entry = version.clone();
                entry.seq = several.then_some(place);
                entry.builds.extend(resource.others.builds.iter().cloned());
                entry.steps.extend(resource.others.steps.iter().cloned());
                entries.push(entry);
            }
            if resource.versions.is_empty() {
                broken.push(incomplete(url, "GET", "it did not arrive whole", &resource.others));
            }
        }
        point_to_ends(&mut entries);
        let urls: BTreeSet<&str> = entries.iter().map(|entry| entry.url.as_str()).collect();
        let made_good = |gap: &Gap| (gap.passing || gap.method == "HEAD") && urls.contains(gap.url.as_str());
        let gaps = state.gaps.iter().filter(|(gap, _)| !made_good(gap));
        broken.extend(gaps.map(|(gap, who)| incomplete(&gap.url, &gap.method, &gap.why, who)));
        broken.extend(about.cut_short.into_iter().map(|why| Incomplete {
            builds: BTreeSet::new(),
            method: None,
            steps: BTreeSet::new(),
            url: None,
            why: self.redactor.text(why),
        }));
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        broken.sort();
        Record {
            captured_at: about.now,
            complete: broken.is_empty(),
            egress: about.egress,
            entries,
            incomplete: broken,
            net: about.net,
            run: about.run,
            template_digest: about.template_digest,
        }
    }
}

impl State {
    fn keep(&mut self, flow: &Flow, answer: &Answered, who: Who, redactor: &Redactor) {
        let vary = answer.vary.iter().cloned().collect();
        let resource = self.resources.entry((flow.key.clone(), vary)).or_default();
        let digest = flow.digest.as_deref().and_then(|hex| format!("sha256:{hex}").parse().ok());
        // Only who has seen the last byte knows it; those who joined the fetch go with whoever began it.
        let Some(digest) = digest else { return resource.others.join(who) };
        let mut entry = entry(flow, answer, digest, who, redactor);
        let known =
            resource.versions.iter_mut().find(|known| (known.digest, known.status) == (entry.digest, entry.status));
        match known {
            Some(known) => {
                entry.builds.append(&mut known.builds);
                entry.steps.append(&mut known.steps);
                entry.auth |= known.auth;
                *known = entry;
            }
            None => resource.versions.push(entry),
        }
    }
}

fn entry(flow: &Flow, answer: &Answered, digest: Sha256, who: Who, redactor: &Redactor) -> RecordEntry {
    let kind = match answer.status {
        404 | 410 => Kind::Negative,
        300..=399 if answer.location.is_some() => Kind::Redirect,
        _ if answer.immutable => Kind::Immutable,
        _ => Kind::Mutable,
    };
    let text = |text: &String| redactor.text(text.clone());
    RecordEntry {
        alias_of: None,
        auth: flow.authorized,
        builds: who.builds,
        class: flow.class,
        digest: Some(digest),
        headers: answer.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        kind,
        location: answer.location.as_ref().map(text),
        method: "GET".to_owned(),
        request_digest: None,
        seq: None,
        size: answer.size,
        status: answer.status,
        steps: who.steps,
        url: flow.key.clone(),
        vary: answer.vary.iter().map(|(name, value)| (name.clone(), value.as_ref().map(text))).collect(),
    }
}

fn incomplete(url: &str, method: &str, why: &str, who: &Who) -> Incomplete {
    Incomplete {
        builds: who.builds.clone(),
        method: Some(method.to_owned()),
        steps: who.steps.clone(),
        url: Some(url.to_owned()),
        why: why.to_owned(),
    }
}

/// Notes with each redirect what is at its end.
fn point_to_ends(entries: &mut [RecordEntry]) {
    let known: BTreeMap<String, (Option<String>, Option<Sha256>)> =
        entries.iter().map(|entry| (entry.url.clone(), (entry.location.clone(), entry.digest))).collect();
    for entry in entries.iter_mut().filter(|entry| entry.kind == Kind::Redirect) {
        let mut next = entry.location.as_ref();
        for _ in 0..HOPS {
            match next.and_then(|url| known.get(url)) {
                Some((Some(further), _)) => next = Some(further),
                Some((None, digest)) => {
                    entry.alias_of = *digest;
                    break;
                }
                None => break,
            }
        }
    }
}
