//! Keys of the History screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Mark the selected run, or take the mark away.
    Mark,
    /// Show the two marked runs side by side.
    Diff,
    /// Open the log of the selected build in the pager.
    Log,
    /// Put the steps of a run in another order.
    Sort,
    /// Read the history anew.
    Reload,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::History(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Mark, "history.mark", &["m", "Space"], "mark the run; two can be compared", Some("mark")),
    row(
        Action::Diff,
        "history.diff",
        &["D"],
        "compare the marked runs, or the run with the one before it",
        Some("compare"),
    ),
    row(Action::Log, "history.log", &["o"], "open the build's log in $PAGER", Some("log")),
    row(Action::Sort, "history.sort", &["s"], "steps: as begun, longest first, most from upstream first", Some("sort")),
    row(Action::Reload, "history.reload", &["r"], "read the history anew", None),
];
