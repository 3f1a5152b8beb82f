//! Where things are on the Guests screen.

use ratatui::layout::{Constraint, Layout, Rect};

use super::{Room, frame, room, within_panel};
use crate::tui::state::State;

/// The panes of the screen; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Parts {
    /// Runs that have something on the machine.
    pub(in crate::tui) list: Rect,
    /// The selected one.
    pub(in crate::tui) detail: Rect,
}

/// The panes.
pub(in crate::tui) fn parts(state: &State) -> Parts {
    let body = frame(state.size).body;
    match (state.guests.opened, state.zoomed || room(state.size) <= Room::Compact) {
        (false, true) => Parts { list: body, ..Parts::default() },
        (true, true) => Parts { detail: body, ..Parts::default() },
        (_, false) => {
            let [list, detail] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(body);
            Parts { list, detail }
        }
    }
}

/// The table of runs.
pub(in crate::tui) fn list(state: &State) -> Rect {
    within_panel(parts(state).list, state.size)
}

/// What is inside of the lower pane.
pub(in crate::tui) fn detail(state: &State) -> Rect {
    within_panel(parts(state).detail, state.size)
}
