//! Where one is on the History screen.

pub mod rows;
#[cfg(test)]
pub(in crate::tui) mod testing;

use jiff::tz::TimeZone;

use super::list::Place;
use super::run::Condition;
use crate::event::Ending;
use crate::history::compare::{BuildPair, compare};
use crate::history::log_store::pattern::{Filter, Pattern};
use crate::history::run::Run;

/// The state of the screen.
#[derive(Debug)]
pub struct State {
    /// Runs, the newest first.
    pub runs: Vec<Kept>,
    /// Whether they were read, and what went wrong if not.
    pub read: Reading,
    /// The time zone times are shown in.
    pub zone: TimeZone,
    /// Which runs are shown, as typed; with what it means.
    pub filter: Option<(String, Filter)>,
    /// Whether the filter holds.
    pub filtered: bool,
    /// What was searched for.
    pub needle: Option<Pattern>,
    /// Places in `runs` of those shown.
    pub shown: Vec<usize>,
    /// Where one is among those shown.
    pub place: Place,
    /// Ids of the runs marked, at most two, in the order marked.
    pub marked: Vec<String>,
    /// What has the keys.
    pub view: View,
    /// Where one is in the opened run, or in two side by side.
    pub row: Place,
    /// The order of a run's steps.
    pub order: Order,
}

impl Default for State {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            read: Reading::default(),
            zone: TimeZone::UTC,
            filter: None,
            filtered: true,
            needle: None,
            shown: Vec::new(),
            place: Place::default(),
            marked: Vec::new(),
            view: View::default(),
            row: Place::default(),
            order: Order::default(),
        }
    }
}

/// How far reading the history is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// It has not been read yet.
    #[default]
    Begun,
    /// It was read.
    Done,
    /// It could not be read.
    Failed(String),
}

/// A run that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The run.
    pub run: Run,
    /// Whether it is under way.
    pub live: bool,
}

/// What has the keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum View {
    /// The list of runs.
    #[default]
    List,
    /// The selected run.
    Run,
    /// Two runs side by side.
    Diff(Box<Compared>),
}

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The one that began first.
    pub a: Run,
    /// The later.
    pub b: Run,
    /// Their builds and steps.
    pub builds: Vec<BuildPair>,
}

/// The order of a run's steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were begun.
    #[default]
    Begun,
    /// The longest first.
    Time,
    /// Those first that fetched most from upstream.
    Bytes,
}

impl Order {
    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Begun => Self::Time,
            Self::Time => Self::Bytes,
            Self::Bytes => Self::Begun,
        }
    }

    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "as begun",
            Self::Time => "longest first",
            Self::Bytes => "most from upstream first",
        }
    }
}

/// How something that was recorded stands: its condition, and the word for it.
pub fn standing(ending: Option<Ending>, live: bool) -> (Condition, &'static str) {
    match ending {
        Some(ending) => (ending.into(), Condition::from(ending).as_str()),
        None if live => (Condition::Running, "running"),
        // Larder was killed, or the machine went down.
        None => (Condition::Failed, "cut off"),
    }
}

impl Kept {
    /// How it stands.
    pub fn standing(&self) -> (Condition, &'static str) {
        standing(self.run.ending, self.live)
    }

    /// What searches and filters look at.
    pub fn text(&self) -> String {
        let builds: Vec<&str> = self.run.builds.iter().map(|build| build.name.as_str()).collect();
        format!("{} {} {} {}", self.run.id, self.run.template, builds.join(" "), self.standing().1)
    }
}

impl Compared {
    /// Two runs, whichever was named first.
    pub fn new(one: &Run, other: &Run) -> Self {
        let (a, b) = if one.started <= other.started { (one, other) } else { (other, one) };
        Self { builds: compare(a, b), a: a.clone(), b: b.clone() }
    }
}

impl State {
    /// The selected run.
    pub fn selected(&self) -> Option<&Kept> {
        self.shown.get(self.place.selected).and_then(|place| self.runs.get(*place))
    }

    /// Brings what is shown up to what there is, with the same run selected if it is still there.
    pub fn refresh(&mut self, selected: Option<&str>, page: usize) {
        let filter = self.filter.as_ref().filter(|_| self.filtered).map(|(_, filter)| filter);
        let takes = |kept: &Kept| filter.is_none_or(|filter| filter.matches(&kept.text()));
        self.shown = (0..self.runs.len()).filter(|place| takes(&self.runs[*place])).collect();
        let again = selected.and_then(|id| self.shown.iter().position(|place| self.runs[*place].run.id == id));
        if let Some(row) = again {
            self.place.selected = row;
        }
        self.place.fit(self.shown.len(), page);
        let known = |id: &String| self.runs.iter().any(|kept| kept.run.id == *id);
        self.marked.retain(known);
    }
}
