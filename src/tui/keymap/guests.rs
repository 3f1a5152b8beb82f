//! Keys of the Guests screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Remove what the selected run left behind.
    Clean,
    /// Remove what all dead runs left behind.
    CleanAll,
    /// Look anew.
    Reload,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { command: Command::Guests(action), name, keys, help, hint }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(
        Action::Clean,
        "guests.clean",
        &["d"],
        "remove what the selected run left behind; asks first",
        Some("clean up"),
    ),
    row(
        Action::CleanAll,
        "guests.clean-all",
        &["D"],
        "remove what all dead runs left behind; asks first",
        Some("clean up all"),
    ),
    row(Action::Reload, "guests.reload", &["r"], "look anew", Some("reload")),
];
