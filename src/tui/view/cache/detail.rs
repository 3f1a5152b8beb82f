//! The selected folder or entry.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED};
use larder_proxy::inspect::{FolderSums, Variant};
use larder_proxy::store::time_of;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::date;
use crate::output::text::bytes;
use crate::tui::state::State;
use crate::tui::state::cache::Pane;
use crate::tui::state::cache::rows::Row;
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};
use crate::tui::widget::wrap::wrapped;

/// Columns of the names of what is told.
const LABEL: usize = 11;

type Told = (&'static str, String);

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let cache = &state.cache;
    let (title, lines) = match cache.selected() {
        Some(Row::Folder { prefix, sums, .. }) => ("Folder", of_folder(state, prefix, sums)),
        Some(Row::Entry { variant, .. }) => ("Entry", of_entry(state, variant)),
        Some(Row::More { .. }) | None => ("Entry", Vec::new()),
    };
    let inner = Panel::new(title).active(cache.pane == Pane::Detail).draw(area, &state.look, buffer);
    let width = usize::from(inner.width).saturating_sub(LABEL + 1);
    let mut all = Vec::new();
    for (label, text) in lines {
        for (number, piece) in wrapped(&text, width).into_iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let mut line = Line::of(&format!(" {label:<LABEL$}"), state.look.theme.style(Role::Dim));
            line.push(&piece, Style::new());
            all.push(line);
        }
    }
    let most = all.len().saturating_sub(usize::from(inner.height));
    for (row, line) in inner.rows().zip(all.iter().skip(cache.scrolled.min(most))) {
        put(buffer, row, line, state.look.symbols);
    }
}

fn of_folder(state: &State, prefix: &str, sums: &FolderSums) -> Vec<Told> {
    let percent = sums.fresh * 100 / sums.entries.max(1);
    let mut lines = vec![
        ("below", prefix.to_owned()),
        ("content", format!("{} in {} entries", bytes(sums.bytes), sums.entries)),
        ("served", format!("{} times, last {}", sums.uses, date(time_of(sums.last_used), state))),
        ("fresh", format!("{} of {} ({percent}%): served without asking upstream", sums.fresh, sums.entries)),
    ];
    if sums.pinned > 0 {
        lines.push(("pinned", format!("{}: no limit removes them", sums.pinned)));
    }
    lines
}

fn of_entry(state: &State, variant: &Variant) -> Vec<Told> {
    let entry = &variant.entry;
    let headers = &entry.draft.headers;
    let kind = field(headers, &CONTENT_TYPE).unwrap_or_else(|| entry.draft.class.as_str().to_owned());
    let mut lines = vec![
        ("key", format!("GET {}", entry.draft.url)),
        ("content", format!("{} ({} bytes), {kind}", bytes(entry.size), entry.size)),
        ("", format!("sha256 {}", entry.digest)),
        ("confirmed", date(entry.draft.responded, state)),
        ("served", format!("{} times, last {}", entry.uses, date(entry.last_used, state))),
        ("fresh", freshness(state, variant)),
    ];
    if let Some(policy) = policy(variant) {
        lines.push(("policy", policy));
    }
    if entry.pinned {
        lines.push(("pinned", "yes: no limit removes it".to_owned()));
    }
    if entry.draft.status != 200 {
        lines.push(("status", entry.draft.status.to_string()));
    }
    let explained = state.cache.explained.as_ref().filter(|explained| explained.key == entry.draft.url);
    if let Some(explained) = explained {
        lines.push(("rule", format!("{}: {}", explained.verdict.rule, explained.verdict.nature.as_str())));
        if let Some((outcome, at, why)) = &explained.last {
            lines.push(("last", format!("{outcome} at {}: {why}", date(*at, state))));
        }
    }
    lines
}

fn freshness(state: &State, variant: &Variant) -> String {
    if !variant.usable {
        return format!("no, upstream is asked first: {}", variant.why);
    }
    if variant.lasts {
        return format!("always: {}", variant.why);
    }
    let left = variant.lifetime.saturating_sub(variant.age).min(u64::from(u32::MAX));
    let until = SystemTime::from(state.cache.loaded.unwrap_or(state.now)) + Duration::from_secs(left);
    format!("until {}: {}", date(until, state), variant.why)
}

fn field(headers: &HeaderMap, name: &http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The fields that decide.
fn policy(variant: &Variant) -> Option<String> {
    let draft = &variant.entry.draft;
    let mut parts: Vec<String> = field(&draft.headers, &CACHE_CONTROL).into_iter().collect();
    for (name, label) in [(&EXPIRES, "Expires"), (&LAST_MODIFIED, "Last-Modified"), (&ETAG, "ETag")] {
        parts.extend(field(&draft.headers, name).map(|value| format!("{label} {value}")));
    }
    for (name, value) in &draft.vary {
        parts.push(format!("only for {name}: {}", value.as_deref().unwrap_or("(none)")));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
