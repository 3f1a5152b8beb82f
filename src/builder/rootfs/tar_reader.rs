//! Reads a tar archive, strictly: ustar, GNU and PAX, with extended attributes.
//!
//! The `tar` crate splits PAX records at line ends, which binary values (file capabilities) may contain, so records
//! are read here by their length. What two programs could read differently (a PAX header and a GNU long name for one
//! entry, a size in a global header) is refused.

use std::ffi::OsString;
use std::io::{self, Read};

use crate::guest::rooted::Attributes;

const BLOCK: usize = 512;
/// The most that the records and long names of one entry may take.
const RECORDS: u64 = 4 << 20;
const XATTR: &str = "SCHILY.xattr.";

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum TarError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the archive ends in the middle")]
    Truncated,
    #[error("not a tar archive, or damaged (wrong header checksum)")]
    Checksum,
    #[error("a header field is not a number")]
    Number,
    #[error("a PAX record is malformed")]
    Pax,
    #[error("{0}")]
    Unsupported(&'static str),
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
}

/// One entry; its content is then to be had by [`Read`].
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    pub(super) size: u64,
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(OsString, Vec<u8>)>,
}

/// A tar archive.
pub(super) struct TarReader<R> {
    input: R,
    /// What is left of the current entry's content.
    left: u64,
    padding: u64,
}

/// What came before an entry's own header.
#[derive(Default)]
struct Extended {
    pax: Vec<(String, Vec<u8>)>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> TarReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry; `None` at the end mark, after which the input has been read to its end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extended = Extended::default();
        loop {
            self.skip_rest()?;
            let block = self.block()?;
            if block.iter().all(|&byte| byte == 0) {
                // What follows (the second mark, padding) is read for the sake of the packing's checksum.
                io::copy(&mut self.input, &mut io::sink())?;
                return Ok(None);
            }
            check(&block)?;
            let header = tar::Header::from_byte_slice(&block);
            let size = length(header.entry_size().map_err(|_| TarError::Number)?)?;
            let kind = block[156];
            if !matches!(kind, b'x' | b'g' | b'L' | b'K') {
                let entry = entry(header, kind, size, extended)?;
                self.content(if entry.kind == Kind::File { entry.size } else { 0 });
                return Ok(Some(entry));
            }
            let record = self.record(size)?;
            match kind {
                b'x' => extended.pax = pax(&record)?,
                b'g' if pax(&record)?.iter().any(|(key, _)| matches!(key.as_str(), "path" | "linkpath" | "size")) => {
                    return Err(TarError::Unsupported("a global PAX header sets names or sizes"));
                }
                b'g' => {}
                b'L' => extended.long_name = Some(until_nul(&record)),
                _ => extended.long_link = Some(until_nul(&record)),
            }
        }
    }

    fn content(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn skip_rest(&mut self) -> Result<(), TarError> {
        let rest = self.left + self.padding;
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        self.content(0);
        if skipped == rest { Ok(()) } else { Err(TarError::Truncated) }
    }

    fn block(&mut self) -> Result<[u8; BLOCK], TarError> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block).map_err(truncated)?;
        Ok(block)
    }

    fn record(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > RECORDS {
            return Err(TarError::Unsupported("an extended header of more than 4 MiB"));
        }
        self.content(size);
        let mut record = Vec::new();
        self.read_to_end(&mut record)?;
        Ok(record)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.input).take(self.left).read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, TarError::Truncated));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn truncated(error: io::Error) -> TarError {
    if error.kind() == io::ErrorKind::UnexpectedEof { TarError::Truncated } else { TarError::Io(error) }
}

fn check(block: &[u8; BLOCK]) -> Result<(), TarError> {
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 = block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum();
    if header.cksum().ok() == Some(sum + 8 * 32) { Ok(()) } else { Err(TarError::Checksum) }
}

/// POSIX.1-2024, pax: `LENGTH KEY=VALUE\n`, the length that of the whole record.
fn pax(mut records: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let mut found = Vec::new();
    while !records.is_empty() {
        let space = records.iter().position(|&byte| byte == b' ').ok_or(TarError::Pax)?;
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let length = length.filter(|&length| length > space + 1 && length <= records.len()).ok_or(TarError::Pax)?;
        let record = records[space + 1..length].strip_suffix(b"\n").ok_or(TarError::Pax)?;
        let equals = record.iter().position(|&byte| byte == b'=').ok_or(TarError::Pax)?;
        let key = String::from_utf8(record[..equals].to_vec()).map_err(|_| TarError::Pax)?;
        if key.starts_with("GNU.sparse.") {
            return Err(TarError::Unsupported("sparse files are not supported; make the archive without --sparse"));
        }
        found.push((key, record[equals + 1..].to_vec()));
        records = &records[length..];
    }
    Ok(found)
}

fn entry(header: &tar::Header, kind: u8, size: u64, extended: Extended) -> Result<Entry, TarError> {
    let Extended { pax, long_name, long_link } = extended;
    if !pax.is_empty() && (long_name.is_some() || long_link.is_some()) {
        return Err(TarError::Unsupported("an entry has both a PAX header and a GNU long name"));
    }
    let path = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = long_link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
    let small = |number: u64| u32::try_from(number).map_err(|_| TarError::Number);
    let mut entry = Entry {
        kind: Kind::File,
        attributes: Attributes {
            mode: header.mode().map_err(|_| TarError::Number)? & 0o7777,
            uid: small(header.uid().map_err(|_| TarError::Number)?)?,
            gid: small(header.gid().map_err(|_| TarError::Number)?)?,
            mtime: (i64::try_from(header.mtime().map_err(|_| TarError::Number)?).map_err(|_| TarError::Number)?, 0),
        },
        device: (device(header.device_major()), device(header.device_minor())),
        path,
        link,
        size,
        xattrs: Vec::new(),
    };
    for (key, value) in pax {
        apply(&mut entry, &key, value)?;
    }
    // By the whole name: the start of it that is in the header may end with a slash where a file's name does not.
    entry.kind = kind_of(kind, &entry.path)?;
    Ok(entry)
}

fn apply(entry: &mut Entry, key: &str, value: Vec<u8>) -> Result<(), TarError> {
    if let Some(name) = key.strip_prefix(XATTR) {
        // As GNU tar writes what would end the key.
        entry.xattrs.push((name.replace("%3D", "=").replace("%25", "%").into(), value));
        return Ok(());
    }
    let number = || std::str::from_utf8(&value).map_err(|_| TarError::Number);
    match key {
        "path" => entry.path = value,
        "linkpath" => entry.link = value,
        "size" => entry.size = length(number()?.parse().map_err(|_| TarError::Number)?)?,
        "uid" => entry.attributes.uid = number()?.parse().map_err(|_| TarError::Number)?,
        "gid" => entry.attributes.gid = number()?.parse().map_err(|_| TarError::Number)?,
        "mtime" => entry.attributes.mtime = time(number()?).ok_or(TarError::Number)?,
        _ => {}
    }
    Ok(())
}

/// `-1.25` is a quarter of a second before -1, for which the kernel wants -2 and 750 million nanoseconds.
fn time(text: &str) -> Option<(i64, i64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

fn kind_of(kind: u8, path: &[u8]) -> Result<Kind, TarError> {
    Ok(match kind {
        // Before POSIX, a directory was a file whose name ends with a slash.
        0 | b'0' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        b'S' => {
            return Err(TarError::Unsupported("sparse files are not supported; make the archive without --sparse"));
        }
        _ => return Err(TarError::Unsupported("an entry is of a type that is not supported")),
    })
}

/// No file is longer than a signed number tells; sums of what is not refused here cannot overflow.
fn length(size: u64) -> Result<u64, TarError> {
    if i64::try_from(size).is_ok_and(|size| size < i64::MAX - 1024) { Ok(size) } else { Err(TarError::Number) }
}

fn device(number: io::Result<Option<u32>>) -> u32 {
    number.ok().flatten().unwrap_or(0)
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes[..end].to_vec()
}
