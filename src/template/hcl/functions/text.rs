//! Functions on strings. Characters are what a reader takes for one: an emoji with its skin colour is one.

use unicode_segmentation::UnicodeSegmentation as _;

use super::{BOOL, Call, Failure, Function, MAX_RESULT, Outcome, STRING, STRINGS, TOO_LARGE, Ty, Value};
use super::{bounded, function, list, number, text, variadic};

pub(super) const FUNCTIONS: &[Function] = &[
    function("upper", &[text("str")], STRING, |c| Ok(map_case(c.text(0), upper).into())),
    function("lower", &[text("str")], STRING, |c| Ok(map_case(c.text(0), lower).into())),
    function("title", &[text("str")], STRING, |c| Ok(title(c.text(0)).into())),
    function("chomp", &[text("str")], STRING, |c| Ok(c.text(0).trim_end_matches(['\r', '\n']).into())),
    function("trimspace", &[text("str")], STRING, |c| Ok(c.text(0).trim().into())),
    function("trim", &[text("str"), text("cutset")], STRING, |c| {
        let cut = c.text(1);
        Ok(c.text(0).trim_matches(|character| cut.contains(character)).into())
    }),
    function("trimprefix", &[text("str"), text("prefix")], STRING, |c| {
        Ok(c.text(0).strip_prefix(c.text(1)).unwrap_or(c.text(0)).into())
    }),
    function("trimsuffix", &[text("str"), text("suffix")], STRING, |c| {
        Ok(c.text(0).strip_suffix(c.text(1)).unwrap_or(c.text(0)).into())
    }),
    function("startswith", &[text("str"), text("prefix")], BOOL, |c| Ok(c.text(0).starts_with(c.text(1)).into())),
    function("endswith", &[text("str"), text("suffix")], BOOL, |c| Ok(c.text(0).ends_with(c.text(1)).into())),
    function("strcontains", &[text("str"), text("substr")], BOOL, |c| Ok(c.text(0).contains(c.text(1)).into())),
    function("strrev", &[text("str")], STRING, |c| Ok(c.text(0).graphemes(true).rev().collect::<String>().into())),
    function("substr", &[text("str"), number("offset"), number("length")], STRING, substr),
    function("indent", &[number("spaces"), text("str")], STRING, indent),
    variadic("join", &[text("separator")], list("lists", &Ty::String), STRING, join),
    function("split", &[text("separator"), text("str")], STRINGS, |c| {
        let (separator, text) = (c.text(0), c.text(1));
        Ok(if separator.is_empty() {
            Value::strings(text.chars().map(String::from))
        } else {
            Value::strings(text.split(separator))
        })
    }),
    function("replace", &[text("str"), text("substr"), text("replace")], STRING, |c| {
        let (text, part, with) = (c.text(0), c.text(1), c.text(2));
        if text.matches(part).count().saturating_mul(with.len()) > MAX_RESULT {
            return Err(TOO_LARGE.into());
        }
        bounded(text.replace(part, with))
    }),
];

/// One character for one, as Go maps case: `ß` has no upper case.
fn map_case(text: &str, map: fn(char) -> char) -> String {
    text.chars().map(map).collect()
}

fn only<I: Iterator<Item = char> + Clone>(mapped: I, character: char) -> char {
    let mut rest = mapped;
    match (rest.next(), rest.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn upper(character: char) -> char {
    only(character.to_uppercase(), character)
}

fn lower(character: char) -> char {
    // The one letter that has two in lower case has one in Go's simple mapping.
    if character == '\u{130}' { 'i' } else { only(character.to_lowercase(), character) }
}

/// Upper case for each letter that follows none of a word. A quote, a dash or a point ends a word.
fn title(text: &str) -> String {
    let mut before = ' ';
    text.chars()
        .map(|character| {
            let starts = if before.is_ascii() {
                !(before.is_ascii_alphanumeric() || before == '_')
            } else {
                before.is_whitespace()
            };
            before = character;
            if starts { upper(character) } else { character }
        })
        .collect()
}

fn substr(c: &Call<'_>) -> Outcome {
    let characters: Vec<&str> = c.text(0).graphemes(true).collect();
    let length = i64::try_from(characters.len()).unwrap_or(i64::MAX);
    let (offset, wanted) = (c.int(1)?, c.int(2)?);
    let start = if offset < 0 { length.saturating_add(offset).max(0) } else { offset.min(length) };
    let end = if wanted < 0 { length } else { start.saturating_add(wanted).min(length) };
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    Ok(characters[start..end].concat().into())
}

/// Blanks before each line but the first.
fn indent(c: &Call<'_>) -> Outcome {
    let (spaces, text) = (c.size(0)?, c.text(1));
    if spaces.saturating_mul(text.matches('\n').count() + 1) > MAX_RESULT {
        return Err(TOO_LARGE.into());
    }
    bounded(text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

fn join(c: &Call<'_>) -> Outcome {
    if c.len() < 2 {
        return Err("at least one list is required".into());
    }
    let mut parts = Vec::new();
    for index in 1..c.len() {
        parts.extend(c.texts(index)?);
    }
    let separator = c.text(0);
    let length: usize = parts.iter().map(|part| part.len() + separator.len()).sum();
    if length > MAX_RESULT {
        return Err(TOO_LARGE.into());
    }
    Ok::<Value, Failure>(parts.join(separator).into())
}
