//! Where things are on the History screen.

use ratatui::layout::{Constraint, Layout, Rect};

use super::{Room, frame, room, within_panel};
use crate::tui::state::State;
use crate::tui::state::history::View;

/// The panes of the screen; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Parts {
    /// Runs.
    pub(in crate::tui) list: Rect,
    /// The selected run, or two side by side.
    pub(in crate::tui) detail: Rect,
}

/// Lines above the rows of a run, or of two.
pub(in crate::tui) const FACTS: u16 = 3;

/// The panes.
pub(in crate::tui) fn parts(state: &State) -> Parts {
    let body = frame(state.size).body;
    let (list, detail) = (Parts { list: body, ..Parts::default() }, Parts { detail: body, ..Parts::default() });
    let room = room(state.size);
    match state.history.view {
        View::Diff(_) => detail,
        View::Run if state.zoomed || room <= Room::Normal => detail,
        View::List if state.zoomed || room <= Room::Compact => list,
        View::List if room == Room::Normal => {
            let [list, detail] = Layout::vertical([Constraint::Fill(1), Constraint::Length(10)]).areas(body);
            Parts { list, detail }
        }
        View::List | View::Run => {
            let [list, detail] =
                Layout::horizontal([Constraint::Percentage(55), Constraint::Percentage(45)]).areas(body);
            Parts { list, detail }
        }
    }
}

/// The table of runs.
pub(in crate::tui) fn list(state: &State) -> Rect {
    within_panel(parts(state).list, state.size)
}

/// The table below the facts of a run, or of two.
pub(in crate::tui) fn rows(state: &State) -> Rect {
    let inner = within_panel(parts(state).detail, state.size);
    let facts = FACTS.min(inner.height);
    Rect { y: inner.y + facts, height: inner.height - facts, ..inner }
}
