//! Where things are on the Cache screen.

use ratatui::layout::{Constraint, Layout, Rect};

use super::{Room, frame, room, within_panel};
use crate::tui::state::State;
use crate::tui::state::cache::Pane;

/// The panes of the screen; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Parts {
    /// Hosts, folders and entries.
    pub(in crate::tui) tree: Rect,
    /// What is selected.
    pub(in crate::tui) detail: Rect,
}

/// The panes.
pub(in crate::tui) fn parts(state: &State) -> Parts {
    let body = frame(state.size).body;
    let detail = state.cache.pane == Pane::Detail;
    if state.zoomed || room(state.size) <= Room::Compact {
        return if detail {
            Parts { detail: body, ..Parts::default() }
        } else {
            Parts { tree: body, ..Parts::default() }
        };
    }
    let rows = if room(state.size) == Room::Normal { 9 } else { 11 };
    let [tree, detail] = Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(body);
    Parts { tree, detail }
}

/// The rows of the tree: the line with the names of the columns is not one.
pub(in crate::tui) fn rows(state: &State) -> Rect {
    let tree = within_panel(parts(state).tree, state.size);
    Rect { y: tree.y + tree.height.min(1), height: tree.height.saturating_sub(1), ..tree }
}
