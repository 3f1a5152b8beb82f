//! What an image holds, name by name, without the content of its files: small enough to keep of two images.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::archive::inside;
use super::super::tar_reader::{Entry, Kind};
use crate::error::{Context, Error, Result};
use crate::guest::rooted::Attributes;

/// Most bytes of names, link targets and attributes that are kept of one image.
const TEXT_LIMIT: u64 = 2 << 30;
/// Most names of one image.
const NAME_LIMIT: usize = 10_000_000;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// One name of an image.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    pub(super) size: u64,
    /// Of a symbolic link.
    pub(super) target: Vec<u8>,
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
    /// SHA-256 of a regular file's content.
    pub(super) digest: [u8; 32],
    /// What its other names have, too.
    file: u64,
    /// Place of the layer it comes from.
    pub(super) layer: usize,
    /// The first name of the same file, if it is another.
    pub(super) twin: Option<PathBuf>,
}

/// The names of an image.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<PathBuf, Node>,
    files: u64,
    text: u64,
}

impl Tree {
    /// Takes the next entry of an archive or directory; `digest` is that of a regular file's content.
    /// `whiteouts` tells whether names that begin with `.wh.` remove what lower layers have (OCI image-spec, layer).
    pub(super) fn add(&mut self, entry: Entry, digest: [u8; 32], layer: usize, whiteouts: bool) -> Result<()> {
        let path = inside(&entry.path).context(|| what(&entry))?;
        if whiteouts && self.white_out(&path, layer) {
            return Ok(());
        }
        self.text += (entry.path.len() + entry.link.len()) as u64;
        self.text += entry.xattrs.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
        if self.text > TEXT_LIMIT || self.nodes.len() >= NAME_LIMIT {
            return Err(Error::new("it has more names than can be compared"));
        }
        let node = self.node(entry, digest, layer)?;
        // A directory keeps what it holds; anything else takes the place of all that was below its name.
        if node.kind != Kind::Directory && self.nodes.get(&path).is_some_and(|there| there.kind == Kind::Directory) {
            self.remove(&path, |_| true);
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    fn node(&mut self, entry: Entry, digest: [u8; 32], layer: usize) -> Result<Node> {
        if entry.kind == Kind::HardLink {
            let target = inside(&entry.link).context(|| what(&entry))?;
            let existing = self.nodes.get(&target).filter(|node| node.kind != Kind::Directory);
            let existing = existing.ok_or_else(|| Error::new(format!("{}: a hard link to nothing", what(&entry))))?;
            return Ok(Node { layer, ..existing.clone() });
        }
        self.files += 1;
        let Entry { kind, attributes, size, link: target, device, mut xattrs, .. } = entry;
        let size = if kind == Kind::File { size } else { 0 };
        xattrs.sort();
        Ok(Node { kind, attributes, size, target, device, xattrs, digest, file: self.files, layer, twin: None })
    }

    /// Whether the name is a whiteout, which has then been applied.
    fn white_out(&mut self, path: &Path, layer: usize) -> bool {
        let Some(name) = path.file_name().map(OsStr::as_bytes) else { return false };
        let Some(hidden) = name.strip_prefix(WHITEOUT) else { return false };
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        if name == OPAQUE {
            let directory_itself = directory.clone();
            self.remove_where(&directory, |path, node| node.layer < layer && path != directory_itself);
        } else if !hidden.starts_with(WHITEOUT) && !hidden.is_empty() {
            self.remove(&directory.join(OsStr::from_bytes(hidden)), |node| node.layer < layer);
        }
        true
    }

    fn remove(&mut self, path: &Path, which: impl Fn(&Node) -> bool) {
        self.remove_where(path, |_, node| which(node));
    }

    fn remove_where(&mut self, path: &Path, which: impl Fn(&Path, &Node) -> bool) {
        let below = self.nodes.range(path.to_owned()..).take_while(|(name, _)| name.starts_with(path));
        let gone: Vec<PathBuf> = below.filter(|(name, node)| which(name, node)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.nodes.remove(&name);
        }
    }

    /// Works out which names are of one file.
    pub(super) fn finish(&mut self) {
        let mut first: HashMap<u64, PathBuf> = HashMap::new();
        for (path, node) in &mut self.nodes {
            match first.get(&node.file) {
                Some(twin) => node.twin = Some(twin.clone()),
                None => drop(first.insert(node.file, path.clone())),
            }
        }
    }
}

fn what(entry: &Entry) -> String {
    format!("entry {:?}", String::from_utf8_lossy(&entry.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind, link: &str) -> Entry {
        Entry {
            path: path.into(),
            link: link.into(),
            kind,
            attributes: Attributes { mode: 0o644, uid: 0, gid: 0, mtime: (0, 0) },
            size: 0,
            device: (0, 0),
            xattrs: Vec::new(),
        }
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.nodes.keys().map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn upper_layers_remove_and_replace() {
        let mut tree = Tree::default();
        let add = |tree: &mut Tree, layer, path, kind| tree.add(entry(path, kind, ""), [0; 32], layer, true).unwrap();
        for (path, kind) in [
            ("./", Kind::Directory),
            ("./a/", Kind::Directory),
            ("./a/x", Kind::File),
            ("./a-b", Kind::File),
            ("./gone/", Kind::Directory),
            ("./gone/f", Kind::File),
            ("./o/", Kind::Directory),
            ("./o/old", Kind::File),
            ("./d/", Kind::Directory),
            ("./d/f", Kind::File),
        ] {
            add(&mut tree, 0, path, kind);
        }
        for (path, kind) in [
            ("./a/.wh.x", Kind::File),
            ("./.wh.gone", Kind::File),
            ("./o/new", Kind::File),
            // Only what lower layers have, wherever it stands in its own.
            ("./o/.wh..wh..opq", Kind::File),
            ("./d", Kind::Symlink),
            ("./.wh..wh.plnk", Kind::File),
        ] {
            add(&mut tree, 1, path, kind);
        }
        assert_eq!(names(&tree), ["", "a", "a-b", "d", "o", "o/new"]);
    }

    #[test]
    fn names_of_one_file_know_of_each_other() {
        let mut tree = Tree::default();
        tree.add(entry("b", Kind::File, ""), [7; 32], 0, false).unwrap();
        tree.add(entry("a", Kind::HardLink, "./b"), [0; 32], 0, false).unwrap();
        tree.finish();
        assert_eq!(tree.nodes[Path::new("b")].twin.as_deref(), Some(Path::new("a")));
        assert_eq!(tree.nodes[Path::new("a")].digest, [7; 32]);
        for (path, link) in [("c", "nothing"), ("c", "../b"), ("../c", "b")] {
            assert!(tree.add(entry(path, Kind::HardLink, link), [0; 32], 0, false).is_err(), "{path} {link}");
        }
    }
}
