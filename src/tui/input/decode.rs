//! What the bytes of a terminal mean: keys, the mouse, pasted text (ECMA-48 and xterm's control sequences).
//!
//! Larder reads the terminal itself and does not leave it to crossterm. That learns of new bytes by edge-triggered
//! notices, and drops the one that arrives with a change of size: a key typed during a resize was seen at the next key.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

const ESC: u8 = 0x1b;

/// What ends pasted text.
const PASTED: &[u8] = b"\x1b[201~";

/// Most bytes of pasted text that are kept.
const PASTE: usize = 1 << 20;

/// Most bytes of a control sequence: the longest that terminals send has about twenty.
const SEQUENCE: usize = 64;

/// Something that has begun and may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// A key: Esc alone begins as others do.
    Key,
    /// Pasted text.
    Paste,
}

/// Takes bytes as they come.
#[derive(Default)]
pub(super) struct Decoder {
    buffer: Vec<u8>,
    /// Pasted text whose end has not come.
    pasted: Option<Vec<u8>>,
}

/// What the first bytes are.
enum Parsed {
    /// Not whole yet.
    More,
    /// So many bytes, which mean nothing here.
    Nothing(usize),
    /// So many bytes, after which text follows that was pasted.
    Paste(usize),
    Event(Event, usize),
}

impl Decoder {
    /// Takes more bytes: what they mean.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while !self.buffer.is_empty() {
            if self.pasted.is_some() {
                match self.paste() {
                    Some(event) => events.push(event),
                    None => break,
                }
                continue;
            }
            let used = match parse(&self.buffer) {
                Parsed::More => break,
                Parsed::Nothing(used) => used,
                Parsed::Paste(used) => {
                    self.pasted = Some(Vec::new());
                    used
                }
                Parsed::Event(event, used) => {
                    events.push(event);
                    used
                }
            };
            self.buffer.drain(..used);
        }
        events
    }

    /// What has begun and is not whole.
    pub(super) fn open(&self) -> Option<Open> {
        if self.pasted.is_some() {
            return Some(Open::Paste);
        }
        (!self.buffer.is_empty()).then_some(Open::Key)
    }

    /// Nothing more has come for a while: what has begun was that.
    pub(super) fn close(&mut self) -> Option<Event> {
        let rest = std::mem::take(&mut self.buffer);
        if let Some(mut text) = self.pasted.take() {
            text.extend_from_slice(&rest);
            return Some(Event::Paste(String::from_utf8_lossy(&text).into_owned()));
        }
        match rest[..] {
            [ESC] => Some(key(KeyCode::Esc, KeyModifiers::NONE)),
            [ESC, letter @ (b'[' | b'O')] => Some(key(KeyCode::Char(letter.into()), KeyModifiers::ALT)),
            _ => None,
        }
    }

    /// Takes pasted text out of the buffer; it once its end is there.
    fn paste(&mut self) -> Option<Event> {
        let text = self.pasted.as_mut()?;
        let end = memchr::memmem::find(&self.buffer, PASTED);
        // The end may be cut in two.
        let taken = end.unwrap_or_else(|| self.buffer.len().saturating_sub(PASTED.len() - 1));
        let room = PASTE.saturating_sub(text.len());
        text.extend_from_slice(&self.buffer[..taken.min(room)]);
        self.buffer.drain(..end.map_or(taken, |end| end + PASTED.len()));
        end?;
        let text = self.pasted.take()?;
        Some(Event::Paste(String::from_utf8_lossy(&text).into_owned()))
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn parse(bytes: &[u8]) -> Parsed {
    match *bytes {
        [ESC] | [ESC, b'O'] => Parsed::More,
        [ESC, b'[', ..] => sequence(bytes),
        [ESC, b'O', last, ..] => found(named(last).map(|code| key(code, KeyModifiers::NONE)), 3),
        // The second may begin something of its own.
        [ESC, ESC, ..] => Parsed::Event(key(KeyCode::Esc, KeyModifiers::NONE), 1),
        [ESC, ..] => match parse(&bytes[1..]) {
            Parsed::Event(Event::Key(mut event), used) => {
                event.modifiers |= KeyModifiers::ALT;
                Parsed::Event(Event::Key(event), used + 1)
            }
            Parsed::Nothing(used) => Parsed::Nothing(used + 1),
            other => other,
        },
        // A line feed is what a terminal makes of Enter where it is not in raw mode.
        [b'\r' | b'\n', ..] => Parsed::Event(key(KeyCode::Enter, KeyModifiers::NONE), 1),
        [b'\t', ..] => Parsed::Event(key(KeyCode::Tab, KeyModifiers::NONE), 1),
        [0x7f, ..] => Parsed::Event(key(KeyCode::Backspace, KeyModifiers::NONE), 1),
        [0, ..] => Parsed::Event(key(KeyCode::Char(' '), KeyModifiers::CONTROL), 1),
        [byte @ 1..=0x1a, ..] => Parsed::Event(key(KeyCode::Char((byte - 1 + b'a').into()), KeyModifiers::CONTROL), 1),
        [byte @ 0x1c..=0x1f, ..] => {
            Parsed::Event(key(KeyCode::Char((byte - 0x1c + b'4').into()), KeyModifiers::CONTROL), 1)
        }
        _ => character(bytes),
    }
}

fn found(event: Option<Event>, used: usize) -> Parsed {
    event.map_or(Parsed::Nothing(used), |event| Parsed::Event(event, used))
}

/// A character of UTF-8.
fn character(bytes: &[u8]) -> Parsed {
    let length = match bytes[0] {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Parsed::Nothing(1),
    };
    let Some(whole) = bytes.get(..length) else {
        let good = bytes[1..].iter().all(|byte| byte & 0xc0 == 0x80);
        return if good { Parsed::More } else { Parsed::Nothing(1) };
    };
    let Some(character) = std::str::from_utf8(whole).ok().and_then(|text| text.chars().next()) else {
        return Parsed::Nothing(1);
    };
    let modifiers = if character.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
    Parsed::Event(key(KeyCode::Char(character), modifiers), length)
}

/// What begins with `ESC [`.
fn sequence(bytes: &[u8]) -> Parsed {
    // The console's function keys, and the mouse of old terminals, do not follow the standard.
    match *bytes {
        [_, _, b'[', last, ..] => {
            let number = last.checked_sub(b'A').filter(|place| *place < 5);
            return found(number.map(|place| key(KeyCode::F(place + 1), KeyModifiers::NONE)), 4);
        }
        [_, _, b'M', button, column, row, ..] => {
            let [button, column, row] = [button, column, row].map(|byte| u16::from(byte.saturating_sub(32)));
            return found(mouse(button, column, row, false), 6);
        }
        [_, _, b'['] | [_, _, b'M', ..] => return Parsed::More,
        _ => {}
    }
    let last = bytes.iter().enumerate().skip(2).find(|(_, byte)| !(0x20..=0x3f).contains(*byte));
    match last {
        None if bytes.len() < SEQUENCE => Parsed::More,
        None => Parsed::Nothing(bytes.len()),
        Some((at, 0x40..=0x7e)) => whole(&bytes[2..at], bytes[at], at + 1),
        // Broken off: what comes now is something else.
        Some((at, _)) => Parsed::Nothing(at),
    }
}

/// A sequence by its parameters and its last byte.
fn whole(parameters: &[u8], last: u8, used: usize) -> Parsed {
    let (sgr, text) = match parameters {
        [b'<', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let text = str::from_utf8(text).unwrap_or_default();
    // Kitty's subparameters tell more of a key than is asked for here.
    let number = |part: &str| part.split(':').next().and_then(|part| part.parse().ok()).unwrap_or_default();
    let numbers: Vec<u16> = text.split(';').map(number).collect();
    let nth = |place: usize| numbers.get(place).copied().unwrap_or_default();
    let event = match (last, sgr) {
        (b'M' | b'm', true) => mouse(nth(0), nth(1), nth(2), last == b'm'),
        (b'M', false) => nth(0).checked_sub(32).and_then(|button| mouse(button, nth(1), nth(2), false)),
        (b'~', false) if nth(0) == 200 => return Parsed::Paste(used),
        (b'~', false) => numbered(nth(0)).map(|code| key(code, modifiers(nth(1)))),
        (b'u', false) => coded(nth(0)).map(|code| key(code, modifiers(nth(1)))),
        (b'Z', false) => Some(key(KeyCode::BackTab, KeyModifiers::SHIFT)),
        (_, false) => named(last).map(|code| key(code, modifiers(nth(1)))),
        (_, true) => None,
    };
    found(event, used)
}

/// A key by the last byte of its sequence.
fn named(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'F' => KeyCode::End,
        b'H' => KeyCode::Home,
        b'P'..=b'S' => KeyCode::F(last - b'P' + 1),
        b'M' => KeyCode::Enter,
        _ => return None,
    })
}

/// A key by its number before `~`.
fn numbered(number: u16) -> Option<KeyCode> {
    Some(match (number, u8::try_from(number).ok()?) {
        (1 | 7, _) => KeyCode::Home,
        (2, _) => KeyCode::Insert,
        (3, _) => KeyCode::Delete,
        (4 | 8, _) => KeyCode::End,
        (5, _) => KeyCode::PageUp,
        (6, _) => KeyCode::PageDown,
        (11..=15, number) => KeyCode::F(number - 10),
        (17..=21, number) => KeyCode::F(number - 11),
        (23..=24, number) => KeyCode::F(number - 12),
        _ => return None,
    })
}

/// A key by its character's number, as some terminals send those with modifiers.
fn coded(number: u16) -> Option<KeyCode> {
    Some(match char::from_u32(number.into())? {
        '\r' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        '\x1b' => KeyCode::Esc,
        '\x7f' | '\x08' => KeyCode::Backspace,
        control if control.is_control() => return None,
        character => KeyCode::Char(character),
    })
}

/// Modifiers, as one more than their bits.
fn modifiers(number: u16) -> KeyModifiers {
    let bits = number.saturating_sub(1);
    let all = [(1, KeyModifiers::SHIFT), (2, KeyModifiers::ALT), (4, KeyModifiers::CONTROL)];
    all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| modifier).collect()
}

/// The mouse: bits 0, 1, 6 and 7 are the button, 2 to 4 the modifiers, 5 says that it was moved. Places are from 1.
fn mouse(bits: u16, column: u16, row: u16, released: bool) -> Option<Event> {
    let buttons = [MouseButton::Left, MouseButton::Middle, MouseButton::Right];
    let number = usize::from((bits & 0b11) | ((bits & 0b1100_0000) >> 4));
    let moved = bits & 0b10_0000 != 0;
    let kind = match (number, moved) {
        (0..=2, false) if released => MouseEventKind::Up(buttons[number]),
        (0..=2, false) => MouseEventKind::Down(buttons[number]),
        (0..=2, true) => MouseEventKind::Drag(buttons[number]),
        (3, false) => MouseEventKind::Up(MouseButton::Left),
        (3..=5, true) => MouseEventKind::Moved,
        (4, false) => MouseEventKind::ScrollUp,
        (5, false) => MouseEventKind::ScrollDown,
        (6, false) => MouseEventKind::ScrollLeft,
        (7, false) => MouseEventKind::ScrollRight,
        _ => return None,
    };
    let (column, row) = (column.checked_sub(1)?, row.checked_sub(1)?);
    let all = [(4, KeyModifiers::SHIFT), (8, KeyModifiers::ALT), (16, KeyModifiers::CONTROL)];
    let modifiers = all.into_iter().filter(|(bit, _)| bits & bit != 0).map(|(_, modifier)| modifier).collect();
    Some(Event::Mouse(MouseEvent { kind, column, row, modifiers }))
}

#[cfg(test)]
mod tests;
