//! The canonical form of HCL, as Packer's `fmt` has it: blanks between tokens change, and nothing else.
//!
//! A text is a list of lines, and a line has up to three cells: what comes first, an assignment from its `=` on, and a
//! comment. Lines are indented by the brackets before them; tokens are spaced by what stands on either side; then the
//! assignments, and the comments, of neighbouring lines are aligned.

mod spacing;

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;

use super::syntax::scanner::{MAX_TEXT, scan};
use super::syntax::token::{Token, TokenKind};

/// Longest text that is made. Aligning puts blanks before many cells for one that is far to the right.
const MAX_FORMATTED: usize = 4 * MAX_TEXT;

/// The text in canonical form, unless it, or that, would be too long. It should be free of errors: blanks are all that
/// changes in any text, but in one that is no HCL they may come to stand where they mean something.
pub fn format(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT {
        return None;
    }
    Formatter::new(text).format()
}

/// A line's tokens, by cell.
#[derive(Clone, Debug)]
struct Line {
    lead: Range<usize>,
    assign: Range<usize>,
    comment: Range<usize>,
}

impl Line {
    /// The line without its comment.
    fn code(&self) -> Range<usize> {
        self.lead.start..self.assign.end
    }
}

struct Formatter<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    /// Blanks before each token.
    blanks: Vec<usize>,
}

impl<'a> Formatter<'a> {
    fn new(text: &'a str) -> Self {
        let tokens = scan(text);
        // A byte order mark is left out.
        let mut end = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
        let mut blanks = Vec::with_capacity(tokens.len());
        for token in &tokens {
            blanks.push(token.start() - end);
            end = token.end();
        }
        Self { text, tokens, blanks }
    }

    fn format(mut self) -> Option<String> {
        let lines = self.lines();
        self.indent(&lines);
        self.space(&lines);
        self.align(&lines, |line| line.lead.clone(), |line| line.assign.clone());
        self.align(&lines, Line::code, |line| line.comment.clone());
        let blanks = self.blanks.iter().fold(0usize, |sum, blanks| sum.saturating_add(*blanks));
        let length = Some(self.text.len().saturating_add(blanks)).filter(|length| *length <= MAX_FORMATTED)?;
        let mut out = String::with_capacity(length);
        for (token, blanks) in self.tokens.iter().zip(&self.blanks) {
            out.extend(std::iter::repeat_n(' ', *blanks));
            out.push_str(token.text(self.text));
        }
        Some(out)
    }

    fn kind(&self, at: usize) -> TokenKind {
        self.tokens[at].kind
    }

    /// Whether a line ends with this token. A heredoc's lines are part of that in which it begins.
    fn ends_line(&self, at: usize) -> bool {
        match self.kind(at) {
            TokenKind::Newline => true,
            TokenKind::Comment => self.tokens[at].text(self.text).ends_with('\n'),
            _ => false,
        }
    }

    fn nesting(&self, tokens: Range<usize>) -> isize {
        self.tokens[tokens].iter().map(|token| token.kind.nesting()).sum()
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut start = 0;
        // The end of the text belongs to no line, and keeps what blanks it has.
        let last = self.tokens.len() - 1;
        while start < last {
            let end = (start..last).find(|at| self.ends_line(*at)).map_or(last, |at| at + 1);
            lines.push(self.line(start..end));
            start = end;
        }
        lines
    }

    fn line(&self, tokens: Range<usize>) -> Line {
        let Range { start, end } = tokens;
        let has_comment = end - start > 1 && self.kind(end - 1) == TokenKind::Comment;
        let code = if has_comment { end - 1 } else { end };
        let equal = (start + 1..code).find(|at| self.kind(*at) == TokenKind::Equal);
        // Of an expression that goes on in the next lines, nothing is aligned.
        let assign = equal.filter(|equal| self.nesting(*equal..code) == 0).unwrap_or(code);
        Line { lead: start..assign, assign: assign..code, comment: code..end }
    }

    /// Indents lines by two blanks for each line before them that opened more than it closed.
    fn indent(&mut self, lines: &[Line]) {
        let mut open: Vec<usize> = Vec::new();
        for line in lines {
            let code = line.code();
            // What a heredoc opens does not count; what it closes does, in a line that it does not begin in.
            let heredoc = code.clone().find(|at| self.kind(*at) == TokenKind::OpenHeredoc);
            let nesting = self.nesting(code.start..heredoc.unwrap_or(code.end));
            close(&mut open, usize::try_from(-nesting).unwrap_or(0));
            self.blanks[code.start] = if self.kind(code.start) == TokenKind::Newline { 0 } else { 2 * open.len() };
            if let Ok(opened @ 1..) = usize::try_from(nesting) {
                open.push(opened);
            }
        }
    }

    /// Puts blanks between the tokens of each line's code.
    fn space(&mut self, lines: &[Line]) {
        for line in lines {
            for cell in [line.lead.clone(), line.assign.clone()] {
                for at in cell.start + 1..cell.end {
                    let before = (at >= cell.start + 2).then(|| self.kind(at - 2));
                    self.blanks[at] = usize::from(spacing::is_spaced(self, before, at));
                }
            }
        }
    }

    /// Moves a cell of neighbouring lines to where it fits all of them.
    fn align(&mut self, lines: &[Line], before: fn(&Line) -> Range<usize>, cell: fn(&Line) -> Range<usize>) {
        for group in lines.chunk_by(|one, next| cell(one).is_empty() == cell(next).is_empty()) {
            if cell(&group[0]).is_empty() {
                continue;
            }
            let columns: Vec<usize> = group.iter().map(|line| self.columns(before(line))).collect();
            let most = columns.iter().copied().max().unwrap_or(0);
            for (line, columns) in group.iter().zip(columns) {
                self.blanks[cell(line).start] = most - columns + 1;
            }
        }
    }

    /// Columns that tokens take, each character as the reader knows it being one.
    fn columns(&self, tokens: Range<usize>) -> usize {
        tokens.map(|at| self.blanks[at] + self.tokens[at].text(self.text).graphemes(true).count()).sum()
    }
}

/// Takes brackets off those that the lines before have opened.
fn close(open: &mut Vec<usize>, mut closed: usize) {
    while closed > 0
        && let Some(last) = open.last_mut()
    {
        if *last > closed {
            *last -= closed;
            return;
        }
        closed -= *last;
        open.pop();
    }
}

#[cfg(test)]
mod tests;
