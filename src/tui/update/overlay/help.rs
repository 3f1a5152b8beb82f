//! Help.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{motion, typed};
use crate::tui::effect::Effect;
use crate::tui::keymap::listing;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout;
use crate::tui::state::State;
use crate::tui::state::overlay::Overlay;

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Help(listed)) = state.overlays.last_mut() else { return Vec::new() };
    if key.code == KeyCode::Esc || (key.code == KeyCode::Char('?') && listed.input.value().is_empty()) {
        state.overlays.pop();
    } else if let Some(motion) = motion(key.into()) {
        moved(state, motion);
    } else {
        typed(listed, key);
    }
    Vec::new()
}

/// Moves the text, not a selection.
pub(super) fn moved(state: &mut State, motion: Motion) {
    let page = usize::from(layout::listed_rows(state.size, true, 0).height);
    let screen = state.focus();
    let Some(Overlay::Help(listed)) = state.overlays.last_mut() else { return };
    let rows = listing::help(&state.keymap, screen, listed.input.value()).len();
    let tops = rows.saturating_sub(page) + 1;
    listed.place.top = motion.apply(listed.place.top, tops, page);
}
