//! Bodies out of what holds them: one after the other, each held to its digest and size.

use std::collections::BTreeMap;
use std::io::Read;

use larder_proxy::store::Digest;
use sha2::{Digest as _, Sha256 as Hasher};

use super::archive::{ArchiveReader, Name};
use super::fault::BundleError;
use super::frame::Frame;
use super::read::{BUFFER, Contents, Receiver};
use super::source::{Source, Watch};

/// What a pack's bodies are held to, and go to.
pub(super) struct Unpacking<'u, 'w> {
    pub watch: &'u Watch<'w>,
    pub contents: &'u Contents,
    pub receiver: &'u mut dyn Receiver,
    pub received: &'u mut BTreeMap<Digest, u64>,
    pub faults: &'u mut Vec<String>,
}

pub(super) fn unpack(
    input: impl std::io::BufRead,
    most: u64,
    what: &str,
    to: &mut Unpacking<'_, '_>,
) -> Result<(), BundleError> {
    let frame = Frame::new(input, what)?;
    // One byte more than was said, to tell an end from a cut.
    let mut archive = ArchiveReader::new(frame.take(most.saturating_add(1)));
    let mut sum = 0_u64;
    while let Some((name, size)) = archive.advance()? {
        let Name::Blob(hex) = &name else {
            return Err(BundleError::malformed(format!("it holds {name}")));
        };
        to.watch.budget.one()?;
        sum = sum.saturating_add(size);
        if !matches!(Digest::from_hex(hex).and_then(|digest| to.contents.bodies.get(&digest)), Some(said) if *said == size)
        {
            // Nobody wants it, and still it is unpacked to get behind it.
            to.watch.budget.spend(size)?;
        }
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
pub(super) fn copy(
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
pub(super) struct Hashing<'h, 'a> {
    pub input: &'h mut Source<'a>,
    pub watch: Watch<'a>,
    pub hasher: Hasher,
}

impl Read for Hashing<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.watch.budget.spend(count as u64).map_err(std::io::Error::other)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
