//! Makes a bundle of records and the cache.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{CONTENT_LOCATION, LOCATION, SET_COOKIE};
use http::{HeaderMap, Uri};
use larder_proxy::cache::{Key, carries_secret, is_credential};
use larder_proxy::store::{Digest, Entry, Store};
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::{ArchiveWriter, Name};
use super::document::{
    ANSWERS, ARTIFACT, Answer, BODIES, BODY, Descriptor, FIRST, Index, LAST, LAYOUT, MANIFEST, Manifest, PACK, README,
    RECORD, TEMPLATE, TITLE, TemplateDocument, UNPACKED, answers_text, fields,
};
use super::frame;
use super::output::{Output, Written};
use crate::error::{Context as _, Error, Result};
use crate::history::record::{Incomplete, Kind, Record, RecordEntry, Sha256};

/// Bodies below this size go into packs: registries take a manifest of some thousand blobs, not of more.
const SMALL: u64 = 1 << 20;
/// Bytes of a pack before it is packed.
const PACKED: u64 = 32 << 20;

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
        seen: &mut BTreeSet<(String, BTreeMap<String, Option<String>>)>,
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
        let bodiless = matches!(entry.kind, Kind::Negative | Kind::Redirect);
        let body = entry.digest.zip(entry.size).filter(|_| !bodiless);
        if stored.is_empty() && !bodiless {
            let there = body.is_some_and(|(digest, size)| store.open_blob(&digest.0, size).is_ok());
            // An error that upstream answered with is nothing to build on.
            if !there && (400..600).contains(&entry.status) {
                return Ok(());
            }
            if !there {
                self.missing.push(lacking("the cache has it no more"));
                return Ok(());
            }
        }
        for answer in stored {
            if seen.insert((answer.url.clone(), answer.vary.clone())) {
                self.bodies.insert(answer.digest.0, answer.size);
                self.answers.push(answer);
            }
        }
        if let Some((digest, size)) = body {
            self.bodies.insert(digest.0, size);
        } else if bodiless {
            let answered = self.answers.iter().any(|answer| answer.url == entry.url);
            if !answered {
                entry.digest = None;
                entry.size = None;
            }
        }
        self.record.entries.push(entry);
        Ok(())
    }
}

/// The answers of the cache that an entry of a record stands for.
fn of_cache(store: &Store, entry: &RecordEntry, include_private: bool) -> Result<Vec<Answer>> {
    let Some(key) = entry.url.parse::<Uri>().ok().and_then(|uri| Key::of(&uri)) else { return Ok(Vec::new()) };
    let found = store.lookup(&key.hash).context(|| "cannot read the cache".to_owned())?;
    let is_meant = |stored: &&Entry| {
        stored.draft.part.is_none()
            && stored.draft.status == entry.status
            && stored.draft.url == entry.url
            && entry.digest == Some(Sha256(stored.digest))
            && store.open_blob(&stored.digest, stored.size).is_ok()
    };
    Ok(found.iter().filter(is_meant).filter_map(|stored| answer(stored, include_private)).collect())
}

/// The head of a stored answer; none where it is for certain credentials, or holds a secret.
fn answer(stored: &Entry, include_private: bool) -> Option<Answer> {
    let draft = &stored.draft;
    let bound = draft.vary.iter().any(|(name, value)| value.is_some() && is_credential(name));
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

/// A URL for people.
fn shown(url: &str) -> String {
    if carries_secret(url) { url.split('?').next().unwrap_or_default().to_owned() } else { url.to_owned() }
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// SHA-256 of the manifest: the identity of the bundle.
    pub manifest: Digest,
    /// The file or files.
    pub written: Written,
}

/// Whom an export tells of its progress, and who can end it.
pub struct Telling<'a> {
    /// Set once nobody wants it any more.
    pub cancel: &'a AtomicBool,
    /// Told of the bytes of bodies read, of how many.
    pub progress: &'a dyn Fn(u64, u64),
}

/// Writes a bundle.
pub fn write(
    store: &Store,
    plan: &Plan,
    mut output: Output,
    at: &Path,
    mtime: u64,
    telling: &Telling<'_>,
) -> Result<Exported> {
    let folder = at.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut writing = Writing { store, plan, telling, done: 0, total: plan.bodies.values().sum::<u64>() };
    let packs = writing.packs(folder, mtime)?;
    let mut layers = Vec::new();
    let mut documents = Vec::new();
    let mut add = |media_type: &str, title: &str, content: Vec<u8>| {
        let descriptor = Descriptor::new(media_type, &Digest::of(&content), content.len() as u64).with(TITLE, title);
        layers.push(descriptor);
        documents.push(content);
    };
    add(ANSWERS, "answers.json", answers_text(&plan.answers)?.into_bytes());
    if let Some(template) = &plan.template {
        let text = serde_json::to_vec(template).context(|| "cannot write the template".to_owned())?;
        add(TEMPLATE, "template.json", text);
    }
    add(README, "README.md", readme(plan).into_bytes());
    layers.extend(packs.iter().map(|(descriptor, _)| descriptor.clone()));
    let large: Vec<(Digest, u64)> =
        plan.bodies.iter().filter(|&(_, &size)| size >= SMALL).map(|(&digest, &size)| (digest, size)).collect();
    layers.extend(large.iter().map(|(digest, size)| Descriptor::new(BODY, digest, *size)));
    let record = plan.record.to_text()?.into_bytes();
    let config = Descriptor::new(RECORD, &Digest::of(&record), record.len() as u64);
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: ARTIFACT.to_owned(),
        config,
        layers,
    };
    let json = |result: serde_json::Result<Vec<u8>>| result.context(|| "cannot write the manifest".to_owned());
    let manifest = json(serde_json::to_vec(&manifest))?;
    let identity = Digest::of(&manifest);
    let index = Index::of(Descriptor::new(MANIFEST, &identity, manifest.len() as u64));
    let index = json(serde_json::to_vec(&index))?;
    let cannot = || format!("cannot write {}", at.display());
    output.file(&Name::Layout, LAYOUT.as_bytes()).context(cannot)?;
    output.file(&Name::Index, &index).context(cannot)?;
    for content in [manifest, record].iter().chain(&documents) {
        output.file(&Name::Blob(Digest::of(content).to_string()), content).context(cannot)?;
    }
    for (descriptor, mut file) in packs {
        output.begin(&Name::Blob(descriptor.hex().unwrap_or_default().to_owned()), descriptor.size).context(cannot)?;
        file.rewind().context(cannot)?;
        each_piece(&mut BufReader::new(file), |bytes| output.content(bytes)).context(cannot)?;
        output.end(descriptor.size).context(cannot)?;
    }
    for (digest, size) in large {
        output.begin(&Name::Blob(digest.to_string()), size).context(cannot)?;
        writing.body(&digest, size, |bytes| output.content(bytes), cannot)?;
        output.end(size).context(cannot)?;
    }
    Ok(Exported { manifest: identity, written: output.finish()? })
}

struct Writing<'a> {
    store: &'a Store,
    plan: &'a Plan,
    telling: &'a Telling<'a>,
    done: u64,
    total: u64,
}

impl Writing<'_> {
    /// Small bodies in packs, each in a file without a name.
    fn packs(&mut self, folder: &Path, mtime: u64) -> Result<Vec<(Descriptor, File)>> {
        let mut groups: Vec<Vec<(Digest, u64)>> = Vec::new();
        let mut room = 0;
        for (&digest, &size) in self.plan.bodies.iter().filter(|&(_, &size)| size < SMALL) {
            if groups.is_empty() || size > room {
                groups.push(Vec::new());
                room = PACKED;
            }
            room = room.saturating_sub(size);
            groups.last_mut().expect("one was just pushed").push((digest, size));
        }
        groups.iter().map(|group| self.pack(group, folder, mtime)).collect()
    }

    fn pack(&mut self, bodies: &[(Digest, u64)], folder: &Path, mtime: u64) -> Result<(Descriptor, File)> {
        let cannot = || format!("cannot write a pack of bodies in {}", folder.display());
        let hashing = Hashing {
            output: BufWriter::new(tempfile::tempfile_in(folder).context(cannot)?),
            hasher: Hasher::new(),
            size: 0,
        };
        let counting = Counting { output: frame::pack(hashing).context(cannot)?, size: 0 };
        let mut archive = ArchiveWriter::new(counting, mtime);
        for (digest, size) in bodies {
            archive.begin(&Name::Blob(digest.to_string()), *size).context(cannot)?;
            self.body(digest, *size, |bytes| archive.content(bytes), cannot)?;
            archive.pad(*size).context(cannot)?;
        }
        let Counting { output, size: unpacked } = archive.finish().context(cannot)?;
        let Hashing { output, hasher, size } = output.finish().context(cannot)?;
        let file = output.into_inner().map_err(io::IntoInnerError::into_error).context(cannot)?;
        let mut descriptor = Descriptor::new(PACK, &Digest(hasher.finalize().into()), size)
            .with(UNPACKED, unpacked)
            .with(BODIES, bodies.len());
        if let (Some((first, _)), Some((last, _))) = (bodies.first(), bodies.last()) {
            descriptor = descriptor.with(FIRST, first).with(LAST, last);
        }
        Ok((descriptor, file))
    }

    /// Reads a body out of the cache, and makes sure of it.
    fn body(
        &mut self,
        digest: &Digest,
        size: u64,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
        cannot: impl Fn() -> String,
    ) -> Result<()> {
        let unsound = || {
            let entry = self.plan.answers.iter().find(|answer| answer.digest.0 == *digest);
            let of = entry.map_or_else(|| format!("sha256:{digest}"), |answer| shown(&answer.url));
            Error::new(format!("the cache's body of {of} is damaged"))
                .hint("run `larder cache verify --repair` and the build once more")
        };
        let mut file = self.store.open_blob(digest, size).map_err(|error| unsound().caused_by(error))?;
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 256 * 1024]);
        loop {
            if self.telling.cancel.load(Ordering::Relaxed) {
                return Err(Error::new("interrupted; nothing was written"));
            }
            let count = file.read(&mut buffer).map_err(|error| unsound().caused_by(error))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            write(&buffer[..count]).context(&cannot)?;
            self.done += count as u64;
            (self.telling.progress)(self.done, self.total);
        }
        if hasher.finalize().as_slice() == digest.0 { Ok(()) } else { Err(unsound()) }
    }
}

fn each_piece(input: &mut impl Read, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            count => write(&buffer[..count])?,
        }
    }
}

struct Hashing<W> {
    output: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

struct Counting<W> {
    output: W,
    size: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn readme(plan: &Plan) -> String {
    let sum: u64 = plan.bodies.values().sum();
    let (entries, bodies) = (plan.record.entries.len(), plan.bodies.len());
    let complete = if plan.record.complete {
        ""
    } else {
        "\nIt does not hold everything that was fetched; `larder bundle inspect` lists what it lacks.\n"
    };
    format!(
        "# A bundle of Larder's\n\n{entries} answers of web servers with {bodies} bodies of {}: what the build of an \
         image fetched.\n{complete}\nOn a machine without a network:\n\n    larder bundle verify FILE\n    larder bundle \
         import FILE\n    larder build --net offline TEMPLATE\n\nor, without taking it in, `larder bundle serve FILE`. \
         The file is an OCI image layout.\n",
        crate::output::text::bytes(sum)
    )
}
