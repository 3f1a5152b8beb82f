//! The selected request.

use std::time::SystemTime;

use larder_proxy::flow::Flow;
use larder_proxy::in_flight::InFlight;
use larder_proxy::inspect::Explanation;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::{clock_of, role, took};
use crate::engine::ui::duration;
use crate::output::text::bytes;
use crate::tui::state::State;
use crate::tui::state::proxy::Pane;
use crate::tui::state::proxy::rows::{Heading, Item, item};
use crate::tui::theme::Role;
use crate::tui::widget::gauge::bar;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};
use crate::tui::widget::wrap::wrapped;

/// Columns of the names of what is told.
const LABEL: usize = 11;

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let proxy = &state.proxy;
    let found = proxy.selected().and_then(|row| item(proxy, &state.run, row));
    let (title, right) = match found {
        Some(Item::Heading(heading)) => (heading.name.clone(), String::new()),
        Some(item) => item.flow().map_or_else(Default::default, |flow| {
            let step = flow.identity.step.as_deref().map(|step| format!("  {step}")).unwrap_or_default();
            (format!("Request {}", flow.id), format!("{}{step}", flow.identity.build))
        }),
        None => ("Request".to_owned(), String::new()),
    };
    let panel = Panel::new(&title).active(proxy.pane == Pane::Detail).right(&right, Style::new());
    let inner = panel.draw(area, &state.look, buffer);
    let lines = match found {
        Some(Item::Ended(flow)) => of_flow(state, flow, None),
        Some(Item::UnderWay(request)) => of_flow(state, &request.flow, Some(request)),
        Some(Item::Heading(heading)) => of_heading(heading),
        None => Vec::new(),
    };
    let width = usize::from(inner.width);
    let mut all: Vec<Line> = Vec::new();
    for (label, text, style) in lines {
        for (number, piece) in wrapped(&text, width.saturating_sub(LABEL + 1)).into_iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let mut line = Line::of(&format!(" {label:<LABEL$}"), state.look.theme.style(Role::Dim));
            line.push(&piece, style);
            all.push(line);
        }
    }
    let most = all.len().saturating_sub(usize::from(inner.height));
    for (row, line) in inner.rows().zip(all.iter().skip(proxy.scrolled.min(most))) {
        put(buffer, row, line, state.look.symbols);
    }
}

type Told = (&'static str, String, Style);

fn of_heading(heading: &Heading) -> Vec<Told> {
    let told = |label, text| (label, text, Style::new());
    vec![
        told("requests", format!("{} ended, {} under way", heading.requests, heading.under_way)),
        told("hits", format!("{} ({}%)", heading.hits, heading.hits * 100 / heading.requests.max(1))),
        told("sent", bytes(heading.bytes)),
    ]
}

fn of_flow(state: &State, flow: &Flow, under_way: Option<&InFlight>) -> Vec<Told> {
    let theme = state.look.theme;
    let told = |label, text: String| (label, text, Style::new());
    let mut lines = vec![told("", format!("{} {}", flow.method, flow.url))];
    let outcome = under_way.map_or(Some(flow.outcome), |request| request.outcome);
    match outcome {
        Some(outcome) => {
            let style = theme.style(role(outcome));
            lines.push(("result", format!("{outcome}: {}", flow.why), style));
        }
        None => lines.push(("result", "asking".to_owned(), theme.style(Role::Dim))),
    }
    lines.extend(stored(state, flow).map(|text| told("stored", text)));
    if !flow.route.is_empty() {
        let status = flow.upstream_status.map(|status| format!(", answered {status}")).unwrap_or_default();
        lines.push(told("upstream", format!("{}{status}", flow.route)));
    }
    lines.push(told("timing", timing(state, flow, under_way.is_some())));
    lines.push(told("bytes", sizes(state, flow, under_way)));
    if let Some(digest) = &flow.digest {
        lines.push(told("integrity", format!("sha256 {digest}")));
    }
    let seen = if flow.intercepted { ", inside TLS" } else { "" };
    lines.push(told("kind", format!("{}, {}{seen}", flow.class.as_str(), or_dash(&flow.version))));
    if flow.aborted {
        lines.push(("ended", "before its last byte".to_owned(), theme.style(Role::Warning)));
    }
    lines
}

fn timing(state: &State, flow: &Flow, under_way: bool) -> String {
    let first = flow.first_byte.map(|time| format!("first byte after {}, ", took(time))).unwrap_or_default();
    let so_far = if under_way { "so far" } else { "in all" };
    format!("at {}, {first}{} {so_far}", clock_of(flow.started, &state.look), took(flow.duration))
}

fn sizes(state: &State, flow: &Flow, under_way: Option<&InFlight>) -> String {
    const BAR: usize = 12;
    let sent = match under_way.and_then(|request| request.total) {
        Some(total) => {
            let bar = bar(flow.bytes_sent, total, BAR, state.look.symbols);
            format!("[{bar}] {} of {}", bytes(flow.bytes_sent), bytes(total))
        }
        None => format!("{} sent", bytes(flow.bytes_sent)),
    };
    format!("{sent}; cache {}, upstream {}", bytes(flow.bytes_cache), bytes(flow.bytes_upstream))
}

/// What the cache has of it.
fn stored(state: &State, flow: &Flow) -> Option<String> {
    let (url, explanation) = state.proxy.explained.as_ref()?;
    (*url == flow.url).then(|| freshness(explanation, state.now))
}

/// Whether it is stored, and until when it is fresh.
pub(in crate::tui::view) fn freshness(explanation: &Explanation, now: jiff::Timestamp) -> String {
    let Some(variant) = explanation.variants.first() else { return "no".to_owned() };
    let age = SystemTime::from(now).duration_since(variant.entry.draft.responded).unwrap_or_default();
    let pinned = if variant.entry.pinned { ", pinned" } else { "" };
    let next = if variant.usable { "fresh" } else { "to be confirmed" };
    format!("yes{pinned}, {next}: {}; confirmed {} ago", variant.why, duration(age))
}

fn or_dash(text: &str) -> &str {
    if text.width() == 0 { "-" } else { text }
}
