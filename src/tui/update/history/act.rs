//! What the keys of the History screen do.

use super::{extent, fit, place};
use crate::tui::effect::Effect;
use crate::tui::keymap::motion::Motion;
use crate::tui::state::State;
use crate::tui::state::history::{Compared, View, rows};
use crate::tui::state::list::Place;

/// Marks the selected run, or takes its mark away. Of three the first loses it.
pub(super) fn mark(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.history.selected().map(|kept| kept.run.id.clone()) else { return Vec::new() };
    let marked = &mut state.history.marked;
    if let Some(place) = marked.iter().position(|other| *other == id) {
        marked.remove(place);
    } else {
        marked.push(id);
        if marked.len() > 2 {
            marked.remove(0);
        }
    }
    if state.history.view == View::List {
        let (count, page) = extent(state);
        state.history.place.go(Motion::Down, count, page);
    }
    Vec::new()
}

/// Shows two runs side by side: those marked; the one marked and the selected one; or the selected one and the one before
/// it of the same template.
pub(super) fn diff(state: &mut State) -> Vec<Effect> {
    let history = &state.history;
    let by_id = |id: &String| history.runs.iter().find(|kept| kept.run.id == *id);
    let selected = history.selected();
    let two = match history.marked.as_slice() {
        [one, other] => by_id(one).zip(by_id(other)),
        [one] => by_id(one).zip(selected).filter(|(one, other)| one.run.id != other.run.id),
        _ => selected.and_then(|selected| {
            let earlier = history
                .runs
                .iter()
                .find(|kept| kept.run.started < selected.run.started && kept.run.template == selected.run.template);
            earlier.map(|earlier| (earlier, selected))
        }),
    };
    let Some(compared) = two.map(|(one, other)| Compared::new(&one.run, &other.run)) else {
        state.notice("mark two runs with m, then compare them; this one has none before it of its template");
        return Vec::new();
    };
    state.history.view = View::Diff(Box::new(compared));
    state.history.row = Place::default();
    Vec::new()
}

/// Opens a log in the pager: of the selected build; in the list, of the first that failed, or the first.
pub(super) fn log(state: &mut State) -> Vec<Effect> {
    let history = &state.history;
    let log = match &history.view {
        View::List => history.selected().and_then(|kept| {
            let failed = kept.run.builds.iter().find(|build| build.failure.is_some());
            failed.or(kept.run.builds.first())?.log.clone()
        }),
        View::Run => history.selected().and_then(|kept| {
            let rows = rows::of_run(&kept.run, history.order);
            rows.get(history.row.selected)?.build().log.clone()
        }),
        View::Diff(compared) => rows::of_two(compared).get(history.row.selected).and_then(|(build, _)| {
            let name = &compared.builds[*build].name;
            let of = |run: &crate::history::run::Run| run.builds.iter().find(|build| build.name == *name)?.log.clone();
            of(&compared.b).or(of(&compared.a))
        }),
    };
    if let Some(log) = log {
        return vec![Effect::Page(log)];
    }
    state.notice("there is no log: the build was not begun");
    Vec::new()
}

/// Puts the steps of a run in another order.
pub(super) fn sort(state: &mut State) -> Vec<Effect> {
    state.history.order = state.history.order.next();
    state.notice(format!("steps {}", state.history.order.as_str()));
    fit(state);
    Vec::new()
}

/// Goes to the next row that has what was searched for, or the one before; around the end, too.
pub(super) fn find(state: &mut State, forward: bool) -> Vec<Effect> {
    let Some(needle) = state.history.needle.clone() else { return Vec::new() };
    let texts = texts(state);
    let (count, page) = extent(state);
    let from = place(state).selected;
    let turn = |step: usize| if forward { from + step } else { from + count - step };
    let found = (1..=count).map(|step| turn(step) % count).find(|row| needle.matches(&texts[*row]));
    match found {
        Some(row) => place(state).select(row, count, page),
        None => state.notice("not found"),
    }
    Vec::new()
}

/// The texts of the rows of what has the keys.
fn texts(state: &State) -> Vec<String> {
    let history = &state.history;
    match &history.view {
        View::List => history.shown.iter().map(|place| history.runs[*place].text()).collect(),
        View::Run => history
            .selected()
            .map_or_else(Vec::new, |kept| rows::of_run(&kept.run, history.order).iter().map(rows::Row::text).collect()),
        View::Diff(compared) => rows::of_two(compared)
            .into_iter()
            .map(|(build, step)| {
                let pair = &compared.builds[build];
                step.map_or(&pair.name, |step| &pair.steps[step].name).clone()
            })
            .collect(),
    }
}

/// Copies the id of the selected run, or the text of the selected row.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let text = match state.history.view {
        View::List => state.history.selected().map(|kept| kept.run.id.clone()),
        View::Run | View::Diff(_) => texts(state).get(state.history.row.selected).cloned(),
    };
    text.map(Effect::Copy).into_iter().collect()
}

/// Copies a line for each row.
pub(super) fn copy_all(state: &mut State) -> Vec<Effect> {
    let texts = texts(state);
    if texts.is_empty() { Vec::new() } else { vec![Effect::Copy(texts.join("\n") + "\n")] }
}
