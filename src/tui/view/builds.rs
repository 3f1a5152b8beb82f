//! The Builds screen.

mod below;
pub(super) mod ended;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::log;
use crate::tui::layout::builds::{list_rows, parts};
use crate::tui::layout::{Room, room};
use crate::tui::state::builds::{Pane, Sort};
use crate::tui::state::run::{Build, Condition};
use crate::tui::state::{Look, State};
use crate::tui::symbols::{self, Symbols};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, put};
use crate::tui::widget::{about, clock, gauge};

/// Columns of a progress bar.
const BAR: u16 = 10;

const COLUMNS: &[Column] = &[
    Column::new("", Width::Fixed(1)),
    Column::new("BUILD", Width::Fill(19)),
    Column::new("STATE", Width::Fixed(9)),
    Column::new("STEP", Width::Fill(11)).rank(1),
    Column::new("PROGRESS", Width::Fixed(BAR)).rank(4),
    Column::new("", Width::Fixed(4)).right().rank(3),
    Column::new("ELAPSED", Width::Fixed(7)).right().rank(2),
    Column::new("ETA", Width::Fixed(6)).right().rank(5),
];

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if !parts.list.is_empty() {
        list(state, parts.list, buffer);
    }
    if !parts.steps.is_empty() {
        log::steps(state, parts.steps, buffer);
    }
    if !parts.log.is_empty() {
        match ended_build(state) {
            Some(build) if room(state.size) < Room::Wide => ended::draw(state, build, parts.log, buffer),
            _ => log::pane(state, parts.log, buffer),
        }
    }
    if !parts.proxy.is_empty() {
        below::proxy(state, parts.proxy, buffer);
    }
    if !parts.messages.is_empty() {
        match ended_build(state) {
            Some(build) if room(state.size) == Room::Dashboard => ended::draw(state, build, parts.messages, buffer),
            _ => below::messages(state, parts.messages, buffer),
        }
    }
}

/// The selected build, once it has ended and its log does not have the keys: what came of it is shown then.
fn ended_build(state: &State) -> Option<&Build> {
    state.shown_build().filter(|build| !build.condition.is_open() && state.pane() == Pane::List)
}

fn list(state: &State, area: Rect, buffer: &mut Buffer) {
    let builds = &state.builds;
    let active = state.pane() == Pane::List;
    Panel::new("Builds").active(active).right(&counts(state), Style::new()).draw(area, &state.look, buffer);
    let inner = list_rows(state);
    let table = Table::new(COLUMNS).active(active);
    table.draw(inner, builds.place, builds.rows.len(), &state.look, buffer, |row| {
        builds.rows.get(row).and_then(|name| state.run.build(name)).map(|build| cells(state, build)).unwrap_or_default()
    });
    if builds.rows.is_empty() {
        let text = if state.run.builds.is_empty() {
            " nothing is being built; 5 shows the templates of this folder"
        } else {
            " no build is as the filter wants it; \\ turns it off"
        };
        let row = Rect { y: inner.y + inner.height.min(1), height: 1.min(inner.height.saturating_sub(1)), ..inner };
        put(buffer, row, &Line::of(text, state.look.theme.style(Role::Dim)), state.look.symbols);
    }
}

/// How many are in which state, and what of them is shown.
fn counts(state: &State) -> String {
    let count = |condition| state.run.builds.iter().filter(|build| build.condition == condition).count();
    let all = [
        (Condition::Asking, "ask"),
        (Condition::Running, "running"),
        (Condition::Failed, "failed"),
        (Condition::Queued, "queued"),
        (Condition::Cancelled, "cancelled"),
        (Condition::Done, "done"),
    ];
    let some = all.into_iter().map(|(condition, word)| (count(condition), word)).filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = some.map(|(count, word)| format!("{count} {word}")).collect();
    if state.slots.paused {
        parts.push("PAUSED".to_owned());
    }
    if state.builds.sort != Sort::Started {
        parts.push(state.builds.sort.as_str().to_owned());
    }
    if !state.builds.filter.is_empty() {
        let off = if state.builds.filter_on { "" } else { " (off)" };
        parts.push(format!("filter: {}{off}", state.builds.filter));
    }
    parts.join("  ")
}

fn cells(state: &State, build: &Build) -> Vec<Line> {
    let theme = state.look.theme;
    let style = theme.style(Theme::condition(build.condition));
    let plain = |text: &str| Line::of(text, Style::new());
    let outlook = state.builds.outlook(build, state.now);
    let share = share(build).or_else(|| outlook.map(|outlook| outlook.done));
    // What is estimated says so; what is counted is certain.
    let guess = if share.is_some() && self::share(build).is_none() { "~" } else { "" };
    let eta = outlook.map(|outlook| about(outlook.remaining)).unwrap_or_default();
    vec![
        Line::of(symbols::condition(build.condition), style),
        plain(&build.name),
        Line::of(build.condition.as_str(), style),
        plain(&step(state, build)),
        plain(&share.map(|share| progress(share, &state.look)).unwrap_or_default()),
        plain(&share.map(|share| format!("{guess}{}%", percent(share))).unwrap_or_default()),
        plain(&build.elapsed(state.now).map(clock).unwrap_or_default()),
        plain(&eta),
    ]
}

/// What a build does, or why it does nothing.
fn step(state: &State, build: &Build) -> String {
    let current = || match (&build.progress, build.step()) {
        (Some(progress), Some(step)) if progress.total.is_none() && progress.done > 0 => {
            format!("{}: {} {}", step.name, crate::output::text::bytes(progress.done), progress.what)
        }
        (_, Some(step)) => step.name.to_string(),
        (_, None) => String::new(),
    };
    match build.condition {
        Condition::Queued if state.slots.paused => "held back".to_owned(),
        Condition::Queued if state.slots.limit > 0 => format!("waits for 1 of {} places", state.slots.limit),
        Condition::Queued => "waits".to_owned(),
        Condition::Done => {
            let made = build.artifacts.last().and_then(|artifact| artifact.files.first());
            made.map(|file| file.display().to_string()).unwrap_or_default()
        }
        _ => current(),
    }
}

/// How much of the running step is done, where that can be counted, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
fn share(build: &Build) -> Option<f64> {
    let progress = build.progress.as_ref()?;
    let total = progress.total.filter(|total| *total > 0)?;
    Some((progress.done as f64 / total as f64).clamp(0.0, 1.0))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
fn permille(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0) as u64
}

fn percent(share: f64) -> u64 {
    permille(share) / 10
}

fn progress(share: f64, look: &Look) -> String {
    bar(permille(share), BAR, look.symbols)
}

/// A bar between brackets, so that its end is seen also where it is empty.
fn bar(permille: u64, width: u16, symbols: Symbols) -> String {
    format!("[{}]", gauge::bar(permille, 1000, usize::from(width).saturating_sub(2), symbols))
}
