//! Text to tokens: plain text, and what stands between `{{` and `}}`.

use std::collections::VecDeque;

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
/// Length of a trim marker: a dash and a blank.
const MARKER: usize = 2;

/// What a [`Token`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The rest cannot be read; the message says why.
    Error,
    Bool,
    /// A printable character that means nothing, such as a comma.
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    /// The keyword of this name.
    fn keyword(word: &str) -> Option<Self> {
        Some(match word {
            "block" => Self::Block,
            "break" => Self::Break,
            "continue" => Self::Continue,
            "define" => Self::Define,
            "else" => Self::Else,
            "end" => Self::End,
            "if" => Self::If,
            "nil" => Self::Nil,
            "range" => Self::Range,
            "template" => Self::Template,
            "with" => Self::With,
            _ => return None,
        })
    }

    pub(super) fn is_keyword(self) -> bool {
        matches!(
            self,
            Self::Block
                | Self::Break
                | Self::Continue
                | Self::Dot
                | Self::Define
                | Self::Else
                | Self::End
                | Self::If
                | Self::Nil
                | Self::Range
                | Self::Template
                | Self::With
        )
    }
}

/// A piece of a template.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offset of its first byte.
    pub(super) at: usize,
    /// Offset after its last byte.
    pub(super) end: usize,
    /// The line it begins in, from 1.
    pub(super) line: usize,
    /// What is wrong, for [`Kind::Error`].
    pub(super) message: String,
}

/// What is read next.
#[derive(Clone, Copy)]
enum State {
    Text,
    LeftDelim,
    Inside,
    Done,
}

/// Reads tokens one after the other.
pub(super) struct Lexer<'a> {
    text: &'a str,
    state: State,
    start: usize,
    at: usize,
    line: usize,
    depth: usize,
    ready: VecDeque<Token>,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, state: State::Text, start: 0, at: 0, line: 1, depth: 0, ready: VecDeque::new() }
    }

    /// The next token; at the end, or after an error, always the same.
    pub(super) fn token(&mut self) -> Token {
        while self.ready.is_empty() {
            match self.state {
                State::Text => self.lex_text(),
                State::LeftDelim => self.lex_left_delim(),
                State::Inside => self.lex_inside(),
                State::Done => self.emit(Kind::Eof),
            }
        }
        self.ready.pop_front().expect("there is one")
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn next_if(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|c| wanted.contains(c));
        if found {
            self.next();
        }
        found
    }

    fn skip(&mut self, wanted: &str) {
        while self.next_if(wanted) {}
    }

    fn emit(&mut self, kind: Kind) {
        self.ready.push_back(Token { kind, at: self.start, end: self.at, line: self.line, message: String::new() });
        self.ignore();
    }

    /// Passes over what has been read.
    fn ignore(&mut self) {
        self.line += self.text[self.start..self.at].matches('\n').count();
        self.start = self.at;
    }

    fn fail(&mut self, message: impl Into<String>) {
        let message = message.into();
        self.ready.push_back(Token { kind: Kind::Error, at: self.start, end: self.at, line: self.line, message });
        self.state = State::Done;
    }

    fn lex_text(&mut self) {
        let Some(found) = self.rest().find(LEFT) else {
            self.at = self.text.len();
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.state = State::Done;
            return;
        };
        let delim = self.at + found;
        let trims = has_left_marker(&self.text[delim + LEFT.len()..]);
        self.at = delim;
        if trims {
            self.at = self.start + self.text[self.start..delim].trim_end_matches(is_space).len();
        }
        // The line of a text is that of its end.
        self.line += self.text[self.start..self.at].matches('\n').count();
        if self.at > self.start {
            let token =
                Token { kind: Kind::Text, at: self.start, end: self.at, line: self.line, message: String::new() };
            self.ready.push_back(token);
        }
        self.start = self.at;
        self.at = delim;
        self.ignore();
        self.state = State::LeftDelim;
    }

    fn lex_left_delim(&mut self) {
        self.at += LEFT.len();
        let marker = if has_left_marker(self.rest()) { MARKER } else { 0 };
        if self.text[self.at + marker..].starts_with("/*") {
            self.at += marker;
            self.ignore();
            self.lex_comment();
            return;
        }
        self.emit(Kind::LeftDelim);
        self.at += marker;
        self.ignore();
        self.depth = 0;
        self.state = State::Inside;
    }

    fn lex_comment(&mut self) {
        let Some(length) = self.text[self.at + 2..].find("*/") else { return self.fail("unclosed comment") };
        self.at += 2 + length + 2;
        let Some(trims) = self.right_delim() else { return self.fail("comment ends before closing delimiter") };
        self.close(trims);
        self.ignore();
        self.state = State::Text;
    }

    /// Whether the action ends here, and whether it takes the blanks behind it along.
    fn right_delim(&self) -> Option<bool> {
        if has_right_marker(self.rest()) && self.text[self.at + MARKER..].starts_with(RIGHT) {
            return Some(true);
        }
        self.rest().starts_with(RIGHT).then_some(false)
    }

    /// Goes past the end of an action or comment.
    fn close(&mut self, trims: bool) {
        self.at += RIGHT.len();
        if trims {
            self.at += MARKER;
            self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        }
    }

    fn lex_right_delim(&mut self, trims: bool) {
        if trims {
            self.at += MARKER;
            self.ignore();
        }
        self.at += RIGHT.len();
        self.emit(Kind::RightDelim);
        if trims {
            self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
            self.ignore();
        }
        self.state = State::Text;
    }

    fn lex_inside(&mut self) {
        if let Some(trims) = self.right_delim() {
            return if self.depth == 0 { self.lex_right_delim(trims) } else { self.fail("unclosed left paren") };
        }
        let Some(c) = self.peek() else { return self.fail("unclosed action") };
        match c {
            _ if is_space(c) => self.lex_space(),
            '=' => self.one(Kind::Assign),
            ':' => {
                self.next();
                if self.next_if("=") {
                    self.emit(Kind::Declare);
                } else {
                    self.fail("expected :=");
                }
            }
            '|' => self.one(Kind::Pipe),
            '"' => self.lex_quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.lex_quoted('\'', Kind::CharConstant, "unterminated character constant"),
            '`' => self.lex_raw(),
            '$' => self.lex_name(Kind::Variable),
            '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) && self.rest().len() > 1 => {
                self.lex_name(Kind::Field);
            }
            '.' | '+' | '-' | '0'..='9' => self.lex_number(),
            _ if is_word(c) => self.lex_identifier(),
            '(' => {
                self.one(Kind::LeftParen);
                self.depth += 1;
            }
            ')' => {
                self.one(Kind::RightParen);
                match self.depth.checked_sub(1) {
                    Some(depth) => self.depth = depth,
                    None => self.fail("unexpected right paren U+0029 ')'"),
                }
            }
            ' '..='~' => self.one(Kind::Char),
            _ => {
                self.next();
                self.fail(format!("unrecognized character in action: {}", code_point(Some(c))));
            }
        }
    }

    fn one(&mut self, kind: Kind) {
        self.next();
        self.emit(kind);
    }

    /// Blanks; the last one may belong to a trim marker.
    fn lex_space(&mut self) {
        let mut last = self.at;
        while self.peek().is_some_and(is_space) {
            last = self.at;
            self.next();
        }
        let marked = has_right_marker(&self.text[last..]) && self.text[last + MARKER..].starts_with(RIGHT);
        if marked {
            self.at = last;
            if last == self.start {
                return self.lex_right_delim(true);
            }
        }
        self.emit(Kind::Space);
    }

    fn lex_identifier(&mut self) {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        if !self.ends_word() {
            return self.fail(format!("bad character {}", code_point(self.peek())));
        }
        let word = &self.text[self.start..self.at];
        let kind = match word {
            "true" | "false" => Kind::Bool,
            _ => Kind::keyword(word).unwrap_or(Kind::Identifier),
        };
        self.emit(kind);
    }

    /// A field or a variable, whose first character is a dot or a dollar sign.
    fn lex_name(&mut self, kind: Kind) {
        self.next();
        if self.ends_word() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        if !self.ends_word() {
            return self.fail(format!("bad character {}", code_point(self.peek())));
        }
        self.emit(kind);
    }

    /// Whether a word can end here.
    fn ends_word(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(c) => is_space(c) || self.rest().starts_with(RIGHT),
        }
    }

    fn lex_quoted(&mut self, quote: char, kind: Kind, unterminated: &str) {
        self.next();
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.fail(unterminated);
                    }
                }
                None | Some('\n') => return self.fail(unterminated),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn lex_raw(&mut self) {
        match self.rest()[1..].find('`') {
            Some(length) => {
                self.at += length + 2;
                self.emit(Kind::RawString);
            }
            None => {
                self.at = self.text.len();
                self.fail("unterminated raw quoted string");
            }
        }
    }

    fn lex_number(&mut self) {
        let mut good = self.number();
        let mut kind = Kind::Number;
        if good && self.peek().is_some_and(|c| matches!(c, '+' | '-')) {
            good = self.number() && self.text[..self.at].ends_with('i');
            kind = Kind::Complex;
        }
        if good {
            self.emit(kind);
        } else {
            let word = super::quote::quote(&self.text[self.start..self.at]);
            self.fail(format!("bad number syntax: {word}"));
        }
    }

    /// Goes past what looks like a number; the parser finds out whether it is one.
    fn number(&mut self) -> bool {
        self.next_if("+-");
        let mut digits = "0123456789_";
        if self.next_if("0") {
            if self.next_if("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.next_if("oO") {
                digits = "01234567_";
            } else if self.next_if("bB") {
                digits = "01_";
            }
        }
        self.skip(digits);
        if self.next_if(".") {
            self.skip(digits);
        }
        let exponent = match digits.len() {
            11 => "eE",
            23 => "pP",
            _ => "",
        };
        if self.next_if(exponent) {
            self.next_if("+-");
            self.skip("0123456789_");
        }
        self.next_if("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}

fn has_left_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('-') && chars.next().is_some_and(is_space)
}

fn has_right_marker(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_space) && chars.next() == Some('-')
}

/// A character as `U+0041 'A'`; the end of the text counts as one.
fn code_point(c: Option<char>) -> String {
    match c {
        Some(c) if super::quote::is_print(c) => format!("U+{:04X} '{c}'", u32::from(c)),
        Some(c) => format!("U+{:04X}", u32::from(c)),
        None => "U+FFFFFFFFFFFFFFFF".to_owned(),
    }
}
