//! What lies over a screen.

mod help;
mod messages;
mod palette;
mod question;
#[cfg(test)]
mod tests;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use crate::tui::layout::{self, centred};
use crate::tui::state::State;
use crate::tui::state::overlay::{Confirm, Listed, Overlay};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put, wrap};

pub(super) fn draw_all(state: &State, buffer: &mut Buffer) {
    for overlay in &state.overlays {
        match overlay {
            Overlay::Confirm(confirm) => draw_confirm(state, confirm, buffer),
            Overlay::Help(listed) => help::draw(state, listed, buffer),
            Overlay::Palette(listed) => palette::draw(state, listed, buffer),
            Overlay::Messages(listed) => messages::draw(state, listed, buffer),
            Overlay::Question(view) => question::draw(state, view, buffer),
        }
    }
}

/// Where the cursor is in the topmost overlay, where something is typed in it.
pub(super) fn cursor(state: &State) -> Option<Position> {
    let Some(Overlay::Help(listed) | Overlay::Palette(listed)) = state.overlays.last() else { return None };
    let inner = layout::inside(layout::listed(state.size));
    let column = u16::try_from(listed.input.visual_cursor()).ok()?.checked_add(PROMPT)?;
    (column < inner.width && inner.height > 0).then(|| Position::new(inner.x + column, inner.y))
}

/// Columns before what is typed.
const PROMPT: u16 = 3;

/// The line in which something is typed; returns the rows below it.
fn draw_input(state: &State, listed: &Listed, empty: &str, buffer: &mut Buffer) -> Rect {
    let inner = layout::inside(layout::listed(state.size));
    let mut line = Line::of(" > ", state.look.theme.style(Role::Key));
    if listed.input.value().is_empty() {
        line.push(empty, state.look.theme.style(Role::Dim));
    } else {
        line.push(listed.input.value(), Style::new());
    }
    put(buffer, Rect { height: inner.height.min(1), ..inner }, &line, state.look.symbols);
    layout::listed_rows(state.size, true, 0)
}

/// A row of a list; the selected one stands out by a mark, too.
fn draw_row(state: &State, row: Rect, selected: bool, line: Line, buffer: &mut Buffer) {
    let mut marked = Line::of(if selected { ">" } else { " " }, Style::new());
    marked.append(line);
    if selected {
        let style = state.look.theme.style(Role::Selected);
        buffer.set_style(row.intersection(buffer.area), style);
        marked = marked.patched(style);
    }
    put(buffer, row, &marked, state.look.symbols);
}

fn draw_confirm(state: &State, confirm: &Confirm, buffer: &mut Buffer) {
    let area = layout::under_overlays(state.size);
    let options = confirm.options.iter().map(|option| (option.key.to_string(), option.text.as_str()));
    let widest = confirm.lines.iter().map(|line| line.chars().count() + 2);
    let widest = widest.chain(options.clone().map(|(_, text)| text.chars().count() + 8));
    let width = widest.max().unwrap_or(0).max(confirm.title.len() + 8).max(30) + 2;
    let width = usize::from(area.width.saturating_sub(2)).min(width);
    let mut lines: Vec<Line> = Vec::new();
    for text in &confirm.lines {
        lines.extend(
            wrap(text, width.saturating_sub(4)).into_iter().map(|text| Line::of(&format!(" {text}"), Style::new())),
        );
    }
    lines.push(Line::default());
    for (key, text) in options.chain([("Esc".to_owned(), "do nothing")]) {
        let key = format!(" {key:>3}  ");
        for (number, text) in wrap(text, width.saturating_sub(9)).into_iter().enumerate() {
            let key = if number == 0 { key.clone() } else { " ".repeat(6) };
            let mut line = Line::of(&key, state.look.theme.style(Role::Key));
            line.push(&text, Style::new());
            lines.push(line);
        }
    }
    draw_box(state, &confirm.title, "", width, &lines, buffer);
}

/// A box in the middle with these lines; where there is no room for all, the last ones matter most.
fn draw_box(state: &State, title: &str, right: &str, width: usize, lines: &[Line], buffer: &mut Buffer) {
    let area = layout::under_overlays(state.size);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let place = centred(area, u16::try_from(width + 2).unwrap_or(u16::MAX), height);
    let style = state.look.theme.style(Role::Title);
    let inner = Panel::new(title).right(right, style).active(true).over().draw(place, &state.look, buffer);
    let surplus = lines.len().saturating_sub(usize::from(inner.height));
    for (row, line) in inner.rows().zip(&lines[surplus..]) {
        put(buffer, row, line, state.look.symbols);
    }
}
