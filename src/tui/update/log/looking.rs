//! Which log is read, and which part of it.

use super::work;
use crate::tui::effect::Effect;
use crate::tui::effect::log::{Goto, Look, Op, Seen};
use crate::tui::layout::builds as layout;
use crate::tui::state::list::Place;
use crate::tui::state::log::{Shown, View};
use crate::tui::state::{Screen, State};

/// Shows the log of the selected build.
pub(in crate::tui::update) fn select(state: &mut State) -> Vec<Effect> {
    if state.log.earlier && state.screen == Screen::Log {
        return ask(state);
    }
    state.log.earlier = false;
    let Some(build) = state.builds.selected().and_then(|name| state.run.build(name)) else { return Vec::new() };
    let shown = Shown { title: build.name.clone(), path: build.log.clone() };
    show(state, shown)
}

/// Shows a log, where one was in it.
pub(super) fn show(state: &mut State, shown: Shown) -> Vec<Effect> {
    let log = &mut state.log;
    if log.shown.as_ref() != Some(&shown) {
        let view = shown.path.as_ref().and_then(|path| log.views.remove(path)).unwrap_or_default();
        let left = std::mem::replace(&mut log.view, view);
        if let Some(path) = log.shown.replace(shown).and_then(|shown| shown.path) {
            log.views.insert(path, left);
        }
        log.seen = Seen::default();
        log.drag = None;
        log.steps = Place::default();
    }
    ask(state)
}

/// Rows of the pane.
pub(super) fn page(state: &State) -> usize {
    usize::from(layout::log_rows(state).height).max(1)
}

/// What is to be read now; none without a log.
pub(super) fn wanted(state: &State) -> Option<Look> {
    let path = state.log.shown.as_ref()?.path.clone()?;
    let view = &state.log.view;
    let page = page(state);
    // A page before and one after, so that moving on needs no waiting.
    let first = view.top.saturating_sub(page);
    Some(Look {
        path,
        rows: first..first + 3 * page,
        end: view.follow,
        cursor: view.cursor,
        filter: view.filtered().map(ToOwned::to_owned),
        find: view.find.clone(),
        goto: view.goto.clone(),
    })
}

/// Has the log read where one is. One request is under way at a time; the place counts where one is when it has ended.
pub(in crate::tui::update) fn ask(state: &mut State) -> Vec<Effect> {
    if !matches!(state.screen, Screen::Builds | Screen::Log) {
        return Vec::new();
    }
    let Some(look) = wanted(state) else { return Vec::new() };
    if state.log.under_way.is_some() {
        state.log.again = true;
        return Vec::new();
    }
    state.log.under_way = Some(look.clone());
    vec![work(Op::Look(look))]
}

/// Brings the row one is at into view, and the end where that is followed.
pub(super) fn fit(state: &mut State) {
    let page = page(state);
    let heights = crate::tui::state::visual::heights(state);
    let log = &mut state.log;
    let last = log.seen.len.saturating_sub(1);
    let view = &mut log.view;
    view.set_out = view.goto.is_some().then(|| view.set_out.unwrap_or(view.top));
    if view.follow {
        view.cursor = last;
        view.top = (last + 1).saturating_sub(page);
    }
    view.cursor = view.cursor.min(last);
    view.top = view.top.min(view.cursor).max((view.cursor + 1).saturating_sub(page));
    // Wrapped lines take more room.
    let height =
        |row: usize| row.checked_sub(log.seen.first).and_then(|place| heights.get(place)).copied().unwrap_or(1);
    let mut used: usize = (view.top..=view.cursor).map(height).sum();
    while used > page && view.top < view.cursor {
        used -= height(view.top);
        view.top += 1;
    }
}

/// The line of the file that one is at.
pub(super) fn line(state: &State) -> Option<usize> {
    let seen = &state.log.seen;
    let place = state.log.view.cursor.checked_sub(seen.first)?;
    seen.rows.get(place).map(|row| row.number)
}

/// Shows only the lines that a filter takes; all if it is empty.
pub(super) fn filter(state: &mut State, query: &str) -> Vec<Effect> {
    let line = line(state);
    let view = &mut state.log.view;
    view.filter = (!query.is_empty()).then(|| query.to_owned());
    view.filter_on = true;
    refilter(state, line)
}

pub(super) fn filter_toggle(state: &mut State) -> Vec<Effect> {
    if state.log.view.filter.is_none() {
        state.notice("there is no filter; & makes one");
        return Vec::new();
    }
    let line = line(state);
    state.log.view.filter_on = !state.log.view.filter_on;
    refilter(state, line)
}

/// Rows have other numbers now: goes back to the line one was at.
fn refilter(state: &mut State, line: Option<usize>) -> Vec<Effect> {
    let view: &mut View = &mut state.log.view;
    if !view.follow {
        view.goto = line.map(Goto::Line);
    }
    ask(state)
}
