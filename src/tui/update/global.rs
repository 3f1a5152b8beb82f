//! Keys that hold anywhere.

use super::{own, shown};
use crate::tui::effect::{Effect, Leave, Steer};
use crate::tui::keymap::global::Action;
use crate::tui::keymap::{Command, KeyPress, Meaning, key};
use crate::tui::state::overlay::{Bar, BarKind, Confirm, ConfirmOption, Listed, Overlay};
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
            let overlay = super::overlay::messages(state);
            over(state, overlay)
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
            vec![Effect::Stream(true)]
        }
        Action::Theme => {
            state.look.theme = state.look.theme.next();
            state.notice(format!("theme: {}", state.look.theme.as_str()));
            Vec::new()
        }
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => suspend(state),
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

/// Goes to the log of a build.
pub(super) fn show_log(state: &mut State, build: &str) -> Vec<Effect> {
    let row = state.builds.rows.iter().position(|name| **name == *build);
    let mut effects = row.map(|row| super::builds::choose(state, row)).unwrap_or_default();
    effects.extend(show(state, Screen::Log));
    effects
}

/// Stops the process. While builds run they would stop with it: the first time that is said.
pub(super) fn suspend(state: &mut State) -> Vec<Effect> {
    if !state.run.is_live() || std::mem::replace(&mut state.told_of_suspending, true) {
        return vec![Effect::Suspend];
    }
    let keys = state.keymap.shown(Command::Global(Action::Stream));
    let option = |key, text: String, effects| ConfirmOption { key, text, effects };
    let confirm = Confirm {
        title: "Stop Larder?".to_owned(),
        lines: vec!["Builds are under way, and stop with it, until you bring it back with `fg`.".to_owned()],
        options: vec![
            option('z', "stop everything now; from here on Ctrl-Z does so at once".to_owned(), vec![Effect::Suspend]),
            option(
                'S',
                format!("show plain lines on the normal screen instead ({keys} comes back)"),
                vec![Effect::Stream(true)],
            ),
        ],
    };
    over(state, Overlay::Confirm(confirm))
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
        Some(question) => {
            let overlay = super::overlay::question::opened(question.id);
            over(state, overlay)
        }
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
            vec![Effect::Stream(false)]
        }
        Meaning::Command(Command::Global(Action::Suspend)) => vec![Effect::Suspend],
        Meaning::Command(Command::Global(Action::Interrupt)) => interrupt(state),
        _ => Vec::new(),
    }
}
