//! Where things are on the Builds screen and on the Log screen: the same panes, arranged by the room there is.

use ratatui::layout::{Constraint, Layout, Rect};

use super::{Room, frame, room, within_panel};
use crate::tui::state::builds::Pane;
use crate::tui::state::{Screen, State};

/// The panes; an empty one is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tui) struct Parts {
    /// Builds.
    pub(in crate::tui) list: Rect,
    /// Steps of the selected build.
    pub(in crate::tui) steps: Rect,
    /// Its log; on a small Builds screen what came of it, once it has ended.
    pub(in crate::tui) log: Rect,
    /// What is downloaded.
    pub(in crate::tui) proxy: Rect,
    /// What is to be looked at.
    pub(in crate::tui) messages: Rect,
}

impl Parts {
    /// Where a pane is.
    pub(in crate::tui) const fn pane(&self, pane: Pane) -> Rect {
        match pane {
            Pane::List => self.list,
            Pane::Steps => self.steps,
            Pane::Log => self.log,
            Pane::Proxy => self.proxy,
            Pane::Messages => self.messages,
        }
    }

    /// Nothing but this pane.
    fn only(pane: Pane, area: Rect) -> Self {
        let mut parts = Self::default();
        match pane {
            Pane::List => parts.list = area,
            Pane::Steps => parts.steps = area,
            Pane::Log => parts.log = area,
            Pane::Proxy => parts.proxy = area,
            Pane::Messages => parts.messages = area,
        }
        parts
    }
}

/// The panes of the screen that is shown.
pub(in crate::tui) fn parts(state: &State) -> Parts {
    let body = frame(state.size).body;
    if state.zoomed {
        return Parts::only(state.pane(), body);
    }
    let rows = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    if state.screen == Screen::Log {
        log(body, room(state.size), rows(state.step_rows().len()))
    } else {
        builds(body, room(state.size), rows(state.builds.rows.len()))
    }
}

fn builds(body: Rect, room: Room, count: u16) -> Parts {
    let fill = Constraint::Fill(1);
    let fixed = Constraint::Length;
    let mut parts = Parts::default();
    // Titles of columns, and the lines above and below.
    let list = |most: u16| fixed(count.saturating_add(3).clamp(4, most.max(4)));
    match room {
        Room::Tiny | Room::Compact => {
            [parts.list, parts.log, parts.proxy] = Layout::vertical([list(7), fill, fixed(1)]).areas(body);
        }
        Room::Normal => {
            [parts.list, parts.log, parts.proxy, parts.messages] =
                Layout::vertical([list(body.height - 12), fill, fixed(4), fixed(3)]).areas(body);
        }
        Room::Wide | Room::Dashboard => {
            let (left, proxy, messages) = match room {
                Room::Dashboard => (37, (body.height / 4).clamp(8, 12), (body.height / 6).clamp(4, 10)),
                _ => (40, 3, 3),
            };
            let [main, proxy, messages] = Layout::vertical([fill, fixed(proxy), fixed(messages)]).areas(body);
            (parts.proxy, parts.messages) = (proxy, messages);
            let [left, right] = Layout::horizontal([Constraint::Percentage(left), fill]).areas(main);
            parts.log = right;
            [parts.list, parts.steps] = Layout::vertical([list(main.height / 2), fill]).areas(left);
        }
    }
    parts
}

fn log(body: Rect, room: Room, steps: u16) -> Parts {
    let fill = Constraint::Fill(1);
    let mut parts = Parts::default();
    match room {
        Room::Tiny | Room::Compact => {
            [parts.steps, parts.log] = Layout::vertical([Constraint::Length(1), fill]).areas(body);
        }
        Room::Normal => {
            let rows = steps.div_ceil(2).clamp(1, 7);
            [parts.steps, parts.log] = Layout::vertical([Constraint::Length(rows + 2), fill]).areas(body);
        }
        Room::Wide | Room::Dashboard => {
            [parts.steps, parts.log] = Layout::horizontal([Constraint::Percentage(36), fill]).areas(body);
        }
    }
    parts
}

/// The rows of the list, with the titles of its columns.
pub(in crate::tui) fn list_rows(state: &State) -> Rect {
    within_panel(parts(state).list, state.size)
}

/// The rows of messages that are seen: above them is the oldest question, if one is open.
pub(in crate::tui) fn message_rows(state: &State) -> Rect {
    let inner = within_panel(parts(state).messages, state.size);
    let asked = u16::from(!state.run.questions.is_empty()).min(inner.height);
    Rect { y: inner.y + asked, height: inner.height - asked, ..inner }
}

/// The rows of the steps.
pub(in crate::tui) fn step_rows(state: &State) -> Rect {
    within_panel(parts(state).steps, state.size)
}

/// Whether steps are in two columns.
pub(in crate::tui) const fn two_columns(steps: Rect) -> bool {
    steps.width >= 70 && steps.height < 10
}

/// The lines of the log: it has no lines at its sides.
pub(in crate::tui) fn log_rows(state: &State) -> Rect {
    let area = parts(state).log;
    let inner = within_panel(area, state.size);
    Rect { x: area.x, width: area.width, ..inner }
}
