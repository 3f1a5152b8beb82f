//! The Builds screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::tui::state::State;
use crate::tui::widget::panel::Panel;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    Panel::new("Builds").active(true).draw(area, &state.look, buffer);
}
