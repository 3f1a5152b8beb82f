//! The Guests screen: what runs have on this machine, those under way and those that died.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::guest::record::Run;
use crate::tui::layout::guests::{detail, parts};
use crate::tui::state::State;
use crate::tui::state::guests::holdings;
use crate::tui::state::run::Condition;
use crate::tui::symbols;
use crate::tui::theme::{Role, Theme};
use crate::tui::update::guests::DETAIL_HEAD;
use crate::tui::widget::clock;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, put};

const COLUMNS: &[Column] = &[
    Column::new("RUN", Width::Fixed(22)),
    Column::new("STATE", Width::Fixed(9)),
    Column::new("PID", Width::Fixed(8)).right().rank(2),
    Column::new("AGE", Width::Fixed(8)).right().rank(1),
    Column::new("WHAT", Width::Fill(10)).rank(3),
    Column::new("PROCESSES", Width::Fixed(9)).right(),
    Column::new("DIRS", Width::Fixed(4)).right(),
];

const HOLDINGS: &[Column] = &[Column::new("", Width::Fill(10))];

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if !parts.list.is_empty() {
        draw_list(state, parts.list, buffer);
    }
    if !parts.detail.is_empty() {
        draw_detail(state, parts.detail, buffer);
    }
}

fn draw_list(state: &State, area: Rect, buffer: &mut Buffer) {
    let (guests, look) = (&state.guests, &state.look);
    let dead = guests.runs.iter().filter(|run| !run.live).count();
    let right = format!("{dead} dead  {} running", guests.runs.len() - dead);
    let role = if dead > 0 { Role::Warning } else { Role::Text };
    let panel = Panel::new("Guests and what runs left").right(&right, look.theme.style(role));
    let inner = panel.active(!guests.opened).draw(area, look, buffer);
    if guests.runs.is_empty() {
        let text = if guests.read { " No runs under way, and nothing left behind." } else { " looking ..." };
        put(buffer, inner, &Line::of(text, look.theme.style(Role::Dim)), look.symbols);
        return;
    }
    let table = Table::new(COLUMNS).active(!guests.opened);
    table.draw(inner, guests.place, guests.runs.len(), look, buffer, |row| cells(state, &guests.runs[row]));
}

/// How a run stands: its condition, and the word.
fn standing(run: &Run) -> (Condition, &'static str) {
    if run.live { (Condition::Running, "running") } else { (Condition::Failed, "dead") }
}

fn cells(state: &State, run: &Run) -> Vec<Line> {
    let plain = |text: &str| Line::of(text, Style::new());
    let (condition, word) = standing(run);
    let style = state.look.theme.style(Theme::condition(condition));
    vec![
        plain(&run.id),
        Line::of(&format!("{} {word}", symbols::condition(condition)), style),
        plain(&if run.pid == 0 { "-".to_owned() } else { run.pid.to_string() }),
        plain(&age(state, run)),
        plain(&run.what),
        plain(&run.processes.len().to_string()),
        plain(&run.trees.len().to_string()),
    ]
}

/// How long ago it began.
fn age(state: &State, run: &Run) -> String {
    let began = run.started.and_then(|started| Timestamp::try_from(started).ok());
    let seconds = began.and_then(|began| (state.now - began).total(jiff::Unit::Second).ok());
    match seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds >= 86_400.0 => format!("{:.0} days", (seconds / 86_400.0).floor()),
        Some(seconds) => clock(seconds),
    }
}

fn draw_detail(state: &State, area: Rect, buffer: &mut Buffer) {
    let (guests, look) = (&state.guests, &state.look);
    let Some(run) = guests.selected() else {
        Panel::new("Left").draw(area, look, buffer);
        return;
    };
    let (condition, word) = standing(run);
    let style = look.theme.style(Theme::condition(condition));
    Panel::new(&run.id).right(word, style).active(guests.opened).draw(area, look, buffer);
    let inner = detail(state);
    let advice = if run.live {
        format!("Under way, as process {}: it cleans up by itself.", run.pid)
    } else {
        "Larder ended without cleaning up: d removes what is below.".to_owned()
    };
    let dim = look.theme.style(Role::Dim);
    let head = [Line::of(&format!(" {}", run.what), Style::new()), Line::of(&format!(" {advice}"), dim)];
    for (row, line) in inner.rows().zip(&head) {
        put(buffer, row, line, look.symbols);
    }
    let above = DETAIL_HEAD.min(inner.height);
    let list = Rect { y: inner.y + above, height: inner.height - above, ..inner };
    let holdings = holdings(run);
    if holdings.is_empty() {
        put(buffer, list, &Line::of(" Nothing but its record is left.", dim), look.symbols);
        return;
    }
    let table = Table::new(HOLDINGS).bare().active(guests.opened);
    table.draw(list, guests.line, holdings.len(), look, buffer, |row| vec![Line::of(&holdings[row], Style::new())]);
}
