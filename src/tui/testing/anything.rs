//! Whatever may happen to the UI, in any order: for tests that nothing of it panics, or draws where it should not.

use proptest::prelude::*;
use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{event, press, question, type_text};
use crate::event::question::{Answer, AnsweredBy};
use crate::event::{Ending, EventKind, Failure};
use crate::tui::effect::Effect;
use crate::tui::keymap;
use crate::tui::msg::Msg;
use crate::tui::state::State;
use crate::tui::update::update;

/// Names of builds: two of the sample's, and one that no run has.
const BUILDS: [&str; 3] = ["rootfs.debian", "rootfs.alpine", "nobody.knows"];

/// Something that happens.
#[derive(Clone, Debug)]
pub(in crate::tui) enum Step {
    /// Keys of the table, or of an overlay.
    Keys(&'static str),
    /// A character typed.
    Character(char),
    /// Something pasted.
    Paste(String),
    /// The mouse.
    Mouse(MouseEventKind, u16, u16),
    /// Another size.
    Resize(u16, u16),
    /// An event of the run, of a kind by number, about a build by number.
    Event(u8, usize),
    /// Seconds pass.
    Tick(u8),
    /// Something is written to standard error.
    Aside(String),
    /// The terminal was away.
    Returned,
    /// The run ends.
    Ended(u8),
}

/// Any step.
pub(in crate::tui) fn step() -> impl Strategy<Value = Step> {
    let mut keys: Vec<&'static str> =
        keymap::all().flat_map(|(_, binding)| binding.keys.iter().copied()).collect::<Vec<_>>();
    keys.extend(["Esc", "Esc", "Enter", "Backspace", "R", "e", "k", "A", "=", "[", "]", "1", "9"]);
    let button = MouseButton::Left;
    let mouse = prop_oneof![
        Just(MouseEventKind::Down(button)),
        Just(MouseEventKind::Drag(button)),
        Just(MouseEventKind::Up(button)),
        Just(MouseEventKind::ScrollUp),
        Just(MouseEventKind::ScrollDown),
    ];
    prop_oneof![
        8 => proptest::sample::select(keys).prop_map(Step::Keys),
        2 => any::<char>().prop_map(Step::Character),
        1 => ".{0,20}".prop_map(Step::Paste),
        4 => (mouse, 0_u16..310, 0_u16..110).prop_map(|(kind, column, row)| Step::Mouse(kind, column, row)),
        2 => (1_u16..300, 1_u16..100).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => (1_u16..20, 1_u16..8).prop_map(|(width, height)| Step::Resize(width, height)),
        8 => (0_u8..10, 0..BUILDS.len()).prop_map(|(kind, build)| Step::Event(kind, build)),
        2 => (0_u8..40).prop_map(Step::Tick),
        1 => ".{0,200}".prop_map(Step::Aside),
        1 => Just(Step::Returned),
        1 => any::<u8>().prop_map(Step::Ended),
    ]
}

/// Has it happen.
pub(in crate::tui) fn happen(state: &mut State, step: Step) -> Vec<Effect> {
    match step {
        Step::Keys(keys) => press(state, keys),
        Step::Character(character) => type_text(state, &character.to_string()),
        Step::Paste(text) => update(state, Msg::Paste(text)),
        Step::Mouse(kind, column, row) => {
            update(state, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
        }
        Step::Resize(width, height) => update(state, Msg::Resize(width, height)),
        Step::Event(kind, build) => {
            let seconds = state.now.as_second() - super::noon().as_second();
            let event = event(seconds, Some(BUILDS[build]), kind_of(kind, build));
            update(state, Msg::Event(Box::new(event)))
        }
        Step::Tick(seconds) => {
            let now = state.now + jiff::SignedDuration::from_secs(i64::from(seconds));
            update(state, Msg::Tick(now))
        }
        Step::Aside(line) => update(state, Msg::Aside(line)),
        Step::Returned => update(state, Msg::Returned),
        Step::Ended(exit) => update(state, Msg::RunEnded(exit)),
    }
}

fn kind_of(kind: u8, build: usize) -> EventKind {
    let id = build as u64 + u64::from(kind % 2) * 10;
    match kind {
        0 => EventKind::BuildStarted { builder_type: "rootfs".to_owned(), log: "/state/x.log".into() },
        1 => EventKind::StepStarted { index: build, name: "日本語 a step of many words".into(), attempt: 1 },
        2 => EventKind::StepFinished {
            index: build,
            name: "a step".into(),
            ending: Ending::Failed,
            seconds: 1e9,
            attempt: u32::MAX,
        },
        3 | 4 => EventKind::Question { question: Box::new(question(id, BUILDS[build])) },
        5 => EventKind::Answered { id, answer: Answer::Skip, by: AnsweredBy::Deadline },
        6 => EventKind::Progress { what: "unpacked".to_owned(), done: u64::MAX, total: Some(1) },
        7 => EventKind::Warning { text: "\u{1b}[31mcareful\t日本語\u{200d} ".repeat(20) },
        8 => EventKind::BuildFinished {
            ending: Ending::Failed,
            seconds: f64::MAX,
            failure: Some(Failure { message: "x".repeat(500), hints: Vec::new() }),
            artifacts: Vec::new(),
            left: vec!["/a".to_owned()],
            marks: Vec::new(),
            exit_code: 1,
        },
        _ => EventKind::RunStarted {
            schema: 1,
            version: "0".to_owned(),
            run: "again".to_owned(),
            uuid: String::new(),
            builds: vec![BUILDS[0].to_owned(), BUILDS[1].to_owned()],
            net: "offline".to_owned(),
        },
    }
}
