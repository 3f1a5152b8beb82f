//! Bars: how far something has come, and how much went on lately.

use crate::tui::symbols::Symbols;

/// A bar of `width` columns, `done` of `total` full.
pub(in crate::tui) fn bar(done: u64, total: u64, width: usize, symbols: Symbols) -> String {
    let steps = symbols.parts.len() - 1;
    let all = width * steps;
    let filled = if total == 0 { 0 } else { (u128::from(done.min(total)) * all as u128 / u128::from(total)) as usize };
    let (whole, part) = (filled / steps, filled % steps);
    let mut text = symbols.parts[steps].repeat(whole);
    if whole < width {
        text.push_str(symbols.parts[part]);
        text.push_str(&symbols.parts[0].repeat(width - whole - 1));
    }
    text
}

/// A column for each of the last values that fit in `width`, the newest at the right, as high as it is beside the
/// highest.
pub(in crate::tui) fn sparkline(values: &[u64], width: usize, symbols: Symbols) -> String {
    let values = &values[values.len().saturating_sub(width)..];
    let highest = values.iter().copied().max().unwrap_or(0).max(1);
    let top = symbols.levels.len() as u128 - 1;
    let level = |value: u64| {
        let level = (u128::from(value) * top).div_ceil(u128::from(highest));
        symbols.levels[usize::try_from(level).unwrap_or(0)]
    };
    let bars: String = values.iter().map(|value| level(*value)).collect();
    format!("{}{bars}", symbols.levels[0].repeat(width - values.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::symbols::{ASCII, UNICODE};

    #[test]
    fn bars_are_as_wide_as_asked() {
        assert_eq!(bar(1, 2, 4, ASCII), "##--");
        assert_eq!(bar(0, 0, 4, ASCII), "----");
        assert_eq!(bar(9, 3, 4, ASCII), "####");
        assert_eq!(bar(5, 16, 4, UNICODE), "█▎  ");
    }

    #[test]
    fn what_there_was_shows_even_if_it_was_little() {
        assert_eq!(sparkline(&[0, 1, 50, 100], 6, UNICODE), "   ▁▄█");
        assert_eq!(sparkline(&[1, 2, 3], 2, ASCII), "-^");
        assert_eq!(sparkline(&[], 3, ASCII), "   ");
    }
}
