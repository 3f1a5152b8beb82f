//! What guests write for terminals, as text with styles. Colours and weights are kept; whatever else a terminal would
//! do (move, clear, set the title, write to the clipboard) is dropped, so that no guest drives the user's terminal.

mod sgr;

use ratatui::style::Style;
use unicode_width::UnicodeWidthChar as _;
use vte::{Params, Parser, Perform};

/// A piece of text in one style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Printable characters alone.
    pub text: String,
    /// Its style; what the guest left to the terminal is left to it here.
    pub style: Style,
}

/// A tab goes to the next multiple of this column.
const TAB: usize = 8;

/// A line of a guest's output, in pieces of one style each. Tabs are spaces up to the next multiple of 8.
pub fn pieces(line: &str) -> Vec<Piece> {
    let mut reading = Reading::default();
    Parser::new().advance(&mut reading, line.as_bytes());
    reading.pieces
}

/// The line's text alone: that of its [`pieces`].
pub fn plain(line: &str) -> String {
    pieces(line).into_iter().map(|piece| piece.text).collect()
}

#[derive(Default)]
struct Reading {
    pieces: Vec<Piece>,
    style: Style,
    column: usize,
}

impl Reading {
    fn push(&mut self, c: char, times: usize) {
        match self.pieces.last_mut() {
            Some(last) if last.style == self.style => last.text.extend(std::iter::repeat_n(c, times)),
            _ => self.pieces.push(Piece { text: std::iter::repeat_n(c, times).collect(), style: self.style }),
        }
        self.column += times * c.width().unwrap_or(0);
    }
}

impl Perform for Reading {
    fn print(&mut self, c: char) {
        if !c.is_control() && !turns_text(c) {
            self.push(c, 1);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' {
            self.push(' ', TAB - self.column % TAB);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignored: bool, action: char) {
        if action == 'm' && intermediates.is_empty() && !ignored {
            self.style = sgr::apply(self.style, params);
        }
    }
}

/// Characters that change the direction of the text after them, by which a line can be made to read as another.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::style::{Color, Modifier};

    use super::*;

    fn styled(line: &str) -> Vec<(String, Style)> {
        pieces(line).into_iter().map(|piece| (piece.text, piece.style)).collect()
    }

    #[test]
    fn colours_and_weights_are_kept() {
        let red = Style::new().fg(Color::Red);
        assert_eq!(
            styled("a\x1b[31mb\x1b[1mc\x1b[0md"),
            [
                ("a".to_owned(), Style::new()),
                ("b".to_owned(), red),
                ("c".to_owned(), red.add_modifier(Modifier::BOLD)),
                ("d".to_owned(), Style::new()),
            ]
        );
        for (sequence, style) in [
            ("94", Style::new().fg(Color::LightBlue)),
            ("43;30", Style::new().bg(Color::Yellow).fg(Color::Black)),
            ("38;5;208", Style::new().fg(Color::Indexed(208))),
            ("38;2;1;2;3", Style::new().fg(Color::Rgb(1, 2, 3))),
            ("38:2::1:2:3", Style::new().fg(Color::Rgb(1, 2, 3))),
            ("48:5:9", Style::new().bg(Color::Indexed(9))),
            (
                "3;4;7;9;2",
                Style::new().add_modifier(
                    Modifier::ITALIC
                        | Modifier::UNDERLINED
                        | Modifier::REVERSED
                        | Modifier::CROSSED_OUT
                        | Modifier::DIM,
                ),
            ),
            ("31;39;42;49;1;22;4;24", Style::new()),
            ("5;8;58;5;1", Style::new()),
            ("38;5", Style::new()),
            ("38;2;300;0;0;1", Style::new().add_modifier(Modifier::BOLD)),
            ("4:3", Style::new().add_modifier(Modifier::UNDERLINED)),
            ("4:0", Style::new()),
            ("", Style::new()),
        ] {
            assert_eq!(styled(&format!("\x1b[{sequence}mx")), [("x".to_owned(), style)], "{sequence}");
        }
    }

    #[test]
    fn whatever_drives_a_terminal_is_dropped() {
        for line in [
            "a\x1b]52;c;ZXZpbA==\x07b",
            "a\x1b]52;c;ZXZpbA==\x1b\\b",
            "a\x1b]0;title\x07b",
            "a\x1b[2J\x1b[Hb",
            "a\x1b[6nb",
            "a\x1bcb",
            "a\x1bP+q544e\x1b\\b",
            "a\x1b[?1049hb",
            "a\x1b_G\x1b\\b",
            "a\u{9b}31mb",
            "a\x07\x08b",
            "a\u{202e}b",
            "a\x1b[>4;2mb",
        ] {
            assert_eq!(plain(line), if line.contains('\u{9b}') { "a31mb" } else { "ab" }, "{line:?}");
        }
        assert_eq!(plain("a\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\b"), "alinkb");
        assert_eq!(plain("a\x1b]52;c;unfinished"), "a");
    }

    #[test]
    fn tabs_are_spaces() {
        assert_eq!(plain("\ta\tb"), "        a       b");
        assert_eq!(plain("\u{4e2d}\tx"), "\u{4e2d}      x");
        assert_eq!(plain("e\u{301}\tx"), "e\u{301}       x");
    }

    proptest! {
        #[test]
        fn nothing_a_guest_writes_comes_out_as_control(line in "(\x1b[\\[\\]PX^_c]?|[0-9;:?]{0,4}|[mHJh\x07\\\\]|.|\u{9b}){0,60}") {
            prop_assert!(!plain(&line).chars().any(char::is_control));
        }
    }
}
