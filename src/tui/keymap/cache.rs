//! Keys of the Cache screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read again what is stored.
    Reload,
    /// Sort by the next.
    Sort,
    /// Mark the row, or take the mark away.
    Mark,
    /// Read bodies and compare them with their digests.
    Verify,
    /// Remove what is selected.
    Delete,
    /// Remove what is marked.
    DeleteMarked,
    /// Pin, or take the pin out.
    Pin,
    /// Remove what has not been used for long.
    Collect,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Cache(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Sort, "cache.sort", &["s"], "sort by: name, size, hits, last use", Some("sort")),
    row(Action::Mark, "cache.mark", &["Space", "m"], "mark the row, or take the mark away", None),
    row(Action::Verify, "cache.verify", &["v"], "read the bodies and compare them with their digests", Some("verify")),
    row(Action::Delete, "cache.delete", &["d"], "remove the entry, or all in the folder; asks", Some("delete")),
    row(Action::DeleteMarked, "cache.delete-marked", &["D"], "remove all that is marked; asks", None),
    row(Action::Pin, "cache.pin", &["P"], "pin (no limit removes it), or take the pin out", Some("pin")),
    row(
        Action::Collect,
        "cache.collect",
        &["C"],
        "collect what was not used for long; shows what first",
        Some("collect"),
    ),
    row(Action::Reload, "cache.reload", &["r"], "read again what is stored", None),
];
