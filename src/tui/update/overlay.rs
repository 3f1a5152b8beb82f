//! Keys in what lies over a screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::global;
use crate::tui::effect::Effect;
use crate::tui::keymap::KeyPress;
use crate::tui::state::State;
use crate::tui::state::overlay::{Confirm, Overlay};

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let press = KeyPress::from(key);
    if press == (KeyPress { code: KeyCode::Char('c'), ctrl: true, alt: false }) {
        return global::interrupt(state);
    }
    if press.code == KeyCode::Esc {
        state.overlays.pop();
        return Vec::new();
    }
    match state.overlays.last() {
        Some(Overlay::Confirm(confirm)) => confirmed(confirm.clone(), state, press),
        _ => Vec::new(),
    }
}

fn confirmed(confirm: Confirm, state: &mut State, press: KeyPress) -> Vec<Effect> {
    let chosen = confirm.options.into_iter().find(|option| press.code == KeyCode::Char(option.key));
    match chosen {
        Some(option) => {
            state.overlays.pop();
            option.effects
        }
        None => Vec::new(),
    }
}
