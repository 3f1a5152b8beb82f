//! The mouse on the Builds and the Log screen.

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{going, looking};
use crate::tui::effect::Effect;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::builds as layout;
use crate::tui::state::builds::Pane;
use crate::tui::state::log::Spot;
use crate::tui::state::{State, visual};
use crate::tui::update::{builds, moved, proxy};
use crate::tui::widget::table::Table;

/// The builds, as far as where its rows are goes: below its titles.
const TABLE: Table<'_> = Table::new(&[]);

/// Rows that a turn of the wheel moves by.
const WHEEL: usize = 3;

pub(in crate::tui::update) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    let spot = (mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::ScrollUp => wheel(state, spot, Motion::Up),
        MouseEventKind::ScrollDown => wheel(state, spot, Motion::Down),
        MouseEventKind::ScrollLeft => wheel(state, spot, Motion::Left),
        MouseEventKind::ScrollRight => wheel(state, spot, Motion::Right),
        MouseEventKind::Down(MouseButton::Left) => click(state, mouse, spot),
        MouseEventKind::Drag(MouseButton::Left) => {
            if let Some((_, to)) = &mut state.log.drag {
                *to = spot;
            }
            Vec::new()
        }
        MouseEventKind::Up(MouseButton::Left) => release(state, spot),
        _ => Vec::new(),
    }
}

fn under(state: &State, (column, row): Spot) -> Option<Pane> {
    let parts = layout::parts(state);
    Pane::ALL.into_iter().find(|pane| parts.pane(*pane).contains(Position::new(column, row)))
}

/// Turns the wheel over a pane, whichever has the keys.
fn wheel(state: &mut State, spot: Spot, motion: Motion) -> Vec<Effect> {
    match under(state, spot) {
        Some(Pane::Log) => (0..WHEEL).flat_map(|_| going::moved(state, motion)).collect(),
        Some(pane @ (Pane::List | Pane::Steps)) => {
            state.give(pane);
            moved(state, motion)
        }
        // Where they can have the keys.
        Some(pane @ (Pane::Proxy | Pane::Messages)) => {
            state.give(pane);
            if state.pane() == pane { moved(state, motion) } else { Vec::new() }
        }
        None => Vec::new(),
    }
}

fn click(state: &mut State, mouse: MouseEvent, spot: Spot) -> Vec<Effect> {
    state.log.drag = None;
    let Some(pane) = under(state, spot) else { return Vec::new() };
    state.give(pane);
    match pane {
        Pane::List => {
            let count = state.builds.rows.len();
            let row = TABLE.row_at(layout::list_rows(state), spot.1, state.builds.place, count);
            row.map(|row| builds::choose(state, row)).unwrap_or_default()
        }
        Pane::Log => {
            state.log.drag = Some((spot, spot));
            let area = layout::log_rows(state);
            let at = usize::from(spot.1.saturating_sub(area.y));
            let row = visual::visuals(state, area).get(at).map(|visual| visual.row);
            if let (Some(row), true) = (row, spot.1 >= area.y) {
                going::arrive(state, row);
                looking::fit(state);
            }
            Vec::new()
        }
        Pane::Messages if state.pane() == pane => {
            let rows = layout::message_rows(state);
            let (mut place, count) = (state.message_place(), state.run.messages.len());
            if let Some(row) = spot.1.checked_sub(rows.y).map(usize::from).filter(|row| place.top + row < count) {
                place.select(place.top + row, count, usize::from(rows.height));
                state.builds.messages = (place, count);
            }
            Vec::new()
        }
        Pane::Proxy if state.pane() == pane => proxy::moused(state, mouse),
        Pane::Steps | Pane::Proxy | Pane::Messages => Vec::new(),
    }
}

/// What was selected is copied.
fn release(state: &mut State, spot: Spot) -> Vec<Effect> {
    let Some((from, _)) = state.log.drag.take() else { return Vec::new() };
    if from == spot {
        return Vec::new();
    }
    let text = selected(state, from, spot);
    if text.trim().is_empty() {
        return Vec::new();
    }
    state.notice("selection copied");
    vec![Effect::Copy(text)]
}

/// The text between two places of the log's pane: the log's alone, without numbers, times and what is beside the pane.
fn selected(state: &State, from: Spot, to: Spot) -> String {
    let area = layout::log_rows(state);
    let (first, last) = if (from.1, from.0) <= (to.1, to.0) { (from, to) } else { (to, from) };
    let begin = area.x + u16::try_from(visual::head_width(state)).unwrap_or(0);
    let column = |x: u16| usize::from(x.saturating_sub(begin));
    let visuals = visual::visuals(state, area);
    let mut text = String::new();
    for y in first.1.max(area.y)..=last.1 {
        let Some(visual) = visuals.get(usize::from(y - area.y)) else { break };
        let from = if y == first.1 { column(first.0) } else { 0 };
        let to = if y == last.1 { column(last.0) + 1 } else { usize::MAX };
        // A wrapped line is one line.
        if y > first.1.max(area.y) && !is_continued(&visuals, usize::from(y - area.y)) {
            text.push('\n');
        }
        text.push_str(&visual.text(from, to));
    }
    text
}

fn is_continued(visuals: &[visual::Visual], place: usize) -> bool {
    place > 0 && visuals[place - 1].row == visuals[place].row
}
