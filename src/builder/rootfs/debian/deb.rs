//! Reads a binary package (deb(5)) and unpacks it below a root.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::control::{Control, ControlFile};
use super::root_dir::{RootDir, create_file, create_folder};
use crate::error::{Context as _, Error, Result};

/// Largest control part read: scripts and lists, of which the largest in Debian have a few megabytes.
const MAX_CONTROL: u64 = 256 * 1024 * 1024;
const BUFFER: usize = 128 * 1024;
/// Folders besides bin, sbin and lib that a merged /usr takes in.
const LIB_ALIASES: &[&str] = &["lib64", "lib32", "libx32", "libo32"];

/// What unpacking a package left: the rest is for dpkg's database.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) control: Control,
    /// What `info/NAME.list` holds, in the archive's order: `/.`, `/usr`, `/usr/bin/x`.
    pub(super) list: Vec<String>,
    pub(super) folders: Vec<Folder>,
}

/// A folder as a package has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// How folders outside /usr are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `/bin`, `/sbin` and `/lib*` are links into /usr.
    Merged,
    Apart,
}

struct Unpacker<'a> {
    root: &'a RootDir,
    layout: Layout,
    conffiles: HashSet<String>,
    list: Vec<String>,
    folders: Vec<Folder>,
}

/// Unpacks the package at `path` below `root`, each conffile beside its place as `.dpkg-new`.
pub(super) fn unpack(path: &Path, root: &RootDir, layout: Layout) -> Result<Unpacked> {
    let name = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut file = File::open(path).context(|| format!("cannot open {}", path.display()))?;
    let mut members = Members::new(&mut file).context(|| format!("{} is no Debian package", name()))?;
    let control = members.next("control.tar").and_then(|member| read_control(member.reader()?));
    let control = control.context(|| format!("cannot read {}", name()))?;
    let control = Control::new(control).context(|| format!("cannot read {}", name()))?;
    let data = members.next("data.tar").context(|| format!("cannot read {}", name()))?;
    let mut unpacker =
        Unpacker { root, layout, conffiles: control.conffile_paths(), list: Vec::new(), folders: Vec::new() };
    let outcome = data.reader().and_then(|reader| unpacker.unpack(reader));
    outcome.map_err(|error| cannot_unpack(&name(), root, error))?;
    Ok(Unpacked { control, list: unpacker.list, folders: unpacker.folders })
}

fn cannot_unpack(name: &str, root: &RootDir, error: io::Error) -> Error {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let shown = Error::new(format!("cannot unpack {name} into {}", root.path().display())).caused_by(error);
    if full { shown.hint("free some space on that file system, or build elsewhere") } else { shown }
}

// === impl Members ===

/// The members of an ar archive, in their order.
struct Members<'a> {
    file: &'a mut File,
    at: u64,
}

/// One member: a compressed tar archive.
struct Member<'a> {
    name: String,
    content: io::Take<&'a mut File>,
}

impl<'a> Members<'a> {
    fn new(file: &'a mut File) -> io::Result<Self> {
        let mut magic = [0; 8];
        file.read_exact(&mut magic)?;
        if &magic != b"!<arch>\n" {
            return Err(wrong("it is no ar archive"));
        }
        let mut members = Self { file, at: 8 };
        let mut version = String::new();
        members.next("debian-binary")?.content.take(64).read_to_string(&mut version)?;
        if version.starts_with("2.") { Ok(members) } else { Err(wrong(format!("its format is {}", version.trim()))) }
    }

    /// The next member whose name starts with `wanted`. Names that start with `_` may be passed over (deb(5)).
    fn next(&mut self, wanted: &str) -> io::Result<Member<'_>> {
        loop {
            let mut header = [0; 60];
            self.file.seek(SeekFrom::Start(self.at))?;
            self.file.read_exact(&mut header)?;
            let field = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim().to_owned();
            let name = field(0..16).trim_end_matches('/').to_owned();
            let size: u64 = field(48..58).parse().map_err(|_| wrong("a member has no size"))?;
            if &header[58..] != b"`\n" {
                return Err(wrong("a member's header is damaged"));
            }
            self.at += 60 + size + size % 2;
            if name.starts_with(wanted) {
                return Ok(Member { name, content: (&mut *self.file).take(size) });
            }
            if !name.starts_with('_') {
                return Err(wrong(format!("it has {name} where {wanted} belongs")));
            }
        }
    }
}

impl<'a> Member<'a> {
    /// The tar archive within, by the extension of the member's name.
    fn reader(self) -> io::Result<Box<dyn Read + 'a>> {
        let content = BufReader::with_capacity(BUFFER, self.content);
        match self.name.rsplit('.').next() {
            Some("tar") => Ok(Box::new(content)),
            Some("xz") => Ok(Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(content))),
            Some("zst") => Ok(Box::new(zstd::stream::read::Decoder::with_buffer(content)?)),
            Some("gz") => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(content))),
            _ => Err(wrong(format!("{} is compressed in a way that Larder does not read", self.name))),
        }
    }
}

fn read_control(reader: Box<dyn Read + '_>) -> io::Result<Vec<ControlFile>> {
    let mut files = Vec::new();
    let mut left = MAX_CONTROL;
    for entry in Archive::new(reader).entries()? {
        let mut entry = entry?;
        if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let path = normalise(&entry.path_bytes())?;
        let name = path.to_str().filter(|name| !name.is_empty() && !name.contains('/'));
        let name = name.ok_or_else(|| wrong(format!("its control part holds {}", path.display())))?.to_owned();
        left = left.checked_sub(entry.size()).ok_or_else(|| wrong("its control part is too large"))?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.push(ControlFile { name, mode: entry.header().mode()? & 0o777, mtime: entry.header().mtime()?, content });
    }
    Ok(files)
}

// === impl Unpacker ===

impl Unpacker<'_> {
    fn unpack(&mut self, reader: Box<dyn Read + '_>) -> io::Result<()> {
        for entry in Archive::new(reader).entries()? {
            let mut entry = entry?;
            let path = normalise(&entry.path_bytes())?;
            self.entry(&mut entry, &path).map_err(|error| {
                io::Error::new(error.kind(), format!("/{}: {}", path.display(), crate::error::chain(&error)))
            })?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let shown = path.to_str().ok_or_else(|| wrong("its name is not UTF-8"))?;
        if shown.is_empty() {
            self.list.push("/.".to_owned());
            return Ok(());
        }
        self.list.push(format!("/{shown}"));
        self.ready_alias(path)?;
        match entry.header().entry_type() {
            EntryType::Directory => self.folder(entry, path),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(entry, path),
            EntryType::Symlink => self.symlink(entry, path),
            EntryType::Link => self.hard_link(entry, path),
            other => Err(wrong(format!("packages do not hold entries of kind {other:?}"))),
        }
    }

    /// In a merged /usr, `/lib64` and the like become links when the first package needs them.
    fn ready_alias(&self, path: &Path) -> io::Result<()> {
        let first = path.components().next().and_then(|part| part.as_os_str().to_str());
        let Some(first) = first.filter(|first| self.layout == Layout::Merged && LIB_ALIASES.contains(first)) else {
            return Ok(());
        };
        let target = format!("usr/{first}");
        self.root.create_folders(Path::new(&target))?;
        self.root.symlink(&target, first)
    }

    fn folder(&mut self, entry: &Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let header = entry.header();
        let folder = Folder {
            path: path.to_owned(),
            mode: header.mode()? & 0o7777,
            uid: id(header.uid()?)?,
            gid: id(header.gid()?)?,
        };
        let (parent, name) = self.root.parent(path)?;
        if create_folder(parent.as_fd(), name, folder.mode)? {
            apply_folder(self.root, &folder)?;
        } else {
            // What is there must be a folder, or a link to one within the root.
            self.root.folder(path)?;
        }
        self.folders.push(folder);
        Ok(())
    }

    fn file(&self, entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let place = self.place(path);
        let (parent, name) = self.root.parent(&place)?;
        let mut file = create_file(parent.as_fd(), name)?;
        io::copy(entry, &mut file)?;
        let header = entry.header();
        // The owner first: changing it takes away set-user-id.
        fs::fchown(&file, Some(Uid::from_raw(id(header.uid()?)?)), Some(Gid::from_raw(id(header.gid()?)?)))?;
        fs::fchmod(&file, Mode::from_raw_mode(header.mode()? & 0o7777))?;
        Ok(fs::futimens(&file, &times(header.mtime()?))?)
    }

    fn symlink(&self, entry: &Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| wrong("it is a link without a target"))?;
        let target = OsStr::from_bytes(&target);
        let (parent, name) = self.root.parent(path)?;
        match fs::symlinkat(target, &parent, name) {
            Err(Errno::EXIST) => {
                let there = fs::readlinkat(&parent, name, Vec::new());
                // One that Larder made beforehand gets the package's times.
                if !there.is_ok_and(|there| same_link(there.as_bytes(), target.as_bytes())) {
                    fs::unlinkat(&parent, name, AtFlags::empty())?;
                    fs::symlinkat(target, &parent, name)?;
                }
            }
            other => other?,
        }
        let header = entry.header();
        let owner = (Some(Uid::from_raw(id(header.uid()?)?)), Some(Gid::from_raw(id(header.gid()?)?)));
        fs::chownat(&parent, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(fs::utimensat(&parent, name, &times(header.mtime()?), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn hard_link(&self, entry: &Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
        let target = entry.link_name_bytes().ok_or_else(|| wrong("it is a link without a target"))?;
        let target = self.place(&normalise(&target)?);
        let (target_parent, target_name) = self.root.parent(&target)?;
        let place = self.place(path);
        let (parent, name) = self.root.parent(&place)?;
        match fs::linkat(&target_parent, target_name, &parent, name, AtFlags::empty()) {
            Err(Errno::EXIST) => {
                fs::unlinkat(&parent, name, AtFlags::empty())?;
                Ok(fs::linkat(&target_parent, target_name, &parent, name, AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    /// Where a file is unpacked to: conffiles beside their place, for dpkg to install when it configures.
    fn place(&self, path: &Path) -> PathBuf {
        if path.to_str().is_some_and(|path| self.conffiles.contains(path)) {
            let mut name = path.as_os_str().to_owned();
            name.push(".dpkg-new");
            return PathBuf::from(name);
        }
        path.to_owned()
    }
}

/// Gives a folder the mode and owner a package has for it.
pub(super) fn apply_folder(root: &RootDir, folder: &Folder) -> io::Result<()> {
    let fd = root.folder(&folder.path)?;
    fs::fchown(&fd, Some(Uid::from_raw(folder.uid)), Some(Gid::from_raw(folder.gid)))?;
    Ok(fs::fchmod(&fd, Mode::from_raw_mode(folder.mode))?)
}

/// A path of an archive, below its root: `./usr/bin/` is `usr/bin`. One that would lead out is an error.
fn normalise(path: &[u8]) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(path)).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                return Err(wrong(format!("{} would lead out of the root", String::from_utf8_lossy(path))));
            }
        }
    }
    Ok(clean)
}

/// `usr/bin` and `/usr/bin` mean the same at the root, where the links of a merged /usr lie.
fn same_link(a: &[u8], b: &[u8]) -> bool {
    a == b || (a.strip_prefix(b"/").unwrap_or(a) == b.strip_prefix(b"/").unwrap_or(b) && a.starts_with(b"usr/"))
}

fn id(raw: u64) -> io::Result<u32> {
    u32::try_from(raw).ok().filter(|id| *id != u32::MAX).ok_or_else(|| wrong("its owner is no id"))
}

fn times(mtime: u64) -> Timestamps {
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
