//! The rows of the list of requests: those that ended, then those under way, as filter and grouping have it.

use std::collections::BTreeMap;

use larder_proxy::flow::{Flow, Outcome};
use larder_proxy::in_flight::InFlight;

use super::filter::host_of;
use super::{Group, State};
use crate::tui::state::run::RunModel;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A request that has ended: how many had ended before it.
    Ended(u64),
    /// A request under way, by its number.
    UnderWay(u64),
    /// What a group's requests have in common. In a box: rows are moved when the oldest go, and most are no headings.
    Heading(Box<Heading>),
}

/// The heading of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heading {
    /// Host, build or step.
    pub name: String,
    /// Requests that have ended.
    pub requests: u64,
    /// Of those, answered from the cache.
    pub hits: u64,
    /// Requests under way.
    pub under_way: u64,
    /// Bytes sent to clients.
    pub bytes: u64,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A request that has ended.
    Ended(&'a Flow),
    /// A request under way.
    UnderWay(&'a InFlight),
    /// A group.
    Heading(&'a Heading),
}

impl<'a> Item<'a> {
    /// The request, as far as it has come.
    pub fn flow(self) -> Option<&'a Flow> {
        match self {
            Item::Ended(flow) => Some(flow),
            Item::UnderWay(request) => Some(&request.flow),
            Item::Heading(_) => None,
        }
    }
}

/// Whether the answer came from the cache, or out of a fetch for another.
pub fn is_hit(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Hit | Outcome::Coalesced | Outcome::Revalidated | Outcome::Stale)
}

/// What `row` stands for; none when it is no longer kept.
pub fn item<'a>(state: &'a State, run: &'a RunModel, row: &'a Row) -> Option<Item<'a>> {
    match row {
        Row::Heading(heading) => Some(Item::Heading(heading)),
        Row::Ended(number) => {
            let at = usize::try_from(number.checked_sub(state.first(run))?).ok()?;
            run.flows.get(at).map(|flow| Item::Ended(flow))
        }
        Row::UnderWay(id) => {
            if let Ok(at) = state.in_flight.binary_search_by_key(id, |request| request.flow.id) {
                return Some(Item::UnderWay(&state.in_flight[at]));
            }
            // It has ended, and the list is frozen.
            run.flows.iter().rev().find(|flow| flow.id == *id).map(|flow| Item::Ended(flow))
        }
    }
}

/// The rows as they should be.
pub fn build(state: &State, run: &RunModel) -> Vec<Row> {
    let first = state.first(run);
    let shown = |flow: &Flow, outcome| !state.filters() || state.filter.shows(flow, outcome);
    let ended = run.flows.iter().zip(first..).filter(|(flow, _)| shown(flow, Some(flow.outcome)));
    let under_way = state.in_flight.iter().filter(|request| shown(&request.flow, request.outcome));
    if state.group == Group::None {
        let ended = ended.map(|(_, number)| Row::Ended(number));
        return ended.chain(under_way.map(|request| Row::UnderWay(request.flow.id))).collect();
    }
    let mut groups: BTreeMap<String, (Heading, Vec<Row>)> = BTreeMap::new();
    for (flow, number) in ended {
        let (heading, rows) = groups.entry(name(flow, state.group)).or_default();
        heading.requests += 1;
        heading.hits += u64::from(is_hit(flow.outcome));
        heading.bytes += flow.bytes_sent;
        rows.push(Row::Ended(number));
    }
    for request in under_way {
        let (heading, rows) = groups.entry(name(&request.flow, state.group)).or_default();
        heading.under_way += 1;
        heading.bytes += request.flow.bytes_sent;
        rows.push(Row::UnderWay(request.flow.id));
    }
    let mut all = Vec::new();
    for (name, (heading, rows)) in groups {
        let folded = state.folded.contains(&name);
        all.push(Row::Heading(Box::new(Heading { name, ..heading })));
        if !folded {
            all.extend(rows);
        }
    }
    all
}

fn name(flow: &Flow, group: Group) -> String {
    let build = &flow.identity.build;
    match (group, &flow.identity.step) {
        (Group::None, _) => String::new(),
        (Group::Host, _) => host_of(&flow.url).to_owned(),
        (Group::Build, _) | (Group::Step, None) => build.to_string(),
        (Group::Step, Some(step)) => format!("{build} / {step}"),
    }
}
