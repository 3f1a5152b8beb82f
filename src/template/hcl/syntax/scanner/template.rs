//! The text of strings and heredocs.

use super::{Mode, Scanner, begins_name, name_length};
use crate::template::hcl::syntax::token::TokenKind;

impl Scanner<'_> {
    /// One token between quotes. A string ends with its line, so that a quote that is missing spoils no more than that.
    pub(super) fn quoted(&mut self) {
        let rest = self.rest();
        if self.sequence() {
            return;
        }
        match rest.as_bytes()[0] {
            b'"' => {
                self.push(TokenKind::CloseQuote, 1);
                self.modes.pop();
            }
            b'\n' => drop(self.modes.pop()),
            b'\r' if rest.starts_with("\r\n") => drop(self.modes.pop()),
            _ => self.push(TokenKind::QuotedText, quoted_length(rest)),
        }
    }

    /// One token of a heredoc: a line, or what of it comes before a `${` or `%{`.
    pub(super) fn heredoc(&mut self) {
        let rest = &self.text[self.at..];
        if let Some(Mode::Heredoc { word, line_start }) = self.modes.last_mut()
            && std::mem::take(line_start)
            && let Some(line) = rest.find('\n').map(|end| &rest[..end])
            && line.trim() == &self.text[word.clone()]
        {
            self.push(TokenKind::CloseHeredoc, line.strip_suffix('\r').unwrap_or(line).len());
            self.modes.pop();
            return;
        }
        let length = heredoc_length(rest);
        if let Some(Mode::Heredoc { line_start, .. }) = self.modes.last_mut() {
            *line_start = rest[..length].ends_with('\n');
        }
        if length > 0 {
            self.push(TokenKind::HeredocText, length);
        } else {
            self.sequence();
        }
    }

    /// `${` or `%{`, and the mode of what is in it.
    fn sequence(&mut self) -> bool {
        let rest = self.rest();
        let kind = match rest.get(..2) {
            Some("${") => TokenKind::Interpolation,
            Some("%{") => TokenKind::Directive,
            _ => return false,
        };
        self.push(kind, if rest[2..].starts_with('~') { 3 } else { 2 });
        self.modes.push(Mode::Code { braces: 0 });
        true
    }

    /// `<<WORD` at the end of a line.
    pub(super) fn open_heredoc(&mut self) -> bool {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix("<<") else { return false };
        let name = after.strip_prefix('-').unwrap_or(after);
        if !name.starts_with(begins_name) {
            return false;
        }
        let length = name_length(name);
        let end = match &name[length..] {
            tail if tail.starts_with('\n') => 1,
            tail if tail.starts_with("\r\n") => 2,
            _ => return false,
        };
        let word = self.at + (rest.len() - name.len());
        let whole = rest.len() - name.len() + length + end;
        self.push(TokenKind::OpenHeredoc, whole);
        self.modes.push(Mode::Heredoc { word: word..word + length, line_start: true });
        true
    }
}

/// Bytes of a string up to its end, the end of the line, or the next `${` or `%{`; at least one.
fn quoted_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b'"' | b'\n' => break,
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => break,
            b'\\' if bytes.get(at + 1).is_some_and(|next| !matches!(next, b'\n' | b'\r')) => {
                1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8)
            }
            sign @ (b'$' | b'%') => match sequence_at(bytes, at, sign) {
                None => break,
                Some(length) => length,
            },
            _ => 1,
        };
    }
    at
}

/// Bytes of a heredoc up to the next line, `${` or `%{`.
fn heredoc_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at += match bytes[at] {
            b'\n' => return at + 1,
            sign @ (b'$' | b'%') => match sequence_at(bytes, at, sign) {
                None => break,
                Some(length) => length,
            },
            _ => 1,
        };
    }
    at
}

/// How much of what begins with a `$` or `%` is text: nothing if it is `${`, all of an escaped `$${`.
fn sequence_at(bytes: &[u8], at: usize, sign: u8) -> Option<usize> {
    match (bytes.get(at + 1), bytes.get(at + 2)) {
        (Some(b'{'), _) => None,
        (Some(next), Some(b'{')) if *next == sign => Some(3),
        _ => Some(1),
    }
}
