//! Content stored by its digest.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::document::Descriptor;
use crate::error::{Context as _, Result};

/// Where the blobs of a layout are, from its root.
pub(super) const BLOBS: &str = "blobs/sha256";

/// Digests what passes through.
pub(super) struct Digesting<W> {
    output: W,
    hasher: Sha256,
    length: u64,
}

impl<W: Write> Digesting<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, hasher: Sha256::new(), length: 0 }
    }

    /// The output, the digest with its algorithm before it, and the length.
    pub(super) fn finish(self) -> (W, String, u64) {
        (self.output, format!("sha256:{}", hex::encode(self.hasher.finalize())), self.length)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The blobs of a layout that is being made.
pub(super) struct Blobs {
    layout: PathBuf,
}

/// A blob that is being written.
pub(super) type Open = Digesting<BufWriter<File>>;

impl Blobs {
    /// Makes their directory in that of the layout.
    pub(super) fn new(layout: &Path) -> Result<Self> {
        let directory = layout.join(BLOBS);
        fs::create_dir_all(&directory).context(|| format!("cannot make {}", directory.display()))?;
        for path in [layout.to_owned(), layout.join("blobs"), directory] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                .context(|| format!("cannot set the mode of {}", path.display()))?;
        }
        Ok(Self { layout: layout.to_owned() })
    }

    /// Begins a blob. One is written at a time.
    pub(super) fn begin(&self) -> Result<Open> {
        let file = File::create(self.part()).context(|| "cannot make a blob".to_owned())?;
        Ok(Digesting::new(BufWriter::with_capacity(1 << 20, file)))
    }

    /// Gives the blob its name.
    pub(super) fn finish(&self, blob: Open, media_type: String) -> Result<Descriptor> {
        let (mut output, digest, size) = blob.finish();
        output.flush().context(|| "cannot write the end of a blob".to_owned())?;
        let path = self.layout.join(path(&digest));
        fs::set_permissions(self.part(), fs::Permissions::from_mode(0o644))
            .and_then(|()| fs::rename(self.part(), &path))
            .context(|| format!("cannot make {}", path.display()))?;
        Ok(Descriptor { media_type, digest, size, annotations: std::collections::BTreeMap::new(), platform: None })
    }

    /// Drops the blob that is being written.
    pub(super) fn discard(&self, blob: Open) -> Result<()> {
        drop(blob);
        fs::remove_file(self.part()).context(|| "cannot remove what is not needed".to_owned())
    }

    /// Stores a document.
    pub(super) fn document(&self, document: &impl serde::Serialize, media_type: &str) -> Result<Descriptor> {
        let mut blob = self.begin()?;
        let bytes = serde_json::to_vec(document).context(|| format!("cannot write a {media_type}"))?;
        blob.write_all(&bytes).context(|| "cannot write a blob".to_owned())?;
        self.finish(blob, media_type.to_owned())
    }

    fn part(&self) -> PathBuf {
        self.layout.join("part")
    }
}

/// The path of a blob in its layout.
pub(super) fn path(digest: &str) -> String {
    format!("{BLOBS}/{}", digest.trim_start_matches("sha256:"))
}
