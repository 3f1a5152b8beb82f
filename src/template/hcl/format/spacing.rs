//! Whether a blank stands between two tokens.

use super::Formatter;
use crate::template::hcl::syntax::token::TokenKind::{
    self, And, Bang, CloseBrace, CloseHeredoc, CloseQuote, Colon, Comma, Directive, Dot, Ellipsis, End, Equal, EqualOp,
    Greater, GreaterEqual, HeredocText, Identifier, Interpolation, Less, LessEqual, Minus, Newline, NotEqual, Number,
    OpenBrace, OpenBracket, OpenHeredoc, OpenParen, OpenQuote, Or, Percent, Plus, Question, QuotedText, SequenceEnd,
    Slash, Star,
};

/// Whether the token at `at` has a blank before it, where `before` is what stands before the one it follows.
#[expect(clippy::match_same_arms, reason = "the order of the rules is what they mean")]
pub(super) fn is_spaced(formatter: &Formatter<'_>, before: Option<TokenKind>, at: usize) -> bool {
    let token = formatter.tokens[at - 1];
    let (left, right) = (token.kind, formatter.kind(at));
    // The first that matches decides.
    match (left, right) {
        (_, Newline | End) => false,
        // A call.
        (Identifier, OpenParen) => false,
        // `x.0 .1` takes one index, and another; `x.0.1` is an error.
        (Number, Dot) => formatter.blanks[at] > 0 && is_number_with_dot(formatter, at),
        (Dot, _) | (_, Dot) => false,
        (_, Comma | Ellipsis) => false,
        (Comma, _) => true,
        // Within templates every blank counts.
        (QuotedText | HeredocText | OpenQuote | OpenHeredoc, _) => false,
        (_, QuotedText | HeredocText | CloseQuote | CloseHeredoc) => false,
        (Identifier, _) if before == Some(Identifier) && token.text(formatter.text) == "in" => true,
        // An index.
        (Identifier | Number, OpenBracket) => false,
        (_, OpenBracket) if left.nesting() < 0 => false,
        (Minus, _) => !is_sign_after(before),
        (OpenBrace, CloseBrace) => false,
        (OpenBrace, _) | (_, CloseBrace) => true,
        (Interpolation | Directive, OpenBrace) | (CloseBrace, SequenceEnd) => true,
        (SequenceEnd, Interpolation | Directive) => false,
        _ => left.nesting() <= 0 && right.nesting() >= 0,
    }
}

/// Whether the dot at `at` would be part of the number before it if it followed at once.
fn is_number_with_dot(formatter: &Formatter<'_>, at: usize) -> bool {
    let next = formatter.tokens.get(at + 1).map_or("", |next| next.text(formatter.text));
    next.starts_with(|c: char| c.is_ascii_digit() || matches!(c, 'e' | 'E'))
}

/// Whether a minus after this is a sign, not an operator.
fn is_sign_after(before: Option<TokenKind>) -> bool {
    matches!(
        before,
        None | Some(
            OpenParen
                | OpenBrace
                | OpenBracket
                | Equal
                | Colon
                | Comma
                | Question
                | Plus
                | Star
                | Slash
                | Percent
                | Minus
                | EqualOp
                | NotEqual
                | Greater
                | GreaterEqual
                | Less
                | LessEqual
                | And
                | Or
                | Bang
        )
    )
}
