//! Text to tokens: what HCL calls its lexical structure.
//!
//! A string or a heredoc is scanned by rules of its own (`template.rs`), and what is in its `${…}` and `%{…}` by those of
//! code again. A stack says in what the scanner is, so that no nesting of a text can exhaust the program's own.

mod template;

use std::ops::Range;

use super::token::{Token, TokenKind};

/// Longest text that is taken, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// What surrounds the place the scanner is at.
#[derive(Clone, Debug)]
enum Mode {
    /// Names, numbers and operators, with so many `{` that are not closed yet.
    Code { braces: usize },
    /// Between quotes.
    Quoted,
    /// In a heredoc that ends at a line of this word alone.
    Heredoc { word: Range<usize>, line_start: bool },
    /// In a text that is a template from end to end.
    Bare,
}

/// The scanner, at some place of a text.
#[derive(Debug)]
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    modes: Vec<Mode>,
    tokens: Vec<Token>,
}

/// The tokens of a text, of which the last is [`TokenKind::End`]. A byte order mark is no part of it.
pub fn scan(text: &str) -> Vec<Token> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    scan_from(text, start)
}

/// The tokens of a text from a place in it that is neither in a string nor in a heredoc.
pub(crate) fn scan_from(text: &str, start: usize) -> Vec<Token> {
    scan_in(text, start, Mode::Code { braces: 0 })
}

/// The tokens of a text that is a template without quotes.
pub(crate) fn scan_template(text: &str) -> Vec<Token> {
    scan_in(text, 0, Mode::Bare)
}

fn scan_in(text: &str, start: usize, mode: Mode) -> Vec<Token> {
    let mut scanner = Scanner { text, at: start, modes: vec![mode], tokens: Vec::new() };
    while scanner.at < text.len() {
        match scanner.modes.last() {
            Some(Mode::Quoted) => scanner.quoted(),
            Some(Mode::Heredoc { .. } | Mode::Bare) => scanner.heredoc(),
            _ => scanner.code(),
        }
    }
    scanner.push(TokenKind::End, 0);
    scanner.tokens
}

impl<'a> Scanner<'a> {
    /// What is not scanned yet.
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes the next bytes as a token.
    fn push(&mut self, kind: TokenKind, length: usize) {
        self.tokens.push(Token::new(kind, self.at..self.at + length));
        self.at += length;
    }

    /// One token of code, or a blank.
    fn code(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return };
        match first {
            ' ' | '\t' => self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len(),
            '\n' => self.push(TokenKind::Newline, 1),
            '\r' if rest.starts_with("\r\n") => self.push(TokenKind::Newline, 2),
            '#' => self.line_comment(),
            '/' if rest.starts_with("//") => self.line_comment(),
            '/' if rest.starts_with("/*") => match rest[2..].find("*/") {
                Some(length) => self.push(TokenKind::Comment, length + 4),
                None => self.push(TokenKind::Invalid, rest.len()),
            },
            '"' => {
                self.push(TokenKind::OpenQuote, 1);
                self.modes.push(Mode::Quoted);
            }
            '<' if self.open_heredoc() => {}
            '{' | '}' | '~' => self.brace(first),
            '0'..='9' => self.push(TokenKind::Number, number_length(rest)),
            _ if begins_name(first) => self.push(TokenKind::Identifier, name_length(rest)),
            _ => self.operator(first),
        }
    }

    /// The end of the line belongs to the comment.
    fn line_comment(&mut self) {
        let rest = self.rest();
        self.push(TokenKind::Comment, rest.find('\n').map_or(rest.len(), |at| at + 1));
    }

    /// `}` ends a `${` or `%{` if it closes no brace of the code in it.
    fn brace(&mut self, first: char) {
        let nested = self.modes.len() > 1;
        let Some(Mode::Code { braces }) = self.modes.last_mut() else { return };
        match first {
            '{' => {
                *braces += 1;
                self.push(TokenKind::OpenBrace, 1);
            }
            '}' if nested && *braces == 0 => self.sequence_end(1),
            '}' => {
                *braces = braces.saturating_sub(1);
                self.push(TokenKind::CloseBrace, 1);
            }
            _ if nested && *braces == 0 && self.rest().starts_with("~}") => self.sequence_end(2),
            _ => self.push(TokenKind::Invalid, 1),
        }
    }

    fn sequence_end(&mut self, length: usize) {
        self.push(TokenKind::SequenceEnd, length);
        self.modes.pop();
    }

    fn operator(&mut self, first: char) {
        let rest = self.rest();
        let pair = LONG_OPERATORS.iter().find(|(word, _)| rest.starts_with(word));
        match pair.or_else(|| SHORT_OPERATORS.iter().find(|(word, _)| rest.starts_with(word))) {
            Some((word, kind)) => self.push(*kind, word.len()),
            None => self.push(TokenKind::Invalid, first.len_utf8()),
        }
    }
}

const LONG_OPERATORS: [(&str, TokenKind); 8] = [
    ("...", TokenKind::Ellipsis),
    ("==", TokenKind::EqualOp),
    ("!=", TokenKind::NotEqual),
    ("<=", TokenKind::LessEqual),
    (">=", TokenKind::GreaterEqual),
    ("&&", TokenKind::And),
    ("||", TokenKind::Or),
    ("=>", TokenKind::Arrow),
];

const SHORT_OPERATORS: [(&str, TokenKind); 17] = [
    ("[", TokenKind::OpenBracket),
    ("]", TokenKind::CloseBracket),
    ("(", TokenKind::OpenParen),
    (")", TokenKind::CloseParen),
    ("*", TokenKind::Star),
    ("/", TokenKind::Slash),
    ("+", TokenKind::Plus),
    ("-", TokenKind::Minus),
    ("%", TokenKind::Percent),
    ("=", TokenKind::Equal),
    ("<", TokenKind::Less),
    (">", TokenKind::Greater),
    ("!", TokenKind::Bang),
    (".", TokenKind::Dot),
    (",", TokenKind::Comma),
    ("?", TokenKind::Question),
    (":", TokenKind::Colon),
];

pub(crate) fn begins_name(c: char) -> bool {
    // `is_alphabetic` is a little wider than Unicode's ID_Start, by marks that no name begins with.
    c == '_' || c.is_alphabetic()
}

pub(crate) fn continues_name(c: char) -> bool {
    c == '_' || c == '-' || c.is_alphanumeric() || is_mark(c)
}

/// The marks that Unicode lets a name hold: those of scripts that write vowels or accents as characters of their own.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{64b}'..='\u{669}'
        | '\u{93a}'..='\u{94f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{203f}' | '\u{2040}'
        | '\u{20d0}'..='\u{20dc}' | '\u{302a}'..='\u{302f}' | '\u{3099}' | '\u{309a}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether all of a text is a name.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(begins_name) && text.chars().all(continues_name)
}

fn name_length(rest: &str) -> usize {
    rest.find(|c| !continues_name(c)).unwrap_or(rest.len())
}

/// Digits, dots between them, and `e` where an exponent follows: `1.2.3` is one token, and wrong.
fn number_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut at, mut end) = (1, 1);
    loop {
        at += match bytes.get(at) {
            Some(b'0'..=b'9' | b'.') => 1,
            Some(b'e' | b'E') if digit(at + 1) => 2,
            Some(b'e' | b'E') if matches!(bytes.get(at + 1), Some(b'+' | b'-')) && digit(at + 2) => 3,
            _ => return end,
        };
        if bytes[at - 1] != b'.' {
            end = at;
        }
    }
}

#[cfg(test)]
mod tests;
