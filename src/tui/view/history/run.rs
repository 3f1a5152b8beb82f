//! One run with its builds and steps.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{amount, put_facts, standing, summary, took};
use crate::history::run::{Build, Downloads, Step};
use crate::tui::layout::history::rows as rows_area;
use crate::tui::state::State;
use crate::tui::state::history::rows::{Row, of_run};
use crate::tui::state::history::{Kept, View, standing as stands};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, put};

const COLUMNS: &[Column] = &[
    Column::new("BUILD / STEP", Width::Fill(16)),
    Column::new("ENDED", Width::Fixed(11)).rank(1),
    Column::new("TOOK", Width::Fixed(7)).right(),
    Column::new("REQ", Width::Fixed(5)).right().rank(4),
    Column::new("CACHE", Width::Fixed(9)).right().rank(3),
    Column::new("UPSTREAM", Width::Fixed(9)).right().rank(2),
];

pub(super) fn draw(state: &State, kept: &Kept, area: Rect, buffer: &mut Buffer) {
    let look = &state.look;
    let active = state.history.view == View::Run;
    let (condition, word) = kept.standing();
    let style = look.theme.style(Theme::condition(condition));
    let right = format!("{word} {}  steps {}", took(kept.run.seconds), state.history.order.as_str());
    let inner = Panel::new(&kept.run.id).right(&right, style).active(active).draw(area, look, buffer);
    put_facts(&summary(state, kept), inner, state, buffer);
    let rows = of_run(&kept.run, state.history.order);
    let table = Table::new(COLUMNS).active(active);
    let area = rows_area(state);
    table.draw(area, state.history.row, rows.len(), look, buffer, |row| cells(&rows[row], kept.live, look.theme));
    let mut place = state.history.row;
    place.fit(rows.len(), table.page(area));
    for (line, row) in area.rows().skip(1).zip(place.top..rows.len()) {
        if let Some(note) = note(&rows[row], look.theme) {
            let selected =
                if active && row == place.selected { look.theme.style(Role::Selected) } else { Style::new() };
            let within = Rect { x: line.x + 1, width: line.width.saturating_sub(1), ..line };
            put(buffer, within, &note.patched(selected), look.symbols);
        }
    }
}

/// What has the whole width of its row, where it is not of columns.
fn note(row: &Row<'_>, theme: Theme) -> Option<Line> {
    let note = |mark: &str, text: &str, role: Role| Some(Line::of(&format!("     {mark}{text}"), theme.style(role)));
    match row {
        Row::Build(_) | Row::Step(..) => None,
        Row::Failure(_, text) => note("", text, Role::Bad),
        Row::Answer(_, text) => note("", text, Role::Asking),
        Row::Mark(_, text) => note("marked: ", text, Role::Warning),
        Row::Artifact(_, text) => note("-> ", text, Role::Text),
    }
}

fn cells(row: &Row<'_>, live: bool, theme: Theme) -> Vec<Line> {
    match row {
        Row::Build(build) => build_cells(build, live, theme),
        Row::Step(_, step) => step_cells(step, live, theme),
        Row::Failure(..) | Row::Answer(..) | Row::Mark(..) | Row::Artifact(..) => Vec::new(),
    }
}

fn build_cells(build: &Build, live: bool, theme: Theme) -> Vec<Line> {
    let ended = match build.started {
        None if build.ending.is_none() => Line::of("not begun", theme.style(Role::Dim)),
        _ => standing(stands(build.ending, live), theme),
    };
    let mut cells = vec![Line::of(&build.name, theme.style(Role::Title)), ended];
    cells.extend(numbers(build.seconds, &build.downloads()));
    cells
}

fn step_cells(step: &Step, live: bool, theme: Theme) -> Vec<Line> {
    let again = if step.attempt > 1 { format!(" (attempt {})", step.attempt) } else { String::new() };
    let name = format!("  {:>2} {}{again}", step.index + 1, step.name);
    let mut cells = vec![Line::of(&name, Style::new()), standing(stands(step.ending, live), theme)];
    cells.extend(numbers(step.seconds, &step.downloads));
    cells
}

fn numbers(seconds: Option<f64>, downloads: &Downloads) -> [Line; 4] {
    let sums = downloads.all();
    let requests = if sums.requests == 0 { "-".to_owned() } else { sums.requests.to_string() };
    let cells =
        [took(seconds), requests, amount(sums.requests, sums.bytes_cache), amount(sums.requests, sums.bytes_upstream)];
    cells.map(|text| Line::of(&text, Style::new()))
}
