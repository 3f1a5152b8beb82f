//! Two runs side by side.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{amount, began, facts, put_facts, took};
use crate::event::Ending;
use crate::history::compare::Facts;
use crate::history::run::Run;
use crate::tui::layout::history::rows as rows_area;
use crate::tui::state::State;
use crate::tui::state::history::rows::of_two;
use crate::tui::state::history::{Compared, standing as stands};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::panel::Panel;
use crate::tui::widget::table::{Column, Table, Width};
use crate::tui::widget::text::Line;

const COLUMNS: &[Column] = &[
    Column::new("BUILD / STEP", Width::Fill(14)),
    Column::new("A", Width::Fixed(7)).right(),
    Column::new("B", Width::Fixed(7)).right(),
    Column::new("B-A", Width::Fixed(7)).right(),
    Column::new("UPSTREAM A", Width::Fixed(10)).right().rank(2),
    Column::new("UPSTREAM B", Width::Fixed(10)).right().rank(2),
    Column::new("", Width::Fixed(12)).rank(1),
];

/// Changes of less than this part of the time are not worth a colour.
const NOTABLE: f64 = 0.1;

pub(super) fn draw(state: &State, compared: &Compared, area: Rect, buffer: &mut Buffer) {
    let look = &state.look;
    let inner = Panel::new("Two runs side by side").active(true).draw(area, look, buffer);
    put_facts(&head(state, compared), inner, state, buffer);
    let rows = of_two(compared);
    let table = Table::new(COLUMNS);
    table.draw(rows_area(state), state.history.row, rows.len(), look, buffer, |row| {
        let (build, step) = rows[row];
        let pair = &compared.builds[build];
        match step {
            None => cells(Line::of(&pair.name, look.theme.style(Role::Title)), pair.a, pair.b, look.theme),
            Some(step) => {
                let step = &pair.steps[step];
                cells(Line::of(&format!("  {}", step.name), Style::new()), step.a, step.b, look.theme)
            }
        }
    });
}

fn head(state: &State, compared: &Compared) -> [Line; 3] {
    let theme = state.look.theme;
    let line = |letter: &str, run: &Run| {
        let time = began(state, run.started, "%Y-%m-%d %H:%M:%S");
        facts(&[("", letter.to_owned()), ("", time), ("", run.id.clone()), ("", run.template.clone())], theme)
    };
    let (a, b) = (&compared.a, &compared.b);
    let note = if a.template != b.template {
        Line::of(" They are of different templates.", theme.style(Role::Warning))
    } else if a.template_digest != b.template_digest {
        Line::of(" The template, or its variables, changed in between.", theme.style(Role::Warning))
    } else {
        Line::of(" The template is the same.", theme.style(Role::Dim))
    };
    [line("A", a), line("B", b), note]
}

fn cells(name: Line, a: Option<Facts>, b: Option<Facts>, theme: Theme) -> Vec<Line> {
    let plain = |text: String| Line::of(&text, Style::new());
    let time = |facts: Option<Facts>| plain(facts.map_or_else(String::new, |facts| took(facts.seconds)));
    let upstream = |facts: Option<Facts>| {
        plain(facts.map_or_else(String::new, |facts| amount(facts.requests, facts.bytes_upstream)))
    };
    vec![name, time(a), time(b), change(a, b, theme), upstream(a), upstream(b), note(a, b, theme)]
}

/// How much longer it took the second time.
fn change(a: Option<Facts>, b: Option<Facts>, theme: Theme) -> Line {
    let seconds = |facts: Option<Facts>| facts.and_then(|facts| facts.seconds);
    let Some((a, b)) = seconds(a).zip(seconds(b)) else { return Line::default() };
    let longer = b - a;
    if longer.abs() < 1.0 {
        return Line::of("=", theme.style(Role::Dim));
    }
    let role = match longer / a.max(1.0) {
        part if part > NOTABLE => Role::Warning,
        part if part < -NOTABLE => Role::Good,
        _ => Role::Text,
    };
    let sign = if longer < 0.0 { "-" } else { "+" };
    Line::of(&format!("{sign}{}", took(Some(longer.abs()))), theme.style(role))
}

fn note(a: Option<Facts>, b: Option<Facts>, theme: Theme) -> Line {
    match (a, b) {
        (None, _) => Line::of("only in B", theme.style(Role::Dim)),
        (_, None) => Line::of("only in A", theme.style(Role::Dim)),
        (Some(a), Some(b)) => {
            let ended = [("A", a), ("B", b)].into_iter().find(|(_, facts)| facts.ending != Some(Ending::Succeeded));
            ended.map_or_else(Line::default, |(letter, facts)| {
                let (condition, word) = stands(facts.ending, false);
                Line::of(&format!("{letter} {word}"), theme.style(Theme::condition(condition)))
            })
        }
    }
}
