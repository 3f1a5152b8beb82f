//! Values as JSON and from it, with every digit of their numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::template::escape;
use crate::template::hcl::value::{Kind, Number, Value};

/// Deepest nesting of JSON that is read.
const MAX_DEPTH: usize = 128;

/// The value as `jsonencode` writes it: without blanks, names in order, and what could end a script element escaped.
/// Fails on values not known.
pub fn encode(value: &Value) -> Result<String, String> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

/// Null, a bool or a number as JSON and YAML both write it. Fails on what is not known.
pub(in crate::template::hcl) fn plain(value: &Value) -> Result<String, String> {
    if value.is_null() {
        return Ok("null".to_owned());
    }
    value.scalar_text().ok_or_else(|| "the value is not known yet".to_owned())
}

fn write(value: &Value, out: &mut String) -> Result<(), String> {
    match value.kind() {
        Kind::Unknown(_) | Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) => out.push_str(&plain(value)?),
        Kind::String(text) => quote(text, out),
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(element, out)?;
            }
            out.push(']');
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            if entries.is_open() {
                return Err("the value is not known yet".to_owned());
            }
            out.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                quote(name, out);
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// A string in quotes, escaped as Go's encoder does.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if let Some(escape) = escape::shared(character) {
            out.push_str(escape);
            continue;
        }
        match character {
            '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A JSON text as `jsondecode` reads it: arrays become tuples, objects objects; of a name given twice the last counts.
pub fn decode(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.wrong("nothing may follow the value")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        let before = &self.text[..self.at.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("not JSON: {what}, at line {line}, column {column}")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        self.blanks();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.wrong(&format!("`{}` is expected", char::from(byte))))
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("it nests too deep"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::string),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("true", true.into()), ("false", false.into()), ("null", Value::null())] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.wrong("a value is expected"))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, String> {
        self.expect(b'[')?;
        let mut elements = Vec::new();
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::tuple(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b']')?;
            return Ok(Value::tuple(elements));
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, String> {
        self.expect(b'{')?;
        let mut entries = BTreeMap::new();
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::object(entries));
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.expect(b':')?;
            entries.insert(name, self.value(depth + 1)?);
            self.blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b'}')?;
            return Ok(Value::object(entries));
        }
    }

    /// A number by JSON's own grammar, which is narrower than that of conversion: `01`, `+1` and `1.` are none.
    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let first = reader.at;
            while reader.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                reader.at += 1;
            }
            reader.at - first
        };
        self.at += usize::from(self.peek() == Some(b'-'));
        let zero = self.peek() == Some(b'0');
        let whole = digits(self);
        let mut well_formed = whole == 1 || whole > 1 && !zero;
        if self.peek() == Some(b'.') {
            self.at += 1;
            well_formed &= digits(self) > 0;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            well_formed &= digits(self) > 0;
        }
        let number = well_formed.then(|| Number::parse(&self.text[start..self.at])).flatten();
        number.map(Value::number).ok_or_else(|| self.wrong("this is no number, or it has too many digits"))
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.wrong("a string is expected"));
        }
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => {
                    return read_string(&self.text[start..self.at])
                        .ok_or_else(|| self.wrong("the string is not valid"));
                }
                _ => {}
            }
        }
        self.at = start;
        Err(self.wrong("the string is not closed"))
    }
}

/// The text of a quoted string. Half of a surrogate pair becomes U+FFFD, as Go reads it.
fn read_string(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    let unit = |rest: &mut std::str::Chars<'_>| {
        let digits: String = rest.by_ref().take(4).collect();
        (digits.len() == 4).then(|| u16::from_str_radix(&digits, 16).ok()).flatten()
    };
    while let Some(character) = rest.next() {
        match character {
            '\0'..'\u{20}' | '"' => return None,
            '\\' => match rest.next()? {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                'b' => text.push('\u{8}'),
                'f' => text.push('\u{c}'),
                other @ ('"' | '\\' | '/') => text.push(other),
                'u' => {
                    let high = unit(&mut rest)?;
                    let mut ahead = rest.clone();
                    let low =
                        ((0xd800..0xdc00).contains(&high) && ahead.next() == Some('\\') && ahead.next() == Some('u'))
                            .then(|| unit(&mut ahead))
                            .flatten()
                            .filter(|low| (0xdc00..0xe000).contains(low));
                    let units = [high, low.unwrap_or_default()];
                    if low.is_some() {
                        rest = ahead;
                    }
                    let used = if low.is_some() { &units[..] } else { &units[..1] };
                    text.extend(
                        char::decode_utf16(used.iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)),
                    );
                }
                _ => return None,
            },
            other => text.push(other),
        }
    }
    Some(text)
}

/// The value as a JSON value of this program. Fails on values not known.
pub fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    serde_json::from_str(&encode(value)?).map_err(|error| error.to_string())
}
