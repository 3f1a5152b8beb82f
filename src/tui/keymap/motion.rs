//! Moving in lists and texts.

use super::{Binding, Command};

/// A movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Sideways to the left; folds a branch.
    Left,
    /// Sideways to the right; unfolds a branch.
    Right,
    /// To the beginning.
    First,
    /// To the end.
    Last,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
}

impl Motion {
    /// Where the row `from` of `count` rows moves to, in a pane that shows `page` of them.
    pub fn apply(self, from: usize, count: usize, page: usize) -> usize {
        let last = count.saturating_sub(1);
        let half = (page / 2).max(1);
        let page = page.saturating_sub(1).max(1);
        match self {
            Self::Up => from.saturating_sub(1),
            Self::Down => from.saturating_add(1),
            Self::HalfUp => from.saturating_sub(half),
            Self::HalfDown => from.saturating_add(half),
            Self::PageUp => from.saturating_sub(page),
            Self::PageDown => from.saturating_add(page),
            Self::First => 0,
            Self::Last => last,
            Self::Left | Self::Right => from,
        }
        .min(last)
    }
}

const fn row(motion: Motion, name: &'static str, keys: &'static [&'static str], help: &'static str) -> Binding {
    Binding { command: Command::Move(motion), name, keys, help, hint: None }
}

/// The table.
pub const BINDINGS: &[Binding] = &[
    row(Motion::Up, "move.up", &["k", "Up"], "up"),
    row(Motion::Down, "move.down", &["j", "Down"], "down"),
    row(Motion::Left, "move.left", &["h", "Left"], "sideways to the left; fold"),
    row(Motion::Right, "move.right", &["l", "Right"], "sideways to the right; unfold"),
    row(Motion::First, "move.first", &["g g", "Home"], "to the beginning"),
    row(Motion::Last, "move.last", &["G", "End"], "to the end; follow"),
    row(Motion::HalfUp, "move.half-up", &["Ctrl-u"], "half a page up"),
    row(Motion::HalfDown, "move.half-down", &["Ctrl-d"], "half a page down"),
    row(Motion::PageUp, "move.page-up", &["PgUp", "Ctrl-b"], "a page up"),
    row(Motion::PageDown, "move.page-down", &["PgDn", "Ctrl-f"], "a page down"),
];
