//! JSON (RFC 8259), exactly, with the place of everything, and with names given twice found at any depth.
//!
//! The parsers there are either give no places, take more than JSON, or let a name be given twice.

use std::collections::HashMap;

use crate::template::diagnostic::{Diagnostic, Diagnostics, MapDiagnostic as _};
use crate::template::source_map::{FileId, Span};

#[cfg(test)]
mod tests;

/// Deepest nesting of arrays and objects.
const MAX_DEPTH: usize = 100;

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A name and value of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// What to call it in a message.
    pub(crate) fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a bool",
            Kind::Number(_) => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
        }
    }

    /// The text of a string, number or bool.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.kind {
            Kind::String(text) | Kind::Number(text) => Some(text.clone()),
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Null | Kind::Array(_) | Kind::Object(_) => None,
        }
    }
}

/// The value a text holds; `None`, and reported, if it is not JSON. Names given twice are reported, and kept.
pub(crate) fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let node = parse_repeated(file, text, diagnostics)?;
    report_repeated(&node, diagnostics);
    Some(node)
}

/// The same, with names given twice left to the caller.
pub(crate) fn parse_repeated(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut parser = Parser { file, text, at, passed: Vec::new() };
    let node = parser.document();
    let whole = parser.passed.is_empty();
    diagnostics.extend(parser.passed);
    match node {
        Ok(node) => Some(node).filter(|_| whole),
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            None
        }
    }
}

/// Reports names that any object in the value has twice.
pub(crate) fn report_repeated(node: &Node, diagnostics: &mut Diagnostics) {
    match &node.kind {
        Kind::Array(elements) => {
            for element in elements {
                report_repeated(element, diagnostics);
            }
        }
        Kind::Object(members) => {
            for member in members {
                report_repeated(&member.value, diagnostics);
            }
            repeated(members.iter(), diagnostics);
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => {}
    }
}

/// Reports names that are there twice among the members of one object.
pub(crate) fn repeated<'a>(members: impl Iterator<Item = &'a Member>, diagnostics: &mut Diagnostics) {
    let mut names: HashMap<&str, Span> = HashMap::new();
    for Member { name, name_span, .. } in members {
        let first = *names.entry(name).or_insert(*name_span);
        if first != *name_span {
            diagnostics.push(
                Diagnostic::error(format!("`{name}` is given twice"))
                    .at(*name_span)
                    .detail("an object has each name once")
                    .see(first, "first given here")
                    .hint("remove one of them"),
            );
        }
    }
}

type Parsed<T> = Result<T, Box<Diagnostic>>;

struct Parser<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    /// Commas that are missing, or too many: nothing else is in doubt for them.
    passed: Vec<Diagnostic>,
}

/// Most commas passed over.
const MAX_PASSED: usize = 20;

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Node> {
        self.skip_blanks()?;
        if self.peek().is_none() {
            return Err(self.error(self.at, "the file is empty").map_hint("a template is a JSON object: { … }"));
        }
        let value = self.value(0)?;
        self.skip_blanks()?;
        if self.peek().is_some() {
            return Err(self.error(self.at, "there is something after the end of the JSON value"));
        }
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Parsed<Node> {
        let start = self.at;
        if depth > MAX_DEPTH {
            return Err(self.error(start, "the JSON nests too deep"));
        }
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { kind, span: self.span(start) })
    }

    fn object(&mut self, depth: usize) -> Parsed<Kind> {
        let open = self.at;
        let mut members = Vec::new();
        self.at += 1;
        self.skip_blanks()?;
        if self.take(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.name_expected(open));
            }
            let name = self.string()?;
            let name_span = self.span(start);
            self.skip_blanks()?;
            if !self.take(b':') {
                return Err(self.expected("`:` after the name", open, "an object"));
            }
            self.skip_blanks()?;
            let value = self.value(depth + 1)?;
            members.push(Member { name, name_span, value });
            if self.closed(b'}', open, "an object")? {
                return Ok(Kind::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Parsed<Kind> {
        let open = self.at;
        let mut elements = Vec::new();
        self.at += 1;
        self.skip_blanks()?;
        if self.take(b']') {
            return Ok(Kind::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.closed(b']', open, "an array")? {
                return Ok(Kind::Array(elements));
            }
        }
    }

    /// Reads what follows a value: the end, or a comma and the start of the next value.
    fn closed(&mut self, end: u8, open: usize, what: &str) -> Parsed<bool> {
        self.skip_blanks()?;
        if self.take(end) {
            return Ok(true);
        }
        let comma = self.at;
        if !self.take(b',') {
            let error = self.expected(&format!("`,` or `{}`", char::from(end)), open, what);
            let next = if end == b'}' { b"\"".as_slice() } else { b"\"{[-0123456789".as_slice() };
            return self.pass(error, self.peek().is_some_and(|byte| next.contains(&byte))).map(|()| false);
        }
        self.skip_blanks()?;
        if self.peek() == Some(end) {
            let error = self.error(comma, "there is a comma after the last value").map_hint("remove the comma");
            self.pass(error, true)?;
            return Ok(self.take(end));
        }
        Ok(false)
    }

    /// Goes on after an error, if it is clear what was meant.
    fn pass(&mut self, error: Box<Diagnostic>, clear: bool) -> Parsed<()> {
        if !clear || self.passed.len() == MAX_PASSED {
            return Err(error);
        }
        self.passed.push(*error);
        Ok(())
    }

    fn string(&mut self) -> Parsed<String> {
        let open = self.at;
        let mut text = String::new();
        self.at += 1;
        loop {
            let plain = self.text[self.at..].find(['"', '\\']).map_or(self.text.len(), |end| self.at + end);
            let piece = &self.text[self.at..plain];
            if let Some(control) = piece.find(|c: char| u32::from(c) < 0x20) {
                let at = self.at + control;
                let is_line_end = matches!(self.text.as_bytes()[at], b'\n' | b'\r');
                return Err(if is_line_end {
                    let error = self.error(open, "a string does not end on its line");
                    error.map_hint("close it by a quote; a line break within it is written \\n")
                } else {
                    self.error(at, "a control character cannot stand in a string").map_hint("write it as \\u00XX")
                });
            }
            text.push_str(piece);
            self.at = plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => text.push(self.escape()?),
                None => return Err(self.error(open, "a string is not closed").map_hint("close it by a quote")),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 2;
        Ok(match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => {
                self.at = start;
                let error = self.error(start, "this escape does not exist in JSON");
                return Err(error.map_hint("a backslash itself is written \\\\"));
            }
        })
    }

    /// As in Go, half of a surrogate pair becomes U+FFFD.
    fn unicode(&mut self, start: usize) -> Parsed<char> {
        let unit = self.hex(start)?;
        if !(0xd800..0xdc00).contains(&unit) {
            return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let second = self.at;
        if self.text[second..].starts_with("\\u") {
            self.at += 2;
            let low = self.hex(second)?;
            if (0xdc00..0xe000).contains(&low) {
                let pair = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = second;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self, start: usize) -> Parsed<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            return Err(self.error(start, "\\u needs four hexadecimal digits"));
        };
        self.at += 4;
        Ok(u32::from_str_radix(digits, 16).unwrap_or_default())
    }

    fn number(&mut self) -> Parsed<String> {
        let start = self.at;
        self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let whole = self.digits();
        let mut good = whole > 0 && !(zero && whole > 1);
        if self.take(b'.') {
            good &= self.digits() > 0;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            good &= self.digits() > 0;
        }
        if !good {
            return Err(self.error(start, "this is not a number").map_hint("a number with a leading zero is a string"));
        }
        Ok(self.text[start..self.at].to_owned())
    }

    fn digits(&mut self) -> usize {
        let count = self.text.as_bytes()[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    /// `true`, `false`, `null`; anything else is an error.
    fn word(&mut self) -> Parsed<Kind> {
        let rest = &self.text[self.at..];
        let word = &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())];
        let kind = match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "null" => Kind::Null,
            _ => return Err(self.value_expected(word)),
        };
        self.at += word.len();
        Ok(kind)
    }

    fn value_expected(&self, word: &str) -> Box<Diagnostic> {
        let error = self.error(self.at, "a value is expected here");
        match self.peek() {
            Some(b'\'') => error.map_hint("strings are written in double quotes"),
            Some(b'.' | b'+') => error.map_hint("a number begins with a digit"),
            _ if word.is_empty() => error,
            // HCL2 under a name that means legacy JSON is the commonest mistake of all.
            _ if self.text[..self.at].trim_start_matches('\u{feff}').trim().is_empty() => error
                .map_detail("a template of this name is JSON, and begins with `{`")
                .map_hint("a template in HCL2 must be in a file named *.pkr.hcl"),
            _ => error.map_hint("strings are written in double quotes; the only words are true, false and null"),
        }
    }

    fn name_expected(&self, open: usize) -> Box<Diagnostic> {
        if self.peek().is_none() {
            return self.expected("a name", open, "an object");
        }
        self.error(self.at, "a name in double quotes is expected here")
            .map_hint("an object is written { \"name\": value, … }")
    }

    fn expected(&self, expected: &str, open: usize, what: &str) -> Box<Diagnostic> {
        let error = self.error(self.at, format!("{expected} is expected here"));
        let missing = matches!(self.peek(), Some(b'"' | b'{' | b'[')) && expected.starts_with("`,`");
        let error = if missing { error.map_hint("is a comma missing before it?") } else { error };
        let opened = Span::new(self.file, open..open + 1);
        Box::new((*error).see(opened, format!("{what} begins here")))
    }

    fn skip_blanks(&mut self) -> Parsed<()> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let rest = &self.text[self.at..];
        if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
            return Err(self
                .error(self.at, "JSON has no comments")
                .map_hint("at the root of a template, write \"_comment\": \"…\""));
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let taken = self.peek() == Some(byte);
        self.at += usize::from(taken);
        taken
    }

    fn span(&self, start: usize) -> Span {
        Span::new(self.file, start..self.at)
    }

    fn error(&self, at: usize, summary: impl Into<String>) -> Box<Diagnostic> {
        let length = self.text[at..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        Box::new(Diagnostic::error(summary).at(Span::new(self.file, at..at + length)))
    }
}
