//! What differs between two images, name by name.

mod content;
mod image;
mod oci;
mod tree;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::archive::{Limits, stop_if};
use super::tar_reader::Kind;
use crate::error::{Context, Result};
use crate::pack::Stoppable;
use image::Image;
use tree::{Node, Tree};

/// What to compare, and how closely.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an image may unpack to.
    pub limits: Limits,
    /// Whether times of change count.
    pub times: bool,
    /// Globs of paths that are left out.
    pub exclude: globset::GlobSet,
    /// Lines shown of how a text differs.
    pub lines: usize,
}

/// Largest file whose content is looked into.
const CONTENT_LIMIT: u64 = 4 << 20;
/// Most bytes of such files of one image, all together.
const CONTENT_TOTAL: u64 = 256 << 20;

/// One of the two images.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// Where it is.
    pub path: PathBuf,
    /// `directory`, `tar`, `oci` or `oci-archive`.
    pub form: &'static str,
    /// Names it holds.
    pub entries: usize,
    /// What made each layer of an OCI image, the lowest first.
    pub layers: Vec<String>,
    /// The digest of each layer's blob.
    pub digests: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The first image.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// How the configurations of OCI images differ, as a unified diff.
    pub config: Option<String>,
    /// By path.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Places, from 1, of layers whose blobs are not the same, where both images have as many.
    pub fn other_layers(&self) -> Vec<usize> {
        let (a, b) = (&self.a.digests, &self.b.digests);
        if a.len() != b.len() {
            return Vec::new();
        }
        a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b).map(|(index, _)| index + 1).collect()
    }

    /// Whether the images hold the same.
    pub fn equal(&self) -> bool {
        self.differences.is_empty() && self.config.is_none()
    }
}

/// A name that is not the same in both.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// From the root, without a leading slash; what is not UTF-8 is replaced.
    pub path: String,
    /// Whether it is in one image only.
    pub what: What,
    /// What it is, in the second image where it is in both.
    pub kind: &'static str,
    /// Bytes of a file.
    pub size: u64,
    /// Place of the layer that it comes from in the first image, counted from 1; of OCI images only.
    pub layer_a: Option<usize>,
    /// The same in the second.
    pub layer_b: Option<usize>,
    /// How it differs.
    pub changes: Vec<Change>,
}

/// Where a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// In the first only.
    Removed,
    /// In the second only.
    Added,
    /// In both.
    Changed,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `type`, `mode`, `owner`, `time`, `target`, `link`, `device`, `xattr` or `content`.
    pub of: &'static str,
    /// As it is in the first image.
    pub a: String,
    /// As it is in the second.
    pub b: String,
    /// A word on how contents differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of texts: a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Change {
    fn of(of: &'static str, a: impl Into<String>, b: impl Into<String>) -> Self {
        Self { of, a: a.into(), b: b.into(), note: None, diff: None }
    }
}

/// Compares two images.
///
/// # Errors
/// An image that is absent, unreadable, damaged, of a form that is not known, or larger than the limits.
pub fn compare(a: &Path, b: &Path, options: &Options, cancel: &CancellationToken) -> Result<Comparison> {
    let images = [Image::open(a, &options.limits)?, Image::open(b, &options.limits)?];
    let trees = [index(&images[0], options, cancel)?, index(&images[1], options, cancel)?];
    let mut differences = differences(&trees, options);
    let differing: BTreeMap<PathBuf, u64> = trees[0]
        .nodes
        .iter()
        .filter_map(|(path, a)| {
            let b = trees[1].nodes.get(path)?;
            let is = a.kind == Kind::File && b.kind == Kind::File && a.digest != b.digest;
            (is && a.size.max(b.size) <= CONTENT_LIMIT).then(|| (path.clone(), a.size.max(b.size)))
        })
        .collect();
    let [contents_a, contents_b] = [
        contents(&images[0], &trees[0], &differing, options, cancel)?,
        contents(&images[1], &trees[1], &differing, options, cancel)?,
    ];
    for (path, difference) in &mut differences {
        let (Some(a), Some(b)) = (contents_a.get(path), contents_b.get(path)) else { continue };
        if let Some(change) = difference.changes.iter_mut().find(|change| change.of == "content") {
            // A password or key is not to get into the log of whoever compares.
            let public = trees.iter().all(|tree| tree.nodes.get(path).is_some_and(|n| n.attributes.mode & 0o004 != 0));
            (change.note, change.diff) = match content::explain(path, a, b, options.lines) {
                (None, Some(_)) if !public => (Some("not shown: not everybody may read it".to_owned()), None),
                (note, diff) => (note, diff.filter(|_| public)),
            };
        }
    }
    let (config_a, config_b) = (images[0].config(), images[1].config());
    let both_have_one = !config_a.is_empty() && !config_b.is_empty();
    let side = |path: &Path, image: &Image, tree: &Tree| Side {
        path: path.to_owned(),
        form: image.form(),
        entries: tree.nodes.len(),
        layers: image.layers(),
        digests: image.digests(),
    };
    Ok(Comparison {
        a: side(a, &images[0], &trees[0]),
        b: side(b, &images[1], &trees[1]),
        config: (both_have_one && config_a != config_b).then(|| content::unified(&config_a, &config_b, usize::MAX)),
        differences: differences.into_iter().map(|(_, difference)| difference).collect(),
    })
}

/// The names of an image, with a digest of each file.
fn index(image: &Image, options: &Options, cancel: &CancellationToken) -> Result<Tree> {
    let mut tree = Tree::default();
    let whiteouts = matches!(image, Image::Oci(_));
    image.each(&options.limits, &mut |layer, entry, content| {
        stop_if(cancel)?;
        let digest = if entry.kind == Kind::File {
            digest(&mut Stoppable::new(content, cancel)).context(|| shown(&entry.path))?
        } else {
            [0; 32]
        };
        tree.add(entry, digest, layer, whiteouts)
    })?;
    tree.finish();
    Ok(tree)
}

fn shown(path: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(path))
}

fn digest(content: &mut dyn Read) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The content of those of the differing files that may be looked into, read in a second pass.
fn contents(
    image: &Image,
    tree: &Tree,
    differing: &BTreeMap<PathBuf, u64>,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    // Both images leave out the same files.
    let mut total = 0;
    let fits = |&(_, size): &(&PathBuf, &u64)| {
        total += size;
        total <= CONTENT_TOTAL
    };
    let wanted: HashSet<&Path> = differing.iter().take_while(fits).map(|(path, _)| path.as_path()).collect();
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    image.each(&options.limits, &mut |layer, entry, content| {
        stop_if(cancel)?;
        let Ok(path) = super::archive::inside(&entry.path) else { return Ok(()) };
        let here = tree.nodes.get(&path).is_some_and(|node| node.layer == layer);
        if here && entry.kind == Kind::File && wanted.contains(path.as_path()) {
            let mut bytes = Vec::new();
            content.take(CONTENT_LIMIT).read_to_end(&mut bytes).context(|| shown(&entry.path))?;
            found.insert(path, bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// All names that differ, in order.
fn differences(trees: &[Tree; 2], options: &Options) -> Vec<(PathBuf, Difference)> {
    let [a, b] = [&trees[0].nodes, &trees[1].nodes];
    let mut found: BTreeMap<&PathBuf, (What, Vec<Change>)> = BTreeMap::new();
    for (path, node) in a {
        match b.get(path) {
            None => drop(found.insert(path, (What::Removed, Vec::new()))),
            Some(other) => {
                let changes = changes(node, other, options);
                if !changes.is_empty() {
                    found.insert(path, (What::Changed, changes));
                }
            }
        }
    }
    found.extend(b.keys().filter(|path| !a.contains_key(*path)).map(|path| (path, (What::Added, Vec::new()))));
    found
        .into_iter()
        .filter(|(path, _)| !options.exclude.is_match(path))
        .filter_map(|(path, (what, changes))| {
            let (in_a, in_b) = (a.get(path), b.get(path));
            let node = in_b.or(in_a)?;
            let difference = Difference {
                path: path.to_string_lossy().into_owned(),
                what,
                kind: kind(node.kind),
                size: node.size,
                layer_a: in_a.map(|node| node.layer + 1),
                layer_b: in_b.map(|node| node.layer + 1),
                changes,
            };
            Some((path.clone(), difference))
        })
        .collect()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::HardLink => "hard link",
        Kind::Symlink => "symbolic link",
        Kind::Character => "character device",
        Kind::Block => "block device",
        Kind::Directory => "directory",
        Kind::Fifo => "named pipe",
    }
}

fn changes(a: &Node, b: &Node, options: &Options) -> Vec<Change> {
    if a.kind != b.kind {
        return vec![Change::of("type", kind(a.kind), kind(b.kind))];
    }
    let mut changes = Vec::new();
    let (of_a, of_b) = (&a.attributes, &b.attributes);
    // Those of a link mean nothing.
    if of_a.mode != of_b.mode && a.kind != Kind::Symlink {
        changes.push(Change::of("mode", format!("{:04o}", of_a.mode), format!("{:04o}", of_b.mode)));
    }
    if (of_a.uid, of_a.gid) != (of_b.uid, of_b.gid) {
        let owner = |of: &crate::guest::rooted::Attributes| format!("{}:{}", of.uid, of.gid);
        changes.push(Change::of("owner", owner(of_a), owner(of_b)));
    }
    // Most archives hold whole seconds.
    let whole = of_a.mtime.1 == 0 || of_b.mtime.1 == 0;
    if options.times && (of_a.mtime.0 != of_b.mtime.0 || (!whole && of_a.mtime.1 != of_b.mtime.1)) {
        changes.push(Change::of("time", time(of_a.mtime), time(of_b.mtime)));
    }
    if a.target != b.target {
        changes.push(Change::of("target", String::from_utf8_lossy(&a.target), String::from_utf8_lossy(&b.target)));
    }
    if a.twin != b.twin {
        let twin = |node: &Node| node.twin.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        changes.push(Change::of("link", twin(a), twin(b)));
    }
    if a.device != b.device {
        let device = |node: &Node| format!("{}:{}", node.device.0, node.device.1);
        changes.push(Change::of("device", device(a), device(b)));
    }
    changes.extend(xattrs(a, b));
    if a.digest != b.digest {
        changes.push(Change::of("content", format!("{} bytes", a.size), format!("{} bytes", b.size)));
    }
    changes
}

fn xattrs(a: &Node, b: &Node) -> Vec<Change> {
    let of = |node: &Node| node.xattrs.iter().cloned().collect::<BTreeMap<_, _>>();
    let (of_a, of_b) = (of(a), of(b));
    let mut names: Vec<_> = of_a.keys().chain(of_b.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| of_a.get(*name) != of_b.get(*name))
        .map(|name| {
            let value = |value: Option<&Vec<u8>>| match value {
                Some(value) => format!("{}={}", name.to_string_lossy(), hex::encode(&value[..value.len().min(64)])),
                None => String::new(),
            };
            Change::of("xattr", value(of_a.get(name)), value(of_b.get(name)))
        })
        .collect()
}

fn time((seconds, nanoseconds): (i64, i64)) -> String {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
    jiff::Timestamp::new(seconds, nanoseconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests;
