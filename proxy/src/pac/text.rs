//! From the bytes of a PAC file to its text, as leniently as browsers.

/// The text of a script, or what it is instead.
pub(super) fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without a mark, as editors of Windows write it: each second byte of the first letters is 0.
        [_, 0, _, 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, _, 0, _, ..] => utf16(bytes, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            // Latin-1: each byte is the character of its number.
            Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
        },
    };
    let start = text.trim_start();
    if start.is_empty() {
        return Err("it is empty");
    }
    if start.starts_with('<') && !start.starts_with("<!--") || start.starts_with("<!--") && is_page(start) {
        return Err("it is HTML or XML, not a script: the server answered with a page (a sign-in page, or an error)");
    }
    if bytes.starts_with(b"\x7fELF") || bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x1f\x8b") {
        return Err("it is a program or an archive, not a script");
    }
    Ok(text)
}

/// `<!--` begins a comment of a line in scripts too.
fn is_page(text: &str) -> bool {
    let start = text.get(..text.floor_char_boundary(4096)).unwrap_or_default().to_ascii_lowercase();
    start.contains("<html") || start.contains("<!doctype")
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| read(*pair));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let script = "function FindProxyForURL(u, h) { return \"DIRECT\"; } // \u{e4}";
        let wide = |read: fn(u16) -> [u8; 2]| script.encode_utf16().flat_map(read).collect::<Vec<u8>>();
        let with = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        let latin: Vec<u8> = script.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
        for bytes in [
            script.as_bytes().to_vec(),
            with(b"\xef\xbb\xbf", script.as_bytes()),
            latin,
            with(b"\xff\xfe", &wide(u16::to_le_bytes)),
            with(b"\xfe\xff", &wide(u16::to_be_bytes)),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).unwrap(), script);
        }
    }

    #[test]
    fn what_is_no_script_is_named() {
        for page in
            ["<html><body>Sign in</body></html>", "\n <!DOCTYPE html>", "<?xml version='1.0'?>", "<!-- hi -->\n<html>"]
        {
            assert!(decode(page.as_bytes()).unwrap_err().contains("HTML"), "{page}");
        }
        assert!(decode(b" \n").unwrap_err().contains("empty"));
        assert!(decode(b"\x1f\x8b\x08abc").unwrap_err().contains("archive"));
        assert!(decode(b"<!-- old browsers\nfunction FindProxyForURL(u, h) {}\n// -->").is_ok());
    }
}
