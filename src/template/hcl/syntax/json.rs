//! A template in JSON, as the tree that it would be in HCL.
//!
//! By the HCL JSON specification: what is a block and how many labels it has goes by a schema, strings of attributes
//! are templates, and `//` is a comment in a body.

use std::collections::HashSet;
use std::sync::Arc;

use super::ast::{Attribute, Block, Body, Expr, ExprKind, Item, Key, Name};
use super::parser::{Place, parse_expression_at, parse_template_at};
use super::scanner::is_name;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::json::parse::{Kind, Member, Node, repeated};
use crate::template::source_map::{SourceMap, Span};

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

static LEAF: Shape = Shape { labels: 0, blocks: &[] };
static DYNAMIC: Shape = Shape { labels: 1, blocks: &[("content", &CONTENT)] };
static CONTENT: Shape = Shape { labels: 0, blocks: &[("dynamic", &DYNAMIC)] };
/// One that may stand for chains.
static DYNAMIC_IN_BUILD: Shape = Shape { labels: 1, blocks: &[("content", &CHAIN)] };
static ONE_LABEL: Shape = Shape { labels: 1, blocks: &[("dynamic", &DYNAMIC)] };
static TWO_LABELS: Shape = Shape { labels: 2, blocks: &[("dynamic", &DYNAMIC)] };
static CHAIN: Shape = Shape { labels: 0, blocks: &[("post-processor", &ONE_LABEL), ("dynamic", &DYNAMIC)] };
static PACKER: Shape = Shape { labels: 0, blocks: &[("required_plugins", &LEAF)] };
static VARIABLE: Shape = Shape { labels: 1, blocks: &[("validation", &LEAF)] };
static BUILD: Shape = Shape {
    labels: 0,
    blocks: &[
        ("source", &ONE_LABEL),
        ("provisioner", &ONE_LABEL),
        ("error-cleanup-provisioner", &ONE_LABEL),
        ("post-processor", &ONE_LABEL),
        ("post-processors", &CHAIN),
        ("hcp_packer_registry", &LEAF),
        ("dynamic", &DYNAMIC_IN_BUILD),
    ],
};
static ROOT: Shape = Shape {
    labels: 0,
    blocks: &[
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
    ],
};

/// The tree of a template that is in JSON, the text of which is in `sources`.
pub(crate) fn body(root: &Node, sources: &SourceMap, diagnostics: &mut Diagnostics) -> Body {
    let mut reader = Reader { sources, diagnostics };
    let mut body = Body { attributes: Vec::new(), blocks: Vec::new(), span: root.span };
    let parts = match &root.kind {
        Kind::Array(parts) => parts.as_slice(),
        _ => std::slice::from_ref(root),
    };
    for part in parts {
        match &part.kind {
            Kind::Object(members) => reader.members(members, &ROOT, "", &mut body),
            _ => reader.wrong(part, "a template", "an object"),
        }
    }
    body
}

struct Reader<'a> {
    sources: &'a SourceMap,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn wrong(&mut self, node: &Node, what: &str, expected: &str) {
        let error = Diagnostic::error(format!("{what} must be {expected}")).at(node.span);
        self.diagnostics.push(error.detail(format!("found {}", node.describe())));
    }

    /// Puts members of an object into a body, as blocks or attributes.
    fn members(&mut self, members: &[Member], shape: &Shape, within: &str, body: &mut Body) {
        let members = || members.iter().filter(|member| member.name != "//");
        let block = |member: &Member| shape.blocks.iter().find(|(name, _)| *name == member.name);
        // A block may be there several times, an option once.
        repeated(members().filter(|member| block(member).is_none()), self.diagnostics);
        let mut set = HashSet::new();
        for member in members() {
            if let Some((_, shape)) = block(member) {
                self.block(member, &member.value, shape, &mut Vec::new(), &mut body.blocks);
            } else if is_name(&member.name) {
                if set.insert(member.name.as_str()) {
                    body.attributes.push(self.attribute(member, within));
                }
            } else {
                let error = Diagnostic::error("this cannot be the name of an option or block").at(member.name_span);
                self.diagnostics.push(error.hint("a comment is named \"//\""));
            }
        }
    }

    fn attribute(&mut self, member: &Member, within: &str) -> Attribute {
        let value = match &member.value.kind {
            // A type is an expression in a string.
            Kind::String(text) if within == "variable" && member.name == "type" => {
                let expr = parse_expression_at(text, self.inside(&member.value, text), self.diagnostics);
                expr.unwrap_or(Expr { kind: ExprKind::Error, span: member.value.span })
            }
            _ => self.expression(&member.value),
        };
        let span = member.name_span.to(member.value.span);
        Attribute { name: name(member), value: Arc::new(value), span }
    }

    /// One block, or several: an array holds one in each element, an object one for each label.
    fn block(&mut self, member: &Member, value: &Node, shape: &Shape, labels: &mut Vec<Name>, blocks: &mut Vec<Block>) {
        match &value.kind {
            Kind::Null => {}
            Kind::Array(elements) => {
                for element in elements {
                    self.block(member, element, shape, labels, blocks);
                }
            }
            Kind::Object(members) if labels.len() < shape.labels => {
                for labelled in members.iter().filter(|labelled| labelled.name != "//") {
                    labels.push(name(labelled));
                    self.block(member, &labelled.value, shape, labels, blocks);
                    labels.pop();
                }
            }
            Kind::Object(members) => {
                let mut body = Body { attributes: Vec::new(), blocks: Vec::new(), span: value.span };
                self.members(members, shape, &member.name, &mut body);
                let header = labels.last().map_or(member.name_span, |label| label.span);
                let (kind, labels) = (name(member), labels.clone());
                let span = header.to(value.span);
                blocks.push(Block { kind, labels, body: Arc::new(body), header, span });
            }
            _ => self.wrong(value, &format!("`{}`", member.name), "an object"),
        }
    }

    /// A value, whose depth is that of the JSON that has been parsed.
    fn expression(&mut self, node: &Node) -> Expr {
        let kind = match &node.kind {
            Kind::Null => ExprKind::Null,
            Kind::Bool(value) => ExprKind::Bool(*value),
            Kind::Number(text) => ExprKind::Number(text.as_str().into()),
            Kind::String(text) => return self.template(text, node),
            Kind::Array(elements) => ExprKind::Tuple(elements.iter().map(|element| self.expression(element)).collect()),
            Kind::Object(members) => {
                repeated(members.iter(), self.diagnostics);
                ExprKind::Object(members.iter().map(|member| self.item(member)).collect())
            }
        };
        Expr { kind, span: node.span }
    }

    fn item(&mut self, member: &Member) -> Item {
        let node = Node { kind: Kind::String(member.name.clone()), span: member.name_span };
        Item { key: Key::Expr(self.template(&member.name, &node)), value: self.expression(&member.value) }
    }

    fn template(&mut self, text: &str, node: &Node) -> Expr {
        let template = parse_template_at(text, self.inside(node, text), self.diagnostics);
        let kind = template.map_or(ExprKind::Error, ExprKind::Template);
        Expr { kind, span: node.span }
    }

    /// Where the characters of a string are: one after the other within its quotes, if none of them is escaped.
    fn inside(&self, node: &Node, text: &str) -> Place {
        let inside = Span { start: node.span.start + 1, end: node.span.end.saturating_sub(1), ..node.span };
        if self.sources.slice(inside) == text { Place::From(inside) } else { Place::In(node.span) }
    }
}

fn name(member: &Member) -> Name {
    Name { text: member.name.as_str().into(), span: member.name_span }
}
