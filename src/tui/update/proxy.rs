//! The Proxy screen.

mod act;
mod list;

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use self::list::{find, refresh, step_to};
use crate::event::{Event, EventKind};
use crate::tui::effect::proxy::{Done, Op};
use crate::tui::effect::{Effect, Work};
use crate::tui::keymap::global::Action as Global;
use crate::tui::keymap::motion::Motion;
use crate::tui::keymap::proxy::Action;
use crate::tui::layout::proxy::{parts, rows};
use crate::tui::layout::{Room, room};
use crate::tui::state::builds::Pane as Builds;
use crate::tui::state::overlay::{Bar, BarKind};
use crate::tui::state::proxy::filter::Filter;
use crate::tui::state::proxy::rows::{Item, Row, item};
use crate::tui::state::proxy::{Group, Pane};
use crate::tui::state::{Screen, State};

pub(super) fn action(state: &mut State, action: Action) -> Vec<Effect> {
    match action {
        Action::Follow => {
            state.proxy.follow = !state.proxy.follow;
            state.proxy.frozen = false;
            refresh(state);
            Vec::new()
        }
        Action::Freeze => {
            state.proxy.frozen = !state.proxy.frozen;
            refresh(state);
            Vec::new()
        }
        Action::Mark => act::mark(state),
        Action::NextMark => act::next_mark(state),
        Action::Group => {
            state.proxy.group = state.proxy.group.next();
            // What goes on is spread over the groups: there is no end to follow.
            state.proxy.follow = state.proxy.group == Group::None;
            refresh(state);
            state.notice(format!("put together by: {}", state.proxy.group.as_str()));
            Vec::new()
        }
        Action::View => act::body(state, |digest, _| Op::View { digest }),
        Action::Save => act::body(state, |digest, url| Op::Save { digest, url }),
        Action::Har => act::har(state),
        Action::Curl => act::curl(state),
        Action::Drop => act::drop_from_cache(state),
        Action::Refetch => act::refetch(state),
        Action::Mode => act::mode(state),
    }
}

pub(super) fn global(state: &mut State, action: Global) -> Option<Vec<Effect>> {
    let pane_of_builds = state.screen == Screen::Builds;
    match action {
        // From the pane of the Builds screen: Enter goes to the Proxy screen, Esc back to the builds.
        Global::NextPane | Global::PreviousPane if pane_of_builds => {
            state.next_pane(action == Global::PreviousPane);
            Some(Vec::new())
        }
        Global::Back if pane_of_builds && !state.zoomed => {
            state.give(Builds::List);
            Some(Vec::new())
        }
        Global::Open if pane_of_builds && matches!(state.proxy.selected(), Some(Row::Ended(_) | Row::UnderWay(_))) => {
            let mut effects = super::global::show(state, Screen::Proxy);
            effects.extend(pane(state, Pane::Detail));
            Some(effects)
        }
        Global::Open => Some(open(state)),
        Global::NextPane | Global::PreviousPane => {
            let next = if state.proxy.pane == Pane::List { Pane::Detail } else { Pane::List };
            Some(pane(state, next))
        }
        Global::Back if state.proxy.pane == Pane::Detail && !state.zoomed => Some(pane(state, Pane::List)),
        Global::Filter => {
            let input = tui_input::Input::from(state.proxy.filter.query.as_str());
            state.bar = Some(Bar { kind: BarKind::Filter, input, recalled: None });
            Some(Vec::new())
        }
        Global::FilterToggle => {
            state.proxy.filter_on = !state.proxy.filter_on;
            refresh(state);
            Some(Vec::new())
        }
        Global::FindNext => Some(find(state, true)),
        Global::FindPrevious => Some(find(state, false)),
        Global::Copy => Some(act::copy(state)),
        Global::CopyAll => Some(act::copy_all(state)),
        _ => None,
    }
}

fn pane(state: &mut State, pane: Pane) -> Vec<Effect> {
    state.proxy.pane = pane;
    state.proxy.scrolled = 0;
    if pane == Pane::Detail { explain(state) } else { Vec::new() }
}

fn open(state: &mut State) -> Vec<Effect> {
    if let Some(Row::Heading(heading)) = state.proxy.selected() {
        let name = heading.name.clone();
        if !state.proxy.folded.remove(&name) {
            state.proxy.folded.insert(name);
        }
        refresh(state);
        return Vec::new();
    }
    pane(state, Pane::Detail)
}

/// Asks what the cache has of the selected URL.
fn explain(state: &State) -> Vec<Effect> {
    let known = state.proxy.explained.as_ref().map(|(url, _)| url.as_str());
    match act::selected(state) {
        Some(flow) if flow.url.contains("://") && known != Some(flow.url.as_str()) => {
            vec![Effect::Work(Work::Proxy(Op::Explain(flow.url.clone())))]
        }
        _ => Vec::new(),
    }
}

pub(super) fn moved(state: &mut State, motion: Motion) -> Vec<Effect> {
    if state.proxy.pane == Pane::Detail && state.screen == Screen::Proxy {
        let page = usize::from(parts(state).detail.height);
        state.proxy.scrolled = match motion {
            Motion::Left | Motion::Right => state.proxy.scrolled,
            // There is no telling how long it is before it is drawn; it is held to its end there.
            motion => motion.apply(state.proxy.scrolled, DETAIL_ROWS, page),
        };
        return Vec::new();
    }
    match motion {
        Motion::Left | Motion::Right => return fold(state, motion == Motion::Left),
        Motion::Last => {
            state.proxy.follow = state.proxy.group == Group::None;
            state.proxy.frozen = false;
            refresh(state);
        }
        _ => state.proxy.follow = false,
    }
    let (count, page) = (state.proxy.rows.len(), page(state));
    state.proxy.place.go(motion, count, page);
    state.proxy.scrolled = 0;
    explain(state)
}

/// More rows than the detail pane ever has.
const DETAIL_ROWS: usize = 64;

fn page(state: &State) -> usize {
    usize::from(rows(state).height)
}

fn fold(state: &mut State, fold: bool) -> Vec<Effect> {
    // From a request up to its heading.
    let at = state.proxy.place.selected;
    let heading = state.proxy.rows.iter().take(at + 1).rposition(|row| matches!(row, Row::Heading(_)));
    let Some(at) = heading else { return Vec::new() };
    let Some(Row::Heading(heading)) = state.proxy.rows.get(at) else { return Vec::new() };
    let name = heading.name.clone();
    if fold {
        state.proxy.folded.insert(name);
        step_to(state, at);
    } else {
        state.proxy.folded.remove(&name);
    }
    refresh(state);
    Vec::new()
}

pub(super) fn moused(state: &mut State, mouse: MouseEvent) -> Vec<Effect> {
    const WHEEL: usize = 3;
    let detail = if state.screen == Screen::Proxy { parts(state).detail } else { ratatui::layout::Rect::default() };
    let list = rows(state);
    let within = |area: ratatui::layout::Rect| area.contains((mouse.column, mouse.row).into());
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) if within(list) => {
            let row = state.proxy.place.top + usize::from(mouse.row - list.y);
            if row >= state.proxy.rows.len() {
                return Vec::new();
            }
            state.proxy.pane = Pane::List;
            state.proxy.follow = false;
            step_to(state, row);
            explain(state)
        }
        MouseEventKind::Down(MouseButton::Left) if within(detail) => pane(state, Pane::Detail),
        MouseEventKind::ScrollUp if within(list) => {
            state.proxy.follow = false;
            step_to(state, state.proxy.place.selected.saturating_sub(WHEEL));
            Vec::new()
        }
        MouseEventKind::ScrollDown if within(list) => {
            step_to(state, state.proxy.place.selected + WHEEL);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

pub(super) fn searched(state: &mut State, kind: BarKind, query: &str) -> Vec<Effect> {
    match kind {
        BarKind::Find => {
            state.proxy.needle = query.to_lowercase();
            find(state, true)
        }
        BarKind::Filter => {
            match Filter::parse(query) {
                Ok(filter) => (state.proxy.filter, state.proxy.filter_on) = (filter, true),
                Err(why) => state.error(why),
            }
            refresh(state);
            Vec::new()
        }
    }
}

/// The screen comes into view.
pub(super) fn shown(state: &mut State) -> Vec<Effect> {
    refresh(state);
    look(state)
}

fn look(state: &mut State) -> Vec<Effect> {
    if std::mem::replace(&mut state.proxy.looking, true) {
        return Vec::new();
    }
    vec![Effect::Work(Work::Proxy(Op::Look))]
}

/// A run begins: what was shown of another is gone, how it was shown stays.
pub(super) fn begun(state: &mut State) {
    let old = std::mem::take(&mut state.proxy);
    state.proxy = crate::tui::state::proxy::State {
        pane: old.pane,
        filter: old.filter,
        filter_on: old.filter_on,
        needle: old.needle,
        group: old.group,
        follow: old.group == Group::None,
        looking: old.looking,
        mode: old.mode,
        ..Default::default()
    };
}

/// Something happened in the run; the model has taken it in.
pub(super) fn happened(state: &mut State, event: &Event) -> Vec<Effect> {
    if let EventKind::Flow { flow } = &event.kind {
        state.proxy.arrived += 1;
        list::ended(state, flow);
    }
    Vec::new()
}

/// Whether the list is on the screen.
fn is_seen(state: &State) -> bool {
    match state.screen {
        Screen::Proxy => true,
        Screen::Builds => room(state.size) == Room::Dashboard,
        _ => false,
    }
}

/// Traffic has gone on.
pub(super) fn grown(state: &mut State) -> Vec<Effect> {
    if !is_seen(state) {
        return Vec::new();
    }
    if state.proxy.stale && !state.proxy.frozen {
        refresh(state);
    }
    look(state)
}

/// A second has passed.
pub(super) fn ticked(state: &mut State) -> Vec<Effect> {
    if !state.run.is_live() {
        return Vec::new();
    }
    let sums = state.run.live.totals.all;
    let under_way: u64 = state.proxy.in_flight.iter().map(|request| request.flow.bytes_sent).sum();
    state.proxy.rates.second(sums.requests, sums.bytes_sent + under_way);
    if state.proxy.stale && !state.proxy.frozen && is_seen(state) {
        refresh(state);
    }
    look(state)
}

pub(super) fn done(state: &mut State, done: Done) -> Vec<Effect> {
    match done {
        Done::Looked(found) => {
            state.proxy.looking = false;
            let (mode, in_flight) = found.map_or((None, Vec::new()), |(mode, found)| (Some(mode), found));
            state.proxy.mode = mode;
            list::under_way(state, in_flight);
            Vec::new()
        }
        Done::Explained(url, explanation) => {
            state.proxy.explained = Some((url, explanation));
            Vec::new()
        }
        Done::View(path) => vec![Effect::Page(path)],
        Done::Told(told) => {
            // What is stored may have changed.
            state.proxy.explained = None;
            match told {
                Ok(text) => state.notice(text),
                Err(error) => state.error(crate::error::chain(&error)),
            }
            explain(state)
        }
    }
}

/// What the selected row stands for.
fn selected_item(state: &State) -> Option<Item<'_>> {
    item(&state.proxy, &state.run, state.proxy.selected()?)
}

#[cfg(test)]
mod tests;
