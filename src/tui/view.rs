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

use super::layout::{self, Room};
use super::state::run::Condition;
use super::state::{Screen, State};

/// Draws the state on a frame. `state.size` is the frame's.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let buffer = frame.buffer_mut();
    if layout::room(state.size) == Room::Tiny {
        tiny::draw(state, buffer);
        overlay::draw_all(state, buffer);
        if let Some(position) = overlay::cursor(state) {
            frame.set_cursor_position(position);
        }
        return;
    }
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
    if let Some((column, row)) = chrome::cursor(state, &parts) {
        frame.set_cursor_position((column, row));
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
