//! Where things are on the Proxy screen.

use ratatui::layout::{Constraint, Layout, Rect};

use super::{Room, frame, room, within_panel};
use crate::tui::state::proxy::Pane;
use crate::tui::state::{Screen, State};

/// The panes of the screen; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Parts {
    /// Requests.
    pub(in crate::tui) list: Rect,
    /// The selected one.
    pub(in crate::tui) detail: Rect,
    /// Sums.
    pub(in crate::tui) totals: Rect,
}

/// The panes.
pub(in crate::tui) fn parts(state: &State) -> Parts {
    let body = frame(state.size).body;
    let detail = state.proxy.pane == Pane::Detail;
    if state.zoomed {
        return if detail {
            Parts { detail: body, ..Parts::default() }
        } else {
            Parts { list: body, ..Parts::default() }
        };
    }
    // Where there is no room for both, the pane with the keys is shown.
    let (detail_rows, totals_rows) = match room(state.size) {
        Room::Dashboard | Room::Wide => (11, 3),
        Room::Normal => (8, 3),
        Room::Compact | Room::Tiny => (0, 2),
    };
    if detail_rows == 0 {
        let [main, totals] = Layout::vertical([Constraint::Fill(1), Constraint::Length(totals_rows)]).areas(body);
        return if detail {
            Parts { detail: main, totals, ..Parts::default() }
        } else {
            Parts { list: main, totals, ..Parts::default() }
        };
    }
    let [list, detail, totals] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(detail_rows), Constraint::Length(totals_rows)])
            .areas(body);
    Parts { list, detail, totals }
}

/// The requests within the pane of the Builds screen: below them are two lines of sums.
pub(in crate::tui) const fn dashboard(pane: Rect) -> Rect {
    Rect { height: pane.height.saturating_sub(2), ..pane }
}

/// The rows of the list: the line with the names of the columns is not one.
pub(in crate::tui) fn rows(state: &State) -> Rect {
    let list =
        if state.screen == Screen::Builds { dashboard(super::builds::parts(state).proxy) } else { parts(state).list };
    let list = within_panel(list, state.size);
    Rect { y: list.y + list.height.min(1), height: list.height.saturating_sub(1), ..list }
}
