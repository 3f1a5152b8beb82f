//! The characters that the UI draws with: Unicode's, or ASCII alone.

use super::state::run::Condition;

/// A set of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols {
    /// Horizontal line.
    pub horizontal: &'static str,
    /// Vertical line.
    pub vertical: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// Meeting lines: left, right, top, bottom.
    pub tees: [&'static str; 4],
    /// Levels of bars of one column from empty to full.
    pub levels: &'static [&'static str],
    /// Levels of a progress bar's last cell, from empty to full.
    pub parts: &'static [&'static str],
    /// What stands for text cut off.
    pub ellipsis: &'static str,
    /// Folded and unfolded branches of a tree.
    pub branches: [&'static str; 2],
}

/// Light lines and eighth blocks.
pub const UNICODE: Symbols = Symbols {
    horizontal: "─",
    vertical: "│",
    corners: ["┌", "┐", "└", "┘"],
    tees: ["├", "┤", "┬", "┴"],
    levels: &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    parts: &[" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    ellipsis: "…",
    branches: ["▸", "▾"],
};

/// Nothing but ASCII.
pub const ASCII: Symbols = Symbols {
    horizontal: "-",
    vertical: "|",
    corners: ["+", "+", "+", "+"],
    tees: ["+", "+", "+", "+"],
    levels: &[" ", "_", ".", "-", "^"],
    parts: &["-", "#"],
    ellipsis: "..",
    branches: [">", "v"],
};

/// The symbol of a condition; the same in both sets.
pub const fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Queued => ".",
        Condition::Running => "~",
        Condition::Done => "+",
        Condition::Failed => "x",
        Condition::Asking => "?",
        Condition::Skipped => "-",
        Condition::Cancelled => "/",
    }
}
