//! The Log screen, and the log and the steps wherever else they are shown.

mod steps;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::history::log_store::Source;
use crate::tui::layout::builds::{log_rows, parts};
use crate::tui::state::builds::Pane;
use crate::tui::state::log::Spot;
use crate::tui::state::visual::{self, Visual};
use crate::tui::state::{Screen, State};
use crate::tui::theme::Role;
use crate::tui::widget::panel::Panel;
use crate::tui::widget::text::{Line, put};
use crate::tui::widget::thousands;

pub(super) use steps::draw as steps;

pub(super) fn draw(state: &State, _area: Rect, buffer: &mut Buffer) {
    let parts = parts(state);
    if !parts.steps.is_empty() {
        steps(state, parts.steps, buffer);
    }
    if !parts.log.is_empty() {
        pane(state, parts.log, buffer);
    }
}

/// The log.
pub(super) fn pane(state: &State, area: Rect, buffer: &mut Buffer) {
    let active = state.pane() == Pane::Log;
    let (title, right, role) = heading(state, usize::from(area.width));
    let panel = Panel::new(&title).active(active).right(&right, state.look.theme.style(role));
    panel.open().draw(area, &state.look, buffer);
    let inner = log_rows(state);
    if state.log.seen.rows.is_empty() {
        let row = Rect { height: inner.height.min(1), ..inner };
        put(buffer, row, &Line::of(&empty(state), state.look.theme.style(Role::Dim)), state.look.symbols);
        return;
    }
    let head = u16::try_from(visual::head_width(state)).unwrap_or(0);
    for (row, visual) in inner.rows().zip(visual::visuals(state, inner)) {
        line(state, &visual, row, active, buffer);
        drag(state, row, head, buffer);
    }
}

/// Title, what is at its right, and what that looks like. Where there is little room the step gives way, and then what
/// is seen elsewhere: that a search is counted and following has ended must be seen.
fn heading(state: &State, width: usize) -> (String, String, Role) {
    let (mut parts, role) = condition(state);
    let name = state.log.shown.as_ref().map_or("Log", |shown| &*shown.title);
    let mut title = step(state).map_or_else(|| name.to_owned(), |step| format!("{name} > {step}"));
    let wide = |title: &str, parts: &[String]| {
        let right: usize = parts.iter().map(|part| part.width() + 2).sum();
        title.width() + right + 8 > width
    };
    if wide(&title, &parts) {
        name.clone_into(&mut title);
    }
    if wide(&title, &parts) {
        "Log".clone_into(&mut title);
    }
    while wide(&title, &parts) && parts.len() > 1 {
        parts.pop();
    }
    (title, parts.join("  "), role)
}

/// In which step one is.
fn step(state: &State) -> Option<String> {
    let seen = &state.log.seen;
    let line = seen.rows.get(state.log.view.cursor.saturating_sub(seen.first)).map_or(0, |row| row.number);
    let begun = seen.steps.partition_point(|step| step.line <= line);
    let step = begun.checked_sub(1).and_then(|place| seen.steps.get(place))?;
    Some(format!("{} {}", step.index + 1, step.name))
}

/// What of the log is shown, what matters most first: followed or not, searched, filtered.
fn condition(state: &State) -> (Vec<String>, Role) {
    let (view, seen) = (&state.log.view, &state.log.seen);
    let mut parts = Vec::new();
    let running = state.shown_build().is_some_and(|build| build.condition.is_open());
    let fresh = state.log.fresh();
    let role = match (view.follow, running) {
        (true, true) => {
            parts.push("following".to_owned());
            Role::Text
        }
        (false, true) => {
            let more = if fresh > 0 { format!(" +{} new lines", thousands(fresh)) } else { String::new() };
            parts.push(format!("PAUSED{more}"));
            Role::Warning
        }
        (_, false) => Role::Text,
    };
    if let (Some(find), Some(found)) = (&view.find, seen.found) {
        let going = if found.running { ".." } else { "" };
        parts.push(match found.count {
            0 => format!("/{find}: no match{going}"),
            count => format!("/{find}: match {} of {}{going}", (found.before + 1).min(count), thousands(count)),
        });
    }
    if let Some(filter) = &view.filter {
        let off = if view.filter_on { "" } else { " (off)" };
        parts.push(format!("&{filter}{off}"));
    }
    let lines = match view.filtered() {
        Some(_) => format!("{} of {} lines", thousands(seen.len), thousands(seen.lines)),
        None => format!("{} lines", thousands(seen.lines)),
    };
    parts.push(lines);
    (parts, role)
}

fn empty(state: &State) -> String {
    let path = state.log.shown.as_ref().and_then(|shown| shown.path.as_ref());
    let text = match (&state.log.shown, path, state.log.view.filtered()) {
        (None, ..) => "no build is selected",
        (_, None, _) => "it has not begun",
        (_, _, Some(_)) if state.log.seen.lines > 0 => "no line is as the filter wants it; \\ turns it off",
        _ => "no lines yet",
    };
    format!(" {text}")
}

fn line(state: &State, visual: &Visual, area: Rect, active: bool, buffer: &mut Buffer) {
    let theme = state.look.theme;
    let own = role(visual.source).map_or(Style::new(), |role| theme.style(role));
    let view = &state.log.view;
    let at = visual.row == view.cursor && !view.follow;
    let mark = match (at, view.mark == Some(visual.number)) {
        (true, _) => ">",
        (false, true) => "'",
        (false, false) => " ",
    };
    let mut line = Line::of(mark, theme.style(if at && active { Role::ActiveTitle } else { Role::Key }));
    line.push(&visual.head, theme.style(Role::Dim));
    for span in &visual.spans {
        let style = if span.hit { theme.style(Role::Match) } else { own.patch(guest(span.style, theme)) };
        line.push(&span.text, style);
    }
    put(buffer, area, &line, state.look.symbols);
    if visual.cut && area.width > 0 {
        // Put at the edge, so that nothing of the text is hidden but what does not fit.
        let end = Rect { x: area.right() - 1, width: 1, ..area };
        put(buffer, end, &Line::of(">", theme.style(Role::Key)), state.look.symbols);
    }
    if at && active && state.screen == Screen::Log {
        let head = u16::try_from(1 + visual.head.len()).unwrap_or(0).min(area.width);
        buffer.set_style(Rect { width: head, ..area }, Style::new().add_modifier(Modifier::REVERSED));
    }
}

/// The guest's colours, where there are any: not with `NO_COLOR`, and never a background, which might hide the text.
fn guest(style: Style, theme: crate::tui::theme::Theme) -> Style {
    let modifiers = Style::new().add_modifier(style.add_modifier);
    match style.fg {
        Some(colour) if theme != crate::tui::theme::Theme::Mono => modifiers.fg(colour),
        _ => modifiers,
    }
}

/// What a line looks like, by where it comes from.
fn role(source: Source) -> Option<Role> {
    match source {
        Source::Larder | Source::StepBegan | Source::StepEnded => Some(Role::Title),
        Source::Warning => Some(Role::Warning),
        Source::Net => Some(Role::Dim),
        Source::Out | Source::Err => None,
    }
}

/// Shows what is being selected with the mouse.
fn drag(state: &State, row: Rect, head: u16, buffer: &mut Buffer) {
    let Some((from, to)) = state.log.drag.filter(|(from, to)| from != to) else { return };
    let order = |a: Spot, b: Spot| if (a.1, a.0) <= (b.1, b.0) { (a, b) } else { (b, a) };
    let (first, last) = order(from, to);
    for column in row.x + head.min(row.width)..row.right() {
        let spot = (row.y, column);
        if spot >= (first.1, first.0)
            && spot <= (last.1, last.0)
            && let Some(cell) = buffer.cell_mut(Position::new(column, row.y))
        {
            cell.set_style(Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}
