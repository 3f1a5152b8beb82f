//! The Log screen, with a log that is really read.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use insta::assert_snapshot;

use crate::tui::effect::log::{Arrived, Done, Op, Seen, Worker};
use crate::tui::effect::{Done as AnyDone, Effect, Work};
use crate::tui::msg::Msg;
use crate::tui::state::{Screen, State};
use crate::tui::testing::{SIZES, press, question, render, sample, state, type_text};
use crate::tui::update::update;

/// The build whose log is read.
const BUILD: &str = "rootfs.ubuntu-24.04";

/// A state, and the worker that reads logs for it.
pub(super) struct Reading {
    pub(super) state: State,
    worker: Worker,
    told: Receiver<Msg>,
    dir: tempfile::TempDir,
}

impl Reading {
    /// The state, whose second build has a log.
    pub(super) fn new(mut state: State) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(&path, text()).unwrap();
        // Nobody has done what was asked while events were fed.
        state.log.under_way = None;
        let build = state.run.builds.iter_mut().find(|build| &*build.name == BUILD).unwrap();
        build.log = Some(path);
        let (sender, told) = channel();
        Self { state, worker: Worker::new(sender), told, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a.log")
    }

    /// Does what the log's worker does, until nothing more is asked of it. Returns all other effects.
    pub(super) fn settle(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut others = Vec::new();
        let mut waiting = effects;
        loop {
            for effect in std::mem::take(&mut waiting) {
                let Effect::Work(Work::Log(Op::Look(look))) = effect else {
                    others.push(effect);
                    continue;
                };
                let seen = Done::Seen(Box::new(self.worker.look(look)));
                waiting.extend(update(&mut self.state, Msg::Done(AnyDone::Log(seen))));
            }
            if waiting.is_empty() && !self.searches() {
                return others;
            }
            if waiting.is_empty() {
                let msg = self.told.recv().unwrap();
                waiting = update(&mut self.state, msg);
            }
        }
    }

    fn searches(&self) -> bool {
        let log = &self.state.log;
        log.view.goto.is_some() || log.seen.found.is_some_and(|found| found.running) || log.seen.filtering
    }

    pub(super) fn press(&mut self, keys: &str) -> Vec<Effect> {
        let effects = press(&mut self.state, keys);
        self.settle(effects)
    }

    fn type_in(&mut self, key: &str, text: &str) {
        self.press(key);
        let _ = type_text(&mut self.state, text);
        self.press("Enter");
    }

    /// Lines are written to the log, and the UI hears of it.
    fn write(&mut self, lines: &str) {
        OpenOptions::new().append(true).open(self.path()).unwrap().write_all(lines.as_bytes()).unwrap();
        let live = self.state.run.live.clone();
        let effects = update(&mut self.state, Msg::Live(live));
        self.settle(effects);
    }

    /// The text of the line one is at.
    fn at(&self) -> String {
        let log = &self.state.log;
        log.seen.rows[log.view.cursor - log.seen.first].text()
    }

    /// The log screen of a build with a log.
    fn open(size: (u16, u16)) -> Self {
        let mut reading = Self::new(sample(size));
        reading.press("j");
        reading.press("Enter");
        assert_eq!(reading.state.screen, Screen::Log);
        reading
    }
}

/// A log of some 300 lines.
fn text() -> String {
    let mut text = String::new();
    let mut line = |seconds: u32, rest: &str| {
        writeln!(text, "2026-09-01T12:{:02}:{:02}.000Z {rest}", seconds / 60, seconds % 60).unwrap();
    };
    line(1, "==> build started");
    line(1, ">>> step 1: prepare");
    line(2, "<<< step 1: prepare succeeded after 0.4 s");
    line(2, ">>> step 2: base");
    for package in 0..100 {
        line(
            2 + package / 10,
            &format!("out Get:{package} http://archive.example.org noble/main package-{package} 2.1 MB"),
        );
    }
    line(12, "<<< step 2: base succeeded after 10.0 s");
    line(12, ">>> step 3: shell (install tools)");
    line(12, "!!! the script has no checksum");
    line(13, "out W: Some index files failed to download. They have been ignored.");
    line(13, "out \x1b[32mgreen\x1b[0m and \x1b]52;c;ZXZpbA==\x07plain");
    line(13, "out  10%\r 50%\r100% done");
    line(13, &format!("out {}end", "a long line ".repeat(20)));
    for package in 0..190 {
        line(14 + package / 20, &format!("out Setting up package-{package} (6.8.0-41.41) ..."));
    }
    text
}

#[test]
fn log_as_drawn() {
    for (width, height) in SIZES {
        let drawn = |name: &str, state: &State| assert_snapshot!(format!("log_{name}_{width}x{height}"), render(state));
        let mut nothing = state((width, height));
        let _ = press(&mut nothing, "2");
        drawn("nothing", &nothing);
        let mut reading = Reading::open((width, height));
        drawn("following", &reading.state);
        reading.type_in("/", "index");
        drawn("found", &reading.state);
        reading.type_in("&", "package-1 +1");
        drawn("filtered", &reading.state);
    }
}

/// However many pieces a filter's results come in, one ends at the same place.
#[test]
fn a_filter_leads_to_one_place_in_whatever_pieces_it_finds_its_lines() {
    let place = |found: &[usize]| {
        let mut reading = Reading::open((80, 24));
        reading.type_in("/", "index");
        let _ = press(&mut reading.state, "&");
        let _ = type_text(&mut reading.state, "package");
        let mut effects = press(&mut reading.state, "Enter");
        for &len in found {
            let look = reading.state.log.under_way.clone().unwrap();
            let rows = Vec::new();
            let seen =
                Seen { look, lines: 302, len, rows, arrived: Arrived::NotYet, filtering: true, ..Seen::default() };
            let _ = update(&mut reading.state, Msg::Done(AnyDone::Log(Done::Seen(Box::new(seen)))));
            effects = update(&mut reading.state, Msg::Done(AnyDone::Log(Done::More)));
        }
        reading.settle(effects);
        (reading.state.log.view.top, reading.state.log.view.cursor, reading.at())
    };
    let at_once = place(&[]);
    for found in [&[0][..], &[1], &[0, 3, 40], &[99], &[10, 20, 30, 98, 99]] {
        assert_eq!(place(found), at_once, "{found:?}");
    }
}

#[test]
fn following_never_takes_away_what_is_read() {
    let mut reading = Reading::open((80, 24));
    assert!(reading.at().contains("package-189"));
    reading.press("k");
    reading.state.log.view.left = 7;
    let (at, left, text) = (reading.state.log.view.cursor, reading.state.log.view.left, reading.at());
    assert!(!reading.state.log.view.follow && left > 0);
    for _ in 0..118 {
        reading.write("2026-09-01T12:00:30.000Z out more\n");
    }
    assert_eq!((reading.state.log.view.cursor, reading.state.log.view.left, reading.at()), (at, left, text));
    assert!(render(&reading.state).contains("PAUSED +118 new lines"));
    reading.press("G");
    assert_eq!(reading.at(), "more");
    assert_eq!(reading.state.log.view.left, left, "the horizontal place is kept");
    reading.write("2026-09-01T12:00:31.000Z out the last\n");
    assert_eq!(reading.at(), "the last");
    reading.press("f");
    reading.write("2026-09-01T12:00:31.000Z out after\n");
    assert_eq!(reading.at(), "the last");
}

#[test]
fn every_line_can_be_reached() {
    let mut reading = Reading::open((80, 24));
    reading.press("g g");
    assert_eq!(reading.at(), "build started");
    for _ in 0..70 {
        reading.press("Ctrl-d");
    }
    assert!(reading.at().contains("package-189"), "{}", reading.at());
    for _ in 0..400 {
        reading.press("k");
    }
    assert_eq!(reading.at(), "build started");
}

#[test]
fn a_search_goes_around_and_counts() {
    let mut reading = Reading::open((80, 24));
    reading.press("g g");
    reading.type_in("/", "package-18");
    assert!(reading.at().starts_with("Get:18 "), "{}", reading.at());
    assert!(render(&reading.state).contains("match 1 of 12"), "{}", render(&reading.state));
    reading.press("n");
    assert!(reading.at().starts_with("Setting up package-18 "));
    reading.press("n");
    assert!(reading.at().starts_with("Setting up package-180 "));
    reading.press("N");
    reading.press("N");
    reading.press("N");
    assert!(reading.at().contains("package-189"), "around the beginning: {}", reading.at());
    reading.type_in("/", "not there");
    assert!(reading.state.notice.as_ref().unwrap().text.contains("`not there` is not in this log"));
}

#[test]
fn a_filter_keeps_the_line_and_goes_off_and_on() {
    let mut reading = Reading::open((80, 24));
    reading.press("g g");
    reading.type_in("/", "W: Some");
    let line = reading.at();
    reading.type_in("&", "some +2");
    assert_eq!(reading.at(), line);
    assert_eq!(reading.state.log.seen.len, 5);
    reading.press("\\");
    assert_eq!((reading.at(), reading.state.log.seen.len), (line.clone(), reading.state.log.seen.lines));
    reading.press("\\");
    assert_eq!(reading.at(), line);
    reading.type_in("&", "/(/");
    assert!(reading.state.notice.as_ref().unwrap().error, "a broken expression is told");
    reading.type_in("&", "");
    assert_eq!(reading.state.log.seen.len, reading.state.log.seen.lines);
}

#[test]
fn steps_problems_and_marks_are_gone_to() {
    let mut reading = Reading::open((80, 24));
    reading.press("[");
    assert_eq!(reading.at(), "step 3: shell (install tools)");
    reading.press("[");
    assert_eq!(reading.at(), "step 2: base");
    reading.press("m");
    reading.press("}");
    assert_eq!(reading.at(), "the script has no checksum");
    reading.press("}");
    assert!(reading.at().starts_with("W: Some index"));
    reading.press("{");
    assert_eq!(reading.at(), "the script has no checksum");
    reading.press("'");
    assert_eq!(reading.at(), "step 2: base");
    reading.press("Tab");
    reading.press("j");
    reading.press("j");
    reading.press("Enter");
    assert_eq!(reading.at(), "step 3: shell (install tools)");
}

#[test]
fn guests_cannot_reach_the_terminal_and_progress_overwrites_itself() {
    let mut reading = Reading::open((80, 24));
    reading.type_in("/", "green and plain");
    let text = render(&reading.state);
    assert!(text.contains("green and plain") && !text.contains('\x1b') && !text.contains("ZXZp"), "{text}");
    assert!(text.contains("100% done") && !text.contains("50%"));
}

#[test]
fn long_lines_are_seen_sideways_or_wrapped() {
    let mut reading = Reading::open((80, 24));
    reading.type_in("/", "long line");
    assert!(!render(&reading.state).contains("end|"));
    reading.press("w");
    assert!(render(&reading.state).contains("a long line end"), "{}", render(&reading.state));
    reading.press("w");
    for _ in 0..20 {
        reading.press("l");
    }
    assert!(render(&reading.state).contains("a long line end"));
    for _ in 0..20 {
        reading.press("h");
    }
    assert_eq!(reading.state.log.view.left, 0);
}

#[test]
fn lines_are_copied_as_they_are() {
    let mut reading = Reading::open((80, 24));
    reading.type_in("/", "long line");
    let whole = format!("{}end", "a long line ".repeat(20));
    assert_eq!(reading.press("y"), [Effect::Copy(whole.clone())]);
    let all = reading.press("Y");
    let [Effect::Copy(text)] = all.as_slice() else { panic!("{all:?}") };
    assert!(text.lines().any(|line| line == whole) && text.lines().count() > 5, "{text}");
    assert!(!text.contains('│') && !text.contains("12:00"), "nothing but the text: {text}");
}

#[test]
fn what_is_selected_with_the_mouse_is_the_text_alone() {
    use ratatui::crossterm::event::{KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
    let mut reading = Reading::open((80, 24));
    let area = crate::tui::layout::builds::log_rows(&reading.state);
    let mut mouse = |kind, column, row| {
        let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        update(&mut reading.state, Msg::Mouse(event))
    };
    let left = MouseButton::Left;
    mouse(MouseEventKind::Down(left), area.x, area.bottom() - 2);
    mouse(MouseEventKind::Drag(left), area.right() - 1, area.bottom() - 1);
    let copied = mouse(MouseEventKind::Up(left), area.right() - 1, area.bottom() - 1);
    let text = "Setting up package-188 (6.8.0-41.41) ...\nSetting up package-189 (6.8.0-41.41) ...";
    assert_eq!(copied, [Effect::Copy(text.to_owned())]);
}

#[test]
fn one_request_at_a_time_and_the_newest_place_wins() {
    let mut reading = Reading::open((80, 24));
    let first = press(&mut reading.state, "g g");
    assert_eq!(first.len(), 1);
    for _ in 0..30 {
        assert_eq!(press(&mut reading.state, "j"), [], "one is under way");
    }
    let cursor = reading.state.log.view.cursor;
    reading.settle(first);
    assert_eq!((cursor, reading.state.log.view.cursor), (30, 30));
    assert!(reading.at().starts_with("Get:26 "), "{}", reading.at());
}

#[test]
fn each_log_keeps_its_place() {
    let mut reading = Reading::open((80, 24));
    reading.press("g g");
    reading.press("j");
    reading.press("J");
    assert_eq!(reading.state.log.shown.as_ref().map(|shown| &*shown.title), Some("rootfs.alpine"));
    assert!(reading.state.log.view.follow);
    reading.press("K");
    assert_eq!(reading.state.log.view.cursor, 1);
}

#[test]
fn shell_and_script_are_there_while_the_build_asks() {
    let mut reading = Reading::open((80, 24));
    assert_eq!(reading.press("i"), []);
    reading.state.run.questions.push(question(7, BUILD));
    assert_eq!(reading.press("i"), [Effect::Shell { question: 7 }]);
    assert_eq!(reading.press("e"), [Effect::Edit("/state/questions/1/install.sh".into())]);
    assert_eq!(reading.press("o"), [Effect::Page(reading.path())]);
    let saved = reading.press("s");
    assert!(matches!(&saved[..], [Effect::Work(Work::Log(Op::Save { .. }))]), "{saved:?}");
}
