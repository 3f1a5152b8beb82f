//! The History screen.

use ratatui::crossterm::event::MouseEvent;

use crate::tui::effect::Effect;
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::history::Action;
use crate::tui::keymap::motion::Motion;
use crate::tui::state::State;
use crate::tui::state::overlay::BarKind;

pub(super) fn action(_state: &mut State, action: Action) -> Vec<Effect> {
    match action {}
}

pub(super) fn global(_state: &mut State, _action: Global) -> Option<Vec<Effect>> {
    None
}

pub(super) fn moved(_state: &mut State, _motion: Motion) -> Vec<Effect> {
    Vec::new()
}

pub(super) fn moused(_state: &mut State, _mouse: MouseEvent) -> Vec<Effect> {
    Vec::new()
}

pub(super) fn searched(_state: &mut State, _kind: BarKind, _query: &str) -> Vec<Effect> {
    Vec::new()
}

/// The screen comes into view.
pub(super) fn shown(_state: &mut State) -> Vec<Effect> {
    Vec::new()
}

pub(super) fn done(_state: &mut State, done: crate::tui::effect::history::Done) -> Vec<Effect> {
    match done {}
}
