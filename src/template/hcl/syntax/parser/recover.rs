//! Where to go on after an error.

use super::{MAX_ERRORS, MAX_RESCANNED, Parser, scan_from};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::token::{Token, TokenKind};

/// Blocks of a template, which hardly stand at the left margin unless they are at its root.
const ROOT_BLOCKS: [&str; 9] =
    ["packer", "source", "variable", "variables", "local", "locals", "data", "build", "hcp_packer_registry"];

impl Parser<'_> {
    /// Goes to the end of the statement that began at the token `start`: the end of a line in which no bracket is open,
    /// or, where one was not closed, the line before what looks like the next statement.
    pub(super) fn skip_statement(&mut self, start: usize) {
        if self.quiet {
            // What was looked at after that says nothing.
            self.at = self.resumed;
            if self.is_root_block_at(self.at) {
                return;
            }
        }
        let mut open: Vec<TokenKind> = Vec::new();
        let mut at = start;
        loop {
            let token = self.tokens[at];
            let passed = at >= self.at;
            let next_statement = at == self.at && at > start && self.ends_line(self.tokens[at - 1]);
            match token.kind {
                TokenKind::End => break,
                _ if next_statement && open.last().is_some_and(|open| self.is_statement(at, *open)) => break,
                _ if self.ends_line(token) => {
                    let ends = match open.last() {
                        Some(open) => self.is_statement(at + 1, *open),
                        None => at != self.at || !self.goes_on(at),
                    };
                    if passed && ends {
                        at += 1;
                        break;
                    }
                }
                kind if kind.nesting() > 0 => open.push(kind),
                kind if kind.nesting() < 0 => match open.iter().rposition(|open| closes(*open, kind)) {
                    Some(place) => open.truncate(place),
                    // It closes the body that the statement is in.
                    None if passed && kind == TokenKind::CloseBrace => break,
                    None => {}
                },
                _ => {}
            }
            at += 1;
        }
        // The statement's first token is none of a next one.
        self.at = at.max(start + usize::from(self.tokens[start].kind != TokenKind::End && at == start)).max(self.at);
    }

    /// Goes to the next comma, or end of a line where `lines` are separators, or to what closes a bracket. Says whether
    /// there is one before what looks like another statement.
    pub(super) fn skip_element(&mut self, open: TokenKind, commas: bool, lines: bool) -> bool {
        let mut depth = 0usize;
        loop {
            let token = self.tokens[self.at];
            match token.kind {
                TokenKind::End => return false,
                TokenKind::Comma if commas && depth == 0 => return true,
                _ if self.ends_line(token) && depth == 0 => {
                    if self.is_statement(self.at + 1, open) || self.is_root_block_at(self.at + 1) {
                        return false;
                    }
                    if lines {
                        return true;
                    }
                }
                kind if kind.nesting() > 0 => depth += 1,
                kind if kind.nesting() < 0 && depth == 0 => return closes(open, kind),
                kind if kind.nesting() < 0 => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Whether what should be in a line before its end, at the token `at`, seems to be in the next.
    fn goes_on(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|before| self.tokens[before].kind);
        let next = self.tokens.get(at + 1).map_or(TokenKind::End, |next| next.kind);
        let needs = before.is_some_and(|kind| kind == TokenKind::Equal || super::expression::operator(kind).is_some());
        needs
            && !matches!(next, TokenKind::End | TokenKind::CloseBrace | TokenKind::Newline | TokenKind::Comment)
            && !self.is_statement(at + 1, TokenKind::OpenParen)
    }

    fn ends_line(&self, token: Token) -> bool {
        token.kind == TokenKind::Newline || (token.kind == TokenKind::Comment && token.text(self.text).ends_with('\n'))
    }

    /// Whether what begins at the token `at` looks like an option or a block, and like nothing that could be in the
    /// bracket `open`.
    pub(super) fn is_statement(&self, at: usize, open: TokenKind) -> bool {
        let mut kinds = self.tokens.get(at..).unwrap_or_default().iter().map(|token| token.kind);
        if kinds.next() != Some(TokenKind::Identifier) {
            return false;
        }
        let words = [TokenKind::Identifier, TokenKind::OpenQuote, TokenKind::QuotedText, TokenKind::CloseQuote];
        match kinds.find(|kind| !words.contains(kind)) {
            // An object holds names that are set.
            Some(TokenKind::Equal) => open != TokenKind::OpenBrace && self.tokens[at + 1].kind == TokenKind::Equal,
            Some(TokenKind::OpenBrace) => true,
            _ => false,
        }
    }

    /// Whether, when a missing brace is looked for, a root block at the left margin comes next.
    pub(super) fn is_root_block(&mut self) -> bool {
        self.peek();
        self.strict && self.is_root_block_at(self.at)
    }

    fn is_root_block_at(&self, at: usize) -> bool {
        let Some(token) = self.tokens.get(at) else { return false };
        let margin = token.start() == 0 || self.text[..token.start()].ends_with('\n');
        margin
            && token.kind == TokenKind::Identifier
            && ROOT_BLOCKS.contains(&token.text(self.text))
            && self.is_statement(at, TokenKind::OpenBrace)
    }

    /// Reports a brace or bracket that is not closed before `found`.
    pub(super) fn unclosed(&mut self, open: Token, found: Token) {
        if found.kind == TokenKind::End && !self.strict {
            // It will be known better.
            self.unclosed_at_end = true;
        }
        if !self.lost {
            let text = open.text(self.text).trim_end();
            let error = Diagnostic::error(format!("this `{text}` is not closed")).at(self.span(open));
            let see = match found.kind {
                TokenKind::End => "the file ends here".to_owned(),
                TokenKind::Identifier => "and this seems to come after it".to_owned(),
                _ => format!("found {}", self.describe(found)),
            };
            let closer = match open.kind {
                TokenKind::OpenBracket => "]",
                TokenKind::OpenParen => ")",
                _ => "}",
            };
            let see_at = self.span(found);
            self.report(error.see(see_at, see).hint(format!("add a `{closer}`")));
        }
        // What it is in ends there too, and would be reported next.
        self.lost = true;
    }

    /// Makes the tokens from a place in the text on anew.
    pub(super) fn rescan(&mut self, from: usize) {
        self.tokens.truncate(self.at);
        self.resumed = self.at;
        self.rescanned += self.text.len() - from;
        if self.rescanned > MAX_RESCANNED || self.diagnostics.len() > MAX_ERRORS {
            let end = self.text.len();
            let error = Diagnostic::error("too many strings are broken to go on").at(self.place.of(from..from));
            self.report(error);
            self.tokens.push(Token::new(TokenKind::End, end..end));
            self.lost = true;
            return;
        }
        self.tokens.extend(scan_from(self.text, from));
    }

    /// Where the line ends that `offset` is in.
    pub(super) fn line_end(&self, offset: usize) -> usize {
        let end = self.text[offset..].find('\n').map_or(self.text.len(), |at| offset + at);
        if self.text[..end].ends_with('\r') && end > offset { end - 1 } else { end }
    }

    /// The next line after `offset` that begins a root block, else the end of the text.
    pub(super) fn next_root_block(&self, offset: usize) -> usize {
        let mut at = self.line_end(offset);
        for line in self.text[at..].split_inclusive('\n') {
            let word = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            if ROOT_BLOCKS.contains(&word) && line.trim_end().ends_with(['{', '}']) {
                return at;
            }
            at += line.len();
        }
        self.text.len()
    }
}

/// Whether a token closes what another has opened.
pub(super) fn closes(open: TokenKind, close: TokenKind) -> bool {
    match open {
        TokenKind::OpenBrace => close == TokenKind::CloseBrace,
        TokenKind::OpenBracket => close == TokenKind::CloseBracket,
        TokenKind::OpenParen => close == TokenKind::CloseParen,
        _ => close == TokenKind::SequenceEnd,
    }
}
