//! Reads a bundle from its beginning to its end, and believes nothing.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::Path;

use larder_proxy::store::{Arrival, Digest, StoreError};
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::Name;
use super::budget::sum;
use super::document::{
    ANSWERS, ARTIFACT, Answer, Answers, BODY, Descriptor, INDEX, Index, MANIFEST, Manifest, PACK, README, RECORD,
    TEMPLATE, TemplateDocument, UNPACKED,
};
use super::fault::{BundleError, Fault, shown};
use super::signature::Signer;
use super::source::{Source, Watch};
use super::understand::understand;
use super::unpack::{Hashing, Unpacking, copy, unpack};
use crate::history::record::Record;

/// Most bytes of `oci-layout` and of `index.json`, of a manifest (as registries have it), and of Larder's own documents.
const SMALL: u64 = 64 * 1024;
const MANIFESTS: u64 = 4 << 20;
const DOCUMENTS: u64 = 64 << 20;
/// Faults that are told one by one.
const FAULTS: usize = 200;
pub(super) const BUFFER: usize = 256 * 1024;

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
    /// Who signed it, where it has to be signed.
    pub signer: Option<Signer>,
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
        let blobs = sum(manifest.layers.iter().map(|layer| layer.size));
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
            signer: self.source.signer().cloned(),
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
        for what in understand(&mut contents) {
            self.fault(what);
        }
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
        for what in faults {
            self.fault(what);
        }
        Ok(())
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
