//! Writes a bundle.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use larder_proxy::store::{Digest, Store};
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::{ArchiveWriter, Name};
use super::budget::sum;
use super::document::{
    ANSWERS, ARTIFACT, BODIES, BODY, Descriptor, FIRST, Index, LAST, LAYOUT, MANIFEST, Manifest, PACK, README, RECORD,
    TEMPLATE, TITLE, UNPACKED, answers_text,
};
use super::frame;
use super::gather::{Plan, shown};
use super::output::{Output, Written};
use crate::error::{Context as _, Error, Result};

/// Bodies below this size go into packs: registries take a manifest of some thousand blobs, not of more.
const SMALL: u64 = 1 << 20;
/// Bytes of a pack before it is packed.
const PACKED: u64 = 32 << 20;

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
    let mut writing = Writing { store, plan, telling, done: 0, total: sum(plan.bodies.values().copied()) };
    let packs = writing.packs(folder, mtime)?;
    let mut layers = Vec::new();
    let mut documents = Vec::new();
    let mut add = |media_type: &str, title: &str, content: Vec<u8>| {
        let descriptor = Descriptor::new(media_type, &Digest::of(&content), content.len() as u64).with(TITLE, &title);
        layers.push(descriptor);
        documents.push(content);
    };
    add(ANSWERS, "answers.json", answers_text(&plan.answers)?.into_bytes());
    if let Some(template) = plan.template() {
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
            .with(UNPACKED, &unpacked)
            .with(BODIES, &bodies.len());
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
    let sum = sum(plan.bodies.values().copied());
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
