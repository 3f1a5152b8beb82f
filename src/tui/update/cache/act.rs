//! What is done with entries.

use std::time::SystemTime;

use larder_proxy::inspect::Target;

use super::{refresh, select, work};
use crate::output::text::bytes;
use crate::tui::effect::Effect;
use crate::tui::effect::cache::{Op, Plan};
use crate::tui::state::State;
use crate::tui::state::cache::rows::Row;
use crate::tui::state::overlay::{Confirm, ConfirmOption, Overlay};

/// What the selected row stands for; says so if it is nothing.
fn target(state: &mut State) -> Option<Target> {
    let found = state.cache.selected().and_then(Row::target);
    if found.is_none() {
        state.notice("nothing is selected");
    }
    found
}

pub(super) fn mark(state: &mut State) -> Vec<Effect> {
    let Some(target) = target(state) else { return Vec::new() };
    let Some(key) = state.cache.selected().map(Row::key) else { return Vec::new() };
    if state.cache.marks.remove(&key).is_none() {
        state.cache.marks.insert(key, target);
    }
    select(state, state.cache.place.selected + 1);
    Vec::new()
}

pub(super) fn verify(state: &mut State) -> Vec<Effect> {
    let marked: Vec<Target> = state.cache.marks.values().cloned().collect();
    let targets = if marked.is_empty() { target(state).into_iter().collect() } else { marked };
    if targets.is_empty() {
        return Vec::new();
    }
    state.notice("reading and hashing");
    work(Op::Verify(targets))
}

fn confirm(state: &mut State, title: &str, lines: Vec<String>, options: Vec<ConfirmOption>) -> Vec<Effect> {
    state.overlays.push(Overlay::Confirm(Confirm { title: title.to_owned(), lines, options }));
    Vec::new()
}

const AGAIN: &str = "What is asked for again is fetched again.";

pub(super) fn delete(state: &mut State) -> Vec<Effect> {
    let Some(target) = target(state) else { return Vec::new() };
    let lines = match state.cache.selected() {
        Some(Row::Folder { prefix, sums, .. }) => {
            let mut lines = vec![format!("{} entries below {prefix}, {}", sums.entries, bytes(sums.bytes))];
            if sums.pinned > 0 {
                lines.push(format!("{} of them are pinned, and stay.", sums.pinned));
            }
            if state.cache.text().is_some() {
                lines.push("Also those that the filter hides.".to_owned());
            }
            lines
        }
        Some(Row::Entry { variant, .. }) if variant.entry.pinned => {
            state.notice("it is pinned; P takes the pin out");
            return Vec::new();
        }
        Some(Row::Entry { variant, .. }) => {
            vec![format!("{}, {}", variant.entry.draft.url, bytes(variant.entry.size))]
        }
        Some(Row::More { .. }) | None => return Vec::new(),
    };
    let lines = lines.into_iter().chain([AGAIN.to_owned()]).collect();
    let option = ConfirmOption { key: 'd', text: "delete".to_owned(), effects: work(Op::Remove(vec![target])) };
    confirm(state, "Delete from the cache", lines, vec![option])
}

pub(super) fn delete_marked(state: &mut State) -> Vec<Effect> {
    let targets: Vec<Target> = state.cache.marks.values().cloned().collect();
    if targets.is_empty() {
        state.notice("nothing is marked; Space marks");
        return Vec::new();
    }
    let lines = vec![format!("{} marked rows, and all that is in them.", targets.len()), AGAIN.to_owned()];
    let option = ConfirmOption { key: 'D', text: "delete them".to_owned(), effects: work(Op::Remove(targets)) };
    confirm(state, "Delete from the cache", lines, vec![option])
}

pub(super) fn pin(state: &mut State) -> Vec<Effect> {
    let marked: Vec<Target> = state.cache.marks.values().cloned().collect();
    if !marked.is_empty() {
        return work(Op::Pin(marked, true));
    }
    let Some(target) = target(state) else { return Vec::new() };
    match state.cache.selected() {
        Some(Row::Entry { variant, .. }) => {
            let pinned = !variant.entry.pinned;
            work(Op::Pin(vec![target], pinned))
        }
        // All of a folder at a time: if all are pinned they are let go, else the rest is pinned, too.
        Some(Row::Folder { sums, .. }) => {
            let pinned = sums.pinned < sums.entries;
            work(Op::Pin(vec![target], pinned))
        }
        Some(Row::More { .. }) | None => Vec::new(),
    }
}

pub(super) fn collect(state: &mut State) -> Vec<Effect> {
    state.notice("looking for what was not used for long");
    // What the run under way has used stays.
    let run = state.run.started.filter(|_| state.run.is_live());
    work(Op::Preview(run.map(SystemTime::from)))
}

/// What could be collected has been found out.
pub(super) fn offered(state: &mut State, plans: Vec<Plan>) -> Vec<Effect> {
    if plans.is_empty() {
        state.notice("there is nothing to collect: all is pinned, in use, or there is nothing");
        return Vec::new();
    }
    state.notice = None;
    let options = plans.into_iter().zip('1'..='9').map(|(plan, key)| {
        let text = format!("{}: {} entries, {}", plan.what, plan.removed.entries, bytes(plan.removed.bytes));
        ConfirmOption { key, text, effects: work(Op::Collect(plan.limits)) }
    });
    let options = options.collect();
    let lines = vec!["Pinned entries stay. This much would go:".to_owned()];
    confirm(state, "Collect", lines, options)
}

pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let text = match state.cache.selected() {
        Some(Row::Folder { prefix, .. }) => prefix.clone(),
        Some(Row::Entry { variant, .. }) => variant.entry.draft.url.clone(),
        Some(Row::More { .. }) | None => return Vec::new(),
    };
    state.notice("copied");
    vec![Effect::Copy(text)]
}

pub(super) fn copy_all(state: &mut State) -> Vec<Effect> {
    refresh(state);
    let lines: Vec<String> = state
        .cache
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Folder { prefix, sums, .. } => Some(format!("{prefix} {} {}", sums.entries, sums.bytes)),
            Row::Entry { variant, .. } => Some(format!("{} {}", variant.entry.draft.url, variant.entry.size)),
            Row::More { .. } => None,
        })
        .collect();
    state.notice(format!("copied {} lines", lines.len()));
    vec![Effect::Copy(lines.join("\n"))]
}
