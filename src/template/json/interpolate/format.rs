//! Go's `printf` verbs.

use super::execute::Go;

/// Widest field: a format must not ask for gigabytes of blanks.
const MAX_WIDTH: usize = 10_000;

pub(super) fn sprintf(format: &str, arguments: &[Go]) -> Result<String, String> {
    let mut text = String::new();
    let mut arguments = arguments.iter();
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = characters.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '#' | ' ' | '.')) {
            spec.push(c);
        }
        let verb = characters.next().ok_or("the format ends within a verb")?;
        if verb == '%' {
            text.push('%');
            continue;
        }
        let argument = arguments.next().ok_or("too few arguments for the format")?;
        text.push_str(&pad(&verb_text(verb, &spec, argument)?, &spec)?);
        if text.len() > super::MAX_OUTPUT {
            return Err("the result is too large".to_owned());
        }
    }
    Ok(text)
}

fn verb_text(verb: char, spec: &str, argument: &Go) -> Result<String, String> {
    let wrong = || format!("%{verb} cannot show this value");
    Ok(match (verb, argument) {
        ('v' | 's', Go::Text(text)) => match precision(spec)? {
            Some(most) => text.chars().take(most).collect(),
            None => text.clone(),
        },
        ('v' | 's', value) => value.text(),
        ('q', Go::Text(text)) => format!("{text:?}"),
        ('d', Go::Int(number)) if flags(spec).contains('+') => format!("{number:+}"),
        ('d', Go::Int(number)) => number.to_string(),
        ('x', Go::Int(number)) => format!("{number:x}"),
        ('X', Go::Int(number)) => format!("{number:X}"),
        ('o', Go::Int(number)) => format!("{number:o}"),
        ('b', Go::Int(number)) => format!("{number:b}"),
        ('c', Go::Int(number)) => u32::try_from(*number).ok().and_then(char::from_u32).ok_or_else(wrong)?.to_string(),
        ('x', Go::Text(text)) => hex::encode(text),
        ('t', Go::Bool(value)) => value.to_string(),
        ('f', Go::Float(number)) => format!("{number:.*}", precision(spec)?.unwrap_or(6)),
        _ => return Err(wrong()),
    })
}

fn precision(spec: &str) -> Result<Option<usize>, String> {
    let Some((_, precision)) = spec.split_once('.') else { return Ok(None) };
    let precision = if precision.is_empty() { 0 } else { precision.parse().map_err(|_| "bad precision")? };
    if precision > MAX_WIDTH { Err("the precision is too large".to_owned()) } else { Ok(Some(precision)) }
}

/// What comes before the width.
fn flags(spec: &str) -> &str {
    &spec[..spec.find(|c: char| !matches!(c, '-' | '+' | '#' | ' ' | '0')).unwrap_or(spec.len())]
}

fn pad(text: &str, spec: &str) -> Result<String, String> {
    let (whole, _) = spec.split_once('.').unwrap_or((spec, ""));
    let flags = flags(whole);
    let width = &whole[flags.len()..];
    if width.is_empty() {
        return Ok(text.to_owned());
    }
    let zeros = flags.contains('0');
    let width: usize = width.parse().map_err(|_| "bad width")?;
    if width > MAX_WIDTH {
        return Err("the width is too large".to_owned());
    }
    Ok(match (flags.contains('-'), zeros) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => {
            // Zeros go between a sign and the digits.
            let digits = text.find(|c: char| c != '-' && c != '+').filter(|at| *at < 2).unwrap_or(0);
            let (sign, digits) = text.split_at(digits);
            format!("{sign}{}{digits}", "0".repeat(width.saturating_sub(text.chars().count())))
        }
        (false, false) => format!("{text:>width$}"),
    })
}
