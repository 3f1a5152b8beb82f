//! The finished tree as a directory or an archive, written beside its place and put there in one step.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::archive::{self, Progress, Written, stop_if};
use super::tape::Tape;
use super::tar_writer::TarWriter;
use super::tree_writer::TreeWriter;
use crate::engine::clamp::Clamp;
use crate::engine::place;
use crate::error::{Context, Result};
use crate::guest::layers::Layers;
use crate::pack::{self, Codec, Packer, Stoppable};

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
    /// An OCI image layout: a directory.
    Oci,
    /// An OCI image layout in a tar archive.
    OciArchive,
    /// An image of a squashfs file system.
    Squashfs,
    /// An image of an ext4 file system, without partitions.
    Ext4,
}

/// Formats by the name they have as an option, with the endings of file names that stand for them.
const FORMATS: [(Format, &str, &[&str]); 8] = [
    // Before `tar`, whose ending it shares.
    (Format::OciArchive, "oci-archive", &[".oci.tar"]),
    (Format::Oci, "oci", &[".oci"]),
    (Format::TarGz, "tar.gz", &[".tar.gz", ".tgz"]),
    (Format::TarZst, "tar.zst", &[".tar.zst", ".tar.zstd", ".tzst"]),
    (Format::Tar, "tar", &[".tar"]),
    (Format::Squashfs, "squashfs", &[".squashfs", ".sqfs"]),
    (Format::Ext4, "ext4", &[".ext4"]),
    (Format::Directory, "directory", &[]),
];

impl Format {
    /// The format that goes by the ending of a name: a directory if it has none of the others'.
    pub fn of_name(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let found = FORMATS.iter().find(|(_, _, endings)| endings.iter().any(|ending| name.ends_with(ending)));
        found.map_or(Self::Directory, |(format, ..)| *format)
    }

    /// The format of a `format` option.
    pub fn from_option(value: &str) -> Option<Self> {
        FORMATS.iter().find(|(_, name, _)| *name == value).map(|(format, ..)| *format)
    }

    /// The values of a `format` option.
    pub fn options() -> impl Iterator<Item = &'static str> {
        FORMATS.iter().map(|(_, name, _)| *name)
    }

    /// Whether it is a directory that is written.
    pub fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::Oci)
    }

    /// Whether it is a container image.
    pub fn is_oci(self) -> bool {
        matches!(self, Self::Oci | Self::OciArchive)
    }

    /// Whether it is an image of a file system.
    pub fn is_filesystem(self) -> bool {
        matches!(self, Self::Squashfs | Self::Ext4)
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
    if export.format.is_directory() {
        return place::directory(export.target, export.force, cancel, |temporary| {
            let writer = TreeWriter::new(temporary).context(|| "cannot open the new directory".to_owned())?;
            archive::copy(export.tree, writer.clamped(export.clamp), export.exclude, None, cancel, progress)
        });
    }
    place::file(export.target, export.force, cancel, |temporary| {
        let output = BufWriter::with_capacity(1 << 20, temporary.as_file());
        packed(export, output, cancel, progress)
    })
}

fn packed(
    export: &Export<'_>,
    output: impl Write,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<Written> {
    let codec = match export.format {
        Format::TarGz => Some(Codec::Gzip),
        Format::TarZst => Some(Codec::Zstd),
        _ => None,
    };
    let level = codec.map_or(0, |codec| codec.level(None));
    let packer = Packer::new(output, codec, level, pack::threads()).context(|| "cannot start to pack it".to_owned())?;
    let (written, packer) = tape(export, packer, cancel, progress)?;
    let flushed = packer.finish().and_then(|mut output| output.flush());
    flushed.context(|| "cannot write the end of it".to_owned())?;
    Ok(written)
}

/// The tree as a tar archive, sorted.
fn tape<W: Write>(
    export: &Export<'_>,
    output: W,
    cancel: &CancellationToken,
    progress: Progress<'_>,
) -> Result<(Written, W)> {
    let mut tape = Tape::new(TarWriter::new(Stoppable::new(output, cancel)).clamped(export.clamp), "./");
    export.tree.walk(&mut |entry| {
        stop_if(cancel)?;
        if export.exclude.contains(&entry.path) {
            return Ok(false);
        }
        tape.add(entry).context(|| format!("cannot add {}", entry.source.display()))?;
        progress(tape.written);
        Ok(true)
    })?;
    let written = tape.written;
    let output = tape.finish().context(|| "cannot write the end of it".to_owned())?;
    Ok((written, output.into_inner()))
}

#[cfg(test)]
mod tests;
