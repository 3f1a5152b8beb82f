//! A guest's file tree as its overlay layers make it, read without mounting it.
//!
//! Layers are host directories that nothing writes to meanwhile. Whiteouts are character devices 0/0; a directory
//! with `user.overlay.opaque` (or `trusted.overlay.opaque`) hides what is below it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Result};

/// Layers of one tree, the lowest first.
#[derive(Clone, Debug)]
pub struct Layers {
    directories: Vec<PathBuf>,
}

/// Something in the merged tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Path in the tree, relative to its root; empty for the root itself.
    pub path: PathBuf,
    /// Where it lies on the host: the uppermost layer that has it. Its last component is not to be followed.
    pub source: PathBuf,
    /// What `lstat` says of it.
    pub metadata: Metadata,
}

impl Layers {
    /// Layers, the lowest (the base) first. Later ones lie on top.
    pub fn new(lowest_first: impl Into<Vec<PathBuf>>) -> Self {
        Self { directories: lowest_first.into() }
    }

    /// The layer directories, the lowest first.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// What is at `path` in the merged tree, taken literally: links are not followed.
    pub fn find(&self, path: &Path) -> io::Result<Option<Entry>> {
        let parts: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let mut found = Merged::Open(Vec::new());
        for directory in self.directories.iter().rev() {
            found.add(directory.clone(), &fs::symlink_metadata(directory)?)?;
        }
        let mut here = PathBuf::new();
        for part in parts {
            here.push(part);
            let mut next: Option<Merged> = None;
            for directory in found.paths() {
                let candidate = directory.join(part);
                let metadata = match fs::symlink_metadata(&candidate) {
                    Ok(metadata) => metadata,
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(error),
                };
                next.get_or_insert_with(|| Merged::Open(Vec::new())).add(candidate, &metadata)?;
            }
            match next {
                Some(next) if !next.paths().is_empty() => found = next,
                _ => return Ok(None),
            }
        }
        let Some(source) = found.paths().first().cloned() else { return Ok(None) };
        let metadata = fs::symlink_metadata(&source)?;
        Ok(Some(Entry { path: here, source, metadata }))
    }

    /// Follows `path` through links as the guest would, within the tree. `None` if it leads nowhere, or in circles.
    pub fn follow(&self, path: &Path) -> io::Result<Option<Entry>> {
        let mut rest: Vec<OsString> = normal_parts(path).rev().collect();
        let mut here = PathBuf::new();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            let Some(entry) = self.find(&here.join(&part))? else { return Ok(None) };
            if entry.metadata.is_symlink() {
                links += 1;
                if links > 40 {
                    return Ok(None);
                }
                let target = fs::read_link(&entry.source)?;
                if target.is_absolute() {
                    here = PathBuf::new();
                }
                rest.extend(normal_parts(&target).rev());
            } else {
                here.push(part);
            }
        }
        self.find(&here)
    }

    /// Calls `visit` for the root and everything below it, parents before children, names in byte order.
    /// Where `visit` answers `false` for a directory, what is in it is passed over.
    pub fn walk(&self, visit: &mut dyn FnMut(&Entry) -> Result<bool>) -> Result<()> {
        let root = self.merged_root()?;
        // A stack of its own: a guest can nest directories deeper than a thread's stack is high.
        let mut levels = vec![BTreeMap::from([(OsString::new(), root)]).into_iter()];
        let mut path = PathBuf::new();
        while let Some(level) = levels.last_mut() {
            let Some((name, merged)) = level.next() else {
                levels.pop();
                path.pop();
                continue;
            };
            let Some(source) = merged.paths().first() else { continue };
            let metadata = fs::symlink_metadata(source).context(|| cannot_read(source))?;
            let is_dir = metadata.is_dir();
            let here = if levels.len() == 1 { PathBuf::new() } else { path.join(&name) };
            let entry = Entry { path: here, source: source.clone(), metadata };
            if visit(&entry)? && is_dir {
                levels.push(children(merged.paths())?.into_iter());
                path = entry.path;
            }
        }
        Ok(())
    }
}

impl Layers {
    /// The root of the merged tree.
    pub fn root(&self) -> Result<Node> {
        Ok(Node(self.merged_root()?.into_paths()))
    }

    fn merged_root(&self) -> Result<Merged> {
        let mut root = Merged::Open(Vec::new());
        for directory in self.directories.iter().rev() {
            let metadata = fs::symlink_metadata(directory).context(|| cannot_read(directory))?;
            root.add(directory.clone(), &metadata).context(|| cannot_read(directory))?;
        }
        Ok(root)
    }
}

/// A name in the merged tree, by where it lies on the host: several places for a directory that layers share, the
/// uppermost first. Two that lie in the same places are the same, with all in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node(Vec<PathBuf>);

impl Node {
    /// What is there, as an entry at `path`.
    pub fn entry(&self, path: PathBuf) -> Result<Entry> {
        let source = self.0.first().cloned().unwrap_or_default();
        let metadata = fs::symlink_metadata(&source).context(|| cannot_read(&source))?;
        Ok(Entry { path, source, metadata })
    }

    /// The names in it, if it is a directory, without those that a layer has removed.
    pub fn children(&self) -> Result<BTreeMap<OsString, Self>> {
        let merged = children(&self.0)?.into_iter().map(|(name, merged)| (name, Self(merged.into_paths())));
        Ok(merged.filter(|(_, node)| !node.0.is_empty()).collect())
    }
}

/// The merged names of a directory, uppermost source first.
fn children(sources: &[PathBuf]) -> Result<BTreeMap<OsString, Merged>> {
    let mut names: BTreeMap<OsString, Merged> = BTreeMap::new();
    for directory in sources {
        for entry in fs::read_dir(directory).context(|| cannot_read(directory))? {
            let entry = entry.context(|| cannot_read(directory))?;
            let metadata = entry.metadata().context(|| cannot_read(&entry.path()))?;
            let merged = names.entry(entry.file_name()).or_insert_with(|| Merged::Open(Vec::new()));
            merged.add(entry.path(), &metadata).context(|| cannot_read(&entry.path()))?;
        }
    }
    Ok(names)
}

/// The sources of one name, uppermost first; closed once a lower layer no longer shows through.
#[derive(Debug)]
enum Merged {
    Open(Vec<PathBuf>),
    Closed(Vec<PathBuf>),
}

impl Merged {
    fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Open(paths) | Self::Closed(paths) => paths,
        }
    }

    fn into_paths(self) -> Vec<PathBuf> {
        match self {
            Self::Open(paths) | Self::Closed(paths) => paths,
        }
    }

    /// Takes the same name of the next lower layer.
    fn add(&mut self, path: PathBuf, metadata: &Metadata) -> io::Result<()> {
        let Self::Open(paths) = self else { return Ok(()) };
        let mut paths = std::mem::take(paths);
        let closed = if metadata.is_dir() {
            let opaque = is_opaque(&path)?;
            paths.push(path);
            opaque
        } else {
            if paths.is_empty() && !is_whiteout(metadata) {
                paths.push(path);
            }
            true
        };
        *self = if closed { Self::Closed(paths) } else { Self::Open(paths) };
        Ok(())
    }
}

/// Whether this is overlayfs' mark for a removed name.
pub fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(directory: &Path) -> io::Result<bool> {
    for name in ["user.overlay.opaque", "trusted.overlay.opaque"] {
        let mut value = [0_u8; 8];
        match rustix::fs::lgetxattr(directory, name, &mut value) {
            Ok(1) if value[0] == b'y' => return Ok(true),
            Ok(_) | Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}

fn normal_parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    })
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, XattrFlags, makedev, mknodat, setxattr};

    fn whiteout(path: &Path) {
        mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).unwrap();
    }

    #[test]
    fn deep_trees_are_walked_on_a_small_stack() {
        let directory = tempfile::tempdir().unwrap();
        let mut path = directory.path().to_owned();
        while path.as_os_str().len() < 3900 {
            path.push("d");
        }
        fs::create_dir_all(path.join("e")).unwrap();
        fs::write(path.join("file"), "").unwrap();
        let layers = Layers::new([directory.path().to_owned()]);
        let walk = move || {
            let mut last = PathBuf::new();
            layers.walk(&mut |entry| {
                last.clone_from(&entry.path);
                Ok(true)
            })?;
            Ok::<_, crate::error::Error>(last)
        };
        let last = std::thread::Builder::new().stack_size(128 << 10).spawn(walk).unwrap().join().unwrap().unwrap();
        assert!(last.ends_with("d/file") && last.as_os_str().len() > 3000, "{last:?}");
    }

    #[test]
    fn upper_layers_hide_lower_ones() {
        let directory = tempfile::tempdir().unwrap();
        let [base, upper] = ["base", "upper"].map(|name| directory.path().join(name));
        for path in ["base/a/b", "base/opaque/x", "base/gone", "upper/a", "upper/opaque"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        for (path, content) in [
            ("base/a/one", "1"),
            ("base/a/two", "2"),
            ("base/gone/f", ""),
            ("upper/a/two", "new"),
            ("upper/a/b", "file over directory"),
            ("upper/opaque/y", ""),
        ] {
            fs::write(directory.path().join(path), content).unwrap();
        }
        whiteout(&upper.join("gone"));
        whiteout(&upper.join("never"));
        setxattr(upper.join("opaque"), "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        std::os::unix::fs::symlink("/a/../a/two", upper.join("link")).unwrap();
        let layers = Layers::new([base, upper.clone()]);
        let mut seen = Vec::new();
        layers
            .walk(&mut |entry| {
                seen.push(entry.path.display().to_string());
                Ok(true)
            })
            .unwrap();
        assert_eq!(seen, ["", "a", "a/b", "a/one", "a/two", "link", "opaque", "opaque/y"]);
        assert_eq!(layers.find(Path::new("/a/two")).unwrap().unwrap().source, upper.join("a/two"));
        assert!(layers.find(Path::new("gone/f")).unwrap().is_none());
        assert!(layers.find(Path::new("opaque/x")).unwrap().is_none());
        assert_eq!(layers.follow(Path::new("link")).unwrap().unwrap().path, Path::new("a/two"));
    }
}
