//! Plain bytes out of packed ones, within bounds: what is packed came from outside.

use std::io::{self, BufRead, BufReader, Read};

/// Most bytes read of an index, once unpacked.
const LIMIT: u64 = 1024 * 1024 * 1024;
const BUFFER: usize = 64 * 1024;
/// Most memory a decoder may ask for.
const MEMORY: u64 = 192 * 1024 * 1024;

/// Reads `packed`, unpacked by its content coding where that is one without a mark of its own, and by what the first
/// bytes say.
pub(super) fn unpack<'a>(packed: impl BufRead + 'a, coding: Option<&str>) -> io::Result<Box<dyn BufRead + 'a>> {
    match coding.map(str::trim) {
        Some(coding) if coding.eq_ignore_ascii_case("br") => {
            let plain = brotli_decompressor::Decompressor::new(packed, BUFFER);
            by_first_bytes(BufReader::with_capacity(BUFFER, plain.take(LIMIT)))
        }
        _ => by_first_bytes(packed),
    }
}

fn by_first_bytes<'a>(mut packed: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    let begins = packed.fill_buf()?;
    let plain: Box<dyn Read + 'a> = if begins.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(packed))
    } else if begins.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
    } else if begins.starts_with(&[0x5d, 0, 0]) {
        // Without a mark of its own: the properties that everybody uses, and the low half of the window's size.
        let stream = liblzma::stream::Stream::new_lzma_decoder(MEMORY)?;
        Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
    } else if begins.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
        decoder.window_log_max(MEMORY.ilog2())?;
        Box::new(decoder)
    } else if begins.starts_with(b"BZh") {
        Box::new(bzip2::bufread::MultiBzDecoder::new(packed))
    } else {
        return Ok(Box::new(packed.take(LIMIT)));
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER, plain.take(LIMIT))))
}

/// Reads to `end` and drops it; of more than `most` bytes the rest is read and forgotten. `false` at the end of all.
pub(super) fn read_to(input: &mut dyn BufRead, end: u8, most: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    into.clear();
    let mut any = false;
    loop {
        let (used, done) = {
            let available = match input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                return Ok(any);
            }
            any = true;
            let found = memchr(end, available);
            let piece = &available[..found.unwrap_or(available.len())];
            let room = most.saturating_sub(into.len()).min(piece.len());
            into.extend_from_slice(&piece[..room]);
            (found.map_or(available.len(), |at| at + 1), found.is_some())
        };
        input.consume(used);
        if done {
            return Ok(true);
        }
    }
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&found| found == byte)
}

/// Longest line of interest.
pub(super) const LINE: usize = 512 * 1024;

/// Calls `each` with every line, without its end.
pub(super) fn lines(input: &mut dyn BufRead, mut each: impl FnMut(&str)) -> io::Result<()> {
    let mut line = Vec::new();
    while read_to(input, b'\n', LINE, &mut line)? {
        if let Ok(text) = std::str::from_utf8(&line) {
            each(text.strip_suffix('\r').unwrap_or(text));
        }
    }
    Ok(())
}
