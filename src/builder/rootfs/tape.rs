//! A tree, or what is different in it, as a tar archive.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::archive::{self, Written};
use super::tar_writer::{Content, TarWriter};
use crate::engine::clamp::Clamp;
use crate::error::{Context as _, Result};
use crate::guest::layers::{Entry, Layers};
use crate::guest::rooted::Attributes;
use crate::guest::xattr;

/// What the name of a removed file begins with in the layer of a container image.
pub(super) const WHITEOUT: &str = ".wh.";

/// A tar archive of entries of a tree, in the order they are added.
pub(super) struct Tape<W> {
    writer: TarWriter<W>,
    /// What comes before each name.
    prefix: &'static str,
    /// The first name of each file that has several.
    names: HashMap<(u64, u64), PathBuf>,
    pub(super) written: Written,
}

impl<W: Write> Tape<W> {
    pub(super) fn new(writer: TarWriter<W>, prefix: &'static str) -> Self {
        Self { writer, prefix, names: HashMap::new(), written: Written::default() }
    }

    /// Writes the end mark and gives the output back.
    pub(super) fn finish(self) -> io::Result<W> {
        self.writer.finish()
    }

    /// Adds what says to container programs that the name in `directory` is gone from the layers below.
    pub(super) fn whiteout(&mut self, path: &Path) -> io::Result<()> {
        let mut name = OsString::from(WHITEOUT);
        name.push(path.file_name().unwrap_or_default());
        let nobody = Attributes { mode: 0, uid: 0, gid: 0, mtime: (0, 0) };
        let path = Path::new(self.prefix).join(path.with_file_name(name));
        self.writer.entry(&path, &nobody, &[], Content::File(0), &mut io::empty())?;
        self.written.entries += 1;
        Ok(())
    }

    /// Adds an entry; another name of a file added before as a link to it.
    pub(super) fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let metadata = &entry.metadata;
        let kind = FileType::from_raw_mode(metadata.mode());
        let path = if entry.path.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            Path::new(self.prefix).join(&entry.path)
        };
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

/// Writes files, and directories with all that is in them, as a tar archive. Each has a name in it, and a path.
pub(crate) fn archive<W: Write>(files: &[(PathBuf, PathBuf)], clamp: Clamp, output: W) -> Result<W> {
    let mut tape = Tape::new(TarWriter::new(output).clamped(clamp), "");
    for (name, source) in files {
        let source = source.canonicalize().context(|| format!("cannot read {}", source.display()))?;
        Layers::new([source]).walk(&mut |entry| {
            let path = if entry.path.as_os_str().is_empty() { name.clone() } else { name.join(&entry.path) };
            tape.add(&Entry { path, ..entry.clone() }).context(|| format!("cannot add {}", entry.source.display()))?;
            Ok(true)
        })?;
    }
    tape.finish().context(|| "cannot write the end of it".to_owned())
}
