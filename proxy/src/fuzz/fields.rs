//! Header fields out of arbitrary bytes: lines of `name: value`, what is none left out.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields of these lines.
pub(crate) fn map(text: &[u8]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(value)) {
            fields.append(name, value);
        }
    }
    fields
}

/// What is before the first empty line, and what is after it.
pub(crate) fn halves(text: &[u8]) -> (&[u8], &[u8]) {
    match text.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&text[..at], &text[at + 2..]),
        None => (text, &[]),
    }
}

/// A number out of bytes taken from the front, as many as there are up to eight.
pub(crate) fn number(data: &mut &[u8]) -> u64 {
    let (own, rest) = data.split_at(data.len().min(8));
    *data = rest;
    own.iter().rev().fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
}
