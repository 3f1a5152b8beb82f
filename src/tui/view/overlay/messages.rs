//! Errors and warnings.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw_row;
use crate::tui::layout::{self, MESSAGE_LINES};
use crate::tui::state::State;
use crate::tui::state::overlay::Listed;
use crate::tui::state::run::{Message, Severity};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put, wrap};

pub(super) fn draw(state: &State, listed: &Listed, buffer: &mut Buffer) {
    let all: Vec<&Message> = state.run.troubles().collect();
    let errors = all.iter().filter(|message| message.severity == Severity::Error).count();
    let counts = format!("errors {errors}  warnings {}  Esc back", all.len() - errors);
    let place = layout::listed(state.size);
    Panel::new("Messages").right(&counts, Style::new()).active(true).over().draw(place, &state.look, buffer);
    let rows = layout::listed_rows(state.size, false, MESSAGE_LINES);
    if all.is_empty() {
        put(buffer, rows, &Line::of(" no errors and no warnings", Style::new()), state.look.symbols);
    }
    for (row, (number, message)) in rows.rows().zip(all.iter().enumerate().skip(listed.place.top)) {
        draw_row(state, row, number == listed.place.selected, line(state, message), buffer);
    }
    let inner = layout::inside(place);
    let below = Rect { y: rows.bottom(), height: inner.bottom().saturating_sub(rows.bottom()), ..inner };
    if let (Some(message), false) = (all.get(listed.place.selected), below.is_empty()) {
        draw_whole(state, message, below, buffer);
    }
}

fn line(state: &State, message: &Message) -> Line {
    let theme = state.look.theme;
    let (symbol, role) = match message.severity {
        Severity::Error => ("x", Role::Bad),
        Severity::Warning => ("!", Role::Warning),
        Severity::Info => (" ", Role::Text),
    };
    let mut line =
        Line::of(&message.time.to_zoned(state.look.zone.clone()).strftime(" %H:%M:%S ").to_string(), Style::new());
    line.push(&format!("{symbol} {} ", fit(message.severity.as_str(), 7, state.look.symbols)), theme.style(role));
    if let Some(build) = &message.build {
        line.push(&format!("{build}  "), theme.style(Role::Title));
    }
    line.push(&message.text, Style::new());
    line
}

/// The selected message, whole as far as there is room.
fn draw_whole(state: &State, message: &Message, area: Rect, buffer: &mut Buffer) {
    let symbols = state.look.symbols;
    let rule = symbols.horizontal.repeat(usize::from(area.width));
    put(buffer, Rect { height: 1, ..area }, &Line::of(&rule, state.look.theme.style(Role::Border)), symbols);
    let text = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let width = usize::from(text.width.saturating_sub(2));
    let lines: Vec<String> = message.text.lines().flat_map(|line| wrap(line, width)).collect();
    for (row, line) in text.rows().zip(&lines) {
        put(buffer, row, &Line::of(&format!(" {line}"), Style::new()), symbols);
    }
}
