//! The Cache screen.

mod detail;

use std::time::SystemTime;

use larder_proxy::inspect::Variant;
use larder_proxy::store::time_of;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::proxy::filter_text;
use crate::output::text::bytes;
use crate::tui::layout::cache::parts;
use crate::tui::layout::within_panel;
use crate::tui::state::State;
use crate::tui::state::cache::rows::Row;
use crate::tui::state::cache::{Pane, Sort};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, put};

const COLUMNS: &[Column] = &[
    Column::new("M", Width::Fixed(1)),
    Column::new("HOST / PATH", Width::Fill(36)),
    Column::new("LAST USED", Width::Fixed(16)).rank(5),
    Column::new("PIN", Width::Fixed(4)).right().rank(4),
    Column::new("ENTRIES", Width::Fixed(7)).right().rank(3),
    Column::new("SIZE", Width::Fixed(9)).right(),
    Column::new("HITS", Width::Fixed(6)).right().rank(2),
    Column::new("FRESH", Width::Fixed(6)).right().rank(1),
];

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if !parts.tree.is_empty() {
        tree(state, parts.tree, buffer);
    }
    if !parts.detail.is_empty() {
        detail::draw(state, parts.detail, buffer);
    }
}

fn tree(state: &State, area: Rect, buffer: &mut Buffer) {
    let cache = &state.cache;
    let active = cache.pane == Pane::Tree;
    let panel = Panel::new("Cache").active(active).right(&condition(state, usize::from(area.width)), Style::new());
    let _ = panel.draw(area, &state.look, buffer);
    let inner = within_panel(area, state.size);
    let table = Table::new(COLUMNS).active(active);
    table.draw(inner, cache.place, cache.rows.len(), &state.look, buffer, |at| cells(state, at));
    if cache.rows.is_empty() {
        let row = Rect { y: inner.y + inner.height.min(2), height: 1.min(inner.height.saturating_sub(2)), ..inner };
        let (text, role) = match (&cache.failed, cache.loading) {
            (Some(why), _) => (format!(" {why}"), Role::Bad),
            (None, true) => (" reading the index".to_owned(), Role::Dim),
            (None, false) if cache.text().is_some() => {
                (" no URL has that; \\ turns the filter off".to_owned(), Role::Dim)
            }
            (None, false) => (" nothing is stored yet".to_owned(), Role::Dim),
        };
        put(buffer, row, &Line::of(&text, state.look.theme.style(role)), state.look.symbols);
    }
}

/// How much there is, and what of it is shown. In a pane of this width; the filter is cut where need be.
fn condition(state: &State, width: usize) -> String {
    let cache = &state.cache;
    let mut parts = Vec::new();
    if cache.sort != Sort::Name {
        parts.push(format!("by {}", cache.sort.as_str()));
    }
    if !cache.marks.is_empty() {
        parts.push(format!("{} marked", cache.marks.len()));
    }
    if cache.root.is_some() {
        parts.push(format!("{} in {} entries", bytes(cache.stats.bytes), cache.stats.entries));
    }
    if cache.loading {
        parts.push("reading".to_owned());
    }
    if !cache.filter.is_empty() {
        let used: usize = parts.iter().map(|part| part.len() + 2).sum();
        let room = width.saturating_sub(used + FRAME);
        parts.insert(0, filter_text(&cache.filter, cache.filter_on, room, state.look.symbols));
    }
    parts.join("  ")
}

/// Columns of the title line that are taken by the title, the lines around and the spaces between.
const FRAME: usize = 20;

fn cells(state: &State, at: usize) -> Vec<Line> {
    let Some(row) = state.cache.rows.get(at) else { return Vec::new() };
    let theme = state.look.theme;
    let (plain, dim) = (Style::new(), theme.style(Role::Dim));
    let mark = if state.cache.marks.contains_key(&row.key()) { "*" } else { "" };
    let indent = "  ".repeat(row.depth());
    let mut name = Line::of(&indent, plain);
    let told = match row {
        Row::Folder { name: text, sums, open, .. } => {
            name.push(&format!("{} ", state.look.symbols.branches[usize::from(*open)]), dim);
            name.push(text, if row.depth() == 0 { theme.style(Role::Title) } else { plain });
            let percent = sums.fresh * 100 / sums.entries.max(1);
            let role = if percent == 100 { Role::Good } else { Role::Text };
            [
                (date(time_of(sums.last_used), state), dim),
                (if sums.pinned > 0 { sums.pinned.to_string() } else { String::new() }, theme.style(Role::Key)),
                (sums.entries.to_string(), plain),
                (bytes(sums.bytes), plain),
                (sums.uses.to_string(), plain),
                (format!("{percent}%"), theme.style(role)),
            ]
        }
        Row::Entry { variant, .. } => {
            let entry = &variant.entry;
            name.push("  ", plain);
            name.push(row.name(), plain);
            let role = if variant.usable { Role::Good } else { Role::Warning };
            [
                (date(entry.last_used, state), dim),
                (if entry.pinned { "yes".to_owned() } else { String::new() }, theme.style(Role::Key)),
                ("1".to_owned(), plain),
                (bytes(entry.size), plain),
                (entry.uses.to_string(), plain),
                (fresh(variant), theme.style(role)),
            ]
        }
        Row::More { count, coming, .. } => {
            let text = if *coming { "reading".to_owned() } else { format!("{count} more; & narrows them down") };
            name.push(&format!("  {text}"), dim);
            [const { String::new() }; 6].map(|text| (text, plain))
        }
    };
    let mut cells = vec![Line::of(mark, theme.style(Role::Key)), name];
    cells.extend(told.map(|(text, style)| Line::of(&text, style)));
    cells
}

/// For how long it is served without asking: `always`, `23h`, `stale`.
fn fresh(variant: &Variant) -> String {
    if !variant.usable {
        return "stale".to_owned();
    }
    if variant.lasts {
        return "always".to_owned();
    }
    match variant.lifetime.saturating_sub(variant.age) {
        left @ 0..60 => format!("{left}s"),
        left @ 60..3600 => format!("{}m", left / 60),
        left @ 3600..172_800 => format!("{}h", left / 3600),
        left => format!("{}d", left / 86_400),
    }
}

/// Day and time.
fn date(time: SystemTime, state: &State) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or_default().to_zoned(state.look.zone.clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests;
