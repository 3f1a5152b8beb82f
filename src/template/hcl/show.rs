//! Values as Packer's console shows them.

use std::fmt::Write as _;

use super::number::Number;
use super::value::{Kind, Value};
use crate::template::escape;

/// What is shown in place of a sensitive value.
const SENSITIVE: &str = "<sensitive>";

/// Most characters of a value shown on one line.
const BRIEF: usize = 60;

/// The value as the console shows it: a string as it is, collections on several lines, no sensitive value.
pub fn show(value: &Value) -> String {
    match value.kind() {
        Kind::String(text) if !value.is_sensitive() => text.as_ref().to_owned(),
        _ => {
            let mut text = String::new();
            write(value, 0, &mut text);
            text
        }
    }
}

/// The value on one line of moderate length, strings in quotes, no sensitive value.
pub fn brief(value: &Value) -> String {
    let mut text = String::new();
    brief_to(value, &mut text);
    match text.char_indices().nth(BRIEF) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn brief_to(value: &Value, out: &mut String) {
    // What is cut off need not be made.
    if out.len() > 8 * BRIEF {
        return;
    }
    let comma = |first: &mut bool, out: &mut String| {
        if !std::mem::take(first) {
            out.push_str(", ");
        }
    };
    let mut first = true;
    match value.kind() {
        _ if value.is_sensitive() => out.push_str(SENSITIVE),
        Kind::String(text) => {
            let end = text.char_indices().nth(BRIEF).map_or(text.len(), |(end, _)| end);
            quote(&text[..end], out);
        }
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            out.push('[');
            for element in elements.iter().take(BRIEF) {
                comma(&mut first, out);
                brief_to(element, out);
            }
            out.push(']');
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            out.push('{');
            for (name, value) in entries.iter().take(BRIEF) {
                comma(&mut first, out);
                let _ = write!(out, "{name} = ");
                brief_to(value, out);
            }
            out.push('}');
        }
        _ => write_scalar(value, out),
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    match value.kind() {
        Kind::Null(_) => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Number(shown) => out.push_str(&number(shown)),
        _ => out.push_str("<unknown>"),
    }
}

fn write(value: &Value, indent: usize, out: &mut String) {
    if value.is_sensitive() {
        out.push_str(SENSITIVE);
        return;
    }
    match value.kind() {
        Kind::Unknown(_) | Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) => write_scalar(value, out),
        Kind::String(text) => quote(text, out),
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            out.push('[');
            for element in elements.iter() {
                line(indent + 2, out);
                write(element, indent + 2, out);
                out.push(',');
            }
            close(elements.is_empty(), indent, ']', out);
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            out.push('{');
            let mut empty = true;
            // What is null is as good as not there.
            for (name, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                empty = false;
                line(indent + 2, out);
                quote(name, out);
                out.push_str(" = ");
                write(value, indent + 2, out);
            }
            close(empty, indent, '}', out);
        }
    }
}

fn line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

fn close(empty: bool, indent: usize, bracket: char, out: &mut String) {
    if !empty {
        line(indent, out);
    }
    out.push(bracket);
}

/// Whole numbers of 64 bits in full, others as 64-bit floats, with an exponent if they are far from 0.
fn number(number: &Number) -> String {
    if let Some(whole) = number.to_i64() {
        return whole.to_string();
    }
    let float = number.to_f64();
    if float.is_infinite() {
        return if float < 0.0 { "-Inf".to_owned() } else { "+Inf".to_owned() };
    }
    let scientific = format!("{float:e}");
    let (digits, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    if (-4..6).contains(&power) {
        return float.to_string();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}

/// In quotes, with what cannot be printed escaped as in Go.
pub fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        if let Some(escape) = escape::as_in_c(character) {
            out.push_str(escape);
            continue;
        }
        match character {
            '\0'..'\u{20}' | '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            '\u{80}'..'\u{a0}' | '\u{a0}' | '\u{ad}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::hcl::value::Type;

    #[test]
    fn sensitive_values_are_not_shown() {
        let secret = || Value::string("hunter2").mark(true);
        assert_eq!(show(&secret()), "<sensitive>");
        assert_eq!(show(&Value::tuple(vec![1.into(), secret()])), "[\n  1,\n  <sensitive>,\n]");
        assert_eq!(show(&Value::tuple(vec![1.into()]).mark(true)), "<sensitive>");
        assert_eq!(show(&Value::unknown(Type::String)), "<unknown>");
        assert_eq!(brief(&Value::tuple(vec![1.into(), secret()])), "[1, <sensitive>]");
        assert_eq!(brief(&secret()), "<sensitive>");
    }

    #[test]
    fn on_one_line_values_are_cut() {
        assert_eq!(brief(&Value::string("a\nb")), "\"a\\nb\"");
        let long = brief(&Value::string("ä".repeat(1000)));
        assert_eq!((long.chars().count(), long.ends_with('…')), (BRIEF + 1, true));
        let many = brief(&Value::tuple(vec![Value::string("x".repeat(50)); 10_000]));
        assert!(many.starts_with("[\"xx") && many.chars().count() == BRIEF + 1, "{many}");
        let entries = [("a".to_owned(), Value::null()), ("b".to_owned(), Value::bool(true))];
        assert_eq!(brief(&Value::object(entries.into())), "{a = null, b = true}");
    }
}
