//! Times by Go layouts (`2006-01-02`) and by `strftime` formats, in UTC.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Pieces of Go layouts and the `strftime` directives that stand for them; longer ones first.
const PIECES: &[(&str, &str)] = &[
    ("2006", "%Y"),
    ("January", "%B"),
    ("Monday", "%A"),
    ("-07:00", "+00:00"),
    ("Z07:00", "Z"),
    ("-0700", "+0000"),
    ("Z0700", "Z"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
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
            text.push('.');
            let shown = &nanos[..digits.min(9)];
            text.push_str(if rest[1..].starts_with('9') { shown.trim_end_matches('0') } else { shown });
            rest = &rest[1 + digits..];
        } else if let Some((piece, directive)) = PIECES.iter().find(|(piece, _)| rest.starts_with(piece)) {
            text.push_str(&time.strftime(directive).to_string());
            rest = &rest[piece.len()..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    text
}

/// Digits of a fraction of a second at the start of a layout, as in `.000`.
fn fraction(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix('.')?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    let ends = digits[count..].chars().next().is_none_or(|c| !c.is_ascii_digit());
    (ends && count <= 9).then_some(count)
}

/// A time by a `strftime` format.
pub fn strftime(format: &str, time: Timestamp) -> Result<String, String> {
    let time = time.to_zoned(TimeZone::UTC);
    jiff::fmt::strtime::format(format, &time).map_err(|error| error.to_string())
}
