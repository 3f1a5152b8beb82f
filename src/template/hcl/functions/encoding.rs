//! Encodings and hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::{Arguments, Function, Outcome, Value, lenient, list_of, strict};
use crate::template::hcl::convert::{from_json, to_json};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("base64encode", 1, 1, |a| Ok(STANDARD.encode(a.text(0)?).into())),
    strict("base64decode", 1, 1, |a| {
        let bytes = STANDARD.decode(a.text(0)?.trim()).map_err(|error| format!("not base64: {error}"))?;
        String::from_utf8(bytes).map(Value::from).map_err(|_| "the decoded bytes are not UTF-8".to_owned())
    }),
    strict("base64gzip", 1, 1, |a| {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(a.text(0)?.as_bytes()).map_err(|error| error.to_string())?;
        Ok(STANDARD.encode(encoder.finish().map_err(|error| error.to_string())?).into())
    }),
    strict("textencodebase64", 2, 2, |a| Ok(STANDARD.encode(encode_text(&a.text(0)?, &a.text(1)?)?).into())),
    strict("textdecodebase64", 2, 2, |a| {
        let bytes = STANDARD.decode(a.text(0)?).map_err(|error| format!("not base64: {error}"))?;
        decode_text(&bytes, &a.text(1)?).map(Value::from)
    }),
    lenient("jsonencode", 1, 1, |a| match a.value(0).is_wholly_known() {
        true => Ok(html_safe(&to_json(a.value(0))?.to_string()).into()),
        false => Ok(Value::unknown(super::Type::String)),
    }),
    strict("jsondecode", 1, 1, |a| {
        let json = serde_json::from_str(&a.text(0)?).map_err(|error| format!("not JSON: {error}"))?;
        Ok(from_json(&json))
    }),
    strict("csvdecode", 1, 1, csv_decode),
    strict("urlencode", 1, 1, |a| {
        Ok(url::form_urlencoded::byte_serialize(a.text(0)?.as_bytes()).collect::<String>().into())
    }),
    strict("md5", 1, 1, |a| Ok(hex::encode(Md5::digest(a.text(0)?)).into())),
    strict("sha1", 1, 1, |a| Ok(hex::encode(Sha1::digest(a.text(0)?)).into())),
    strict("sha256", 1, 1, |a| Ok(hex::encode(Sha256::digest(a.text(0)?)).into())),
    strict("sha512", 1, 1, |a| Ok(hex::encode(Sha512::digest(a.text(0)?)).into())),
    strict("uuidv4", 0, 0, |_| Ok(uuid::Uuid::new_v4().to_string().into())),
    strict("uuidv5", 2, 2, |a| {
        use uuid::Uuid;
        let namespace = match a.text(0)?.as_str() {
            "dns" => Uuid::NAMESPACE_DNS,
            "url" => Uuid::NAMESPACE_URL,
            "oid" => Uuid::NAMESPACE_OID,
            "x500" => Uuid::NAMESPACE_X500,
            other => Uuid::parse_str(other).map_err(|error| format!("not a namespace: {error}"))?,
        };
        Ok(Uuid::new_v5(&namespace, a.text(1)?.as_bytes()).to_string().into())
    }),
];

/// Go's encoder escapes what could end a script element.
fn html_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => safe.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => safe.push(other),
        }
    }
    safe
}

fn encode_text(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    match encoding.to_ascii_uppercase().as_str() {
        "UTF-8" => Ok(text.as_bytes().to_vec()),
        "UTF-16LE" => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "UTF-16BE" => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        _ => Err("the encoding must be UTF-8, UTF-16LE or UTF-16BE".to_owned()),
    }
}

fn decode_text(bytes: &[u8], encoding: &str) -> Result<String, String> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| read([pair[0], pair.get(1).copied().unwrap_or(0)])).collect();
        String::from_utf16(&units).map_err(|_| "the bytes are not UTF-16".to_owned())
    };
    match encoding.to_ascii_uppercase().as_str() {
        "UTF-8" => String::from_utf8(bytes.to_vec()).map_err(|_| "the bytes are not UTF-8".to_owned()),
        "UTF-16LE" => wide(u16::from_le_bytes),
        "UTF-16BE" => wide(u16::from_be_bytes),
        _ => Err("the encoding must be UTF-8, UTF-16LE or UTF-16BE".to_owned()),
    }
}

fn csv_decode(a: &Arguments<'_>) -> Outcome {
    let rows = csv_rows(&a.text(0)?)?;
    let (header, rows) = rows.split_first().ok_or("there is no header line")?;
    let objects = rows.iter().enumerate().map(|(index, row)| {
        if row.len() != header.len() {
            return Err(format!("line {} has {} fields, the header {}", index + 2, row.len(), header.len()));
        }
        let fields = header.iter().cloned().zip(row.iter().map(|field| Value::string(field.clone())));
        Ok(Value::object(fields.collect()))
    });
    Ok(list_of(objects.collect::<Result<_, _>>()?))
}

fn csv_rows(text: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('"', true) if characters.next_if_eq(&'"').is_some() => field.push('"'),
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut field)),
            ('\r', false) if characters.peek() == Some(&'\n') => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut field));
                if row.len() > 1 || !row[0].is_empty() {
                    rows.push(std::mem::take(&mut row));
                }
                row.clear();
            }
            (other, _) => field.push(other),
        }
    }
    if quoted {
        return Err("a quoted field is not closed".to_owned());
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    Ok(rows)
}
