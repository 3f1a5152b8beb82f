//! A bundle in several files, for media that take no large ones.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::document::{PARTS, PartEntry, PartList};
use super::fault::BundleError;
use super::signature::{Signer, Trusted};

/// What the name of a list ends with.
pub(super) const SUFFIX: &str = ".parts.json";
/// Most bytes of a list.
const LONGEST: u64 = 4 << 20;
/// Most parts: their numbers have three digits.
pub(super) const MOST: usize = 999;

/// The file of a part of the bundle `whole`, counted from 1.
pub(super) fn path(whole: &Path, number: usize) -> PathBuf {
    let mut name = whole.as_os_str().to_owned();
    name.push(format!(".{number:03}"));
    name.into()
}

/// The file that lists the parts of the bundle `whole`.
pub(super) fn list_path(whole: &Path) -> PathBuf {
    let mut name = whole.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

/// The bundle that a file lists the parts of, if it is such a list by its name.
pub(super) fn whole_of(list: &Path) -> Option<PathBuf> {
    let name = list.file_name()?.to_str()?.strip_suffix(SUFFIX).filter(|name| !name.is_empty())?;
    Some(list.with_file_name(name))
}

/// Reads the parts one after the other, and holds each to its size and digest.
#[derive(Debug)]
pub(super) struct Parts {
    whole: PathBuf,
    list: Vec<PartEntry>,
    /// The one being read, from 0.
    at: usize,
    file: Option<File>,
    hasher: Sha256,
    left: u64,
    signer: Option<Signer>,
}

impl Parts {
    /// Reads the list, and looks whether every part is there in its size. The list is what is signed: it has the parts'
    /// digests.
    pub(super) fn open(list: &Path, whole: PathBuf, trusted: Option<&Trusted>) -> Result<Self, BundleError> {
        let mut text = Vec::new();
        let file = File::open(list).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
        file.map_err(BundleError::read(list.display().to_string()))?;
        let not_a_list =
            |why: &str| BundleError::malformed(format!("{} is not a list of parts: {why}", list.display()));
        if text.len() as u64 > LONGEST {
            return Err(not_a_list("it is too long"));
        }
        let signer = trusted.map(|trusted| trusted.begin(list)?.content(&text)).transpose()?;
        let parsed: PartList = serde_json::from_slice(&text).map_err(|error| not_a_list(&error.to_string()))?;
        let sum = parsed.parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.size));
        if parsed.media_type != PARTS {
            return Err(not_a_list("its media type is another"));
        }
        if sum != Some(parsed.size) || parsed.parts.is_empty() || parsed.parts.len() > MOST {
            return Err(not_a_list("its sizes and numbers do not agree"));
        }
        let mut parts = Self { whole, list: parsed.parts, at: 0, file: None, hasher: Sha256::new(), left: 0, signer };
        parts.look()?;
        Ok(parts)
    }

    /// Who signed the list, where that was asked for.
    pub(super) fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    /// Begins with the first part again, after all have been read.
    pub(super) fn rewind(&mut self) {
        self.at = 0;
    }

    /// Whether every part is there, in its size: better told before an hour of reading than after.
    fn look(&mut self) -> Result<(), BundleError> {
        for at in 0..self.list.len() {
            let size = self.list[at].size;
            let path = path(&self.whole, at + 1);
            match path.metadata() {
                Err(error) => return Err(self.wrong(at, format!("cannot be read: {error}"))),
                Ok(found) if !found.is_file() => return Err(self.wrong(at, "is no file".to_owned())),
                Ok(found) if found.len() != size => {
                    let how = if found.len() < size { "cut short" } else { "too long" };
                    return Err(self.wrong(at, format!("is {how}: it has {} bytes of {size}", found.len())));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    fn wrong(&self, at: usize, why: String) -> BundleError {
        BundleError::Part { number: at + 1, count: self.list.len(), path: path(&self.whole, at + 1), why }
    }

    /// Makes sure of the part that has been read to its end.
    fn end_part(&mut self) -> Result<(), BundleError> {
        let hasher = std::mem::take(&mut self.hasher);
        let found = format!("sha256:{}", hex::encode(hasher.finalize()));
        self.file = None;
        if found != self.list[self.at].digest {
            let other = self.list.iter().position(|part| part.digest == found);
            let why = match other {
                Some(other) => format!("holds what part {} should", other + 1),
                None => "is damaged: its digest is another".to_owned(),
            };
            return Err(self.wrong(self.at, why));
        }
        self.at += 1;
        Ok(())
    }
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.file.is_none() {
                let Some(part) = self.list.get(self.at) else { return Ok(0) };
                self.left = part.size;
                self.file = Some(File::open(path(&self.whole, self.at + 1))?);
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
            if self.left == 0 {
                self.end_part().map_err(io::Error::other)?;
                continue;
            }
            let count = self.file.as_mut().map_or(Ok(0), |file| file.read(&mut buffer[..most]))?;
            if count == 0 && most > 0 {
                return Err(io::Error::other(self.wrong(self.at, "became shorter while it was read".to_owned())));
            }
            self.hasher.update(&buffer[..count]);
            self.left -= count as u64;
            return Ok(count);
        }
    }
}
