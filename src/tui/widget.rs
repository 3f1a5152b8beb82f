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

/// About how long something will take: `~5s`, `~13m`, `~2h`. What is estimated is always shown with `~`.
pub(super) fn about(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, and never below none")]
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..90 => format!("~{seconds}s"),
        90..5400 => format!("~{}m", (seconds + 30) / 60),
        _ => format!("~{}h", (seconds + 1800) / 3600),
    }
}

/// A number with commas between thousands: `1,204`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        for (seconds, text) in [(0.2, "~0s"), (89.0, "~89s"), (90.0, "~2m"), (780.0, "~13m"), (7300.0, "~2h")] {
            assert_eq!(about(seconds), text);
        }
        assert_eq!((clock(22.4), clock(764.0), clock(3723.0)), ("0:22".into(), "12:44".into(), "1:02:03".into()));
    }
}
