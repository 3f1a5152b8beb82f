//! What the keys of the History screen do.

use super::{extent, fit, place};
use crate::history::run::{Build, Run};
use crate::tui::effect::Effect;
use crate::tui::keymap::motion::Motion;
use crate::tui::state::State;
use crate::tui::state::history::{Compared, View, rows};
use crate::tui::state::list::Place;
use crate::tui::state::log::Shown;
use crate::tui::state::steps::StepRow;

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

/// Shows the log of the selected build: where a step is selected, from its beginning. In the list, of the first build that
/// failed, or the first.
pub(super) fn log(state: &mut State) -> Vec<Effect> {
    let Some((run, build, step, live)) = chosen(state) else { return none(state) };
    let Some(path) = build.log.clone() else { return none(state) };
    let shown = Shown { title: format!("{} of {}", build.name, run.id).into(), path: Some(path) };
    let steps = build.steps.iter().map(|step| StepRow::recorded(step, live)).collect();
    crate::tui::update::log::open_earlier(state, shown, steps, step)
}

/// Opens that log in the pager.
pub(super) fn page(state: &mut State) -> Vec<Effect> {
    match chosen(state).and_then(|(_, build, ..)| build.log.clone()) {
        Some(log) => vec![Effect::Page(log)],
        None => none(state),
    }
}

fn none(state: &mut State) -> Vec<Effect> {
    state.notice("there is no log: the build was not begun");
    Vec::new()
}

/// The build one is at, the run it is of, the place of the step one is at, and whether the run is under way.
fn chosen(state: &State) -> Option<(&Run, &Build, Option<usize>, bool)> {
    let history = &state.history;
    match &history.view {
        View::List => {
            let kept = history.selected()?;
            let failed = kept.run.builds.iter().find(|build| build.failure.is_some());
            Some((&kept.run, failed.or(kept.run.builds.first())?, None, kept.live))
        }
        View::Run => {
            let kept = history.selected()?;
            let rows = rows::of_run(&kept.run, history.order);
            let row = rows.get(history.row.selected)?;
            let step = if let rows::Row::Step(_, step) = row { Some(step.index) } else { None };
            Some((&kept.run, row.build(), step, kept.live))
        }
        View::Diff(compared) => {
            let (place, _) = *rows::of_two(compared).get(history.row.selected)?;
            let name = &compared.builds[place].name;
            let of = |run: &'_ Run| run.builds.iter().position(|build| build.name == *name && build.log.is_some());
            let of_run = |run| of(run).map(|place| (run, &run.builds[place], None, false));
            of_run(&compared.b).or_else(|| of_run(&compared.a))
        }
    }
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
