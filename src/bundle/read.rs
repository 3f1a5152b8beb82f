//! Reads a bundle from its beginning to its end, and believes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::LOCATION;
use larder_proxy::store::{Arrival, ArrivalParts, Digest, Provenance, StoreError};
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::{ArchiveReader, Name};
use super::document::{
    ANSWERS, ARTIFACT, Answer, Answers, BODY, Descriptor, INDEX, Index, MANIFEST, Manifest, PACK, README, RECORD,
    TEMPLATE, TemplateDocument, UNPACKED, header_map, vary_fields,
};
use super::fault::{BundleError, Fault, shown};
use super::frame::Frame;
use super::source::{Source, Watch};
use crate::history::record::{Kind, Record, RecordEntry};

/// Most bytes of `oci-layout` and of `index.json`, of a manifest (as registries have it), and of Larder's own documents.
const SMALL: u64 = 64 * 1024;
const MANIFESTS: u64 = 4 << 20;
const DOCUMENTS: u64 = 512 << 20;
/// Faults that are told one by one.
const FAULTS: usize = 200;
const BUFFER: usize = 256 * 1024;

/// Takes the bodies of a bundle, one after the other. What it is given has been neither read nor checked before.
pub trait Receiver {
    /// A body begins.
    fn begin(&mut self, digest: &Digest) -> Result<(), StoreError>;
    /// Some of it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// It is whole, and has its digest.
    fn keep(&mut self, digest: Digest, size: u64);
    /// It is not what it should be.
    fn discard(&mut self);
    /// A body that lies in a file of its own, which has its digest. Says whether the file itself will do, so that nothing
    /// has to be copied; it is asked before the body is read.
    fn takes_files(&self) -> bool {
        false
    }
    /// The file of a body that was read, where it takes files.
    fn file(&mut self, _digest: Digest, _size: u64, _path: &Path) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Takes nothing.
pub struct Nobody;

impl Receiver for Nobody {
    fn begin(&mut self, _: &Digest) -> Result<(), StoreError> {
        Ok(())
    }
    fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
    fn keep(&mut self, _: Digest, _: u64) {}
    fn discard(&mut self) {}
}

/// What a bundle says of itself, before any body.
#[derive(Debug)]
pub struct Contents {
    /// SHA-256 of its manifest: the identity of the bundle.
    pub manifest: Digest,
    /// What was fetched.
    pub record: Record,
    /// The answers with their bodies.
    pub arrivals: Vec<Arrival>,
    /// The heads as the cache had them.
    pub answers: Vec<Answer>,
    /// The template.
    pub template: Option<TemplateDocument>,
    /// Bytes of bodies, by digest.
    pub bodies: BTreeMap<Digest, u64>,
    /// Bytes of all blobs as they are in the bundle.
    pub blobs: u64,
}

/// A bundle being read.
pub struct Reader<'a> {
    source: Source<'a>,
    watch: Watch<'a>,
    faults: Vec<Fault>,
    /// Blobs that the manifest names and that were not found yet.
    expected: BTreeMap<String, Descriptor>,
    received: BTreeMap<Digest, u64>,
}

impl<'a> Reader<'a> {
    /// Opens the bundle at `path`: a file, the list of its parts, or a directory.
    pub fn open(path: &Path, watch: Watch<'a>) -> Result<Self, BundleError> {
        let source = Source::open(path, watch.clone())?;
        Ok(Self { source, watch, faults: Vec::new(), expected: BTreeMap::new(), received: BTreeMap::new() })
    }

    /// What is wrong with it, as far as it was read.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn fault(&mut self, what: impl Into<String>) {
        if self.faults.len() < FAULTS {
            self.faults.push(Fault(what.into()));
        }
    }

    /// Reads all but the bodies.
    pub fn contents(&mut self) -> Result<Contents, BundleError> {
        let layout = self.source.fetch(&Name::Layout, SMALL)?;
        let layout: serde_json::Value = parsed(&layout, "oci-layout")?;
        if layout["imageLayoutVersion"] != "1.0.0" {
            return Err(BundleError::malformed("it is not an OCI image layout of version 1"));
        }
        let index: Index = parsed(&self.source.fetch(&Name::Index, SMALL)?, "index.json")?;
        let [manifest] = index.manifests.as_slice() else {
            return Err(BundleError::malformed("its index does not name exactly one manifest"));
        };
        if index.schema_version != 2 || index.media_type != INDEX || manifest.media_type != MANIFEST {
            return Err(BundleError::malformed("its index is not that of a bundle"));
        }
        let identity = digest_of(manifest)?;
        let manifest: Manifest = parsed(&self.document(manifest, MANIFESTS)?, "the manifest")?;
        if manifest.artifact_type != ARTIFACT || manifest.schema_version != 2 || manifest.media_type != MANIFEST {
            return Err(BundleError::malformed(format!(
                "it is an artifact of the type {:?}, not a bundle of this version",
                shown(manifest.artifact_type.as_bytes())
            )));
        }
        self.expect(&manifest)?;
        let blobs = manifest.layers.iter().map(|layer| layer.size).sum();
        let record = Record::parse(&self.document(&manifest.config, DOCUMENTS)?)
            .map_err(|error| BundleError::malformed(format!("its record: {}", crate::error::chain(&error))))?;
        let mut contents = Contents {
            manifest: identity,
            record,
            arrivals: Vec::new(),
            answers: Vec::new(),
            template: None,
            bodies: BTreeMap::new(),
            blobs,
        };
        for layer in &manifest.layers {
            match layer.media_type.as_str() {
                ANSWERS => {
                    let read: Answers = parsed(&self.document(layer, DOCUMENTS)?, "the list of answers")?;
                    contents.answers = read.answers;
                }
                TEMPLATE => contents.template = Some(parsed(&self.document(layer, DOCUMENTS)?, "the template")?),
                README => drop(self.document(layer, MANIFESTS)?),
                // Documents come before bodies.
                _ => break,
            }
        }
        self.understand(&mut contents);
        Ok(contents)
    }

    /// Notes the blobs that the manifest names, and holds them to the budget.
    fn expect(&mut self, manifest: &Manifest) -> Result<(), BundleError> {
        if manifest.config.media_type != RECORD {
            return Err(BundleError::malformed("its configuration is not a record"));
        }
        let mut sum = 0_u64;
        for layer in std::iter::once(&manifest.config).chain(&manifest.layers) {
            self.watch.budget.one()?;
            sum = sum.saturating_add(layer.size);
            match layer.hex() {
                Some(hex) => {
                    if self.expected.insert(hex.to_owned(), layer.clone()).is_some() {
                        self.fault(format!("the manifest names sha256:{hex} twice"));
                    }
                }
                None => self.fault(format!(
                    "the manifest names a blob by {:?}, and digests are sha256 here",
                    shown(layer.digest.as_bytes())
                )),
            }
            if ![RECORD, ANSWERS, TEMPLATE, README, PACK, BODY].contains(&layer.media_type.as_str()) {
                self.fault(format!("the manifest names a blob of the type {:?}", shown(layer.media_type.as_bytes())));
            }
        }
        self.watch.budget.expect(sum)
    }

    /// A document: a blob that has to come next, and has its digest.
    fn document(&mut self, descriptor: &Descriptor, most: u64) -> Result<Vec<u8>, BundleError> {
        let digest = digest_of(descriptor)?;
        let name = Name::Blob(digest.to_string());
        let content = self.source.fetch(&name, most.min(descriptor.size))?;
        self.watch.budget.spend(content.len() as u64)?;
        if content.len() as u64 != descriptor.size || Digest::of(&content) != digest {
            return Err(BundleError::malformed(format!("{name} is not what its name says")));
        }
        self.expected.remove(&digest.to_string());
        Ok(content)
    }

    /// Makes of record and answers what the store takes.
    fn understand(&mut self, contents: &mut Contents) {
        let mut answered: BTreeMap<(&str, Option<Digest>), bool> = contents
            .record
            .entries
            .iter()
            .map(|entry| ((entry.url.as_str(), entry.digest.map(|d| d.0)), false))
            .collect();
        let mut made = Vec::new();
        let mut wrong = Vec::new();
        let origin = format!("bundle {}", &contents.manifest.to_string()[..12]);
        for answer in &contents.answers {
            match answered.get_mut(&(answer.url.as_str(), Some(answer.digest.0))) {
                Some(answered) => *answered = true,
                None => wrong.push(format!("the answer for {} is not of the record", shown(answer.url.as_bytes()))),
            }
            match of_answer(answer, &origin) {
                Ok(arrival) => made.push((answer.url.clone(), answer.vary.clone(), arrival)),
                Err(why) => wrong.push(format!("the answer for {}: {why}", shown(answer.url.as_bytes()))),
            }
        }
        let captured = contents.record.captured_at.into();
        for entry in &contents.record.entries {
            if answered.get(&(entry.url.as_str(), entry.digest.map(|digest| digest.0))) == Some(&true) {
                continue;
            }
            match of_record(entry, captured, &origin) {
                Ok(arrival) => made.push((entry.url.clone(), entry.vary.clone(), arrival)),
                Err(why) => wrong.push(format!("the record's entry for {}: {why}", shown(entry.url.as_bytes()))),
            }
        }
        let mut seen = BTreeSet::new();
        for (url, vary, arrival) in made {
            let (digest, size) = arrival.body();
            if contents.bodies.insert(digest, size).is_some_and(|other| other != size) {
                wrong.push(format!("sha256:{digest} is said to have two sizes"));
            }
            if !seen.insert((url.clone(), vary)) {
                wrong.push(format!("there are two answers for {}", shown(url.as_bytes())));
            }
            contents.arrivals.push(arrival);
        }
        wrong.into_iter().for_each(|what| self.fault(what));
    }

    /// Reads the bodies to the end of the bundle. What is wrong with them is among [`Self::faults`].
    pub fn bodies(&mut self, contents: &Contents, receiver: &mut dyn Receiver) -> Result<(), BundleError> {
        while let Some((name, size)) = self.source.next()? {
            let expected = if let Name::Blob(hex) = &name { self.expected.remove(hex) } else { None };
            let Some(descriptor) = expected else {
                self.fault(format!("it holds {name}, which its manifest does not name"));
                self.skip()?;
                continue;
            };
            if descriptor.size != size {
                self.fault(format!("{name} has {size} bytes instead of {}", descriptor.size));
                self.skip()?;
                continue;
            }
            let digest = digest_of(&descriptor)?;
            match descriptor.media_type.as_str() {
                BODY => self.body(digest, size, contents, receiver)?,
                PACK => self.pack(digest, &descriptor, contents, receiver)?,
                other => {
                    self.fault(format!("{name} is of the type {:?}, and comes too late", shown(other.as_bytes())));
                    self.skip()?;
                }
            }
        }
        for hex in std::mem::take(&mut self.expected).into_keys() {
            self.fault(format!("blobs/sha256/{hex} is missing"));
        }
        let nothing = Digest::of(b"");
        for (digest, size) in &contents.bodies {
            // The empty body needs no place.
            if !self.received.contains_key(digest) && *digest != nothing {
                self.fault(format!("the body sha256:{digest}, of {size} bytes, is missing"));
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), BundleError> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = self.source.read(&mut buffer).map_err(BundleError::read("the bundle"))?;
            if count == 0 {
                return Ok(());
            }
            self.watch.budget.spend(count as u64)?;
        }
    }

    fn body(
        &mut self,
        digest: Digest,
        size: u64,
        contents: &Contents,
        receiver: &mut dyn Receiver,
    ) -> Result<(), BundleError> {
        if let Some(why) = self.unwanted(&digest, size, contents) {
            self.fault(why);
            return self.skip();
        }
        let in_place = self.source.directory().filter(|_| receiver.takes_files()).map(Path::to_owned);
        if let Some(directory) = in_place {
            let found = copy(&mut self.source, &self.watch, &mut Nobody, &digest)?;
            if found == (digest, size) {
                self.received.insert(digest, size);
                let path = directory.join(Name::Blob(digest.to_string()).to_string());
                return Ok(receiver.file(digest, size, &path)?);
            }
        } else if copy(&mut self.source, &self.watch, receiver, &digest)? == (digest, size) {
            receiver.keep(digest, size);
            self.received.insert(digest, size);
            return Ok(());
        }
        receiver.discard();
        self.fault(format!("blobs/sha256/{digest} is not what its name says"));
        Ok(())
    }

    /// Why a body has no place in this bundle.
    fn unwanted(&self, digest: &Digest, size: u64, contents: &Contents) -> Option<String> {
        match contents.bodies.get(digest) {
            None => Some(format!("the body sha256:{digest} belongs to no answer")),
            Some(said) if *said != size => Some(format!("the body sha256:{digest} has {size} bytes instead of {said}")),
            Some(_) if self.received.contains_key(digest) => Some(format!("the body sha256:{digest} is there twice")),
            Some(_) => None,
        }
    }

    fn pack(
        &mut self,
        digest: Digest,
        descriptor: &Descriptor,
        contents: &Contents,
        receiver: &mut dyn Receiver,
    ) -> Result<(), BundleError> {
        let what = format!("the pack sha256:{}", &digest.to_string()[..12]);
        let unpacked = descriptor.annotations.get(UNPACKED).and_then(|text| text.parse::<u64>().ok());
        let Some(unpacked) = unpacked else {
            self.fault(format!("{what} does not say how large it is"));
            return self.skip();
        };
        self.watch.budget.expect(unpacked)?;
        let mut source = Hashing { input: &mut self.source, watch: self.watch.clone(), hasher: Hasher::new() };
        let mut faults = Vec::new();
        let outcome = unpack(
            BufReader::with_capacity(BUFFER, &mut source),
            unpacked,
            &what,
            &mut Unpacking {
                watch: &self.watch,
                contents,
                receiver,
                received: &mut self.received,
                faults: &mut faults,
            },
        );
        match outcome {
            // What is wrong within the pack is told, and the rest of the bundle is looked at all the same.
            Err(BundleError::Malformed(why)) => faults.push(format!("{what}: {why}")),
            Err(BundleError::Read { source, .. }) => faults.push(format!("{what}: {source}")),
            other => other?,
        }
        receiver.discard();
        std::io::copy(&mut source, &mut std::io::sink()).map_err(BundleError::read("the bundle"))?;
        if source.hasher.finalize().as_slice() != digest.0 {
            faults.push(format!("blobs/sha256/{digest} is not what its name says"));
        }
        faults.into_iter().for_each(|what| self.fault(what));
        Ok(())
    }
}

/// What a pack's bodies are held to, and go to.
struct Unpacking<'u, 'w> {
    watch: &'u Watch<'w>,
    contents: &'u Contents,
    receiver: &'u mut dyn Receiver,
    received: &'u mut BTreeMap<Digest, u64>,
    faults: &'u mut Vec<String>,
}

fn unpack(input: impl std::io::BufRead, most: u64, what: &str, to: &mut Unpacking<'_, '_>) -> Result<(), BundleError> {
    let frame = Frame::new(input, what)?;
    // One byte more than was said, to tell an end from a cut.
    let mut archive = ArchiveReader::new(frame.take(most.saturating_add(1)));
    let mut sum = 0_u64;
    while let Some((name, size)) = archive.next()? {
        let Name::Blob(hex) = &name else {
            return Err(BundleError::malformed(format!("it holds {name}")));
        };
        to.watch.budget.one()?;
        sum = sum.saturating_add(size);
        if sum > most {
            return Err(BundleError::malformed(format!("it unpacks to more than the {most} bytes it says")));
        }
        let digest = Digest::from_hex(hex).ok_or_else(|| BundleError::malformed(format!("it holds {name}")))?;
        match to.contents.bodies.get(&digest) {
            Some(said) if *said == size && !to.received.contains_key(&digest) => {
                if copy(&mut archive, to.watch, to.receiver, &digest)? == (digest, size) {
                    to.receiver.keep(digest, size);
                    to.received.insert(digest, size);
                } else {
                    to.receiver.discard();
                    to.faults.push(format!("{what}: the body sha256:{digest} is not what its name says"));
                }
            }
            Some(said) if *said != size => {
                to.faults.push(format!("{what}: sha256:{digest} has {size} bytes instead of {said}"));
            }
            Some(_) => to.faults.push(format!("{what}: sha256:{digest} is there twice")),
            None => to.faults.push(format!("{what}: sha256:{digest} belongs to no answer")),
        }
    }
    let taken = archive.into_inner();
    if taken.limit() != 1 {
        return Err(BundleError::malformed(format!("it does not unpack to the {most} bytes it says")));
    }
    taken.into_inner().finish(what).map(drop)
}

/// Copies a body, and returns its digest and size.
fn copy(
    input: &mut dyn Read,
    watch: &Watch<'_>,
    receiver: &mut dyn Receiver,
    digest: &Digest,
) -> Result<(Digest, u64), BundleError> {
    receiver.begin(digest)?;
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; BUFFER]);
    loop {
        let count = input.read(&mut buffer).map_err(BundleError::read("a body"))?;
        if count == 0 {
            return Ok((Digest(hasher.finalize().into()), size));
        }
        watch.budget.spend(count as u64)?;
        hasher.update(&buffer[..count]);
        receiver.write(&buffer[..count])?;
        size += count as u64;
    }
}

/// Hashes what passes through.
struct Hashing<'h, 'a> {
    input: &'h mut Source<'a>,
    watch: Watch<'a>,
    hasher: Hasher,
}

impl Read for Hashing<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.watch.budget.spend(count as u64).map_err(std::io::Error::other)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn digest_of(descriptor: &Descriptor) -> Result<Digest, BundleError> {
    descriptor.hex().and_then(Digest::from_hex).ok_or_else(|| {
        BundleError::malformed(format!(
            "it names a blob by {:?}, and digests are sha256 here",
            shown(descriptor.digest.as_bytes())
        ))
    })
}

fn parsed<T: serde::de::DeserializeOwned>(text: &[u8], what: &str) -> Result<T, BundleError> {
    serde_json::from_slice(text).map_err(|error| {
        BundleError::malformed(format!("{what} cannot be read: {}", shown(error.to_string().as_bytes())))
    })
}

fn of_answer(answer: &Answer, origin: &str) -> Result<Arrival, &'static str> {
    Arrival::new(ArrivalParts {
        url: answer.url.clone(),
        status: answer.status,
        headers: header_map(&answer.headers).ok_or("a field of its head is none")?,
        vary: vary_fields(&answer.vary).ok_or("a field that it varies on is none")?,
        fetched: answer.fetched.into(),
        class: answer.class,
        digest: answer.digest.0,
        size: answer.size,
        provenance: Provenance {
            route: Some(origin.to_owned()),
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
    let bodiless = matches!(entry.kind, Kind::Negative | Kind::Redirect);
    let (digest, size) = match (entry.digest, entry.size) {
        _ if bodiless => (Digest::of(b""), 0),
        (Some(digest), Some(size)) => (digest.0, size),
        _ => return Err("it has no body"),
    };
    Arrival::new(ArrivalParts {
        url: entry.url.clone(),
        status: entry.status,
        headers,
        vary: vary_fields(&entry.vary).ok_or("a field that it varies on is none")?,
        fetched,
        class: entry.class,
        digest,
        size,
        provenance: Provenance { route: Some(origin.to_owned()), ..Provenance::default() },
    })
}
