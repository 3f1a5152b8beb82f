//! What plain text in YAML means: YAML 1.1, as go-yaml reads it.

use crate::template::hcl::value::{Number, Value};

/// The value of a scalar without quotes.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::null(),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("`{text}` is no number that can be used")),
        other if other.trim_start_matches(['+', '-']).starts_with("0b") => Value::number(binary(other)?),
        other => number(other).map(Value::number).or_else(|| time(other)).unwrap_or_else(|| other.into()),
    })
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    Number::parse(&digits)
}

/// A number in base 2: `0b101`.
fn binary(text: &str) -> Result<Number, String> {
    let digits = text.replace('_', "");
    let negative = digits.starts_with('-');
    let digits = digits.trim_start_matches(['+', '-']).trim_start_matches("0b");
    let all = digits.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    let value = u64::from_str_radix(digits, 2).ok().filter(|_| all);
    let number = Number::from(value.ok_or_else(|| format!("`{text}` is no number in base 2"))?);
    Ok(if negative { number.negated() } else { number })
}

/// A date, or a date and a time, as RFC 3339 writes it.
fn time(text: &str) -> Option<Value> {
    let bytes = text.as_bytes();
    let starts_as_date = bytes.len() >= 8 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    if !starts_as_date {
        return None;
    }
    let (date, clock, zoned) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..], &text[at..=at] != " "),
        None => (text, "", false),
    };
    let numbers: Vec<i16> = date.split('-').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [year, month, day] = numbers.as_slice() else { return None };
    let date = jiff::civil::Date::new(*year, i8::try_from(*month).ok()?, i8::try_from(*day).ok()?).ok()?;
    if clock.is_empty() {
        return (date_end(text)).then(|| format!("{date}T00:00:00Z").into());
    }
    // After a `T` there is a zone, after a blank there is none.
    let zone_at = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<i8> = whole.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hour, minute, second] = parts.as_slice() else { return None };
    let time = jiff::civil::Time::new(*hour, *minute, *second, 0).ok()?;
    let shape = |zone: &str| {
        zone.len() == 6 && zone.as_bytes()[3] == b':' && zone[1..].bytes().all(|b| b.is_ascii_digit() || b == b':')
    };
    let zone = match zone {
        "" if !zoned => "Z",
        "Z" | "+00:00" if zoned => "Z",
        zone if zoned && shape(zone) => zone,
        _ => return None,
    };
    fraction.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{date}T{time}{zone}").into())
}

fn date_end(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_digit())
}

/// The text between double quotes, with its escapes read; `None` if one means nothing.
pub(super) fn double_quoted(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        let digits = match rest.next()? {
            '0' => {
                out.push('\0');
                0
            }
            'a' => {
                out.push('\u{7}');
                0
            }
            'b' => {
                out.push('\u{8}');
                0
            }
            't' | '\t' => {
                out.push('\t');
                0
            }
            'n' => {
                out.push('\n');
                0
            }
            'v' => {
                out.push('\u{b}');
                0
            }
            'f' => {
                out.push('\u{c}');
                0
            }
            'r' => {
                out.push('\r');
                0
            }
            'e' => {
                out.push('\u{1b}');
                0
            }
            'N' => {
                out.push('\u{85}');
                0
            }
            '_' => {
                out.push('\u{a0}');
                0
            }
            'L' => {
                out.push('\u{2028}');
                0
            }
            'P' => {
                out.push('\u{2029}');
                0
            }
            // A line that goes on in the next one.
            '\n' => 0,
            other @ (' ' | '"' | '\\' | '\'') => {
                out.push(other);
                0
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return None,
        };
        if digits > 0 {
            let code: String = rest.by_ref().take(digits).collect();
            out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
        }
    }
    Some(out)
}
