//! Numbers, and the text of strings and heredocs without its escapes.

use super::{Parse, Parser};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::syntax::ast::ExprKind;
use crate::template::hcl::syntax::token::Token;

/// Digits of the largest exponent that is taken: what a number is written out as must have an end.
const MAX_EXPONENT: usize = 4;

impl Parser<'_> {
    pub(super) fn number(&mut self, token: Token) -> Parse<ExprKind> {
        let text = token.text(self.text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, ""));
        let sound = mantissa.matches('.').count() <= 1 && !exponent.contains(['.', 'e', 'E']);
        if !sound {
            let error = Diagnostic::error("this is no number").at(self.span(token));
            return Err(self.report(error.hint("a version is a string: put it in quotes")));
        }
        if exponent.trim_start_matches(['+', '-', '0']).len() > MAX_EXPONENT {
            let error = Diagnostic::error("this number is too large, or too small").at(self.span(token));
            return Err(self.report(error));
        }
        Ok(ExprKind::Number(text.into()))
    }

    /// What the text of a string stands for. Escapes that are none are reported, and left out.
    pub(super) fn unescaped(&mut self, token: Token) -> String {
        let text = token.text(self.text);
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(found) = text[at..].find(['\\', '$', '%']) {
            out.push_str(&text[at..at + found]);
            at += found;
            let rest = &text[at..];
            let (value, length) = if rest.starts_with('\\') { escape(rest) } else { sign(rest) };
            match value {
                Some(value) => out.push(value),
                None => self.wrong_escape(&rest[..length], token.start() + at),
            }
            at += length;
        }
        out.push_str(&text[at..]);
        out
    }

    /// What the text of a heredoc stands for, in which `$${` and `%%{` are all that is escaped.
    pub(super) fn undoubled(&self, token: Token) -> String {
        token.text(self.text).replace("$${", "${").replace("%%{", "%{")
    }

    fn wrong_escape(&mut self, text: &str, at: usize) {
        let hint = match text.chars().nth(1) {
            Some('u' | 'U') => r"\u has four hexadecimal digits after it, \U eight, of a character that there is",
            Some('$' | '%') => "to keep the characters, write $${ for ${ and %%{ for %{",
            _ => r#"there are \n \r \t \" \\ \uNNNN and \UNNNNNNNN; a backslash itself is written \\"#,
        };
        let span = self.place.of(at..at + text.len());
        self.report(Diagnostic::error("there is no such escape").at(span).hint(hint));
    }
}

/// The character that an escape stands for, if it is one, and its length.
fn escape(rest: &str) -> (Option<char>, usize) {
    let Some(selector) = rest[1..].chars().next() else { return (None, 1) };
    let simple = match selector {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '"' => '"',
        '\\' => '\\',
        'u' => return code_point(rest, 4),
        'U' => return code_point(rest, 8),
        _ => return (None, 1 + selector.len_utf8()),
    };
    (Some(simple), 2)
}

fn code_point(rest: &str, digits: usize) -> (Option<char>, usize) {
    let there = rest[2..].bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
    let value = u32::from_str_radix(&rest[2..2 + there], 16).ok().filter(|_| there == digits);
    (value.and_then(char::from_u32), 2 + there)
}

/// A `$` or `%`; one of two before a brace is an escape of the other.
fn sign(rest: &str) -> (Option<char>, usize) {
    let doubled = rest.starts_with("$${") || rest.starts_with("%%{");
    (rest.chars().next(), if doubled { 2 } else { 1 })
}
