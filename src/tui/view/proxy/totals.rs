//! The sums below the list.

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
    let fallen = state.proxy.fallen(&state.run);
    let kept = if fallen > 0 { format!("{fallen} older ones in the logs only") } else { String::new() };
    let inner = Panel::new("Totals").right(&kept, Style::new()).draw(area, &state.look, buffer);
    for (row, line) in inner.rows().zip([sums(state), rates(state, usize::from(inner.width))]) {
        put(buffer, row, &line, state.look.symbols);
    }
}

fn sums(state: &State) -> Line {
    let theme = state.look.theme;
    let sums = state.run.live.totals.all;
    let answered = sums.hits + sums.revalidated + sums.stale;
    let mut line = Line::default();
    let mut part = |label: &str, value: String, role: Role| {
        line.push(&format!(" {label} "), theme.style(Role::Dim));
        line.push(&value, theme.style(role));
        line.push(" ", Style::new());
    };
    if sums.requests > 0 {
        part("hit", format!("{}%", answered * 100 / sums.requests), Role::Good);
    }
    part("requests", sums.requests.to_string(), Role::Text);
    part("saved", bytes(sums.bytes_cache), Role::Text);
    part("fetched", bytes(sums.bytes_upstream), Role::Text);
    part("in flight", state.proxy.in_flight.len().to_string(), Role::Text);
    if sums.failed > 0 {
        part("failed", sums.failed.to_string(), Role::Bad);
    }
    line
}

fn rates(state: &State, width: usize) -> Line {
    let theme = state.look.theme;
    let rates = &state.proxy.rates;
    let last = |ring: &std::collections::VecDeque<u64>| ring.back().copied().unwrap_or(0);
    let requests = format!(" {} req/s ", last(&rates.requests));
    let sent = format!("  {}/s ", bytes(last(&rates.bytes)));
    let room = width.saturating_sub(requests.len() + sent.len() + 1) / 2;
    let spark = |ring: &std::collections::VecDeque<u64>| {
        sparkline(&ring.iter().copied().collect::<Vec<_>>(), room, state.look.symbols)
    };
    let mut line = Line::of(&requests, Style::new());
    line.push(&spark(&rates.requests), theme.style(Role::Active));
    line.push(&sent, Style::new());
    line.push(&spark(&rates.bytes), theme.style(Role::Active));
    line
}
