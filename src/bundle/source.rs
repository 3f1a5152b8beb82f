//! Where a bundle is read from: a directory, an archive, a packed archive; in one file or in parts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, openat};

use super::archive::{self, ArchiveReader, Name};
use super::budget::Budget;
use super::fault::{BundleError, shown};
use super::frame::Frame;
use super::parts::{self, Parts};
use super::pinned::{self, Pinned};
use super::signature::{self, SignatureError, Signer, Trusted};

/// Told of the bytes read so far.
pub type Progress<'a> = &'a dyn Fn(u64);

/// What every reading has to do with.
#[derive(Clone)]
pub struct Watch<'a> {
    /// What may come out of the bundle.
    pub budget: Rc<Budget>,
    /// Set once nobody wants it any more.
    pub cancel: &'a AtomicBool,
    /// Told of the bytes read so far; twice the same where it is signed, since that is read twice.
    pub progress: Progress<'a>,
    /// Whose signature the bundle has to have, where it has to have one.
    pub trusted: Option<&'a Trusted>,
}

impl Watch<'_> {
    fn read(&self, count: usize) -> io::Result<()> {
        self.budget.read(count as u64);
        self.tell(self.budget.packed())
    }

    fn tell(&self, done: u64) -> io::Result<()> {
        (self.progress)(done);
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::Error::other(BundleError::Interrupted));
        }
        Ok(())
    }
}

/// Input that is counted, and can be interrupted.
struct Watched<'a, R> {
    input: R,
    watch: Watch<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.watch.read(count)?;
        Ok(count)
    }
}

type Input<'a> = BufReader<Watched<'a, Box<dyn Read + 'a>>>;

enum Stream<'a> {
    Plain(Input<'a>),
    Packed(Frame<Input<'a>>),
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Packed(frame) => frame.read(buffer),
        }
    }
}

/// The files of a bundle, one after the other; the content of each by [`Read`].
pub(super) struct Source<'a> {
    form: Form<'a>,
    seen: BTreeSet<Name>,
    signer: Option<Signer>,
}

enum Form<'a> {
    /// `None` once the end has been read.
    Archive(Option<ArchiveReader<Stream<'a>>>),
    Directory(Directory<'a>),
}

impl<'a> Source<'a> {
    /// Opens the bundle at `path`: what form it has is told by its content.
    pub(super) fn open(path: &Path, watch: Watch<'a>) -> Result<Self, BundleError> {
        let cannot = || BundleError::read(path.display().to_string());
        let list = parts::list_path(path);
        let of_parts = parts::whole_of(path).map(|whole| (path.to_owned(), whole));
        let of_parts = of_parts.or_else(|| (!path.exists() && list.exists()).then(|| (list, path.to_owned())));
        let mut signer = None;
        let form = if path.is_dir() {
            Form::Directory(Directory::open(path, watch)?)
        } else {
            let mut file: Box<dyn Read + 'a>;
            (file, signer) = match of_parts {
                Some((list, whole)) => of_several(&list, &whole, &watch)?,
                None => of_file(path, &watch)?,
            };
            let mut first = [0; 4];
            let count = read_up_to(&mut file, &mut first).map_err(cannot())?;
            let whole: Box<dyn Read + 'a> = Box::new(io::Cursor::new(first).take(count as u64).chain(file));
            let input = BufReader::with_capacity(256 * 1024, Watched { input: whole, watch });
            // Any frame: one to be skipped gets its own refusal.
            let stream =
                if is_zstd(first) { Stream::Packed(Frame::new(input, "the bundle")?) } else { Stream::Plain(input) };
            Form::Archive(Some(ArchiveReader::new(stream)))
        };
        Ok(Self { form, seen: BTreeSet::new(), signer })
    }

    /// Who signed it, where that was asked for. Of a directory it is known once its index has been read.
    pub(super) fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// The path of the directory, where it is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.form {
            Form::Directory(directory) => Some(&directory.path),
            Form::Archive(_) => None,
        }
    }

    /// The next file that was not read yet, and its size.
    pub(super) fn next(&mut self) -> Result<Option<(Name, u64)>, BundleError> {
        let found = match &mut self.form {
            Form::Directory(directory) => return directory.next(),
            Form::Archive(archive) => {
                let Some(open) = archive.as_mut() else { return Ok(None) };
                let found = open.advance()?;
                if found.is_none()
                    && let Some(Stream::Packed(frame)) = archive.take().map(ArchiveReader::into_inner)
                {
                    frame.finish("the bundle")?;
                }
                found
            }
        };
        if let Some((name, _)) = &found
            && !self.seen.insert(name.clone())
        {
            return Err(BundleError::malformed(format!("the archive holds {name} twice")));
        }
        Ok(found)
    }

    /// The whole of a small file, which in an archive has to come next.
    pub(super) fn fetch(&mut self, name: &Name, most: u64) -> Result<Vec<u8>, BundleError> {
        let size = match &mut self.form {
            Form::Directory(directory) => directory.begin(name)?,
            Form::Archive(_) => match self.next()? {
                Some((found, size)) if found == *name => size,
                Some((found, _)) => {
                    return Err(BundleError::malformed(format!(
                        "the archive holds {found} where {name} should come: unpack it, and use the directory"
                    )));
                }
                None => return Err(BundleError::malformed(format!("{name} is missing"))),
            },
        };
        if size > most {
            return Err(BundleError::malformed(format!("{name} has {size} bytes, and at most {most} are read")));
        }
        let mut content = Vec::new();
        self.read_to_end(&mut content).map_err(BundleError::read(name.to_string()))?;
        if let (Form::Directory(directory), Name::Index) = (&self.form, name)
            && let Some(trusted) = directory.watch.trusted
        {
            // These bytes, and not the file: by their digests they name all others.
            self.signer = Some(trusted.begin(&directory.path.join(archive::INDEX))?.content(&content)?);
        }
        Ok(content)
    }
}

type Opened<'a> = (Box<dyn Read + 'a>, Option<Signer>);

/// A bundle in one file. Where it has to be signed, all of it is read before the first byte is passed on, and then once
/// more by the same descriptor.
fn of_file<'a>(path: &Path, watch: &Watch<'a>) -> Result<Opened<'a>, BundleError> {
    let cannot = || BundleError::read(path.display().to_string());
    let mut file = File::open(path).map_err(cannot())?;
    let Some(trusted) = watch.trusted else { return Ok((Box::new(file), None)) };
    if !file.metadata().map_err(cannot())?.is_file() {
        return Err(SignatureError::NoFile { path: path.to_owned() }.into());
    }
    let check = trusted.begin(path)?;
    let (mut checking, mut done) = (check.stream(), 0);
    let sums = pinned::look(&mut file, |piece| {
        done += piece.len() as u64;
        watch.tell(done).map_err(cannot())?;
        Ok(checking.update(piece)?)
    });
    let sums = sums.map_err(cannot())?;
    let signer = checking.finish()?;
    file.rewind().map_err(cannot())?;
    Ok((Box::new(Pinned::new(file, path, sums)), Some(signer)))
}

/// A bundle in parts. Where it has to be signed, all parts are held to their digests before the first byte is passed on.
fn of_several<'a>(list: &Path, whole: &Path, watch: &Watch<'a>) -> Result<Opened<'a>, BundleError> {
    let cannot = || BundleError::read(whole.display().to_string());
    let mut parts = Parts::open(list, whole.to_owned(), watch.trusted)?;
    let Some(signer) = parts.signer().cloned() else { return Ok((Box::new(parts), None)) };
    let mut done = 0;
    let sums = pinned::look(&mut parts, |piece| {
        done += piece.len() as u64;
        watch.tell(done).map_err(cannot())
    });
    let sums = sums.map_err(cannot())?;
    parts.rewind();
    Ok((Box::new(Pinned::new(parts, whole, sums)), Some(signer)))
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.form {
            Form::Directory(directory) => directory.read(buffer),
            Form::Archive(archive) => archive.as_mut().map_or(Ok(0), |archive| archive.read(buffer)),
        }
    }
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Whether a frame of zstd begins so: one of content, or one to be skipped.
fn is_zstd(first: [u8; 4]) -> bool {
    first == [0x28, 0xb5, 0x2f, 0xfd] || (first[0] & 0xf0 == 0x50 && first[1..] == [0x2a, 0x4d, 0x18])
}

/// A layout in a directory. No link in it is followed.
struct Directory<'a> {
    path: PathBuf,
    root: OwnedFd,
    blobs: OwnedFd,
    /// Names of blobs that were not read yet, the last first.
    left: Vec<Name>,
    current: Option<Watched<'a, io::Take<File>>>,
    watch: Watch<'a>,
}

impl<'a> Directory<'a> {
    fn open(path: &Path, watch: Watch<'a>) -> Result<Self, BundleError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cannot = |error: rustix::io::Errno| BundleError::read(path.display().to_string())(error.into());
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(cannot)?;
        let below = openat(&root, "blobs", flags | OFlags::NOFOLLOW, Mode::empty());
        let blobs = below.and_then(|blobs| openat(&blobs, "sha256", flags | OFlags::NOFOLLOW, Mode::empty()));
        let blobs = blobs.map_err(|_| BundleError::malformed(format!("{} holds no blobs/sha256", path.display())))?;
        let mut directory = Self { path: path.to_owned(), root, blobs, left: Vec::new(), current: None, watch };
        directory.list()?;
        Ok(directory)
    }

    fn list(&mut self) -> Result<(), BundleError> {
        let names = |directory: &OwnedFd| -> io::Result<Vec<Vec<u8>>> {
            let entries = rustix::fs::Dir::read_from(directory)?;
            let names = entries.map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
            let names: io::Result<Vec<_>> = names.collect();
            Ok(names?.into_iter().filter(|name| name != b"." && name != b"..").collect())
        };
        let cannot = || BundleError::read(self.path.display().to_string());
        let signature = [archive::INDEX.as_bytes(), signature::SUFFIX.as_bytes()].concat();
        let allowed: [&[u8]; 4] = [b"oci-layout", b"index.json", b"blobs", &signature];
        let stray = |name: &[u8]| {
            BundleError::malformed(format!("{} holds {:?}, which no bundle has", self.path.display(), shown(name)))
        };
        for name in names(&self.root).map_err(cannot())? {
            if !allowed.contains(&name.as_slice()) {
                return Err(stray(&name));
            }
        }
        let mut left = Vec::new();
        for name in names(&self.blobs).map_err(cannot())? {
            self.watch.budget.one()?;
            let full = [b"blobs/sha256/", name.as_slice()].concat();
            left.push(Name::parse(&full).ok_or_else(|| stray(&full))?);
        }
        left.sort_by(|one, other| other.cmp(one));
        self.left = left;
        Ok(())
    }

    /// Begins to read a file, and says its size.
    fn begin(&mut self, name: &Name) -> Result<u64, BundleError> {
        self.left.retain(|left| left != name);
        self.open_file(name)
    }

    fn next(&mut self) -> Result<Option<(Name, u64)>, BundleError> {
        let Some(name) = self.left.pop() else { return Ok(None) };
        let size = self.open_file(&name)?;
        Ok(Some((name, size)))
    }

    fn open_file(&mut self, name: &Name) -> Result<u64, BundleError> {
        let text = name.to_string();
        let (directory, file) = match name {
            Name::Blob(hex) => (&self.blobs, hex.as_str()),
            Name::Layout | Name::Index => (&self.root, text.as_str()),
        };
        // A pipe would let whoever opens it wait.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = openat(directory, file, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::NOENT => BundleError::malformed(format!("{name} is missing")),
            rustix::io::Errno::LOOP => BundleError::malformed(format!("{name} is a symbolic link")),
            _ => BundleError::read(text.clone())(error.into()),
        })?;
        let file = File::from(file);
        let found = file.metadata().map_err(BundleError::read(text.clone()))?;
        if !found.is_file() {
            return Err(BundleError::malformed(format!("{name} is no plain file")));
        }
        self.current = Some(Watched { input: file.take(found.len()), watch: self.watch.clone() });
        Ok(found.len())
    }
}

impl Read for Directory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.current.as_mut().map_or(Ok(0), |current| current.read(buffer))
    }
}
