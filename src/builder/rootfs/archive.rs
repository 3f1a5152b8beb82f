//! A base from outside: an archive unpacked, or a directory copied, into a directory of Larder's own.
//!
//! Archives are not trusted: every path is resolved inside the target, names with `..` are refused, and there are
//! limits to what one may unpack to. What cannot be kept (an owner, a capability) is an error, not a loss.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use tokio_util::sync::CancellationToken;

use super::tar_reader::{Entry, Kind, TarReader};
use super::tree_writer::{Meta, TreeWriter};
pub(super) use crate::engine::place::stop_if;
use crate::error::{Context, Error, Result};
use crate::guest::layers::Layers;
use crate::guest::mapping;
use crate::guest::rooted::Attributes;
use crate::guest::xattr;

/// What an archive may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together, and of the unpacked archive.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 256 << 30, entries: 10_000_000 }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files, directories, links and devices.
    pub entries: u64,
    /// Bytes of regular files.
    pub bytes: u64,
    /// Of a copy: those with a group that the mapping of ids has none for.
    pub foreign_groups: u64,
}

/// Called now and then with what has been done so far.
pub type Progress<'a> = &'a mut dyn FnMut(Written);

/// Unpacks a tar archive, plain or packed with gzip, bzip2, xz or zstd (told by its content), into the existing directory
/// `into`. On an error `into` holds a part; it is the caller's to remove.
pub fn unpack(
    archive: &Path,
    into: &Path,
    limits: &Limits,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<Written> {
    let file = File::open(archive).context(|| format!("cannot open {}", archive.display()))?;
    let input = decoder(BufReader::with_capacity(256 << 10, file), limits.bytes)
        .map_err(|error| bad_archive(archive).caused_by(error))?;
    let writer = TreeWriter::new(into).context(|| format!("cannot open {}", into.display()))?.stopped_by(cancel);
    let mut unpacking =
        Unpacking { reader: TarReader::new(input), writer, limits, cancel, written: Written::default() };
    let result = unpacking.run(progress);
    result.map_err(|error| if cancel.is_cancelled() { error } else { bad_archive(archive).caused_by(error) })?;
    unpacking.writer.finish().context(|| format!("cannot unpack {}", archive.display()))?;
    Ok(unpacking.written)
}

/// Copies a directory with all that is in it into the existing directory `into`: owners, modes, times, extended
/// attributes, hard links and devices. Links are copied, never followed; other file systems mounted in it are left out
/// (their mount points are copied as empty directories).
pub fn copy_directory(from: &Path, into: &Path, cancel: &CancellationToken, progress: Progress<'_>) -> Result<Written> {
    let from = from.canonicalize().context(|| format!("cannot open {}", from.display()))?;
    let into = into.canonicalize().context(|| format!("cannot open {}", into.display()))?;
    if into.starts_with(&from) {
        return Err(Error::new(format!("cannot copy {} into itself", from.display())));
    }
    let device = from.metadata().context(|| format!("cannot open {}", from.display()))?.dev();
    let writer = TreeWriter::new(&into).context(|| format!("cannot open {}", into.display()))?;
    copy(&Layers::new([from]), writer, &[], Some(device), cancel, progress)
}

/// Copies a merged tree without what is in `exclude` (and in it, for directories).
pub(super) fn copy(
    tree: &Layers,
    writer: TreeWriter,
    exclude: &[PathBuf],
    device: Option<u64>,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<Written> {
    let mut writer = writer.stopped_by(cancel);
    let mut written = Written::default();
    let mut names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    tree.walk(&mut |entry| {
        stop_if(cancel)?;
        if exclude.contains(&entry.path) {
            return Ok(false);
        }
        let metadata = &entry.metadata;
        let identity = (metadata.dev(), metadata.ino());
        let result = match names.get(&identity) {
            Some(first) => writer.hard_link(&entry.path, first).map(|()| 0),
            None => copy_one(&mut writer, entry),
        };
        written.bytes += result.context(|| format!("cannot copy {}", entry.source.display()))?;
        written.entries += 1;
        written.foreign_groups += u64::from(mapping::seems_of_foreign_group(metadata));
        if metadata.nlink() > 1 && !metadata.is_dir() {
            names.entry(identity).or_insert_with(|| entry.path.clone());
        }
        progress(written);
        Ok(device.is_none_or(|device| metadata.dev() == device))
    })?;
    writer.finish().context(|| "cannot finish the copied directories".to_owned())?;
    Ok(written)
}

fn copy_one(writer: &mut TreeWriter, entry: &crate::guest::layers::Entry) -> io::Result<u64> {
    let metadata = &entry.metadata;
    mapping::check_owner(&entry.source, metadata)?;
    let kind = FileType::from_raw_mode(metadata.mode());
    let mut meta = Meta { attributes: Attributes::from(metadata), xattrs: Vec::new() };
    match kind {
        FileType::Symlink => {
            let target = std::fs::read_link(&entry.source)?;
            writer.symlink(&entry.path, &target, &meta).map(|()| 0)
        }
        FileType::Directory => {
            meta.xattrs = xattr::list(&entry.source)?;
            writer.directory(&entry.path, meta).map(|()| 0)
        }
        FileType::RegularFile => {
            meta.xattrs = xattr::list(&entry.source)?;
            writer.clone_file(&entry.path, &meta, &mut open(&entry.source)?)
        }
        _ => writer.node(&entry.path, kind, metadata.rdev(), &meta).map(|()| 0),
    }
}

/// Opens a regular file of a tree, whose last component is no link.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn bad_archive(archive: &Path) -> Error {
    Error::new(format!("cannot unpack {}", archive.display()))
}

/// The archive's bytes without their packing, ending in an error after `limit`.
pub(super) fn decoder<'a>(mut input: impl io::BufRead + 'a, limit: u64) -> Result<Box<dyn Read + 'a>> {
    let start = input.fill_buf().context(|| "cannot read it".to_owned())?;
    let unknown = || {
        Error::new("it is neither a tar archive nor one packed with gzip, bzip2, xz or zstd")
            .hint("give a .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst file, or a directory")
    };
    let plain: Box<dyn Read + 'a> = match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = liblzma::stream::Stream::new_stream_decoder(512 << 20, liblzma::stream::CONCATENATED);
            let stream = stream.context(|| "cannot prepare to read xz".to_owned())?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::Decoder::with_buffer(input).context(|| "cannot prepare to read zstd".to_owned())?;
            // What `zstd --long=30` needs is refused; `--ultra` at its most is not.
            decoder.window_log_max(27).context(|| "cannot prepare to read zstd".to_owned())?;
            Box::new(decoder)
        }
        // An empty archive is all zeros.
        [first, ..] if start.len() >= 512 && (start[257..].starts_with(b"ustar") || *first == 0) => Box::new(input),
        _ => return Err(unknown()),
    };
    Ok(Box::new(Limited { input: plain, left: limit }))
}

/// Fails, rather than ends, at the limit.
struct Limited<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than the limit: a decompression bomb?")
        })?;
        Ok(count)
    }
}

struct Unpacking<'a, R> {
    reader: TarReader<R>,
    writer: TreeWriter,
    limits: &'a Limits,
    cancel: &'a CancellationToken,
    written: Written,
}

impl<R: Read> Unpacking<'_, R> {
    fn run(&mut self, progress: Progress<'_>) -> Result<()> {
        while let Some(entry) = self.reader.next().context(|| format!("after {} entries", self.written.entries))? {
            stop_if(self.cancel)?;
            self.entry(&entry).context(|| format!("entry {:?}", String::from_utf8_lossy(&entry.path)))?;
            self.written.entries += 1;
            if self.written.entries > self.limits.entries {
                return Err(Error::new(format!("it has more than {} entries", self.limits.entries)));
            }
            progress(self.written);
        }
        if self.written.entries == 0 {
            return Err(Error::new("it is empty"));
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let path = inside(&entry.path)?;
        let meta = Meta { attributes: entry.attributes, xattrs: entry.xattrs.clone() };
        if path.as_os_str().is_empty() && entry.kind != Kind::Directory {
            return Err(refused("an entry in the place of the root directory"));
        }
        match entry.kind {
            Kind::Directory => self.writer.directory(&path, meta),
            Kind::File => {
                self.written.bytes += self.writer.file(&path, &meta, &mut self.reader)?;
                Ok(())
            }
            Kind::Symlink if entry.link.is_empty() || entry.link.contains(&0) => Err(refused("a link to nothing")),
            Kind::Symlink => self.writer.symlink(&path, Path::new(OsStr::from_bytes(&entry.link)), &meta),
            Kind::HardLink => {
                let existing = inside(&entry.link)?;
                self.writer.hard_link(&path, &existing)
            }
            Kind::Character if entry.device == (0, 0) => {
                Err(refused("character device 0/0, which means a removed file to overlay file systems"))
            }
            Kind::Character => self.node(&path, FileType::CharacterDevice, entry, &meta),
            Kind::Block => self.node(&path, FileType::BlockDevice, entry, &meta),
            Kind::Fifo => self.writer.node(&path, FileType::Fifo, 0, &meta),
        }
    }

    fn node(&mut self, path: &Path, kind: FileType, entry: &Entry, meta: &Meta) -> io::Result<()> {
        self.writer.node(path, kind, rustix::fs::makedev(entry.device.0, entry.device.1), meta)
    }
}

/// The name of an entry as a path in the tree: a leading `/` or `./` counts for nothing, `..` is refused.
pub(super) fn inside(name: &[u8]) -> io::Result<PathBuf> {
    if name.contains(&0) {
        return Err(refused("a name with a NUL in it"));
    }
    let mut path = PathBuf::new();
    for part in Path::new(OsStr::from_bytes(name)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => return Err(refused("a name with `..` in it")),
            _ => {}
        }
    }
    Ok(path)
}

fn refused(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("refused: {what}"))
}

#[cfg(test)]
pub(super) mod tests;
