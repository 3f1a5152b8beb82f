//! The palette.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::{draw_input, draw_row};
use crate::tui::keymap::listing;
use crate::tui::layout;
use crate::tui::state::State;
use crate::tui::state::overlay::Listed;
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};

pub(super) fn draw(state: &State, listed: &Listed, buffer: &mut Buffer) {
    let place = layout::listed(state.size);
    Panel::new("Commands").right("Enter do it  Esc back", Style::new()).active(true).over().draw(
        place,
        &state.look,
        buffer,
    );
    let area = draw_input(state, listed, "type letters of a command", buffer);
    let found = listing::palette(state.focus(), listed.input.value());
    let (theme, symbols) = (state.look.theme, state.look.symbols);
    if found.is_empty() {
        put(buffer, area, &Line::of(" no command has these letters", Style::new()), symbols);
    }
    let shown = found.iter().enumerate().skip(listed.place.top);
    for (row, (number, (_, binding))) in area.rows().zip(shown) {
        let mut line = Line::of(&format!(" {} ", fit(binding.name, 24, symbols)), Style::new());
        let keys = listing::keys(&state.keymap, binding);
        line.push(&format!("{} ", fit(&keys, 12, symbols)), theme.style(Role::Key));
        line.push(binding.help, Style::new());
        draw_row(state, row, number == listed.place.selected, line, buffer);
    }
}
