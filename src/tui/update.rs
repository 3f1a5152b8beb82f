//! Takes a message into the state, and says what is to be done outside. Pure.

mod bar;
mod builds;
mod cache;
mod global;
pub(super) mod guests;
mod history;
mod log;
mod mouse;
mod overlay;
mod proxy;
mod templates;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;

use super::effect::{Done, Effect};
use super::keymap::motion::Motion;
use super::keymap::{Command, KeyPress, Meaning};
use super::msg::Msg;
use super::state::overlay::BarKind;
use super::state::run::Severity;
use super::state::{Screen, State, Stay};
use crate::event::{Event, EventKind};

/// Takes a message in.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => pressed(state, key),
        Msg::Mouse(event) => mouse::moused(state, event),
        Msg::Paste(text) => pasted(state, &text),
        Msg::Resize(width, height) => {
            state.size = Size::new(width, height);
            resized(state)
        }
        Msg::Event(event) => happened(state, &event),
        Msg::Live(live) => {
            state.run.live = live;
            state.heard = state.now;
            let mut effects = log::grown(state);
            effects.extend(proxy::grown(state));
            effects
        }
        Msg::Tick(now) => {
            state.now = now;
            if state.notice.as_ref().is_some_and(|notice| notice.until <= now) {
                state.notice = None;
            }
            forget_pending(state);
            let mut effects = log::grown(state);
            effects.extend(proxy::ticked(state));
            effects
        }
        Msg::Done(done) => finished(state, done),
        Msg::Aside(line) => {
            state.run.note(state.now, Severity::Warning, None, line);
            Vec::new()
        }
        Msg::RunEnded(exit) => run_ended(state, exit),
        Msg::Leave => vec![Effect::Leave(super::effect::Leave::Quit)],
        Msg::Lost => vec![Effect::Leave(super::effect::Leave::Plain)],
        Msg::Stop => vec![Effect::Stop],
        Msg::Continued => vec![Effect::Retake],
        Msg::Uncopied(text) => vec![Effect::CopyByTerminal(text)],
        Msg::Returned => shown(state),
    }
}

/// The UI has been opened: what is to be done first.
pub fn opened(state: &mut State) -> Vec<Effect> {
    shown(state)
}

/// Whether something on the screen changes with the clock alone.
pub fn has_clock(state: &State) -> bool {
    state.run.is_live() || state.notice.is_some() || !state.pending.is_empty()
}

/// Time within which a sequence of keys has to go on.
const SEQUENCE: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);

fn forget_pending(state: &mut State) {
    if state.now.duration_since(state.pending_since) >= SEQUENCE {
        state.pending.clear();
    }
}

fn pressed(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    state.touched = Some(state.now);
    state.mouse.selection = None;
    forget_pending(state);
    state.pending_since = state.now;
    if state.streaming {
        return global::streaming(state, key.into());
    }
    let press = KeyPress::from(key);
    if !state.overlays.is_empty() {
        return overlay::pressed(state, key);
    }
    if state.bar.is_some() {
        return bar::pressed(state, key);
    }
    if typing(state) && !global::holds_while_typing(press) {
        return text(state, key);
    }
    state.pending.push(press);
    match state.keymap.meaning(state.focus(), &state.pending) {
        Meaning::Command(found) => {
            state.pending.clear();
            command(state, found)
        }
        Meaning::Begun => Vec::new(),
        // A key that does not go on with the sequence begins anew.
        Meaning::Nothing if state.pending.len() > 1 => {
            state.pending.clear();
            pressed(state, key)
        }
        Meaning::Nothing => {
            state.pending.clear();
            Vec::new()
        }
    }
}

/// Carries a command out, wherever it came from.
fn command(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Global(action) => global::action(state, action),
        Command::Move(motion) => moved(state, motion),
        Command::Builds(action) => builds::action(state, action),
        Command::Log(action) => log::action(state, action),
        Command::Proxy(action) => proxy::action(state, action),
        Command::Cache(action) => cache::action(state, action),
        Command::Templates(action) => templates::action(state, action),
        Command::Form(action) => templates::form_action(state, action),
        Command::History(action) => history::action(state, action),
        Command::Guests(action) => guests::action(state, action),
    }
}

fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    match state.focus() {
        Screen::Builds => builds::moved(state, motion),
        Screen::Log => log::moved(state, motion),
        Screen::Proxy => proxy::moved(state, motion),
        Screen::Cache => cache::moved(state, motion),
        Screen::Templates => templates::moved(state, motion),
        Screen::History => history::moved(state, motion),
        Screen::Guests => guests::moved(state, motion),
    }
}

/// A screen comes into view, or the terminal has come back.
fn shown(state: &mut State) -> Vec<Effect> {
    match state.screen {
        Screen::Builds => builds::shown(state),
        Screen::Log => log::shown(state),
        Screen::Proxy => proxy::shown(state),
        Screen::Cache => cache::shown(state),
        Screen::Templates => templates::shown(state),
        Screen::History => history::shown(state),
        Screen::Guests => guests::shown(state),
    }
}

/// A screen's own answer to a key that holds anywhere; none where the usual one will do.
fn own(state: &mut State, action: super::keymap::global::Action) -> Option<Vec<Effect>> {
    match state.focus() {
        Screen::Builds => builds::global(state, action),
        Screen::Log => log::global(state, action),
        Screen::Proxy => proxy::global(state, action),
        Screen::Cache => cache::global(state, action),
        Screen::Templates => templates::global(state, action),
        Screen::History => history::global(state, action),
        Screen::Guests => guests::global(state, action),
    }
}

/// What was typed in the bar is to be found, or shown alone (everything, if it is empty).
fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match state.focus() {
        Screen::Builds => builds::searched(state, kind, query),
        Screen::Log => log::searched(state, kind, query),
        Screen::Proxy => proxy::searched(state, kind, query),
        Screen::Cache => cache::searched(state, kind, query),
        Screen::Templates => templates::searched(state, kind, query),
        Screen::History => history::searched(state, kind, query),
        Screen::Guests => guests::searched(state, kind, query),
    }
}

/// Whether a text field of the screen has the keys.
fn typing(state: &State) -> bool {
    state.screen == Screen::Templates && templates::typing(state)
}

fn text(state: &mut State, key: KeyEvent) -> Vec<Effect> {
    templates::text(state, key)
}

fn pasted(state: &mut State, text: &str) -> Vec<Effect> {
    // Line ends would submit what was meant to be one line.
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if !state.overlays.is_empty() {
        overlay::pasted(state, &text);
        return Vec::new();
    }
    if let Some(bar) = &mut state.bar {
        for character in text.chars() {
            bar.input.handle(tui_input::InputRequest::InsertChar(character));
        }
        return Vec::new();
    }
    if typing(state) { templates::pasted(state, &text) } else { Vec::new() }
}

fn screen_moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    match state.screen {
        Screen::Builds => builds::moused(state, mouse),
        Screen::Log => log::moused(state, mouse),
        Screen::Proxy => proxy::moused(state, mouse),
        Screen::Cache => cache::moused(state, mouse),
        Screen::Templates => templates::moused(state, mouse),
        Screen::History => history::moused(state, mouse),
        Screen::Guests => guests::moused(state, mouse),
    }
}

fn resized(state: &mut State) -> Vec<Effect> {
    log::grown(state)
}

fn happened(state: &mut State, event: &Event) -> Vec<Effect> {
    let begins = matches!(event.kind, EventKind::RunStarted { .. });
    state.heard = state.now;
    state.run.apply(event);
    if begins {
        state.interrupts = 0;
        state.builds = super::state::builds::State::default();
        state.log.begin_anew();
        proxy::begun(state);
    }
    let mut effects = overlay::question::happened(state, event);
    effects.extend(builds::happened(state, event));
    effects.extend(log::happened(state, event));
    effects.extend(proxy::happened(state, event));
    effects.extend(history::happened(state, event));
    effects
}

fn finished(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::Log(done) => log::done(state, done),
        Done::Proxy(done) => proxy::done(state, done),
        Done::Cache(done) => cache::done(state, done),
        Done::Templates(done) => templates::done(state, done),
        Done::History(done) => {
            let mut effects = history::done(state, done);
            effects.extend(builds::compared(state));
            effects
        }
        Done::Guests(done) => guests::done(state, done),
        Done::Told { error: true, text } => {
            state.error(text);
            Vec::new()
        }
        Done::Told { error: false, text } => {
            state.notice(text);
            Vec::new()
        }
    }
}

/// Seconds after a key within which the UI does not end by itself.
const READING: i64 = 10;

fn run_ended(state: &mut State, exit: u8) -> Vec<Effect> {
    state.run.exit = Some(exit);
    if state.streaming && state.stay == Stay::Open {
        let keys = state.keymap.shown(Command::Global(super::keymap::global::Action::Stream));
        return vec![Effect::Say(format!("The run has ended. {keys} goes back to the screen."))];
    }
    let reading = state.touched.is_some_and(|touched| state.now.as_second() - touched.as_second() < READING)
        || !state.overlays.is_empty()
        || !matches!(state.screen, Screen::Builds);
    if state.stay == Stay::UntilDone && (!reading || state.streaming || state.interrupts > 0) {
        return vec![Effect::Leave(super::effect::Leave::Quit)];
    }
    state.notice(if exit == 0 { "The run has ended: all builds are done" } else { "The run has ended" });
    history::ended(state)
}
