//! Number literals, with everything they can stand for.

/// A number literal. As in Go it has no type of its own: it is what it can be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Number {
    pub(super) int: Option<i64>,
    /// Whether it is a whole number that only an unsigned one holds.
    pub(super) is_large: bool,
    pub(super) float: Option<f64>,
    /// Real and imaginary part, if it was written with the latter.
    pub(super) complex: Option<(f64, f64)>,
    /// The literal.
    pub(super) text: String,
}

impl Number {
    /// Reads a literal; the error is in Go's words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut number = Self { text: text.to_owned(), ..Self::default() };
        if let Some(imaginary) = text.strip_suffix('i').and_then(parse_float) {
            number.set_complex(0.0, imaginary);
            return Ok(number);
        }
        match parse_whole(text) {
            Some(whole) => {
                number.int = i64::try_from(whole).ok();
                number.is_large = number.int.is_none() && u64::try_from(whole).is_ok();
                if number.int.is_some() || number.is_large {
                    number.float = Some(to_float(whole));
                    return Ok(number);
                }
            }
            None if parse_float(text).is_none() => {
                return Err(format!("illegal number syntax: {}", super::quote::quote(text)));
            }
            None => {}
        }
        let Some(float) = parse_float(text) else {
            return Err(format!("integer overflow: {}", super::quote::quote(text)));
        };
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", super::quote::quote(text)));
        }
        if float.is_infinite() {
            return Err(format!("illegal number syntax: {}", super::quote::quote(text)));
        }
        number.float = Some(float);
        number.int = whole_of(float);
        Ok(number)
    }

    /// A character constant.
    pub(super) fn character(text: &str) -> Result<Self, String> {
        let code = i64::from(super::quote::unquote_char(text)?);
        Ok(Self { int: Some(code), float: Some(to_float(code.into())), text: text.to_owned(), ..Self::default() })
    }

    /// A constant such as `1+2i`.
    pub(super) fn complex(text: &str) -> Result<Self, String> {
        let mut number = Self { text: text.to_owned(), ..Self::default() };
        let split = text
            .char_indices()
            .skip(1)
            .filter(|(at, c)| matches!(c, '+' | '-') && !text[..*at].ends_with(['e', 'E', 'p', 'P']));
        let parts = split
            .last()
            .and_then(|(at, _)| Some((parse_float(&text[..at])?, parse_float(text[at..].strip_suffix('i')?)?)));
        let (real, imaginary) = parts.ok_or("syntax error scanning complex number")?;
        number.set_complex(real, imaginary);
        Ok(number)
    }

    fn set_complex(&mut self, real: f64, imaginary: f64) {
        self.complex = Some((real, imaginary));
        if imaginary == 0.0 {
            self.float = Some(real);
            self.int = whole_of(real);
        }
    }

    /// Whether it is written as a float: with a point or an exponent.
    pub(super) fn is_written_as_float(&self) -> bool {
        let hex = self.text.len() > 2 && self.text.starts_with(['0']) && self.text[1..].starts_with(['x', 'X']);
        let hex_int = hex && !self.text.contains(['p', 'P']);
        self.float.is_some()
            && !hex_int
            && !self.text.starts_with('\'')
            && self.text.contains(['.', 'e', 'E', 'p', 'P'])
    }
}

/// The whole number a float is, if it is one.
fn whole_of(float: f64) -> Option<i64> {
    let in_range = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    (in_range && float.fract().abs() <= 0.0).then_some(float as i64)
}

#[expect(clippy::cast_precision_loss, reason = "a literal that is used as a float is rounded")]
fn to_float(whole: i128) -> f64 {
    whole as f64
}

/// A whole number in any of Go's bases, with its sign.
fn parse_whole(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, rest) = match lower.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some(_) if lower.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.contains('_') && !underscores_are_right(digits) {
        return None;
    }
    let plain = rest.replace('_', "");
    if !plain.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let whole = i128::from_str_radix(&plain, radix).ok()?;
    Some(if negative { -whole } else { whole })
}

/// Underscores stand between digits, or after the prefix.
fn underscores_are_right(digits: &str) -> bool {
    let mut after_digit = false;
    let lower = digits.to_ascii_lowercase();
    let prefixed = ["0x", "0o", "0b"].iter().any(|prefix| lower.starts_with(prefix));
    let hex = lower.starts_with("0x");
    let mut chars = lower.chars().skip(if prefixed { 2 } else { 0 }).peekable();
    after_digit |= prefixed;
    while let Some(c) = chars.next() {
        let is_digit = |c: char| c.is_ascii_digit() || (hex && c.is_ascii_hexdigit());
        if c == '_' && !(after_digit && chars.peek().copied().is_some_and(is_digit)) {
            return false;
        }
        after_digit = is_digit(c);
    }
    true
}

/// A float, decimal or hexadecimal.
fn parse_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.contains('_') && !underscores_are_right(digits) {
        return None;
    }
    let plain = text.replace('_', "");
    if digits.to_ascii_lowercase().starts_with("0x") {
        return parse_hex_float(&plain);
    }
    // Rust takes words such as `inf` too.
    plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')).then_some(())?;
    plain.parse().ok()
}

fn parse_hex_float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (sign, rest) = match lower.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    let (mantissa, exponent) = rest.strip_prefix("0x")?.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let places = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    Some(sign * value * 2f64.powi(exponent.saturating_sub(places)))
}
