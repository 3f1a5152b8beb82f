//! Key presses, read and shown as `g`, `Ctrl-d`, `Shift-Tab`, `F5`.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One press. Shift is part of the character where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyPress {
    /// The key.
    pub code: KeyCode,
    /// Whether Ctrl was held.
    pub ctrl: bool,
    /// Whether Alt was held.
    pub alt: bool,
}

impl From<KeyEvent> for KeyPress {
    fn from(event: KeyEvent) -> Self {
        let shifted = event.modifiers.contains(KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::Tab if shifted => KeyCode::BackTab,
            code => code,
        };
        Self {
            code,
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }
}

const NAMES: [(&str, KeyCode); 16] = [
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Shift-Tab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
];

/// Reads a sequence such as `g g` or `Ctrl-d`.
pub fn sequence(text: &str) -> Option<Vec<KeyPress>> {
    let presses: Option<Vec<_>> = text.split_whitespace().map(press).collect();
    presses.filter(|presses| !presses.is_empty())
}

fn press(text: &str) -> Option<KeyPress> {
    let (ctrl, text) = prefixed(text, "Ctrl-");
    let (alt, text) = prefixed(text, "Alt-");
    let named = NAMES.iter().find(|(name, _)| *name == text).map(|(_, code)| *code);
    let function = || text.strip_prefix('F')?.parse().ok().filter(|n| (1..=12).contains(n)).map(KeyCode::F);
    let character = || {
        let mut characters = text.chars();
        characters.next().filter(|_| characters.next().is_none()).map(KeyCode::Char)
    };
    Some(KeyPress { code: named.or_else(function).or_else(character)?, ctrl, alt })
}

fn prefixed<'a>(text: &'a str, prefix: &str) -> (bool, &'a str) {
    text.strip_prefix(prefix).map_or((false, text), |rest| (true, rest))
}

/// A sequence as shown.
pub fn show(presses: &[KeyPress]) -> String {
    presses.iter().map(show_press).collect::<Vec<_>>().join(" ")
}

fn show_press(press: &KeyPress) -> String {
    let modifiers = [(press.ctrl, "Ctrl-"), (press.alt, "Alt-")];
    let mut text: String = modifiers.iter().filter(|(held, _)| *held).map(|(_, name)| *name).collect();
    match (NAMES.iter().find(|(_, code)| *code == press.code), press.code) {
        (Some((name, _)), _) => text.push_str(name),
        (None, KeyCode::Char(character)) => text.push(character),
        (None, KeyCode::F(number)) => text.push_str(&format!("F{number}")),
        (None, other) => text.push_str(&format!("{other:?}")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_they_are_read() {
        for text in ["g g", "Ctrl-d", "Shift-Tab", "F5", "Alt-x", "Space", "?", "-", "Ctrl-Left"] {
            assert_eq!(show(&sequence(text).unwrap()), text);
        }
        for text in ["", "gg", "F13", "Ctrl-"] {
            assert_eq!(sequence(text), None, "{text}");
        }
    }

    #[test]
    fn shift_tab_is_one_key_however_it_arrives() {
        let event = KeyEvent::new(KeyCode::Tab, KeyModifiers::SHIFT);
        assert_eq!(vec![KeyPress::from(event)], sequence("Shift-Tab").unwrap());
    }
}
