//! Text broken into lines.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// `text` in lines of at most `width` columns, broken at spaces where there are some near the end. Always at least one.
pub(in crate::tui) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if used + wide > width && !line.is_empty() {
            // A word is only moved on whole if that leaves no large gap.
            let space = line.rfind(' ').filter(|at| *at * 2 > line.len());
            let rest = space.map_or_else(String::new, |at| line.split_off(at + 1));
            lines.push(line.trim_end().to_owned());
            used = rest.width();
            line = rest;
        }
        line.push_str(grapheme);
        used += wide;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_spaces_and_long_words_within() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("a bcdefghij", 4), ["a bc", "defg", "hij"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_wide_and_nothing_but_spaces_is_lost(text in "[a-z日 ]{0,60}", width in 2_usize..30) {
            let lines = wrapped(&text, width);
            proptest::prop_assert!(lines.iter().all(|line| line.width() <= width));
            let without = |text: &str| text.replace(' ', "");
            proptest::prop_assert_eq!(without(&lines.concat()), without(&text));
        }
    }
}
