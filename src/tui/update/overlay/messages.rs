//! Errors and warnings.

use ratatui::crossterm::event::{KeyCode, MouseEvent};
use ratatui::layout::Position;

use crate::tui::effect::Effect;
use crate::tui::keymap::motion::Motion;
use crate::tui::keymap::{Command, KeyPress, Meaning, global as keys};
use crate::tui::layout::{self, MESSAGE_LINES};
use crate::tui::state::State;
use crate::tui::state::overlay::{Listed, Overlay};
use crate::tui::state::run::Message;
use crate::tui::update::global;

/// The list, at its newest message.
pub(in crate::tui::update) fn opened(state: &State) -> Overlay {
    let count = state.run.troubles().count();
    let mut listed = Listed::default();
    listed.place.select(count.saturating_sub(1), count, page(state));
    Overlay::Messages(listed)
}

fn page(state: &State) -> usize {
    usize::from(layout::listed_rows(state.size, false, MESSAGE_LINES).height)
}

pub(super) fn pressed(state: &mut State, press: KeyPress) -> Vec<Effect> {
    state.pending.push(press);
    let meaning = state.keymap.meaning(state.screen, &state.pending);
    if meaning != Meaning::Begun {
        state.pending.clear();
    }
    match meaning {
        _ if press.code == KeyCode::Esc => back(state),
        Meaning::Command(Command::Global(keys::Action::Back | keys::Action::Messages)) => back(state),
        Meaning::Command(Command::Global(keys::Action::Open)) => open(state),
        Meaning::Command(Command::Global(keys::Action::Copy)) => copy(state, false),
        Meaning::Command(Command::Global(keys::Action::CopyAll)) => copy(state, true),
        Meaning::Command(Command::Move(motion)) => {
            moved(state, motion);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn back(state: &mut State) -> Vec<Effect> {
    state.overlays.pop();
    Vec::new()
}

fn selected(state: &State) -> Option<&Message> {
    let Some(Overlay::Messages(listed)) = state.overlays.last() else { return None };
    state.run.troubles().nth(listed.place.selected)
}

pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let Some(message) = selected(state) else { return Vec::new() };
    match message.build.clone() {
        Some(build) => {
            state.overlays.pop();
            global::show_log(state, &build)
        }
        None => {
            state.notice("This message is about no build");
            Vec::new()
        }
    }
}

/// A message as copied: its time, its build, its text.
pub(in crate::tui::update) fn line(message: &Message) -> String {
    let build = message.build.as_ref().map(|build| format!("{build}: ")).unwrap_or_default();
    format!("{} {} {build}{}", message.time.strftime("%Y-%m-%dT%H:%M:%SZ"), message.severity.as_str(), message.text)
}

fn copy(state: &mut State, all: bool) -> Vec<Effect> {
    let text = if all {
        state.run.troubles().map(line).collect::<Vec<_>>().join("\n")
    } else {
        selected(state).map(line).unwrap_or_default()
    };
    if text.is_empty() { Vec::new() } else { vec![Effect::Copy(text)] }
}

fn moved(state: &mut State, motion: Motion) {
    let (count, page) = (state.run.troubles().count(), page(state));
    if let Some(Overlay::Messages(listed)) = state.overlays.last_mut() {
        listed.place.go(motion, count, page);
    }
}

pub(super) fn moused(state: &mut State, motion: Option<Motion>, mouse: MouseEvent) {
    if let Some(motion) = motion {
        return moved(state, motion);
    }
    let (count, page) = (state.run.troubles().count(), page(state));
    let rows = layout::listed_rows(state.size, false, MESSAGE_LINES);
    let Some(Overlay::Messages(listed)) = state.overlays.last_mut() else { return };
    if rows.contains(Position::new(mouse.column, mouse.row)) {
        listed.place.select(listed.place.top + usize::from(mouse.row - rows.y), count, page);
    }
}
