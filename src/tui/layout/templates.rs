//! Where things are on the Templates screen.

use ratatui::layout::{Constraint, Layout, Rect, Size};

use super::{Room, frame, room};

/// The panes in which a template is chosen.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Browser {
    /// The list.
    pub(in crate::tui) list: Rect,
    /// What is said of the selected one.
    pub(in crate::tui) preview: Rect,
}

/// The panes of the form.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Form {
    /// The fields.
    pub(in crate::tui) fields: Rect,
    /// What is said of the field that has the keys.
    pub(in crate::tui) about: Rect,
    /// The file that will be written; empty where there is no room.
    pub(in crate::tui) result: Rect,
}

/// The panes in which one of `count` templates is chosen.
pub(in crate::tui) fn browser(size: Size, zoomed: bool, count: usize) -> Browser {
    let body = frame(size).body;
    if zoomed {
        return Browser { list: body, preview: Rect { height: 0, ..body } };
    }
    if room(size) >= Room::Wide {
        let [list, preview] = Layout::horizontal([Constraint::Percentage(48), Constraint::Fill(1)]).areas(body);
        return Browser { list, preview };
    }
    // The list as high as it needs to be, and half of the screen at most.
    let wanted = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(frame_rows(size) + 1);
    let height = wanted.clamp(5, (body.height / 2).max(5)).min(body.height);
    let [list, preview] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(body);
    Browser { list, preview }
}

/// The panes of the form.
pub(in crate::tui) fn form(size: Size) -> Form {
    let body = frame(size).body;
    let (about, result) = match room(size) {
        Room::Tiny | Room::Compact => (4, 0),
        Room::Normal => (5, 5),
        Room::Wide | Room::Dashboard => (7, 12),
    };
    let [fields, about, result] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(about), Constraint::Length(result)]).areas(body);
    Form { fields, about, result }
}

/// Rows that lines around a pane, or its title, take.
fn frame_rows(size: Size) -> u16 {
    if room(size) <= Room::Compact { 1 } else { 2 }
}

/// Rows inside a pane.
pub(in crate::tui) fn rows(area: Rect, size: Size) -> usize {
    usize::from(area.height.saturating_sub(frame_rows(size)))
}
