//! Reading one file and whatever is packed in it.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::{Finding, Scan, Skipped, fill};

/// The most a decoder may take for its window.
const WINDOW_LOG: u32 = 27;
const XZ_MEMORY: u64 = 256 << 20;

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Zip,
    Gzip,
    Xz,
    Zstd,
    Ar,
    Other(&'static str),
    None,
}

impl Packing {
    fn of(start: &[u8]) -> Self {
        match start {
            [b'P', b'K', 3, 4, ..] => Self::Zip,
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', b'\n', ..] => Self::Ar,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..] => Self::Other("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Other("lz4"),
            [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Self::Other("7z"),
            [b'h', b's', b'q', b's', ..] | [b's', b'q', b's', b'h', ..] => Self::Other("squashfs"),
            // PFX: a sequence of version 3 and contents, which are encrypted but for the newest Java.
            [0x30, 0x82, _, _, 2, 1, 3, ..] => Self::Other("PKCS#12"),
            _ => Self::None,
        }
    }
}

/// The walk into one file of the image.
pub(super) struct Unpack<'a> {
    scan: &'a Scan<'a>,
    path: &'a Path,
    inside: Vec<String>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'a> Unpack<'a> {
    pub(super) fn new(scan: &'a Scan<'a>, path: &'a Path) -> Self {
        Self { scan, path, inside: Vec::new(), left: scan.limits.unpacked }
    }

    /// The file itself: its bytes as they are, then what they pack.
    pub(super) fn top(&mut self, mut file: File) -> io::Result<()> {
        let mut start = [0; 16];
        let length = fill(&mut file, &mut start)?;
        file.rewind()?;
        let (scan, path) = (self.scan, self.path);
        let found = |kind, at: u64| {
            scan.finding(Finding { path: path.to_owned(), inside: Vec::new(), kind, place: format!("offset {at}") });
        };
        let size = scan.stream(&mut file, found)?;
        file.rewind()?;
        match Packing::of(&start[..length]) {
            // A program may stand before a zip archive, whose index is at its end.
            Packing::None if ends_as_zip(&file, size)? => self.zip(file),
            packing => self.packed(packing, file),
        }
        Ok(())
    }

    /// Unpacks a file that can be read from the start and at any place.
    fn packed(&mut self, packing: Packing, input: impl Read + Seek) {
        if packing == Packing::None {
            return;
        }
        if self.inside.len() >= self.scan.limits.depth {
            return self.skip(format!("more than {} archives inside each other", self.scan.limits.depth));
        }
        match packing {
            Packing::Zip => self.zip(input),
            Packing::Gzip => self.member("(gzip)", MultiGzDecoder::new(input)),
            Packing::Xz => match Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED) {
                Ok(stream) => self.member("(xz)", XzDecoder::new_stream(input, stream)),
                Err(error) => self.skip(format!("xz: {error}")),
            },
            Packing::Zstd => match zstd::Decoder::new(input) {
                Ok(mut decoder) => {
                    // Refused for a window beyond the limit, when the frame is read.
                    let _ = decoder.window_log_max(WINDOW_LOG);
                    self.member("(zstd)", decoder);
                }
                Err(error) => self.skip(format!("zstd: {error}")),
            },
            Packing::Ar => self.ar(input),
            Packing::Other(name) => self.skip(format!("{name} is not unpacked")),
            Packing::None => {}
        }
    }

    fn zip(&mut self, input: impl Read + Seek) {
        let mut archive = match zip::ZipArchive::new(input) {
            Ok(archive) => archive,
            Err(error) => return self.skip(format!("zip: {error}")),
        };
        for index in 0..archive.len() {
            if self.left == 0 || self.scan.cancel.is_cancelled() {
                return;
            }
            let name = archive.name_for_index(index).unwrap_or("?").to_owned();
            match archive.by_index(index) {
                Ok(member) => self.member(&name, member),
                Err(error) => {
                    self.inside.push(name);
                    self.skip(format!("zip: {error}"));
                    self.inside.pop();
                }
            }
        }
    }

    /// The members of an `ar` archive: a `.deb`, a static library.
    fn ar(&mut self, mut input: impl Read) {
        let mut header = [0; 60];
        if !matches!(fill(&mut input, &mut header[..8]), Ok(8)) {
            return;
        }
        while matches!(fill(&mut input, &mut header), Ok(60)) {
            let size = std::str::from_utf8(&header[48..58]).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let Some(size) = size.filter(|_| header[58..] == *b"`\n") else {
                return self.skip("ar: not a well-formed archive".to_owned());
            };
            let name = String::from_utf8_lossy(&header[..16]).trim_end_matches([' ', '/']).to_owned();
            let mut member = (&mut input).take(size);
            let mut start = [0; 16];
            let Ok(length) = fill(&mut member, &mut start) else { return };
            // The bytes as they are were searched with the archive: only packed members are of interest.
            if Packing::of(&start[..length]) != Packing::None {
                self.member(&name, start[..length].chain(&mut member));
            }
            if io::copy(&mut member, &mut io::sink()).is_err() {
                return;
            }
            if size % 2 == 1 {
                let _ = fill(&mut input, &mut [0]);
            }
        }
    }

    /// One unpacked member: searched as it streams by, and held if it is packed itself.
    fn member(&mut self, name: &str, mut content: impl Read) {
        self.inside.push(name.to_owned());
        let result = self.unpacked(&mut content);
        if let Err(error) = result {
            self.skip(error.to_string());
        }
        self.inside.pop();
    }

    fn unpacked(&mut self, content: &mut impl Read) -> io::Result<()> {
        let mut start = [0; 16];
        let length = fill(content, &mut start)?;
        let packing = Packing::of(&start[..length]);
        let mut content = start[..length].chain(content).take(self.left.saturating_add(1));
        let scan = self.scan;
        let finding = |kind, at: u64| {
            let place = format!("offset {at}");
            scan.finding(Finding { path: self.path.to_owned(), inside: self.inside.clone(), kind, place });
        };
        let (size, held) = if packing == Packing::None {
            (scan.stream(content, finding)?, None)
        } else {
            let mut held = Vec::new();
            (&mut content).take(scan.limits.held + 1).read_to_end(&mut held)?;
            let size = scan.stream(held.as_slice().chain(content), finding)?;
            (size, Some(held))
        };
        if size > self.left {
            self.left = 0;
            self.skip(format!("unpacks to more than {} bytes", self.scan.limits.unpacked));
            return Ok(());
        }
        self.left -= size;
        match held {
            Some(held) if size > self.scan.limits.held => {
                drop(held);
                self.skip(format!("a packed member of more than {} bytes", self.scan.limits.held));
            }
            Some(held) => self.packed(packing, Cursor::new(held)),
            None => {}
        }
        Ok(())
    }

    fn skip(&self, reason: String) {
        self.scan.skipped(Skipped { path: self.path.to_owned(), inside: self.inside.clone(), reason });
    }
}

/// Whether the last bytes are a zip's end record without a comment.
fn ends_as_zip(file: &File, size: u64) -> io::Result<bool> {
    let Some(at) = size.checked_sub(22) else { return Ok(false) };
    let mut end = [0; 22];
    let mut file = file;
    file.seek(SeekFrom::Start(at))?;
    let length = file.read_at(&mut end, at)?;
    file.rewind()?;
    Ok(length == 22 && end.starts_with(b"PK\x05\x06") && end.ends_with(&[0, 0]))
}
