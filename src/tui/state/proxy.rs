//! Where one is on the Proxy screen, and what of the traffic is shown.

pub mod filter;
pub mod rates;
pub mod rows;
#[cfg(test)]
pub(in crate::tui) mod testing;

use std::collections::BTreeSet;

use larder_proxy::cache::Mode;
use larder_proxy::in_flight::InFlight;
use larder_proxy::inspect::Explanation;

use super::list::Place;
use super::run::RunModel;
use filter::Filter;
use rates::Rates;
use rows::Row;

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The requests.
    #[default]
    List,
    /// The selected one.
    Detail,
}

/// What requests are put together by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// Nothing: in the order they ended.
    #[default]
    None,
    /// Host and port.
    Host,
    /// Build.
    Build,
    /// Build and step.
    Step,
}

impl Group {
    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::None => Self::Host,
            Self::Host => Self::Build,
            Self::Build => Self::Step,
            Self::Step => Self::None,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Build => "build",
            Self::Step => "step",
        }
    }
}

/// The state of the screen.
#[derive(Debug)]
pub struct State {
    /// The pane that has the keys.
    pub pane: Pane,
    /// Whether the last request is always in view. Moving up ends it.
    pub follow: bool,
    /// Whether the list stays as it is, though traffic goes on.
    pub frozen: bool,
    /// What is shown.
    pub filter: Filter,
    /// Whether the filter is heeded.
    pub filter_on: bool,
    /// What was last searched for, in lower case; empty before.
    pub needle: String,
    /// What requests are put together by.
    pub group: Group,
    /// Groups of which only the heading is shown.
    pub folded: BTreeSet<String>,
    /// The rows of the list.
    pub rows: Vec<Row>,
    /// Where one is among them.
    pub place: Place,
    /// Rows of the detail pane that are scrolled away.
    pub scrolled: usize,
    /// Numbers of marked requests.
    pub marks: BTreeSet<u64>,
    /// Requests under way.
    pub in_flight: Vec<InFlight>,
    /// Whether they have been asked for, and not come yet.
    pub looking: bool,
    /// The proxy's mode; none where there is no proxy.
    pub mode: Option<Mode>,
    /// How much went on lately.
    pub rates: Rates,
    /// What the cache has of the selected URL.
    pub explained: Option<(String, Box<Explanation>)>,
    /// Requests that have ended in this run, as far as they came here.
    pub arrived: u64,
    /// How many had when the list last followed.
    pub seen: u64,
    /// Whether rows are not what they should be any more.
    pub stale: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            pane: Pane::List,
            follow: true,
            frozen: false,
            filter: Filter::default(),
            filter_on: true,
            needle: String::new(),
            group: Group::None,
            folded: BTreeSet::new(),
            rows: Vec::new(),
            place: Place::default(),
            scrolled: 0,
            marks: BTreeSet::new(),
            in_flight: Vec::new(),
            looking: false,
            mode: None,
            rates: Rates::default(),
            explained: None,
            arrived: 0,
            seen: 0,
            stale: false,
        }
    }
}

impl State {
    /// The number of the oldest request kept: they are counted as they end.
    pub fn first(&self, run: &RunModel) -> u64 {
        self.arrived.saturating_sub(run.flows.len() as u64)
    }

    /// Requests that have ended and are no longer kept here; all are in the logs.
    pub fn fallen(&self, run: &RunModel) -> u64 {
        run.live.totals.all.requests.max(self.arrived).saturating_sub(run.flows.len() as u64)
    }

    /// Whether a filter hides anything.
    pub fn filters(&self) -> bool {
        self.filter_on && !self.filter.is_empty()
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.rows.get(self.place.selected)
    }
}
