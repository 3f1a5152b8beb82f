//! Reads one YAML document: what places in the text there are, properties of nodes, and what they give.

use std::collections::BTreeMap;

use super::scalar;
use crate::template::hcl::convert::convert;
use crate::template::hcl::value::{Kind, Type, Value};

/// Deepest nesting.
const MAX_DEPTH: usize = 100;
/// Most of what aliases may multiply a document to.
const MAX_WEIGHT: usize = 16 << 20;

pub(super) fn decode(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0, anchors: BTreeMap::new(), depth: 0 };
    reader.document()
}

/// Reads a text from its start to its end. Places are offsets of bytes; all that structure is made of is ASCII.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    anchors: BTreeMap<String, Value>,
    depth: usize,
}

/// What stands before a node.
#[derive(Default)]
pub(super) struct Properties {
    anchor: Option<String>,
    tag: Option<String>,
}

impl Reader<'_> {
    pub(super) fn wrong(&self, what: &str) -> String {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        format!("not YAML: {what}, in line {}", before.matches('\n').count() + 1)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn after(&self, count: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + count).copied()
    }

    /// Whether what is so many bytes ahead is a blank or an end.
    pub(super) fn ends(&self, count: usize) -> bool {
        matches!(self.after(count), None | Some(b' ' | b'\t' | b'\n' | b'\r'))
    }

    /// How far the place is from the start of its line.
    pub(super) fn column(&self) -> usize {
        self.at - self.text[..self.at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Goes past blanks, but not to the next line; says if there was any.
    pub(super) fn blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
        self.at > start
    }

    /// Goes to the next thing that is no blank, end of line or comment.
    pub(super) fn space(&mut self) -> Result<(), String> {
        loop {
            let line_start = self.column() == 0;
            let start = self.at;
            let was_blank = self.blanks();
            match self.peek() {
                Some(b'\n') => self.at += 1,
                Some(b'#') if line_start || was_blank || self.at == 0 => self.rest_of_line(),
                Some(_) if line_start && self.text[start..self.at].contains('\t') => {
                    return Err(self.wrong("a tab cannot indent a line"));
                }
                _ => return Ok(()),
            }
        }
    }

    fn rest_of_line(&mut self) {
        self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |end| self.at + end);
    }

    /// Whether the place is at `---` or `...` at the start of a line.
    pub(super) fn at_marker(&self) -> bool {
        let rest = &self.text[self.at..];
        self.column() == 0 && (rest.starts_with("---") || rest.starts_with("...")) && self.ends(3)
    }

    fn document(&mut self) -> Result<Value, String> {
        self.at += if self.text.starts_with('\u{feff}') { 3 } else { 0 };
        self.space()?;
        while self.peek() == Some(b'%') {
            self.rest_of_line();
            self.space()?;
        }
        if self.at_marker() && self.text[self.at..].starts_with("---") {
            self.at += 3;
        } else if self.peek().is_none() || self.at_marker() {
            return Err("there is no document in it".to_owned());
        }
        let value = self.node(0)?;
        self.space()?;
        if self.at_marker() && self.text[self.at..].starts_with("...") {
            self.at += 3;
            self.space()?;
        }
        match self.peek() {
            None => Ok(value),
            Some(_) if self.at_marker() => Err(self.wrong("there is more than one document")),
            Some(_) => Err(self.wrong("this belongs to nothing before it")),
        }
    }

    /// Counts how deep nodes nest.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth >= MAX_DEPTH {
            return Err(self.wrong("it nests too deep"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// The anchor and the tag before a node.
    pub(super) fn properties(&mut self) -> Result<Properties, String> {
        let mut properties = Properties::default();
        loop {
            match self.peek() {
                Some(b'&') if properties.anchor.is_none() => {
                    self.at += 1;
                    properties.anchor = Some(self.word()?);
                }
                Some(b'!') if properties.tag.is_none() => properties.tag = Some(self.word()?),
                _ => return Ok(properties),
            }
            self.space()?;
        }
    }

    fn word(&mut self) -> Result<String, String> {
        let rest = &self.text[self.at..];
        let end =
            rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '{' | '}')).unwrap_or(rest.len());
        self.at += end;
        if end == 0 { Err(self.wrong("a name is missing")) } else { Ok(rest[..end].to_owned()) }
    }

    /// What an alias stands for.
    pub(super) fn alias(&mut self) -> Result<Value, String> {
        self.at += 1;
        let name = self.word()?;
        self.anchors.get(&name).cloned().ok_or_else(|| self.wrong(&format!("there is no anchor `{name}`")))
    }

    /// The value of a node, with what stood before it.
    pub(super) fn finish(&mut self, value: Value, properties: Properties) -> Result<Value, String> {
        if value.weight() > MAX_WEIGHT {
            return Err(self.wrong("aliases make too much of it"));
        }
        if let Some(name) = properties.anchor {
            self.anchors.insert(name, value.clone());
        }
        Ok(value)
    }

    /// The value of a scalar without quotes, as its tag says.
    pub(super) fn plain(&self, text: &str, properties: &Properties) -> Result<Value, String> {
        match properties.tag.as_deref() {
            Some("!!str" | "!" | "!!binary" | "!!timestamp") => Ok(text.into()),
            Some("!!null") => Ok(Value::null()),
            tag @ (None | Some("!!int" | "!!float" | "!!bool")) => {
                let value = scalar::plain(text).map_err(|error| self.wrong(&error))?;
                match (tag, value.ty()) {
                    (None, _) | (Some("!!bool"), Type::Bool) | (Some("!!int" | "!!float"), Type::Number) => Ok(value),
                    (Some(tag), _) => Err(self.wrong(&format!("the value is not what its tag {tag} says"))),
                }
            }
            Some(tag) => Err(self.wrong(&format!("the tag {tag} is not known"))),
        }
    }

    /// Adds to a mapping; of a name given twice the last counts. `<<` takes over what other mappings have.
    pub(super) fn insert(&self, entries: &mut Mapping, key: &Value, value: Value) -> Result<(), String> {
        if key.as_str() == Some("<<") {
            let Kind::Object(others) = value.kind() else {
                return Err(self.wrong("`<<` takes a mapping"));
            };
            entries.merged.extend(others.iter().map(|(name, value)| (name.clone(), value.clone())));
            return Ok(());
        }
        let name = convert(key, &Type::String).ok().and_then(|name| name.as_str().map(str::to_owned));
        let name = name.ok_or_else(|| self.wrong("a key must be a string"))?;
        entries.own.insert(name, value);
        Ok(())
    }
}

/// The entries of a mapping, and those it takes over.
#[derive(Default)]
pub(super) struct Mapping {
    own: BTreeMap<String, Value>,
    merged: BTreeMap<String, Value>,
}

impl Mapping {
    pub(super) fn finish(mut self) -> Value {
        for (name, value) in self.merged {
            self.own.entry(name).or_insert(value);
        }
        Value::object(self.own)
    }
}
