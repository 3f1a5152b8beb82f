//! What is done to the text of a template once its parts are known: trimmed beside `~`, and freed of indentation.
//!
//! Each line of a heredoc is a piece of text of its own, and `~` trims the one piece beside it: what it takes away is at
//! most the rest of that line. Indentation is looked at afterwards, so that of a line whose start was joined to the one
//! before is kept.

use super::template::Piece;

/// Takes away blanks that a `~` stands beside.
pub(super) fn trim(pieces: &mut [Piece]) {
    for at in 0..pieces.len() {
        let (before, after) = pieces[at].trims();
        if before && let Some(Piece::Text(text, _)) = at.checked_sub(1).map(|at| &mut pieces[at]) {
            text.truncate(text.trim_end().len());
        }
        if after && let Some(Piece::Text(text, _)) = pieces.get_mut(at + 1) {
            let blanks = text.len() - text.trim_start().len();
            text.drain(..blanks);
        }
    }
}

/// Takes away what all lines of a heredoc are indented by, lines of blanks alone apart.
pub(super) fn dedent(pieces: &mut [Piece]) {
    let mut line_start = true;
    let mut starts = Vec::new();
    let mut least = usize::MAX;
    for (at, piece) in pieces.iter().enumerate() {
        let text = match piece {
            Piece::Text(text, _) => text.as_str(),
            Piece::Code(..) => "",
        };
        let blanks = text.chars().take_while(|c| c.is_whitespace()).count();
        let blank_line = text.ends_with('\n') && text.trim().is_empty();
        if line_start && !blank_line {
            least = least.min(blanks);
            starts.push(at);
        }
        line_start = text.ends_with('\n');
    }
    for at in starts {
        if let Piece::Text(text, _) = &mut pieces[at] {
            let cut = text.char_indices().nth(least).map_or(text.len(), |(cut, _)| cut);
            text.drain(..cut);
        }
    }
}
