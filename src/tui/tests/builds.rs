//! The Builds screen.

use insta::assert_snapshot;
use larder_proxy::flow::Outcome;

use super::log::Reading;
use crate::event::question::{Answer, AnsweredBy};
use crate::event::{ArtifactLine, Ending, EventKind};
use crate::history::estimate::{Past, Sample};
use crate::tui::effect::{BuildRequest, Effect, Steer};
use crate::tui::msg::Msg;
use crate::tui::state::builds::Pane;
use crate::tui::state::overlay::Overlay;
use crate::tui::state::proxy::Pane as ProxyPane;
use crate::tui::state::proxy::testing::{end, flow};
use crate::tui::state::{Screen, State};
use crate::tui::testing::{SIZES, feed, press, question, render, sample, state, type_text};
use crate::tui::update::update;

/// A run under way whose builds have succeeded before, with the second selected.
fn running(size: (u16, u16)) -> Reading {
    let mut state = sample(size);
    let steps =
        [("prepare", 0.5), ("base", 10.0), ("shell (install tools)", 30.0), ("shell (clean)", 5.0), ("image", 15.0)];
    let mut past = Past::default();
    past.add(steps.map(|(name, seconds)| (name.to_owned(), Sample { seconds, cold: false })).into_iter());
    state.builds.past.insert("rootfs.ubuntu-24.04".into(), past);
    let mut reading = Reading::new(state);
    reading.press("j");
    reading
}

fn asking(size: (u16, u16)) -> Reading {
    let mut reading = running(size);
    let question = EventKind::Question { question: Box::new(question(1, "rootfs.ubuntu-24.04")) };
    let effects = feed(&mut reading.state, 30, Some("rootfs.ubuntu-24.04"), question);
    reading.settle(effects);
    reading
}

fn ended(size: (u16, u16)) -> Reading {
    let mut reading = running(size);
    for (build, ending) in [
        ("rootfs.ubuntu-24.04", Ending::Succeeded),
        ("rootfs.alpine", Ending::Cancelled),
        ("rootfs.ubuntu-22.04", Ending::Cancelled),
    ] {
        let artifacts = (ending == Ending::Succeeded).then(|| ArtifactLine {
            builder_id: "larder.rootfs".to_owned(),
            id: "ubuntu.tar.zst".to_owned(),
            description: "ubuntu.tar.zst (182.0 MB)".to_owned(),
            files: vec!["output/ubuntu.tar.zst".into()],
        });
        let kind = EventKind::BuildFinished {
            ending,
            seconds: 39.0,
            failure: None,
            artifacts: artifacts.into_iter().collect(),
            left: Vec::new(),
            marks: Vec::new(),
            exit_code: u8::from(ending != Ending::Succeeded),
        };
        let effects = feed(&mut reading.state, 40, Some(build), kind);
        reading.settle(effects);
    }
    let _ = update(&mut reading.state, Msg::RunEnded(1));
    // Drawn alike wherever the log is.
    for build in &mut reading.state.run.builds {
        build.log = Some(format!("/state/logs/20260901T120000-abc123/{}.log", build.name).into());
    }
    reading
}

#[test]
fn builds_as_drawn() {
    for (width, height) in SIZES {
        let size = (width, height);
        let drawn =
            |name: &str, state: &State| assert_snapshot!(format!("builds_{name}_{width}x{height}"), render(state));
        drawn("nothing", &state(size));
        drawn("running", &running(size).state);
        let mut failed = running(size);
        failed.press("k");
        drawn("failed", &failed.state);
        drawn("asking", &asking(size).state);
        drawn("ended", &ended(size).state);
    }
}

#[test]
fn the_wide_layout_has_builds_steps_and_log() {
    let mut reading = running((110, 32));
    assert_snapshot!("builds_running_110x32", render(&reading.state));
    reading.press("Tab");
    reading.press("Tab");
    assert_eq!(reading.state.focus(), Screen::Log, "the log has the keys, and those of its screen");
    reading.press("z");
    assert_snapshot!("builds_log_zoomed_110x32", render(&reading.state));
    reading.press("Esc");
    assert!(!reading.state.zoomed && reading.state.focus() == Screen::Log);
    reading.press("Esc");
    assert_eq!((reading.state.screen, reading.state.focus()), (Screen::Builds, Screen::Builds));
}

#[test]
fn a_build_is_cancelled_only_after_a_question() {
    for (key, keep) in [("x", false), ("X", true)] {
        let mut reading = running((80, 24));
        assert_eq!(press(&mut reading.state, key), []);
        assert!(matches!(reading.state.overlays.last(), Some(Overlay::Confirm(_))));
        assert_eq!(press(&mut reading.state, "Enter"), [], "a stray Enter cancels nothing");
        let cancelled = press(&mut reading.state, key);
        let build = "rootfs.ubuntu-24.04".to_owned();
        assert_eq!(cancelled, [Effect::Control(Steer::CancelBuild { build, keep })]);
    }
    let mut reading = running((80, 24));
    reading.press("k");
    let _ = press(&mut reading.state, "x");
    assert!(reading.state.overlays.is_empty(), "it has ended");
}

#[test]
fn a_build_is_run_again_as_it_was_once_the_run_has_ended() {
    let mut reading = running((80, 24));
    reading.state.request = Some(BuildRequest {
        template: "debian.pkr.hcl".into(),
        vars: [("suite".to_owned(), "trixie".to_owned())].into(),
        ..BuildRequest::default()
    });
    assert_eq!(press(&mut reading.state, "r"), []);
    assert!(reading.state.notice.as_ref().unwrap().text.contains("once it has ended"));
    let request = reading.state.request.clone();
    let mut reading = ended((80, 24));
    reading.state.request = request.clone();
    let only = |name: &str| BuildRequest { only: vec![name.to_owned()], force: true, ..request.clone().unwrap() };
    assert_eq!(press(&mut reading.state, "r"), [Effect::StartBuild(only("rootfs.ubuntu-24.04"))]);
    assert_eq!(press(&mut reading.state, "R"), [Effect::StartBuild(only("rootfs.debian"))]);
}

#[test]
fn slots_are_more_or_fewer_and_queued_builds_wait() {
    let mut state = sample((80, 24));
    state.slots.limit = 2;
    assert_eq!(press(&mut state, "+"), [Effect::Control(Steer::Limit(3))]);
    assert_eq!(press(&mut state, "-"), [Effect::Control(Steer::Limit(2))]);
    assert_eq!(press(&mut state, "-"), [Effect::Control(Steer::Limit(1))]);
    assert_eq!(press(&mut state, "-"), [], "one runs at least");
    assert_eq!(press(&mut state, "p"), [Effect::Control(Steer::Pause(true))]);
    assert!(render(&state).contains("held back"));
    assert_eq!(press(&mut state, "p"), [Effect::Control(Steer::Pause(false))]);
}

#[test]
fn what_is_selected_stays_so_when_the_order_changes() {
    let mut state = sample((80, 24));
    let _ = press(&mut state, "j j");
    assert_eq!(state.builds.selected().map(|name| &**name), Some("rootfs.alpine"));
    let mut orders = Vec::new();
    for _ in 0..4 {
        let _ = press(&mut state, "o");
        orders.push(state.builds.rows.clone());
        assert_eq!(state.builds.selected().map(|name| &**name), Some("rootfs.alpine"));
    }
    assert_eq!(orders[0][0], "rootfs.debian".into(), "what failed is first by state");
    assert_eq!(orders[1][0], "file.motd".into());
    let started: Vec<_> = state.run.builds.iter().map(|build| build.name.clone()).collect();
    assert_eq!(orders[3], started);
}

#[test]
fn builds_are_filtered_and_found() {
    let mut state = sample((80, 24));
    let filter = |state: &mut State, text: &str| {
        let _ = press(state, "&");
        let _ = type_text(state, text);
        let _ = press(state, "Enter");
        state.builds.rows.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(filter(&mut state, "ubuntu"), ["rootfs.ubuntu-24.04", "rootfs.ubuntu-22.04"]);
    assert_eq!(filter(&mut state, "ubuntu !queued"), ["rootfs.ubuntu-24.04"]);
    let _ = press(&mut state, "\\");
    assert_eq!(state.builds.rows.len(), 5);
    assert_eq!(filter(&mut state, "").len(), 5);
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "22");
    let _ = press(&mut state, "Enter");
    assert_eq!(state.builds.selected().map(|name| &**name), Some("rootfs.ubuntu-22.04"));
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "rootfs");
    let _ = press(&mut state, "Enter");
    assert_eq!(state.builds.selected().map(|name| &**name), Some("rootfs.debian"), "around the end");
}

#[test]
fn only_what_is_known_is_told_of_progress() {
    let reading = running((80, 24));
    let text = render(&reading.state);
    let row =
        |name: &str| text.lines().find(|line| line.contains(name) && line.contains("running")).unwrap().to_owned();
    assert!(row("rootfs.alpine").contains(" 81%"), "bytes of a total: {}", row("rootfs.alpine"));
    // 10.4 s of 60.5 s when it began; 13 s of the step have passed.
    assert!(row("rootfs.ubuntu-24.04").contains("~3"), "an estimate says so: {}", row("rootfs.ubuntu-24.04"));
    let first = render(&sample((80, 24)));
    let row = first.lines().find(|line| line.contains("rootfs.ubuntu-24.04") && line.contains("running")).unwrap();
    assert!(!row.contains('%') && !row.contains("[#"), "nothing is made up on a first run: {row}");
}

#[test]
fn answered_builds_go_on() {
    let mut reading = asking((80, 24));
    let asks = |state: &State| {
        render(state).lines().any(|line| line.contains("? rootfs.ubuntu-24.04") && line.contains("asks"))
    };
    assert!(asks(&reading.state), "{}", render(&reading.state));
    let answered = EventKind::Answered { id: 1, answer: Answer::Retry, by: AnsweredBy::Person };
    let _ = feed(&mut reading.state, 31, Some("rootfs.ubuntu-24.04"), answered);
    assert!(!asks(&reading.state));
}

/// The dashboard, with some requests and messages.
fn dashboard() -> State {
    let mut state = sample((160, 48));
    for id in 1..=40 {
        end(&mut state, flow(id, Outcome::Hit, &format!("http://deb.example.org/pool/{id}.deb"), 1000));
    }
    state
}

#[test]
fn on_the_dashboard_the_proxy_gets_the_keys() {
    let mut state = dashboard();
    let _ = press(&mut state, "Tab Tab Tab");
    assert_eq!((state.pane(), state.focus()), (Pane::Proxy, Screen::Proxy));
    let selected = |state: &State| state.proxy.place.selected;
    assert_eq!(selected(&state), 39, "it is followed");
    let seen = |state: &State, number: usize| render(state).contains(&format!("/{number}.deb"));
    assert!(seen(&state, 40), "{}", render(&state));
    let _ = press(&mut state, "k k");
    assert_eq!((selected(&state), state.proxy.follow), (37, false));
    let _ = press(&mut state, "g g");
    assert!(seen(&state, 1) && !seen(&state, 40), "it scrolls by its own height:\n{}", render(&state));
    assert_eq!(state.builds.place.selected, 0, "builds are left alone");
    let _ = press(&mut state, "/");
    let _ = type_text(&mut state, "/17.deb");
    let _ = press(&mut state, "Enter");
    assert_eq!(selected(&state), 16);
    let _ = press(&mut state, "Enter");
    assert_eq!((state.screen, state.proxy.pane), (Screen::Proxy, ProxyPane::Detail), "Enter shows the request");
    let _ = press(&mut state, "1 Esc");
    assert_eq!((state.screen, state.pane()), (Screen::Builds, Pane::List), "Esc goes back to the builds");
    let _ = press(&mut state, "Shift-Tab Shift-Tab");
    assert_eq!(state.pane(), Pane::Proxy);
    // Where there is less room the list has no pane.
    state.size = (100, 30).into();
    assert_eq!((state.pane(), state.focus()), (Pane::List, Screen::Builds));
}

#[test]
fn on_the_dashboard_messages_get_the_keys() {
    let mut state = dashboard();
    let warn = |state: &mut State, text: &str| {
        let _ = feed(state, 29, Some("rootfs.alpine"), EventKind::Warning { text: text.to_owned() });
    };
    for number in 0..20 {
        warn(&mut state, &format!("warning-{number}"));
    }
    let _ = press(&mut state, "Shift-Tab");
    assert_eq!((state.pane(), state.focus()), (Pane::Messages, Screen::Builds));
    let copied = |state: &mut State| match &press(state, "y")[..] {
        [Effect::Copy(text)] => text.clone(),
        other => panic!("{other:?}"),
    };
    assert!(copied(&mut state).ends_with("warning-19"), "the newest is first");
    let _ = press(&mut state, "j j");
    assert!(copied(&mut state).ends_with("warning-17"));
    warn(&mut state, "another");
    assert!(copied(&mut state).ends_with("warning-17"), "what is selected stays so");
    for _ in 0..15 {
        let _ = press(&mut state, "j");
    }
    assert!(copied(&mut state).ends_with("warning-2"));
    assert!(render(&state).contains("warning-2 "), "{}", render(&state));
    let _ = press(&mut state, "Enter");
    assert_eq!(state.screen, Screen::Log);
    assert_eq!(state.builds.selected().map(|name| &**name), Some("rootfs.alpine"));
}

#[test]
fn the_smallest_terminal_has_the_last_line_of_the_log() {
    let mut reading = running((40, 10));
    let live = reading.state.run.live.clone();
    let effects = update(&mut reading.state, Msg::Live(live));
    reading.settle(effects);
    let last = reading.state.log.seen.rows.last().unwrap().text();
    let lines = |reading: &Reading| render(&reading.state).lines().map(str::to_owned).collect::<Vec<_>>();
    let shown = lines(&reading);
    assert!(shown[8].contains(&last[..20]), "above the keys: {shown:#?}");
    assert!(shown[9].contains("stream") && shown[9].contains("quit"), "{shown:#?}");
    reading.state.size = (40, 2).into();
    assert!(lines(&reading)[0].contains("rootfs."), "with one line, how a build stands");
}

#[test]
fn a_bar_turns_while_nothing_is_said_and_not_where_nothing_is_to_move() {
    let mut state = sample((80, 24));
    let at = |state: &mut State, seconds: i64| {
        let _ = update(state, Msg::Tick(crate::tui::testing::noon() + jiff::SignedDuration::from_secs(seconds)));
        render(state).lines().nth(23).unwrap()[..4].to_owned()
    };
    assert_eq!(at(&mut state, 28), "| 5 ", "it was heard of a second ago");
    let turned = [at(&mut state, 40), at(&mut state, 41), at(&mut state, 42), at(&mut state, 43)];
    assert_eq!(turned, ["| | ", "| / ", "| - ", "| \\ "]);
    let live = state.run.live.clone();
    let _ = update(&mut state, Msg::Live(live));
    assert_eq!(at(&mut state, 44), "| 5 ");
    state.look.animation = false;
    assert_eq!(at(&mut state, 60), "| 5 ");
}
