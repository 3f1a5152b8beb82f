//! Tokens to a tree: HCL's grammar, by recursive descent.
//!
//! An error is reported where it is found, and given back as [`Failed`], so that nobody reports it again. Whoever knows
//! where the next thing begins goes on from there: a list at its next comma, a body at its next line. A string or heredoc
//! that is broken in itself is left where the text says that it ends, and the tokens after it are made anew.

mod body;
mod collection;
mod expression;
mod heredoc;
mod literal;
mod recover;
mod template;

use std::ops::Range;

use super::ast::{Body, Expr, Name, Template};
use super::scanner::{MAX_TEXT, scan, scan_from, scan_template};
use super::token::{Token, TokenKind};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::source_map::{FileId, Span};

/// Deepest nesting of blocks, brackets and templates together.
const MAX_DEPTH: usize = 64;

/// Height of the highest tree: each operator in a chain of them makes it a level higher.
pub const MAX_HEIGHT: usize = 200;

/// Errors reported of one text.
const MAX_ERRORS: usize = 50;

/// Most bytes scanned again after strings that are broken in themselves.
const MAX_RESCANNED: usize = 4 * MAX_TEXT;

/// Where the bytes of a text are, if they are not those of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// One after the other from the start of this on.
    From(Span),
    /// Nobody knows where in this.
    In(Span),
}

impl Place {
    fn file(file: FileId) -> Self {
        Self::From(Span::new(file, 0..0))
    }

    fn is_file(self) -> bool {
        matches!(self, Self::From(Span { start: 0, end: 0, .. }))
    }

    fn of(self, range: Range<usize>) -> Span {
        match self {
            Self::From(span) => Span::new(span.file, span.start + range.start..span.start + range.end),
            Self::In(span) => span,
        }
    }
}

/// An error has been reported, and what was to be read is not there.
#[derive(Debug)]
struct Failed;

type Parse<T> = Result<T, Failed>;

/// The tree of a template or variable file. What is broken in it is reported, and the rest is there.
pub fn parse(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Body {
    let Some(parser) = Parser::new(Place::file(file), text, false) else {
        return too_long(file, text, diagnostics);
    };
    let (body, parser) = parser.file();
    // A brace that is missing is noticed at the end. Where it is missing is found by not letting any block go on past the
    // next that stands at the left margin and is one of a template's own; in a file that is whole these may be anywhere.
    let strict = if parser.unclosed_at_end { Parser::new(Place::file(file), text, true) } else { None };
    let (body, parser) = strict.map_or((body, parser), Parser::file);
    // What is not closed is noticed after what is in it.
    let mut found: Vec<Diagnostic> = parser.diagnostics.into_iter().collect();
    found.sort_by_key(|found| found.span.map(|span| span.start));
    diagnostics.extend(found);
    body
}

/// The expression that a text is, as that of `-var`.
pub fn parse_expression(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<Expr> {
    parse_expression_at(text, Place::file(file), diagnostics)
}

/// The expression in a string of JSON, as a type.
pub(crate) fn parse_expression_at(text: &str, place: Place, diagnostics: &mut Diagnostics) -> Option<Expr> {
    let mut parser = Parser::new(place, text, false)?;
    parser.newlines = false;
    let expr = parser.expression().ok().filter(|_| {
        let rest = parser.peek();
        if rest.kind != TokenKind::End && parser.diagnostics.is_empty() {
            let found = parser.describe(rest);
            parser.report(Diagnostic::error(format!("{found} follows the expression")).at(parser.span(rest)));
        }
        rest.kind == TokenKind::End
    });
    diagnostics.extend(parser.diagnostics);
    expr
}

/// The template that a text without quotes is, as in a string of JSON.
pub(crate) fn parse_template_at(text: &str, place: Place, diagnostics: &mut Diagnostics) -> Option<Template> {
    let mut parser = Parser::new(place, text, false)?;
    parser.tokens = scan_template(text);
    let template = parser.bare_template();
    diagnostics.extend(parser.diagnostics);
    template
}

fn too_long(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Body {
    let span = Span::new(file, 0..0);
    let error = Diagnostic::error("the file is too long").at(span);
    diagnostics.push(error.detail(format!("{} bytes, of {MAX_TEXT} that are taken", text.len())));
    Body { attributes: Vec::new(), blocks: Vec::new(), span }
}

/// The parser, at some token of a text.
struct Parser<'a> {
    place: Place,
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// Offset after the token taken last, ends of lines apart.
    end: usize,
    /// Whether the end of a line means something here.
    newlines: bool,
    depth: usize,
    /// How high the highest tree is that has been read at this depth.
    height: usize,
    /// Whether a root block at the left margin ends all that is open.
    strict: bool,
    unclosed_at_end: bool,
    /// Whether the end of what is open may be lost in a heredoc that does not end.
    lost: bool,
    /// Whether what is reported is only what follows from tokens that were made anew within a template. It ends with the
    /// statement.
    quiet: bool,
    /// Whether the statement before this one could not be read.
    after_failed: bool,
    /// What has opened the templates that the place is in.
    templates: Vec<Token>,
    rescanned: usize,
    /// The first token that was made anew.
    resumed: usize,
    diagnostics: Diagnostics,
}

impl<'a> Parser<'a> {
    fn new(place: Place, text: &'a str, strict: bool) -> Option<Self> {
        let fits = text.len() <= MAX_TEXT;
        fits.then(|| Self {
            place,
            text,
            tokens: scan(text),
            at: 0,
            end: 0,
            newlines: true,
            depth: 0,
            height: 0,
            strict,
            unclosed_at_end: false,
            lost: false,
            quiet: false,
            after_failed: false,
            templates: Vec::new(),
            rescanned: 0,
            resumed: 0,
            diagnostics: Diagnostics::default(),
        })
    }

    // === Tokens ===

    /// The next token that means something here. The end of a line comment is that of its line.
    fn peek(&mut self) -> Token {
        loop {
            let token = self.tokens[self.at.min(self.tokens.len() - 1)];
            match token.kind {
                TokenKind::Comment if self.newlines && token.text(self.text).ends_with('\n') => {
                    return Token::new(TokenKind::Newline, token.end() - 1..token.end());
                }
                TokenKind::Newline if !self.newlines => self.at += 1,
                TokenKind::Comment => self.at += 1,
                _ => return token,
            }
        }
    }

    fn peek_kind(&mut self) -> TokenKind {
        self.peek().kind
    }

    /// Takes the next token. The end of the text is never taken.
    fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.at += 1;
        }
        if token.kind != TokenKind::Newline {
            self.end = token.end();
        }
        token
    }

    /// Takes the next token if it is of this kind.
    fn take(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek_kind() == kind).then(|| self.next())
    }

    /// Whether the next token is this word.
    fn is_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Identifier && token.text(self.text) == word
    }

    /// Takes the next token if it is a name.
    fn take_name(&mut self) -> Option<Name> {
        self.take(TokenKind::Identifier).map(|token| self.name(token))
    }

    fn name(&self, token: Token) -> Name {
        Name { text: token.text(self.text).into(), span: self.span(token) }
    }

    fn span(&self, token: Token) -> Span {
        self.place.of(token.range())
    }

    /// From a place to the end of what was taken last.
    fn span_from(&self, start: usize) -> Span {
        self.place.of(start..self.end.max(start))
    }

    /// What a mode of newlines holds for.
    fn with_newlines<T>(&mut self, newlines: bool, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.newlines, newlines);
        let read = read(self);
        self.newlines = before;
        read
    }

    // === Limits and errors ===

    /// Reads something that may hold others of its kind.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let height = std::mem::take(&mut self.height);
        let read = read(self);
        self.height = height.max(self.height + 1);
        self.depth -= 1;
        read
    }

    /// Makes what is being read a level higher.
    fn raise(&mut self) -> Parse<()> {
        self.height += 1;
        if self.depth + self.height > MAX_HEIGHT { Err(self.too_deep()) } else { Ok(()) }
    }

    fn too_deep(&mut self) -> Failed {
        let token = self.peek();
        self.report(Diagnostic::error("this is nested too deeply").at(self.span(token)))
    }

    fn report(&mut self, diagnostic: Diagnostic) -> Failed {
        if self.quiet {
            return Failed;
        }
        match self.diagnostics.len() {
            ..MAX_ERRORS => self.diagnostics.push(diagnostic),
            MAX_ERRORS => self.diagnostics.push(match diagnostic.span {
                Some(span) => Diagnostic::error("there are more errors from here on").at(span),
                None => diagnostic,
            }),
            _ => {}
        }
        Failed
    }

    /// Reports that a token is not what is needed here.
    fn unexpected(&mut self, token: Token, summary: &str) -> Failed {
        let error = Diagnostic::error(summary).at(self.span(token)).detail(format!("found {}", self.describe(token)));
        self.report(self.with_hint(error, token))
    }

    /// What to call a token in a message.
    fn describe(&self, token: Token) -> String {
        match token.kind {
            TokenKind::End if self.place.is_file() => "the end of the file".to_owned(),
            TokenKind::End => "the end of the text".to_owned(),
            TokenKind::Newline => "the end of the line".to_owned(),
            TokenKind::OpenQuote | TokenKind::QuotedText => "a string".to_owned(),
            TokenKind::OpenHeredoc | TokenKind::HeredocText => "a heredoc".to_owned(),
            TokenKind::Number => "a number".to_owned(),
            TokenKind::Identifier => format!("the name `{}`", shortened(token.text(self.text))),
            _ => format!("`{}`", shortened(token.text(self.text).trim_end())),
        }
    }

    /// What is probably meant by a token that means nothing.
    fn with_hint(&self, error: Diagnostic, token: Token) -> Diagnostic {
        let hint = match token.text(self.text).chars().next() {
            Some('\'') => "strings are written in double quotes",
            Some('`') => "text of several lines is written as a heredoc: <<EOT, the lines, EOT",
            Some('&') if token.kind == TokenKind::Invalid => "`and` of two conditions is written &&",
            Some('|') => "`or` of two conditions is written ||",
            Some(';') => "a line needs no `;` at its end",
            Some('$') => "`${` … `}` is for values within strings; outside of them values are written as they are",
            Some('/') if token.kind == TokenKind::Invalid => "a comment that begins with /* ends with */",
            Some('\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}') => "quotes are written \"",
            Some('\r') => "lines end in a line feed, or in a carriage return and a line feed",
            Some('<') if token.text(self.text).len() == 1 => "a heredoc is written <<EOT at the end of a line",
            _ => return error,
        };
        error.hint(hint)
    }
}

fn shortened(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    match text.char_indices().nth(30) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
