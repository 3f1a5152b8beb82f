//! What HCL says, with the place of everything.
//!
//! Bodies and the values of attributes are shared, so that whoever keeps one for later clones no more than a pointer. No
//! tree is higher than [`MAX_HEIGHT`](super::parser::MAX_HEIGHT): it can be walked, and dropped, by recursion.

use std::sync::Arc;

use crate::template::source_map::Span;

/// What is in a file, or between the braces of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// The attributes in their order; each name is there once.
    pub attributes: Vec<Attribute>,
    /// The blocks in their order.
    pub blocks: Vec<Block>,
    /// All of the file, or from brace to brace.
    pub span: Span,
}

impl Body {
    /// The attribute of this name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| &*attribute.name.text == name)
    }

    /// The attributes and blocks in the order in which they are written.
    pub fn in_order(&self) -> Vec<Piece<'_>> {
        let mut pieces: Vec<Piece<'_>> = self.attributes.iter().map(Piece::Attribute).collect();
        pieces.extend(self.blocks.iter().map(Piece::Block));
        pieces.sort_by_key(|piece| match piece {
            Piece::Attribute(attribute) => attribute.span.start,
            Piece::Block(block) => block.span.start,
        });
        pieces
    }

    /// The blocks of this kind.
    pub fn blocks_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| &*block.kind.text == kind)
    }
}

/// An attribute or a block of a [`Body`].
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// An attribute.
    Attribute(&'a Attribute),
    /// A block.
    Block(&'a Block),
}

/// A word and its place: a name, a label without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The word.
    pub text: Arc<str>,
    /// Where it is; of a label with its quotes.
    pub span: Span,
}

/// `name = value`
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// What is set.
    pub name: Name,
    /// What to.
    pub value: Arc<Expr>,
    /// All of it.
    pub span: Span,
}

/// `kind "label" { … }`
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its first word.
    pub kind: Name,
    /// What follows it.
    pub labels: Vec<Name>,
    /// What is in it.
    pub body: Arc<Body>,
    /// From the first word to the last label.
    pub header: Span,
    /// All of it.
    pub span: Span,
}

/// An expression and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it is.
    pub span: Span,
}

/// What an [`Expr`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(Arc<str>),
    /// A string or heredoc.
    Template(Template),
    /// `(…)`
    Parenthesis(Box<Expr>),
    /// A name that stands for a value.
    Variable(Name),
    /// A value, and the way from it to what is in it.
    Traversal(Box<Expr>, Vec<Step>),
    /// `name(…)`
    Call(Call),
    /// `condition ? yes : no`
    Conditional(Box<Conditional>),
    /// `left + right`
    Binary(Box<Binary>),
    /// `-operand` or `!operand`
    Unary(UnaryOperator, Box<Expr>),
    /// `[…]`
    Tuple(Vec<Expr>),
    /// `{…}`
    Object(Vec<Item>),
    /// `[for …]` or `{for …}`
    For(Box<For>),
    /// What could not be read, which has been reported.
    Error,
}

/// A step from a value to what is in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `.name`
    Attribute(Name),
    /// `[key]`, or `.0` as older templates write it. The place is from bracket to bracket, or from the dot on.
    Index(Expr, Span),
    /// `[*]` or `.*`: these steps from each element. The place is that of the splat alone.
    Splat(Vec<Step>, Span),
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function.
    pub name: Name,
    /// What it is given.
    pub arguments: Vec<Expr>,
    /// Whether the last argument is a list of arguments (`...`).
    pub expand: bool,
}

/// A choice between two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditional {
    /// What decides.
    pub condition: Expr,
    /// What it is if that is true.
    pub yes: Expr,
    /// What it is otherwise.
    pub no: Expr,
}

/// An operation on two values.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The one on the left.
    pub left: Expr,
    /// What is done with them.
    pub operator: BinaryOperator,
    /// The one on the right.
    pub right: Expr,
}

/// What is done with two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOperator {
    /// `||`
    Or,
    /// `&&`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

impl BinaryOperator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// What is done with one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOperator {
    /// `-`
    Negate,
    /// `!`
    Not,
}

/// A key and value of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Expr,
}

/// A key of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// A name that stands for itself.
    Name(Name),
    /// Anything else. A traversal without parentheses could be meant as a name with dots in it, and is an error when it
    /// is evaluated.
    Expr(Expr),
}

/// Values made of each element of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct For {
    /// The names of an element.
    pub names: ForNames,
    /// What is gone through.
    pub collection: Expr,
    /// The key of each element of an object; none in a tuple.
    pub key: Option<Expr>,
    /// Each element.
    pub value: Expr,
    /// Whether values of one key are put in a tuple (`...`).
    pub group: bool,
    /// Which elements are taken.
    pub condition: Option<Expr>,
}

/// The names of an element of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForNames {
    /// Its key or index.
    pub key: Option<Name>,
    /// Itself.
    pub value: Name,
}

/// Text with values in it. If it is one value and nothing else it stands for that value, which need not be a string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Its parts in order; no two literals follow each other.
    pub parts: Vec<Part>,
}

impl Template {
    /// The text, if there is nothing else in it.
    pub fn literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text, _)] => Some(text),
            _ => None,
        }
    }
}

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text, without escapes, trimmed and without a heredoc's indentation.
    Literal(Arc<str>, Span),
    /// `${…}`
    Value(Expr),
    /// `%{ if … }`
    If(Box<TemplateIf>),
    /// `%{ for … }`
    For(Box<TemplateFor>),
}

/// `%{ if condition }yes%{ else }no%{ endif }`
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateIf {
    /// What decides.
    pub condition: Expr,
    /// What is there if that is true.
    pub yes: Template,
    /// What is there otherwise, if anything was said of that.
    pub no: Option<Template>,
    /// From the first directive to the last.
    pub span: Span,
}

/// `%{ for value in collection }each%{ endfor }`
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateFor {
    /// The names of an element.
    pub names: ForNames,
    /// What is gone through.
    pub collection: Expr,
    /// What is there for each element.
    pub each: Template,
    /// From the first directive to the last.
    pub span: Span,
}
