//! Pieces that screens are drawn with.

pub(super) mod gauge;
pub(super) mod panel;
pub(super) mod table;
pub(super) mod text;
pub(super) mod url;
pub(super) mod wrap;

/// A time in seconds as a clock has it: `0:22`, `12:44`, `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, and never below none")]
    let seconds = seconds.max(0.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}
