//! The rows of the tree: folders, and what is in those that are unfolded.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use larder_proxy::inspect::{Folder, FolderSums, Target, Variant, folder_of};
use larder_proxy::store::Entry;

use super::{Sort, State};

/// A row.
#[derive(Clone, Debug)]
pub enum Row {
    /// A folder.
    Folder {
        /// What it is called.
        name: String,
        /// What the URLs in it begin with.
        prefix: String,
        /// Sums over what is in it.
        sums: FolderSums,
        /// Whether it is unfolded.
        open: bool,
        /// Folders it is in.
        depth: usize,
    },
    /// An entry.
    Entry {
        /// The entry, and what would come of a request for it.
        variant: Arc<Variant>,
        /// Folders it is in.
        depth: usize,
    },
    /// Entries that are not listed: still to come, or too many.
    More {
        /// The folder they are in.
        prefix: String,
        /// How many.
        count: u64,
        /// Whether they are still to come.
        coming: bool,
        /// Folders they are in.
        depth: usize,
    },
}

impl Row {
    /// What tells it from other rows.
    pub fn key(&self) -> String {
        match self {
            Self::Folder { prefix, .. } => prefix.clone(),
            Self::Entry { variant, .. } => format!("#{}", variant.entry.id),
            Self::More { prefix, .. } => format!("more {prefix}"),
        }
    }

    /// Whether it stands for the same as another: as their keys do, but without making them.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder { prefix: one, .. }, Self::Folder { prefix: other, .. })
            | (Self::More { prefix: one, .. }, Self::More { prefix: other, .. }) => one == other,
            (Self::Entry { variant: one, .. }, Self::Entry { variant: other, .. }) => one.entry.id == other.entry.id,
            _ => false,
        }
    }

    /// Folders it is in.
    pub fn depth(&self) -> usize {
        match self {
            Self::Folder { depth, .. } | Self::Entry { depth, .. } | Self::More { depth, .. } => *depth,
        }
    }

    /// What it stands for in the cache.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Folder { prefix, .. } => Some(Target::Below(prefix.clone())),
            Self::Entry { variant, .. } => Some(Target::Ids(vec![variant.entry.id])),
            Self::More { .. } => None,
        }
    }

    /// What is shown of its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Folder { name, .. } => name,
            Self::Entry { variant, .. } => leaf(&variant.entry),
            Self::More { .. } => "",
        }
    }
}

/// The name of an entry within its folder; `.` for what the folder's own URL answers.
pub fn leaf(entry: &Entry) -> &str {
    let url = &entry.draft.url;
    match &url[folder_of(url).len()..] {
        "" => ".",
        name => name,
    }
}

/// The rows as they should be.
pub fn build(state: &State) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(root) = &state.root {
        below(state, root, 0, &mut rows);
    }
    rows
}

fn below(state: &State, folder: &Folder, depth: usize, rows: &mut Vec<Row>) {
    let mut folders: Vec<&Folder> = folder.folders.iter().collect();
    match state.sort {
        Sort::Name => {}
        Sort::Size => folders.sort_by_key(|folder| Reverse(folder.sums.bytes)),
        Sort::Uses => folders.sort_by_key(|folder| Reverse(folder.sums.uses)),
        Sort::Used => folders.sort_by_key(|folder| Reverse(folder.sums.last_used)),
    }
    for inner in folders {
        let open = state.open.contains(&inner.prefix);
        let (name, prefix, sums) = (inner.name.clone(), inner.prefix.clone(), inner.sums);
        rows.push(Row::Folder { name, prefix, sums, open, depth });
        if open {
            below(state, inner, depth + 1, rows);
        }
    }
    entries(state, folder, depth, rows);
}

/// The entries that are right in a folder, as far as they are known.
fn entries(state: &State, folder: &Folder, depth: usize, rows: &mut Vec<Row>) {
    if folder.own == 0 || folder.prefix.is_empty() {
        return;
    }
    let known = state.entries.get(&folder.prefix);
    let mut entries: Vec<&Arc<Variant>> = known.into_iter().flatten().collect();
    match state.sort {
        Sort::Name => {}
        Sort::Size => entries.sort_by_key(|variant| Reverse(variant.entry.size)),
        Sort::Uses => entries.sort_by_key(|variant| Reverse(variant.entry.uses)),
        Sort::Used => entries.sort_by_key(|variant| Reverse(variant.entry.last_used)),
    }
    let count = folder.own.saturating_sub(entries.len() as u64);
    rows.extend(entries.into_iter().map(|variant| Row::Entry { variant: variant.clone(), depth }));
    if count > 0 {
        rows.push(Row::More { prefix: folder.prefix.clone(), count, coming: known.is_none(), depth });
    }
}

/// The entries of an unfolded folder have come: the rows in their place, which are those that were there, and the new ones. All
/// others stay as they are, however many there are. None where the folder is not among the rows.
pub fn arrived(state: &State, prefix: &str) -> Option<(Range<usize>, Vec<Row>)> {
    let is_it = |row: &Row| matches!(row, Row::Folder { prefix: one, open: true, .. } if one == prefix);
    let at = state.rows.iter().position(is_it)?;
    let depth = state.rows[at].depth() + 1;
    let end =
        state.rows[at + 1..].iter().position(|row| row.depth() < depth).map_or(state.rows.len(), |end| at + 1 + end);
    // Its folders come first.
    let is_own = |row: &Row| row.depth() == depth && !matches!(row, Row::Folder { .. });
    let count = state.rows[at + 1..end].iter().rev().take_while(|row| is_own(row)).count();
    let mut rows = Vec::new();
    entries(state, find(state.root.as_ref()?, prefix)?, depth, &mut rows);
    Some((end - count..end, rows))
}

fn find<'a>(folder: &'a Folder, prefix: &str) -> Option<&'a Folder> {
    if folder.prefix == prefix {
        return Some(folder);
    }
    let mut inner = folder.folders.iter().filter(|inner| prefix.starts_with(&*inner.prefix));
    inner.find_map(|inner| find(inner, prefix))
}
