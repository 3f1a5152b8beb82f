//! Digests learnt from indexes that passed: `Packages`, simple pages, packuments and their kin.
//!
//! Reading an index happens once it is stored, off every request's path, within bounds, and failing quietly: what is
//! not learnt is asked for as HTTP has it.

mod apt;
mod cargo;
mod checksums;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod gem;
mod markup;
mod npm;
mod place;
mod pypi;
mod rpm;
mod unpack;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use tokio::sync::{Semaphore, watch};

pub(crate) use self::place::promise_key;
use super::Inner;
use super::key::hash16;
use crate::flow::Class;
use crate::rules::{Format, Nature, Promised, Rules};
use crate::store::{Entry, Promise, Store};

/// Promises written at a time.
const BATCH: usize = 2000;
/// Most promises believed of one index.
const MOST: usize = 500_000;
/// Indexes read at a time.
const READERS: usize = 2;
/// Most files of one of cargo's indexes that wait for its `config.json`.
const WAITING: usize = 4096;
/// How long a request waits for what an index that just passed says about it.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an index says of another URL.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    url: String,
    algorithm: &'static str,
    hex: String,
    size: Option<u64>,
}

/// Takes claims one by one.
type Sink<'a> = &'a mut dyn FnMut(Claim);

/// Indexes about to be read: by URL, with the end of it.
#[derive(Debug)]
pub(super) struct Readings {
    pending: Mutex<HashMap<String, (Format, watch::Receiver<()>)>>,
    /// How many those are, to be looked at first.
    announced: AtomicUsize,
    slots: Arc<Semaphore>,
    /// Files of cargo's index that came before its `config.json`, by the index's root.
    waiting: Mutex<HashMap<String, Vec<Entry>>>,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            pending: Mutex::default(),
            announced: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(READERS)),
            waiting: Mutex::default(),
        }
    }
}

/// An index about to be read. Dropped when that is over.
pub(super) struct Reading {
    inner: Arc<Inner>,
    source: String,
    format: Format,
    _end: watch::Sender<()>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let readings = &self.inner.readings;
        let mut pending = readings.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.remove(&self.source);
        readings.announced.store(pending.len(), Ordering::Release);
    }
}

impl Reading {
    /// To be called before the index's last byte is out, so that whoever has it whole is not too early.
    pub(super) fn announce(inner: &Arc<Inner>, source: &str, format: Format) -> Self {
        let (end, receiver) = watch::channel(());
        let mut pending = inner.readings.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.insert(source.to_owned(), (format, receiver));
        inner.readings.announced.store(pending.len(), Ordering::Release);
        drop(pending);
        Self { inner: inner.clone(), source: source.to_owned(), format, _end: end }
    }

    /// Reads the stored index, in a task of its own.
    pub(super) fn begin(self, entry: Entry) {
        let inner = self.inner.clone();
        inner.behind(async move {
            let Ok(_slot) = self.inner.readings.slots.clone().acquire_owned().await else { return };
            let mut template = None;
            if self.format == Format::Cargo {
                template = self.inner.cargo_template(&self.source).await;
                if template.is_none() {
                    return self.inner.wait_for_config(&entry).await;
                }
            }
            let inner = self.inner.clone();
            let done = tokio::task::spawn_blocking(move || {
                let read = self.read(&entry, template.as_deref());
                (self, read)
            });
            let done = done.await;
            inner.promises.forget_all();
            // Only now who waits for it is let go, with the reading.
            match done {
                Ok((reading, Ok(count))) => tracing::debug!(source = reading.source, count, "learnt digests"),
                Ok((reading, Err(error))) => {
                    tracing::debug!(source = reading.source, %error, "an index could not be read for its digests");
                }
                Err(error) => tracing::debug!(%error, "reading an index was cut short"),
            }
        });
    }

    fn read(&self, entry: &Entry, template: Option<&str>) -> io::Result<usize> {
        let Some(shelf) = &self.inner.shelf else { return Ok(0) };
        let file = shelf.store().open_blob(&entry.digest, entry.size)?;
        let mut batch = Batch {
            store: shelf.store(),
            rules: &self.inner.rules.get(),
            format: self.format,
            source: &self.source,
            entry,
            promises: Vec::new(),
            count: 0,
        };
        let coding = coding(entry);
        let read = read(self.format, file, coding, &self.source, template, &mut |claim| batch.add(&claim));
        // What was understood before the fault holds all the same; the first batch also notes that the index passed.
        batch.write();
        read.map(|()| batch.count)
    }
}

/// Promises on their way into the store.
struct Batch<'a> {
    store: &'a Store,
    rules: &'a Rules,
    format: Format,
    source: &'a str,
    entry: &'a Entry,
    promises: Vec<Promise>,
    count: usize,
}

impl Batch<'_> {
    fn add(&mut self, claim: &Claim) {
        if self.count >= MOST || !is_admissible(self.rules, self.format, self.source, &claim.url) {
            return;
        }
        let Some(key) = place::key_of(&claim.url) else { return };
        let Some(promised) = Promised::named(claim.algorithm, claim.hex.as_str()) else { return };
        self.count += 1;
        self.promises.push(Promise { key, promised, size: claim.size });
        if self.promises.len() >= BATCH {
            self.write();
        }
    }

    fn write(&mut self) {
        let promises = std::mem::take(&mut self.promises);
        if let Err(error) = self.store.promise(self.source, self.entry.draft.responded, &promises) {
            tracing::debug!(%error, "promised digests could not be noted");
        }
    }
}

/// Whether an index may speak about a URL. Some formats name nothing but what lies below them; what the others name
/// must at least be a package by its path, so that no page decides about anything else of anybody's, and what came in
/// the clear says nothing about another server's `https`.
fn is_admissible(rules: &Rules, format: Format, source: &str, url: &str) -> bool {
    if !matches!(format, Format::Pypi | Format::Npm | Format::Cargo) {
        return true;
    }
    let own = place::origin(source).eq_ignore_ascii_case(place::origin(url));
    if !own && source.starts_with("http:") && !url.starts_with("http:") {
        return false;
    }
    let after = &url[place::origin(url).len()..];
    let verdict = rules.classify(after.split(['?', '#']).next().unwrap_or_default(), None);
    verdict.class == Class::Package && matches!(verdict.nature, Nature::Immutable | Nature::Lasting)
}

/// Whether what an index says may decide about a URL: of other indexes about those below it, of packages about those of
/// its archive or host, or, where files have a host of their own, about all.
fn may_speak(format: Format, source: &str, url: &str, nature: Nature) -> bool {
    match (nature, format) {
        (Nature::Mutable, _) => url.starts_with(place::directory(source)),
        (Nature::Immutable | Nature::Lasting, Format::Pypi | Format::Npm | Format::Cargo) => true,
        (Nature::Immutable | Nature::Lasting, Format::Apt) => url.starts_with(apt::root(source)),
        (Nature::Immutable | Nature::Lasting, _) => same_origin(source, url),
        (Nature::Plain, _) => false,
    }
}

/// Reads an index, plain or packed.
fn read(
    format: Format,
    packed: impl io::Read,
    coding: Option<&str>,
    source: &str,
    template: Option<&str>,
    sink: Sink<'_>,
) -> io::Result<()> {
    let mut input = unpack::unpack(BufReader::with_capacity(64 * 1024, packed), coding)?;
    match format {
        Format::Apt => apt::read(&mut *input, source, sink),
        Format::Rpm => rpm::read(&mut *input, source, sink),
        Format::Pypi => pypi::read(&mut *input, source, sink),
        Format::Npm => npm::read(&mut *input, source, sink),
        Format::Cargo => template.map_or(Ok(()), |template| cargo::read(&mut *input, template, sink)),
        Format::Gem => gem::read(&mut *input, source, sink),
        Format::Checksums => checksums::read(&mut *input, source, sink),
    }
}

/// What the origin packed an index in on the way.
fn coding(entry: &Entry) -> Option<&str> {
    entry.draft.headers.get(CONTENT_ENCODING)?.to_str().ok()
}

/// Whether two URLs are of one scheme, host and port.
pub(super) fn same_origin(one: &str, other: &str) -> bool {
    place::origin(one).eq_ignore_ascii_case(place::origin(other))
}

impl Inner {
    /// Waits until an index that has just passed, and may speak about `url`, has been read.
    pub(super) async fn indexes_read(&self, url: &str, nature: Nature) {
        if self.readings.announced.load(Ordering::Acquire) == 0 {
            return;
        }
        let speaks = {
            let pending = self.readings.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let speaks = |(source, (format, _)): &(&String, &(Format, _))| {
                *source != url && may_speak(*format, source, url, nature)
            };
            pending.iter().find(speaks).map(|(_, (_, end))| end.clone())
        };
        if let Some(mut end) = speaks {
            // Nothing is ever sent: the sender is dropped when the reading is over.
            let _ = tokio::time::timeout(PATIENCE, end.changed()).await;
        }
    }

    /// Notes that upstream confirmed an index, and with it what it promises; one that an older version stored without
    /// reading it is read now.
    pub(super) async fn promises_confirmed(self: &Arc<Self>, entry: &Entry, format: Format) {
        let Some(shelf) = &self.shelf else { return };
        let (store, source, at) = (shelf.store().clone(), entry.draft.url.clone(), entry.draft.responded);
        let reading = Reading::announce(self, &source, format);
        let noted = tokio::task::spawn_blocking(move || {
            let is_known = store.is_source(&source)?;
            if is_known { store.promise(&source, at, &[]).map(|()| true) } else { Ok(false) }
        });
        let noted = noted.await;
        if matches!(noted, Ok(Ok(false))) {
            return reading.begin(entry.clone());
        }
        if let Ok(Err(error)) = noted {
            tracing::debug!(%error, "a confirmed index could not be noted");
        }
        self.promises.forget_all();
    }

    /// Remembers a file of cargo's index until `config.json` says what URLs its crates have. It does not count as read
    /// before: else a later process would not read it when it is confirmed.
    async fn wait_for_config(self: &Arc<Self>, entry: &Entry) {
        let Some(root) = cargo::root(&entry.draft.url).map(str::to_owned) else { return };
        {
            let mut waiting = self.readings.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let files = waiting.entry(root.clone()).or_default();
            files.retain(|file| file.draft.url != entry.draft.url);
            if files.len() < WAITING {
                files.push(entry.clone());
            }
        }
        // It may have come meanwhile.
        if self.cargo_template(&entry.draft.url).await.is_some() {
            self.config_arrived(&format!("{root}/{}", cargo::CONFIG));
        }
    }

    /// Reads the files of cargo's index that waited for a `config.json`.
    pub(super) fn config_arrived(self: &Arc<Self>, url: &str) {
        let Some(root) = url.strip_suffix(cargo::CONFIG).and_then(|root| root.strip_suffix('/')) else { return };
        let files = self.readings.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(root);
        for entry in files.unwrap_or_default() {
            Reading::announce(self, &entry.draft.url, Format::Cargo).begin(entry);
        }
    }

    /// The template of download URLs, from the configuration of the index, where that has passed as well.
    async fn cargo_template(&self, source: &str) -> Option<String> {
        let shelf = self.shelf.as_ref()?;
        let config = format!("{}/{}", cargo::root(source)?, cargo::CONFIG);
        let entry = shelf.lookup(hash16(config.as_bytes())).await.ok()?.first()?.clone();
        let store = shelf.store().clone();
        let bytes = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let file = store.open_blob(&entry.digest, entry.size)?;
            let mut plain = unpack::unpack(BufReader::new(file), coding(&entry))?;
            io::Read::read_to_end(&mut io::Read::take(&mut plain, 64 * 1024), &mut bytes).map(|_| bytes)
        });
        cargo::template(&bytes.await.ok()?.ok()?)
    }
}
