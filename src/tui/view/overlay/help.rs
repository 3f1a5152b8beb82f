//! Help.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use super::draw_input;
use crate::tui::keymap::listing::{self, HelpRow};
use crate::tui::layout;
use crate::tui::state::State;
use crate::tui::state::overlay::Listed;
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};

/// Columns for keys.
const KEYS: usize = 26;

pub(super) fn draw(state: &State, listed: &Listed, buffer: &mut Buffer) {
    let title = format!("Help: {}", state.screen.as_str());
    let place = layout::listed(state.size);
    Panel::new(&title).right("Esc back", Style::new()).active(true).over().draw(place, &state.look, buffer);
    let area = draw_input(state, listed, "type to search", buffer);
    let rows = listing::help(&state.keymap, state.focus(), listed.input.value());
    let theme = state.look.theme;
    if rows.is_empty() {
        put(buffer, area, &Line::of(" no key has these words", Style::new()), state.look.symbols);
    }
    for (place, row) in area.rows().zip(rows.iter().skip(listed.place.top)) {
        let line = match row {
            HelpRow::Heading(text) => Line::of(&format!(" {text}"), theme.style(Role::Title)),
            HelpRow::Keys(keys, help, name) => {
                let mut line =
                    Line::of(&format!("   {} ", fit(keys, KEYS, state.look.symbols)), theme.style(Role::Key));
                line.push(help, Style::new());
                if !name.is_empty() && area.width > 90 {
                    line.push(&format!("  {name}"), theme.style(Role::Dim));
                }
                line
            }
        };
        put(buffer, place, &line, state.look.symbols);
    }
}
