//! The finished tree as a directory or an archive, written beside its place and put there in one step.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, RenameFlags};
use tokio_util::sync::CancellationToken;

use super::archive::{self, Progress, Written, stop_if};
use super::gzip::ParallelGzip;
use super::tar_writer::{Content, TarWriter};
use super::tree_writer::TreeWriter;
use crate::engine::clamp::Clamp;
use crate::error::{Context, Error, Result};
use crate::guest::layers::{Entry, Layers};
use crate::guest::rooted::Attributes;
use crate::guest::xattr;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A directory tree.
    Directory,
    /// A tar archive.
    Tar,
    /// A tar archive packed with gzip.
    TarGz,
    /// A tar archive packed with zstd.
    TarZst,
}

impl Format {
    /// The format that goes by the ending of a name: a directory if it has none of an archive's.
    pub fn of_name(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".tar.gz", ".tgz"]) {
            Self::TarGz
        } else if ends(&[".tar.zst", ".tar.zstd", ".tzst"]) {
            Self::TarZst
        } else if ends(&[".tar"]) {
            Self::Tar
        } else {
            Self::Directory
        }
    }

    /// The format of a `format` option: `directory`, `tar`, `tar.gz`, `tar.zst`.
    pub fn from_option(value: &str) -> Option<Self> {
        Some(match value {
            "directory" => Self::Directory,
            "tar" => Self::Tar,
            "tar.gz" => Self::TarGz,
            "tar.zst" => Self::TarZst,
            _ => return None,
        })
    }
}

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// The finished tree, without any trust layer.
    pub tree: &'a Layers,
    /// The file or directory to make. Its parent is made where it is missing.
    pub target: &'a Path,
    /// What to make.
    pub format: Format,
    /// Whether what is at the target may be replaced.
    pub force: bool,
    /// Paths, relative to the root of the tree, that are left out with all in them.
    pub exclude: &'a [PathBuf],
    /// The latest time that is written.
    pub clamp: Clamp,
}

/// Writes the tree. On an error, or when `cancel` fires, nothing is left and the target is as it was.
pub fn export(export: &Export<'_>, cancel: &CancellationToken, progress: Progress<'_>) -> Result<Written> {
    let target = export.target;
    check_target(target, export.format, export.force)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).context(|| format!("cannot make {}", parent.display()))?;
    if export.format == Format::Directory {
        directory(export, parent, cancel, progress)
    } else {
        file(export, parent, cancel, progress)
    }
    .context(|| format!("cannot write {}", target.display()))
}

/// Refuses a target that would be replaced without leave, before any work is done. [`export()`] asks this too.
pub fn check_target(target: &Path, format: Format, force: bool) -> Result<()> {
    match fs::symlink_metadata(target) {
        Ok(_) if !force => Err(Error::new(format!("{} exists already", target.display()))
            .hint("use -force to replace it, or set `output` to another path")),
        Ok(metadata) if format != Format::Directory && metadata.is_dir() => {
            Err(Error::new(format!("{} is a directory, and an archive is to be written", target.display()))
                .hint("remove it or choose another output"))
        }
        Ok(metadata) if format == Format::Directory && !metadata.is_dir() => {
            Err(Error::new(format!("{} is not a directory", target.display()))
                .hint("remove it or choose another output"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::new(format!("cannot look at {}", target.display())).caused_by(error)),
    }
}

/// The start of a temporary name: hidden, and telling what it is.
fn prefix(target: &Path) -> String {
    let name: String = target.file_name().unwrap_or_default().to_string_lossy().chars().take(48).collect();
    format!(".{name}.larder-")
}

fn file(export: &Export<'_>, parent: &Path, cancel: &CancellationToken, progress: Progress<'_>) -> Result<Written> {
    let temporary = tempfile::Builder::new()
        .prefix(&prefix(export.target))
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(parent)
        .context(|| format!("cannot write in {}", parent.display()))?;
    let output = BufWriter::with_capacity(1 << 20, temporary.as_file());
    let written = packed(export, output, cancel, progress)?;
    temporary.as_file().sync_all().context(|| "cannot write it to disk".to_owned())?;
    stop_if(cancel)?;
    let renamed =
        if export.force { temporary.persist(export.target) } else { temporary.persist_noclobber(export.target) };
    renamed.map_err(|error| error.error).context(|| "cannot put it in its place".to_owned())?;
    sync_directory(parent)?;
    Ok(written)
}

fn packed(
    export: &Export<'_>,
    output: impl Write + Send,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<Written> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let flushed = |result: io::Result<()>| result.context(|| "cannot write the end of it".to_owned());
    match export.format {
        Format::TarGz => std::thread::scope(|scope| {
            let (written, packer) = tape(export, ParallelGzip::new(scope, output, threads), cancel, progress)?;
            flushed(packer.finish().and_then(|mut output| output.flush()))?;
            Ok(written)
        }),
        Format::TarZst => {
            let mut packer = zstd::Encoder::new(output, 3).context(|| "cannot start zstd".to_owned())?;
            packer.include_checksum(true).context(|| "cannot start zstd".to_owned())?;
            let workers = u32::try_from(threads).unwrap_or(1).max(2);
            packer.multithread(workers).context(|| "cannot start zstd".to_owned())?;
            let (written, packer) = tape(export, packer, cancel, progress)?;
            flushed(packer.finish().and_then(|mut output| output.flush()))?;
            Ok(written)
        }
        Format::Tar | Format::Directory => {
            let (written, mut output) = tape(export, output, cancel, progress)?;
            flushed(output.flush())?;
            Ok(written)
        }
    }
}

/// The tree as a tar archive, sorted.
fn tape<W: Write>(
    export: &Export<'_>,
    output: W,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<(Written, W)> {
    let mut tape = Tape {
        writer: TarWriter::new(output).clamped(export.clamp),
        names: HashMap::new(),
        written: Written::default(),
    };
    export.tree.walk(&mut |entry| {
        stop_if(cancel)?;
        if export.exclude.contains(&entry.path) {
            return Ok(false);
        }
        tape.add(entry).context(|| format!("cannot add {}", entry.source.display()))?;
        progress(tape.written);
        Ok(true)
    })?;
    let output = tape.writer.finish().context(|| "cannot write the end of it".to_owned())?;
    Ok((tape.written, output))
}

struct Tape<W> {
    writer: TarWriter<W>,
    /// The first name of each file that has several.
    names: HashMap<(u64, u64), PathBuf>,
    written: Written,
}

impl<W: Write> Tape<W> {
    fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let metadata = &entry.metadata;
        let kind = FileType::from_raw_mode(metadata.mode());
        let path =
            if entry.path.as_os_str().is_empty() { PathBuf::from(".") } else { Path::new("./").join(&entry.path) };
        let attributes = Attributes::from(metadata);
        let identity = (metadata.dev(), metadata.ino());
        let mut nothing = io::empty();
        if let Some(first) = self.names.get(&identity) {
            self.writer.entry(&path, &attributes, &[], Content::HardLink(first), &mut nothing)?;
        } else {
            let device = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
            let content = match kind {
                FileType::RegularFile => return self.add_file(&path, entry),
                FileType::Symlink => {
                    let target = fs::read_link(&entry.source)?;
                    self.remember(identity, metadata, &path);
                    self.writer.entry(&path, &attributes, &[], Content::Symlink(&target), &mut nothing)?;
                    self.written.entries += 1;
                    return Ok(());
                }
                FileType::Directory => Content::Directory,
                FileType::CharacterDevice => Content::Character(device.0, device.1),
                FileType::BlockDevice => Content::Block(device.0, device.1),
                FileType::Fifo => Content::Fifo,
                // A socket is nothing without the program that listens; tar cannot hold one.
                _ => return Ok(()),
            };
            let xattrs = if kind.is_dir() { xattr::list(&entry.source)? } else { Vec::new() };
            self.writer.entry(&path, &attributes, &xattrs, content, &mut nothing)?;
            self.remember(identity, metadata, &path);
        }
        self.written.entries += 1;
        Ok(())
    }

    fn add_file(&mut self, path: &Path, entry: &Entry) -> io::Result<()> {
        let metadata = &entry.metadata;
        let mut file = archive::open(&entry.source)?;
        let xattrs = xattr::list(&entry.source)?;
        let content = Content::File(metadata.len());
        self.writer.entry(path, &Attributes::from(metadata), &xattrs, content, &mut file)?;
        self.remember((metadata.dev(), metadata.ino()), metadata, path);
        self.written.entries += 1;
        self.written.bytes += metadata.len();
        Ok(())
    }

    fn remember(&mut self, identity: (u64, u64), metadata: &fs::Metadata, path: &Path) {
        if metadata.nlink() > 1 && !metadata.is_dir() {
            self.names.insert(identity, path.to_owned());
        }
    }
}

fn directory(
    export: &Export<'_>,
    parent: &Path,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<Written> {
    let temporary = tempfile::Builder::new()
        .prefix(&prefix(export.target))
        .tempdir_in(parent)
        .context(|| format!("cannot write in {}", parent.display()))?;
    let writer = TreeWriter::new(temporary.path()).context(|| "cannot open the new directory".to_owned())?;
    let writer = writer.clamped(export.clamp);
    let written = archive::copy(export.tree, writer, export.exclude, None, cancel, progress)?;
    let made = File::open(temporary.path()).context(|| "cannot open the new directory".to_owned())?;
    rustix::fs::syncfs(&made).context(|| "cannot write it to disk".to_owned())?;
    stop_if(cancel)?;
    let flags = if fs::symlink_metadata(export.target).is_ok() {
        // Where this came from is then where the old one is, which goes with the temporary directory.
        no_mount_in(export.target)?;
        RenameFlags::EXCHANGE
    } else {
        RenameFlags::NOREPLACE
    };
    rustix::fs::renameat_with(CWD, temporary.path(), CWD, export.target, flags)
        .context(|| "cannot put it in its place".to_owned())?;
    if flags == RenameFlags::NOREPLACE {
        // Nothing is left to remove.
        let _ = temporary.keep();
    } else {
        temporary.close().context(|| "cannot remove what was there before".to_owned())?;
    }
    sync_directory(parent)?;
    Ok(written)
}

/// Refuses to replace a directory that something is mounted in: removing it would reach into what is mounted.
fn no_mount_in(directory: &Path) -> Result<()> {
    let directory = directory.canonicalize().context(|| format!("cannot look at {}", directory.display()))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").context(|| "cannot read the mount table".to_owned())?;
    // mountinfo writes space, tab, newline and backslash in octal.
    let unescape = |text: &str| {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
    };
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    match points.into_iter().find(|point| Path::new(point).starts_with(&directory)) {
        Some(point) => Err(Error::new(format!("{} is replaced by nothing: {point} is mounted", directory.display()))
            .hint(format!("run `umount {point}` first"))),
        None => Ok(()),
    }
}

fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all()).context(|| "cannot write it to disk".to_owned())
}

#[cfg(test)]
mod tests;
