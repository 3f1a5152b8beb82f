//! An image to compare, read entry by entry: a directory, a tar archive, or an OCI image in either.
//!
//! Whoever made it is not trusted: nothing of it is written anywhere but one archive, unpacked, to a temporary file
//! without a name.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::FileType;

use super::super::archive::{self, Limits, decoder};
use super::super::tar_reader::{Entry, Kind, TarReader};
use super::oci::{Blobs, Oci};
use crate::error::{Context, Error, Result};
use crate::guest::layers::Layers;
use crate::guest::rooted::Attributes;
use crate::guest::xattr;

/// What is called for each entry: its layer, itself, and the content of a regular file.
pub(super) type Visit<'a> = &'a mut dyn FnMut(usize, Entry, &mut dyn Read) -> Result<()>;

/// Names at the top of an OCI archive (`docker save` adds two); any other means that it is a root file system.
const OCI_NAMES: [&str; 6] = ["", "blobs", "index.json", "oci-layout", "manifest.json", "repositories"];

/// An image that has been recognised.
pub(super) enum Image {
    Directory(PathBuf),
    Tar(PathBuf),
    Oci(Box<Oci>),
}

impl Image {
    /// Recognises the image at `path`.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let metadata = std::fs::metadata(path).context(|| format!("cannot open {}", path.display()))?;
        if metadata.is_dir() {
            if path.join("oci-layout").is_file() && path.join("index.json").is_file() {
                let oci = Oci::open(Blobs::Directory(path.to_owned()));
                return Ok(Self::Oci(Box::new(oci.context(|| bad(path))?)));
            }
            return Ok(Self::Directory(path.to_owned()));
        }
        if !metadata.is_file() {
            return Err(Error::new(format!("{} is neither a directory nor a regular file", path.display())));
        }
        let mut file = File::open(path).context(|| format!("cannot open {}", path.display()))?;
        not_a_file_system(&mut file, path)?;
        let Some(members) = oci_members(&file, limits).context(|| bad(path))? else {
            return Ok(Self::Tar(path.to_owned()));
        };
        let oci = unpacked(file, limits).and_then(|archive| Oci::open(Blobs::Archive { archive, members }));
        Ok(Self::Oci(Box::new(oci.context(|| bad(path))?)))
    }

    /// What it is, for people and programs.
    pub(super) fn form(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::Tar(_) => "tar",
            Self::Oci(oci) if oci.is_archive() => "oci-archive",
            Self::Oci(_) => "oci",
        }
    }

    /// The layers of an OCI image; none for what has no layers.
    pub(super) fn layers(&self) -> Vec<String> {
        if let Self::Oci(oci) = self { oci.layers() } else { Vec::new() }
    }

    /// The digests of those layers.
    pub(super) fn digests(&self) -> Vec<String> {
        if let Self::Oci(oci) = self { oci.digests() } else { Vec::new() }
    }

    /// The image's own configuration, as text to compare.
    pub(super) fn config(&self) -> String {
        if let Self::Oci(oci) = self { oci.config_text() } else { String::new() }
    }

    /// Calls `visit` for each entry, layer by layer. What `visit` does not read of a file is passed over.
    pub(super) fn each(&self, limits: &Limits, visit: Visit<'_>) -> Result<()> {
        match self {
            Self::Directory(path) => directory(path, visit),
            Self::Tar(path) => {
                let file = File::open(path).context(|| format!("cannot open {}", path.display()))?;
                tar(file, 0, limits, visit).context(|| bad(path))
            }
            Self::Oci(oci) => oci.each(&mut |layer, blob| tar(blob, layer, limits, visit)),
        }
    }
}

fn bad(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// Reads the entries of a tar archive, packed or not.
fn tar(input: impl Read, layer: usize, limits: &Limits, visit: Visit<'_>) -> Result<()> {
    let mut reader = TarReader::new(decoder(BufReader::with_capacity(256 << 10, input), limits.bytes)?);
    let mut entries = 0;
    while let Some(entry) = reader.next().context(|| format!("after {entries} entries"))? {
        entries += 1;
        if entries > limits.entries {
            return Err(Error::new(format!("it has more than {} entries", limits.entries)));
        }
        visit(layer, entry, &mut reader)?;
    }
    Ok(())
}

/// Reads the entries of a directory, staying on its file system.
fn directory(path: &Path, visit: Visit<'_>) -> Result<()> {
    let cannot = || format!("cannot open {}", path.display());
    let path = path.canonicalize().context(cannot)?;
    let device = path.metadata().context(cannot)?.dev();
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    Layers::new([path]).walk(&mut |found| {
        let metadata = &found.metadata;
        let kind = match FileType::from_raw_mode(metadata.mode()) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Character,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            // A socket is nothing without the program that listens.
            _ => return Ok(false),
        };
        let source = &found.source;
        let read = || format!("cannot read {}", source.display());
        let twin = names.get(&(metadata.dev(), metadata.ino()));
        let target = if kind == Kind::Symlink { std::fs::read_link(source).context(read)? } else { PathBuf::new() };
        let has_xattrs = matches!(kind, Kind::File | Kind::Directory);
        let entry = Entry {
            path: found.path.as_os_str().as_bytes().to_vec(),
            link: twin.unwrap_or(&target).as_os_str().as_bytes().to_vec(),
            kind: if twin.is_some() { Kind::HardLink } else { kind },
            attributes: Attributes::from(metadata),
            size: metadata.len(),
            device: (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev())),
            xattrs: if has_xattrs { xattr::list(source).context(read)? } else { Vec::new() },
        };
        if metadata.nlink() > 1 && kind != Kind::Directory {
            names.entry((metadata.dev(), metadata.ino())).or_insert_with(|| found.path.clone());
        }
        visit(0, entry, &mut Lazy { path: source, file: None })?;
        Ok(metadata.dev() == device)
    })
}

/// A file that is opened when it is first read.
struct Lazy<'a> {
    path: &'a Path,
    file: Option<File>,
}

impl Read for Lazy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(archive::open(self.path)?),
        };
        file.read(buffer)
    }
}

/// Says what to do with images that hold a file system of their own.
fn not_a_file_system(file: &mut File, path: &Path) -> Result<()> {
    let mut start = Vec::new();
    file.take(2048).read_to_end(&mut start).context(|| bad(path))?;
    file.rewind().context(|| bad(path))?;
    let refused = |what: &str, hint: String| {
        Err(Error::new(format!("{} is {what}, which cannot be compared yet", path.display())).hint(hint))
    };
    if start.starts_with(b"hsqs") {
        return refused(
            "a squashfs image",
            format!("unpack it, `unsquashfs -d DIRECTORY {}`, and compare the directory", path.display()),
        );
    }
    if start.get(0x438..0x43a) == Some(&[0x53, 0xef]) {
        return refused(
            "an ext4 image",
            "write it out, `debugfs -R 'rdump / DIRECTORY' IMAGE`, and compare the directory".to_owned(),
        );
    }
    Ok(())
}

/// Where the members of an OCI archive begin in it (unpacked), and their lengths; `None` for any other archive.
fn oci_members(file: &File, limits: &Limits) -> Result<Option<HashMap<PathBuf, (u64, u64)>>> {
    let at = Rc::new(Cell::new(0));
    let input = decoder(BufReader::with_capacity(256 << 10, file), limits.bytes)?;
    let mut reader = TarReader::new(Counted { input, at: at.clone() });
    let mut members = HashMap::new();
    while let Some(entry) = reader.next().context(|| format!("after {} entries", members.len()))? {
        let path = archive::inside(&entry.path).context(|| "a name in it".to_owned())?;
        let top = path.iter().next().unwrap_or_default();
        if !OCI_NAMES.iter().any(|name| *name == top) {
            return Ok(None);
        }
        if members.len() > 100_000 {
            return Err(Error::new("it has more blobs than an image can have"));
        }
        if entry.kind == Kind::File {
            members.insert(path, (at.get(), entry.size));
        }
    }
    let is_oci = ["oci-layout", "index.json"].iter().all(|name| members.contains_key(Path::new(name)));
    Ok(is_oci.then_some(members))
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    at: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.at.set(self.at.get() + count as u64);
        Ok(count)
    }
}

/// The archive without its packing, so that its members can be read in any order.
fn unpacked(mut file: File, limits: &Limits) -> Result<File> {
    let failed = || "cannot unpack it".to_owned();
    file.rewind().context(failed)?;
    let mut start = [0; 262];
    let length = file.read(&mut start).context(failed)?;
    file.seek(SeekFrom::Start(0)).context(failed)?;
    if length == start.len() && start[257..].starts_with(b"ustar") {
        return Ok(file);
    }
    let mut plain = tempfile::tempfile().context(|| "cannot make a temporary file".to_owned())?;
    io::copy(&mut decoder(BufReader::new(file), limits.bytes)?, &mut plain).context(failed)?;
    Ok(plain)
}
