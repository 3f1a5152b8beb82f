//! What is different between a tree and the one below it: what a layer of a container image holds.
//!
//! The two are compared as trees, whatever they are made of. So overlays, which hold only what a step has written,
//! and whole copies give the same layers; what a step wrote just as it was before is in neither.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::super::archive::{self, stop_if};
use crate::engine::clamp::Clamp;
use crate::error::{Context as _, Result};
use crate::guest::layers::{Entry, Layers, Node};
use crate::guest::xattr;
use crate::pack::Stoppable;

/// A difference, at a path.
#[derive(Debug)]
pub(super) enum Change<'a> {
    /// Something that is new or other than before; or a directory, as it was, in which something is different.
    Present(&'a Entry),
    /// Something that is gone.
    Removed(&'a Path),
}

/// Calls `visit` for each difference, parents before children and names in byte order. Times beyond
/// `clamp` are the same.
pub(super) fn difference(
    below: &Layers,
    now: &Layers,
    clamp: Clamp,
    cancel: &CancellationToken,
    visit: &mut dyn FnMut(&Change<'_>) -> Result<()>,
) -> Result<()> {
    let mut links = Links::default();
    compare(below, now, &mut |_, below, now| {
        stop_if(cancel)?;
        links.add(below, now);
        Ok(())
    })?;
    // Directories on the way to where the walk is that have not been told of, for no difference was met in them yet.
    let mut parents: Vec<Entry> = Vec::new();
    compare(below, now, &mut |path, below, now| {
        stop_if(cancel)?;
        parents.retain(|parent| path != parent.path && path.starts_with(&parent.path));
        let kept = match (below, now) {
            (Some(below), Some(now)) => {
                links.same(below, now)
                    && same(below, now, clamp, cancel).context(|| format!("cannot compare {}", now.source.display()))?
            }
            _ => false,
        };
        match now {
            Some(now) if kept && now.metadata.is_dir() => parents.push(now.clone()),
            _ if kept => {}
            _ => {
                for parent in parents.drain(..) {
                    visit(&Change::Present(&parent))?;
                }
                visit(&now.map_or(Change::Removed(path), Change::Present))?;
            }
        }
        Ok(())
    })
}

/// Is given a path and what is there in either tree.
type Visit<'a> = dyn FnMut(&Path, Option<&Entry>, Option<&Entry>) -> Result<()> + 'a;

/// A name in both trees, or in one.
type Pair = (Option<Node>, Option<Node>);

/// Calls `visit` for every path of either tree that does not lie in the same place in both.
fn compare(below: &Layers, now: &Layers, visit: &mut Visit<'_>) -> Result<()> {
    let root: Pair = (Some(below.root()?), Some(now.root()?));
    // A stack of its own: a guest can nest directories deeper than a thread's stack is high.
    let mut levels = vec![BTreeMap::from([(OsString::new(), root)]).into_iter()];
    let mut path = PathBuf::new();
    while let Some(level) = levels.last_mut() {
        let Some((name, (below, now))) = level.next() else {
            levels.pop();
            path.pop();
            continue;
        };
        if below == now {
            continue;
        }
        let here = if levels.len() == 1 { PathBuf::new() } else { path.join(&name) };
        let (old, new) = (entry(below.as_ref(), &here)?, entry(now.as_ref(), &here)?);
        if old.is_none() && new.is_none() {
            continue;
        }
        visit(&here, old.as_ref(), new.as_ref())?;
        if new.is_some_and(|entry| entry.metadata.is_dir()) {
            let below = below.filter(|_| old.is_some_and(|entry| entry.metadata.is_dir()));
            levels.push(pairs(below.as_ref(), now.as_ref())?.into_iter());
            path = here;
        }
    }
    Ok(())
}

/// What is there; nothing for a socket, which no archive holds.
fn entry(node: Option<&Node>, path: &Path) -> Result<Option<Entry>> {
    let Some(node) = node else { return Ok(None) };
    let entry = node.entry(path.to_owned())?;
    Ok(Some(entry).filter(|entry| !entry.metadata.file_type().is_socket()))
}

fn pairs(below: Option<&Node>, now: Option<&Node>) -> Result<BTreeMap<OsString, Pair>> {
    let mut names: BTreeMap<OsString, Pair> = BTreeMap::new();
    for (name, node) in below.map(Node::children).transpose()?.unwrap_or_default() {
        names.entry(name).or_default().0 = Some(node);
    }
    for (name, node) in now.map(Node::children).transpose()?.unwrap_or_default() {
        names.entry(name).or_default().1 = Some(node);
    }
    Ok(names)
}

/// The names of files that have several, in each tree.
#[derive(Default)]
struct Links {
    below: HashMap<(u64, u64), BTreeSet<PathBuf>>,
    now: HashMap<(u64, u64), BTreeSet<PathBuf>>,
}

impl Links {
    fn add(&mut self, below: Option<&Entry>, now: Option<&Entry>) {
        for (names, entry) in [(&mut self.below, below), (&mut self.now, now)] {
            if let Some(entry) = entry.filter(|entry| has_links(entry)) {
                names.entry(identity(entry)).or_default().insert(entry.path.clone());
            }
        }
    }

    /// Whether a file has the same names in both.
    fn same(&self, below: &Entry, now: &Entry) -> bool {
        match (has_links(below), has_links(now)) {
            (false, false) => true,
            (true, true) => {
                below.metadata.nlink() == now.metadata.nlink()
                    && self.below.get(&identity(below)) == self.now.get(&identity(now))
            }
            _ => false,
        }
    }
}

fn has_links(entry: &Entry) -> bool {
    entry.metadata.nlink() > 1 && !entry.metadata.is_dir()
}

fn identity(entry: &Entry) -> (u64, u64) {
    (entry.metadata.dev(), entry.metadata.ino())
}

/// Whether an archive would hold the same of both.
fn same(below: &Entry, now: &Entry, clamp: Clamp, cancel: &CancellationToken) -> io::Result<bool> {
    let (old, new) = (&below.metadata, &now.metadata);
    // The mode has the type in it.
    if (old.mode(), old.uid(), old.gid()) != (new.mode(), new.uid(), new.gid())
        || clamp.time((old.mtime(), 0)) != clamp.time((new.mtime(), 0))
    {
        return Ok(false);
    }
    let kind = new.file_type();
    if kind.is_symlink() {
        return Ok(fs::read_link(&below.source)? == fs::read_link(&now.source)?);
    }
    if kind.is_dir() {
        return Ok(xattr::list(&below.source)? == xattr::list(&now.source)?);
    }
    if !kind.is_file() {
        return Ok(old.rdev() == new.rdev());
    }
    Ok(old.len() == new.len()
        && xattr::list(&below.source)? == xattr::list(&now.source)?
        && same_content(Stoppable::new(archive::open(&below.source)?, cancel), archive::open(&now.source)?)?)
}

fn same_content(mut one: impl Read, mut other: File) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 128 << 10], vec![0; 128 << 10]);
    loop {
        let count = one.read(&mut left)?;
        if count == 0 {
            return Ok(other.read(&mut right)? == 0);
        }
        match other.read_exact(&mut right[..count]) {
            Ok(()) if left[..count] == right[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
