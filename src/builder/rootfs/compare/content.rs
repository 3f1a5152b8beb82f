//! How the contents of two files differ, in a few words, and for texts line by line.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use similar::{Algorithm, TextDiff};

use super::super::pyc;
use crate::guest::jks;

/// Largest text that is compared line by line.
const TEXT_LIMIT: usize = 1 << 20;
/// How long a comparison of lines may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes that packed content is unpacked to.
const UNPACK_LIMIT: u64 = 16 << 20;

/// A word on what is different, and a unified diff of at most `lines` lines if both are texts.
pub(super) fn explain(path: &Path, a: &[u8], b: &[u8], lines: usize) -> (Option<String>, Option<String>) {
    if let (Some(a), Some(b)) = (text(a), text(b)) {
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let note = (sorted(a) == sorted(b)).then(|| "the same lines in another order".to_owned());
        return (note, (lines > 0).then(|| unified(a, b, lines)));
    }
    let note = word(path, a, b).map_or_else(|| first_difference(a, b), str::to_owned);
    (Some(note), None)
}

fn text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    (content.len() <= TEXT_LIMIT && !text.contains('\0')).then_some(text)
}

/// A unified diff of at most `most` lines.
pub(super) fn unified(a: &str, b: &str, most: usize) -> String {
    let deadline = Instant::now() + PATIENCE;
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).deadline(deadline).diff_lines(a, b);
    let text = diff.unified_diff().context_radius(1).to_string();
    let mut lines = text.lines();
    let shown: String = lines.by_ref().take(most).flat_map(|line| [line, "\n"]).collect();
    match lines.count() {
        0 => shown,
        rest => format!("{shown}… and {rest} more lines\n"),
    }
}

/// A word on well-known forms.
fn word(path: &Path, a: &[u8], b: &[u8]) -> Option<&'static str> {
    let both = |is: fn(&[u8]) -> bool| is(a) && is(b);
    if path.extension().is_some_and(|extension| extension == "pyc")
        && let (Some(of_a), Some(of_b)) = (pyc::header(a), pyc::header(b))
    {
        return Some(match (of_a, of_b) {
            _ if a[..4] != b[..4] => "byte-code of different versions of Python",
            _ if a[of_a.length..] != b[of_b.length..] => "byte-code: the code itself differs",
            (pyc::Header { time: Some(_), .. }, pyc::Header { time: Some(_), .. }) => {
                "byte-code: only what it says of its source's time or size differs"
            }
            _ => "byte-code: only what it says of its source differs",
        });
    }
    if both(|content| content.starts_with(&[0x1f, 0x8b])) {
        return Some(match (gunzip(a), gunzip(b)) {
            (Some(a), Some(b)) if a == b => "gzip: the same content, packed at another time or in another way",
            _ => "gzip: the content differs",
        });
    }
    if both(|content| content.starts_with(b"PK\x03\x04")) {
        return Some(match (zip_sums(a), zip_sums(b)) {
            (Some(a), Some(b)) if a == b => "zip: the same members, packed at another time or in another order",
            _ => "zip: the members differ",
        });
    }
    if both(jks::is_jks) {
        return Some(match (jks::KeyStore::parse(a), jks::KeyStore::parse(b)) {
            (Ok(a), Ok(b)) if a.certificates() == b.certificates() => "Java key store: the same certificates",
            _ => "Java key store: the certificates differ",
        });
    }
    if both(|content| content.starts_with(b"\x7fELF")) {
        return Some("ELF: a program or library that was built anew");
    }
    if both(|content| content.starts_with(b"SQLite format 3\0")) {
        return Some("SQLite database");
    }
    if both(|content| content.starts_with(b"!<arch>\n")) {
        return Some("ar archive");
    }
    None
}

fn gunzip(content: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(content).take(UNPACK_LIMIT).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 != UNPACK_LIMIT).then_some(plain)
}

/// Checksums and lengths of the members of a zip archive.
fn zip_sums(content: &[u8]) -> Option<BTreeMap<String, (u32, u64)>> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(content)).ok()?;
    let mut sums = BTreeMap::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).ok()?;
        sums.insert(member.name().to_owned(), (member.crc32(), member.size()));
    }
    Some(sums)
}

fn first_difference(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
    let places = a.iter().zip(b).filter(|(a, b)| a != b).count() + a.len().abs_diff(b.len());
    format!("binary: {places} bytes differ, the first at {at}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, a: &[u8], b: &[u8]) -> String {
        explain(Path::new(name), a, b, 10).0.unwrap_or_default()
    }

    #[test]
    fn texts_are_shown_line_by_line() {
        let (note, diff) = explain(Path::new("x"), b"a\nb\nc\n", b"a\nB\nc\n", 10);
        assert_eq!((note, diff.as_deref()), (None, Some("@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n")));
        assert_eq!(note_of_order(), "the same lines in another order");
        let long = (0..100).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let diff = explain(Path::new("x"), b"", long.as_bytes(), 3).1.unwrap();
        assert!(diff.ends_with("+0\n+1\n… and 98 more lines\n"), "{diff}");
    }

    fn note_of_order() -> String {
        note("x", b"a\nb\n", b"b\na\n")
    }

    #[test]
    fn known_forms_get_a_word() {
        let pyc = |time: u8, code: u8| {
            let mut bytes = 3495_u16.to_le_bytes().to_vec();
            bytes.extend(b"\r\n\0\0\0\0");
            bytes.extend([time, 0, 0, 0x60, 9, 0, 0, 0, code, 0xff]);
            bytes
        };
        assert!(note("a.pyc", &pyc(1, 0), &pyc(2, 0)).contains("source's time"));
        assert!(note("a.pyc", &pyc(1, 0), &pyc(2, 1)).contains("code itself"));
        let gzip = |level, text: &[u8]| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            std::io::Write::write_all(&mut packer, text).unwrap();
            packer.finish().unwrap()
        };
        assert!(note("a.gz", &gzip(0, b"text"), &gzip(9, b"text")).contains("same content"));
        assert!(note("a.gz", &gzip(6, b"text"), &gzip(6, b"other")).contains("content differs"));
        assert_eq!(note("x", b"\xff\x01\x02", b"\xff\x01\x03\x04"), "binary: 2 bytes differ, the first at 2");
    }
}
