//! What lies over a screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::layout::centred;
use crate::tui::state::State;
use crate::tui::state::overlay::{Confirm, Overlay};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};

pub(super) fn draw(state: &State, overlay: &Overlay, area: Rect, buffer: &mut Buffer) {
    match overlay {
        Overlay::Confirm(confirm) => draw_confirm(state, confirm, area, buffer),
        Overlay::Help(_) | Overlay::Palette(_) | Overlay::Messages(_) | Overlay::Question(_) => {}
    }
}

fn draw_confirm(state: &State, confirm: &Confirm, area: Rect, buffer: &mut Buffer) {
    let mut lines: Vec<Line> = Vec::new();
    for text in &confirm.lines {
        lines.push(Line::of(&format!(" {text}"), Style::new()));
    }
    lines.push(Line::default());
    for option in &confirm.options {
        let mut line = Line::default();
        line.push(&format!("   {}  ", option.key), state.look.theme.style(Role::Key));
        line.push(&option.text, Style::new());
        lines.push(line);
    }
    lines.push(Line::of("   Esc  do nothing", Style::new()));
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(confirm.title.len() + 8);
    let width = u16::try_from(widest + 4).unwrap_or(u16::MAX);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let place = centred(area, width, height);
    let inner = Panel::new(&confirm.title).active(true).over().draw(place, &state.look, buffer);
    for (row, line) in inner.rows().zip(&lines) {
        put(buffer, row, line, state.look.symbols);
    }
}
