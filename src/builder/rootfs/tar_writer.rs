//! Writes a tar archive: ustar, with PAX records only where an entry needs them. The same tree gives the same bytes.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tar::{EntryType, Header};

use crate::engine::clamp::Clamp;
use crate::guest::device::{ATTRIBUTE, Device};
use crate::guest::mapping;
use crate::guest::rooted::Attributes;

/// Largest numbers of ustar's octal fields.
const SMALL: u64 = 0o777_7777;
const LARGE: u64 = 0o777_7777_7777;

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content<'a> {
    /// A regular file of so many bytes.
    File(u64),
    /// Another name of an entry written before.
    HardLink(&'a Path),
    Symlink(&'a Path),
    Directory,
    Character(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// A tar archive being written.
pub(super) struct TarWriter<W> {
    output: W,
    clamp: Clamp,
    /// Whether files may stand for devices.
    stand_ins: bool,
}

impl<W: Write> TarWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, clamp: Clamp::default(), stand_ins: !mapping::can_make_devices() }
    }

    /// Holds the times of what is written from now on to `clamp`.
    pub(super) fn clamped(self, clamp: Clamp) -> Self {
        Self { clamp, ..self }
    }

    /// Writes one entry; `data` is read for a regular file only, and must give exactly its length.
    pub(super) fn entry(
        &mut self,
        path: &Path,
        attributes: &Attributes,
        xattrs: &[(OsString, Vec<u8>)],
        content: Content<'_>,
        data: &mut dyn Read,
    ) -> io::Result<()> {
        let device = Device::of(xattrs).filter(|_| self.stand_ins && matches!(content, Content::File(_)));
        let content =
            device.map_or(
                content,
                |Device { block, number: (major, minor) }| {
                    if block { Content::Block(major, minor) } else { Content::Character(major, minor) }
                },
            );
        let mut name = path.as_os_str().as_bytes().to_vec();
        if matches!(content, Content::Directory) {
            name.push(b'/');
        }
        let mut records = Records::default();
        let header = header(&name, &attributes.clamped(self.clamp), content, &mut records)?;
        for (key, value) in xattrs.iter().filter(|(key, _)| device.is_none() || key != ATTRIBUTE) {
            records.add(&[b"SCHILY.xattr.", keyword(key.as_bytes()).as_slice()].concat(), value);
        }
        self.records(&records)?;
        self.output.write_all(header.as_bytes())?;
        if let Content::File(size) = content {
            let written = io::copy(&mut data.take(size), &mut self.output)?;
            if written != size || data.read(&mut [0])? != 0 {
                return Err(io::Error::other("the file changed while it was read"));
            }
            self.pad(size)?;
        }
        Ok(())
    }

    /// Writes the end mark and gives the output back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&[0; 1024])?;
        Ok(self.output)
    }

    fn records(&mut self, records: &Records) -> io::Result<()> {
        if records.text.is_empty() {
            return Ok(());
        }
        let size = records.text.len() as u64;
        let mut header = Header::new_ustar();
        header.set_path("PaxHeader")?;
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        for field in [Header::set_uid, Header::set_gid, Header::set_mtime] {
            field(&mut header, 0);
        }
        header.set_size(size);
        header.set_cksum();
        self.output.write_all(header.as_bytes())?;
        self.output.write_all(&records.text)?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = size.next_multiple_of(512) - size;
        io::copy(&mut io::repeat(0).take(padding), &mut self.output)?;
        Ok(())
    }
}

fn header(name: &[u8], attributes: &Attributes, content: Content<'_>, records: &mut Records) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    let (kind, size, link, device) = match content {
        Content::File(size) => (EntryType::Regular, size, None, None),
        Content::HardLink(link) => (EntryType::Link, 0, Some(link), None),
        Content::Symlink(link) => (EntryType::Symlink, 0, Some(link), None),
        Content::Directory => (EntryType::Directory, 0, None, None),
        Content::Character(major, minor) => (EntryType::Char, 0, None, Some((major, minor))),
        Content::Block(major, minor) => (EntryType::Block, 0, None, Some((major, minor))),
        Content::Fifo => (EntryType::Fifo, 0, None, None),
    };
    header.set_entry_type(kind);
    header.set_mode(attributes.mode);
    text_field(&mut header.as_old_mut().name, b"path", name, records);
    if let Some(link) = link {
        text_field(&mut header.as_old_mut().linkname, b"linkpath", link.as_os_str().as_bytes(), records);
    }
    header.set_uid(number(u64::from(attributes.uid), SMALL, b"uid", records));
    header.set_gid(number(u64::from(attributes.gid), SMALL, b"gid", records));
    header.set_size(number(size, LARGE, b"size", records));
    if let Ok(seconds) = u64::try_from(attributes.mtime.0) {
        header.set_mtime(number(seconds, LARGE, b"mtime", records));
    } else {
        records.add(b"mtime", attributes.mtime.0.to_string().as_bytes());
        header.set_mtime(0);
    }
    let (major, minor) = device.unwrap_or_default();
    header.set_device_major(major)?;
    header.set_device_minor(minor)?;
    header.set_cksum();
    Ok(header)
}

/// Writes a name, or the start of it and a record with the whole.
fn text_field(field: &mut [u8; 100], key: &[u8], text: &[u8], records: &mut Records) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    if text.len() > field.len() {
        records.add(key, text);
    }
}

/// The number for a field that holds up to `most`; beyond that 0, and a record.
fn number(value: u64, most: u64, key: &[u8], records: &mut Records) -> u64 {
    if value <= most {
        return value;
    }
    records.add(key, value.to_string().as_bytes());
    0
}

/// The name of an attribute as part of a record's key, which ends at the first `=`. GNU tar writes and reads it so.
fn keyword(name: &[u8]) -> Vec<u8> {
    let escaped = |&byte: &u8| match byte {
        b'%' => b"%25".to_vec(),
        b'=' => b"%3D".to_vec(),
        other => vec![other],
    };
    name.iter().flat_map(escaped).collect()
}

/// PAX records: `LENGTH KEY=VALUE\n`, where the length counts its own digits.
#[derive(Default)]
struct Records {
    text: Vec<u8>,
}

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.text.extend(length.to_string().bytes());
        self.text.push(b' ');
        self.text.extend_from_slice(key);
        self.text.push(b'=');
        self.text.extend_from_slice(value);
        self.text.push(b'\n');
    }
}
