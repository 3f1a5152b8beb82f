//! Keys of the Builds screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Cancel the selected build; it cleans up.
    Cancel,
    /// Cancel the selected build and keep its guest.
    Abort,
    /// Build the selected one again.
    Again,
    /// Build all again that failed.
    AgainFailed,
    /// Hold back queued builds, or let them start.
    Pause,
    /// Let one more build run at a time.
    MoreSlots,
    /// Let one build less run at a time.
    FewerSlots,
    /// Sort by something else.
    Sort,
    /// Compare with an earlier run.
    Compare,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Builds(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Action::Cancel, "builds.cancel", &["x"], "cancel the build; it cleans up (asks)", Some("cancel")),
    row(Action::Abort, "builds.abort", &["X"], "cancel the build and keep its guest (asks)", None),
    row(Action::Again, "builds.again", &["r"], "run this build again", Some("again")),
    row(Action::AgainFailed, "builds.again-failed", &["R"], "run all failed builds again", None),
    row(Action::Pause, "builds.pause", &["p"], "start no further builds, or go on", Some("pause")),
    row(Action::MoreSlots, "builds.more-slots", &["+", "="], "run one more build at a time", None),
    row(Action::FewerSlots, "builds.fewer-slots", &["-"], "run one build less at a time", None),
    row(Action::Sort, "builds.sort", &["o"], "sort: as started, state, name, time", Some("sort")),
    row(Action::Compare, "builds.compare", &["D"], "compare with the run before: steps and times", None),
];
