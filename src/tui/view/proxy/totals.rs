//! The sums below the list, and how much went on lately in their title.

use std::collections::VecDeque;

use larder_proxy::cache::Mode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::output::text::bytes;
use crate::tui::state::State;
use crate::tui::theme::Role;
use crate::tui::widget::gauge::sparkline;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};

/// The word of a mode.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Cache => "cache",
        Mode::Offline => "offline",
    }
}

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let rates = &state.proxy.rates;
    let last = |ring: &VecDeque<u64>| ring.back().copied().unwrap_or(0);
    let texts = [format!("{} req/s ", last(&rates.requests)), format!("  {}/s ", bytes(last(&rates.bytes)))];
    // Title and lines take some, too.
    let room = usize::from(area.width).saturating_sub(texts[0].len() + texts[1].len() + 18) / 2;
    let mut panel = Panel::new("Totals");
    for (text, ring) in texts.iter().zip([&rates.requests, &rates.bytes]) {
        let values: Vec<u64> = ring.iter().copied().collect();
        // What there is to show, and no more.
        let spark = sparkline(&values, room.min(values.len()), state.look.symbols);
        panel = panel.right(text, Style::new()).right(&spark, state.look.theme.style(Role::Active));
    }
    let inner = panel.draw(area, &state.look, buffer);
    if let Some(row) = inner.rows().next() {
        put(buffer, row, &sums(state), state.look.symbols);
    }
}

/// Hits, requests and bytes.
pub(in crate::tui::view) fn sums(state: &State) -> Line {
    let theme = state.look.theme;
    let sums = state.run.live.totals.all;
    let answered = sums.hits + sums.revalidated + sums.stale;
    let mut line = Line::default();
    let mut part = |label: &str, value: String, role: Role| {
        line.push(&format!(" {label} "), theme.style(Role::Dim));
        line.push(&value, theme.style(role));
        line.push(" ", Style::new());
    };
    if let Some(percent) = (answered * 100).checked_div(sums.requests) {
        part("hit", format!("{percent}%"), Role::Good);
    }
    if sums.failed > 0 {
        part("failed", sums.failed.to_string(), Role::Bad);
    }
    part("saved", bytes(sums.bytes_cache), Role::Text);
    part("fetched", bytes(sums.bytes_upstream), Role::Text);
    part("in flight", state.proxy.in_flight.len().to_string(), Role::Text);
    part("requests", sums.requests.to_string(), Role::Text);
    let fallen = state.proxy.fallen(&state.run);
    if fallen > 0 {
        part("older, in the logs only", fallen.to_string(), Role::Text);
    }
    line
}

/// Requests and bytes of each of the last seconds.
pub(in crate::tui::view) fn rates(state: &State, width: usize) -> Line {
    let theme = state.look.theme;
    let rates = &state.proxy.rates;
    let last = |ring: &VecDeque<u64>| ring.back().copied().unwrap_or(0);
    let requests = format!(" {} req/s ", last(&rates.requests));
    let sent = format!("  {}/s ", bytes(last(&rates.bytes)));
    let room = width.saturating_sub(requests.len() + sent.len() + 1) / 2;
    let spark = |ring: &VecDeque<u64>| sparkline(&ring.iter().copied().collect::<Vec<_>>(), room, state.look.symbols);
    let mut line = Line::of(&requests, Style::new());
    line.push(&spark(&rates.requests), theme.style(Role::Active));
    line.push(&sent, Style::new());
    line.push(&spark(&rates.bytes), theme.style(Role::Active));
    line
}
