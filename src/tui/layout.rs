//! Where things are on the screen, by its size: pure, and the same for drawing and for moving.

pub(super) mod builds;
pub(super) mod cache;
pub(super) mod guests;
pub(super) mod history;
pub(super) mod proxy;

use ratatui::layout::{Constraint, Layout, Rect, Size};

pub(super) mod templates;

/// How much there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// A line of status and the last line of the log.
    Tiny,
    /// One screen without borders.
    Compact,
    /// One screen at a time: from 80x24.
    Normal,
    /// Builds on the left, the log on the right: from 100x30.
    Wide,
    /// Everything at once: from 140x36.
    Dashboard,
}

/// How much there is room for in a terminal of this size.
pub(super) const fn room(size: Size) -> Room {
    match (size.width, size.height) {
        (140.., 36..) => Room::Dashboard,
        (100.., 30..) => Room::Wide,
        (80.., 24..) => Room::Normal,
        (60.., 15..) => Room::Compact,
        _ => Room::Tiny,
    }
}

/// The parts every screen has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The line at the top: what it is about, and the screens.
    pub(super) top: Rect,
    /// What the screen fills.
    pub(super) body: Rect,
    /// The line of hints.
    pub(super) hints: Rect,
    /// The line of status at the bottom.
    pub(super) status: Rect,
}

/// The parts of a terminal of this size.
pub(super) fn frame(size: Size) -> Frame {
    let area = Rect::new(0, 0, size.width, size.height);
    let [top, body, hints, status] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1), Constraint::Length(1)])
            .areas(area);
    Frame { top, body, hints, status }
}

/// What is inside of a pane at `area`, as [`super::widget::panel::Panel`] draws it with lines at its sides.
pub(super) fn within_panel(area: Rect, size: Size) -> Rect {
    let area = area.intersection(Rect::new(0, 0, size.width, size.height));
    if area.is_empty() {
        return area;
    }
    if room(size) <= Room::Compact || area.height < 3 || area.width < 4 {
        return Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

/// A box of at most this size in the middle of `area`.
pub(super) fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
}

/// What overlays may cover: the body, or everything where that is too small.
pub(super) fn under_overlays(size: Size) -> Rect {
    if room(size) == Room::Tiny { Rect::new(0, 0, size.width, size.height) } else { frame(size).body }
}

/// The place of a list over the screen, with its lines around.
pub(super) fn listed(size: Size) -> Rect {
    let area = under_overlays(size);
    let margin = if room(size) >= Room::Wide { 4 } else { 0 };
    centred(area, area.width.saturating_sub(margin).min(110), area.height.saturating_sub(margin / 2))
}

/// What is inside of lines around.
pub(super) fn inside(area: Rect) -> Rect {
    if area.width < 4 || area.height < 3 {
        // Too small for lines: a title alone.
        return Rect { y: area.y + u16::from(area.height > 0), height: area.height.saturating_sub(1), ..area };
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

/// Lines of the selected message's full text, below the list of messages.
pub(super) const MESSAGE_LINES: u16 = 4;

/// The rows of a list over the screen: below the line that is typed in, if it has one; above the details, if it has any.
pub(super) fn listed_rows(size: Size, typed: bool, details: u16) -> Rect {
    let inner = inside(listed(size));
    let head = u16::from(typed).min(inner.height);
    let foot = if inner.height > details + head + 2 { details } else { 0 };
    Rect { y: inner.y + head, height: inner.height - head - foot, ..inner }
}
