//! The palette: all commands by name.

use ratatui::crossterm::event::{KeyCode, KeyEvent, MouseEvent};
use ratatui::layout::Position;

use super::{motion, typed};
use crate::tui::effect::Effect;
use crate::tui::keymap::motion::Motion;
use crate::tui::keymap::{Scope, listing};
use crate::tui::layout;
use crate::tui::state::State;
use crate::tui::state::overlay::Overlay;
use crate::tui::update::{command, global};

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(Overlay::Palette(listed)) = state.overlays.last_mut() else { return Vec::new() };
    match key.code {
        KeyCode::Esc => {
            state.overlays.pop();
            Vec::new()
        }
        KeyCode::Enter => run(state),
        _ => {
            if let Some(motion) = motion(key.into()) {
                moved(state, motion);
            } else {
                typed(listed, key);
            }
            Vec::new()
        }
    }
}

pub(super) fn run(state: &mut State) -> Vec<Effect> {
    let screen = state.focus();
    let Some(Overlay::Palette(listed)) = state.overlays.pop() else { return Vec::new() };
    let found = listing::palette(screen, listed.input.value());
    let Some((scope, binding)) = found.get(listed.place.selected) else { return Vec::new() };
    let mut effects = match scope {
        // A screen's command is done where its outcome is seen.
        Scope::Screen(other) if *other != screen => global::show(state, *other),
        _ => Vec::new(),
    };
    effects.extend(command(state, binding.command));
    effects
}

fn moved(state: &mut State, motion: Motion) {
    let page = usize::from(layout::listed_rows(state.size, true, 0).height);
    let screen = state.focus();
    let Some(Overlay::Palette(listed)) = state.overlays.last_mut() else { return };
    let count = listing::palette(screen, listed.input.value()).len();
    listed.place.go(motion, count, page);
}

pub(super) fn moused(state: &mut State, motion: Option<Motion>, mouse: MouseEvent) {
    if let Some(motion) = motion {
        return moved(state, motion);
    }
    let rows = layout::listed_rows(state.size, true, 0);
    let screen = state.focus();
    let Some(Overlay::Palette(listed)) = state.overlays.last_mut() else { return };
    if rows.contains(Position::new(mouse.column, mouse.row)) {
        let count = listing::palette(screen, listed.input.value()).len();
        let row = listed.place.top + usize::from(mouse.row - rows.y);
        listed.place.select(row, count, usize::from(rows.height));
    }
}
