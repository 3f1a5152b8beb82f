//! Keys of the Cache screen.

use super::{Binding, Command};

/// What they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {}

#[expect(dead_code, reason = "the screen has no keys of its own yet")]
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
pub const BINDINGS: &[Binding] = &[];
