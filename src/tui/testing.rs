//! Screens for tests: states fed with events, drawn as text with a map of styles.

pub(in crate::tui) mod anything;

use std::collections::BTreeMap;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::layout::Size;

use super::effect::Effect;
use super::keymap::key;
use super::msg::Msg;
use super::state::State;
use super::update::update;
use super::view::view;
use crate::event::question::{Choice, Question, Reason, ResumePoint, Script};
use crate::event::{Ending, Event, EventKind};

/// The sizes screens are drawn at: the design's, a large one, a small one, and one too small.
pub(in crate::tui) const SIZES: [(u16, u16); 4] = [(80, 24), (160, 48), (60, 15), (40, 10)];

/// The time in tests.
pub(in crate::tui) fn noon() -> jiff::Timestamp {
    "2026-09-01T12:00:00Z".parse().unwrap()
}

/// An event at so many seconds after noon.
pub(in crate::tui) fn event(seconds: i64, build: Option<&str>, kind: EventKind) -> Event {
    let time = noon() + jiff::SignedDuration::from_secs(seconds);
    let (step, step_index) = match &kind {
        EventKind::StepStarted { index, name, .. } | EventKind::StepFinished { index, name, .. } => {
            (Some(name.clone()), Some(*index))
        }
        _ => (None, None),
    };
    Event { seq: 0, time, build: build.map(Into::into), step, step_index, kind }
}

/// A state of this size.
pub(in crate::tui) fn state((width, height): (u16, u16)) -> State {
    State { size: Size::new(width, height), now: noon(), ..State::default() }
}

/// Feeds an event.
pub(in crate::tui) fn feed(state: &mut State, seconds: i64, build: Option<&str>, kind: EventKind) -> Vec<Effect> {
    let event = event(seconds, build, kind);
    state.now = event.time;
    update(state, Msg::Event(Box::new(event)))
}

/// A run with a build in every condition, as far as events alone make it.
pub(in crate::tui) fn sample(size: (u16, u16)) -> State {
    let mut state = state(size);
    state.template = Some("debian.pkr.hcl".into());
    let builds = ["rootfs.debian", "rootfs.ubuntu-24.04", "rootfs.alpine", "file.motd", "rootfs.ubuntu-22.04"];
    feed(
        &mut state,
        0,
        None,
        EventKind::RunStarted {
            schema: 1,
            version: "0.1.0".to_owned(),
            run: "20260901T120000-abc123".to_owned(),
            uuid: "00000000-0000-4000-8000-000000000000".to_owned(),
            builds: builds.iter().map(ToString::to_string).collect(),
            net: "cache".to_owned(),
        },
    );
    let mut build = |seconds, name: &str, kind| feed(&mut state, seconds, Some(name), kind);
    let started = |kind: &str, name: &str| EventKind::BuildStarted {
        builder_type: kind.to_owned(),
        log: format!("/state/logs/20260901T120000-abc123/{name}.log").into(),
    };
    let step = |index, name: &str| EventKind::StepStarted { index, name: name.into(), attempt: 1 };
    let ended = |index, name: &str, ending, seconds| {
        let name = name.into();
        EventKind::StepFinished { index, name, ending, seconds, attempt: 1 }
    };
    for name in &builds[..3] {
        build(1, name, started("rootfs", name));
        build(1, name, step(0, "prepare"));
        build(2, name, ended(0, "prepare", Ending::Succeeded, 0.4));
        build(2, name, step(1, "base"));
        build(12, name, ended(1, "base", Ending::Succeeded, 10.0));
        build(12, name, step(2, "shell (install tools)"));
    }
    build(20, builds[0], ended(2, "shell (install tools)", Ending::Failed, 8.0));
    build(
        21,
        builds[0],
        EventKind::BuildFinished {
            ending: Ending::Failed,
            seconds: 20.0,
            failure: Some(crate::event::Failure {
                message: "the script install.sh ended with exit status 100".to_owned(),
                hints: vec!["see the log above".to_owned()],
            }),
            artifacts: Vec::new(),
            left: Vec::new(),
            marks: Vec::new(),
            exit_code: 1,
        },
    );
    build(22, builds[1], EventKind::Warning { text: "no checksum: the base is not verified".to_owned() });
    build(
        25,
        builds[2],
        EventKind::Progress { what: "unpacked".to_owned(), done: 81_000_000, total: Some(100_000_000) },
    );
    build(26, builds[3], started("file", builds[3]));
    build(
        27,
        builds[3],
        EventKind::BuildFinished {
            ending: Ending::Succeeded,
            seconds: 1.0,
            failure: None,
            artifacts: Vec::new(),
            left: Vec::new(),
            marks: Vec::new(),
            exit_code: 0,
        },
    );
    state
}

/// A question after a failure, as the engine asks it.
pub(in crate::tui) fn question(id: u64, build: &str) -> Question {
    Question {
        id,
        build: build.into(),
        step: "shell (install tools)".into(),
        step_index: 2,
        reason: Reason::Failed {
            attempt: 2,
            failure: crate::event::Failure {
                message: "the script install.sh ended with exit status 100".to_owned(),
                hints: Vec::new(),
            },
            lines: vec!["Reading package lists...".to_owned(), "E: Unable to locate package foo-dev".to_owned()],
        },
        choices: vec![
            Choice::Retry,
            Choice::RetryFrom,
            Choice::Edit,
            Choice::Shell,
            Choice::Skip,
            Choice::Cleanup,
            Choice::Keep,
        ],
        default: Choice::Cleanup,
        deadline: Some(noon() + jiff::SignedDuration::from_mins(30)),
        resume_from: [(0, "prepare"), (1, "base")]
            .map(|(step_index, step)| ResumePoint { step_index, step: step.into() })
            .to_vec(),
        scripts: vec![Script { name: "install.sh".to_owned(), path: "/state/questions/1/install.sh".into() }],
    }
}

/// Presses keys, written as in the table: `j`, `g g`, `Ctrl-d`.
pub(in crate::tui) fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for press in key::sequence(keys).unwrap() {
        let mut modifiers = KeyModifiers::NONE;
        modifiers.set(KeyModifiers::CONTROL, press.ctrl);
        modifiers.set(KeyModifiers::ALT, press.alt);
        effects.extend(update(state, Msg::Key(KeyEvent::new(press.code, modifiers))));
    }
    effects
}

/// Types text, a key for each character.
pub(in crate::tui) fn type_text(state: &mut State, text: &str) -> Vec<Effect> {
    let key = |c| Msg::Key(KeyEvent::new(ratatui::crossterm::event::KeyCode::Char(c), KeyModifiers::NONE));
    text.chars().flat_map(|c| update(state, key(c))).collect()
}

/// Draws the state.
pub(in crate::tui) fn buffer(state: &State) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(state.size.width, state.size.height)).unwrap();
    terminal.draw(|frame| view(state, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, with a map of its styles below: a letter for each style that is not plain, and what it stands for.
pub(in crate::tui) fn render(state: &State) -> String {
    text_and_styles(&buffer(state))
}

/// A buffer as [`render`] has it.
pub(in crate::tui) fn text_and_styles(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let (mut text, mut styles) = (String::new(), String::new());
    for row in buffer.content().chunks(width) {
        let mut skip = 0;
        let (mut line, mut map) = (String::new(), String::new());
        for cell in row {
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            } else {
                skip -= 1;
            }
            map.push(letter(cell, &mut letters));
        }
        text.push_str(&format!("|{line}|\n"));
        styles.push_str(&format!("|{map}|\n"));
    }
    let legend: Vec<_> = letters.iter().map(|(style, letter)| format!("{letter} {style}\n")).collect();
    let legend = legend.concat();
    format!("{text}{styles}{legend}")
}

fn letter(cell: &ratatui::buffer::Cell, letters: &mut BTreeMap<String, char>) -> char {
    let style = format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier);
    if style == "Reset on Reset NONE" {
        return ' ';
    }
    let next = char::from(b'a' + u8::try_from(letters.len()).unwrap());
    *letters.entry(style).or_insert(next)
}
