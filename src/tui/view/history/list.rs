//! The list of runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{amount, began, builds, hits, standing, took};
use crate::tui::state::State;
use crate::tui::state::history::{Kept, Reading, View};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::{Line, put};

const COLUMNS: &[Column] = &[
    Column::new("", Width::Fixed(1)),
    Column::new("BEGAN", Width::Fixed(11)),
    Column::new("TEMPLATE", Width::Fill(10)),
    Column::new("BUILDS", Width::Fill(8)).rank(1),
    Column::new("ENDED", Width::Fixed(11)),
    Column::new("TOOK", Width::Fixed(7)).right(),
    Column::new("UPSTREAM", Width::Fixed(9)).right().rank(2),
    Column::new("HITS", Width::Fixed(4)).right().rank(3),
];

pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let (history, look) = (&state.history, &state.look);
    let active = history.view == View::List;
    let inner = Panel::new("History").right(&title(state), Style::new()).active(active).draw(area, look, buffer);
    if history.shown.is_empty() {
        put(buffer, inner, &Line::of(&format!(" {}", empty(state)), look.theme.style(Role::Dim)), look.symbols);
        return;
    }
    let table = Table::new(COLUMNS).active(active);
    table.draw(inner, history.place, history.shown.len(), look, buffer, |row| {
        cells(state, &history.runs[history.shown[row]])
    });
}

fn title(state: &State) -> String {
    let history = &state.history;
    let (shown, all) = (history.shown.len(), history.runs.len());
    let plural = if all == 1 { "" } else { "s" };
    match &history.filter {
        Some((text, _)) if history.filtered => format!("{shown} of {all} run{plural}  filter: {text}"),
        Some((text, _)) => format!("{all} run{plural}  filter off: {text}"),
        None => format!("{all} run{plural}"),
    }
}

/// What is said where there are no rows.
fn empty(state: &State) -> String {
    match &state.history.read {
        Reading::Begun => "reading ...".to_owned(),
        Reading::Failed(why) => why.clone(),
        Reading::Done if state.history.runs.is_empty() => "No runs yet: build something on screen 5.".to_owned(),
        Reading::Done => "No run matches the filter; \\ turns it off.".to_owned(),
    }
}

fn cells(state: &State, kept: &Kept) -> Vec<Line> {
    let theme = state.look.theme;
    let run = &kept.run;
    let plain = |text: &str| Line::of(text, Style::new());
    let marked = state.history.marked.contains(&run.id);
    let downloads = run.downloads();
    let sums = downloads.all();
    vec![
        Line::of(if marked { "*" } else { "" }, theme.style(Role::Asking)),
        plain(&began(state, run.started, "%m-%d %H:%M")),
        plain(run.template_name()),
        plain(&builds(run)),
        standing(kept.standing(), theme),
        plain(&took(run.seconds)),
        plain(&amount(sums.requests, sums.bytes_upstream)),
        plain(&hits(&downloads)),
    ]
}
