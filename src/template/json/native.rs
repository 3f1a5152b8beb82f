//! HCL2 written in JSON: turned into HCL text, so that there is one evaluator, with the place of each piece kept.
//!
//! By the HCL JSON specification: what is a block and how many labels it has goes by a schema, strings of attributes
//! are templates, and `//` is a comment in a body.

use std::fmt::Write as _;
use std::ops::Range;

use hcl_edit::expr::Expression;

use super::parse::{Kind, Member, Node, repeated};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source_map::Span;

#[cfg(test)]
mod tests;

/// What can be in a body besides attributes.
#[derive(Debug)]
struct Shape {
    /// Labels of the block.
    labels: usize,
    /// Blocks in it.
    blocks: &'static [(&'static str, &'static Shape)],
}

const LEAF: Shape = Shape { labels: 0, blocks: &[] };
const ONE_LABEL: Shape = Shape { labels: 1, blocks: &[("dynamic", &DYNAMIC)] };
const TWO_LABELS: Shape = Shape { labels: 2, blocks: &[("dynamic", &DYNAMIC)] };
const DYNAMIC: Shape = Shape { labels: 1, blocks: &[("content", &LEAF)] };
const CHAIN: Shape = Shape { labels: 0, blocks: &[("post-processor", &ONE_LABEL)] };
const PACKER: Shape = Shape { labels: 0, blocks: &[("required_plugins", &LEAF)] };
const VARIABLE: Shape = Shape { labels: 1, blocks: &[("validation", &LEAF)] };
const BUILD: Shape = Shape {
    labels: 0,
    blocks: &[
        ("source", &ONE_LABEL),
        ("provisioner", &ONE_LABEL),
        ("error-cleanup-provisioner", &ONE_LABEL),
        ("post-processor", &ONE_LABEL),
        ("post-processors", &CHAIN),
        ("hcp_packer_registry", &LEAF),
    ],
};
const ROOT: &[(&str, &Shape)] = &[
    ("packer", &PACKER),
    ("source", &TWO_LABELS),
    ("variable", &VARIABLE),
    ("variables", &LEAF),
    ("local", &ONE_LABEL),
    ("locals", &LEAF),
    ("data", &TWO_LABELS),
    ("build", &BUILD),
    ("hcp_packer_registry", &LEAF),
    ("communicator", &TWO_LABELS),
];

/// HCL text, and what its ranges stand for.
#[derive(Debug, Default)]
pub(crate) struct Native {
    pub(crate) text: String,
    pub(crate) made_of: Vec<(Range<usize>, Span)>,
}

/// The template a JSON value holds, as HCL text.
pub(crate) fn to_native(root: &Node, diagnostics: &mut Diagnostics) -> Native {
    let mut writer = Writer { native: Native::default(), diagnostics };
    let bodies = match &root.kind {
        Kind::Array(bodies) => bodies.as_slice(),
        _ => std::slice::from_ref(root),
    };
    for body in bodies {
        match &body.kind {
            Kind::Object(members) => members.iter().for_each(|member| writer.root_member(member)),
            _ => writer.wrong(body, "a template", "an object"),
        }
    }
    writer.native
}

struct Writer<'a> {
    native: Native,
    diagnostics: &'a mut Diagnostics,
}

impl Writer<'_> {
    fn wrong(&mut self, node: &Node, what: &str, expected: &str) {
        self.diagnostics.push(
            Diagnostic::error(format!("{what} must be {expected}"))
                .at(node.span)
                .detail(format!("found {}", node.describe())),
        );
    }

    fn piece(&mut self, text: &str, span: Span) {
        let start = self.native.text.len();
        self.native.text.push_str(text);
        self.native.made_of.push((start..self.native.text.len(), span));
    }

    fn root_member(&mut self, member: &Member) {
        match ROOT.iter().find(|(name, _)| *name == member.name) {
            _ if member.name == "//" => {}
            Some((_, shape)) => self.block(member, &member.value, shape, &mut Vec::new()),
            // The HCL reader says what it thinks of it.
            None if self.is_name(member) => {
                self.piece(&member.name, member.name_span);
                self.native.text.push_str(" {}\n");
            }
            None => {}
        }
    }

    fn is_name(&mut self, member: &Member) -> bool {
        let name = &member.name;
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        if !is_name {
            self.diagnostics.push(
                Diagnostic::error("this cannot be the name of an option or block")
                    .at(member.name_span)
                    .hint("a comment is named \"//\""),
            );
        }
        is_name
    }

    /// One block, or several: an array holds one in each element, an object one for each label.
    fn block(&mut self, member: &Member, value: &Node, shape: &Shape, labels: &mut Vec<(String, Span)>) {
        match &value.kind {
            Kind::Null => {}
            Kind::Array(elements) => {
                for element in elements {
                    self.block(member, element, shape, labels);
                }
            }
            Kind::Object(members) if labels.len() < shape.labels => {
                for labelled in members.iter().filter(|labelled| labelled.name != "//") {
                    labels.push((labelled.name.clone(), labelled.name_span));
                    self.block(member, &labelled.value, shape, labels);
                    labels.pop();
                }
            }
            Kind::Object(members) => {
                self.piece(&member.name, member.name_span);
                for (label, span) in labels.iter() {
                    self.native.text.push(' ');
                    self.piece(&serde_json::Value::String(label.clone()).to_string(), *span);
                }
                self.native.text.push_str(" {\n");
                self.body(members, shape, &member.name);
                self.native.text.push_str("}\n");
            }
            _ => self.wrong(value, &format!("`{}`", member.name), "an object"),
        }
    }

    fn body(&mut self, members: &[Member], shape: &Shape, within: &str) {
        // A block may be there several times, an option once.
        let is_block = |member: &&Member| shape.blocks.iter().any(|(name, _)| *name == member.name);
        repeated(members.iter().filter(|member| member.name != "//" && !is_block(member)), self.diagnostics);
        for member in members.iter().filter(|member| member.name != "//") {
            if let Some((_, shape)) = shape.blocks.iter().find(|(name, _)| *name == member.name) {
                self.block(member, &member.value, shape, &mut Vec::new());
            } else if self.is_name(member) {
                self.piece(&member.name, member.name_span);
                self.native.text.push_str(" = ");
                match &member.value.kind {
                    // A type is an expression in a string.
                    Kind::String(text) if within == "variable" && member.name == "type" => {
                        self.checked(&text.replace('\n', " "), member.value.span);
                    }
                    _ => self.expression(&member.value),
                }
                self.native.text.push('\n');
            }
        }
    }

    fn expression(&mut self, node: &Node) {
        match &node.kind {
            Kind::Null => self.piece("null", node.span),
            Kind::Bool(value) => self.piece(if *value { "true" } else { "false" }, node.span),
            Kind::Number(text) => self.piece(text, node.span),
            Kind::String(text) => self.checked(&quoted(text), node.span),
            Kind::Array(elements) => {
                self.piece("[", Span { end: node.span.start + 1, ..node.span });
                for element in elements {
                    self.expression(element);
                    self.native.text.push_str(", ");
                }
                self.piece("]", Span { start: node.span.end - 1, ..node.span });
            }
            Kind::Object(members) => {
                repeated(members.iter(), self.diagnostics);
                self.piece("{", Span { end: node.span.start + 1, ..node.span });
                self.native.text.push('\n');
                for member in members {
                    self.native.text.push('(');
                    self.checked(&quoted(&member.name), member.name_span);
                    self.native.text.push_str(") = ");
                    self.expression(&member.value);
                    self.native.text.push('\n');
                }
                self.piece("}", Span { start: node.span.end - 1, ..node.span });
            }
        }
    }

    /// Writes an expression made of a string, if it is one: what is wrong with it must not spoil what follows.
    fn checked(&mut self, text: &str, span: Span) {
        match text.parse::<Expression>() {
            Ok(_) if !text.contains('\n') => self.piece(text, span),
            result => {
                let why = result.err().map(|error| error.message().trim().replace('\n', ", ")).unwrap_or_default();
                self.diagnostics.push(
                    Diagnostic::error("there is an expression in this string that is not valid HCL")
                        .at(span)
                        .detail(why)
                        .hint("to keep the characters, write $${ for ${ and %%{ for %{"),
                );
                self.piece("null", span);
            }
        }
    }
}

/// The text as a template in HCL's quotes: what is literal is escaped, expressions stay as they are.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("$${") || rest.starts_with("%%{") {
            quoted.push_str(&rest[..3]);
            3
        } else if rest.starts_with("${") || rest.starts_with("%{") {
            let length = 2 + expression_length(&rest[2..], 0);
            quoted.push_str(&rest[..length].replace(['\n', '\r'], " "));
            length
        } else {
            match first {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                control if control.is_control() => {
                    let _ = write!(quoted, "\\u{:04x}", u32::from(control));
                }
                other => quoted.push(other),
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    quoted.push('"');
    quoted
}

/// Bytes up to and with the brace that closes an expression; all if none does.
fn expression_length(text: &str, depth: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (0, 1);
    while at < bytes.len() {
        match bytes[at] {
            b'{' => open += 1,
            b'}' => open -= 1,
            b'"' => at += string_length(&text[at + 1..], depth),
            _ => {}
        }
        at += 1;
        if open == 0 {
            return at;
        }
    }
    text.len()
}

/// Bytes of a quoted template within an expression, up to and with its closing quote.
fn string_length(text: &str, depth: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match rest {
            [b'"', ..] => return at + 1,
            [b'\\', _, ..] => at += 2,
            [b'$' | b'%', b'{', ..] if depth < 50 && !(at > 0 && bytes[at - 1] == rest[0]) => {
                at += 2 + expression_length(&text[at + 2..], depth + 1);
            }
            _ => at += 1,
        }
    }
    bytes.len()
}
