//! The Cache screen.

mod act;

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use crate::tui::effect::cache::{Done, Op};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::cache::Action;
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::motion::Motion;
use crate::tui::layout::cache::{parts, rows};
use crate::tui::state::State;
use crate::tui::state::cache::Pane;
use crate::tui::state::cache::rows::{self as tree, Row};
use crate::tui::state::overlay::{Bar, BarKind};
use crate::tui::state::proxy::filter::contains;

/// Seconds after which what is stored is read again when the screen comes into view.
const OLD: i64 = 10;

/// More rows than the detail pane ever has.
const DETAIL_ROWS: usize = 64;

fn work(op: Op) -> Vec<Effect> {
    vec![Effect::Work(Work::Cache(op))]
}

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Reload => load(state),
        Action::Sort => {
            state.cache.sort = state.cache.sort.next();
            refresh(state);
            state.notice(format!("sorted by {}", state.cache.sort.as_str()));
            Vec::new()
        }
        Action::Mark => act::mark(state),
        Action::Verify => act::verify(state),
        Action::Delete => act::delete(state),
        Action::DeleteMarked => act::delete_marked(state),
        Action::Pin => act::pin(state),
        Action::Collect => act::collect(state),
    }
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    match action {
        Global::Open => Some(open(state)),
        Global::NextPane | Global::PreviousPane => {
            let next = if state.cache.pane == Pane::Tree { Pane::Detail } else { Pane::Tree };
            Some(pane(state, next))
        }
        Global::Back if state.cache.pane == Pane::Detail && !state.zoomed => Some(pane(state, Pane::Tree)),
        Global::Filter => {
            let input = tui_input::Input::from(state.cache.filter.as_str());
            state.bar = Some(Bar { kind: BarKind::Filter, input, recalled: None });
            Some(Vec::new())
        }
        Global::FilterToggle => {
            state.cache.filter_on = !state.cache.filter_on;
            Some(load(state))
        }
        Global::FindNext => Some(find(state, true)),
        Global::FindPrevious => Some(find(state, false)),
        Global::Copy => Some(act::copy(state)),
        Global::CopyAll => Some(act::copy_all(state)),
        _ => None,
    }
}

fn pane(state: &mut State, pane: Pane) -> Vec<Effect> {
    state.cache.pane = pane;
    state.cache.scrolled = 0;
    if pane == Pane::Detail { explain(state) } else { Vec::new() }
}

fn open(state: &mut State) -> Vec<Effect> {
    match state.cache.selected() {
        Some(Row::Folder { open, .. }) => {
            let open = *open;
            fold(state, open)
        }
        Some(Row::Entry { .. }) => pane(state, Pane::Detail),
        Some(Row::More { .. }) | None => Vec::new(),
    }
}

/// Asks why the selected URL is answered as it is.
fn explain(state: &mut State) -> Vec<Effect> {
    state.cache.explained = None;
    match state.cache.selected() {
        Some(Row::Entry { variant, .. }) => work(Op::Explain(variant.entry.draft.url.clone())),
        _ => Vec::new(),
    }
}

/// Folds the selected folder (or the one that the row is in), or unfolds it.
fn fold(state: &mut State, fold: bool) -> Vec<Effect> {
    let Some(row) = state.cache.selected().cloned() else { return Vec::new() };
    match (row, fold) {
        (Row::Folder { prefix, open: true, .. }, true) => {
            state.cache.open.remove(&prefix);
            refresh(state);
            Vec::new()
        }
        (Row::Folder { prefix, open: false, .. }, false) => {
            state.cache.open.insert(prefix.clone());
            refresh(state);
            if state.cache.entries.contains_key(&prefix) {
                Vec::new()
            } else {
                work(Op::Entries(prefix, state.cache.text()))
            }
        }
        (row, true) => {
            // Up to the folder that it is in.
            let above =
                state.cache.rows[..state.cache.place.selected].iter().rposition(|one| one.depth() < row.depth());
            if let Some(above) = above {
                select(state, above);
            }
            Vec::new()
        }
        (_, false) => Vec::new(),
    }
}

fn page(state: &State) -> usize {
    usize::from(rows(state).height)
}

fn select(state: &mut State, row: usize) {
    let (count, page) = (state.cache.rows.len(), page(state));
    state.cache.place.select(row, count, page);
    state.cache.scrolled = 0;
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    match (state.cache.pane, motion) {
        (Pane::Detail, Motion::Left | Motion::Right) => Vec::new(),
        (Pane::Detail, motion) => {
            let page = usize::from(parts(state).detail.height);
            state.cache.scrolled = motion.apply(state.cache.scrolled, DETAIL_ROWS, page);
            Vec::new()
        }
        (Pane::Tree, Motion::Left) => fold(state, true),
        (Pane::Tree, Motion::Right) => fold(state, false),
        (Pane::Tree, motion) => {
            let (count, page) = (state.cache.rows.len(), page(state));
            state.cache.place.go(motion, count, page);
            state.cache.scrolled = 0;
            explain(state)
        }
    }
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    const WHEEL: usize = 3;
    let (list, detail) = (rows(state), parts(state).detail);
    let within = |area: ratatui::layout::Rect| area.contains((mouse.column, mouse.row).into());
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) if within(list) => {
            let row = state.cache.place.top + usize::from(mouse.row - list.y);
            if row >= state.cache.rows.len() {
                return Vec::new();
            }
            state.cache.pane = Pane::Tree;
            // A click on what is selected opens it.
            if row == state.cache.place.selected {
                return open(state);
            }
            select(state, row);
            explain(state)
        }
        MouseEventKind::Down(MouseButton::Left) if within(detail) => pane(state, Pane::Detail),
        MouseEventKind::ScrollUp if within(list) => {
            select(state, state.cache.place.selected.saturating_sub(WHEEL));
            Vec::new()
        }
        MouseEventKind::ScrollDown if within(list) => {
            select(state, state.cache.place.selected + WHEEL);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match kind {
        BarKind::Find => {
            state.cache.needle = query.to_lowercase();
            find(state, true)
        }
        BarKind::Filter => {
            (state.cache.filter, state.cache.filter_on) = (query.to_owned(), true);
            load(state)
        }
    }
}

/// Goes to the next (or previous) row whose name has what is searched for.
fn find(state: &mut State, forward: bool) -> Vec<Effect> {
    if state.cache.needle.is_empty() {
        return Vec::new();
    }
    let (count, from) = (state.cache.rows.len(), state.cache.place.selected);
    let found = (1..=count)
        .map(|step| if forward { (from + step) % count } else { (from + count - step) % count })
        .find(|&at| contains(state.cache.rows[at].name(), &state.cache.needle));
    let Some(at) = found else {
        let text = format!("nothing that is unfolded has `{}`; & looks through all", state.cache.needle);
        state.notice(text);
        return Vec::new();
    };
    select(state, at);
    explain(state)
}

/// The screen comes into view.
pub(super) fn shown(state: &mut State) -> Vec<Effect> {
    refresh(state);
    let old = state.cache.loaded.is_none_or(|loaded| state.now.as_second() - loaded.as_second() >= OLD);
    if old { load(state) } else { Vec::new() }
}

/// Has what is stored read; what is shown stays meanwhile.
fn load(state: &mut State) -> Vec<Effect> {
    state.cache.loading = true;
    work(Op::Load(state.cache.text()))
}

/// Makes the rows anew; what was selected stays so.
fn refresh(state: &mut State) {
    let selected = state.cache.selected().cloned();
    let above = state.cache.place.selected - state.cache.place.top.min(state.cache.place.selected);
    state.cache.rows = tree::build(&state.cache);
    if let Some(at) = selected.and_then(|one| state.cache.rows.iter().position(|row| row.is(&one))) {
        state.cache.place.selected = at;
        state.cache.place.top = at.saturating_sub(above);
    }
    let (count, page) = (state.cache.rows.len(), page(state));
    state.cache.place.fit(count, page);
}

/// The entries of a folder have come. They come one folder after another, so that all rows are not made anew for each.
fn listed(state: &mut State, prefix: &str) {
    let Some((old, new)) = tree::arrived(&state.cache, prefix) else { return };
    let place = state.cache.place.selected;
    let selected = if old.contains(&place) {
        let same = state.cache.selected().and_then(|one| new.iter().position(|row| row.is(one)));
        same.map_or(place.min(old.start + new.len()), |at| old.start + at)
    } else if place >= old.end {
        place + new.len() - old.len()
    } else {
        place
    };
    state.cache.rows.splice(old, new);
    state.cache.place.top = (state.cache.place.top + selected).saturating_sub(place);
    state.cache.place.selected = selected;
    let (count, page) = (state.cache.rows.len(), page(state));
    state.cache.place.fit(count, page);
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::Loaded(Ok((root, sums))) => {
            let cache = &mut state.cache;
            (cache.root, cache.stats, cache.failed) = (Some(root), sums, None);
            (cache.loaded, cache.loading) = (Some(state.now), false);
            // Entries may have come and gone, too.
            let listed: Vec<String> =
                cache.entries.keys().filter(|prefix| cache.open.contains(*prefix)).cloned().collect();
            cache.entries.retain(|prefix, _| listed.contains(prefix));
            let text = cache.text();
            refresh(state);
            listed.into_iter().flat_map(|prefix| work(Op::Entries(prefix, text.clone()))).collect()
        }
        Done::Loaded(Err(error)) => {
            state.cache.loading = false;
            let text = crate::error::chain(&error);
            state.cache.failed = Some(text.clone());
            state.error(text);
            Vec::new()
        }
        Done::Entries(prefix, found) => {
            state.cache.entries.insert(prefix.clone(), found);
            listed(state, &prefix);
            Vec::new()
        }
        Done::Explained(explanation) => {
            state.cache.explained = Some(explanation);
            Vec::new()
        }
        Done::Preview(plans) => act::offered(state, plans),
        Done::Changed(told) => {
            state.cache.marks.clear();
            tell(state, told);
            load(state)
        }
        Done::Told(told) => {
            tell(state, told);
            Vec::new()
        }
    }
}

fn tell(state: &mut State, told: crate::error::Result<String>) {
    match told {
        Ok(text) => state.notice(text),
        Err(error) => state.error(crate::error::chain(&error)),
    }
}

#[cfg(test)]
mod tests;
