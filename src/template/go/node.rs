//! What a template consists of, as Go names it in errors.

use super::number::Number;
use super::quote::quote;

/// A node of a [`Tree`].
pub(super) type Id = u32;

/// A part of a template, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Offset of its first byte.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    List(Vec<Id>),
    Text(String),
    /// A pipeline whose value is printed.
    Action(Id),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template {
        name: String,
        pipe: Option<Id>,
    },
    Break,
    Continue,
    Pipe {
        declared: Vec<Id>,
        assigns: bool,
        commands: Vec<Id>,
    },
    Command(Vec<Id>),
    Identifier(String),
    Field(Vec<String>),
    /// A variable, and the fields behind it.
    Variable(Vec<String>),
    Chain {
        node: Id,
        fields: Vec<String>,
    },
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    Literal {
        literal: String,
        text: String,
    },
}

/// An `if`, `with` or `range`.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) pipe: Id,
    pub(super) list: Id,
    pub(super) otherwise: Option<Id>,
}

/// All nodes of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes(Vec<Node>);

impl Nodes {
    pub(super) fn add(&mut self, at: usize, kind: Kind) -> Id {
        self.0.push(Node { at, kind });
        u32::try_from(self.0.len() - 1).unwrap_or(Id::MAX)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, id: Id) -> &Node {
        &self.0[id as usize]
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Node> {
        self.0.iter()
    }

    pub(super) fn kind(&self, id: Id) -> &Kind {
        &self.get(id).kind
    }

    /// The node as Go writes it.
    pub(super) fn text(&self, id: Id) -> String {
        let mut out = String::new();
        self.write(id, &mut out);
        out
    }

    fn write(&self, id: Id, out: &mut String) {
        match self.kind(id) {
            Kind::List(nodes) => nodes.iter().for_each(|node| self.write(*node, out)),
            Kind::Text(text) => out.push_str(text),
            Kind::Action(pipe) => {
                out.push_str("{{");
                self.write(*pipe, out);
                out.push_str("}}");
            }
            Kind::If(branch) => self.write_branch("if", branch, out),
            Kind::With(branch) => self.write_branch("with", branch, out),
            Kind::Range(branch) => self.write_branch("range", branch, out),
            Kind::Template { name, pipe } => {
                out.push_str("{{template ");
                out.push_str(&quote(name));
                if let Some(pipe) = pipe {
                    out.push(' ');
                    self.write(*pipe, out);
                }
                out.push_str("}}");
            }
            Kind::Break => out.push_str("{{break}}"),
            Kind::Continue => out.push_str("{{continue}}"),
            Kind::Pipe { declared, commands, .. } => {
                self.write_joined(declared, ", ", out);
                if !declared.is_empty() {
                    out.push_str(" := ");
                }
                self.write_joined(commands, " | ", out);
            }
            Kind::Command(words) => {
                for (index, word) in words.iter().enumerate() {
                    if index > 0 {
                        out.push(' ');
                    }
                    self.write_operand(*word, out);
                }
            }
            Kind::Chain { node, fields } => {
                self.write_operand(*node, out);
                for field in fields {
                    out.push('.');
                    out.push_str(field);
                }
            }
            Kind::Field(names) => names.iter().for_each(|name| {
                out.push('.');
                out.push_str(name);
            }),
            Kind::Variable(names) => out.push_str(&names.join(".")),
            Kind::Identifier(name) => out.push_str(name),
            Kind::Dot => out.push('.'),
            Kind::Nil => out.push_str("nil"),
            Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Kind::Number(number) => out.push_str(&number.text),
            Kind::Literal { literal, .. } => out.push_str(literal),
        }
    }

    fn write_joined(&self, nodes: &[Id], between: &str, out: &mut String) {
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                out.push_str(between);
            }
            self.write(*node, out);
        }
    }

    /// A pipeline among operands stands in parentheses.
    fn write_operand(&self, id: Id, out: &mut String) {
        let is_pipe = matches!(self.kind(id), Kind::Pipe { .. });
        if is_pipe {
            out.push('(');
        }
        self.write(id, out);
        if is_pipe {
            out.push(')');
        }
    }

    fn write_branch(&self, word: &str, branch: &Branch, out: &mut String) {
        out.push_str("{{");
        out.push_str(word);
        out.push(' ');
        self.write(branch.pipe, out);
        out.push_str("}}");
        self.write(branch.list, out);
        if let Some(otherwise) = branch.otherwise {
            out.push_str("{{else}}");
            self.write(otherwise, out);
        }
        out.push_str("{{end}}");
    }

    /// Whether the node is nothing but blanks.
    pub(super) fn is_empty(&self, id: Id) -> bool {
        match self.kind(id) {
            Kind::List(nodes) => nodes.iter().all(|node| self.is_empty(*node)),
            Kind::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}
