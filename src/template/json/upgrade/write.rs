//! Blocks and attributes to text, in the one form that HCL2's formatter gives them.

use unicode_segmentation::UnicodeSegmentation as _;

use super::{Object, Tree};
use crate::template::go;

/// The content of a block or a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    /// What stands before the value of an attribute, or the whole line.
    lead: String,
    /// The value, if it ends on the line: such lines are aligned.
    value: Option<String>,
    /// Brackets that are opened, less those that are closed.
    net: i32,
}

impl Body {
    /// A body that holds one block.
    pub(super) fn of_block(kind: &str, labels: &[&str], body: Self) -> Self {
        let mut outer = Self::default();
        outer.block(kind, labels, body);
        outer
    }

    pub(super) fn block(&mut self, kind: &str, labels: &[&str], body: Self) {
        let labels: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
        self.line([&[kind.to_owned()], labels.as_slice(), &["{".to_owned()]].concat().join(" "), 1);
        self.lines.extend(body.lines);
        self.line("}".to_owned(), -1);
    }

    pub(super) fn blank(&mut self) {
        self.line(String::new(), 0);
    }

    /// An attribute whose value is written as it is.
    pub(super) fn raw(&mut self, name: &str, value: &str) {
        self.lines.push(Line { lead: name.to_owned(), value: Some(value.to_owned()), net: 0 });
    }

    pub(super) fn attribute(&mut self, name: &str, value: &Tree) {
        let mut pieces = vec![Piece::default()];
        write(value, &mut pieces);
        let last = pieces.len() - 1;
        for (index, piece) in pieces.into_iter().enumerate() {
            match (index, piece.name) {
                (0, _) if last == 0 => self.raw(name, &piece.text),
                (0, _) => self.line(format!("{name} = {}", piece.text), piece.net),
                (_, Some(name)) if piece.net == 0 => self.raw(&name, &piece.text),
                (_, Some(name)) => self.line(format!("{name} = {}", piece.text), piece.net),
                (_, None) => self.line(piece.text, piece.net),
            }
        }
    }

    /// Options in the order of their names. An object of plain values is an attribute, unless it is among `blocks`, any other
    /// a block, and a list of objects a block for each.
    pub(super) fn options(&mut self, options: &Object, blocks: &[&str]) {
        for (name, value) in options {
            match value {
                Tree::Object(members) => {
                    let plain = |value: &Tree| matches!(value, Tree::String(_) | Tree::Number(_) | Tree::Bool(_));
                    if !members.is_empty() && members.values().all(plain) && !blocks.contains(&name.as_str()) {
                        self.attribute(name, value);
                    } else {
                        self.nested(name, members, blocks);
                    }
                }
                Tree::Array(elements) if elements.is_empty() => {}
                Tree::Array(elements) => {
                    let objects: Vec<&Object> = elements
                        .iter()
                        .filter_map(|element| if let Tree::Object(members) = element { Some(members) } else { None })
                        .collect();
                    if objects.len() == elements.len() {
                        for members in objects {
                            self.nested(name, members, blocks);
                        }
                    } else {
                        self.attribute(name, value);
                    }
                }
                _ => self.attribute(name, value),
            }
        }
    }

    fn nested(&mut self, name: &str, members: &Object, blocks: &[&str]) {
        let mut body = Self::default();
        body.options(members, blocks);
        self.block(name, &[], body);
    }

    fn line(&mut self, lead: String, net: i32) {
        self.lines.push(Line { lead, value: None, net });
    }

    /// The text: lines indented by the brackets that are open, and values of neighbouring lines below each other.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut open: Vec<i32> = Vec::new();
        let mut width = 0;
        for (index, line) in self.lines.iter().enumerate() {
            close(&mut open, line.net);
            let indent = if line.lead.is_empty() { 0 } else { 2 * open.len() };
            open.extend((line.net > 0).then_some(line.net));
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(&line.lead);
            if let Some(value) = &line.value {
                let starts = index.checked_sub(1).is_none_or(|before| self.lines[before].value.is_none());
                if starts {
                    let group = self.lines[index..].iter().take_while(|line| line.value.is_some());
                    width = group.map(|line| columns(&line.lead)).max().unwrap_or(0);
                }
                out.extend(std::iter::repeat_n(' ', width - columns(&line.lead)));
                out.push_str(" = ");
                out.push_str(value);
            }
            out.push('\n');
        }
        out
    }
}

/// Takes away as many open brackets as a line closes.
fn close(open: &mut Vec<i32>, net: i32) {
    let mut closed = -net;
    while closed > 0 {
        let Some(last) = open.last_mut() else { return };
        if *last > closed {
            *last -= closed;
            return;
        }
        closed -= *last;
        open.pop();
    }
}

fn columns(text: &str) -> usize {
    text.graphemes(true).count()
}

/// A line of a value; those of an object begin with a name.
#[derive(Debug, Default)]
struct Piece {
    name: Option<String>,
    text: String,
    net: i32,
}

fn write(value: &Tree, pieces: &mut Vec<Piece>) {
    let add = |pieces: &mut Vec<Piece>, text: &str, net: i32| {
        if let Some(piece) = pieces.last_mut() {
            piece.text.push_str(text);
            piece.net += net;
        }
    };
    match value {
        Tree::Null => add(pieces, "null", 0),
        Tree::Bool(value) => add(pieces, if *value { "true" } else { "false" }, 0),
        Tree::Number(number) => add(pieces, &format!("{number}"), 0),
        Tree::String(text) => add(pieces, &quoted(text), 0),
        Tree::Array(elements) => {
            add(pieces, "[", 1);
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    add(pieces, ", ", 0);
                }
                write(element, pieces);
            }
            add(pieces, "]", -1);
        }
        Tree::Object(members) if members.is_empty() => add(pieces, "{}", 0),
        Tree::Object(members) => {
            add(pieces, "{", 1);
            for (name, value) in members {
                let name = if is_identifier(name) { name.clone() } else { quoted(name) };
                pieces.push(Piece { name: Some(name), ..Piece::default() });
                write(value, pieces);
            }
            pieces.push(Piece { text: "}".to_owned(), net: -1, name: None });
        }
    }
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

/// A string that stands for itself.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if chars.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            _ if go::is_print(c) => out.push(c),
            '\u{1_0000}'.. => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            _ => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
