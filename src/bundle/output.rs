//! Where a bundle is written: under a name of its own until all of it is there.

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::archive::{self, ArchiveWriter, Name};
use super::document::{PARTS, PartEntry, PartList};
use super::{frame, parts, scratch};
use crate::error::{Context as _, Error, Result};

const PREFIX: &str = ".larder-bundle-";
/// Smallest parts: below, there would soon be too many of them.
const LEAST: u64 = 64 * 1024;

/// What form a bundle is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `.tar.zst`
    Packed,
    /// `.tar`
    Tar,
    /// A directory.
    Directory,
}

impl Shape {
    /// The form that a name asks for.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        if name.ends_with(".tar.zst") {
            return Ok(Self::Packed);
        }
        match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("tar") => Ok(Self::Tar),
            Some("zst" | "tzst" | "gz" | "tgz" | "xz" | "bz2" | "zip" | "json") => {
                Err(Error::new(format!("{} is of no form that a bundle has", path.display()))
                    .hint("name it NAME.tar.zst or NAME.tar, or without an ending for a directory"))
            }
            _ => Ok(Self::Directory),
        }
    }
}

/// The file of the bundle at `path` that a signature is made over: by its digests it has all others.
pub fn signed(path: &Path, in_parts: bool) -> Result<PathBuf> {
    Ok(match Shape::of(path)? {
        Shape::Directory => path.join(archive::INDEX),
        _ if in_parts => parts::list_path(path),
        _ => path.to_owned(),
    })
}

/// A bundle being written. Dropped, it leaves nothing.
pub struct Output {
    path: PathBuf,
    force: bool,
    form: Form,
}

enum Form {
    Packed(ArchiveWriter<zstd::Encoder<'static, Split>>),
    Tar(ArchiveWriter<BufWriter<Split>>),
    /// And the file being written; the lock says that the directory is in use.
    Directory(TempDir, Option<BufWriter<File>>, File),
}

/// What has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of the file, or of all parts together, in hex; none of a directory.
    pub digest: Option<String>,
    /// How many files it is in.
    pub files: usize,
}

impl Output {
    /// Begins the bundle at `path`. `part` is the most bytes of a file; `mtime` is the time of everything in it, in
    /// seconds since 1970. With `force` it takes the place of a file there.
    pub fn create(path: &Path, part: Option<u64>, mtime: u64, force: bool) -> Result<Self> {
        let shape = Shape::of(path)?;
        let list = parts::list_path(path);
        for taken in [path, &list].into_iter().filter(|_| !force || shape == Shape::Directory) {
            if taken.exists() && !is_empty_directory(taken) {
                let error = Error::new(format!("{} exists", taken.display()));
                return Err(match shape {
                    Shape::Directory => error.hint("remove it, or choose another name"),
                    _ => error.hint("use --force to replace it, or choose another name"),
                });
            }
        }
        if part.is_some_and(|part| part < LEAST) {
            return Err(Error::new("--max-part-size is too small").hint("give 64k or more"));
        }
        if part.is_some() && shape == Shape::Directory {
            return Err(Error::new("a directory is not written in parts").hint("name it NAME.tar.zst or NAME.tar"));
        }
        let cannot = || format!("cannot write {}", path.display());
        scratch::sweep(folder(path), PREFIX);
        let form = match shape {
            Shape::Packed => {
                let packed = frame::pack(Split::new(path, part).context(cannot)?).context(cannot)?;
                Form::Packed(ArchiveWriter::new(packed, mtime))
            }
            Shape::Tar => {
                let buffered = BufWriter::with_capacity(1 << 20, Split::new(path, part).context(cannot)?);
                Form::Tar(ArchiveWriter::new(buffered, mtime))
            }
            Shape::Directory => {
                let make = || tempfile::Builder::new().prefix(PREFIX).tempdir_in(folder(path));
                let (made, lock) = scratch::make(make, |made| File::open(made.path())).context(cannot)?;
                fs::create_dir_all(made.path().join("blobs/sha256")).context(cannot)?;
                Form::Directory(made, None, lock)
            }
        };
        Ok(Self { path: path.to_owned(), force, form })
    }

    /// Begins a file of exactly this size.
    pub fn begin(&mut self, name: &Name, size: u64) -> io::Result<()> {
        match &mut self.form {
            Form::Packed(archive) => archive.begin(name, size),
            Form::Tar(archive) => archive.begin(name, size),
            Form::Directory(directory, current, _) => {
                let file = File::create(directory.path().join(name.to_string()))?;
                *current = Some(BufWriter::with_capacity(1 << 20, file));
                Ok(())
            }
        }
    }

    /// Writes some of it.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.form {
            Form::Packed(archive) => archive.content(bytes),
            Form::Tar(archive) => archive.content(bytes),
            Form::Directory(_, current, _) => current.as_mut().map_or(Ok(()), |file| file.write_all(bytes)),
        }
    }

    /// Ends it.
    pub fn end(&mut self, size: u64) -> io::Result<()> {
        match &mut self.form {
            Form::Packed(archive) => archive.pad(size),
            Form::Tar(archive) => archive.pad(size),
            Form::Directory(_, current, _) => match current.take() {
                Some(file) => file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all(),
                None => Ok(()),
            },
        }
    }

    /// The whole of a small file.
    pub fn file(&mut self, name: &Name, content: &[u8]) -> io::Result<()> {
        let size = content.len() as u64;
        self.begin(name, size)?;
        self.content(content)?;
        self.end(size)
    }

    /// Makes it durable and gives it its name.
    pub fn finish(self) -> Result<Written> {
        let Self { path, force, form } = self;
        let cannot = || format!("cannot write {}", path.display());
        let split = match form {
            Form::Packed(archive) => archive.finish().and_then(zstd::Encoder::finish).context(cannot)?,
            Form::Tar(archive) => {
                let buffered = archive.finish().context(cannot)?;
                buffered.into_inner().map_err(io::IntoInnerError::into_error).context(cannot)?
            }
            Form::Directory(made, _, _lock) => return finish_directory(&made, &path),
        };
        split.finish(&path, force).context(cannot)
    }
}

fn finish_directory(made: &TempDir, path: &Path) -> Result<Written> {
    let cannot = || format!("cannot write {}", path.display());
    let mut written = Written { size: 0, digest: None, files: 0 };
    for directory in [made.path().to_owned(), made.path().join("blobs/sha256")] {
        for entry in fs::read_dir(&directory).context(cannot)? {
            let found = entry.and_then(|entry| entry.metadata()).context(cannot)?;
            written.size += if found.is_file() { found.len() } else { 0 };
            written.files += usize::from(found.is_file());
        }
        File::open(&directory).and_then(|directory| directory.sync_all()).context(cannot)?;
    }
    fs::set_permissions(made.path(), Permissions::from_mode(0o755)).context(cannot)?;
    fs::rename(made.path(), path).context(cannot)?;
    Ok(written)
}

fn is_empty_directory(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// One file, or several of at most some size.
struct Split {
    folder: PathBuf,
    most: Option<u64>,
    whole: Sha256,
    part: Sha256,
    size: u64,
    current: NamedTempFile,
    done: Vec<(NamedTempFile, PartEntry)>,
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    // What the umask allows of it, as for any file.
    let make =
        || tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o666)).tempfile_in(folder);
    // The file's own descriptor holds the lock.
    Ok(scratch::make(make, |made| made.as_file().try_clone())?.0)
}

impl Split {
    fn new(path: &Path, most: Option<u64>) -> io::Result<Self> {
        let folder = folder(path).to_owned();
        let current = temporary(&folder)?;
        Ok(Self { folder, most, whole: Sha256::new(), part: Sha256::new(), size: 0, current, done: Vec::new() })
    }

    fn end_part(&mut self) -> io::Result<()> {
        let next = temporary(&self.folder)?;
        let ended = std::mem::replace(&mut self.current, next);
        ended.as_file().sync_all()?;
        let digest = format!("sha256:{}", hex::encode(std::mem::take(&mut self.part).finalize()));
        self.done.push((ended, PartEntry { digest, size: std::mem::take(&mut self.size) }));
        if self.done.len() >= parts::MOST {
            return Err(io::Error::other(format!("more than {} parts: choose larger ones", parts::MOST)));
        }
        Ok(())
    }

    fn finish(mut self, path: &Path, force: bool) -> io::Result<Written> {
        let digest = Some(hex::encode(std::mem::take(&mut self.whole).finalize()));
        let place = |file: NamedTempFile, path: &Path| {
            let placed = if force { file.persist(path) } else { file.persist_noclobber(path) };
            placed.map(drop).map_err(|error| error.error)
        };
        if self.most.is_none() {
            self.current.as_file().sync_all()?;
            let size = self.size;
            let _ = force.then(|| fs::remove_file(parts::list_path(path)));
            place(self.current, path)?;
            File::open(&self.folder)?.sync_all()?;
            return Ok(Written { size, digest, files: 1 });
        }
        if self.size > 0 {
            self.end_part()?;
        }
        let entries: Vec<PartEntry> = self.done.iter().map(|(_, entry)| entry.clone()).collect();
        let size = entries.iter().map(|entry| entry.size).sum();
        let list = PartList { media_type: PARTS.to_owned(), size, parts: entries };
        // The empty one that was begun last becomes the list.
        serde_json::to_writer_pretty(self.current.as_file_mut(), &list)?;
        self.current.as_file_mut().write_all(b"\n")?;
        self.current.as_file().sync_all()?;
        let files = self.done.len() + 1;
        if force {
            // An older list must not be there beside newer parts, nor older parts beside the newer list.
            let _ = fs::remove_file(parts::list_path(path));
            (files..=parts::MOST).map_while(|number| fs::remove_file(parts::path(path, number)).ok()).for_each(drop);
        }
        let mut placed = Vec::new();
        let place_all = || {
            for (number, (file, _)) in self.done.into_iter().enumerate() {
                let path = parts::path(path, number + 1);
                place(file, &path)?;
                placed.push(path);
            }
            place(self.current, &parts::list_path(path))
        };
        if let Err(error) = place_all() {
            for path in &placed {
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        File::open(&self.folder)?.sync_all()?;
        Ok(Written { size, digest, files })
    }
}

impl Write for Split {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.most.is_some_and(|most| self.size >= most) {
            self.end_part()?;
        }
        let left = self.most.map_or(u64::MAX, |most| most - self.size);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let count = self.current.write(&bytes[..most])?;
        self.whole.update(&bytes[..count]);
        self.part.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current.flush()
    }
}
