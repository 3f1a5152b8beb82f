//! What must hold of a bundle, whatever its bytes. For `fuzz/`; see `docs/reference/fuzzing.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicBool;

use larder_proxy::store::{Digest, StoreError};
use rustix::fs::{MemfdFlags, memfd_create};
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::{ArchiveWriter, Name};
use super::budget::{Budget, Limits};
use super::document::{ANSWERS, ARTIFACT, BODY, Descriptor, INDEX, Index, LAYOUT, MANIFEST, Manifest, PACK, RECORD};
use super::document::{TEMPLATE, UNPACKED};
use super::frame;
use super::read::{BUFFER, Reader, Receiver};
use super::source::Watch;

/// What may come out: more than any input here needs.
const LIMITS: Limits = Limits { total: 8 << 20, count: 200, ratio: 50 };
/// Between the documents that a bundle is made of.
const BETWEEN: u8 = 0x1e;
const BLOCK: usize = 512;

/// The first byte says what the rest is: a whole bundle; one whose archive's check sums are to be set right; or the
/// documents and the pack of one, to be put together with digests and sizes that fit, so that what lies behind them is
/// reached.
pub fn bundles(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let bytes = match first & 3 {
        0 => rest.to_vec(),
        1 => with_sums(rest),
        _ => {
            let archive = put_together(rest, first & 4 != 0);
            if first & 8 != 0 { packed(&archive) } else { archive }
        }
    };
    let file = File::from(memfd_create("bundle", MemfdFlags::CLOEXEC).expect("memory for a file"));
    (&file).write_all(&bytes).expect("memory for a file");
    judge(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())));
}

/// Reads it as an import does. What is handed on is what was promised, and no more than may be.
fn judge(path: &Path) {
    let never = AtomicBool::new(false);
    let budget = Rc::new(Budget::new(LIMITS));
    let watch = Watch { budget, cancel: &never, progress: &|_| {}, trusted: None };
    let Ok(mut reader) = Reader::open(path, watch) else { return };
    let Ok(contents) = reader.contents() else { return };
    let mut taken = Taken::default();
    let read = reader.bodies(&contents, &mut taken);
    assert!(taken.written <= LIMITS.total + BUFFER as u64, "{} bytes were handed on", taken.written);
    assert!(taken.begun <= LIMITS.count, "{} bodies were handed on", taken.begun);
    for (digest, size) in &taken.kept {
        assert_eq!(contents.bodies.get(digest), Some(size), "a body that belongs to no answer was kept");
    }
    if read.is_ok() && reader.faults().is_empty() {
        let empty = Digest::of(b"");
        for (digest, size) in contents.bodies.iter().filter(|(digest, _)| **digest != empty) {
            assert_eq!(taken.kept.get(digest), Some(size), "said to be sound, and {digest} did not come");
        }
    }
    for fault in reader.faults() {
        assert!(!fault.0.chars().any(char::is_control), "{:?}", fault.0);
    }
}

/// Takes bodies, and remembers no more of them than their digests.
#[derive(Default)]
struct Taken {
    now: Option<(Hasher, u64)>,
    kept: BTreeMap<Digest, u64>,
    written: u64,
    begun: u64,
}

impl Receiver for Taken {
    fn begin(&mut self, _: &Digest) -> Result<(), StoreError> {
        self.begun += 1;
        self.now = Some((Hasher::new(), 0));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let (hasher, size) = self.now.as_mut().expect("a body that has begun");
        hasher.update(bytes);
        *size += bytes.len() as u64;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn keep(&mut self, digest: Digest, size: u64) {
        let (hasher, written) = self.now.take().expect("a body that has begun");
        assert_eq!((Digest(hasher.finalize().into()), written), (digest, size), "another body was kept");
        assert!(self.kept.insert(digest, size).is_none(), "{digest} was kept twice");
    }

    fn discard(&mut self) {
        self.now = None;
    }
}

/// Every block that may be a header gets the check sum that it should have.
fn with_sums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = frame::pack(Vec::new()).expect("an encoder");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A bundle of a record, answers, a template, the archive of a pack, and a body.
fn put_together(data: &[u8], is_packed: bool) -> Vec<u8> {
    let mut parts = data.split(|&byte| byte == BETWEEN);
    let mut next = || parts.next().unwrap_or_default().to_vec();
    let (record, answers, template, pack, body) = (next(), next(), next(), next(), next());
    let unpacked = with_sums(&pack);
    let pack = if is_packed { packed(&unpacked) } else { pack };
    let of = |kind: &str, blob: &[u8]| Descriptor::new(kind, &Digest::of(blob), blob.len() as u64);
    let mut layers = vec![of(ANSWERS, &answers), of(TEMPLATE, &template)];
    layers.push(of(PACK, &pack).with(UNPACKED, &unpacked.len()));
    layers.push(of(BODY, &body));
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: ARTIFACT.to_owned(),
        config: of(RECORD, &record),
        layers,
    };
    let manifest = serde_json::to_vec(&manifest).expect("it is JSON");
    let mut index = Index::of(of(MANIFEST, &manifest));
    INDEX.clone_into(&mut index.media_type);
    let index = serde_json::to_vec(&index).expect("it is JSON");
    let mut archive = ArchiveWriter::new(Vec::new(), 0);
    let mut put = |name: &Name, content: &[u8]| {
        let size = content.len() as u64;
        archive.begin(name, size).and_then(|()| archive.content(content)).and_then(|()| archive.pad(size))
    };
    let blob = |blob: &[u8]| Name::Blob(Digest::of(blob).to_string());
    let files = [(Name::Layout, LAYOUT.as_bytes()), (Name::Index, &index)];
    let blobs =
        [&manifest, &record, &answers, &template, &pack, &body].map(|content| (blob(content), content.as_slice()));
    for (name, content) in files.iter().chain(&blobs) {
        put(name, content).expect("memory");
    }
    archive.finish().expect("memory")
}

#[cfg(test)]
mod tests;
