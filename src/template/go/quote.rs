//! Go's string literals: read, and written.

use crate::template::escape;

/// What a literal stands for, in its quotes or backquotes; `None` if Go would not take it.
pub(super) fn unquote(literal: &str) -> Option<String> {
    let quote = literal.chars().next()?;
    let inside = literal.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' {
        return Some(inside.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        if c == quote || c == '\n' {
            return None;
        }
        let (unit, length) = character(rest, quote)?;
        match unit {
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
        rest = &rest[length..];
    }
    // Bytes that are no text are written as such in Go; here they are not kept.
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The code of a character constant.
pub(super) fn unquote_char(literal: &str) -> Result<u32, String> {
    const SYNTAX: &str = "invalid syntax";
    let rest = literal.strip_prefix('\'').ok_or(SYNTAX)?;
    if rest.starts_with('\'') {
        return Err(SYNTAX.to_owned());
    }
    let (unit, length) = character(rest, '\'').ok_or(SYNTAX)?;
    if &rest[length..] != "'" {
        return Err(format!("malformed character constant: {literal}"));
    }
    Ok(match unit {
        Unit::Char(c) => u32::from(c),
        Unit::Byte(byte) => u32::from(byte),
    })
}

enum Unit {
    Char(char),
    Byte(u8),
}

/// The first character of a text in quotes, and how long it is written.
fn character(text: &str, quote: char) -> Option<(Unit, usize)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((Unit::Char(first), first.len_utf8()));
    }
    let code = |digits: &str, radix| {
        let good = digits.bytes().all(|digit| char::from(digit).is_digit(radix));
        if good { u32::from_str_radix(digits, radix).ok() } else { None }
    };
    let escape = chars.next()?;
    let simple = match escape {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        '\\' => '\\',
        '\'' | '"' if escape == quote => quote,
        'x' => return Some((Unit::Byte(u8::try_from(code(text.get(2..4)?, 16)?).ok()?), 4)),
        'u' => return Some((Unit::Char(char::from_u32(code(text.get(2..6)?, 16)?)?), 6)),
        'U' => return Some((Unit::Char(char::from_u32(code(text.get(2..10)?, 16)?)?), 10)),
        '0'..='7' => return Some((Unit::Byte(u8::try_from(code(text.get(1..4)?, 8)?).ok()?), 4)),
        _ => return None,
    };
    Some((Unit::Char(simple), 1 + escape.len_utf8()))
}

/// A text as a literal in double quotes.
pub(crate) fn quote(text: &str) -> String {
    quoted_with(text, '"', false)
}

/// A text as a literal; with `ascii`, of ASCII alone.
pub(super) fn quoted_with(text: &str, quote: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        // Which quotes are escaped depends on those around the text.
        if let Some(escape) = escape::as_in_c(c).filter(|_| c != '"') {
            out.push_str(escape);
            continue;
        }
        match c {
            _ if c == quote => out.extend(['\\', c]),
            _ if is_print(c) && (!ascii || c.is_ascii()) => out.push(c),
            '\0'..=' ' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{1_0000}'.. => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            _ => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push(quote);
    out
}

/// Whether Go shows a character as it is. What combines with a letter before it is judged after one.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    let after_letter = String::from_iter(['a', c]);
    after_letter.escape_debug().eq(['a', c])
}
