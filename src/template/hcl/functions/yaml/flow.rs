//! Nodes told by brackets and quotes, and the text of scalars.

use super::decode::{Mapping, Reader};
use super::scalar;
use crate::template::hcl::value::Value;

impl<'a> Reader<'a> {
    /// A collection in brackets or braces.
    pub(super) fn flow(&mut self) -> Result<Value, String> {
        self.nested(|reader| {
            let braces = reader.peek() == Some(b'{');
            reader.at += 1;
            let close = if braces { b'}' } else { b']' };
            let (mut elements, mut entries) = (Vec::new(), Mapping::default());
            loop {
                reader.space()?;
                if reader.peek() == Some(close) {
                    reader.at += 1;
                    return Ok(if braces { entries.finish() } else { Value::tuple(elements) });
                }
                let key = reader.flow_node()?;
                reader.space()?;
                let mapped = reader.peek() == Some(b':');
                if mapped {
                    reader.at += 1;
                    reader.space()?;
                }
                let value = match (mapped, reader.peek()) {
                    (false, _) | (true, Some(b',' | b'}' | b']')) => Value::null(),
                    _ => reader.flow_node()?,
                };
                match (braces, mapped) {
                    (true, _) => reader.insert(&mut entries, &key, value)?,
                    (false, false) => elements.push(key),
                    (false, true) => {
                        let mut one = Mapping::default();
                        reader.insert(&mut one, &key, value)?;
                        elements.push(one.finish());
                    }
                }
                reader.space()?;
                match reader.peek() {
                    Some(b',') => reader.at += 1,
                    Some(other) if other == close => {}
                    _ => return Err(reader.wrong("a bracket is not closed, or a comma is missing")),
                }
            }
        })
    }

    /// A node within brackets.
    fn flow_node(&mut self) -> Result<Value, String> {
        let properties = self.properties()?;
        let value = match self.peek() {
            Some(b'"' | b'\'') => self.quoted()?.into(),
            Some(b'[' | b'{') => self.flow()?,
            Some(b'*') => self.alias()?,
            _ => {
                let text = self.plain_flow()?;
                self.plain(&text, &properties)?
            }
        };
        self.finish(value, properties)
    }

    /// Text without quotes within brackets: up to a comma, a bracket, or a colon before a blank.
    fn plain_flow(&mut self) -> Result<String, String> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            let ends = match byte {
                b',' | b'[' | b']' | b'{' | b'}' => true,
                b':' => self.ends(1) || matches!(self.after(1), Some(b',' | b'[' | b']' | b'{' | b'}')),
                b'#' => self.at > start && self.text.as_bytes()[self.at - 1].is_ascii_whitespace(),
                _ => false,
            };
            if ends {
                break;
            }
            self.at += 1;
        }
        let text = self.text[start..self.at].trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() && self.peek() != Some(b':') {
            return Err(self.wrong("a value is missing"));
        }
        if text.starts_with(['@', '`', '%', '|', '>']) {
            return Err(self.wrong("text that begins like this needs quotes"));
        }
        Ok(fold(text, false))
    }

    /// Text without quotes up to the end of the line, a comment, or a colon before a blank.
    pub(super) fn plain_line(&mut self, goes_on: bool) -> Result<&'a str, String> {
        let start = self.at;
        let begins_badly = matches!(
            self.peek(),
            Some(b'@' | b'`' | b'%' | b',' | b']' | b'}' | b'\t' | b'|' | b'>' | b'[' | b'{' | b'&' | b'*' | b'!')
        );
        if begins_badly && !goes_on {
            return Err(self.wrong("text that begins like this needs quotes"));
        }
        while let Some(byte) = self.peek() {
            let ends = match byte {
                b'\n' => true,
                b':' => self.ends(1),
                b'#' => self.at > start && matches!(self.text.as_bytes()[self.at - 1], b' ' | b'\t'),
                _ => false,
            };
            if ends {
                break;
            }
            self.at += 1;
        }
        let text: &'a str = self.text;
        let line = text[start..self.at].trim_end_matches(BLANKS);
        self.at = start + line.len();
        Ok(line)
    }

    /// Text in quotes, which may go on in further lines.
    pub(super) fn quoted(&mut self) -> Result<String, String> {
        let start = self.at;
        let double = self.peek() == Some(b'"');
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' if double => self.at += 1,
                b'"' if double => return self.unescaped(start, true),
                b'\'' if !double => {
                    if self.peek() != Some(b'\'') {
                        return self.unescaped(start, false);
                    }
                    self.at += 1;
                }
                _ => {}
            }
        }
        self.at = start;
        Err(self.wrong("a quote is not closed"))
    }

    fn unescaped(&self, start: usize, double: bool) -> Result<String, String> {
        let inner = &self.text[start + 1..self.at - 1];
        let folded = fold(inner, double);
        if double {
            scalar::double_quoted(&folded).ok_or_else(|| self.wrong("a backslash means nothing here"))
        } else {
            Ok(folded.replace("''", "'"))
        }
    }
}

/// What may be cut at the ends of a line: not every character that is blank to a reader.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// Joins lines by blanks; an empty line ends a line, and a backslash at its end joins two lines without a blank.
fn fold(text: &str, double: bool) -> String {
    if !text.contains('\n') {
        return text.to_owned();
    }
    let mut folded = String::with_capacity(text.len());
    let (mut breaks, mut joined) = (0, false);
    let lines = text.matches('\n').count();
    for (index, line) in text.split('\n').enumerate() {
        let last = lines == index;
        let line = if index == 0 { line } else { line.trim_start_matches(BLANKS) };
        let mut line = if last { line } else { line.trim_end_matches(BLANKS) };
        if index > 0 && line.is_empty() && !last {
            breaks += 1;
            continue;
        }
        if index > 0 && !joined {
            folded.push_str(&if breaks > 0 { "\n".repeat(breaks) } else { " ".to_owned() });
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        joined = double && !last && backslashes % 2 == 1;
        if joined {
            line = &line[..line.len() - 1];
        }
        breaks = 0;
        folded.push_str(line);
    }
    folded
}
