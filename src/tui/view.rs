//! Draws the state. Pure: the same state at the same size is the same screen.

mod builds;
mod cache;
mod chrome;
mod guests;
mod history;
mod log;
mod overlay;
mod proxy;
mod templates;
mod tiny;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::{Modifier, Style};

use super::layout::{self, Room};
use super::state::mouse::Selection;
use super::state::run::Condition;
use super::state::{Screen, State};

/// Draws the state on a frame. `state.size` is the frame's.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    if let Some(position) = draw(state, frame.buffer_mut()) {
        frame.set_cursor_position(position);
    }
}

/// Draws the state; returns where the cursor is, if anywhere.
pub(super) fn draw(state: &State, buffer: &mut Buffer) -> Option<Position> {
    state.look.panes.begin();
    let cursor = if layout::room(state.size) == Room::Tiny {
        tiny::draw(state, buffer);
        overlay::draw_all(state, buffer);
        overlay::cursor(state)
    } else {
        draw_screen(state, buffer)
    };
    if let Some(selection) = &state.mouse.selection {
        draw_selection(selection, buffer);
    }
    cursor
}

fn draw_screen(state: &State, buffer: &mut Buffer) -> Option<Position> {
    let parts = layout::frame(state.size);
    chrome::top(state, parts.top, buffer);
    match state.screen {
        Screen::Builds => builds::draw(state, parts.body, buffer),
        Screen::Log => log::draw(state, parts.body, buffer),
        Screen::Proxy => proxy::draw(state, parts.body, buffer),
        Screen::Cache => cache::draw(state, parts.body, buffer),
        Screen::Templates => templates::draw(state, parts.body, buffer),
        Screen::History => history::draw(state, parts.body, buffer),
        Screen::Guests => guests::draw(state, parts.body, buffer),
    }
    chrome::hints(state, parts.hints, buffer);
    chrome::status(state, parts.status, buffer);
    overlay::draw_all(state, buffer);
    chrome::cursor(state, &parts).map(Into::into)
}

/// The pane in which text is selected stands still; what is selected is reversed.
fn draw_selection(selection: &Selection, buffer: &mut Buffer) {
    let place = selection.pane.intersection(buffer.area);
    for position in place.positions() {
        if let (Some(cell), Some(still)) = (buffer.cell_mut(position), selection.still.cell(position)) {
            *cell = still.clone();
        }
    }
    for row in selection.rows() {
        buffer.set_style(row.intersection(place), Style::new().add_modifier(Modifier::REVERSED));
    }
}

/// The terminal's title: what is built, and what there is to do.
pub fn title(state: &State) -> String {
    let mut title = "larder".to_owned();
    if !state.run.questions.is_empty() {
        title.push_str(&format!(" ({}?)", state.run.questions.len()));
    }
    if let Some(template) = &state.template {
        title.push_str(&format!(" {}", template.display()));
    }
    let count = |wanted: Condition| state.run.builds.iter().filter(|build| build.condition == wanted).count();
    for condition in [Condition::Running, Condition::Failed, Condition::Done] {
        let count = count(condition);
        if count > 0 {
            title.push_str(&format!(" {count} {}", condition.as_str()));
        }
    }
    title
}
