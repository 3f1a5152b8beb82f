//! A cache with answers in it, the record of them, and a bundle made of both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use larder::bundle::budget::{Budget, Limits};
use larder::bundle::export::{self, Exported, Telling};
use larder::bundle::fault::BundleError;
use larder::bundle::gather::{self, Plan, Wanted};
use larder::bundle::import::{self, Outcome};
use larder::bundle::output::Output;
use larder::bundle::source::Watch;
use larder::history::record::{Egress, Kind, Record, RecordEntry, Sha256};
use larder_proxy::cache::Key;
use larder_proxy::flow::Class;
use larder_proxy::store::{Arrival, ArrivalParts, Digest, Imported, Provenance, Store, Taking};
use tempfile::TempDir;

pub(crate) const TAKING: Taking = Taking { pinned: true, replace: false };

/// An answer, as the tests say it.
#[derive(Clone)]
pub(crate) struct Answered {
    pub url: String,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

pub(crate) fn ok(path: &str, body: Vec<u8>) -> Answered {
    let headers = vec![("content-type", "text/plain".to_owned()), ("etag", "\"1\"".to_owned())];
    Answered { url: format!("http://example.org{path}"), status: 200, headers, body }
}

/// Bytes that do not pack, and are the same every time.
pub(crate) fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// What most tests carry: packs, one body of its own, one without a byte, a redirect, and something that is not there.
pub(crate) fn usual() -> Vec<Answered> {
    let mut all = vec![
        ok("/large.bin", noise(1_500_000, 7)),
        ok("/empty", Vec::new()),
        ok("/a.txt", b"the first\n".to_vec()),
        ok("/b.txt", b"the second\n".repeat(1000)),
        ok("/same-as-a.txt", b"the first\n".to_vec()),
        Answered { status: 404, ..ok("/missing", b"there is nothing\n".to_vec()) },
    ];
    let mut redirect = Answered { status: 302, ..ok("/old", Vec::new()) };
    redirect.headers.push(("location", "http://example.org/a.txt".to_owned()));
    all.push(redirect);
    all
}

fn kind(status: u16) -> Kind {
    match status {
        404 | 410 => Kind::Negative,
        300..400 => Kind::Redirect,
        _ => Kind::Mutable,
    }
}

pub(crate) fn entry(answered: &Answered) -> RecordEntry {
    let header = |name: &str| answered.headers.iter().find(|(field, _)| *field == name).map(|(_, value)| value.clone());
    RecordEntry {
        alias_of: None,
        auth: false,
        builds: BTreeSet::from(["null.fetch".to_owned()]),
        class: Class::Other,
        digest: Some(Sha256(Digest::of(&answered.body))),
        headers: answered.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        kind: kind(answered.status),
        location: header("location"),
        method: "GET".to_owned(),
        request_digest: None,
        seq: None,
        size: Some(answered.body.len() as u64),
        status: answered.status,
        steps: BTreeSet::from(["shell-local".to_owned()]),
        url: answered.url.clone(),
        vary: BTreeMap::new(),
    }
}

pub(crate) fn record(entries: Vec<RecordEntry>) -> Record {
    Record {
        captured_at: "2026-11-01T12:00:00Z".parse().unwrap(),
        complete: true,
        egress: Egress::Enforced,
        entries,
        incomplete: Vec::new(),
        net: "cache".to_owned(),
        run: "20261101T120000-abcdef".to_owned(),
        template_digest: None,
    }
}

pub(crate) fn fetched() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

/// Status, fields and body.
pub(crate) type Stored = (u16, Vec<(String, String)>, Vec<u8>);

/// A cache in a directory of its own.
pub(crate) struct Cache {
    pub dir: TempDir,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("larder-bundle-").tempdir().unwrap() }
    }

    pub(crate) fn holding(answers: &[Answered]) -> Self {
        let cache = Self::new();
        cache.fill(answers, fetched());
        cache
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.dir.path().join("cache")).unwrap()
    }

    /// Stores answers as if they had been fetched at this time.
    pub(crate) fn fill(&self, answers: &[Answered], at: SystemTime) {
        let store = self.store();
        let mut staging = store.stage().unwrap();
        let mut arrivals = Vec::new();
        for answered in answers {
            let (digest, size) = (Digest::of(&answered.body), answered.body.len() as u64);
            staging.begin(&digest).unwrap();
            staging.write(&answered.body).unwrap();
            staging.keep(digest, size);
            let headers = answered.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let parts = ArrivalParts {
                url: answered.url.clone(),
                status: answered.status,
                headers: headers.collect(),
                vary: Vec::new(),
                fetched: at,
                class: Class::Other,
                aside: kind(answered.status) != Kind::Mutable,
                digest,
                size,
                provenance: Provenance::default(),
            };
            arrivals.push(Arrival::new(parts).unwrap());
        }
        staging.commit(&arrivals, Taking { pinned: false, replace: true }).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn plan(&self, answers: &[Answered]) -> Plan {
        self.plan_of(record(answers.iter().map(entry).collect()), false)
    }

    pub(crate) fn plan_of(&self, record: Record, include_private: bool) -> Plan {
        gather::plan(&self.store(), Wanted { records: vec![record], template: None, include_private }).unwrap()
    }

    pub(crate) fn export(&self, plan: &Plan, path: &Path, part: Option<u64>) -> Exported {
        let never = AtomicBool::new(false);
        let telling = Telling { cancel: &never, progress: &|_, _| {} };
        let output = Output::create(path, part, 0, false).unwrap();
        export::write(&self.store(), plan, output, path, 0, &telling).unwrap()
    }

    /// The bytes of a body, and the status and fields it is stored with.
    pub(crate) fn get(&self, url: &str) -> Option<Stored> {
        let store = self.store();
        let key = Key::of(&url.parse().unwrap()).unwrap();
        let mut found = store.lookup(&key.hash).unwrap();
        found.extend(store.lookup(&key.aside()).unwrap());
        let entry = found.into_iter().next()?;
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let fields = entry.draft.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Some((entry.draft.status, fields, fs::read(store.blob_path(&entry.digest)).unwrap()))
    }

    /// Fails unless all of these are stored as they were.
    #[track_caller]
    pub(crate) fn has(&self, answers: &[Answered]) {
        for answered in answers {
            let (status, fields, body) = self.get(&answered.url).unwrap_or_else(|| panic!("{}", answered.url));
            assert_eq!(status, answered.status, "{}", answered.url);
            assert!(body == answered.body, "{}: another body", answered.url);
            for (name, value) in &answered.headers {
                assert!(
                    fields.contains(&((*name).to_owned(), value.clone())),
                    "{}: {name} in {fields:?}",
                    answered.url
                );
            }
        }
        assert!(larder_proxy::inspect::verify(&self.dir.path().join("cache"), false).unwrap().is_sound());
    }

    /// Files below the cache, but for those of the index and of living processes.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let root = self.dir.path().join("cache/v1");
        let mut found = Vec::new();
        walk(&root.join("tmp"), &mut found);
        walk(&root.join("content-v2"), &mut found);
        found
    }

    /// Fails unless the cache is as one that nothing was ever put into.
    #[track_caller]
    pub(crate) fn is_untouched(&self) {
        assert_eq!(self.files(), Vec::<PathBuf>::new());
        let stats = self.store().stats().unwrap();
        assert_eq!((stats.entries, stats.blobs, stats.bytes), (0, 0, 0));
    }

    pub(crate) fn import(&self, path: &Path) -> Result<Outcome<Imported>, BundleError> {
        self.import_within(path, Limits::default())
    }

    pub(crate) fn import_within(&self, path: &Path, limits: Limits) -> Result<Outcome<Imported>, BundleError> {
        let never = AtomicBool::new(false);
        import::import(path, &self.store(), TAKING, false, watch(limits, &never))
    }

    #[track_caller]
    pub(crate) fn imports(&self, path: &Path) -> Imported {
        match self.import(path) {
            Ok(Outcome::Sound(_, imported)) => imported,
            Ok(Outcome::Unsound(faults)) => panic!("{faults:?}"),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn watch(limits: Limits, cancel: &AtomicBool) -> Watch<'_> {
    Watch { budget: Rc::new(Budget::new(limits)), cancel, progress: &|_| {}, trusted: None }
}

/// What an import says that must fail, all of it in one text; the cache must not have changed.
#[track_caller]
pub(crate) fn refused(path: &Path) -> String {
    let cache = Cache::new();
    let text = match cache.import(path) {
        Ok(Outcome::Unsound(faults)) => faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        Ok(Outcome::Sound(..)) => panic!("it was imported"),
        Err(error) => error.to_string(),
    };
    cache.is_untouched();
    assert!(!text.contains(['\0', '\u{1b}']), "{text:?}");
    text
}
