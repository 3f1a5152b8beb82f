//! Input whose every byte is one that was seen before: so that what was checked is what is then read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::fault::BundleError;
use super::signature::SignatureError;

/// Bytes of a piece. A terabyte has a million of them, of 32 bytes each.
const PIECE: usize = 1 << 20;

type Sum = [u8; 32];

fn sum(piece: &[u8]) -> Sum {
    Sha256::digest(piece).into()
}

/// Fills `piece` as far as there is input.
fn fill(input: &mut impl Read, piece: &mut Vec<u8>) -> io::Result<()> {
    piece.clear();
    input.by_ref().take(PIECE as u64).read_to_end(piece).map(drop)
}

/// Reads input to its end, and gives each piece of it to `see`. Returns the digests of the pieces, in order.
pub(super) fn look(
    input: &mut impl Read,
    mut see: impl FnMut(&[u8]) -> Result<(), BundleError>,
) -> io::Result<Vec<Sum>> {
    let (mut sums, mut piece) = (Vec::new(), Vec::with_capacity(PIECE));
    loop {
        fill(input, &mut piece)?;
        if piece.is_empty() {
            return Ok(sums);
        }
        see(&piece).map_err(io::Error::other)?;
        sums.push(sum(&piece));
    }
}

/// The same input once more. No byte is passed on that is not of a piece as it was.
pub(super) struct Pinned<R> {
    input: R,
    path: PathBuf,
    sums: std::vec::IntoIter<Sum>,
    piece: Vec<u8>,
    at: usize,
}

impl<R: Read> Pinned<R> {
    /// Of the digests that [`look`] returned; `path` is for errors.
    pub(super) fn new(input: R, path: &Path, sums: Vec<Sum>) -> Self {
        Self { input, path: path.to_owned(), sums: sums.into_iter(), piece: Vec::with_capacity(PIECE), at: 0 }
    }
}

impl<R: Read> Read for Pinned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.at = 0;
            fill(&mut self.input, &mut self.piece)?;
            let expected = self.sums.next();
            let found = (!self.piece.is_empty()).then(|| sum(&self.piece));
            if found != expected {
                self.piece.clear();
                let error = SignatureError::Changed { path: self.path.clone() };
                return Err(io::Error::other(BundleError::from(error)));
            }
        }
        let count = (&self.piece[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(first: &[u8], second: &[u8]) -> Result<Vec<u8>, (Vec<u8>, String)> {
        let mut seen = Vec::new();
        let see = |piece: &[u8]| {
            seen.extend_from_slice(piece);
            Ok(())
        };
        let sums = look(&mut &first[..], see).unwrap();
        assert!(seen == first);
        let mut read = Vec::new();
        match Pinned::new(second, Path::new("x"), sums).read_to_end(&mut read) {
            Ok(_) => Ok(read),
            Err(error) => Err((read, error.to_string())),
        }
    }

    #[test]
    fn what_differs_is_not_passed_on() {
        for size in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let content: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
            assert!(again(&content, &content).unwrap() == content);
            let mut others = vec![[&content[..], b"x"].concat()];
            if let Some(last) = size.checked_sub(1) {
                let mut changed = content.clone();
                changed[last] ^= 1;
                others.extend([changed, content[..last].to_vec()]);
            }
            for other in others {
                let (read, error) = again(&content, &other).unwrap_err();
                assert_eq!(error, "x changed while it was read");
                assert!(read.len() <= size && read[..] == content[..read.len()]);
            }
        }
    }
}
