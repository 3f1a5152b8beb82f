//! Values as YAML: every string in quotes, so that none is taken for something else; several lines as a block.

use std::fmt::Write as _;

use crate::template::escape;
use crate::template::hcl::convert::json::plain;
use crate::template::hcl::value::{Kind, Value};

pub(super) fn encode(value: &Value) -> Result<String, String> {
    let mut text = String::new();
    write(value, 0, &mut text)?;
    text.push('\n');
    let plain = matches!(value.kind(), Kind::Number(_) | Kind::Bool(_) | Kind::Null(_));
    // A plain scalar alone could go on in another line, so its end is marked.
    if plain {
        text.push_str("...\n");
    }
    Ok(text)
}

/// Writes a value that stands after its name or dash, without the line's end. `indent` is that of its own lines.
fn write(value: &Value, indent: usize, out: &mut String) -> Result<(), String> {
    match value.kind() {
        Kind::Unknown(_) | Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) => out.push_str(&plain(value)?),
        Kind::String(text) => string(text, indent, out),
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            if elements.is_empty() {
                out.push_str("[]");
            }
            for (index, element) in elements.iter().enumerate() {
                line(index, indent, out);
                out.push_str("- ");
                write(element, indent + 2, out)?;
            }
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            if entries.is_empty() {
                out.push_str("{}");
            }
            for (index, (name, value)) in entries.iter().enumerate() {
                line(index, indent, out);
                quote(name, None, out);
                out.push(':');
                named(value, indent, out)?;
            }
        }
    }
    Ok(())
}

/// The value of a name: a collection begins in the next line, elements of a list under the name itself.
fn named(value: &Value, indent: usize, out: &mut String) -> Result<(), String> {
    let filled = value.children().next().is_some();
    let below = match (value.elements().is_some(), filled) {
        (_, false) => None,
        (true, true) => Some(indent),
        (false, true) => Some(indent + 2),
    };
    match below {
        Some(below) => {
            line(1, below, out);
            write(value, below, out)
        }
        None => {
            out.push(' ');
            write(value, indent + 2, out)
        }
    }
}

fn line(index: usize, indent: usize, out: &mut String) {
    if index > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn string(text: &str, indent: usize, out: &mut String) {
    let indent = indent.max(2);
    let block = text.trim_end_matches('\n');
    let plain = |character: char| character == '\n' || is_printable(character);
    let blank_ends = text.split('\n').any(|line| line.ends_with(' '));
    if !text.contains('\n') || block.is_empty() || !text.chars().all(plain) || blank_ends {
        return quote(text, Some(indent), out);
    }
    out.push('|');
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    match text.len() - block.len() {
        0 => out.push('-'),
        1 => {}
        _ => out.push('+'),
    }
    let kept = text.strip_suffix('\n').unwrap_or(text);
    for part in kept.split('\n') {
        out.push('\n');
        if !part.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(part);
        }
    }
}

fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        && !matches!(character, '\u{2028}' | '\u{2029}')
}

/// Where lines are broken, if they can be.
const WIDTH: usize = 80;

/// In quotes. Where an indentation is given, the text may go on in further lines.
fn quote(text: &str, indent: Option<usize>, out: &mut String) {
    let line_start = out.rfind('\n').map_or(0, |end| end + 1);
    let mut column = out[line_start..].chars().count() + 1;
    out.push('"');
    let mut after_blank = false;
    let mut characters = text.chars().enumerate().peekable();
    while let Some((index, character)) = characters.next() {
        if character != ' ' {
            let before = out.len();
            escape(character, out);
            column += out[before..].chars().count();
            after_blank = false;
            continue;
        }
        match (indent, characters.peek()) {
            (Some(indent), Some((_, next))) if !after_blank && column > WIDTH && index > 0 => {
                line(1, indent, out);
                column = indent;
                // A blank at the start of a line would not be read.
                if *next == ' ' {
                    out.push('\\');
                    column += 1;
                }
            }
            _ => {
                out.push(' ');
                column += 1;
            }
        }
        after_blank = true;
    }
    out.push('"');
}

fn escape(character: char, out: &mut String) {
    let own = match character {
        '\0' => Some("\\0"),
        '\u{1b}' => Some("\\e"),
        '\u{85}' => Some("\\N"),
        '\u{2028}' => Some("\\L"),
        '\u{2029}' => Some("\\P"),
        _ => None,
    };
    match escape::as_in_c(character).or(own) {
        Some(short) => out.push_str(short),
        None if is_printable(character) => out.push(character),
        None => {
            let _ = match u32::from(character) {
                code @ ..0x100 => write!(out, "\\x{code:02X}"),
                code @ ..0x10000 => write!(out, "\\u{code:04X}"),
                code => write!(out, "\\U{code:08X}"),
            };
        }
    }
}
