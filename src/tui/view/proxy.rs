//! The Proxy screen.

mod detail;
pub(super) mod totals;

use jiff::Timestamp;
use larder_proxy::flow::{Flow, Outcome};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::output::text::bytes;
use crate::tui::layout::proxy::parts;
use crate::tui::layout::within_panel;
use crate::tui::state::proxy::rows::{Heading, Item, Row, item};
use crate::tui::state::proxy::{Group, Pane};
use crate::tui::state::{Look, State};
use crate::tui::symbols::Symbols;
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, fit, put};
use crate::tui::widget::url;

const URL: &str = "URL";
const RESULT: &str = "RESULT";

/// Columns where there is room for long words; where there is less, for short ones.
const WIDE: &[Column] = &[
    Column::new("M", Width::Fixed(1)),
    Column::new("TIME", Width::Fixed(8)).rank(3),
    Column::new(RESULT, Width::Fixed(11)),
    Column::new("CODE", Width::Fixed(4)).right().rank(2),
    Column::new("METHOD", Width::Fixed(7)).rank(4),
    Column::new(URL, Width::Fill(40)),
    Column::new("BUILD / STEP", Width::Fixed(28)).rank(5),
    Column::new("SIZE", Width::Fixed(9)).right().rank(1),
    Column::new("TOOK", Width::Fixed(7)).right().rank(2),
];
const NARROW: &[Column] = &[
    Column::new("M", Width::Fixed(1)),
    Column::new("TIME", Width::Fixed(8)).rank(3),
    Column::new(RESULT, Width::Fixed(9)),
    Column::new("CODE", Width::Fixed(4)).right().rank(4),
    Column::new("METH", Width::Fixed(4)).rank(5),
    Column::new(URL, Width::Fill(26)),
    Column::new("SIZE", Width::Fixed(8)).right().rank(1),
    Column::new("TOOK", Width::Fixed(6)).right().rank(2),
];

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if !parts.list.is_empty() {
        list(state, parts.list, "Traffic", state.proxy.pane == Pane::List, buffer);
    }
    if !parts.detail.is_empty() {
        detail::draw(state, parts.detail, buffer);
    }
    if !parts.totals.is_empty() {
        totals::draw(state, parts.totals, buffer);
    }
}

/// The requests. Also a pane of the Builds screen, where there is room.
pub(super) fn list(state: &State, area: Rect, title: &str, active: bool, buffer: &mut Buffer) {
    let proxy = &state.proxy;
    let panel = Panel::new(title).active(active).right(&condition(state, usize::from(area.width)), Style::new());
    let _ = panel.draw(area, &state.look, buffer);
    let inner = within_panel(area, state.size);
    let columns = if inner.width >= 116 { WIDE } else { NARROW };
    let table = Table::new(columns).active(active);
    let room = (table.room_for(inner, URL), table.room_for(inner, RESULT));
    table.draw(inner, proxy.place, proxy.rows.len(), &state.look, buffer, |at| {
        cells(state, at, room, columns.len() == WIDE.len())
    });
    if proxy.rows.is_empty() {
        let text = match (proxy.filters(), proxy.arrived) {
            (true, 1..) => " no request is as the filter wants it; \\ turns it off",
            (_, 1..) => " no request is kept here; all are in the logs",
            _ => " nothing has been asked for yet",
        };
        let row = Rect { y: inner.y + inner.height.min(2), height: 1.min(inner.height.saturating_sub(2)), ..inner };
        put(buffer, row, &Line::of(text, state.look.theme.style(Role::Dim)), state.look.symbols);
    }
}

/// How the list is: mode, grouping, filter, following. In a pane of this width; the filter is cut where need be.
fn condition(state: &State, width: usize) -> String {
    let proxy = &state.proxy;
    let mut parts: Vec<String> = proxy.mode.map(|mode| totals::mode(mode).to_owned()).into_iter().collect();
    if proxy.group != Group::None {
        parts.push(format!("by {}", proxy.group.as_str()));
    }
    let new = proxy.arrived.saturating_sub(proxy.seen);
    let more = if new > 0 { format!(" +{new} new") } else { String::new() };
    let following = match (proxy.frozen, proxy.follow) {
        (true, _) => format!("FROZEN{more}"),
        (false, true) => "following".to_owned(),
        (false, false) if proxy.group == Group::None => format!("PAUSED{more}"),
        (false, false) => format!("{} requests", proxy.arrived),
    };
    if !proxy.filter.is_empty() {
        let used: usize = parts.iter().map(|part| part.len() + 2).sum();
        let room = width.saturating_sub(used + following.len() + FRAME);
        parts.push(filter_text(&proxy.filter.query, proxy.filter_on, room, state.look.symbols));
    }
    parts.push(following);
    parts.join("  ")
}

/// Columns of the title line that are taken by the title, the lines around and the spaces between.
const FRAME: usize = 22;

/// A filter in the title of a pane.
pub(super) fn filter_text(query: &str, on: bool, room: usize, symbols: Symbols) -> String {
    let off = if on { "" } else { " (off)" };
    let room = room.saturating_sub("filter: ".len() + off.len());
    format!("filter: {}{off}", fit(query, room.min(query.width()), symbols))
}

fn cells(state: &State, at: usize, room: (usize, usize), wide: bool) -> Vec<Line> {
    let Some(row) = state.proxy.rows.get(at) else { return Vec::new() };
    match item(&state.proxy, &state.run, row) {
        Some(Item::Heading(heading)) => heading_cells(state, heading, room.0, wide),
        Some(found) => found.flow().map_or_else(Vec::new, |flow| flow_cells(state, row, found, flow, room, wide)),
        // It has fallen off the list, and nothing goes on that would take the row away.
        None => vec![Line::default(); 5],
    }
}

fn heading_cells(state: &State, heading: &Heading, room: usize, wide: bool) -> Vec<Line> {
    let title = state.look.theme.style(Role::Title);
    let folded = state.proxy.folded.contains(&heading.name);
    let branch = state.look.symbols.branches[usize::from(!folded)];
    let requests = heading.requests + heading.under_way;
    let percent = heading.hits * 100 / heading.requests.max(1);
    let text = |text: &str| Line::of(text, title);
    let name = format!("{}  {requests}", heading.name);
    let mut cells = vec![
        text(branch),
        Line::default(),
        text(&format!("hit {percent}%")),
        Line::default(),
        Line::default(),
        text(&url::shortened(&name, room, state.look.symbols)),
    ];
    if wide {
        cells.push(Line::default());
    }
    cells.extend([text(&bytes(heading.bytes)), Line::default()]);
    cells
}

fn flow_cells(state: &State, row: &Row, found: Item<'_>, flow: &Flow, room: (usize, usize), wide: bool) -> Vec<Line> {
    let (theme, symbols) = (state.look.theme, state.look.symbols);
    let plain = Style::new();
    let marked = state.proxy.marks.contains(&flow.id);
    let under_way = if let Item::UnderWay(request) = found { Some(request) } else { None };
    let outcome = under_way.map_or(Some(flow.outcome), |request| request.outcome);
    let word = outcome.map_or("asking", |outcome| word(outcome, room.1));
    let style = outcome.map_or(theme.style(Role::Dim), |outcome| theme.style(role(outcome)));
    let grouped = state.proxy.group != Group::None;
    let indent = if grouped && matches!(row, Row::Ended(_) | Row::UnderWay(_)) { "  " } else { "" };
    let code = match (under_way.is_some(), flow.status) {
        (true, _) => "~".to_owned(),
        (false, 0) => "-".to_owned(),
        (false, status) => status.to_string(),
    };
    let shown = highlighted(state, &url::shortened(&flow.url, room.0.saturating_sub(indent.len()), symbols));
    let mut address = Line::of(indent, plain);
    address.append(shown);
    let mut cells = vec![
        Line::of(if marked { "*" } else { "" }, theme.style(Role::Key)),
        Line::of(&clock_of(flow.started, &state.look), theme.style(Role::Dim)),
        Line::of(word, style),
        Line::of(&code, if flow.status >= 400 { theme.style(Role::Bad) } else { plain }),
        Line::of(if !wide && flow.method == "CONNECT" { "CONN" } else { &flow.method }, plain),
        address,
    ];
    if wide {
        let step = flow.identity.step.as_deref().map(|step| format!(" / {step}")).unwrap_or_default();
        cells.push(Line::of(&format!("{}{step}", flow.identity.build), plain));
    }
    let size = match under_way.map(|request| request.total) {
        Some(Some(total)) if total > 0 => format!("{}%", flow.bytes_sent.saturating_mul(100) / total),
        _ if flow.bytes_sent == 0 => "-".to_owned(),
        _ => bytes(flow.bytes_sent),
    };
    cells.push(Line::of(&size, plain));
    cells.push(Line::of(&took(flow.duration), plain));
    cells
}

/// The word of an outcome, in so many columns.
fn word(outcome: Outcome, room: usize) -> &'static str {
    match outcome {
        Outcome::Revalidated if room < outcome.as_str().len() => "REVALID",
        outcome => outcome.as_str(),
    }
}

/// What an outcome looks like.
pub(super) fn role(outcome: Outcome) -> Role {
    match outcome {
        Outcome::Hit | Outcome::Revalidated | Outcome::Coalesced => Role::Good,
        Outcome::Miss => Role::Active,
        Outcome::Stale => Role::Warning,
        Outcome::Tunnel | Outcome::Bypass => Role::Text,
        Outcome::Denied | Outcome::Error => Role::Bad,
    }
}

/// With what the search finds in it.
fn highlighted(state: &State, text: &str) -> Line {
    let needle = &state.proxy.needle;
    let lower = text.to_ascii_lowercase();
    match lower.find(needle.as_str()) {
        Some(at) if !needle.is_empty() && text.is_char_boundary(at) && text.is_char_boundary(at + needle.len()) => {
            let mut line = Line::of(&text[..at], Style::new());
            line.push(&text[at..at + needle.len()], state.look.theme.style(Role::Match));
            line.push(&text[at + needle.len()..], Style::new());
            line
        }
        _ => Line::of(text, Style::new()),
    }
}

/// The time of day.
pub(super) fn clock_of(time: std::time::SystemTime, look: &Look) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default().to_zoned(look.zone.clone());
    time.strftime("%H:%M:%S").to_string()
}

/// How long it took, in few columns: `2 ms`, `3.1 s`, `4:05`.
pub(super) fn took(time: std::time::Duration) -> String {
    match time.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        millis @ 1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => crate::tui::widget::clock(time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;
