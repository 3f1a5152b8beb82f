//! The Guests screen.

#[cfg(test)]
pub(in crate::tui) mod testing;
#[cfg(test)]
mod tests;

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use crate::guest::record::Run;
use crate::history::log_store::pattern::Pattern;
use crate::tui::effect::guests::{Done, Op};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::guests::Action;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::guests as layout;
use crate::tui::state::State;
use crate::tui::state::guests::holdings;
use crate::tui::state::list::Place;
use crate::tui::state::overlay::{BarKind, Confirm, ConfirmOption, Overlay};

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Reload => work(Op::List),
        Action::Clean => {
            let Some(run) = state.guests.selected() else { return Vec::new() };
            if run.live {
                state.notice(format!("run {} is under way (process {}): it cleans up by itself", run.id, run.pid));
                return Vec::new();
            }
            let ids = vec![run.id.clone()];
            confirm(state, ids)
        }
        Action::CleanAll => {
            let ids = state.guests.dead();
            confirm(state, ids)
        }
    }
}

/// Asks before anything is removed, and says what.
fn confirm(state: &mut State, ids: Vec<String>) -> Vec<Effect> {
    const SHOWN: usize = 8;
    if ids.is_empty() {
        state.notice("nothing to clean up");
        return Vec::new();
    }
    let runs = || state.guests.runs.iter().filter(|run| ids.contains(&run.id));
    let all: Vec<String> = runs().flat_map(holdings).collect();
    let mut lines: Vec<String> = all.iter().take(SHOWN).cloned().collect();
    if all.len() > SHOWN {
        lines.push(format!("and {} more", all.len() - SHOWN));
    }
    if all.is_empty() {
        lines.push("Nothing but its record is left.".to_owned());
    }
    let title = match ids.as_slice() {
        [id] => format!("Clean up after run {id}"),
        all => format!("Clean up after {} runs", all.len()),
    };
    let options = vec![ConfirmOption {
        key: 'd',
        text: "end the processes and remove the files".to_owned(),
        effects: work(Op::Clean(ids)),
    }];
    state.overlays.push(Overlay::Confirm(Confirm { title, lines, options }));
    Vec::new()
}

fn work(op: Op) -> Vec<Effect> {
    vec![Effect::Work(Work::Guests(op))]
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    match action {
        Global::Open => {
            state.guests.opened = state.guests.selected().is_some();
            fit(state);
        }
        Global::NextPane | Global::PreviousPane => {
            state.guests.opened = !state.guests.opened && state.guests.selected().is_some();
            fit(state);
        }
        Global::Back if state.guests.opened && !state.zoomed => state.guests.opened = false,
        Global::FindNext => find(state, true),
        Global::FindPrevious => find(state, false),
        Global::Copy => return Some(copied(state, false)),
        Global::CopyAll => return Some(copied(state, true)),
        _ => return None,
    }
    Some(Vec::new())
}

/// The selected row of what has the keys, or all of them, for the clipboard.
fn copied(state: &State, all: bool) -> Vec<Effect> {
    let (texts, place) = (texts(state), if state.guests.opened { state.guests.line } else { state.guests.place });
    let text = if all { texts.join("\n") } else { texts.get(place.selected).cloned().unwrap_or_default() };
    if text.is_empty() { Vec::new() } else { vec![Effect::Copy(text)] }
}

/// The rows of what has the keys.
fn texts(state: &State) -> Vec<String> {
    let guests = &state.guests;
    match (guests.opened, guests.selected()) {
        (true, Some(run)) => holdings(run),
        (true, None) => Vec::new(),
        (false, _) => guests.runs.iter().map(|run| format!("{} {}", run.id, run.what)).collect(),
    }
}

fn find(state: &mut State, forward: bool) {
    let Some(needle) = state.guests.needle.clone() else { return };
    let texts = texts(state);
    let count = texts.len();
    let from = place(state).selected;
    let turn = |step: usize| if forward { from + step } else { from + count - step };
    let found = (1..=count).map(|step| turn(step) % count).find(|row| needle.matches(&texts[*row]));
    match found {
        Some(row) => {
            let page = page(state);
            place(state).select(row, count, page);
        }
        None => state.notice("not found"),
    }
}

fn place(state: &mut State) -> &mut Place {
    if state.guests.opened { &mut state.guests.line } else { &mut state.guests.place }
}

fn page(state: &State) -> usize {
    let rows = |area: ratatui::layout::Rect, above: u16| usize::from(area.height.saturating_sub(above));
    if state.guests.opened { rows(layout::detail(state), DETAIL_HEAD) } else { rows(layout::list(state), 1) }
}

/// Lines above what a run has, in the lower pane.
pub(in crate::tui) const DETAIL_HEAD: u16 = 3;

fn fit(state: &mut State) {
    let (count, page) = (texts(state).len(), page(state));
    place(state).fit(count, page);
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    match motion {
        Motion::Left => state.guests.opened = false,
        Motion::Right => state.guests.opened = state.guests.selected().is_some(),
        _ => {
            let (count, page) = (texts(state).len(), page(state));
            place(state).go(motion, count, page);
            if !state.guests.opened {
                state.guests.line = Place::default();
            }
        }
    }
    Vec::new()
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    const WHEEL: usize = 3;
    let within = |area: ratatui::layout::Rect| area.contains((mouse.column, mouse.row).into());
    let (list, detail) = (layout::list(state), layout::detail(state));
    let (area, above) = match (within(list), within(detail)) {
        (true, _) => (list, 1),
        (_, true) => (detail, DETAIL_HEAD),
        _ => return Vec::new(),
    };
    state.guests.opened = within(detail) && state.guests.selected().is_some();
    let (count, page, at) = (texts(state).len(), page(state), *place(state));
    let row = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) if mouse.row >= area.y + above => {
            at.top + usize::from(mouse.row - area.y - above)
        }
        MouseEventKind::ScrollUp => at.selected.saturating_sub(WHEEL),
        MouseEventKind::ScrollDown => at.selected + WHEEL,
        _ => return Vec::new(),
    };
    place(state).select(row, count, page);
    Vec::new()
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match (kind, Pattern::parse(query)) {
        (BarKind::Filter, _) => state.notice("there is no filter here; / finds"),
        (BarKind::Find, _) if query.is_empty() => state.guests.needle = None,
        (BarKind::Find, Ok(pattern)) => {
            state.guests.needle = Some(pattern);
            find(state, true);
        }
        (BarKind::Find, Err(error)) => state.error(error.to_string()),
    }
    Vec::new()
}

/// The screen comes into view.
pub(super) fn shown(_state: &mut State) -> Vec<Effect> {
    work(Op::List)
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::Found(found) => take(state, found),
        Done::Cleaned { results, left } => {
            let failed = results.iter().filter(|(_, result)| result.is_err()).count();
            let (processes, trees) = results
                .iter()
                .filter_map(|(_, result)| result.as_ref().ok())
                .fold((0, 0), |(processes, trees), cleaned| {
                    (processes + cleaned.processes.len(), trees + cleaned.trees.len())
                });
            if failed < results.len() {
                state.notice(format!("removed: {processes} processes, {trees} directories"));
            }
            for (_, result) in results {
                if let Err(why) = result {
                    state.error(why);
                }
            }
            take(state, left);
        }
    }
    Vec::new()
}

fn take(state: &mut State, found: Result<Vec<Run>, String>) {
    match found {
        Ok(mut runs) => {
            runs.sort_by(|a, b| a.live.cmp(&b.live).then_with(|| b.id.cmp(&a.id)));
            let selected = state.guests.selected().map(|run| run.id.clone());
            state.guests.runs = runs;
            state.guests.read = true;
            if let Some(row) = selected.and_then(|id| state.guests.runs.iter().position(|run| run.id == id)) {
                state.guests.place.selected = row;
            }
            let (count, opened) = (state.guests.runs.len(), state.guests.opened);
            state.guests.opened = false;
            let page = page(state);
            state.guests.place.fit(count, page);
            state.guests.opened = opened && count > 0;
            fit(state);
        }
        Err(why) => state.error(why),
    }
}
