//! Where one is on the Cache screen, and what is stored.

pub mod rows;
#[cfg(test)]
pub(in crate::tui) mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use larder_proxy::inspect::{Explanation, Folder, Stats, Target, Variant};

use super::list::Place;
use rows::Row;

/// Which pane has the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pane {
    /// Hosts, folders and entries.
    #[default]
    Tree,
    /// What is selected.
    Detail,
}

/// What folders and entries are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Name.
    #[default]
    Name,
    /// Size, the largest first.
    Size,
    /// Uses, the most first.
    Uses,
    /// Last use, the latest first.
    Used,
}

impl Sort {
    /// The next in turn.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Name => Self::Size,
            Self::Size => Self::Uses,
            Self::Uses => Self::Used,
            Self::Used => Self::Name,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Size => "size",
            Self::Uses => "hits",
            Self::Used => "last use",
        }
    }
}

/// The state of the screen.
#[derive(Debug, Default)]
pub struct State {
    /// The pane that has the keys.
    pub pane: Pane,
    /// What is stored, by host and path; none before it has come.
    pub root: Option<Folder>,
    /// Sums over all, whatever the filter.
    pub stats: Stats,
    /// When it came.
    pub loaded: Option<jiff::Timestamp>,
    /// Whether it has been asked for, and not come yet.
    pub loading: bool,
    /// Why it could not be read.
    pub failed: Option<String>,
    /// Folders that are unfolded, by prefix.
    pub open: BTreeSet<String>,
    /// Entries of unfolded folders, by prefix.
    pub entries: BTreeMap<String, Vec<Arc<Variant>>>,
    /// What is marked, by [`Row::key`].
    pub marks: BTreeMap<String, Target>,
    /// What everything is sorted by.
    pub sort: Sort,
    /// What URLs have to contain to be shown.
    pub filter: String,
    /// Whether the filter is heeded.
    pub filter_on: bool,
    /// What was last searched for, in lower case.
    pub needle: String,
    /// The rows of the tree.
    pub rows: Vec<Row>,
    /// Where one is among them.
    pub place: Place,
    /// Rows of the detail pane that are scrolled away.
    pub scrolled: usize,
    /// Why the selected URL is answered as it is.
    pub explained: Option<Box<Explanation>>,
}

impl State {
    /// What URLs have to contain, where that is heeded.
    pub fn text(&self) -> Option<String> {
        (self.filter_on && !self.filter.is_empty()).then(|| self.filter.clone())
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Row> {
        self.rows.get(self.place.selected)
    }
}
