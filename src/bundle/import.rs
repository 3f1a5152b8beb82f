//! Takes a bundle into the cache: all of it, or nothing.

use std::path::Path;

use larder_proxy::store::{Digest, Imported, Staging, Store, StoreError, Taking};

use super::budget::sum;
use super::fault::{BundleError, Fault};
use super::read::{Contents, Nobody, Reader, Receiver};
use super::source::Watch;

/// What came of reading a bundle that could be read to its end.
pub enum Outcome<T> {
    /// All of it is right.
    Sound(Box<Contents>, T),
    /// Something in it is wrong, and nothing was stored.
    Unsound(Vec<Fault>),
}

/// Bodies go to the staging area of a store.
struct Staged {
    staging: Staging,
    in_place: bool,
}

impl Receiver for Staged {
    fn begin(&mut self, digest: &Digest) -> Result<(), StoreError> {
        self.staging.begin(digest)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.staging.write(bytes)
    }

    fn keep(&mut self, digest: Digest, size: u64) {
        self.staging.keep(digest, size);
    }

    fn discard(&mut self) {
        self.staging.discard();
    }

    fn takes_files(&self) -> bool {
        self.in_place
    }

    fn file(&mut self, digest: Digest, size: u64, path: &Path) -> Result<(), StoreError> {
        self.staging.link(digest, size, path)
    }
}

/// Reads a bundle to its end and stores nothing.
pub fn verify(path: &Path, watch: Watch<'_>) -> Result<Outcome<()>, BundleError> {
    let mut reader = Reader::open(path, watch)?;
    let contents = reader.contents()?;
    reader.bodies(&contents, &mut Nobody)?;
    Ok(if reader.faults().is_empty() {
        Outcome::Sound(Box::new(contents), ())
    } else {
        Outcome::Unsound(reader.faults().to_vec())
    })
}

/// Reads the head of a bundle: what it says it holds.
pub fn inspect(path: &Path, watch: Watch<'_>) -> Result<(Contents, Vec<Fault>), BundleError> {
    let mut reader = Reader::open(path, watch)?;
    let contents = reader.contents()?;
    Ok((contents, reader.faults().to_vec()))
}

/// Stores all that is in a bundle. With `in_place` large bodies of a directory stay there, and are linked to: for stores
/// that do not outlive it.
pub fn import(
    path: &Path,
    store: &Store,
    taking: Taking,
    in_place: bool,
    watch: Watch<'_>,
) -> Result<Outcome<Imported>, BundleError> {
    let mut reader = Reader::open(path, watch)?;
    let contents = reader.contents()?;
    if !reader.faults().is_empty() {
        return Ok(Outcome::Unsound(reader.faults().to_vec()));
    }
    room(store, &contents, in_place)?;
    let mut staged = Staged { staging: store.stage()?, in_place };
    reader.bodies(&contents, &mut staged)?;
    if !reader.faults().is_empty() {
        return Ok(Outcome::Unsound(reader.faults().to_vec()));
    }
    let nothing = Digest::of(b"");
    if contents.bodies.contains_key(&nothing) {
        staged.staging.begin(&nothing)?;
        staged.staging.keep(nothing, 0);
    }
    let imported = staged.staging.commit(&contents.arrivals, taking)?;
    Ok(Outcome::Sound(Box::new(contents), imported))
}

/// Fails where the disk has not the room: better told before the copy than after.
fn room(store: &Store, contents: &Contents, in_place: bool) -> Result<(), BundleError> {
    let needed = sum(contents.bodies.values().copied());
    let free = store.free_bytes()?;
    if !in_place && needed > free {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let path = store.root().to_owned();
        return Err(StoreError::Io { action: "take the bundle into", path, source }.into());
    }
    Ok(())
}
