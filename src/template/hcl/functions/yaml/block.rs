//! Nodes told by their indentation.

use super::decode::{Mapping, Properties, Reader};
use crate::template::hcl::value::Value;

impl Reader<'_> {
    /// The node that begins here or in a line below, at least at this column; null if there is none.
    pub(super) fn node(&mut self, least: usize) -> Result<Value, String> {
        self.nested(|reader| {
            reader.space()?;
            let first = reader.properties()?;
            if reader.peek().is_none() || reader.at_marker() || reader.column() < least {
                let value = reader.plain("", &first)?;
                return reader.finish(value, first);
            }
            reader.node_here(least, first)
        })
    }

    fn node_here(&mut self, least: usize, properties: Properties) -> Result<Value, String> {
        let column = self.column();
        let value = match self.peek() {
            Some(b'-') if self.ends(1) => self.sequence(column)?,
            Some(b'?') if self.ends(1) => self.mapping(column, None)?,
            Some(b'|' | b'>') => self.block_text(least)?,
            _ => {
                let start = self.at;
                let (key, plain) = self.key_or_scalar(&properties)?;
                if self.is_colon() {
                    self.mapping(column, Some(key))?
                } else if plain {
                    self.at = start;
                    let text = self.plain_lines(least)?;
                    self.plain(&text, &properties)?
                } else {
                    key
                }
            }
        };
        self.finish(value, properties)
    }

    /// Whether a colon that ends a key stands here, after blanks.
    fn is_colon(&mut self) -> bool {
        let start = self.at;
        self.blanks();
        let found = self.peek() == Some(b':') && self.ends(1);
        if !found {
            self.at = start;
        }
        found
    }

    /// A key, or a scalar or flow collection, within one line; whether it is without quotes.
    fn key_or_scalar(&mut self, properties: &Properties) -> Result<(Value, bool), String> {
        match self.peek() {
            Some(b'"' | b'\'') => Ok((self.quoted()?.into(), false)),
            Some(b'[' | b'{') => Ok((self.flow()?, false)),
            Some(b'*') => Ok((self.alias()?, false)),
            _ => {
                let text = self.plain_line(false)?;
                Ok((self.plain(text, properties)?, true))
            }
        }
    }

    fn sequence(&mut self, column: usize) -> Result<Value, String> {
        let mut elements = Vec::new();
        while self.peek() == Some(b'-') && self.ends(1) && self.column() == column && !self.at_marker() {
            self.at += 1;
            elements.push(self.node(column + 1)?);
            self.space()?;
        }
        Ok(Value::tuple(elements))
    }

    fn mapping(&mut self, column: usize, first: Option<Value>) -> Result<Value, String> {
        let mut entries = Mapping::default();
        let mut next = first;
        loop {
            let key = match next.take() {
                Some(key) => key,
                None if self.peek() == Some(b'?') && self.ends(1) => {
                    self.at += 1;
                    let key = self.node(column + 1)?;
                    self.space()?;
                    if self.column() != column || self.peek() != Some(b':') {
                        self.insert(&mut entries, &key, Value::null())?;
                        if !self.goes_on(column)? {
                            return Ok(entries.finish());
                        }
                        continue;
                    }
                    key
                }
                None => {
                    let properties = self.properties()?;
                    let key = self.key_or_scalar(&properties)?.0;
                    self.finish(key, properties)?
                }
            };
            if !self.is_colon() {
                return Err(self.wrong("a `:` is expected after the key"));
            }
            self.at += 1;
            let value = self.nested(|reader| reader.mapped(column))?;
            self.insert(&mut entries, &key, value)?;
            if !self.goes_on(column)? {
                return Ok(entries.finish());
            }
        }
    }

    /// Whether the next line is of the same mapping.
    fn goes_on(&mut self, column: usize) -> Result<bool, String> {
        self.space()?;
        if self.peek().is_none() || self.at_marker() || self.column() < column {
            return Ok(false);
        }
        if self.column() > column || self.peek() == Some(b'-') && self.ends(1) {
            return Err(self.wrong("this line is not indented like those before it"));
        }
        Ok(true)
    }

    /// The value after a key: in the same line, or below it; elements of a list may stand right under the key.
    fn mapped(&mut self, column: usize) -> Result<Value, String> {
        let line_end = self.text[self.at..].find('\n').map_or(self.text.len(), |end| self.at + end);
        self.space()?;
        let properties = self.properties()?;
        if self.peek().is_none() || self.at_marker() {
            let value = self.plain("", &properties)?;
            return self.finish(value, properties);
        }
        if self.at >= line_end {
            let list = self.peek() == Some(b'-') && self.ends(1) && self.column() == column;
            if self.column() > column {
                return self.node_here(column + 1, properties);
            }
            let value = if list { self.sequence(column)? } else { self.plain("", &properties)? };
            return self.finish(value, properties);
        }
        let value = match self.peek() {
            Some(b'|' | b'>') => self.block_text(column + 1)?,
            Some(b'-' | b'?') if self.ends(1) => return Err(self.wrong("this begins in a line of its own")),
            Some(b'"' | b'\'' | b'[' | b'{' | b'*') => self.key_or_scalar(&properties)?.0,
            _ => {
                let text = self.plain_lines(column + 1)?;
                self.plain(&text, &properties)?
            }
        };
        if self.is_colon() {
            return Err(self.wrong("a value cannot be a key too"));
        }
        self.finish(value, properties)
    }

    /// Text without quotes that may go on in further lines, which are joined by blanks.
    fn plain_lines(&mut self, least: usize) -> Result<String, String> {
        let mut text = self.plain_line(false)?.to_owned();
        loop {
            let end = self.at;
            let mut breaks = 0;
            loop {
                self.blanks();
                if self.peek() != Some(b'\n') {
                    break;
                }
                breaks += 1;
                self.at += 1;
            }
            let goes_on =
                breaks > 0 && !matches!(self.peek(), None | Some(b'#')) && !self.at_marker() && self.column() >= least;
            if !goes_on {
                self.at = end;
                return Ok(text);
            }
            if self.text.as_bytes()[self.at - self.column()..self.at].contains(&b'\t') {
                return Err(self.wrong("a tab cannot indent a line"));
            }
            let next = self.plain_line(true)?;
            if self.is_colon() {
                self.at = end;
                return Ok(text);
            }
            text.push_str(&if breaks > 1 { "\n".repeat(breaks - 1) } else { " ".to_owned() });
            text.push_str(next);
        }
    }

    /// The lines of a block after `|` or `>`.
    fn block_text(&mut self, least: usize) -> Result<Value, String> {
        let folded = self.peek() == Some(b'>');
        self.at += 1;
        let (mut chomp, mut indent) = (b' ', None);
        while let Some(indicator @ (b'+' | b'-' | b'1'..=b'9')) = self.peek() {
            match indicator {
                b'+' | b'-' => chomp = indicator,
                digit => indent = Some(least.saturating_sub(1) + usize::from(digit - b'0')),
            }
            self.at += 1;
        }
        self.blanks();
        if !matches!(self.peek(), None | Some(b'\n' | b'#')) {
            return Err(self.wrong("nothing may follow `|` and `>`"));
        }
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').map_or(rest.len(), |end| end + 1);
        let lines = self.block_lines(least, indent);
        Ok(join_block(&lines, folded, chomp).into())
    }

    fn block_lines(&mut self, least: usize, indent: Option<usize>) -> Vec<&str> {
        let text = self.text;
        let mut indent = indent;
        let mut lines = Vec::new();
        while self.at < text.len() {
            let rest = &text[self.at..];
            let length = rest.find('\n').unwrap_or(rest.len());
            let line = rest[..length].strip_suffix('\r').unwrap_or(&rest[..length]);
            let blanks = line.len() - line.trim_start_matches(' ').len();
            let empty = blanks == line.len();
            let own = *indent.get_or_insert(if empty { 0 } else { blanks });
            if empty && own == 0 {
                indent = None;
            }
            if !empty && (blanks < own || blanks < least || self.at_marker()) {
                break;
            }
            lines.push(line.get(own..).unwrap_or_default());
            self.at = (self.at + length + 1).min(text.len());
        }
        lines
    }
}

/// Lines as they are, or folded to paragraphs; with one end of line at the end, none, or all there are.
fn join_block(lines: &[&str], folded: bool, chomp: u8) -> String {
    let filled = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    let mut text = String::new();
    let mut breaks = 0;
    let mut before_indented = false;
    for (index, line) in lines[..filled].iter().enumerate() {
        let indented = line.starts_with([' ', '\t']);
        if index > 0 {
            if !folded {
                text.push('\n');
            } else if line.is_empty() {
                breaks += 1;
                continue;
            } else if indented || before_indented {
                text.push_str(&"\n".repeat(breaks + 1));
            } else if breaks > 0 {
                text.push_str(&"\n".repeat(breaks));
            } else {
                text.push(' ');
            }
        }
        breaks = 0;
        before_indented = indented;
        text.push_str(line);
    }
    match chomp {
        b'-' => {}
        b'+' => text.push_str(&"\n".repeat(lines.len() - filled + usize::from(filled > 0))),
        _ => text.push_str(if filled > 0 { "\n" } else { "" }),
    }
    text
}
