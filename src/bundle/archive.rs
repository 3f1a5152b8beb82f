//! The tar archive of a bundle: the smallest part of ustar that holds files named by digests.
//!
//! Two programs read this part in the same way. All else (directories, links, devices, PAX and GNU headers, other names)
//! is refused: most holes in readers of archives were found there.

use std::io::{self, Read, Write};

use super::fault::{BundleError, shown};

const BLOCK: usize = 512;
/// The largest number that eleven octal digits hold; a larger size is written in binary, as GNU tar does.
const OCTAL: u64 = 0o777_7777_7777;
/// Most zeros after the end mark: GNU tar fills up to ten kilobytes.
const TAIL: usize = 20 * BLOCK;

/// `oci-layout`
pub const LAYOUT: &str = "oci-layout";
/// `index.json`
pub const INDEX: &str = "index.json";
/// What blobs' names begin with.
pub const BLOBS: &str = "blobs/sha256/";

/// The name of a file in a bundle. There are no others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// The file that says what layout it is.
    Layout,
    /// The index.
    Index,
    /// A blob, by its SHA-256 in lower-case hex.
    Blob(String),
}

impl Name {
    /// Reads a name, exactly as it must be.
    pub fn parse(name: &[u8]) -> Option<Self> {
        match name {
            b"oci-layout" => Some(Self::Layout),
            b"index.json" => Some(Self::Index),
            _ => {
                let hex = name.strip_prefix(BLOBS.as_bytes())?;
                is_digest(hex).then(|| Self::Blob(String::from_utf8_lossy(hex).into_owned()))
            }
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Layout => f.write_str(LAYOUT),
            Self::Index => f.write_str(INDEX),
            Self::Blob(hex) => write!(f, "{BLOBS}{hex}"),
        }
    }
}

/// Whether it is a SHA-256 in lower-case hex.
pub(super) fn is_digest(hex: &[u8]) -> bool {
    hex.len() == 64 && hex.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads an archive. Between two calls of [`Self::advance`] the content of the entry is to be had by [`Read`].
pub struct ArchiveReader<R> {
    input: R,
    /// Bytes of the content that were not read yet, and of zeros after it.
    left: u64,
    padding: usize,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads from the beginning of `input`.
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// What it reads from.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next entry and its size; `None` at the end mark, after which all of the input has been read.
    pub fn advance(&mut self) -> Result<Option<(Name, u64)>, BundleError> {
        self.skip()?;
        let mut header = [0; BLOCK];
        self.fill(&mut header)?;
        if header == [0; BLOCK] {
            self.end()?;
            return Ok(None);
        }
        let (name, size) = entry(&header)?;
        self.left = size;
        self.padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        Ok(Some((name, size)))
    }

    /// Reads over what is left of the entry.
    fn skip(&mut self) -> Result<(), BundleError> {
        let mut buffer = vec![0; 64 * 1024];
        while self.left > 0 {
            let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
            self.fill(&mut buffer[..count])?;
            self.left -= count as u64;
        }
        let mut padding = [0; BLOCK];
        let padding = &mut padding[..std::mem::take(&mut self.padding)];
        self.fill(padding)?;
        if padding.iter().any(|&byte| byte != 0) {
            return Err(BundleError::malformed("something is hidden between two entries of the archive"));
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), BundleError> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if error.get_ref().is_none_or(|inner| !inner.is::<BundleError>()) => {
                BundleError::malformed("the archive ends in the middle")
            }
            _ => BundleError::read("the archive")(error),
        })
    }

    /// The second block of the end mark, and nothing but zeros after it.
    fn end(&mut self) -> Result<(), BundleError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        let mut rest = Vec::new();
        let more = (&mut self.input).take(TAIL as u64 + 1).read_to_end(&mut rest);
        more.map_err(BundleError::read("the archive"))?;
        if block != [0; BLOCK] || rest.len() > TAIL || rest.iter().any(|&byte| byte != 0) {
            return Err(BundleError::malformed("something follows the end of the archive"));
        }
        Ok(())
    }
}

impl<R: Read> Read for ArchiveReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::Error::other(BundleError::malformed("the archive ends in the middle")));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn entry(header: &[u8; BLOCK]) -> Result<(Name, u64), BundleError> {
    let sum = octal(&header[148..156]);
    let expected: u64 = header
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum();
    if sum != Some(expected) {
        return Err(BundleError::malformed("it is not a tar archive, or a header of it is damaged"));
    }
    // The kind first: names of other kinds may look as they like.
    let kind = match header[156] {
        b'0' => None,
        b'1' => Some("a hard link"),
        b'2' => Some("a symbolic link"),
        b'3' | b'4' => Some("a device"),
        b'5' => Some("a directory"),
        b'6' => Some("a named pipe"),
        b'S' => Some("a sparse file"),
        b'x' | b'g' => Some("a PAX header"),
        b'L' | b'K' => Some("a GNU header for a long name"),
        _ => Some("an entry of an unknown kind"),
    };
    let (name, rest) = text(&header[..100]);
    if let Some(kind) = kind {
        return Err(BundleError::malformed(format!(
            "the archive holds {kind}, {:?}, and a bundle holds plain files only",
            shown(name)
        )));
    }
    if header[257..265] != *b"ustar\x0000" {
        return Err(BundleError::malformed("the archive is not of the ustar form"));
    }
    let empty = |field: &[u8]| field.iter().all(|&byte| byte == 0);
    if !empty(rest) || !empty(&header[157..257]) || !empty(&header[345..512]) {
        return Err(BundleError::malformed(format!("the archive's entry {:?} has more than one name", shown(name))));
    }
    let name = Name::parse(name)
        .ok_or_else(|| BundleError::malformed(format!("the archive holds {:?}, which no bundle has", shown(name))))?;
    let size = size(&header[124..136])
        .ok_or_else(|| BundleError::malformed(format!("the size of {name} in the archive is not a number")))?;
    Ok((name, size))
}

/// The text before the first NUL, and what follows it.
fn text(field: &[u8]) -> (&[u8], &[u8]) {
    field.split_at(field.iter().position(|&byte| byte == 0).unwrap_or(field.len()))
}

fn size(field: &[u8]) -> Option<u64> {
    if field[0] != 0x80 {
        return octal(field);
    }
    let (high, low) = field[1..].split_at(3);
    let size = u64::from_be_bytes(low.try_into().ok()?);
    // A second way to write what octal digits can would let two readers differ.
    (high == [0; 3] && size > OCTAL && size <= i64::MAX.cast_unsigned()).then_some(size)
}

/// Octal digits, and then NULs or spaces to the end.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.iter().take_while(|byte| (b'0'..=b'7').contains(byte)).count();
    let ended = field[digits..].iter().all(|byte| matches!(byte, 0 | b' '));
    if digits == 0 || !ended {
        return None;
    }
    field[..digits].iter().try_fold(0_u64, |value, digit| value.checked_mul(8)?.checked_add(u64::from(digit - b'0')))
}

/// Writes an archive: every header but for name, size and check sum is the same.
pub struct ArchiveWriter<W> {
    output: W,
    /// Seconds since 1970.
    mtime: u64,
}

impl<W: Write> ArchiveWriter<W> {
    /// Writes to `output`; everything is said to be of `mtime`, in seconds since 1970.
    pub fn new(output: W, mtime: u64) -> Self {
        Self { output, mtime: mtime.min(OCTAL) }
    }

    /// Begins an entry; exactly `size` bytes are then written with [`Self::content`], and [`Self::pad`] ends it.
    pub fn begin(&mut self, name: &Name, size: u64) -> io::Result<()> {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, name.to_string().as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        if size <= OCTAL {
            put(124, format!("{size:011o}\0").as_bytes());
        } else {
            put(124, &[0x80]);
            put(128, &size.to_be_bytes());
        }
        put(136, format!("{:011o}\0", self.mtime).as_bytes());
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.output.write_all(&header)
    }

    /// Writes some of an entry's content.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// Ends an entry of this size.
    pub fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = usize::try_from(size.next_multiple_of(BLOCK as u64) - size).unwrap_or(0);
        self.output.write_all(&[0; BLOCK][..padding])
    }

    /// Writes the end mark.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&[0; 2 * BLOCK])?;
        Ok(self.output)
    }
}
