//! The History screen.

mod act;
#[cfg(test)]
mod tests;

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use crate::event::{Event, EventKind};
use crate::history::log_store::pattern::{Filter, Pattern};
use crate::tui::effect::history::{Done, Op};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::history::Action;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::history as layout;
use crate::tui::state::history::{Reading, View, rows};
use crate::tui::state::list::Place;
use crate::tui::state::overlay::BarKind;
use crate::tui::state::{Screen, State};

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Mark => act::mark(state),
        Action::Diff => act::diff(state),
        Action::Log => act::page(state),
        Action::Sort => act::sort(state),
        Action::Reload => read(),
    }
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    match action {
        Global::Open => Some(open(state)),
        Global::Back if state.history.view != View::List && !state.zoomed => {
            state.history.view = View::List;
            state.history.row = Place::default();
            Some(Vec::new())
        }
        Global::NextPane | Global::PreviousPane if !matches!(state.history.view, View::Diff(_)) => {
            state.history.view = if state.history.view == View::List && state.history.selected().is_some() {
                View::Run
            } else {
                View::List
            };
            fit(state);
            Some(Vec::new())
        }
        Global::FindNext => Some(act::find(state, true)),
        Global::FindPrevious => Some(act::find(state, false)),
        Global::FilterToggle => {
            state.history.filtered = !state.history.filtered;
            refresh(state);
            Some(Vec::new())
        }
        Global::Copy => Some(act::copy(state)),
        Global::CopyAll => Some(act::copy_all(state)),
        _ => None,
    }
}

/// Goes one further: to the run, and from there to the log.
fn open(state: &mut State) -> Vec<Effect> {
    match state.history.view {
        View::List if state.history.selected().is_some() => {
            state.history.view = View::Run;
            state.history.row = Place::default();
            fit(state);
            Vec::new()
        }
        View::List => Vec::new(),
        View::Run | View::Diff(_) => act::log(state),
    }
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    match motion {
        Motion::Left if state.history.view == View::Run => {
            state.history.view = View::List;
            fit(state);
        }
        Motion::Right if state.history.view == View::List => return open(state),
        _ => {
            let (count, page) = extent(state);
            place(state).go(motion, count, page);
        }
    }
    if state.history.view == View::List {
        state.history.row = Place::default();
    }
    Vec::new()
}

/// Where one is in what has the keys.
fn place(state: &mut State) -> &mut Place {
    match state.history.view {
        View::List => &mut state.history.place,
        View::Run | View::Diff(_) => &mut state.history.row,
    }
}

/// Rows there are in what has the keys, and how many are seen.
fn extent(state: &State) -> (usize, usize) {
    let history = &state.history;
    let page = |area: ratatui::layout::Rect| usize::from(area.height.saturating_sub(1));
    match &history.view {
        View::List => (history.shown.len(), page(layout::list(state))),
        View::Run => {
            let count = history.selected().map_or(0, |kept| rows::of_run(&kept.run, history.order).len());
            (count, page(layout::rows(state)))
        }
        View::Diff(compared) => (rows::of_two(compared).len(), page(layout::rows(state))),
    }
}

fn fit(state: &mut State) {
    let (count, page) = extent(state);
    place(state).fit(count, page);
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    const WHEEL: usize = 3;
    let within = |area: ratatui::layout::Rect| area.contains((mouse.column, mouse.row).into());
    let (list, detail) = (layout::list(state), layout::rows(state));
    if within(list) && state.history.view == View::Run {
        state.history.view = View::List;
    } else if within(detail) && state.history.view == View::List && state.history.selected().is_some() {
        state.history.view = View::Run;
    }
    let area = if state.history.view == View::List { list } else { detail };
    if !within(area) {
        return Vec::new();
    }
    let (count, page) = extent(state);
    let at = *place(state);
    let row = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) if mouse.row > area.y => at.top + usize::from(mouse.row - area.y - 1),
        MouseEventKind::ScrollUp => at.selected.saturating_sub(WHEEL),
        MouseEventKind::ScrollDown => at.selected + WHEEL,
        _ => return Vec::new(),
    };
    place(state).select(row, count, page);
    Vec::new()
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match (kind, query.is_empty()) {
        (BarKind::Find, true) => state.history.needle = None,
        (BarKind::Filter, true) => state.history.filter = None,
        (BarKind::Find, false) => match Pattern::parse(query) {
            Ok(pattern) => {
                state.history.needle = Some(pattern);
                return act::find(state, true);
            }
            Err(error) => state.error(error.to_string()),
        },
        (BarKind::Filter, false) => match Filter::parse(query) {
            Ok(filter) => {
                state.history.filter = Some((query.to_owned(), filter));
                state.history.filtered = true;
            }
            Err(error) => state.error(error.to_string()),
        },
    }
    refresh(state);
    Vec::new()
}

/// The screen comes into view.
pub(super) fn shown(_state: &mut State) -> Vec<Effect> {
    read()
}

/// Something happened in the run, which is in the list, too.
pub(super) fn happened(state: &State, event: &Event) -> Vec<Effect> {
    let changes = matches!(event.kind, EventKind::StepFinished { .. } | EventKind::BuildFinished { .. });
    if changes && state.screen == Screen::History { read() } else { Vec::new() }
}

/// The run has ended, and all of it was written down.
pub(super) fn ended(state: &State) -> Vec<Effect> {
    if state.screen == Screen::History { read() } else { Vec::new() }
}

fn read() -> Vec<Effect> {
    vec![Effect::Work(Work::History(Op::List))]
}

/// Brings what is shown up to what there is.
fn refresh(state: &mut State) {
    let selected = state.history.selected().map(|kept| kept.run.id.clone());
    let page = usize::from(layout::list(state).height.saturating_sub(1));
    state.history.refresh(selected.as_deref(), page);
    if state.history.view == View::Run && state.history.selected().is_none() {
        state.history.view = View::List;
    }
    fit(state);
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    let Done::Runs(runs, zone) = done;
    state.history.zone = zone;
    match runs {
        Ok(runs) => {
            let selected = state.history.selected().map(|kept| kept.run.id.clone());
            state.history.runs = runs;
            state.history.read = Reading::Done;
            let page = usize::from(layout::list(state).height.saturating_sub(1));
            state.history.refresh(selected.as_deref(), page);
            refresh(state);
        }
        Err(why) => {
            state.history.read = Reading::Failed(why.clone());
            state.error(why);
        }
    }
    Vec::new()
}
