//! What an offline run missed: gathered as flows pass, and put together for the table at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use larder_proxy::flow::Flow;
use larder_proxy::store::Store;

use super::holdings::Holdings;
use crate::event::missing::{Asker, Missing, MissingRequest, Near};
use crate::event::redact::Redactor;
use crate::history::record::{Record, RecordEntry};
use crate::history::run_store::RunStore;

/// Most requests for which the cache is searched for what comes near.
const SEARCHED: usize = 500;
/// Earlier runs looked at for one with a record.
const EARLIER: usize = 20;

/// By URL and method: how often, and who asked.
type Refused = BTreeMap<(String, String), (u64, BTreeSet<Asker>)>;

/// The requests that were refused.
#[derive(Default)]
pub(super) struct Misses {
    requests: Mutex<Refused>,
}

/// How the table tells to get it.
pub(super) struct Way<'a> {
    /// What the user ran, to be run again where there is a network.
    pub again: String,
    /// Names the run, or `last`, for `larder bundle export`.
    pub export: &'a str,
    /// Where the list of URLs goes.
    pub list: &'a Path,
}

impl Misses {
    /// Takes in a flow that has ended.
    pub(super) fn flow(&self, flow: &Flow) {
        if !flow.offline_miss {
            return;
        }
        let url = if flow.key.is_empty() { &flow.url } else { &flow.key };
        let asker = Asker {
            build: flow.identity.build.to_string(),
            step: flow.identity.step.as_ref().map(ToString::to_string),
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, askers) = requests.entry((url.clone(), flow.method.clone().into_owned())).or_default();
        *count += 1;
        askers.insert(asker);
    }

    /// Whether there is one.
    pub(super) fn any(&self) -> bool {
        !self.requests.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The table; `None` if nothing was missed. `recorded` are entries that an earlier run has fetched and the cache
    /// lacks, with the run's id. Blocks.
    pub(super) fn table(
        &self,
        store: Option<&Store>,
        recorded: Option<(String, Vec<RecordEntry>)>,
        way: &Way<'_>,
        redactor: &Redactor,
    ) -> Option<Missing> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if requests.is_empty() {
            return None;
        }
        let mut known: Vec<MissingRequest> = requests
            .into_iter()
            .map(|((url, method), (count, askers))| MissingRequest {
                method,
                url,
                count,
                asked_by: askers.into_iter().collect(),
                ..MissingRequest::default()
            })
            .collect();
        if let Some((run, entries)) = recorded {
            let asked: BTreeSet<String> = known.iter().map(|one| one.url.clone()).collect();
            let others = entries.into_iter().filter(|entry| !asked.contains(&entry.url));
            known.extend(others.map(|entry| earlier(entry, &run)));
        }
        for request in known.iter_mut().take(SEARCHED) {
            // What cannot be told is left out: the table is of use without it.
            let found = store.and_then(|store| store.nearest(&request.url).ok().flatten());
            request.nearest =
                found.map(|near| Near { url: redactor.text(near.url), relation: near.relation.as_str().to_owned() });
        }
        for request in &mut known {
            request.url = redactor.text(std::mem::take(&mut request.url));
        }
        Some(put_together(known, way))
    }
}

fn earlier(entry: RecordEntry, run: &str) -> MissingRequest {
    let steps: Vec<Option<String>> =
        if entry.steps.is_empty() { vec![None] } else { entry.steps.iter().cloned().map(Some).collect() };
    let asked_by = entry
        .builds
        .iter()
        .flat_map(|build| steps.iter().map(|step| Asker { build: build.clone(), step: step.clone() }))
        .collect();
    MissingRequest {
        method: entry.method,
        url: entry.url,
        asked_by,
        recorded_by: Some(run.to_owned()),
        ..MissingRequest::default()
    }
}

fn put_together(requests: Vec<MissingRequest>, way: &Way<'_>) -> Missing {
    let mut hosts = BTreeMap::new();
    for request in &requests {
        *hosts.entry(host(&request.url)).or_default() += 1;
    }
    let fetched: Vec<&str> = requests
        .iter()
        .filter(|one| matches!(one.method.as_str(), "GET" | "HEAD") && one.url.contains("://"))
        .map(|one| one.url.as_str())
        .collect();
    let text: String = fetched.iter().flat_map(|url| [url, "\n"]).collect();
    let written =
        way.list.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(way.list, text));
    let mut commands = vec![way.again.clone()];
    if let [url] = fetched.as_slice() {
        commands.push(format!("larder exec -- curl -fsSL -o /dev/null {}   (it alone)", quoted(url)));
    } else if !fetched.is_empty() {
        commands.push("larder exec -- xargs -n 1 curl -fsSL -o /dev/null <missing.txt   (these alone)".to_owned());
    }
    commands.push(format!("larder bundle export {} -o offline.tar.zst", way.export));
    commands.push("larder bundle import offline.tar.zst".to_owned());
    Missing { requests, hosts, list: written.is_ok().then(|| way.list.to_owned()), commands }
}

/// The host of a URL, or of a tunnel's `host:port`.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// An argument as a shell takes it.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// The newest earlier run of a template that has a record of what it fetched, and the record.
pub(super) fn last_record(state: &Path, template: &str, before: Option<&str>) -> Option<Record> {
    let store = RunStore::open_to_read(state).ok()??;
    let runs = store.runs(Some(template), EARLIER).ok()?;
    let earlier = runs.into_iter().filter(|run| run.template == template && Some(run.id.as_str()) != before);
    let records = earlier.filter_map(|run| Record::read(state, &run.id).ok().flatten());
    // One that was offline and failed knows no more than we do.
    let mut records: Vec<Record> = records.filter(|record| !record.entries.is_empty()).collect();
    let best = records.iter().position(|record| record.complete).or_else(|| (!records.is_empty()).then_some(0))?;
    Some(records.swap_remove(best))
}

/// What of a record's entries the cache lacks, of these builds.
pub(super) fn lacking(record: &Record, builds: &[&str], holdings: &Holdings) -> Vec<RecordEntry> {
    let ours = |entry: &&RecordEntry| entry.builds.iter().any(|build| builds.contains(&build.as_str()));
    record.entries.iter().filter(ours).filter(|entry| !holdings.has(&entry.url)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_it_as_it_is() {
        assert_eq!(quoted("http://example.org/a_1.deb"), "http://example.org/a_1.deb");
        assert_eq!(quoted("http://example.org/?a&b='x'"), "'http://example.org/?a&b='\\''x'\\'''");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn hosts() {
        assert_eq!(host("http://example.org:8080/a"), "example.org:8080");
        assert_eq!(host("example.org:443"), "example.org:443");
    }
}
