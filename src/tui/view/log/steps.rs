//! The steps of a build: those begun with their times and downloads, and those to come.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::tui::layout::builds::two_columns;
use crate::tui::layout::within_panel;
use crate::tui::state::State;
use crate::tui::state::builds::Pane;
use crate::tui::state::run::Condition;
use crate::tui::state::steps::StepRow;
use crate::tui::symbols;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, fit, put};
use crate::tui::widget::{about, clock};

/// Columns from which times and downloads stand below each other.
const WIDE: u16 = 56;

pub(in crate::tui::view) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let active = state.pane() == Pane::Steps;
    let rows = state.step_rows();
    let right = summary(state, &rows);
    Panel::new("Steps").active(active).right(&right, Style::new()).draw(area, &state.look, buffer);
    let inner = within_panel(area, state.size);
    if rows.is_empty() {
        let line = Line::of(" no step has begun", state.look.theme.style(Role::Dim));
        put(buffer, Rect { height: inner.height.min(1), ..inner }, &line, state.look.symbols);
        return;
    }
    let selected = if active { Some(state.log.steps.selected) } else { None };
    let height = usize::from(inner.height);
    let columns = if two_columns(area) && rows.len() > height { 2 } else { 1 };
    let shown = height * columns;
    if shown == 0 {
        return;
    }
    let first = first(state, &rows, shown);
    let width = inner.width / u16::try_from(columns).unwrap_or(1);
    for (place, (at, step)) in rows.iter().enumerate().skip(first).take(shown).enumerate() {
        let (column, line) = (place / height, place % height);
        let x = inner.x + width * u16::try_from(column).unwrap_or(0);
        let y = inner.y + u16::try_from(line).unwrap_or(0);
        row(state, step, Rect::new(x, y, width, 1), selected == Some(at), buffer);
    }
}

/// The first step seen: so that the selected one is, or the one under way.
fn first(state: &State, rows: &[StepRow], shown: usize) -> usize {
    let under_way = rows.iter().rposition(|row| row.condition != Condition::Queued).unwrap_or(0);
    let at = if state.pane() == Pane::Steps { state.log.steps.selected } else { under_way };
    // A step to come is seen below the one under way.
    (at + 2).min(rows.len()).saturating_sub(shown).min(at)
}

/// How many steps have ended, of how many; how long the build takes, and will.
fn summary(state: &State, rows: &[StepRow]) -> String {
    let Some(build) = state.shown_build() else {
        let total: f64 = rows.iter().filter_map(|row| row.seconds).sum();
        return if rows.is_empty() { String::new() } else { format!("{}  {}", rows.len(), clock(total)) };
    };
    let ended = rows.iter().filter(|row| !row.condition.is_open()).count();
    // Without earlier runs nobody knows how many there will be.
    let known = state.builds.past.get(&build.name).is_some_and(|past| past.runs() > 0) || !build.condition.is_open();
    let count = if known { format!("{ended}/{}", rows.len()) } else { format!("{ended} done") };
    let elapsed = build.elapsed(state.now).map(clock);
    let outlook = state.builds.outlook(build, state.now).map(|outlook| format!("ETA {}", about(outlook.remaining)));
    [Some(count), elapsed, outlook].into_iter().flatten().collect::<Vec<_>>().join("  ")
}

fn row(state: &State, step: &StepRow, area: Rect, selected: bool, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let style = theme.style(Theme::condition(step.condition));
    let mut line = Line::of(if selected { ">" } else { " " }, Style::new());
    line.push(symbols::condition(step.condition), style);
    line.push(&format!("{:>3} ", step.number), theme.style(Role::Dim));
    let time = step.seconds.map(clock).unwrap_or_default();
    let left = step.left.map(about).unwrap_or_default();
    let right = if area.width >= WIDE {
        format!(" {:>10} {time:>6} {left:>5} ", downloads(step))
    } else {
        // What there is, and no columns: the name has the rest.
        let parts = [downloads(step), time, left];
        format!(" {} ", parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    };
    let name = match step.condition {
        Condition::Failed | Condition::Asking | Condition::Cancelled | Condition::Skipped => {
            format!("{} {}", step.condition.as_str(), step.name)
        }
        _ => step.name.clone(),
    };
    let room = usize::from(area.width).saturating_sub(line.width() + right.width());
    let plain = if step.condition == Condition::Queued { theme.style(Role::Dim) } else { Style::new() };
    line.push(&fit(&name, room, state.look.symbols), if step.condition == Condition::Failed { style } else { plain });
    line.push(&right, plain);
    put(buffer, area, &line, state.look.symbols);
    if selected {
        buffer.set_style(area, theme.style(Role::Selected));
    }
}

/// What a step downloaded: `HIT` where the cache had everything, and what came from upstream where not.
fn downloads(step: &StepRow) -> String {
    let (requests, hits) = step.requests;
    match (requests, step.bytes.1) {
        (0, _) => String::new(),
        (_, 0) if hits == requests => "HIT".to_owned(),
        (_, 0) => format!("{requests} req"),
        (_, fetched) => crate::output::text::bytes(fetched),
    }
}
