//! Keys that hold anywhere.

use super::{own, shown};
use crate::tui::effect::{Effect, Leave, Steer};
use crate::tui::keymap::global::Action;
use crate::tui::keymap::{Command, KeyPress, Meaning, key};
use crate::tui::state::overlay::{Bar, BarKind, Confirm, ConfirmOption, Listed, Overlay, QuestionView};
use crate::tui::state::{Screen, State};

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    if let Some(effects) = own(state, action) {
        return effects;
    }
    match action {
        Action::Show(screen) => show(state, screen),
        Action::Back => back(state),
        Action::Interrupt => interrupt(state),
        Action::Help => over(state, Overlay::Help(Listed::default())),
        Action::Palette => over(state, Overlay::Palette(Listed::default())),
        Action::Messages => {
            let last = state.run.messages.len().saturating_sub(1);
            let mut listed = Listed::default();
            listed.place.selected = last;
            over(state, Overlay::Messages(listed))
        }
        Action::Answer => answer(state),
        Action::Find => bar(state, BarKind::Find),
        Action::Filter => bar(state, BarKind::Filter),
        Action::Zoom => {
            state.zoomed = !state.zoomed;
            Vec::new()
        }
        Action::Stream => {
            state.streaming = true;
            vec![Effect::Stream]
        }
        Action::Theme => {
            state.look.theme = state.look.theme.next();
            state.notice(format!("theme: {}", state.look.theme.as_str()));
            Vec::new()
        }
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Open
        | Action::NextPane
        | Action::PreviousPane
        | Action::FindNext
        | Action::FindPrevious
        | Action::FilterToggle
        | Action::Copy
        | Action::CopyAll => Vec::new(),
    }
}

/// Goes to a screen.
pub(super) fn show(state: &mut State, screen: Screen) -> Vec<Effect> {
    state.screen = screen;
    state.zoomed = false;
    shown(state)
}

fn over(state: &mut State, overlay: Overlay) -> Vec<Effect> {
    state.overlays.push(overlay);
    Vec::new()
}

fn bar(state: &mut State, kind: BarKind) -> Vec<Effect> {
    state.bar = Some(Bar { kind, input: tui_input::Input::default(), recalled: None });
    Vec::new()
}

/// Opens the oldest question.
pub(super) fn answer(state: &mut State) -> Vec<Effect> {
    match state.run.questions.first() {
        Some(question) => over(state, Overlay::Question(QuestionView { id: question.id, choosing: None })),
        None => {
            state.notice("no build asks anything");
            Vec::new()
        }
    }
}

fn back(state: &mut State) -> Vec<Effect> {
    if state.zoomed {
        state.zoomed = false;
        return Vec::new();
    }
    if state.screen != Screen::Builds && state.run.started.is_some() {
        return show(state, Screen::Builds);
    }
    if !state.run.is_live() {
        return vec![Effect::Leave(Leave::Quit)];
    }
    let option = |key, text: &str, effects| ConfirmOption { key, text: text.to_owned(), effects };
    let confirm = Confirm {
        title: "Builds are under way".to_owned(),
        lines: vec!["They end with this program.".to_owned()],
        options: vec![
            option('s', "stop all builds; each cleans up", vec![Effect::Control(Steer::CancelAll)]),
            option('l', "leave this screen; builds go on as plain lines", vec![Effect::Leave(Leave::Plain)]),
        ],
    };
    over(state, Overlay::Confirm(confirm))
}

/// Ctrl-C: the first time builds are cancelled, the second time everything is left as it is.
pub(super) fn interrupt(state: &mut State) -> Vec<Effect> {
    if !state.run.is_live() {
        return vec![Effect::Leave(Leave::Quit)];
    }
    state.interrupts = state.interrupts.saturating_add(1);
    if state.interrupts > 1 {
        return vec![Effect::Leave(Leave::AtOnce)];
    }
    state.notice("Cancelling; builds clean up. Ctrl-C again leaves at once, without cleaning up");
    vec![Effect::Control(Steer::CancelAll)]
}

/// Whether a key does what it always does, also while text is typed.
pub(super) fn holds_while_typing(press: KeyPress) -> bool {
    ["Ctrl-c", "Ctrl-z", "Ctrl-l"].iter().any(|keys| key::sequence(keys).is_some_and(|keys| keys == [press]))
}

/// A key while the plain stream is shown.
pub(super) fn streaming(state: &mut State, press: KeyPress) -> Vec<Effect> {
    match state.keymap.meaning(state.screen, &[press]) {
        Meaning::Command(Command::Global(Action::Stream | Action::Back)) => {
            state.streaming = false;
            vec![Effect::Stream]
        }
        Meaning::Command(Command::Global(Action::Interrupt)) => interrupt(state),
        _ => Vec::new(),
    }
}
