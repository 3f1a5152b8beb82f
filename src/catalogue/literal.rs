//! Values as a variable file holds them.

use std::fmt::Write as _;

use crate::template::escape;
use crate::template::hcl::value::{Kind, Value};

/// The value as an HCL expression that gives it again. What is not known is null.
pub fn literal(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

/// The text a field begins with: a string without quotes, any other value as an expression.
pub fn shown(value: &Value) -> String {
    match value.kind() {
        Kind::Null(_) | Kind::Unknown(_) => String::new(),
        Kind::String(text) => text.as_ref().to_owned(),
        _ => literal(value),
    }
}

fn write_value(value: &Value, out: &mut String) {
    match value.kind() {
        Kind::Unknown(_) | Kind::Null(_) => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Number(number) => out.push_str(&number.to_string()),
        Kind::String(text) => write_string(text, out),
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(element, out);
            }
            out.push(']');
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            out.push('{');
            for (index, (name, value)) in entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { " " });
                if is_name(name) {
                    out.push_str(name);
                } else {
                    write_string(name, out);
                }
                out.push_str(" = ");
                write_value(value, out);
            }
            out.push_str(if entries.is_empty() { "}" } else { " }" });
        }
    }
}

/// Whether a key needs no quotes. `true`, `null` and `for` would be read as something else.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !matches!(name, "true" | "false" | "null" | "for" | "if")
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut characters = text.chars().peekable();
    let mut before = None;
    while let Some(character) = characters.next() {
        match character {
            '"' | '\\' | '\n' | '\r' | '\t' => out.extend(escape::shared(character)),
            // In a run of them it would be ambiguous which are doubled.
            '$' | '%' if characters.peek() == Some(&'{') && before == Some(character) => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            '$' | '%' if characters.peek() == Some(&'{') => out.extend([character, character]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
        before = Some(character);
    }
    out.push('"');
}
