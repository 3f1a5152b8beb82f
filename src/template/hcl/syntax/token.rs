//! What the scanner makes of a text.

use std::ops::Range;

/// What a [`Token`] is. Together the tokens of a text cover all of it but blanks between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// `{`
    OpenBrace,
    /// `}` that closes a `{`, or nothing.
    CloseBrace,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// The `"` that begins a string.
    OpenQuote,
    /// The `"` that ends one.
    CloseQuote,
    /// `<<WORD` or `<<-WORD` with the end of its line.
    OpenHeredoc,
    /// The line that ends a heredoc, without its end.
    CloseHeredoc,
    /// `${` or `${~` in a template.
    Interpolation,
    /// `%{` or `%{~` in a template.
    Directive,
    /// `}` or `~}` that ends one of the two.
    SequenceEnd,
    /// Text of a string as it stands there, with its escapes.
    QuotedText,
    /// Text of a heredoc: a line with its end, or part of a line.
    HeredocText,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `%`
    Percent,
    /// `=`
    Equal,
    /// `==`
    EqualOp,
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
    /// `&&`
    And,
    /// `||`
    Or,
    /// `!`
    Bang,
    /// `.`
    Dot,
    /// `,`
    Comma,
    /// `...`
    Ellipsis,
    /// `=>`
    Arrow,
    /// `?`
    Question,
    /// `:`
    Colon,
    /// A number, or what begins like one.
    Number,
    /// A name.
    Identifier,
    /// A comment; one of `#` or `//` with the end of its line.
    Comment,
    /// The end of a line.
    Newline,
    /// The end of the text.
    End,
    /// A character that means nothing where it stands.
    Invalid,
}

impl TokenKind {
    /// How many levels deeper the text after it is: 1 for what opens, -1 for what closes, else 0.
    pub(crate) fn nesting(self) -> isize {
        match self {
            Self::OpenBrace | Self::OpenBracket | Self::OpenParen | Self::Interpolation | Self::Directive => 1,
            Self::CloseBrace | Self::CloseBracket | Self::CloseParen | Self::SequenceEnd => -1,
            _ => 0,
        }
    }
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    start: u32,
    end: u32,
}

impl Token {
    /// The token at these bytes of its text, of which [`MAX_TEXT`](super::scanner::MAX_TEXT) are the most.
    pub(crate) fn new(kind: TokenKind, range: Range<usize>) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { kind, start: place(range.start), end: place(range.end) }
    }

    /// Where it is.
    pub fn range(self) -> Range<usize> {
        self.start()..self.end()
    }

    /// Offset of its first byte.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Offset after its last byte.
    pub fn end(self) -> usize {
        self.end as usize
    }

    /// Its bytes, in the text it was made of.
    pub fn text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or("")
    }
}
