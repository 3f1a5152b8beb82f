//! Writes zip archives (APPNOTE 6.3.10), each file packed on several threads: what the usual encoders do on one.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};

use super::blocks::{Blocks, Form};

/// Beyond this a number does not fit in its field, and stands in a record for large files.
const FULL: u64 = 0xffff_ffff;

/// A file that is announced to be larger gets room for sizes of 64 bits. Packing makes none larger by a sixteenth.
const LARGE: u64 = FULL - FULL / 16;

/// What an entry is.
pub enum Content<'a> {
    /// A regular file, and about how many bytes it has.
    File(&'a mut dyn Read, u64),
    /// A link, and where it leads.
    Symlink(&'a [u8]),
    /// A directory.
    Directory,
}

/// What an entry is called and has.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// Its path, without a slash at either end.
    pub name: &'a [u8],
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: i64,
}

/// An archive being written.
pub struct ZipWriter<'a> {
    output: &'a File,
    level: u32,
    threads: usize,
    /// The central directory so far.
    directory: Vec<u8>,
    entries: u64,
    offset: u64,
}

/// An entry, as both of its headers tell.
#[derive(Default)]
struct Header {
    name: Vec<u8>,
    /// Type and permissions.
    mode: u32,
    mtime: i64,
    deflated: bool,
    large: bool,
    crc: u32,
    packed: u64,
    size: u64,
    offset: u64,
}

impl<'a> ZipWriter<'a> {
    /// Writes to an empty file.
    pub fn new(output: &'a File, level: u32, threads: usize) -> Self {
        Self { output, level, threads, directory: Vec::new(), entries: 0, offset: 0 }
    }

    /// Adds an entry. Bytes of a file pass through `watch` on their way.
    pub fn entry(
        &mut self,
        meta: Meta<'_>,
        content: Content<'_>,
        watch: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut header =
            Header { name: meta.name.to_vec(), mtime: meta.mtime, offset: self.offset, ..Header::default() };
        let kind = match &content {
            Content::File(..) => 0o100_000,
            Content::Symlink(_) => 0o120_000,
            Content::Directory => 0o040_000,
        };
        header.mode = kind | meta.mode & 0o7777;
        match content {
            Content::Directory => {
                header.name.push(b'/');
                self.stored(&mut header, &[])?;
            }
            Content::Symlink(target) => self.stored(&mut header, target)?,
            Content::File(_, 0) => self.stored(&mut header, &[])?,
            Content::File(input, size) => {
                header.deflated = true;
                header.large = size >= LARGE;
                self.deflated(&mut header, input, watch)?;
            }
        }
        self.offset += header.local().len() as u64 + header.packed;
        self.directory.extend(header.central());
        self.entries += 1;
        Ok(())
    }

    fn stored(&mut self, header: &mut Header, content: &[u8]) -> io::Result<()> {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        header.crc = crc.sum();
        header.size = content.len() as u64;
        header.packed = header.size;
        self.output.write_all(&header.local())?;
        self.output.write_all(content)
    }

    fn deflated(
        &mut self,
        header: &mut Header,
        input: &mut dyn Read,
        watch: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.output.write_all(&header.local())?;
        let mut blocks = Blocks::new(self.output, Form::Deflate { level: self.level }, self.threads);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = input.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            watch(&buffer[..count])?;
            blocks.write_all(&buffer[..count])?;
        }
        let finished = blocks.finish()?;
        (header.crc, header.size, header.packed) = (finished.crc, finished.read, finished.written);
        if !header.large && header.size.max(header.packed) >= FULL {
            return Err(io::Error::other("the file grew while it was read"));
        }
        // Now that they are known, the sizes take their place in front.
        self.output.seek(SeekFrom::Start(header.offset))?;
        self.output.write_all(&header.local())?;
        self.output.seek(SeekFrom::End(0)).map(drop)
    }

    /// Writes the central directory and the end.
    pub fn finish(self) -> io::Result<()> {
        let (start, size) = (self.offset, self.directory.len() as u64);
        let mut end = self.directory;
        if self.entries >= 0xffff || start >= FULL || size >= FULL {
            end.extend(b"PK\x06\x06");
            end.extend(44_u64.to_le_bytes());
            end.extend([45, 3, 45, 0]);
            end.extend([0; 8]);
            for number in [self.entries, self.entries, size, start] {
                end.extend(number.to_le_bytes());
            }
            end.extend(b"PK\x06\x07");
            end.extend([0; 4]);
            end.extend((start + size).to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX).to_le_bytes();
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend(entries);
        end.extend(entries);
        end.extend(field(size));
        end.extend(field(start));
        end.extend([0; 2]);
        let mut output = self.output;
        output.write_all(&end)
    }
}

/// A field of 32 bits, all ones if the number stands elsewhere.
fn field(number: u64) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}

impl Header {
    /// From the version needed to the lengths of name and extra fields: what both headers have.
    fn common(&self, extra: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(26);
        bytes.extend([if self.large { 45 } else { 20 }, 0]);
        let utf8 = !self.name.is_ascii() && std::str::from_utf8(&self.name).is_ok();
        bytes.extend([0, if utf8 { 8 } else { 0 }]);
        bytes.extend([if self.deflated { 8 } else { 0 }, 0]);
        bytes.extend(dos_time(self.mtime));
        bytes.extend(self.crc.to_le_bytes());
        for size in [self.packed, self.size] {
            bytes.extend(field(if self.large { FULL } else { size }));
        }
        bytes.extend(u16::try_from(self.name.len()).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(u16::try_from(extra).unwrap_or(u16::MAX).to_le_bytes());
        bytes
    }

    /// The time of Unix, where it fits, and what is large. `offset` is that of the entry, for the central directory.
    fn extra(&self, offset: Option<u64>) -> Vec<u8> {
        let mut extra = Vec::new();
        if let Ok(time) = i32::try_from(self.mtime) {
            extra.extend(b"UT\x05\x00\x01");
            extra.extend(time.to_le_bytes());
        }
        let mut large = Vec::new();
        if self.large {
            large.extend([self.size, self.packed].into_iter().flat_map(u64::to_le_bytes));
        }
        if let Some(offset) = offset.filter(|offset| *offset >= FULL) {
            large.extend(offset.to_le_bytes());
        }
        if !large.is_empty() {
            extra.extend([1, 0]);
            extra.extend(u16::try_from(large.len()).unwrap_or(u16::MAX).to_le_bytes());
            extra.extend(large);
        }
        extra
    }

    fn local(&self) -> Vec<u8> {
        let extra = self.extra(None);
        [b"PK\x03\x04".as_slice(), &self.common(extra.len()), &self.name, &extra].concat()
    }

    fn central(&self) -> Vec<u8> {
        let extra = self.extra(Some(self.offset));
        let mut bytes = b"PK\x01\x02".to_vec();
        // Made on Unix, so that the upper half of the attributes is a mode.
        bytes.extend([45, 3]);
        bytes.extend(self.common(extra.len()));
        bytes.extend([0; 6]);
        let directory = u32::from(self.mode & 0o170_000 == 0o040_000) << 4;
        bytes.extend((self.mode << 16 | directory).to_le_bytes());
        bytes.extend(field(self.offset));
        bytes.extend(&self.name);
        bytes.extend(extra);
        bytes
    }
}

/// Time and date of MS-DOS, in UTC, which has but 1980 to 2107.
fn dos_time(seconds: i64) -> [u8; 4] {
    let first = jiff::civil::date(1980, 1, 1).at(0, 0, 0, 0);
    let time = jiff::Timestamp::from_second(seconds).map_or(first, |time| jiff::tz::Offset::UTC.to_datetime(time));
    let time = time.clamp(first, jiff::civil::date(2107, 12, 31).at(23, 59, 58, 0));
    let part = |value: i8| u16::try_from(value).unwrap_or(0);
    let clock = part(time.hour()) << 11 | part(time.minute()) << 5 | (part(time.second()) / 2);
    let date = u16::try_from(time.year() - 1980).unwrap_or(0) << 9 | part(time.month()) << 5 | part(time.day());
    let [clock, date] = [clock, date].map(u16::to_le_bytes);
    [clock[0], clock[1], date[0], date[1]]
}
