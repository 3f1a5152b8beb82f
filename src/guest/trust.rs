//! Larder's CA in a guest's system store for the length of the build, and out of it again.
//!
//! The CA never goes into the image. Before each provisioner [`install`] fills a **trust layer**: a directory of its
//! own that is mounted above the layers written so far and below the one the provisioner writes to. It holds copies
//! of the guest's stores with the CA added, and is dropped afterwards, so nothing in it needs to be undone.
//!
//! What a provisioner writes can still carry the CA: `update-ca-certificates` collects it from the trust layer into
//! a new bundle, a Java hook imports it, `chmod` copies a store up. [`restore`] mends the provisioner's layer:
//! - a file that is still as Larder left it goes back to what was below it;
//! - from any other, only Larder's certificate is taken out;
//! - links to it, and whiteouts of what only the trust layer had, go.
//!
//! So each layer is afterwards as a build without interception would have left it, and can be kept and used again.
//! Debian's scripts make this exact: the bundle is a concatenation in the order of file names, the hash links are
//! made from the set of certificates, and ca-certificates' postinst sets the mode and owner of
//! `/usr/local/share/ca-certificates` also when the directory is there already.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use sha2::{Digest, Sha256};

use super::authority::Authority;
use super::jks::{self, KeyStore};
use super::journal::{Before, Journal, Touched};
use super::layers::Layers;
use super::rooted::{Attributes, Links, Rooted};
use crate::error::{Context, Error, Result};

mod restore;

pub use restore::{Restored, restore};

/// Larger files are not trust stores.
const STORE_LIMIT: u64 = 16 << 20;

/// Bundles in the order BuildKit and Go look for them.
const BUNDLES: [&str; 6] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/ssl/ca-bundle.pem",
    "etc/pki/tls/cacert.pem",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "etc/ssl/cert.pem",
];

/// Where a system's own tool collects certificates from, with the ending it wants.
const ANCHORS: [(&str, &str); 4] = [
    (DEBIAN_ANCHORS, "crt"),
    ("etc/pki/ca-trust/source/anchors", "pem"),
    ("etc/pki/trust/anchors", "pem"),
    ("etc/ca-certificates/trust-source/anchors", "pem"),
];
const DEBIAN_ANCHORS: &str = "usr/local/share/ca-certificates";

/// Directories with a link for each certificate, named by its hash.
const HASHED: [&str; 2] = ["etc/ssl/certs", "etc/pki/tls/certs"];

const JAVA_STORES: [&str; 3] =
    ["etc/ssl/certs/java/cacerts", "etc/pki/java/cacerts", "etc/pki/ca-trust/extracted/java/cacerts"];

/// The guest's own bundle: the content of the first of the usual places. `None` if it has none yet.
pub fn guest_bundle(view: &Layers) -> Result<Option<Vec<u8>>> {
    for path in BUNDLES {
        if let Some((_, content, _)) = read_store(view, Path::new(path))? {
            return Ok(Some(content));
        }
    }
    Ok(None)
}

/// Makes the guest trust `authority`: `view` is the guest's tree so far, `into` an existing directory that will lie
/// above it (the trust layer; or the tree itself, where layers cannot be had and `view` is that one directory).
pub fn install(view: &Layers, into: &Path, authority: &Authority) -> Result<Journal> {
    let target = Rooted::open(into, Links::Refuse).context(|| format!("cannot open {}", into.display()))?;
    let mut install = Install { view, target, authority, journal: Journal::default(), directories: Vec::new() };
    let anchor = install.anchors()?;
    for path in BUNDLES {
        install.bundle(Path::new(path))?;
    }
    for path in HASHED {
        install.hashed(Path::new(path), anchor.as_deref())?;
    }
    for path in JAVA_STORES {
        install.java(Path::new(path))?;
    }
    install.finish()
}

struct Install<'a> {
    view: &'a Layers,
    target: Rooted,
    authority: &'a Authority,
    journal: Journal,
    /// Directories made in the target, whose time is set at the end.
    directories: Vec<(PathBuf, Attributes)>,
}

impl Install<'_> {
    /// The certificate as a file of its own; returns where.
    fn anchors(&mut self) -> Result<Option<PathBuf>> {
        let mut first = None;
        for (directory, ending) in ANCHORS {
            let Some(directory) = self.anchor_directory(Path::new(directory))? else { continue };
            let path = directory.join(format!("{}.{ending}", self.authority.name()));
            self.put(&path, Before::Absent, self.authority.pem().as_bytes(), &file_attributes(self.view)?)?;
            first.get_or_insert(path);
        }
        Ok(first)
    }

    /// Debian's directory is made ahead of the package, so that a bundle first built by it holds the CA.
    fn anchor_directory(&mut self, path: &Path) -> Result<Option<PathBuf>> {
        let found = self.view.follow(path).context(|| cannot("look up", path))?;
        if let Some(found) = found {
            return Ok(found.metadata.is_dir().then_some(found.path));
        }
        let is_debian = self.view.find(Path::new("var/lib/dpkg")).context(|| cannot("look up", path))?.is_some();
        let parent = self.view.follow(Path::new("usr/local/share")).context(|| cannot("look up", path))?;
        match parent {
            Some(parent) if is_debian && path == Path::new(DEBIAN_ANCHORS) && parent.metadata.is_dir() => {
                let directory = parent.path.join("ca-certificates");
                self.directory(&parent.path)?;
                let attributes = Attributes { mode: 0o755, ..file_attributes(self.view)? };
                self.make_dir(&directory, attributes)?;
                self.journal.touched.push(Touched {
                    path: directory.clone(),
                    before: Before::Absent,
                    left: String::new(),
                });
                Ok(Some(directory))
            }
            _ => Ok(None),
        }
    }

    fn bundle(&mut self, path: &Path) -> Result<()> {
        let Some((path, content, attributes)) = read_store(self.view, path)? else { return Ok(()) };
        if self.journal.find(&path).is_some() {
            return Ok(());
        }
        let mut merged = content.clone();
        if !merged.is_empty() && !merged.ends_with(b"\n") {
            merged.push(b'\n');
        }
        merged.extend_from_slice(self.authority.pem().as_bytes());
        self.put(&path, Before::File { content, attributes }, &merged, &attributes)
    }

    fn hashed(&mut self, path: &Path, anchor: Option<&Path>) -> Result<()> {
        let found = self.view.follow(path).context(|| cannot("look up", path))?;
        let Some(directory) = found.filter(|found| found.metadata.is_dir()).map(|found| found.path) else {
            return Ok(());
        };
        let Some(hash) = self.authority.subject_hash() else { return Ok(()) };
        let certificate = format!("{}.pem", self.authority.name());
        let path = directory.join(&certificate);
        match anchor {
            // As update-ca-certificates makes it, so that it finds nothing new.
            Some(anchor) => self.link(&path, &Path::new("/").join(anchor))?,
            None => self.put(&path, Before::Absent, self.authority.pem().as_bytes(), &file_attributes(self.view)?)?,
        }
        for number in 0..16 {
            let link = directory.join(format!("{hash}.{number}"));
            if self.view.find(&link).context(|| cannot("look up", &link))?.is_none() {
                return self.link(&link, Path::new(&certificate));
            }
        }
        Ok(())
    }

    fn java(&mut self, path: &Path) -> Result<()> {
        let Some((path, content, attributes)) = read_store(self.view, path)? else { return Ok(()) };
        if !jks::is_jks(&content) || self.journal.find(&path).is_some() {
            return Ok(());
        }
        // A store with a password of somebody's own is left alone: it is not ours to re-seal.
        let Ok(mut store) = KeyStore::parse(&content) else { return Ok(()) };
        store.add(&format!("debian:{}.pem", self.authority.name()), self.authority.der(), 0);
        self.put(&path, Before::File { content, attributes }, &store.to_bytes(), &attributes)
    }

    fn put(&mut self, path: &Path, before: Before, content: &[u8], attributes: &Attributes) -> Result<()> {
        self.directory(path.parent().unwrap_or(Path::new("")))?;
        self.target.replace(path, content, attributes).context(|| cannot("write", path))?;
        self.journal.touched.push(Touched { path: path.to_owned(), before, left: digest(content) });
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.directory(path.parent().unwrap_or(Path::new("")))?;
        self.target.symlink(target, path).context(|| cannot("link", path))?;
        let left = digest(target.as_os_str().as_encoded_bytes());
        self.journal.touched.push(Touched { path: path.to_owned(), before: Before::Absent, left });
        Ok(())
    }

    /// Makes `path` and those above it in the target, as they are in the view.
    fn directory(&mut self, path: &Path) -> Result<()> {
        let mut parts: Vec<_> = path.ancestors().collect();
        parts.reverse();
        for part in parts {
            if self.directories.iter().any(|(done, _)| done == part) {
                continue;
            }
            let entry = self.view.find(part).context(|| cannot("look up", part))?;
            let entry = entry.ok_or_else(|| Error::new(format!("/{} is gone from the guest", part.display())))?;
            self.make_dir(part, Attributes::from(&entry.metadata))?;
        }
        Ok(())
    }

    fn make_dir(&mut self, path: &Path, attributes: Attributes) -> Result<()> {
        let exists = self.target.stat(path).context(|| cannot("look up", path))?;
        match exists {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
            _ => self.target.make_dir(path, 0o700).context(|| cannot("make", path))?,
        }
        self.directories.push((path.to_owned(), attributes));
        Ok(())
    }

    fn finish(self) -> Result<Journal> {
        for (path, attributes) in self.directories.iter().rev() {
            self.target.set_attributes(path, attributes).context(|| cannot("set the owner of", path))?;
        }
        Ok(self.journal)
    }
}

/// A regular file that may be a store, after links, with its real path.
fn read_store(view: &Layers, path: &Path) -> Result<Option<(PathBuf, Vec<u8>, Attributes)>> {
    let found = view.follow(path).context(|| cannot("look up", path))?;
    let Some(found) = found.filter(|found| found.metadata.is_file() && found.metadata.len() <= STORE_LIMIT) else {
        return Ok(None);
    };
    let content = std::fs::read(&found.source).context(|| cannot("read", path))?;
    Ok(Some((found.path, content, Attributes::from(&found.metadata))))
}

/// Attributes of a new file of the guest's root user, who owns `/etc`: on the host that may be any id.
fn file_attributes(view: &Layers) -> Result<Attributes> {
    let etc = view.find(Path::new("etc")).context(|| cannot("look up", Path::new("etc")))?;
    let of_etc = etc.map(|etc| Attributes::from(&etc.metadata));
    let of_etc = of_etc.unwrap_or(Attributes { mode: 0, uid: 0, gid: 0, mtime: (0, 0) });
    Ok(Attributes { mode: 0o644, ..of_etc })
}

fn digest(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} /{} in the guest's tree", path.display())
}

#[cfg(test)]
mod tests;
