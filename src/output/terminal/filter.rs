//! What a guest may do to the terminal of somebody who sits at its shell.
//!
//! Programs such as editors and pagers move the cursor and switch screens, so escape sequences have to pass; but only
//! those that draw. Whatever makes a terminal answer (an answer is typed into whatever reads the terminal next), write
//! to the clipboard, the title, a printer or a file, change its size or its keys, is left out. Sequences pass if they
//! are known, and are written anew, so that no terminal takes them differently than they were read here.

use std::collections::BTreeSet;
use std::io::Write as _;

use vte::{Params, Parser, Perform};

/// Longest sequence that is waited for, in bytes. One that has not ended by then is given up.
const LONGEST: usize = 64 * 1024;

/// Private modes (DECSET) that may be set: cursor keys, reverse, origin, wrapping, blinking, the cursor, the keypad;
/// mouse and focus reports, which the guest's own programs read; the alternate screen; bracketed paste; synchronised
/// output. Not those that resize, or make the terminal answer.
const PRIVATE_MODES: [u16; 20] =
    [1, 5, 6, 7, 12, 25, 47, 66, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1048, 1049, 2004, 2026];

/// Private modes that are set in a terminal at rest.
const ON_AT_REST: [u16; 2] = [7, 25];

/// Modes that have to be left last to first: back to the normal screen when all else is done.
const SCREENS: [u16; 3] = [47, 1047, 1049];

/// Passes on what a guest may write to the terminal, and knows how to undo it.
#[derive(Default)]
pub struct Filter {
    parser: Parser,
    screen: Screen,
    /// Bytes since the parser last said anything.
    silent: usize,
}

/// What has been passed on, as far as it lasts.
#[derive(Default)]
struct Screen {
    out: Vec<u8>,
    /// Whether anything was heard of the parser.
    heard: bool,
    /// Private modes that are not as in a terminal at rest.
    changed: BTreeSet<u16>,
    margins: bool,
    cursor_shape: bool,
    mid_line: bool,
}

impl Filter {
    /// What of `bytes` may be written to the terminal. A sequence that has only begun is kept for the next call.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        for chunk in bytes.chunks(LONGEST) {
            self.screen.heard = false;
            self.parser.advance(&mut self.screen, chunk);
            self.silent = if self.screen.heard { 0 } else { self.silent + chunk.len() };
            if self.silent > LONGEST {
                // Somewhere in a string without end, which the parser would keep.
                self.parser = Parser::new();
                self.silent = 0;
            }
        }
        std::mem::take(&mut self.screen.out)
    }

    /// What makes the terminal as it was: colours, character set, modes, and the normal screen, with the cursor shown
    /// and at the start of a line.
    pub fn reset(&mut self) -> Vec<u8> {
        self.parser = Parser::new();
        self.silent = 0;
        let screen = std::mem::take(&mut self.screen);
        // Colours, G0 to ASCII and in use, cursor shown, numeric keypad, no insertion, lines as they are.
        let mut out = b"\x1b[0m\x1b(B\x0f\x1b[?25h\x1b>\x1b[4l\x1b[20l".to_vec();
        let (screens, modes): (Vec<u16>, Vec<u16>) = screen.changed.iter().partition(|mode| SCREENS.contains(mode));
        for mode in modes.into_iter().filter(|mode| *mode != 25).chain(screens) {
            let set = if ON_AT_REST.contains(&mode) { 'h' } else { 'l' };
            out.extend(format!("\x1b[?{mode}{set}").bytes());
        }
        if screen.margins {
            // Setting them moves the cursor.
            out.extend(b"\x1b7\x1b[r\x1b8");
        }
        if screen.cursor_shape {
            out.extend(b"\x1b[0 q");
        }
        if screen.mid_line {
            out.extend(b"\r\n");
        }
        out
    }
}

impl Screen {
    fn sequence(&mut self, private: &str, params: &Params, last: &str) {
        self.out.extend(b"\x1b[");
        self.out.extend(private.bytes());
        for (index, param) in params.iter().enumerate() {
            if index > 0 {
                self.out.push(b';');
            }
            for (index, part) in param.iter().enumerate() {
                let _ = write!(self.out, "{}{part}", if index > 0 { ":" } else { "" });
            }
        }
        self.out.extend(last.bytes());
    }

    /// Sets or resets those of the modes that may be.
    fn private_modes(&mut self, params: &Params, set: bool) {
        for mode in params.iter().filter_map(|param| param.first().copied()) {
            if !PRIVATE_MODES.contains(&mode) {
                continue;
            }
            let _ = write!(self.out, "\x1b[?{mode}{}", if set { 'h' } else { 'l' });
            if set == ON_AT_REST.contains(&mode) {
                self.changed.remove(&mode);
            } else {
                self.changed.insert(mode);
            }
        }
    }

    /// Sets or resets insertion and the meaning of a line feed; not the locked keyboard or local echo.
    fn modes(&mut self, params: &Params, action: char) {
        for mode in params.iter().filter_map(|param| param.first().copied()).filter(|mode| [4, 20].contains(mode)) {
            let _ = write!(self.out, "\x1b[{mode}{action}");
        }
    }
}

impl Perform for Screen {
    fn print(&mut self, c: char) {
        self.heard = true;
        if !c.is_control() {
            self.mid_line = true;
            self.out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        }
    }

    fn execute(&mut self, byte: u8) {
        self.heard = true;
        // Bell, backspace, tab, line feeds, return, shifts. Not ENQ, which terminals answer, nor 8-bit controls.
        if matches!(byte, 0x07..=0x0f) {
            self.mid_line = match byte {
                b'\n' => false,
                b'\t' => true,
                _ => self.mid_line,
            };
            self.out.push(byte);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        self.heard = true;
        if ignore {
            return;
        }
        let last = action.encode_utf8(&mut [0; 4]).to_owned();
        match (intermediates, action) {
            // Moving, erasing, inserting, deleting, repeating, tabs, colours.
            (
                [],
                '@' | 'A' | 'B' | 'C' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M' | 'P' | 'S' | 'X'
                | 'Z' | '`' | 'a' | 'b' | 'd' | 'e' | 'f' | 'g' | 'm',
            ) => self.sequence("", params, &last),
            // With more parameters it waits for the mouse.
            ([], 'T') if params.len() == 1 => self.sequence("", params, "T"),
            ([], 'r') if params.len() <= 2 => {
                self.margins = true;
                self.sequence("", params, "r");
            }
            // With parameters it sets other margins.
            ([], 's' | 'u') if params.iter().all(|param| param == [0]) => {
                self.out.extend(format!("\x1b[{action}").bytes());
            }
            ([], 'h' | 'l') => self.modes(params, action),
            (b"?", 'h' | 'l') => self.private_modes(params, action == 'h'),
            (b"?", 'J' | 'K') => self.sequence("?", params, &last),
            (b" ", 'q') => {
                self.cursor_shape = true;
                self.sequence("", params, " q");
            }
            (b"!", 'p') => self.out.extend(b"\x1b[!p"),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], ignore: bool, byte: u8) {
        self.heard = true;
        match (intermediates, byte) {
            _ if ignore => {}
            // Saving the cursor, lines, tab stops, the keypad.
            ([], b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'=' | b'>') => self.out.extend([0x1b, byte]),
            // A full reset would take the user's own settings along.
            ([], b'c') => self.out.extend(b"\x1b[!p\x1b[0m\x1b(B\x0f\x1b[H\x1b[2J"),
            // Character sets: ASCII, British, line drawing.
            ([set @ (b'(' | b')' | b'*' | b'+')], b'0' | b'A' | b'B') => self.out.extend([0x1b, *set, byte]),
            (b"#", b'8') => self.out.extend(b"\x1b#8"),
            _ => {}
        }
    }

    // Titles, the clipboard, colours of the palette, links, notifications.
    fn osc_dispatch(&mut self, _params: &[&[u8]], _bell_terminated: bool) {
        self.heard = true;
    }

    // Device control: settings asked for, graphics, keys defined. Its bytes come one by one, and are not kept.
    fn put(&mut self, _byte: u8) {
        self.heard = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(bytes: &str) -> String {
        String::from_utf8(Filter::default().pass(bytes.as_bytes())).unwrap()
    }

    #[test]
    fn what_draws_passes_as_it_is() {
        for text in [
            "plain text, ünïcödé 漢字 🦀\r\n\ttab\x08\x07",
            "\x1b[1;38;5;208mcolour\x1b[38:2:1:2:3m\x1b[4:3m",
            "\x1b[2J\x1b[10;20Hmoved\x1b[3A\x1b[1K\x1b[2L\x1b[3M\x1b[4P\x1b[5@\x1b[6X\x1b[7S\x1b[8T\x1b[9d\x1b[10G",
            "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1000h\x1b[?1006h\x1b[?1h\x1b=\x1b[?2026h",
            "\x1b[5;20r\x1b7\x1b8\x1bM\x1bD\x1bE\x1bH\x1b[s\x1b[u\x1b[4h\x1b[4l",
            "\x1b(0lqqk\x1b(B\x0e\x0f\x1b[2 q\x1b#8",
        ] {
            assert_eq!(passed(text), text, "{text:?}");
        }
    }

    #[test]
    fn what_reaches_beyond_the_screen_is_left_out() {
        let table = [
            ("the clipboard", "\x1b]52;c;ZXZpbA==\x07"),
            ("the clipboard, asked for", "\x1b]52;c;?\x1b\\"),
            ("the title", "\x1b]0;title\x07\x1b]2;title\x1b\\"),
            ("the title, asked for", "\x1b[21t\x1b[20t"),
            ("the palette, asked for", "\x1b]4;1;?\x07\x1b]10;?\x07\x1b]11;?\x1b\\"),
            ("a link", "\x1b]8;;file:///etc/passwd\x1b\\\x1b]8;;\x1b\\"),
            ("a notification", "\x1b]9;hello\x07\x1b]777;notify;a;b\x07"),
            ("a download", "\x1b]1337;File=name=eA==:AAAA\x07"),
            ("the size of the window", "\x1b[8;10;10t\x1b[?3h\x1b[3;0;0t\x1b[18t"),
            ("device attributes", "\x1b[c\x1b[0c\x1b[>c\x1b[>0;0c\x1b[=c\x1bZ"),
            ("device status", "\x1b[5n\x1b[6n\x1b[?6n\x1b[?15n\x1b[?996n"),
            ("the version", "\x1b[>q\x1b[>0q"),
            ("modes, asked for", "\x1b[?1049$p\x1b[4$p\x1b[?2026$p"),
            ("a checksum of the screen", "\x1b[1;1;1;1;24;80*y"),
            ("terminal parameters", "\x1b[x\x1b[1x"),
            ("graphics, asked for", "\x1b[?1;1;0S"),
            ("an answer to ENQ", "\x05"),
            ("a setting, asked for", "\x1bP$qm\x1b\\\x1bP+q544e\x1b\\"),
            ("keys, defined", "\x1bP0;1|17/6576696c\x1b\\"),
            ("pictures", "\x1bPq#0;2;0;0;0~~\x1b\\\x1b_Ga=T;AAAA\x1b\\"),
            ("tmux, passed through", "\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\"),
            ("application and privacy strings", "\x1b_secret\x1b\\\x1b^private\x1b\\\x1bXstart\x1b\\"),
            ("the printer", "\x1b[5i\x1b[4i\x1b[?5i\x1b[i"),
            ("the keyboard", "\x1b[2h\x1b[12l\x1b[>4;2m\x1b[?4m\x1b[>1u\x1b[=1u\x1b[<u\x1b[?u"),
            ("sizes, reported", "\x1b[?2048h\x1b[?2031h"),
            ("the mouse, waited for", "\x1b[1;2;3;4;5T"),
            ("character set of the terminal", "\x1b%@\x1b%G"),
            ("lamps, of the Linux console", "\x1b[3q\x1b[10;440]\x1b[11;5000]"),
            ("controls of 8 bits", "\u{9b}6n\u{9d}52;c;eA==\u{9c}"),
            ("NUL, DEL and others", "\x00\x01\x11\x13\x7f"),
            ("more parameters than are known", "\x1b[1;2;3r\x1b[1;2s"),
        ];
        for (what, bytes) in table {
            let out = passed(bytes);
            assert!(!out.contains(['\x1b', '\u{9b}', '\u{9d}', '\x05', '\x00']), "{what}: {bytes:?} passed as {out:?}");
        }
        assert_eq!(passed("a\x1b]52;c;eA==\x07b\x1b[6nc\x1bPq\x1b\\d"), "abcd");
    }

    #[test]
    fn a_mode_that_may_not_be_set_does_not_come_along_with_one_that_may() {
        assert_eq!(passed("\x1b[?25;3;1049;2048l"), "\x1b[?25l\x1b[?1049l");
    }

    #[test]
    fn a_full_reset_clears_the_screen_only() {
        assert!(!passed("\x1bc").contains("\x1bc"));
        assert!(passed("\x1bc").contains("\x1b[2J"));
    }

    #[test]
    fn sequences_and_characters_may_come_in_pieces() {
        let text = "é\x1b[31mred\x1b]0;title\x1b\\\x1b[6n漢\x1b[0m";
        let mut filter = Filter::default();
        let mut out = Vec::new();
        for byte in text.bytes() {
            out.extend(filter.pass(&[byte]));
        }
        assert_eq!(String::from_utf8(out).unwrap(), "é\x1b[31mred漢\x1b[0m");
    }

    #[test]
    fn a_string_without_end_is_given_up() {
        let mut filter = Filter::default();
        filter.pass(b"\x1b]52;c;");
        for _ in 0..8 {
            filter.pass(&vec![b'A'; 32 * 1024]);
        }
        assert!(filter.silent <= 2 * LONGEST);
        let out = filter.pass(b"back");
        assert!(out.ends_with(b"back"));
    }

    #[test]
    fn what_a_guest_left_behind_is_undone() {
        let mut terminal = vt100::Parser::new(5, 20, 0);
        let mut filter = Filter::default();
        terminal.process(b"before\r\n");
        let left = "\x1b[?1049h\x1b[?1003h\x1b[?1006h\x1b[?2004h\x1b[?25l\x1b[?1h\x1b=\x1b[31;7mred\x1b[2;3r\x1b(0";
        terminal.process(&filter.pass(left.as_bytes()));
        assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
        terminal.process(&filter.reset());
        let screen = terminal.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert!(!screen.application_cursor() && !screen.application_keypad() && !screen.inverse());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert_eq!(screen.fgcolor(), vt100::Color::Default);
        assert!(screen.contents().starts_with("before"), "{}", screen.contents());
    }

    #[test]
    fn nothing_is_undone_twice_and_the_normal_screen_is_not_left_by_accident() {
        let mut filter = Filter::default();
        filter.pass(b"text");
        let reset = String::from_utf8(filter.reset()).unwrap();
        assert!(!reset.contains("1049") && !reset.contains("[r") && reset.ends_with("\r\n"), "{reset:?}");
        assert!(!String::from_utf8(filter.reset()).unwrap().ends_with("\r\n"));
    }
}
