//! The History screen.

mod diff;
mod list;
mod run;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::history::run::{Downloads, Run};
use crate::output::text::bytes;
use crate::tui::layout::history::parts;
use crate::tui::state::State;
use crate::tui::state::history::{Kept, View};
use crate::tui::state::run::Condition;
use crate::tui::symbols;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::clock;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if let View::Diff(compared) = &state.history.view {
        diff::draw(state, compared, parts.detail, buffer);
        return;
    }
    if !parts.list.is_empty() {
        list::draw(state, parts.list, buffer);
    }
    if parts.detail.is_empty() {
        return;
    }
    match state.history.selected() {
        Some(kept) => run::draw(state, kept, parts.detail, buffer),
        None => {
            Panel::new("Run").draw(parts.detail, &state.look, buffer);
        }
    }
}

/// Symbol and word of how something stands.
fn standing((condition, word): (Condition, &str), theme: Theme) -> Line {
    Line::of(&format!("{} {word}", symbols::condition(condition)), theme.style(Theme::condition(condition)))
}

fn began(state: &State, time: Timestamp, format: &str) -> String {
    time.to_zoned(state.history.zone.clone()).strftime(format).to_string()
}

fn took(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), clock)
}

fn hits(downloads: &Downloads) -> String {
    downloads.hit_ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{:.0}%", (ratio * 100.0).floor()))
}

/// Bytes of something, or nothing to be said of where nothing was asked for.
fn amount(requests: u64, count: u64) -> String {
    if requests == 0 { "-".to_owned() } else { bytes(count) }
}

/// A line of names and values.
fn facts(pairs: &[(&str, String)], theme: Theme) -> Line {
    let mut line = Line::of(" ", Style::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        if !name.is_empty() {
            line.push(&format!("{name} "), theme.style(Role::Dim));
        }
        line.push(&format!("{value}  "), Style::new());
    }
    line
}

/// When a run began, what it was of, and what it downloaded, in three lines.
fn summary(state: &State, kept: &Kept) -> [Line; 3] {
    let theme = state.look.theme;
    let Kept { run, .. } = kept;
    let downloads = run.downloads();
    let sums = downloads.all();
    let downloaded = if sums.requests == 0 {
        vec![("downloads", "none".to_owned())]
    } else {
        vec![
            ("downloads", format!("{} requests", sums.requests)),
            ("hits", hits(&downloads)),
            ("from upstream", bytes(sums.bytes_upstream)),
            ("cache", bytes(sums.bytes_cache)),
        ]
    };
    let cancelled = run.cancelled.as_ref().map(|cause| ("cancelled", cause.clone()));
    let mut times = vec![
        ("began", began(state, run.started, "%Y-%m-%d %H:%M:%S")),
        ("took", took(run.seconds)),
        ("net", run.net.clone()),
        ("larder", run.version.clone()),
    ];
    times.extend(run.exit_code.map(|code| ("exit code", code.to_string())));
    times.extend(cancelled);
    [facts(&[("template", run.template.clone())], theme), facts(&times, theme), facts(&downloaded, theme)]
}

fn put_facts(lines: &[Line], area: Rect, state: &State, buffer: &mut Buffer) {
    for (row, line) in area.rows().zip(lines) {
        put(buffer, row, line, state.look.symbols);
    }
}

/// The builds of a run: the name of one, or how many there are.
fn builds(run: &Run) -> String {
    match run.builds.as_slice() {
        [one] => one.name.clone(),
        all => format!("{} builds", all.len()),
    }
}
