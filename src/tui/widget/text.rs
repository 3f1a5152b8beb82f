//! Styled lines, put where they belong and no further.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::symbols::Symbols;

/// A line of pieces, each with a style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Line {
    pieces: Vec<(String, Style)>,
}

impl Line {
    /// A line of one piece.
    pub(in crate::tui) fn of(text: &str, style: Style) -> Self {
        let mut line = Self::default();
        line.push(text, style);
        line
    }

    /// Adds a piece. Control characters are left out: nothing reaches the terminal but text.
    pub(in crate::tui) fn push(&mut self, text: &str, style: Style) {
        let text: String = text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
        if !text.is_empty() {
            self.pieces.push((text, style));
        }
    }

    /// Adds the pieces of another line.
    pub(in crate::tui) fn append(&mut self, other: Self) {
        self.pieces.extend(other.pieces);
    }

    /// Columns it takes.
    pub(in crate::tui) fn width(&self) -> usize {
        self.pieces.iter().map(|(text, _)| text.width()).sum()
    }

    /// Gives every piece this style on top of its own.
    #[must_use]
    pub(in crate::tui) fn patched(mut self, style: Style) -> Self {
        for (_, own) in &mut self.pieces {
            *own = own.patch(style);
        }
        self
    }
}

/// Puts a line at the beginning of `area`, cut with an ellipsis where it is longer.
pub(in crate::tui) fn put(buffer: &mut Buffer, area: Rect, line: &Line, symbols: Symbols) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    let room = usize::from(area.width);
    let cut = line.width() > room;
    let mark = if cut { symbols.ellipsis } else { "" };
    let room = room.saturating_sub(mark.width());
    let mut used = 0;
    let mut last = Style::new();
    'pieces: for (text, style) in &line.pieces {
        last = *style;
        for grapheme in text.graphemes(true) {
            let width = grapheme.width();
            if used + width > room {
                break 'pieces;
            }
            if width > 0 {
                let column = area.x + u16::try_from(used).unwrap_or(u16::MAX);
                buffer.set_stringn(column, area.y, grapheme, width, *style);
            }
            used += width;
        }
    }
    if cut && usize::from(area.width) >= mark.width() {
        let column = area.x + u16::try_from(used).unwrap_or(u16::MAX);
        buffer.set_stringn(column, area.y, mark, mark.width(), last);
    }
}

/// `text` in exactly `width` columns: cut with an ellipsis, or filled with spaces.
pub(in crate::tui) fn fit(text: &str, width: usize, symbols: Symbols) -> String {
    let have = text.width();
    if have <= width {
        return format!("{text}{}", " ".repeat(width - have));
    }
    let room = width.saturating_sub(symbols.ellipsis.width());
    let mut fitted = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        if used + grapheme.width() > room {
            break;
        }
        used += grapheme.width();
        fitted.push_str(grapheme);
    }
    if width >= symbols.ellipsis.width() {
        fitted.push_str(symbols.ellipsis);
        used += symbols.ellipsis.width();
    }
    fitted.push_str(&" ".repeat(width.saturating_sub(used)));
    fitted
}

/// `text` in lines of at most `width` columns, broken between words where that can be; at least one line.
pub(in crate::tui) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_word_bounds().filter(|word| !word.chars().any(char::is_control)) {
        if line.width() + word.width() <= width {
            line.push_str(word);
            continue;
        }
        if !line.trim().is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        }
        for grapheme in word.trim_start().graphemes(true) {
            if line.width() + grapheme.width() > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::symbols::{ASCII, UNICODE};

    #[test]
    fn text_fits_exactly() {
        for (text, width, fitted) in
            [("abc", 5, "abc  "), ("abcdef", 4, "abc…"), ("日本語", 4, "日… "), ("abc", 0, ""), ("abc", 1, "…")]
        {
            assert_eq!(fit(text, width, UNICODE), fitted);
        }
        assert_eq!(fit("abcdef", 4, ASCII), "ab..");
    }

    #[test]
    fn text_wraps_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
    }

    #[test]
    fn a_line_stays_within_its_area_and_carries_no_control_characters() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        let line = Line::of("a\x1b[31mb\tcdefghijkl", Style::new());
        put(&mut buffer, Rect::new(2, 0, 5, 1), &line, UNICODE);
        let text: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(text, "  a[31…   ");
    }
}
