//! Where one is on the Log screen, and in each log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::builds::Pane;
use super::list::Place;
use super::steps::StepRow;
use crate::tui::effect::log::{Goto, Look, Seen};

/// A log that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it is the log of.
    pub title: Arc<str>,
    /// Where it is; none before its build begins.
    pub path: Option<PathBuf>,
}

/// Which times are before lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// None.
    Off,
    /// Of the day.
    Absolute,
    /// Since the build began.
    Relative,
}

impl Times {
    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Off => Self::Absolute,
            Self::Absolute => Self::Relative,
            Self::Relative => Self::Off,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Absolute => "time of day",
            Self::Relative => "since the build began",
        }
    }
}

/// How logs are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether long lines are wrapped.
    pub wrap: bool,
    /// Times; by the room there is until chosen.
    pub times: Option<Times>,
    /// Numbers of lines; by the room there is until chosen.
    pub numbers: Option<bool>,
}

/// Where one is in a log. Rows are those that the filter takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Whether the end is always seen.
    pub follow: bool,
    /// The first row seen.
    pub top: usize,
    /// The row one is at.
    pub cursor: usize,
    /// Columns that are scrolled away at the left.
    pub left: usize,
    /// A marked line of the file.
    pub mark: Option<usize>,
    /// What is searched for.
    pub find: Option<String>,
    /// The filter.
    pub filter: Option<String>,
    /// Whether the filter is heeded.
    pub filter_on: bool,
    /// Lines there were when the end was no longer followed.
    pub read: usize,
    /// Where one wants to be, but is not yet.
    pub goto: Option<Goto>,
    /// The first row seen when one set out for there. Until one arrives rows come and go, as a filter finds them.
    pub set_out: Option<usize>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            follow: true,
            top: 0,
            cursor: 0,
            left: 0,
            mark: None,
            find: None,
            filter: None,
            filter_on: true,
            read: 0,
            goto: None,
            set_out: None,
        }
    }
}

impl View {
    /// The filter, if it is heeded.
    pub fn filtered(&self) -> Option<&str> {
        self.filter.as_deref().filter(|_| self.filter_on)
    }
}

/// A place on the terminal: column and row.
pub type Spot = (u16, u16);

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// The log that is shown.
    pub shown: Option<Shown>,
    /// Whether it is that of an earlier run, and not of the selected build.
    pub earlier: bool,
    /// The steps of that, as they were recorded.
    pub earlier_steps: Vec<StepRow>,
    /// Where one is in it.
    pub view: View,
    /// Where one was in the others.
    pub views: BTreeMap<PathBuf, View>,
    /// How logs are shown.
    pub options: Options,
    /// What was last read.
    pub seen: Seen,
    /// What is being read.
    pub under_way: Option<Look>,
    /// Whether it is to be read again afterwards.
    pub again: bool,
    /// The pane of the Log screen that has the keys; of those, the log or the steps.
    pub pane: Option<Pane>,
    /// Where one is among the steps.
    pub steps: Place,
    /// Where a selection with the mouse began, and where it is.
    pub drag: Option<(Spot, Spot)>,
}

impl State {
    /// Lines that came since the end was no longer followed.
    pub fn fresh(&self) -> usize {
        if self.view.follow { 0 } else { self.seen.lines.saturating_sub(self.view.read) }
    }

    /// Forgets what was of a run, but for how logs are shown.
    pub fn begin_anew(&mut self) {
        *self = Self { options: self.options, ..Self::default() };
    }
}
