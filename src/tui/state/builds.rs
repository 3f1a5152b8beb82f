//! Where one is on the Builds screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::list::Place;
use super::run::{Build, Condition};
use crate::history::estimate::{Outlook, Past, Standing};

/// A pane of the Builds screen and of the Log screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// The builds.
    #[default]
    List,
    /// The steps of one.
    Steps,
    /// Its log.
    Log,
    /// What is downloaded.
    Proxy,
    /// What is to be looked at.
    Messages,
}

impl Pane {
    /// In the order in which they get the keys.
    pub const ALL: [Self; 5] = [Self::List, Self::Steps, Self::Log, Self::Proxy, Self::Messages];
}

/// What builds are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As they start.
    #[default]
    Started,
    /// What needs the person first.
    State,
    /// Their names.
    Name,
    /// How long they take, the longest first.
    Time,
}

impl Sort {
    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Started => Self::State,
            Self::State => Self::Name,
            Self::Name => Self::Time,
            Self::Time => Self::Started,
        }
    }

    /// Its words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "as started",
            Self::State => "by state",
            Self::Name => "by name",
            Self::Time => "by time",
        }
    }
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// The pane that has the keys.
    pub pane: Pane,
    /// The builds shown, in the order shown.
    pub rows: Vec<Arc<str>>,
    /// Where one is among them.
    pub place: Place,
    /// What they are sorted by.
    pub sort: Sort,
    /// Where one is among the messages, the newest first, and how many there were then.
    pub messages: (Place, usize),
    /// What is shown; everything if it is empty.
    pub filter: String,
    /// Whether the filter is heeded.
    pub filter_on: bool,
    /// What was last searched for.
    pub needle: String,
    /// Whether queued builds are held back.
    pub paused: bool,
    /// The run to be compared with the one before it, once runs have been read.
    pub compare: Option<String>,
    /// How long the steps of builds took in earlier runs.
    pub past: BTreeMap<Arc<str>, Past>,
}

impl State {
    /// The name of the selected build.
    pub fn selected(&self) -> Option<&Arc<str>> {
        self.rows.get(self.place.selected)
    }

    /// Takes in how builds are now: those shown, in their order. The selected one stays so.
    pub fn arrange(&mut self, builds: &[Build], now: jiff::Timestamp) {
        let selected = self.selected().cloned();
        let wanted = |build: &&Build| !self.filter_on || takes(&self.filter, build);
        let mut rows: Vec<&Build> = builds.iter().filter(wanted).collect();
        match self.sort {
            Sort::Started => {}
            Sort::State => rows.sort_by_key(|build| urgency(build.condition)),
            Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::Time => rows.sort_by(|a, b| {
                let taken = |build: &Build| build.elapsed(now).unwrap_or(0.0);
                taken(b).total_cmp(&taken(a))
            }),
        }
        self.rows = rows.into_iter().map(|build| build.name.clone()).collect();
        let place = selected.and_then(|name| self.rows.iter().position(|row| *row == name));
        self.place.selected = place.unwrap_or(self.place.selected).min(self.rows.len().saturating_sub(1));
    }

    /// How far a build is by how long its steps took before; none where it never succeeded, or does not run.
    pub fn outlook(&self, build: &Build, now: jiff::Timestamp) -> Option<Outlook> {
        build.condition.is_open().then(|| self.past.get(&build.name)?.outlook(&standing(build, now))).flatten()
    }
}

/// The steps of a build as they stand.
pub fn standing(build: &Build, now: jiff::Timestamp) -> Vec<Standing<'_>> {
    let step = |step: &'_ super::run::Step| (step.elapsed(now), step.seconds.is_some());
    build
        .steps
        .iter()
        .map(|known| {
            let (seconds, ended) = step(known);
            Standing { name: &known.name, seconds, ended }
        })
        .collect()
}

/// Whether a filter takes a build: each word of it is in its name, its state or the name of its step; with `!` before
/// it, is not.
fn takes(filter: &str, build: &Build) -> bool {
    let step = build.step().map_or("", |step| &step.name);
    let text = format!("{} {} {step}", build.name, build.condition.as_str()).to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| match word.strip_prefix('!') {
        Some(word) => !text.contains(word),
        None => text.contains(word),
    })
}

const fn urgency(condition: Condition) -> u8 {
    match condition {
        Condition::Asking => 0,
        Condition::Failed => 1,
        Condition::Running => 2,
        Condition::Queued => 3,
        Condition::Cancelled | Condition::Skipped => 4,
        Condition::Done => 5,
    }
}
