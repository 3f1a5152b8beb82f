//! Encodings of text.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::{Call, Failure, Function, Returns, STRING, Type, Value};
use super::{any, function, text};
use crate::template::hcl::convert::json;

pub(super) const FUNCTIONS: &[Function] = &[
    function("base64encode", &[text("str")], STRING, |c| Ok(STANDARD.encode(c.text(0)).into())),
    function("base64decode", &[text("str")], STRING, |c| {
        String::from_utf8(from_base64(c)?).map(Value::from).map_err(|_| c.wrong(0, "the decoded bytes are not UTF-8"))
    }),
    function("base64gzip", &[text("str")], STRING, |c| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let written = encoder.write_all(c.text(0).as_bytes()).and_then(|()| encoder.finish());
        Ok(STANDARD.encode(written.map_err(|error| error.to_string())?).into())
    }),
    function("textencodebase64", &[text("string"), text("encoding")], STRING, |c| {
        let encoding = encoding(c)?;
        let bytes = encoding.encode(c.text(0)).map_err(|error| c.wrong(0, error))?;
        Ok(STANDARD.encode(bytes).into())
    }),
    function("textdecodebase64", &[text("source"), text("encoding")], STRING, |c| {
        let encoding = encoding(c)?;
        encoding.decode(&from_base64(c)?).map(Value::from).map_err(|error| c.wrong(0, error))
    }),
    function("jsonencode", &[any("val").or_null()], STRING, |c| Ok(json::encode(c.value(0))?.into())),
    function("jsondecode", &[text("str")], Returns::Of(|_| Ok(Type::Dynamic)), |c| {
        json::decode(c.text(0)).map_err(|error| c.wrong(0, error))
    }),
    function("urlencode", &[text("str")], STRING, |c| Ok(query_escape(c.text(0)).into())),
];

/// Go takes line breaks anywhere in it, and bits in the last character that stand for nothing.
fn from_base64(c: &Call<'_>) -> Result<Vec<u8>, Failure> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let text: String = c.text(0).chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    let decoded = GeneralPurpose::new(&alphabet::STANDARD, LENIENT).decode(text);
    decoded.map_err(|error| c.wrong(0, format!("not base64: {error}")))
}

/// As the query of a URL: what is neither letter, digit nor `-_.~` as bytes, a blank as `+`.
fn query_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

/// A way to write characters as bytes.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16 { little: bool },
    Ascii,
    Latin1,
    Windows1252,
}

/// What windows-1252 has from 0x80 to 0x9f; 0 where it has nothing.
const WINDOWS: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0,
    0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];

fn encoding(c: &Call<'_>) -> Result<Encoding, Failure> {
    Ok(match c.text(1).to_ascii_uppercase().as_str() {
        "UTF-8" | "UTF8" => Encoding::Utf8,
        "UTF-16LE" => Encoding::Utf16 { little: true },
        "UTF-16BE" => Encoding::Utf16 { little: false },
        "US-ASCII" | "ASCII" => Encoding::Ascii,
        "ISO-8859-1" | "LATIN1" => Encoding::Latin1,
        "WINDOWS-1252" | "CP1252" => Encoding::Windows1252,
        _ => return Err(c.wrong(1, "it must be UTF-8, UTF-16LE, UTF-16BE, US-ASCII, ISO-8859-1 or windows-1252")),
    })
}

impl Encoding {
    fn encode(self, text: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Utf8 => Ok(text.as_bytes().to_vec()),
            Self::Utf16 { little: true } => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            Self::Utf16 { little: false } => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            Self::Ascii | Self::Latin1 | Self::Windows1252 => {
                let bytes: Option<Vec<u8>> = text.chars().map(|character| self.byte(character)).collect();
                bytes.ok_or_else(|| "it holds a character that the encoding does not have".to_owned())
            }
        }
    }

    fn byte(self, character: char) -> Option<u8> {
        let code = u32::from(character);
        match (self, code) {
            (_, 0..=0x7f) | (Self::Latin1, 0x80..=0xff) | (Self::Windows1252, 0xa0..=0xff) => u8::try_from(code).ok(),
            (Self::Windows1252, _) => {
                let index = WINDOWS.iter().position(|known| u32::from(*known) == code)?;
                u8::try_from(0x80 + index).ok()
            }
            _ => None,
        }
    }

    fn decode(self, bytes: &[u8]) -> Result<String, String> {
        let wrong = || "the bytes are not of this encoding".to_owned();
        match self {
            Self::Utf8 => String::from_utf8(bytes.to_vec()).map_err(|_| wrong()),
            Self::Utf16 { little } => {
                if !bytes.len().is_multiple_of(2) {
                    return Err(wrong());
                }
                let read = if little { u16::from_le_bytes } else { u16::from_be_bytes };
                let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
                String::from_utf16(&units).map_err(|_| wrong())
            }
            Self::Ascii | Self::Latin1 | Self::Windows1252 => {
                let each = bytes.iter().map(|byte| match (self, byte) {
                    (_, 0..=0x7f) | (Self::Latin1, _) | (Self::Windows1252, 0xa0..=0xff) => Some(char::from(*byte)),
                    (Self::Windows1252, _) => {
                        char::from_u32(WINDOWS[usize::from(*byte - 0x80)].into()).filter(|found| *found != '\0')
                    }
                    _ => None,
                });
                each.collect::<Option<String>>().ok_or_else(wrong)
            }
        }
    }
}
