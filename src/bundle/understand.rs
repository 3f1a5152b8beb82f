//! What the documents of a bundle say, as the store takes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use http::HeaderMap;
use http::header::LOCATION;
use larder_proxy::store::{Arrival, ArrivalParts, Digest, Provenance};

use super::document::{Answer, header_map, vary_fields};
use super::fault::shown;
use super::read::Contents;
use crate::history::record::{Kind, RecordEntry};

/// Makes of record and answers what the store takes, and returns what is wrong with them.
pub(super) fn understand(contents: &mut Contents) -> Vec<String> {
    let key = |entry: &RecordEntry| (entry.url.clone(), entry.digest);
    // The entries of the record, with whether there is an answer for each.
    let mut answered: BTreeMap<_, bool> = contents.record.entries.iter().map(|entry| (key(entry), false)).collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let origin = format!("bundle {}", &contents.manifest.to_string()[..12]);
    let mut made = Vec::new();
    for answer in &contents.answers {
        match answered.get_mut(&(answer.url.clone(), Some(answer.digest))) {
            Some(answered) => *answered = true,
            None => wrong.push(format!("the answer for {} is not of the record", shown(answer.url.as_bytes()))),
        }
        made.push((&answer.url, &answer.vary, answer.aside, of_answer(answer, &origin)));
    }
    let captured = contents.record.captured_at.into();
    let rest = contents.record.entries.iter().filter(|entry| answered.get(&key(entry)) == Some(&false));
    made.extend(rest.map(|entry| (&entry.url, &entry.vary, is_aside(entry), of_record(entry, captured, &origin))));
    let mut arrivals = Vec::new();
    for (url, vary, aside, arrival) in made {
        if !seen.insert((url, vary, aside)) {
            wrong.push(format!("there are two answers for {}", shown(url.as_bytes())));
        }
        match arrival {
            Ok(arrival) => arrivals.push(arrival),
            Err(why) => wrong.push(format!("the answer for {}: {why}", shown(url.as_bytes()))),
        }
    }
    for (digest, size) in arrivals.iter().map(Arrival::body) {
        if contents.bodies.insert(digest, size).is_some_and(|other| other != size) {
            wrong.push(format!("sha256:{digest} is said to have two sizes"));
        }
    }
    contents.arrivals = arrivals;
    wrong
}

fn of_answer(answer: &Answer, origin: &str) -> Result<Arrival, &'static str> {
    Arrival::new(ArrivalParts {
        url: answer.url.clone(),
        status: answer.status,
        headers: header_map(&answer.headers).ok_or("a field of its head is none")?,
        vary: vary_fields(&answer.vary).ok_or("a field that it varies on is none")?,
        fetched: answer.fetched.into(),
        class: answer.class,
        aside: answer.aside,
        digest: answer.digest.0,
        size: answer.size,
        provenance: Provenance {
            route: Provenance::way(origin.to_owned(), answer.auth),
            source: answer.source.clone(),
            rule: answer.rule.clone(),
            ..Provenance::default()
        },
    })
}

/// What the cache did not keep: redirects, what is not there, and answers that another took the place of.
fn of_record(entry: &RecordEntry, fetched: SystemTime, origin: &str) -> Result<Arrival, &'static str> {
    if entry.method != "GET" && entry.method != "HEAD" {
        return Err("only answers to GET can be handed on");
    }
    let pairs: Vec<(String, String)> = entry.headers.clone().into_iter().collect();
    let mut headers: HeaderMap = header_map(&pairs).ok_or("a field of its head is none")?;
    if let Some(location) = &entry.location {
        headers.insert(LOCATION, location.parse().map_err(|_| "its location is none")?);
    }
    let (digest, size) = match (entry.digest, entry.size) {
        (Some(digest), Some(size)) => (digest.0, size),
        _ if is_aside(entry) => (Digest::of(b""), 0),
        _ => return Err("it has no body"),
    };
    Arrival::new(ArrivalParts {
        url: entry.url.clone(),
        status: entry.status,
        headers,
        vary: vary_fields(&entry.vary).ok_or("a field that it varies on is none")?,
        fetched,
        class: entry.class,
        aside: is_aside(entry),
        digest,
        size,
        provenance: Provenance { route: Provenance::way(origin.to_owned(), entry.auth), ..Provenance::default() },
    })
}

fn is_aside(entry: &RecordEntry) -> bool {
    matches!(entry.kind, Kind::Negative | Kind::Redirect)
}
