//! Texts, and the picking of a file.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::state::State;
use crate::tui::state::templates::form::Wizard;
use crate::tui::state::templates::picker::Picker;
use crate::tui::state::templates::text::{self, Reader, TextLine};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};

/// The words in lines of at most `width` columns; a word that is longer has a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(last) if last.width() + 1 + word.width() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn lines(state: &State, lines: &[TextLine], top: usize, left: usize, area: Rect, buffer: &mut Buffer) {
    for (row, (role, text)) in area.rows().zip(lines.iter().skip(top)) {
        let text: String = text.chars().skip(left).collect();
        put(buffer, row, &Line::of(&format!(" {text}"), state.look.theme.style(*role)), state.look.symbols);
    }
}

/// How far one is in a text.
fn position(top: usize, rows: usize, count: usize) -> String {
    if count <= rows { format!("{count} lines") } else { format!("{}-{} of {count}", top + 1, (top + rows).min(count)) }
}

pub(super) fn reader(state: &State, reader: &Reader, area: Rect, buffer: &mut Buffer) {
    let rows = crate::tui::layout::templates::rows(area, state.size);
    let right = match &reader.lines {
        None => "looking ...".to_owned(),
        Some(lines) => position(reader.place.top, rows, lines.len()),
    };
    let style = state.look.theme.style(Role::Dim);
    // Open at its sides, so that the terminal's own selection takes text alone.
    let inner = Panel::new(&reader.title).active(true).open().right(&right, style).draw(area, &state.look, buffer);
    lines(state, reader.lines.as_deref().unwrap_or_default(), reader.place.top, reader.left, inner, buffer);
}

pub(super) fn review(state: &State, wizard: &Wizard, area: Rect, buffer: &mut Buffer) {
    let found = text::review(wizard);
    let rows = crate::tui::layout::templates::rows(area, state.size);
    let right = format!("{}  {}", wizard.card.name, position(wizard.place.top, rows, found.len()));
    let style = state.look.theme.style(Role::Dim);
    let title = super::steps(3);
    let inner = Panel::new(&title).active(true).right(&right, style).draw(area, &state.look, buffer);
    lines(state, &found, wizard.place.top, 0, inner, buffer);
}

pub(super) fn picker(state: &State, picker: &Picker, area: Rect, buffer: &mut Buffer) {
    let symbols = state.look.symbols;
    let title = format!("pick a file: {}", picker.directory.display());
    let style = state.look.theme.style(Role::Dim);
    let inner =
        Panel::new(&title).active(true).right("Enter its path  c its text", style).draw(area, &state.look, buffer);
    let entries = picker.entries.as_deref().unwrap_or_default();
    for (row, (index, entry)) in inner.rows().zip(entries.iter().enumerate().skip(picker.place.top)) {
        let selected = index == picker.place.selected;
        let mark = if selected { ">" } else { " " };
        let slash = if entry.is_directory { "/" } else { "" };
        let text = fit(&format!("{mark} {}{slash}", entry.name), usize::from(row.width), symbols);
        let style = if selected { state.look.theme.style(Role::Selected) } else { Style::new() };
        put(buffer, row, &Line::of(&text, style), symbols);
    }
}
