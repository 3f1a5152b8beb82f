//! The header of Python's byte-code, which holds the time of the source it was made from.
//!
//! PEP 3147, PEP 552: a magic number that ends in CR LF, then up to Python 3.2 the time, from 3.3 the time and the
//! length of the source, and from 3.7 flags before them; all little-endian, 4 bytes each.

/// Magic number of the first version with flags, 3.7.
const WITH_FLAGS: u16 = 3390;
/// Magic number of the first version with the source's length, 3.3.
const WITH_LENGTH: u16 = 3190;
/// Python 2 counted from 20000 up.
const PYTHON_2: u16 = 20_000;

/// Bytes of the longest header.
pub(super) const LONGEST: usize = 16;

/// Where things are in a file of byte-code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Where the code begins.
    pub(super) length: usize,
    /// Where the time of the source is; none where a hash of the source stands in its place.
    pub(super) time: Option<usize>,
}

/// Reads the header.
pub(super) fn header(content: &[u8]) -> Option<Header> {
    let (magic, mark) = (content.first_chunk::<2>()?, content.get(2..4)?);
    let magic = u16::from_le_bytes(*magic);
    if mark != b"\r\n" {
        return None;
    }
    let header = if !(WITH_LENGTH..PYTHON_2).contains(&magic) {
        Header { length: 8, time: Some(4) }
    } else if magic < WITH_FLAGS {
        Header { length: 12, time: Some(4) }
    } else {
        // The lowest flag tells that what follows is a hash.
        Header { length: 16, time: (content.get(4)? & 1 == 0).then_some(8) }
    };
    (content.len() >= header.length).then_some(header)
}

/// The content, or the start of it, with a source's time no later than `latest`; `None` where it is so already.
pub(super) fn clamped(content: &[u8], latest: u32) -> Option<Vec<u8>> {
    let at = header(content)?.time?;
    let time = u32::from_le_bytes(*content.get(at..)?.first_chunk()?);
    if time <= latest {
        return None;
    }
    let mut changed = content.to_vec();
    changed[at..at + 4].copy_from_slice(&latest.to_le_bytes());
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_times_become_the_latest() {
        // 2.7, 3.4, 3.11.
        for (magic, at, length) in [(62211_u16, 4, 8), (3310, 4, 12), (3495, 8, 16)] {
            let mut content = magic.to_le_bytes().to_vec();
            content.extend(b"\r\n");
            content.resize(length, 0);
            content[at..at + 4].copy_from_slice(&500_u32.to_le_bytes());
            content.extend(b"code");
            assert_eq!(header(&content), Some(Header { length, time: Some(at) }));
            let changed = clamped(&content, 400).unwrap();
            assert_eq!(changed[at..at + 4], 400_u32.to_le_bytes());
            assert_eq!(changed[length..], *b"code");
            assert!(clamped(&content, 500).is_none());
        }
    }

    #[test]
    fn hashes_and_other_files_stay() {
        let hash = [&3495_u16.to_le_bytes()[..], b"\r\n\x03\0\0\0", &[0xff; 8]].concat();
        assert_eq!(header(&hash).unwrap().time, None);
        assert!(clamped(&hash, 1).is_none());
        for other in [&b""[..], b"\r\n", b"text\r\n", b"\xa7\x0d\r\n\0\0"] {
            assert!(clamped(other, 1).is_none());
        }
    }
}
