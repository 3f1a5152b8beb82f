//! An OCI image in a directory or an archive: its manifest, its configuration and its layers.
//!
//! <https://github.com/opencontainers/image-spec>: image-layout, manifest, config.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};

use super::super::archive;
use crate::error::{Context, Error, Result};

/// Most bytes of a JSON document (containerd's and most registries' limit).
const DOCUMENT: u64 = 4 << 20;
/// Most layers.
const LAYERS: usize = 4096;

/// Where blobs are.
pub(super) enum Blobs {
    Directory(PathBuf),
    /// A tar archive and where its members begin in it, with their lengths.
    Archive {
        archive: File,
        members: HashMap<PathBuf, (u64, u64)>,
    },
}

/// An image.
pub(super) struct Oci {
    blobs: Blobs,
    manifest: Manifest,
    config: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Descriptor {
    digest: String,
    size: u64,
    #[serde(default, rename = "mediaType")]
    media_type: String,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: Value,
}

impl Oci {
    /// Reads what says how the image is put together.
    pub(super) fn open(blobs: Blobs) -> Result<Self> {
        let mut text = Vec::new();
        let mut index = blobs.named(Path::new("index.json")).context(|| "index.json".to_owned())?;
        (&mut index).take(DOCUMENT).read_to_end(&mut text).context(|| "index.json".to_owned())?;
        drop(index);
        let mut index: Index = json(&text, "index.json")?;
        // An index may point to an index, as docker's does; not for ever.
        for _ in 0..4 {
            let found = one(index.manifests)?;
            let text = blobs.document(&found)?;
            if found.media_type.contains("index") || found.media_type.contains("manifest.list") {
                index = json(&text, &found.digest)?;
                continue;
            }
            let manifest: Manifest = json(&text, &found.digest)?;
            if manifest.layers.len() > LAYERS {
                return Err(Error::new(format!("it has more than {LAYERS} layers")));
            }
            let config = json(&blobs.document(&manifest.config)?, &manifest.config.digest)?;
            return Ok(Self { blobs, manifest, config });
        }
        Err(Error::new("its index points to an index again and again"))
    }

    pub(super) fn is_archive(&self) -> bool {
        matches!(self.blobs, Blobs::Archive { .. })
    }

    /// What is said of each layer: the command that made it, where the history tells, or its digest.
    pub(super) fn layers(&self) -> Vec<String> {
        let history = self.config["history"].as_array().cloned().unwrap_or_default();
        let made = history.iter().filter(|step| step["empty_layer"] != true);
        let said: Vec<String> =
            made.map(|step| step["created_by"].as_str().unwrap_or_default().trim().to_owned()).collect();
        let layers = self.manifest.layers.iter().enumerate();
        layers
            .map(|(index, layer)| {
                let said = said.get(index).filter(|text| !text.is_empty() && said.len() == self.manifest.layers.len());
                said.unwrap_or(&layer.digest).chars().take(100).collect()
            })
            .collect()
    }

    /// The digest of each layer's blob.
    pub(super) fn digests(&self) -> Vec<String> {
        self.manifest.layers.iter().map(|layer| layer.digest.clone()).collect()
    }

    /// The configuration without what only repeats what the layers are.
    pub(super) fn config_text(&self) -> String {
        let mut config = self.config.clone();
        if let Some(config) = config.as_object_mut() {
            config.remove("rootfs");
        }
        let both = serde_json::json!({ "config": config, "annotations": self.manifest.annotations });
        serde_json::to_string_pretty(&both).unwrap_or_default()
    }

    /// Calls `visit` with each layer's place and its blob, whose digest is then checked.
    pub(super) fn each(&self, visit: &mut dyn FnMut(usize, &mut dyn Read) -> Result<()>) -> Result<()> {
        for (index, layer) in self.manifest.layers.iter().enumerate() {
            let what = || format!("layer {} ({})", index + 1, shown(&layer.digest));
            let mut blob = self.blobs.open(layer).context(what)?;
            // That it is another blob than it should be is the better reason for whatever went wrong.
            let visited = visit(index, &mut blob);
            blob.finish().context(what)?;
            visited.context(what)?;
        }
        Ok(())
    }
}

fn json<T: for<'a> Deserialize<'a>>(text: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(text).context(|| format!("{} is not what an OCI image has", shown(what)))
}

fn shown(text: &str) -> String {
    text.chars().take(100).filter(|letter| !letter.is_control()).collect()
}

/// The image that is meant: the only one, attestations apart, or the only one for this machine.
fn one(manifests: Vec<Descriptor>) -> Result<Descriptor> {
    let real = |found: &Descriptor| found.platform.as_ref().is_none_or(|platform| platform.os != "unknown");
    let mut found: Vec<Descriptor> = manifests.into_iter().filter(real).collect();
    if found.len() > 1 {
        let here = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        found.retain(|found| found.platform.as_ref().is_some_and(|platform| platform.architecture == here));
    }
    match <[Descriptor; 1]>::try_from(found) {
        Ok([found]) => Ok(found),
        Err(found) => Err(Error::new(format!("it holds {} images, and one is to be compared", found.len()))
            .hint("copy the one you mean to a layout of its own: `skopeo copy oci:LAYOUT:TAG oci:OTHER`")),
    }
}

impl Blobs {
    fn named(&self, name: &Path) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Directory(directory) => Ok(Box::new(archive::open(&directory.join(name))?)),
            Self::Archive { archive, members } => {
                let (at, length) = *members.get(name).ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(Part { archive, at, left: length }))
            }
        }
    }

    /// Opens a blob; its content is compared with its digest as it is read.
    fn open(&self, blob: &Descriptor) -> Result<Verified<'_>> {
        let unsound = || Error::new(format!("{:?} is not a digest", shown(&blob.digest)));
        let (algorithm, digest) = blob.digest.split_once(':').ok_or_else(unsound)?;
        let (hasher, length) = match algorithm {
            "sha256" => (Hasher::Sha256(Sha256::new()), 64),
            "sha512" => (Hasher::Sha512(Sha512::new()), 128),
            _ => return Err(unsound()),
        };
        if digest.len() != length || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(unsound());
        }
        let path = Path::new("blobs").join(algorithm).join(digest);
        let input = self.named(&path).context(|| format!("cannot read {}", path.display()))?;
        Ok(Verified { input, hasher, digest: digest.to_owned(), left: blob.size })
    }

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>> {
        if blob.size > DOCUMENT {
            return Err(Error::new(format!("{} is larger than a document may be", shown(&blob.digest))));
        }
        let mut input = self.open(blob)?;
        let mut text = Vec::new();
        input.read_to_end(&mut text).context(|| format!("cannot read {}", shown(&blob.digest)))?;
        input.finish()?;
        Ok(text)
    }
}

/// A member of an archive.
struct Part<'a> {
    archive: &'a File,
    at: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.archive.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// A blob, read no further than its descriptor says.
struct Verified<'a> {
    input: Box<dyn Read + 'a>,
    hasher: Hasher,
    digest: String,
    left: u64,
}

impl Read for Verified<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.input).take(self.left).read(buffer)?;
        self.left -= count as u64;
        match &mut self.hasher {
            Hasher::Sha256(hasher) => hasher.update(&buffer[..count]),
            Hasher::Sha512(hasher) => hasher.update(&buffer[..count]),
        }
        Ok(count)
    }
}

impl Verified<'_> {
    /// Reads the rest, and tells whether it all was what the digest says.
    fn finish(mut self) -> Result<()> {
        io::copy(&mut self, &mut io::sink()).context(|| "cannot read it".to_owned())?;
        let whole = self.left == 0 && self.input.read(&mut [0]).context(|| "cannot read it".to_owned())? == 0;
        let actual = match self.hasher {
            Hasher::Sha256(hasher) => hex::encode(hasher.finalize()),
            Hasher::Sha512(hasher) => hex::encode(hasher.finalize()),
        };
        if whole && actual == self.digest {
            return Ok(());
        }
        Err(Error::new("it is damaged: its content is not what its digest says"))
    }
}
