//! Times by Go layouts (`2006-01-02`) and by `strftime` formats, in UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Pieces of Go layouts and the `strftime` directives that stand for them; longer ones first.
const PIECES: &[(&str, &str)] = &[
    ("2006", "%Y"),
    ("January", "%B"),
    ("Monday", "%A"),
    ("-07:00:00", "+00:00:00"),
    ("-070000", "+000000"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("-07", "+00"),
    ("Z07:00:00", "Z"),
    ("Z070000", "Z"),
    ("Z07:00", "Z"),
    ("Z0700", "Z"),
    ("Z07", "Z"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("__2", "%_3j"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("_2", "%e"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// A time as Go's `Time.Format` shows it.
pub fn format(layout: &str, time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    let mut text = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(digits) = fraction(rest) {
            let nanos = std::format!("{:09}", time.subsec_nanosecond());
            let shown = &nanos[..digits.min(9)];
            let shown = if rest[1..].starts_with('9') { shown.trim_end_matches('0') } else { shown };
            if !shown.is_empty() {
                text.push(first);
                text.push_str(shown);
            }
            rest = &rest[1 + digits..];
        } else if let Some((piece, directive)) = piece(rest) {
            text.push_str(&time.strftime(directive).to_string());
            rest = &rest[piece.len()..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text
}

/// The piece a layout begins with.
fn piece(rest: &str) -> Option<(&'static str, &'static str)> {
    let is_word = |piece: &str| matches!(piece, "Jan" | "Mon");
    let found = PIECES.iter().find(|(piece, _)| {
        // `Janet` is no month, and `_2006` a year.
        let goes_on = |next: char| next.is_ascii_lowercase();
        rest.starts_with(piece)
            && !(is_word(piece) && rest[piece.len()..].starts_with(goes_on))
            && !(*piece == "_2" && rest.starts_with("_2006"))
    });
    found.copied()
}

/// Digits of a fraction of a second at the start of a layout, as in `.000`.
fn fraction(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix(['.', ','])?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    let ends = digits[count..].chars().next().is_none_or(|c| !c.is_ascii_digit());
    (ends && count <= 9).then_some(count)
}

/// A time by a `strftime` format. Directives that Packer does not know stay as they are.
pub fn strftime(format: &str, time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::UTC);
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(letter) = rest[1..].chars().next() else { break };
        let directive = &rest[..'%'.len_utf8() + letter.len_utf8()];
        rest = &rest[directive.len()..];
        match letter {
            'a' | 'A' | 'b' | 'B' | 'd' | 'H' | 'I' | 'm' | 'M' | 'p' | 'S' | 'y' | 'Y' | '%' => {
                text.push_str(&time.strftime(directive).to_string());
            }
            'L' => text.push_str(&std::format!(".{:03}", time.subsec_nanosecond() / 1_000_000)),
            'z' => text.push_str("+0000"),
            'Z' => text.push_str("UTC"),
            _ => text.push_str(directive),
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2026-02-03T15:04:05.060000000Z".parse().expect("a time")
    }

    #[test]
    fn layouts_are_read_as_go_reads_them() {
        for (layout, expected) in [
            ("2006-01-02T15:04:05Z07:00", "2026-02-03T15:04:05Z"),
            ("Jan January Mon Monday MST", "Feb February Tue Tuesday UTC"),
            ("1 01 2 02 _2 002 __2 06", "2 02 3 03  3 034  34 26"),
            ("3 03 15 4 04 5 05 PM pm", "3 03 15 4 04 5 05 PM pm"),
            ("-07 -0700 -07:00 -070000 -07:00:00", "+00 +0000 +00:00 +000000 +00:00:00"),
            ("Z07 Z0700 Z07:00 Z070000 Z07:00:00", "Z Z Z Z Z"),
            ("05.000 05,000 .999 .00 .00x .001", "05.060 05,060 .06 .06 .06x .002"),
            ("Janet Monx _2006 _20 2006x 16", "Janet Monx _2026  30 2026x 26"),
            ("ä", "ä"),
        ] {
            assert_eq!(format(layout, time()), expected, "{layout}");
        }
        assert_eq!(format("05.999", "2026-02-03T15:04:05Z".parse().expect("a time")), "05");
    }

    #[test]
    fn directives_are_those_of_packer() {
        for (format, expected) in [
            ("%a %A %b %B %d %m %y %Y", "Tue Tuesday Feb February 03 02 26 2026"),
            ("%H %I %M %S%L %p %z %Z %%", "15 03 04 05.060 PM +0000 UTC %"),
            ("%j %e %f %s %-d %", "%j %e %f %s %-d %"),
            ("%ä", "%ä"),
        ] {
            assert_eq!(strftime(format, time()), expected, "{format}");
        }
    }
}
