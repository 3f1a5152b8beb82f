//! Just enough of XML and HTML to read an index: tags with their attributes, and the text before each.

use std::io::{self, BufRead};

use super::unpack::read_to;

/// Longest tag or text of interest.
const LONGEST: usize = 64 * 1024;

/// A start tag, an end tag (its name begins with `/`), or a declaration.
#[derive(Debug, Default)]
pub(super) struct Tag {
    /// Text between the tag before and this one.
    pub text: String,
    /// In lower case, without the prefix of its name space.
    pub name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// The value of an attribute, by its name in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Calls `each` with every tag.
pub(super) fn tags(input: &mut dyn BufRead, mut each: impl FnMut(&Tag)) -> io::Result<()> {
    let (mut text, mut inside, mut more) = (Vec::new(), Vec::new(), Vec::new());
    while read_to(input, b'<', LONGEST, &mut text)? {
        if !read_to(input, b'>', LONGEST, &mut inside)? {
            return Ok(());
        }
        // The sign may stand inside a comment or a value. What was looked at is not looked at again: a page of nothing but
        // such signs would take a second for each tag.
        let mut end = End::default();
        let mut looked = 0;
        while inside.len() < LONGEST && end.is_open(&inside, looked) && read_to(input, b'>', LONGEST, &mut more)? {
            looked = inside.len();
            inside.push(b'>');
            inside.extend_from_slice(&more);
        }
        let mut tag = parse(&String::from_utf8_lossy(&inside));
        tag.text = unescape(String::from_utf8_lossy(&text).trim());
        each(&tag);
    }
    Ok(())
}

/// Whether a tag has come to its end.
#[derive(Default)]
struct End {
    quote: Option<u8>,
    after_equals: bool,
}

impl End {
    /// Of a tag's inside, of which all before `looked` has been given before.
    fn is_open(&mut self, inside: &[u8], looked: usize) -> bool {
        if inside.starts_with(b"!--") {
            return !inside.ends_with(b"--");
        }
        for &byte in &inside[looked..] {
            match self.quote {
                Some(open) if open == byte => self.quote = None,
                None if self.after_equals && matches!(byte, b'"' | b'\'') => self.quote = Some(byte),
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.after_equals = byte == b'=';
            }
        }
        self.quote.is_some()
    }
}

fn parse(inside: &str) -> Tag {
    let inside = inside.trim().trim_end_matches('/');
    let (name, mut rest) = inside.split_once(|c: char| c.is_whitespace()).unwrap_or((inside, ""));
    let local = name.rsplit(':').next().unwrap_or_default();
    let slash = if name.starts_with('/') && !local.starts_with('/') { "/" } else { "" };
    let mut tag = Tag { name: format!("{slash}{local}").to_ascii_lowercase(), ..Tag::default() };
    while tag.attributes.len() < 64 {
        rest = rest.trim_start();
        let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start();
        if name.is_empty() && after.is_empty() {
            return tag;
        }
        let (value, after) = match after.strip_prefix('=') {
            Some(after) => value(after.trim_start()),
            None => ("", after),
        };
        tag.attributes.push((name.to_ascii_lowercase(), unescape(value)));
        rest = after;
    }
    tag
}

fn value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            return inside.split_once(quote).unwrap_or((inside, ""));
        }
    }
    text.split_once(|c: char| c.is_whitespace()).unwrap_or((text, ""))
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let known = after
            .split_once(';')
            .filter(|(name, _)| name.len() <= 8)
            .and_then(|(name, after)| Some((entity(name)?, after)));
        match known {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}
