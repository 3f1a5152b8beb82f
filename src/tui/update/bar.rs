//! The line in which a search or a filter is typed.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::backend::crossterm::EventHandler as _;

use super::{global, searched};
use crate::tui::effect::Effect;
use crate::tui::keymap::KeyPress;
use crate::tui::state::State;

/// Most searches recalled.
const RECALLED: usize = 50;

pub(super) fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    let Some(bar) = &mut state.bar else { return Vec::new() };
    match key.code {
        KeyCode::Esc => {
            state.bar = None;
            Vec::new()
        }
        KeyCode::Enter => {
            let (kind, query) = (bar.kind, bar.input.value().to_owned());
            state.bar = None;
            if !query.is_empty() {
                state.recalled.retain(|known| *known != query);
                state.recalled.push(query.clone());
                let surplus = state.recalled.len().saturating_sub(RECALLED);
                state.recalled.drain(..surplus);
            }
            searched(state, kind, &query)
        }
        KeyCode::Up | KeyCode::Down => {
            recall(state, key.code == KeyCode::Up);
            Vec::new()
        }
        // Ctrl-C in a prompt ends the prompt only.
        _ if KeyPress::from(key) == (KeyPress { code: KeyCode::Char('c'), ctrl: true, alt: false }) => {
            state.bar = None;
            Vec::new()
        }
        _ if global::holds_while_typing(key.into()) => Vec::new(),
        _ => {
            bar.input.handle_event(&Event::Key(key));
            Vec::new()
        }
    }
}

fn recall(state: &mut State, back: bool) {
    let Some(bar) = &mut state.bar else { return };
    let count = state.recalled.len();
    bar.recalled = match (bar.recalled, back) {
        (None, true) if count > 0 => Some(0),
        (Some(at), true) => Some((at + 1).min(count.saturating_sub(1))),
        (Some(0) | None, _) => None,
        (Some(at), false) => Some(at - 1),
    };
    let text = bar.recalled.map_or("", |at| state.recalled[count - 1 - at].as_str());
    bar.input = tui_input::Input::from(text);
}
