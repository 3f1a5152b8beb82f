//! The Log screen, and the log wherever else it is shown.

mod going;
mod looking;
mod mouse;

use crate::event::{Event, EventKind};
use crate::tui::effect::log::{Arrived, Done, Op, Seen};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::builds as layout;
use crate::tui::state::builds::Pane;
use crate::tui::state::log::Shown;
use crate::tui::state::overlay::BarKind;
use crate::tui::state::steps::StepRow;
use crate::tui::state::{Screen, State};

pub(super) use going::action;
pub(super) use looking::{ask, select};
pub(super) use mouse::moused;

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    match action {
        Global::NextPane | Global::PreviousPane => {
            state.next_pane(action == Global::PreviousPane);
            Some(Vec::new())
        }
        Global::Open if state.pane() == Pane::Steps => Some(going::to_step(state)),
        Global::Open if state.screen == Screen::Builds => Some(super::global::show(state, Screen::Log)),
        // From the log on the Builds screen, back to the builds.
        Global::Back if state.screen == Screen::Builds && !state.zoomed => {
            state.give(Pane::List);
            Some(Vec::new())
        }
        Global::Back if state.log.earlier && !state.zoomed => {
            state.log.earlier = false;
            Some(super::global::show(state, Screen::History))
        }
        Global::FindNext | Global::FindPrevious => Some(going::found(state, action == Global::FindPrevious)),
        Global::FilterToggle => Some(looking::filter_toggle(state)),
        Global::Copy => Some(going::copy(state)),
        Global::CopyAll => Some(going::copy_all(state)),
        _ => None,
    }
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    if state.pane() == Pane::Steps {
        let count = state.step_rows().len();
        let rows = layout::step_rows(state);
        state.log.steps.go(motion, count, usize::from(rows.height));
        return Vec::new();
    }
    going::moved(state, motion)
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match kind {
        BarKind::Find => going::search(state, query),
        BarKind::Filter => looking::filter(state, query),
    }
}

/// The screen comes into view.
pub(super) fn shown(state: &mut State) -> Vec<Effect> {
    select(state)
}

/// Shows the log of an earlier run, with its steps as they were recorded, at the step in this place if one is asked for; Esc
/// goes back to where runs are listed.
pub(super) fn open_earlier(state: &mut State, shown: Shown, steps: Vec<StepRow>, at: Option<usize>) -> Vec<Effect> {
    state.screen = Screen::Log;
    state.zoomed = false;
    (state.log.earlier, state.log.earlier_steps) = (true, steps);
    let mut effects = looking::show(state, shown);
    if let Some(step) = at {
        effects.extend(going::to_step_at(state, step));
    }
    effects
}

/// Something happened in the run; the model has taken it in.
pub(super) fn happened(state: &mut State, event: &Event) -> Vec<Effect> {
    match event.kind {
        EventKind::BuildStarted { .. } => select(state),
        EventKind::BuildFinished { .. } => ask(state),
        _ => Vec::new(),
    }
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::Seen(seen) => seen_now(state, *seen),
        Done::More => ask(state),
        Done::Past(past) => {
            state.builds.past = past.into_iter().collect();
            Vec::new()
        }
    }
}

fn seen_now(state: &mut State, seen: Seen) -> Vec<Effect> {
    state.log.under_way = None;
    let again = std::mem::take(&mut state.log.again);
    // Of another log, or by another filter: of no use any more.
    let current =
        looking::wanted(state).is_some_and(|look| look.path == seen.look.path && look.filter == seen.look.filter);
    if !current {
        return ask(state);
    }
    if let Some(problem) = &seen.problem
        && state.log.seen.problem.as_ref() != Some(problem)
    {
        state.error(problem.clone());
    }
    if seen.problem.is_some() {
        state.log.view.goto = None;
    }
    let (arrived, more) = (seen.arrived, seen.more);
    let asked = seen.look.goto.clone();
    state.log.seen = seen;
    let mut again = again || more;
    if asked == state.log.view.goto {
        match arrived {
            Arrived::NotYet | Arrived::Nowhere => {}
            Arrived::Never => {
                state.log.view.goto = None;
                state.notice(going::not_found(state));
            }
            Arrived::At(row) => {
                state.log.view.goto = None;
                going::arrive(state, row);
                again = true;
            }
        }
    } else {
        again = true;
    }
    looking::fit(state);
    if again { ask(state) } else { Vec::new() }
}

/// The log may have grown, or the pane may have another size.
pub(super) fn grown(state: &mut State) -> Vec<Effect> {
    looking::fit(state);
    ask(state)
}

fn work(op: Op) -> Effect {
    Effect::Work(Work::Log(op))
}
