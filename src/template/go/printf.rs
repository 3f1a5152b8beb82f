//! Go's `Sprintf`.

use super::error::Failure;
use super::float;
use super::quote::quoted_with;
use super::value::Value;

/// Widest field, and most digits.
const MAX_WIDTH: usize = 10_000;
/// Most bytes of a result.
const MAX_TEXT: usize = 16 << 20;

/// What stands between the percent sign and the verb.
#[derive(Clone, Debug, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// `%#v`: as it would be written in Go.
    go_syntax: bool,
    /// `%+v`: with the names of fields.
    names: bool,
}

/// The arguments, and which comes next.
struct Arguments<'a> {
    values: &'a [Value],
    next: usize,
    /// Whether one was chosen by its number just now.
    chosen: bool,
    /// Whether one ever was.
    reordered: bool,
    /// Whether a number was there that names none.
    bad: bool,
}

/// The text of a format with its arguments put in.
pub(super) fn sprintf(format: &str, arguments: &[Value]) -> Result<String, Failure> {
    let mut out = String::new();
    let mut arguments = Arguments { values: arguments, next: 0, chosen: false, reordered: false, bad: false };
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        rest = &rest[percent + 1..];
        arguments.chosen = false;
        arguments.bad = false;
        let mut flags = Flags::default();
        rest = read_flags(rest, &mut flags);
        rest = arguments.choose(rest);
        rest = read_width(rest, &mut flags, &mut arguments, &mut out)?;
        rest = read_precision(rest, &mut flags, &mut arguments, &mut out)?;
        if !arguments.chosen {
            rest = arguments.choose(rest);
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == 'v' {
            flags.go_syntax = std::mem::take(&mut flags.sharp);
            flags.names = std::mem::take(&mut flags.plus);
        }
        one(verb, &flags, &mut arguments, &mut out);
        if out.len() > MAX_TEXT {
            return Err("the result is too large".into());
        }
    }
    out.push_str(rest);
    if !arguments.reordered && arguments.next < arguments.values.len() {
        let extra = arguments.values[arguments.next..].iter().map(|value| match value {
            Value::Nil => "<nil>".to_owned(),
            value => format!("{}={}", value.type_name(), value.shown()),
        });
        out.push_str(&format!("%!(EXTRA {})", extra.collect::<Vec<_>>().join(", ")));
    }
    Ok(out)
}

fn one(verb: char, flags: &Flags, arguments: &mut Arguments<'_>, out: &mut String) {
    if verb == '%' {
        out.push('%');
    } else if arguments.bad {
        out.push_str(&format!("%!{verb}(BADINDEX)"));
    } else if let Some(value) = arguments.take() {
        out.push_str(&formatted(verb, flags, value));
    } else {
        out.push_str(&format!("%!{verb}(MISSING)"));
    }
}

impl<'a> Arguments<'a> {
    fn take(&mut self) -> Option<&'a Value> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        Some(value)
    }

    /// The argument that stands for a width or precision written `*`: `None` if it is none.
    fn take_star(&mut self) -> Option<i64> {
        self.chosen = false;
        match self.take() {
            Some(Value::Int(number)) if within(number.unsigned_abs()) => Some(*number),
            _ => None,
        }
    }

    /// Reads `[2]`, the number of the argument that comes next.
    fn choose<'t>(&mut self, text: &'t str) -> &'t str {
        self.chosen = false;
        let Some(inside) = text.strip_prefix('[') else { return text };
        self.reordered = true;
        let Some(end) = inside.find(']') else {
            self.bad = true;
            return inside;
        };
        let number = inside[..end].parse::<usize>().ok();
        self.chosen = number.is_some();
        match number.and_then(|number| number.checked_sub(1)).filter(|number| *number < self.values.len()) {
            Some(number) => self.next = number,
            None => self.bad = true,
        }
        &inside[end + 1..]
    }
}

fn read_flags<'t>(text: &'t str, flags: &mut Flags) -> &'t str {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '#' => flags.sharp = true,
            '0' => flags.zero = !flags.minus,
            '+' => flags.plus = true,
            '-' => {
                flags.minus = true;
                flags.zero = false;
            }
            ' ' => flags.space = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    rest
}

fn read_width<'t>(
    text: &'t str,
    flags: &mut Flags,
    arguments: &mut Arguments<'_>,
    out: &mut String,
) -> Result<&'t str, Failure> {
    if let Some(rest) = text.strip_prefix('*') {
        match arguments.take_star() {
            Some(width) => {
                if width < 0 {
                    flags.minus = true;
                    flags.zero = false;
                }
                flags.width = usize::try_from(width.unsigned_abs()).ok();
            }
            None => out.push_str("%!(BADWIDTH)"),
        }
        return Ok(rest);
    }
    let (rest, width) = digits(text)?;
    if width.is_some() && arguments.chosen {
        arguments.bad = true;
    }
    flags.width = width;
    Ok(rest)
}

fn read_precision<'t>(
    text: &'t str,
    flags: &mut Flags,
    arguments: &mut Arguments<'_>,
    out: &mut String,
) -> Result<&'t str, Failure> {
    let Some(rest) = text.strip_prefix('.') else { return Ok(text) };
    if arguments.chosen {
        arguments.bad = true;
    }
    let rest = arguments.choose(rest);
    if let Some(rest) = rest.strip_prefix('*') {
        match arguments.take_star().and_then(|precision| usize::try_from(precision).ok()) {
            Some(precision) => flags.precision = Some(precision),
            None => out.push_str("%!(BADPREC)"),
        }
        return Ok(rest);
    }
    let (rest, precision) = digits(rest)?;
    flags.precision = Some(precision.unwrap_or(0));
    Ok(rest)
}

fn within(number: u64) -> bool {
    usize::try_from(number).is_ok_and(|number| number <= MAX_WIDTH)
}

fn digits(text: &str) -> Result<(&str, Option<usize>), Failure> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((text, None));
    }
    let number = text[..end].parse().ok().filter(|number| *number <= MAX_WIDTH);
    let number = number.ok_or("the width is too large")?;
    Ok((&text[end..], Some(number)))
}

fn formatted(verb: char, flags: &Flags, value: &Value) -> String {
    match (verb, value) {
        ('T', _) => string('s', &Flags { sharp: false, ..flags.clone() }, &value.type_name()).unwrap_or_default(),
        ('p', Value::Nil) => "%!p(<nil>)".to_owned(),
        ('v', Value::Nil) => padded("<nil>".to_owned(), flags, false),
        (_, Value::Nil) => format!("%!{verb}(<nil>)"),
        (_, Value::Bool(value)) => match verb {
            't' | 'v' => padded(value.to_string(), flags, false),
            _ => bad(verb, flags, &Value::Bool(*value)),
        },
        (_, Value::Int(number)) => whole(verb, flags, *number, value),
        (_, Value::Byte(number)) => whole(verb, flags, i64::from(*number), value),
        (_, Value::Float(number)) => real(verb, flags, *number).unwrap_or_else(|| bad(verb, flags, value)),
        (_, Value::Complex(real_part, imaginary)) => {
            let signed = Flags { plus: true, ..flags.clone() };
            match (real(verb, flags, *real_part), real(verb, &signed, *imaginary)) {
                (Some(real_part), Some(imaginary)) => format!("({real_part}{imaginary}i)"),
                _ => bad(verb, flags, value),
            }
        }
        (_, Value::Text(text)) => string(verb, flags, text).unwrap_or_else(|| bad(verb, flags, value)),
        (_, Value::List(elements)) => {
            let each: Vec<String> = elements.iter().map(|element| inner(verb, flags, element)).collect();
            format!("[{}]", each.join(" "))
        }
        (_, Value::Map(entries)) => {
            let each = entries.iter().map(|(name, value)| {
                format!("{}:{}", inner(verb, flags, &name.as_str().into()), inner(verb, flags, value))
            });
            format!("map[{}]", each.collect::<Vec<_>>().join(" "))
        }
        (_, Value::Struct(known)) => {
            let named = |(name, value): (&String, &Value)| {
                let text = inner(verb, flags, value);
                if flags.names { format!("{name}:{text}") } else { text }
            };
            format!("{{{}}}", known.fields.iter().map(named).collect::<Vec<_>>().join(" "))
        }
    }
}

fn bad(verb: char, flags: &Flags, value: &Value) -> String {
    format!("%!{verb}({}={})", value.type_name(), formatted('v', flags, value))
}

/// A value within another.
fn inner(verb: char, flags: &Flags, value: &Value) -> String {
    if *value == Value::Nil { "<nil>".to_owned() } else { formatted(verb, flags, value) }
}

/// The text with blanks to its width; with zeros, after the sign, if they are asked for and make sense.
fn padded(text: String, flags: &Flags, zeros: bool) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    if !(flags.zero && zeros) {
        let filler = if flags.zero { "0" } else { " " };
        return filler.repeat(missing) + &text;
    }
    let sign = usize::from(text.starts_with(['+', '-', ' ']));
    format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
}

fn whole(verb: char, flags: &Flags, number: i64, value: &Value) -> String {
    let base = match verb {
        'd' | 'v' => 10,
        'b' => 2,
        'o' | 'O' => 8,
        'x' | 'X' => 16,
        'c' | 'q' | 'U' => return character(verb, flags, number),
        _ => return bad(verb, flags, value),
    };
    if flags.go_syntax && matches!(value, Value::Byte(_)) {
        return padded(format!("0x{number:x}"), flags, true);
    }
    let size = number.unsigned_abs();
    let mut digits = match base {
        2 => format!("{size:b}"),
        8 => format!("{size:o}"),
        16 if verb == 'X' => format!("{size:X}"),
        16 => format!("{size:x}"),
        _ => size.to_string(),
    };
    if flags.precision == Some(0) && number == 0 {
        return " ".repeat(flags.width.unwrap_or(0));
    }
    let sign = match (number < 0, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    // Zeros to the width stand between the prefix and the digits, and count the sign.
    let wanted = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    digits = "0".repeat(wanted.saturating_sub(digits.len())) + &digits;
    let prefix = match (verb, flags.sharp) {
        ('b', true) => "0b",
        ('o', true) if !digits.starts_with('0') => "0",
        ('x', true) => "0x",
        ('X', true) => "0X",
        ('O', _) => "0o",
        _ => "",
    };
    padded(format!("{sign}{prefix}{digits}"), &Flags { zero: false, ..flags.clone() }, false)
}

fn character(verb: char, flags: &Flags, number: i64) -> String {
    let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    match verb {
        'c' => padded(c.to_string(), flags, false),
        'q' => padded(quoted_with(&c.to_string(), '\'', flags.plus), flags, false),
        _ => {
            let shown = if flags.sharp && super::quote::is_print(c) { format!(" '{c}'") } else { String::new() };
            let digits = flags.precision.unwrap_or(4).max(4);
            padded(format!("U+{number:0digits$X}{shown}"), &Flags { zero: false, ..flags.clone() }, false)
        }
    }
}

fn real(verb: char, flags: &Flags, number: f64) -> Option<String> {
    let mut text = match verb {
        'v' | 'g' => float::general(number, flags.precision, 'e'),
        'G' => float::general(number, flags.precision, 'E'),
        'e' => float::exponential(number, flags.precision.or(Some(6)), 'e'),
        'E' => float::exponential(number, flags.precision.or(Some(6)), 'E'),
        'f' | 'F' => float::fixed(number, flags.precision.or(Some(6))),
        'b' => float::binary(number),
        'x' | 'X' => {
            let text = float::hexadecimal(number, flags.precision);
            if verb == 'X' { text.to_uppercase() } else { text }
        }
        _ => return None,
    };
    if flags.sharp && number.is_finite() && !matches!(verb, 'b' | 'x' | 'X') {
        text = with_point(&text, matches!(verb, 'v' | 'g' | 'G').then(|| flags.precision.unwrap_or(6)));
    }
    if flags.plus && !text.starts_with(['+', '-']) {
        text.insert(0, '+');
    } else if !flags.plus && text == "+Inf" {
        text = if flags.space { " Inf".to_owned() } else { "+Inf".to_owned() };
    } else if flags.space && !text.starts_with(['+', '-']) {
        text.insert(0, ' ');
    }
    let is_number = number.is_finite();
    Some(padded(text, &Flags { zero: flags.zero && is_number, ..flags.clone() }, true))
}

/// The text of a float with its point, and with zeros up to so many digits.
fn with_point(text: &str, digits: Option<usize>) -> String {
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let significant = mantissa.trim_start_matches(['-', '0', '.']).chars().filter(char::is_ascii_digit).count();
    let point = if mantissa.contains('.') { "" } else { "." };
    let zeros = "0".repeat(digits.unwrap_or(0).saturating_sub(significant.max(usize::from(!mantissa.contains('.')))));
    format!("{mantissa}{point}{zeros}{exponent}")
}

fn string(verb: char, flags: &Flags, text: &str) -> Option<String> {
    let cut: String = match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    };
    Some(match verb {
        'v' if flags.go_syntax => padded(quoted_with(&cut, '"', false), flags, false),
        's' | 'v' => padded(cut, flags, false),
        'q' => padded(literal(&cut, flags), flags, false),
        'x' | 'X' => {
            let length = flags.precision.unwrap_or(text.len()).min(text.len());
            padded(hexadecimal(&text.as_bytes()[..length], verb == 'X', flags), flags, false)
        }
        _ => return None,
    })
}

/// A text in quotes; in backquotes if they are asked for and possible.
fn literal(text: &str, flags: &Flags) -> String {
    let plain = |c: char| c == '\t' || (c != '`' && c != '\u{feff}' && c != '\u{7f}' && c >= ' ');
    if flags.sharp && text.chars().all(plain) {
        return format!("`{text}`");
    }
    quoted_with(text, '"', flags.plus)
}

fn hexadecimal(bytes: &[u8], upper: bool, flags: &Flags) -> String {
    let prefix = match (flags.sharp, upper) {
        (true, true) => "0X",
        (true, false) => "0x",
        _ => "",
    };
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if flags.space && index > 0 {
            out.push(' ');
        }
        if flags.space || index == 0 {
            out.push_str(prefix);
        }
        out.push_str(&if upper { format!("{byte:02X}") } else { format!("{byte:02x}") });
    }
    out
}
