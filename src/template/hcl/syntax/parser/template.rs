//! Strings and heredocs: their parts, and the directives that hold some of them.

use std::vec::IntoIter;

use super::heredoc::{dedent, trim};
use super::{Failed, Parse, Parser};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::ast::{Expr, ExprKind, ForNames, Part, Template, TemplateFor, TemplateIf};
use crate::template::hcl::syntax::token::{Token, TokenKind};
use crate::template::source_map::Span;

/// A piece of a template as it stands there: a token of text, or what is between braces.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String, Span),
    Code(Code, Mark),
}

/// What is between braces.
#[derive(Debug)]
pub(super) enum Code {
    Value(Expr),
    If(Expr),
    For(ForNames, Expr),
    Word(Word),
}

/// A directive that is a word alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Else,
    EndIf,
    EndFor,
}

/// Where code is, and on which sides it has a `~`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    span: Span,
    before: bool,
    after: bool,
}

impl Piece {
    /// Whether the text before, and that after, is trimmed.
    pub(super) fn trims(&self) -> (bool, bool) {
        match self {
            Self::Text(..) => (false, false),
            Self::Code(_, mark) => (mark.before, mark.after),
        }
    }
}

/// How the parts of a template end.
enum Ended {
    /// With the template.
    Template,
    /// With a directive.
    Directive(Word, Mark),
}

impl Parser<'_> {
    /// A string or heredoc. One that is broken in itself has been reported, and stands for nothing.
    pub(super) fn template(&mut self) -> Parse<Expr> {
        self.nested(|parser| {
            let open = parser.next();
            let errors = parser.diagnostics.len();
            parser.templates.push(open);
            let pieces = parser.with_newlines(true, |parser| match open.kind {
                TokenKind::OpenHeredoc => parser.heredoc(open),
                _ => parser.quoted(open),
            });
            parser.templates.pop();
            if parser.quiet {
                return Err(Failed);
            }
            let whole = parser.diagnostics.len() == errors;
            let template = pieces.filter(|_| whole).and_then(|pieces| parser.directives(pieces).ok());
            let kind = template.map_or(ExprKind::Error, ExprKind::Template);
            Ok(Expr { kind, span: parser.span_from(open.start()) })
        })
    }

    /// The pieces of a string, and its closing quote.
    fn quoted(&mut self, open: Token) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                TokenKind::CloseQuote => break,
                TokenKind::QuotedText => {
                    let text = self.unescaped(token);
                    pieces.push(Piece::Text(text, self.span(token)));
                }
                TokenKind::Interpolation | TokenKind::Directive => match self.code(token) {
                    Ok(piece) => pieces.push(piece),
                    Err(Failed) => self.leave_code()?,
                },
                _ => {
                    // The end of the line is not part of it.
                    self.at -= usize::from(token.kind == TokenKind::Newline);
                    self.unclosed_string(open);
                    return None;
                }
            }
        }
        trim(&mut pieces);
        Some(pieces)
    }

    fn unclosed_string(&mut self, open: Token) {
        let line_end = self.line_end(open.start());
        let span = self.place.of(open.start()..line_end);
        if let [.., outer, _] = *self.templates {
            let error = if open.end() == line_end && outer.kind == TokenKind::OpenQuote {
                // The quote was meant to close the string that this one is in.
                Diagnostic::error("a `${` or `%{` in this string is not closed")
                    .at(self.place.of(outer.start()..line_end))
                    .hint("it ends with a `}`; to keep the characters, write $${ for ${ and %%{ for %{")
            } else {
                Diagnostic::error("this string is not closed").at(span)
            };
            self.report(error);
            self.leave_templates();
        } else if let Some(end) = self.string_end(line_end) {
            let error = Diagnostic::error("a string ends on its line").at(span);
            self.report(error.hint("write \\n for a new line, or several lines as a heredoc: <<EOT, the lines, EOT"));
            self.end = end;
            self.rescan(end);
        } else {
            let error = Diagnostic::error("this string is not closed").at(span);
            self.report(error.hint("a string ends with a quote on the line that it begins on"));
        }
    }

    /// Where a string that goes on in the next lines ends, if it seems to.
    fn string_end(&self, line_end: usize) -> Option<usize> {
        const MOST_LINES: usize = 50;
        let mut at = line_end + self.text[line_end..].find('\n')? + 1;
        for line in self.text[at..].split_inclusive('\n').take(MOST_LINES) {
            let name = line.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
            if name.trim_start().starts_with('=') || line.trim_end().ends_with('{') {
                return None;
            }
            if let Some(quote) = line.find('"') {
                let rest = line[quote + 1..].trim_start();
                return (rest.is_empty() || rest.starts_with([',', ')', ']', '}', '#'])).then_some(at + quote + 1);
            }
            at += line.len();
        }
        None
    }

    /// The pieces of a heredoc, and the line that ends it.
    fn heredoc(&mut self, open: Token) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                TokenKind::CloseHeredoc => break,
                TokenKind::HeredocText => pieces.push(Piece::Text(self.undoubled(token), self.span(token))),
                TokenKind::Interpolation | TokenKind::Directive => match self.code(token) {
                    Ok(piece) => pieces.push(piece),
                    Err(Failed) => self.leave_code()?,
                },
                _ => {
                    self.unclosed_heredoc(open);
                    return None;
                }
            }
        }
        trim(&mut pieces);
        if open.text(self.text).starts_with("<<-") {
            dedent(&mut pieces);
        }
        Some(pieces)
    }

    /// The parts of all of a text, which has neither quotes nor escapes of its own.
    pub(super) fn bare_template(&mut self) -> Option<Template> {
        let mut pieces = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                TokenKind::HeredocText => pieces.push(Piece::Text(self.undoubled(token), self.span(token))),
                TokenKind::Interpolation | TokenKind::Directive => match self.code(token) {
                    Ok(piece) => pieces.push(piece),
                    Err(Failed) => self.leave_code()?,
                },
                _ => break,
            }
        }
        let whole = self.diagnostics.is_empty();
        trim(&mut pieces);
        self.directives(pieces).ok().filter(|_| whole)
    }

    fn unclosed_heredoc(&mut self, open: Token) {
        let text = open.text(self.text).trim_end();
        let word = text.trim_start_matches(['<', '-']);
        let error = Diagnostic::error("this heredoc is not closed");
        let error = error.at(self.place.of(open.start()..open.start() + text.len()));
        let last = self.text.lines().next_back().unwrap_or_default();
        let hint = if last.trim() == word {
            format!("the end of the line is missing after the `{word}` at the end of the file")
        } else {
            format!("it ends at a line that holds `{word}` alone")
        };
        self.report(error.hint(hint));
        self.lost = true;
        self.rescan(self.next_root_block(open.start()));
        self.quiet = true;
    }

    /// The end of the line that ends a heredoc, after what has been read of it.
    fn heredoc_end(&self, open: Token) -> Option<usize> {
        let word = open.text(self.text).trim_end().trim_start_matches(['<', '-']);
        let mut at = self.end.max(open.end());
        at = self.text[at..].find('\n').map_or(at, |end| at + end + 1);
        for line in self.text[at..].split_inclusive('\n') {
            if line.trim() == word && line.ends_with('\n') {
                return Some(at + line.trim_end_matches(['\n', '\r']).len());
            }
            at += line.len();
        }
        None
    }

    /// Leaves code that is broken at its closing brace, if that is on the same line; else all templates it is in.
    fn leave_code(&mut self) -> Option<()> {
        if self.quiet {
            // They have been left already.
            return None;
        }
        let mut depth = 0usize;
        for (at, token) in self.tokens.iter().enumerate().skip(self.at) {
            match token.kind {
                TokenKind::Newline | TokenKind::End => break,
                TokenKind::SequenceEnd if depth == 0 => {
                    (self.at, self.end) = (at + 1, token.end());
                    return Some(());
                }
                kind if kind.nesting() > 0 => depth += 1,
                kind if kind.nesting() < 0 => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        self.leave_templates();
        None
    }

    /// Goes on where the text says that the outermost template ends: a heredoc at its last line, strings with theirs.
    fn leave_templates(&mut self) {
        let heredoc = self.templates.iter().find(|open| open.kind == TokenKind::OpenHeredoc);
        let end = match heredoc {
            Some(open) => self.heredoc_end(*open).unwrap_or(self.text.len()),
            None => self.line_end(self.end),
        };
        self.end = end;
        self.rescan(end);
        self.quiet = true;
    }

    /// What is between braces, with the closing one.
    fn code(&mut self, open: Token) -> Parse<Piece> {
        let errors = self.diagnostics.len();
        let (code, close) = self.with_newlines(false, |parser| {
            let code = match open.kind {
                TokenKind::Interpolation => Code::Value(parser.expression()?),
                _ => parser.directive()?,
            };
            match parser.take(TokenKind::SequenceEnd) {
                Some(close) => Ok((code, close)),
                None if parser.diagnostics.len() > errors => Err(Failed),
                None => Err(parser.unclosed_code(open)),
            }
        })?;
        let before = open.text(self.text).ends_with('~');
        let after = close.text(self.text).starts_with('~');
        Ok(Piece::Code(code, Mark { span: self.span(open).to(self.span(close)), before, after }))
    }

    fn unclosed_code(&mut self, open: Token) -> Failed {
        let found = self.peek();
        let opened = self.span(open);
        let error = match found.kind {
            TokenKind::End | TokenKind::OpenQuote | TokenKind::QuotedText => {
                let word = open.text(self.text).trim_end_matches('~').to_owned();
                let error = Diagnostic::error(format!("this `{word}` is not closed")).at(opened);
                error.hint(format!(
                    "`{word}` ends with a `}}` before the quote; to keep the characters, double the first"
                ))
            }
            _ => {
                let error = Diagnostic::error("the value in this template should end here").at(self.span(found));
                let error = error.detail(format!("found {}", self.describe(found)));
                self.with_hint(error.see(opened, "it begins here"), found)
            }
        };
        self.report(error)
    }

    fn directive(&mut self) -> Parse<Code> {
        let word = self.peek();
        let code = match word.text(self.text) {
            "else" => Word::Else,
            "endif" => Word::EndIf,
            "endfor" => Word::EndFor,
            "if" => {
                self.next();
                return self.expression().map(Code::If);
            }
            "for" => {
                self.next();
                let names = self.for_names()?;
                return Ok(Code::For(names, self.expression()?));
            }
            _ => {
                let error = Diagnostic::error("there is no such directive").at(self.span(word));
                let error = error.detail(format!("found {}", self.describe(word)));
                let hint = "there are if, else, endif, for and endfor; to keep the characters, write %%{ for %{";
                return Err(self.report(error.hint(hint)));
            }
        };
        self.next();
        Ok(Code::Word(code))
    }

    // === Directives ===

    /// The pieces as parts, with what is between directives put in them.
    fn directives(&mut self, pieces: Vec<Piece>) -> Parse<Template> {
        let mut pieces = pieces.into_iter();
        match self.parts(&mut pieces)? {
            (template, Ended::Template) => Ok(template),
            (_, Ended::Directive(code, mark)) => Err(self.unopened(code, mark)),
        }
    }

    fn parts(&mut self, pieces: &mut IntoIter<Piece>) -> Parse<(Template, Ended)> {
        self.nested(|parser| {
            let mut parts = Parts::default();
            while let Some(piece) = pieces.next() {
                let part = match piece {
                    Piece::Text(text, span) => {
                        parts.text(text, span);
                        continue;
                    }
                    Piece::Code(Code::Value(expr), _) => Part::Value(expr),
                    Piece::Code(Code::If(condition), mark) => parser.template_if(condition, mark, pieces)?,
                    Piece::Code(Code::For(names, collection), mark) => {
                        parser.template_for(names, collection, mark, pieces)?
                    }
                    Piece::Code(Code::Word(word), mark) => return Ok((parts.finish(), Ended::Directive(word, mark))),
                };
                parts.part(part);
            }
            Ok((parts.finish(), Ended::Template))
        })
    }

    fn template_if(&mut self, condition: Expr, mark: Mark, pieces: &mut IntoIter<Piece>) -> Parse<Part> {
        let (yes, mut ended) = self.parts(pieces)?;
        let mut no = None;
        if let Ended::Directive(Word::Else, _) = ended {
            let (parts, end) = self.parts(pieces)?;
            (no, ended) = (Some(parts), end);
        }
        match ended {
            Ended::Directive(Word::EndIf, end) => {
                let span = mark.span.to(end.span);
                Ok(Part::If(Box::new(TemplateIf { condition, yes, no, span })))
            }
            ended => Err(self.unended(mark, "if", "endif", &ended)),
        }
    }

    fn template_for(
        &mut self,
        names: ForNames,
        collection: Expr,
        mark: Mark,
        pieces: &mut IntoIter<Piece>,
    ) -> Parse<Part> {
        let (each, ended) = self.parts(pieces)?;
        match ended {
            Ended::Directive(Word::EndFor, end) => {
                let span = mark.span.to(end.span);
                Ok(Part::For(Box::new(TemplateFor { names, collection, each, span })))
            }
            ended => Err(self.unended(mark, "for", "endfor", &ended)),
        }
    }

    fn unended(&mut self, mark: Mark, word: &str, end: &str, ended: &Ended) -> Failed {
        let error = Diagnostic::error(format!("this `%{{ {word} }}` has no `%{{ {end} }}`")).at(mark.span);
        self.report(match ended {
            Ended::Directive(code, found) => error.see(found.span, format!("`{}` comes first", code.word())),
            Ended::Template => error,
        })
    }

    fn unopened(&mut self, code: Word, mark: Mark) -> Failed {
        let opener = if code == Word::EndFor { "for" } else { "if" };
        let word = code.word();
        self.report(Diagnostic::error(format!("this `%{{ {word} }}` has no `%{{ {opener} }}`")).at(mark.span))
    }
}

impl Word {
    fn word(self) -> &'static str {
        match self {
            Self::Else => "else",
            Self::EndIf => "endif",
            Self::EndFor => "endfor",
        }
    }
}

/// Parts as they are put together: pieces of text that follow each other become one.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    text: Option<(String, Span)>,
}

impl Parts {
    fn text(&mut self, text: String, span: Span) {
        match &mut self.text {
            Some((before, place)) => {
                before.push_str(&text);
                *place = place.to(span);
            }
            none => *none = Some((text, span)),
        }
    }

    fn part(&mut self, part: Part) {
        self.parts.extend(self.text.take().map(|(text, span)| Part::Literal(text.into(), span)));
        self.parts.push(part);
    }

    fn finish(mut self) -> Template {
        self.parts.extend(self.text.take().map(|(text, span)| Part::Literal(text.into(), span)));
        Template { parts: self.parts }
    }
}
