//! Tokens to nodes: the outline of a template.

use std::collections::BTreeMap;

use super::error::{Error, ErrorKind};
use super::lex::{Kind as T, Lexer, Token};
use super::node::{Branch, Id, Kind, Nodes};
use super::quote::{quote, unquote};

mod pipeline;

/// Deepest nesting of blocks and parentheses.
const MAX_DEPTH: usize = 100;
/// Most nodes of a template.
const MAX_NODES: usize = 400_000;

/// A parsed text: a template, and those it defines.
#[derive(Clone, Debug)]
pub(super) struct Trees {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) nodes: Nodes,
    /// Where each template begins.
    pub(super) roots: BTreeMap<String, Id>,
}

pub(super) type Parsed<T> = Result<T, Box<Error>>;

/// Parses a text. `has_function` tells which functions there are.
pub(super) fn parse(name: &str, text: &str, has_function: &dyn Fn(&str) -> bool) -> Parsed<Trees> {
    let mut parser = Parser {
        name,
        text,
        lexer: Lexer::new(text),
        back: Vec::new(),
        line: 0,
        at: 0,
        nodes: Nodes::default(),
        roots: BTreeMap::new(),
        scope: Scope::new(),
        has_function,
        depth: 0,
    };
    let root = parser.outline()?;
    parser.add(name, root)?;
    Ok(Trees { name: name.to_owned(), text: text.to_owned(), nodes: parser.nodes, roots: parser.roots })
}

/// What a template of its own begins anew.
struct Scope {
    variables: Vec<String>,
    /// Line of the action under way; 0 outside of one.
    action_line: usize,
    range_depth: usize,
}

impl Scope {
    fn new() -> Self {
        Self { variables: vec!["$".to_owned()], action_line: 0, range_depth: 0 }
    }
}

/// How a list of nodes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    End,
    Else { at: usize },
}

impl Closing {
    fn text(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else { .. } => "{{else}}",
        }
    }
}

/// A node, or the word that ends a list of them.
enum Item {
    Node(Id),
    Closing(Closing),
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    lexer: Lexer<'a>,
    /// Tokens given back, the last one first.
    back: Vec<Token>,
    /// Line of the token read last.
    line: usize,
    /// Its offset.
    at: usize,
    nodes: Nodes,
    roots: BTreeMap<String, Id>,
    scope: Scope,
    has_function: &'a dyn Fn(&str) -> bool,
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Token {
        if let Some(token) = self.back.pop() {
            return token;
        }
        let token = self.lexer.token();
        (self.line, self.at) = (token.line, token.at);
        token
    }

    fn next_solid(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != T::Space {
                return token;
            }
        }
    }

    fn give_back(&mut self, token: Token) {
        self.back.push(token);
    }

    fn peek(&mut self) -> Token {
        let token = self.next();
        self.give_back(token.clone());
        token
    }

    /// The next token that is no blank; blanks before it are dropped.
    fn peek_solid(&mut self) -> Token {
        let token = self.next_solid();
        self.give_back(token.clone());
        token
    }

    fn value(&self, token: &Token) -> &str {
        &self.text[token.at..token.end]
    }

    fn node(&mut self, at: usize, kind: Kind) -> Parsed<Id> {
        if self.nodes.len() >= MAX_NODES {
            return Err(self.error(ErrorKind::TooLarge));
        }
        Ok(self.nodes.add(at, kind))
    }

    fn error(&self, kind: ErrorKind) -> Box<Error> {
        let at = self.text[..self.at].chars().count();
        Box::new(Error { kind, name: self.name.to_owned(), line: self.line, running: None, at })
    }

    fn fail<V>(&self, message: impl Into<String>) -> Parsed<V> {
        Err(self.error(ErrorKind::Syntax(message.into())))
    }

    /// Says that a token cannot stand where it is.
    fn unexpected<V>(&self, token: &Token, context: &str) -> Parsed<V> {
        if token.kind != T::Error {
            return self.fail(format!("unexpected {} in {context}", self.shown(token)));
        }
        let started = self.scope.action_line;
        if started == 0 || started == token.line {
            return self.fail(token.message.clone());
        }
        let action = if token.message.ends_with(" action") { "" } else { " in action" };
        self.fail(format!("{}{action} started at {}:{started}", token.message, self.name))
    }

    /// A token as Go shows it.
    fn shown(&self, token: &Token) -> String {
        let value = self.value(token);
        match token.kind {
            T::Eof => "EOF".to_owned(),
            T::Error => token.message.clone(),
            kind if kind.is_keyword() => format!("<{value}>"),
            _ if value.len() > 10 => quote(&value.chars().take(10).collect::<String>()) + "...",
            _ => quote(value),
        }
    }

    fn expect(&mut self, kind: T, context: &str) -> Parsed<Token> {
        let token = self.next_solid();
        if token.kind == kind { Ok(token) } else { self.unexpected(&token, context) }
    }

    /// Goes one level down.
    fn deeper<V>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<V>) -> Parsed<V> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(ErrorKind::TooLarge));
        }
        self.depth += 1;
        let parsed = inner(self);
        self.depth -= 1;
        parsed
    }

    /// Keeps a template under its name; one of blanks alone gives way to another.
    fn add(&mut self, name: &str, root: Id) -> Parsed<()> {
        let earlier = self.roots.get(name).copied();
        if earlier.is_none_or(|earlier| self.nodes.is_empty(earlier)) {
            self.roots.insert(name.to_owned(), root);
        } else if !self.nodes.is_empty(root) {
            return self.fail(format!("template: multiple definition of template {}", quote(name)));
        }
        Ok(())
    }

    /// The whole text, in which templates may be defined.
    fn outline(&mut self) -> Parsed<Id> {
        let at = self.peek().at;
        let mut nodes = Vec::new();
        while self.peek().kind != T::Eof {
            if self.peek().kind == T::LeftDelim {
                let delim = self.next();
                let word = self.next_solid();
                if word.kind == T::Define {
                    self.definition()?;
                    continue;
                }
                self.give_back(word);
                self.give_back(delim);
            }
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Closing(closing) => return self.fail(format!("unexpected {}", closing.text())),
            }
        }
        self.node(at, Kind::List(nodes))
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let token = self.next_solid();
        if !matches!(token.kind, T::String | T::RawString) {
            return self.unexpected(&token, CONTEXT);
        }
        let name = self.unquoted(&token)?;
        self.expect(T::RightDelim, CONTEXT)?;
        let (root, closing) = self.list()?;
        if closing != Closing::End {
            return self.fail(format!("unexpected {} in {CONTEXT}", closing.text()));
        }
        self.add(&name, root)?;
        self.scope = outer;
        Ok(())
    }

    fn unquoted(&self, token: &Token) -> Parsed<String> {
        unquote(self.value(token)).map_or_else(|| self.fail("invalid syntax"), Ok)
    }

    /// Nodes up to an `end` or `else`.
    fn list(&mut self) -> Parsed<(Id, Closing)> {
        let at = self.peek_solid().at;
        let mut nodes = Vec::new();
        while self.peek_solid().kind != T::Eof {
            match self.text_or_action()? {
                Item::Node(node) => nodes.push(node),
                Item::Closing(closing) => return Ok((self.node(at, Kind::List(nodes))?, closing)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_solid();
        match token.kind {
            T::Text => {
                let text = self.value(&token).to_owned();
                Ok(Item::Node(self.node(token.at, Kind::Text(text))?))
            }
            T::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.deeper(Self::action);
                self.scope.action_line = 0;
                item
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_solid();
        Ok(Item::Node(match token.kind {
            T::Block => self.block()?,
            T::Break => self.leave(&token, "{{break}}", Kind::Break)?,
            T::Continue => self.leave(&token, "{{continue}}", Kind::Continue)?,
            T::Else => return self.else_word().map(Item::Closing),
            T::End => {
                self.expect(T::RightDelim, "end")?;
                return Ok(Item::Closing(Closing::End));
            }
            T::If => self.control("if")?,
            T::Range => self.control("range")?,
            T::With => self.control("with")?,
            T::Template => self.template()?,
            _ => {
                let at = token.at;
                self.give_back(token);
                let pipe = self.pipeline("command", T::RightDelim)?;
                self.node(at, Kind::Action(pipe))?
            }
        }))
    }

    /// `break` and `continue`.
    fn leave(&mut self, word: &Token, shown: &str, kind: Kind) -> Parsed<Id> {
        let token = self.next_solid();
        if token.kind != T::RightDelim {
            return self.unexpected(&token, shown);
        }
        if self.scope.range_depth == 0 {
            return self.fail(format!("{shown} outside {{{{range}}}}"));
        }
        self.node(word.at, kind)
    }

    fn else_word(&mut self) -> Parsed<Closing> {
        let next = self.peek_solid();
        if next.kind == T::If {
            return Ok(Closing::Else { at: next.at });
        }
        let token = self.expect(T::RightDelim, "else")?;
        Ok(Closing::Else { at: token.at })
    }

    fn control(&mut self, word: &str) -> Parsed<Id> {
        let variables = self.scope.variables.len();
        let pipe = self.pipeline(word, T::RightDelim)?;
        let is_range = usize::from(word == "range");
        self.scope.range_depth += is_range;
        let (list, closing) = self.list()?;
        self.scope.range_depth -= is_range;
        let mut otherwise = None;
        if let Closing::Else { at } = closing {
            if word == "if" && self.peek().kind == T::If {
                // `else if` is an `if` in the other branch; they share their `end`.
                self.next();
                let inner = self.deeper(|parser| parser.control("if"))?;
                otherwise = Some(self.node(at, Kind::List(vec![inner]))?);
            } else {
                let (list, closing) = self.list()?;
                if closing != Closing::End {
                    return self.fail(format!("expected end; found {}", closing.text()));
                }
                otherwise = Some(list);
            }
        }
        self.scope.variables.truncate(variables);
        let branch = Branch { pipe, list, otherwise };
        let at = self.nodes.get(pipe).at;
        self.node(
            at,
            match word {
                "if" => Kind::If(branch),
                "with" => Kind::With(branch),
                _ => Kind::Range(branch),
            },
        )
    }

    /// A template that is defined and used at once.
    fn block(&mut self) -> Parsed<Id> {
        const CONTEXT: &str = "block clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, T::RightDelim)?;
        let line = self.line;
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let (root, closing) = self.list()?;
        if closing != Closing::End {
            self.line = line;
            return self.fail(format!("unexpected {} in {CONTEXT}", closing.text()));
        }
        self.add(&name, root)?;
        self.scope = outer;
        self.node(token.at, Kind::Template { name, pipe: Some(pipe) })
    }

    fn template(&mut self) -> Parsed<Id> {
        const CONTEXT: &str = "template clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        let next = self.next_solid();
        let mut pipe = None;
        if next.kind != T::RightDelim {
            self.give_back(next);
            pipe = Some(self.pipeline(CONTEXT, T::RightDelim)?);
        }
        self.node(token.at, Kind::Template { name, pipe })
    }

    fn template_name(&self, token: &Token, context: &str) -> Parsed<String> {
        match token.kind {
            T::String | T::RawString => self.unquoted(token),
            _ => self.unexpected(token, context),
        }
    }
}

impl Trees {
    /// What [`super::Program::commands`] does.
    pub(super) fn commands(&self, found: &mut dyn FnMut(&[Option<&str>])) {
        for pipe in self.nodes.iter() {
            let Kind::Pipe { commands, .. } = &pipe.kind else { continue };
            let mut piped: Option<Option<&str>> = None;
            for command in commands {
                let Kind::Command(words) = self.nodes.kind(*command) else { continue };
                let mut words: Vec<Option<&str>> = words.iter().map(|word| self.word(*word)).collect();
                words.extend(piped);
                found(&words);
                piped = Some(if words.len() == 1 { words[0] } else { None });
            }
        }
        // Operands that are functions without arguments are no commands, and name nothing.
    }

    fn word(&self, id: Id) -> Option<&str> {
        match self.nodes.kind(id) {
            Kind::Identifier(text) | Kind::Literal { text, .. } => Some(text),
            _ => None,
        }
    }
}
