//! Larder's CA out of what a provisioner wrote.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::super::authority::{Authority, without_certificate};
use super::super::jks::{self, KeyStore};
use super::super::journal::{Before, Journal, Touched};
use super::super::layers::{self, Layers};
use super::super::rooted::{Attributes, Links, Rooted};
use super::{DEBIAN_ANCHORS, STORE_LIMIT, cannot, digest};
use crate::error::{Context, Result};

/// Where systems keep stores made from others. Copies elsewhere are somebody's own: the scan reports them.
const STORES: [&str; 7] = [
    "etc/ssl",
    "etc/pki",
    "etc/ca-certificates",
    "usr/share/ca-certificates",
    DEBIAN_ANCHORS,
    "var/lib/ca-certificates",
    "usr/lib/jvm",
];

/// Stores lie no deeper than this below those.
const DEPTH: usize = 8;

/// What [`restore`] did, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files that were as Larder left them and are now as before, or gone.
    pub reverted: Vec<PathBuf>,
    /// Files the guest had rewritten, out of which the CA was taken.
    pub mended: Vec<PathBuf>,
    /// Links and whiteouts removed.
    pub unlinked: Vec<PathBuf>,
    /// Stores that hold the CA and could not be changed, and why. The scan will fail the build for them.
    pub left: Vec<(PathBuf, String)>,
}

/// Takes the CA out of `layer`, which the guest wrote above the trust layer that `journal` describes. `below` are
/// the layers under the trust layer. Where there are no layers, `below` is empty and `layer` is the whole tree.
pub fn restore(below: &Layers, layer: &Path, authority: &Authority, journal: &Journal) -> Result<Restored> {
    let tree = Rooted::open(layer, Links::Refuse).context(|| format!("cannot open {}", layer.display()))?;
    let mut restore = Restore { below, layer, tree, authority, done: Restored::default() };
    for touched in &journal.touched {
        restore.revert(touched)?;
    }
    for store in STORES {
        restore.directory(Path::new(store), 0)?;
    }
    for touched in journal.touched.iter().rev().filter(|touched| touched.left.is_empty()) {
        restore.made_directory(&touched.path)?;
    }
    Ok(restore.done)
}

struct Restore<'a> {
    below: &'a Layers,
    layer: &'a Path,
    tree: Rooted,
    authority: &'a Authority,
    done: Restored,
}

impl Restore<'_> {
    /// A file that is still as Larder left it goes back to its pre-image.
    fn revert(&mut self, touched: &Touched) -> Result<()> {
        let path = &touched.path;
        let stat = self.tree.stat(path).context(|| cannot("read", path))?;
        if !stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file()) {
            // Links and whiteouts are seen to with their directory.
            return Ok(());
        }
        let Some((content, now)) = self.tree.read(path, STORE_LIMIT).context(|| cannot("read", path))? else {
            return Ok(());
        };
        if digest(&content) != touched.left {
            return Ok(());
        }
        match &touched.before {
            Before::Absent => self.tree.remove(path).context(|| cannot("remove", path))?,
            Before::File { attributes, .. } if *attributes == now && self.is_below(path)? => {
                self.tree.remove(path).context(|| cannot("remove", path))?;
            }
            Before::File { content, .. } => {
                self.tree.replace(path, content, &now).context(|| cannot("write", path))?;
            }
        }
        self.done.reverted.push(path.clone());
        Ok(())
    }

    fn directory(&mut self, directory: &Path, depth: usize) -> Result<()> {
        let host = self.layer.join(directory);
        // A link at any place of the way is the guest's own choice of another place: not a store of the system.
        let stat = self.tree.stat(directory).context(|| cannot("read", directory))?;
        if !stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode).is_dir()) {
            return Ok(());
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&host).context(|| cannot("read", directory))? {
            names.push(entry.context(|| cannot("read", directory))?.file_name());
        }
        names.sort();
        let mut hash_links = Vec::new();
        for name in names {
            let path = directory.join(&name);
            let metadata = std::fs::symlink_metadata(self.layer.join(&path)).context(|| cannot("read", &path))?;
            if metadata.is_dir() {
                if depth < DEPTH {
                    self.directory(&path, depth + 1)?;
                }
            } else if metadata.is_symlink() {
                if self.is_our_link(&path)? {
                    self.unlink(&path)?;
                    hash_links.push(path);
                }
            } else if metadata.file_type().is_char_device() {
                if layers::is_whiteout(&metadata) && !self.below.directories().is_empty() && !self.is_below(&path)? {
                    self.unlink(&path)?;
                }
            } else if metadata.is_file() && metadata.len() <= STORE_LIMIT {
                self.mend(&path, &Attributes::from(&metadata))?;
            }
        }
        hash_links.iter().try_for_each(|link| self.close_gap(link))
    }

    /// From a file the guest wrote, only the certificate is taken out.
    fn mend(&mut self, path: &Path, attributes: &Attributes) -> Result<()> {
        let content = std::fs::read(self.layer.join(path)).context(|| cannot("read", path))?;
        let mended = if jks::is_jks(&content) {
            match KeyStore::parse(&content) {
                Ok(mut store) => store.remove(self.authority.der()).then(|| store.to_bytes()),
                Err(error) => {
                    if memchr::memmem::find(&content, self.authority.der()).is_some() {
                        self.done.left.push((path.to_owned(), error.to_string()));
                    }
                    None
                }
            }
        } else if content == self.authority.der() {
            Some(Vec::new())
        } else {
            without_certificate(&content, self.authority.der())
        };
        let Some(mended) = mended else { return Ok(()) };
        if mended.iter().all(u8::is_ascii_whitespace) && !self.is_below(path)? {
            // Nothing but the certificate: without it the file would not be.
            self.tree.remove(path).context(|| cannot("remove", path))?;
        } else {
            self.tree.replace(path, &mended, attributes).context(|| cannot("write", path))?;
        }
        self.done.mended.push(path.to_owned());
        Ok(())
    }

    /// Whether a link leads to the certificate: `larder-x.pem`, `/usr/…/larder-x.crt`.
    fn is_our_link(&self, path: &Path) -> Result<bool> {
        let target = self.tree.read_link(path).context(|| cannot("read", path))?;
        let stem = target.as_deref().and_then(Path::file_stem).map(ToOwned::to_owned);
        Ok(stem.is_some_and(|stem| *stem == *self.authority.name()))
    }

    fn unlink(&mut self, path: &Path) -> Result<()> {
        self.tree.remove(path).context(|| cannot("remove", path))?;
        self.done.unlinked.push(path.to_owned());
        Ok(())
    }

    /// `openssl rehash` numbers certificates of one hash from 0 without gaps, and OpenSSL stops at the first gap.
    fn close_gap(&mut self, link: &Path) -> Result<()> {
        let Some(mut number) = link.extension().and_then(|ending| ending.to_str()?.parse::<u32>().ok()) else {
            return Ok(());
        };
        let at = |number: u32| link.with_extension(number.to_string());
        while self.tree.read_link(&at(number + 1)).context(|| cannot("read", link))?.is_some() {
            self.tree.rename(&at(number + 1), &at(number)).context(|| cannot("rename", link))?;
            number += 1;
        }
        Ok(())
    }

    /// The directory made ahead of ca-certificates: its postinst would have made it, and nothing else would.
    fn made_directory(&mut self, path: &Path) -> Result<()> {
        let Some(stat) = self.tree.stat(path).context(|| cannot("read", path))? else { return Ok(()) };
        let host = self.layer.join(path);
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind.is_char_device() && stat.st_rdev == 0 {
            return self.unlink(path);
        }
        let is_empty = kind.is_dir() && std::fs::read_dir(&host).context(|| cannot("read", path))?.next().is_none();
        let package = Path::new("var/lib/dpkg/info/ca-certificates.postinst");
        let installed = self.tree.stat(package).context(|| cannot("look up", package))?.is_some();
        if is_empty && !installed {
            self.tree.remove_dir(path).context(|| cannot("remove", path))?;
            self.done.unlinked.push(path.to_owned());
        }
        Ok(())
    }

    fn is_below(&self, path: &Path) -> Result<bool> {
        Ok(self.below.find(path).context(|| cannot("look up", path))?.is_some())
    }
}
