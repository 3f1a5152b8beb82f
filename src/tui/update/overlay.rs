//! Keys and the mouse in what lies over a screen.

mod help;
mod messages;
mod palette;
pub(super) mod question;
#[cfg(test)]
mod tests;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, MouseEvent, MouseEventKind};
use tui_input::backend::crossterm::EventHandler as _;

pub(super) use messages::{line as message_line, opened as messages};

use super::global;
use crate::tui::effect::Effect;
use crate::tui::keymap::KeyPress;
use crate::tui::keymap::motion::Motion;
use crate::tui::state::State;
use crate::tui::state::list::Place;
use crate::tui::state::overlay::{Confirm, Listed, Overlay};

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let press = KeyPress::from(key);
    if press == ctrl('c') {
        // In a prompt it ends the prompt alone.
        if let Some(Overlay::Help(_) | Overlay::Palette(_)) = state.overlays.last() {
            state.overlays.pop();
            return Vec::new();
        }
        return global::interrupt(state);
    }
    if press == ctrl('l') {
        return vec![Effect::Redraw];
    }
    if press == ctrl('z') {
        return global::suspend(state);
    }
    match state.overlays.last() {
        Some(Overlay::Confirm(confirm)) => confirmed(confirm.clone(), state, press),
        Some(Overlay::Help(_)) => help::pressed(state, key),
        Some(Overlay::Palette(_)) => palette::pressed(state, key),
        Some(Overlay::Messages(_)) => messages::pressed(state, press),
        Some(Overlay::Question(_)) => question::pressed(state, press),
        None => Vec::new(),
    }
}

/// The mouse over the topmost overlay: the wheel moves, a click selects.
pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    let motion = match mouse.kind {
        MouseEventKind::ScrollUp => Some(Motion::Up),
        MouseEventKind::ScrollDown => Some(Motion::Down),
        MouseEventKind::Down(_) => None,
        _ => return Vec::new(),
    };
    match state.overlays.last() {
        Some(Overlay::Help(_)) => motion.into_iter().for_each(|motion| help::moved(state, motion)),
        Some(Overlay::Palette(_)) => palette::moused(state, motion, mouse),
        Some(Overlay::Messages(_)) => messages::moused(state, motion, mouse),
        _ => {}
    }
    Vec::new()
}

/// A double click on what is selected in the topmost overlay.
pub(super) fn opened(state: &mut State) -> Vec<Effect> {
    match state.overlays.last() {
        Some(Overlay::Palette(_)) => palette::run(state),
        Some(Overlay::Messages(_)) => messages::open(state),
        _ => Vec::new(),
    }
}

/// Text pasted where something is typed.
pub(super) fn pasted(state: &mut State, text: &str) {
    let Some(Overlay::Help(listed) | Overlay::Palette(listed)) = state.overlays.last_mut() else { return };
    for character in text.chars() {
        listed.input.handle(tui_input::InputRequest::InsertChar(character));
    }
    listed.place = Place::default();
}

pub(super) const fn ctrl(character: char) -> KeyPress {
    KeyPress { code: KeyCode::Char(character), ctrl: true, alt: false }
}

/// The movement of a key where letters are typed.
fn motion(press: KeyPress) -> Option<Motion> {
    match (press.code, press.ctrl) {
        (KeyCode::Up, false) | (KeyCode::Char('p'), true) => Some(Motion::Up),
        (KeyCode::Down, false) | (KeyCode::Char('n'), true) => Some(Motion::Down),
        (KeyCode::PageUp, _) => Some(Motion::PageUp),
        (KeyCode::PageDown, _) => Some(Motion::PageDown),
        _ => None,
    }
}

/// Types into the line of a list; what is found begins at its top again.
fn typed(listed: &mut Listed, key: KeyEvent) {
    let before = listed.input.value().to_owned();
    listed.input.handle_event(&Event::Key(key));
    if listed.input.value() != before {
        listed.place = Place::default();
    }
}

fn confirmed(confirm: Confirm, state: &mut State, press: KeyPress) -> Vec<Effect> {
    if press.code == KeyCode::Esc {
        state.overlays.pop();
        return Vec::new();
    }
    let plain = !press.ctrl && !press.alt;
    let chosen = confirm.options.into_iter().find(|option| plain && press.code == KeyCode::Char(option.key));
    match chosen {
        Some(option) => {
            state.overlays.pop();
            option.effects
        }
        None => Vec::new(),
    }
}
