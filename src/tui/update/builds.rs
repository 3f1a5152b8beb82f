//! The Builds screen.

use std::sync::Arc;

use ratatui::crossterm::event::MouseEvent;

use super::{global, log};
use crate::event::{Event, EventKind};
use crate::tui::effect::log::Op;
use crate::tui::effect::{BuildRequest, Effect, Steer, Work};
use crate::tui::keymap::Command;
use crate::tui::keymap::builds::Action;
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::builds as layout;
use crate::tui::state::builds::Pane;
use crate::tui::state::overlay::{BarKind, Confirm, ConfirmOption, Overlay};
use crate::tui::state::run::{Build, Condition, Message};
use crate::tui::state::{Screen, State};

/// Titles above the rows.
const HEADER: u16 = 1;

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Cancel => cancel(state, false),
        Action::Abort => cancel(state, true),
        Action::Again => match state.builds.selected().cloned() {
            Some(name) => again(state, &[name]),
            None => Vec::new(),
        },
        Action::AgainFailed => {
            let failed = state.run.builds.iter().filter(|build| build.condition == Condition::Failed);
            let failed: Vec<_> = failed.map(|build| build.name.clone()).collect();
            if failed.is_empty() {
                state.notice("no build has failed");
                return Vec::new();
            }
            again(state, &failed)
        }
        Action::Pause => {
            state.slots.paused = !state.slots.paused;
            state.notice(if state.slots.paused { "queued builds wait until p" } else { "queued builds start again" });
            vec![Effect::Control(Steer::Pause(state.slots.paused))]
        }
        Action::MoreSlots => more_slots(state),
        Action::FewerSlots => fewer_slots(state),
        Action::Sort => {
            state.builds.sort = state.builds.sort.next();
            arrange(state);
            state.notice(format!("sorted {}", state.builds.sort.as_str()));
            Vec::new()
        }
        Action::Compare => compare(state),
    }
}

/// Asks before a build is cancelled.
fn cancel(state: &mut State, keep: bool) -> Vec<Effect> {
    let Some(build) = selected(state).filter(|build| build.condition.is_open()) else {
        state.notice("nothing here can be cancelled");
        return Vec::new();
    };
    let name = build.name.to_string();
    let (title, line, key, text) = if keep {
        ("Cancel, and keep its guest", "Nothing is cleaned up. What is left is listed under Guests.", 'X', "cancel it")
    } else {
        ("Cancel", "The step is stopped, and what the build made is cleaned up.", 'x', "cancel it, and clean up")
    };
    let confirm = Confirm {
        title: format!("{title}: {name}"),
        lines: vec![line.to_owned()],
        options: vec![ConfirmOption {
            key,
            text: text.to_owned(),
            effects: vec![Effect::Control(Steer::CancelBuild { build: name, keep })],
        }],
    };
    state.overlays.push(Overlay::Confirm(confirm));
    Vec::new()
}

/// Builds these again, in a new run.
fn again(state: &mut State, builds: &[Arc<str>]) -> Vec<Effect> {
    if state.run.is_live() {
        state.notice("a run is under way: builds can be run again once it has ended");
        return Vec::new();
    }
    let known = state.request.clone();
    let made = || Some(BuildRequest { template: state.template.clone()?, ..BuildRequest::default() });
    let Some(request) = known.or_else(made) else {
        state.error("it is not known what this run was started with");
        return Vec::new();
    };
    let only = builds.iter().map(ToString::to_string).collect();
    // What it made before is replaced.
    vec![Effect::StartBuild(BuildRequest { only, force: true, ..request })]
}

fn more_slots(state: &mut State) -> Vec<Effect> {
    if state.slots.limit == 0 {
        state.notice("all builds run at a time already");
        return Vec::new();
    }
    limit(state, state.slots.limit + 1)
}

fn fewer_slots(state: &mut State) -> Vec<Effect> {
    let now = if state.slots.limit == 0 { state.slots.taken.max(2) } else { state.slots.limit };
    if now < 2 {
        state.notice("one build at a time; p holds back all others");
        return Vec::new();
    }
    limit(state, now - 1)
}

fn limit(state: &mut State, limit: usize) -> Vec<Effect> {
    state.slots.limit = limit;
    state.notice(format!("at most {limit} at a time; those that run go on"));
    vec![Effect::Control(Steer::Limit(limit))]
}

/// Compares this run with the one before it of its template; History does.
fn compare(state: &mut State) -> Vec<Effect> {
    state.builds.compare = Some(state.run.id.clone());
    // Once it has been read.
    global::show(state, Screen::History)
}

/// Runs have been read: those are compared that were to be.
pub(super) fn compared(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.builds.compare.take() else { return Vec::new() };
    if state.screen != Screen::History {
        return Vec::new();
    }
    if let Some(row) = state.history.shown.iter().position(|place| state.history.runs[*place].run.id == id) {
        state.history.place.selected = row;
    }
    super::command(state, Command::History(crate::tui::keymap::history::Action::Diff))
}

fn selected(state: &State) -> Option<&Build> {
    state.run.build(state.builds.selected()?)
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    match action {
        Global::Open if state.pane() == Pane::Messages => Some(to_message(state)),
        Global::Back if state.pane() == Pane::Messages && !state.zoomed => {
            state.give(Pane::List);
            Some(Vec::new())
        }
        Global::Copy if state.pane() == Pane::Messages => {
            let text = message(state).map(super::overlay::message_line);
            Some(text.map(Effect::Copy).into_iter().collect())
        }
        Global::Open => Some(if state.builds.rows.is_empty() { Vec::new() } else { global::show(state, Screen::Log) }),
        Global::NextPane | Global::PreviousPane => {
            state.next_pane(action == Global::PreviousPane);
            Some(Vec::new())
        }
        Global::FindNext | Global::FindPrevious => Some(find(state, action == Global::FindPrevious)),
        Global::FilterToggle => {
            state.builds.filter_on = !state.builds.filter_on;
            Some(arranged(state))
        }
        Global::Copy => {
            Some(selected(state).map(|build| vec![Effect::Copy(in_a_line(build, state.now))]).unwrap_or_default())
        }
        Global::CopyAll => {
            let rows = state.builds.rows.iter().filter_map(|name| state.run.build(name));
            let lines: Vec<String> = rows.map(|build| in_a_line(build, state.now)).collect();
            Some(vec![Effect::Copy(lines.join("\n"))])
        }
        _ => None,
    }
}

fn in_a_line(build: &Build, now: jiff::Timestamp) -> String {
    let step = build.step().map_or("", |step| &step.name);
    let elapsed = build.elapsed(now).map(crate::tui::widget::clock).unwrap_or_default();
    format!("{}\t{}\t{step}\t{elapsed}", build.name, build.condition.as_str())
}

/// The selected message.
fn message(state: &State) -> Option<&Message> {
    state.run.messages.iter().rev().nth(state.message_place().selected)
}

/// Goes to the log of the build that a message is about.
fn to_message(state: &mut State) -> Vec<Effect> {
    match message(state).map(|message| message.build.clone()) {
        Some(Some(build)) => global::show_log(state, &build),
        Some(None) => {
            state.notice("This message is about no build");
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Moves among the messages.
pub(super) fn messages_moved(state: &mut State, motion: Motion) {
    let (mut place, count) = (state.message_place(), state.run.messages.len());
    place.go(motion, count, usize::from(layout::message_rows(state).height));
    state.builds.messages = (place, count);
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    if state.pane() == Pane::Messages {
        messages_moved(state, motion);
        return Vec::new();
    }
    let count = state.builds.rows.len();
    let page = usize::from(layout::list_rows(state).height.saturating_sub(HEADER));
    state.builds.place.go(motion, count, page);
    log::select(state)
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    log::moused(state, mouse)
}

/// Selects the build in a row.
pub(super) fn choose(state: &mut State, row: usize) -> Vec<Effect> {
    let count = state.builds.rows.len();
    let page = usize::from(layout::list_rows(state).height.saturating_sub(HEADER));
    state.builds.place.select(row, count, page);
    log::select(state)
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match kind {
        BarKind::Find => {
            state.builds.needle = query.to_lowercase();
            find(state, false)
        }
        BarKind::Filter => {
            query.clone_into(&mut state.builds.filter);
            state.builds.filter_on = !query.is_empty();
            arranged(state)
        }
    }
}

/// Goes to the next build whose name or step has what is searched for.
fn find(state: &mut State, back: bool) -> Vec<Effect> {
    let count = state.builds.rows.len();
    let needle = state.builds.needle.clone();
    if needle.is_empty() || count == 0 {
        return Vec::new();
    }
    let has = |row: &usize| {
        let build = state.run.build(&state.builds.rows[*row]);
        build.is_some_and(|build| in_a_line(build, state.now).to_lowercase().contains(&needle))
    };
    let at = state.builds.place.selected;
    let found = if back {
        (1..=count).map(|step| (at + count - step) % count).find(has)
    } else {
        (1..=count).map(|step| (at + step) % count).find(has)
    };
    if let Some(row) = found {
        return choose(state, row);
    }
    state.notice(format!("no build has `{needle}`"));
    Vec::new()
}

fn arrange(state: &mut State) {
    state.builds.arrange(&state.run.builds, state.now);
}

fn arranged(state: &mut State) -> Vec<Effect> {
    arrange(state);
    log::select(state)
}

/// The screen comes into view.
pub(super) fn shown(state: &mut State) -> Vec<Effect> {
    arranged(state)
}

/// Something happened in the run; the model has taken it in.
pub(super) fn happened(state: &mut State, event: &Event) -> Vec<Effect> {
    match &event.kind {
        EventKind::RunStarted { builds, .. } => {
            arrange(state);
            let builds = builds.iter().map(|name| name.as_str().into()).collect();
            let template = state.request.as_ref().map(|request| request.template.clone()).or(state.template.clone());
            template.map(|template| Effect::Work(Work::Log(Op::Past { template, builds }))).into_iter().collect()
        }
        EventKind::Flow { .. } | EventKind::Progress { .. } | EventKind::Warning { .. } => Vec::new(),
        _ => arranged(state),
    }
}
