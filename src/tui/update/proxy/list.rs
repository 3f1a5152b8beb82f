//! The rows of the list, kept as they should be while traffic goes on.

use std::collections::HashSet;

use larder_proxy::flow::Flow;
use larder_proxy::in_flight::InFlight;

use super::{page, selected_item};
use crate::tui::effect::Effect;
use crate::tui::state::State;
use crate::tui::state::proxy::Group;
use crate::tui::state::proxy::filter::contains;
use crate::tui::state::proxy::rows::{self, Row, item};

/// Requests among which one that has just ended is looked for.
const LATELY: usize = 500;

/// Makes the rows anew; what was selected stays so.
pub(super) fn refresh(state: &mut State) {
    state.proxy.stale = false;
    let key = |state: &State| match state.proxy.selected() {
        Some(Row::Heading(heading)) => Some(Err(heading.name.clone())),
        _ => selected_item(state).and_then(|item| item.flow().map(|flow| Ok(flow.id))),
    };
    let selected: Option<Result<u64, String>> = key(state);
    let above = state.proxy.place.selected - state.proxy.place.top.min(state.proxy.place.selected);
    state.proxy.rows = rows::build(&state.proxy, &state.run);
    let is_it = |row: &Row| match (&selected, row) {
        (Some(Err(name)), Row::Heading(heading)) => heading.name == *name,
        (Some(Ok(id)), row) => {
            item(&state.proxy, &state.run, row).and_then(rows::Item::flow).is_some_and(|flow| flow.id == *id)
        }
        _ => false,
    };
    let found = state.proxy.rows.iter().position(is_it);
    if let Some(at) = found {
        state.proxy.place.selected = at;
        state.proxy.place.top = at.saturating_sub(above);
    }
    settle(state);
}

/// Brings the place back within the rows: to the last one while following.
fn settle(state: &mut State) {
    let (count, page) = (state.proxy.rows.len(), page(state));
    if state.proxy.follow && !state.proxy.frozen {
        state.proxy.place.select(count.saturating_sub(1), count, page);
        state.proxy.seen = state.proxy.arrived;
    } else {
        state.proxy.place.fit(count, page);
    }
}

/// Selects a row.
pub(super) fn step_to(state: &mut State, row: usize) {
    let (count, page) = (state.proxy.rows.len(), page(state));
    state.proxy.place.select(row, count, page);
}

/// A request has ended, and is the last of those kept.
pub(super) fn ended(state: &mut State, flow: &Flow) {
    state.proxy.in_flight.retain(|request| request.flow.id != flow.id);
    if state.proxy.frozen || state.proxy.group != Group::None {
        state.proxy.stale = true;
        return;
    }
    let (first, number) = (state.proxy.first(&state.run), state.proxy.arrived - 1);
    let proxy = &mut state.proxy;
    let old = proxy.rows.iter().take_while(|row| matches!(row, Row::Ended(number) if *number < first)).count();
    if old > 0 {
        proxy.rows.drain(..old);
        proxy.place.selected = proxy.place.selected.saturating_sub(old);
        proxy.place.top = proxy.place.top.saturating_sub(old);
    }
    // Those under way come last; the one that ended is no more among them.
    let under_way = proxy.rows.iter().rev().take_while(|row| matches!(row, Row::UnderWay(_))).count();
    let at = proxy.rows.len() - under_way;
    let gone = proxy.rows[at..].iter().position(|row| *row == Row::UnderWay(flow.id)).map(|place| at + place);
    let was_selected = gone.is_some() && gone == Some(proxy.place.selected);
    if let Some(gone) = gone {
        proxy.rows.remove(gone);
    }
    if !proxy.filters() || proxy.filter.shows(flow, Some(flow.outcome)) {
        proxy.rows.insert(at, Row::Ended(number));
        if was_selected {
            proxy.place.selected = at;
        } else if proxy.place.selected >= at && gone.is_none_or(|gone| gone > proxy.place.selected) {
            proxy.place.selected += 1;
        }
    }
    settle(state);
}

/// What is under way has been looked at.
pub(super) fn under_way(state: &mut State, mut found: Vec<InFlight>) {
    // Some may have ended since.
    let ended: HashSet<u64> = state.run.flows.iter().rev().take(LATELY).map(|flow| flow.id).collect();
    found.retain(|request| !ended.contains(&request.flow.id));
    let ids = |list: &[InFlight]| list.iter().map(|request| request.flow.id).collect::<Vec<_>>();
    let same = ids(&found) == ids(&state.proxy.in_flight) && !state.proxy.filters();
    state.proxy.in_flight = found;
    if state.proxy.frozen {
        state.proxy.stale = true;
        return;
    }
    if state.proxy.group != Group::None {
        refresh(state);
    } else if !same {
        let shown =
            |request: &&InFlight| !state.proxy.filters() || state.proxy.filter.shows(&request.flow, request.outcome);
        let new: Vec<Row> =
            state.proxy.in_flight.iter().filter(shown).map(|request| Row::UnderWay(request.flow.id)).collect();
        let old = state.proxy.rows.iter().rev().take_while(|row| matches!(row, Row::UnderWay(_))).count();
        let kept = state.proxy.rows.len() - old;
        state.proxy.rows.truncate(kept);
        state.proxy.rows.extend(new);
        settle(state);
    }
}

/// Goes to the next (or previous) request that the search finds.
pub(super) fn find(state: &mut State, forward: bool) -> Vec<Effect> {
    let needle = &state.proxy.needle;
    if needle.is_empty() {
        return Vec::new();
    }
    let matches = |row: &Row| match item(&state.proxy, &state.run, row) {
        Some(rows::Item::Heading(heading)) => contains(&heading.name, needle),
        Some(item) => item.flow().is_some_and(|flow| contains(&flow.url, needle) || contains(&flow.why, needle)),
        None => false,
    };
    let (count, from) = (state.proxy.rows.len(), state.proxy.place.selected);
    let found = (1..=count)
        .map(|step| if forward { (from + step) % count } else { (from + count - step) % count })
        .find(|&at| matches(&state.proxy.rows[at]));
    if let Some(at) = found {
        state.proxy.follow = false;
        step_to(state, at);
    } else {
        let text = format!("no request has `{needle}`");
        state.notice(text);
    }
    Vec::new()
}
