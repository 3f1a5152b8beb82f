//! A log as it is laid out in its pane: which lines are on which rows of the terminal, cut or wrapped. The same for
//! drawing, for moving, and for selecting with the mouse.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::log::Times;
use super::{Screen, State};
use crate::history::log_store::Source;
use crate::tui::effect::log::Row;
use crate::tui::layout::{self, Room};

/// A piece of a row of the terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its text.
    pub text: String,
    /// The guest's style.
    pub style: Style,
    /// Whether it is what is searched for.
    pub hit: bool,
}

/// A row of the terminal with a line, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Visual {
    /// The row of the log.
    pub row: usize,
    /// The line of the file, from 0.
    pub number: usize,
    /// Where the line comes from.
    pub source: Source,
    /// Number and time; empty below the first row of a line.
    pub head: String,
    /// The text.
    pub spans: Vec<Span>,
    /// Whether the line goes on to the right.
    pub cut: bool,
}

impl Visual {
    /// The text between two columns, counted from where the text begins.
    pub fn text(&self, from: usize, to: usize) -> String {
        let mut column = 0;
        let mut text = String::new();
        for grapheme in self.spans.iter().flat_map(|span| span.text.graphemes(true)) {
            if column >= from && column < to {
                text.push_str(grapheme);
            }
            column += grapheme.width();
        }
        text
    }
}

/// Which times are shown, and whether numbers of lines are.
pub fn heads(state: &State) -> (Times, bool) {
    let options = state.log.options;
    let on_its_own = state.screen == Screen::Log;
    let (times, numbers) = match layout::room(state.size) {
        Room::Tiny | Room::Compact => (Times::Off, false),
        Room::Normal => (if on_its_own { Times::Off } else { Times::Absolute }, on_its_own),
        Room::Wide | Room::Dashboard => (Times::Absolute, on_its_own),
    };
    (options.times.unwrap_or(times), options.numbers.unwrap_or(numbers))
}

/// Columns before the text: the mark, number and time.
pub fn head_width(state: &State) -> usize {
    let (times, numbers) = heads(state);
    let number = if numbers { digits(state.log.seen.lines) + 1 } else { 0 };
    let time = match times {
        Times::Off => 0,
        Times::Absolute => 9,
        Times::Relative => 8,
    };
    1 + number + time
}

fn digits(lines: usize) -> usize {
    lines.to_string().len().max(5)
}

/// How many rows of the terminal each row read takes.
pub fn heights(state: &State) -> Vec<usize> {
    if !state.log.options.wrap {
        return Vec::new();
    }
    let area = layout::builds::log_rows(state);
    let (width, most) = (text_width(state, area), usize::from(area.height).max(1));
    let height = |row: &Row| wrapped(&spans(row), state.log.view.left, width, most).len();
    state.log.seen.rows.iter().map(height).collect()
}

fn text_width(state: &State, area: Rect) -> usize {
    usize::from(area.width).saturating_sub(head_width(state)).max(1)
}

/// What is on the rows of the pane, from the top.
pub fn visuals(state: &State, area: Rect) -> Vec<Visual> {
    let (seen, view) = (&state.log.seen, &state.log.view);
    let (width, height) = (text_width(state, area), usize::from(area.height));
    let mut visuals = Vec::new();
    let skip = view.top.saturating_sub(seen.first);
    for (place, row) in seen.rows.iter().enumerate().skip(skip) {
        if visuals.len() >= height {
            break;
        }
        let all = spans(row);
        let parts = if state.log.options.wrap {
            wrapped(&all, view.left, width, height - visuals.len()).into_iter().map(|part| (part, false)).collect()
        } else {
            vec![slice(&all, view.left, width)]
        };
        let head = head(state, row);
        for (part, (spans, cut)) in parts.into_iter().enumerate() {
            visuals.push(Visual {
                row: seen.first + place,
                number: row.number,
                source: row.source,
                head: if part == 0 { head.clone() } else { " ".repeat(head.width()) },
                spans,
                cut,
            });
        }
    }
    visuals
}

fn head(state: &State, row: &Row) -> String {
    let (times, numbers) = heads(state);
    let width = digits(state.log.seen.lines);
    let number = if numbers { format!("{:>width$} ", row.number + 1) } else { String::new() };
    let time = match (times, row.time) {
        (Times::Off, _) => String::new(),
        (Times::Absolute, Some(time)) => time.to_zoned(state.look.zone.clone()).strftime("%H:%M:%S ").to_string(),
        (Times::Relative, Some(time)) => {
            let begun = state.log.seen.begun.unwrap_or(time);
            let seconds = (time - begun).total(jiff::Unit::Second).unwrap_or(0.0);
            format!("{:>7} ", crate::tui::widget::clock(seconds))
        }
        (Times::Absolute, None) => " ".repeat(9),
        (Times::Relative, None) => " ".repeat(8),
    };
    number + &time
}

/// What a line begins with, by where it comes from: as in the file. Output has nothing before it.
pub const fn mark(source: Source) -> &'static str {
    match source {
        Source::Larder => "==> ",
        Source::StepBegan => ">>> ",
        Source::StepEnded => "<<< ",
        Source::Warning => "!!! ",
        Source::Net => "net ",
        Source::Out | Source::Err => "",
    }
}

/// The text of a line in pieces of one style, those apart that are searched for.
fn spans(row: &Row) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut push = |text: &str, style: Style, hit: bool| {
        if !text.is_empty() {
            spans.push(Span { text: text.to_owned(), style, hit });
        }
    };
    push(mark(row.source), Style::new(), false);
    let mut begin = 0;
    for piece in &row.pieces {
        let end = begin + piece.text.len();
        let mut at = begin;
        for hit in row.hits.iter().filter(|hit| hit.start < end && hit.end > begin) {
            let (from, to) = (hit.start.max(at), hit.end.min(end));
            push(&piece.text[at - begin..from - begin], piece.style, false);
            push(&piece.text[from - begin..to - begin], piece.style, true);
            at = to;
        }
        push(&piece.text[at - begin..], piece.style, false);
        begin = end;
    }
    if row.left_out > 0 {
        push(&format!(" [{} bytes more]", row.left_out), Style::new(), false);
    }
    spans
}

/// `width` columns from column `from` on, and whether there are more.
fn slice(spans: &[Span], from: usize, width: usize) -> (Vec<Span>, bool) {
    let mut column = 0;
    let mut sliced: Vec<Span> = Vec::new();
    for span in spans {
        let whole = span.text.width();
        // The usual case, and that of long lines far to the left: nothing to look at in detail.
        if column + whole <= from {
            column += whole;
            continue;
        }
        let mut text = String::new();
        for grapheme in span.text.graphemes(true) {
            let after = column + grapheme.width();
            if after > from + width {
                push(&mut sliced, text, span);
                return (sliced, true);
            }
            if column >= from {
                text.push_str(grapheme);
            } else if after > from {
                // Half of a wide character.
                text.push(' ');
            }
            column = after;
        }
        push(&mut sliced, text, span);
    }
    (sliced, false)
}

fn push(spans: &mut Vec<Span>, text: String, like: &Span) {
    if !text.is_empty() {
        spans.push(Span { text, ..like.clone() });
    }
}

/// The text from column `from` on in rows of `width` columns, at most `most` and at least one.
fn wrapped(spans: &[Span], from: usize, width: usize, most: usize) -> Vec<Vec<Span>> {
    let (rest, _) = slice(spans, from, width * most.max(1));
    let mut rows: Vec<Vec<Span>> = vec![Vec::new()];
    let mut column = 0;
    for span in &rest {
        let mut text = String::new();
        for grapheme in span.text.graphemes(true) {
            if column + grapheme.width() > width {
                if let Some(row) = rows.last_mut() {
                    push(row, std::mem::take(&mut text), span);
                }
                if rows.len() >= most {
                    return rows;
                }
                rows.push(Vec::new());
                column = 0;
            }
            text.push_str(grapheme);
            column += grapheme.width();
        }
        if let Some(row) = rows.last_mut() {
            push(row, text, span);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ansi;

    fn row(text: &str, hits: Option<std::ops::Range<usize>>) -> Row {
        Row {
            number: 0,
            time: None,
            source: Source::Out,
            pieces: ansi::pieces(text),
            hits: hits.into_iter().collect(),
            left_out: 0,
        }
    }

    fn texts(spans: &[Span]) -> Vec<(&str, bool)> {
        spans.iter().map(|span| (span.text.as_str(), span.hit)).collect()
    }

    #[test]
    fn what_is_searched_for_is_apart_also_across_styles() {
        let all = spans(&row("some \x1b[31mind\x1b[0mex files", Some(5..10)));
        assert_eq!(texts(&all), [("some ", false), ("ind", true), ("ex", true), (" files", false)]);
    }

    #[test]
    fn a_long_line_is_seen_sideways() {
        let all = spans(&row("ab日本cd", None));
        assert_eq!(slice(&all, 0, 4), (vec![Span { text: "ab日".into(), style: Style::new(), hit: false }], true));
        assert_eq!(texts(&slice(&all, 3, 4).0), [(" 本c", false)], "half of a wide character is a space");
        assert_eq!(slice(&all, 9, 4), (Vec::new(), false));
    }

    #[test]
    fn a_long_line_is_wrapped_and_a_very_long_one_ends_somewhere() {
        let all = spans(&row("abcdefgh", None));
        let rows = wrapped(&all, 0, 3, 9);
        assert_eq!(rows.iter().map(|row| texts(row)[0].0).collect::<Vec<_>>(), ["abc", "def", "gh"]);
        assert_eq!(wrapped(&all, 0, 3, 2).len(), 2);
        assert_eq!(wrapped(&spans(&row("", None)), 0, 3, 2).len(), 1);
        assert_eq!(wrapped(&spans(&row("日本", None)), 0, 1, 9).len().min(9), 3, "wider than the pane");
    }
}
