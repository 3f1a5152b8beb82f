//! Numbers from decimal text and to it.

use std::fmt;

use num_bigint::BigUint;
use num_traits::Zero as _;

use super::arithmetic::quotient;
use super::{MAX_DIGITS, Number, TEXT_PRECISION};

/// Longest text that is read as a number.
const MAX_TEXT: usize = 8192;

/// Reads `[sign] digits [. digits] [e exponent]`, with digits on at least one side of the point.
pub(super) fn parse(text: &str) -> Option<Number> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mantissa: BigUint = digits.parse().ok()?;
    if mantissa.is_zero() {
        return Some(Number::rounded(negative, mantissa, 0, TEXT_PRECISION));
    }
    let power = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let leading = i64::try_from(digits.trim_start_matches('0').len()).ok()?;
    if power.checked_add(leading)?.abs() > MAX_DIGITS {
        return None;
    }
    let fives = BigUint::from(5_u32).pow(u32::try_from(power.unsigned_abs()).ok()?);
    Some(if power >= 0 {
        Number::rounded(negative, mantissa * fives, power, TEXT_PRECISION)
    } else {
        quotient(negative, &mantissa, &fives, power, TEXT_PRECISION)
    })
}

fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// How many digits to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// As few as read back as the same number at its precision.
    Shortest,
    /// This many, without leading zeros.
    Significant(usize),
    /// This many after the point.
    Fraction(usize),
}

/// Decimal digits without zeros at either end, and where the point is: before all of them is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits {
    /// The digits, as ASCII.
    pub digits: Vec<u8>,
    /// How many of them are before the point; less than zero if zeros follow it.
    pub point: i64,
}

impl Digits {
    /// All digits of a mantissa times a power of two.
    fn exact(mantissa: &BigUint, exponent: i64) -> Self {
        let power = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
        let mut digits = if exponent >= 0 {
            (mantissa << power).to_string().into_bytes()
        } else {
            (mantissa * BigUint::from(5_u32).pow(power)).to_string().into_bytes()
        };
        let mut point = i64::try_from(digits.len()).unwrap_or(i64::MAX) + exponent.min(0);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            point = 0;
        }
        Self { digits, point }
    }

    fn at(&self, index: usize) -> u8 {
        self.digits.get(index).copied().unwrap_or(b'0')
    }

    /// Keeps a number of digits, rounding to nearest, ties to even.
    fn round(&mut self, keep: usize) {
        let Some(next) = self.digits.get(keep) else { return };
        let tie = *next == b'5' && keep + 1 == self.digits.len();
        let up = if tie { keep > 0 && self.digits[keep - 1] % 2 == 1 } else { *next >= b'5' };
        if up { self.round_up(keep) } else { self.round_down(keep) }
    }

    fn round_up(&mut self, keep: usize) {
        if keep >= self.digits.len() {
            return;
        }
        self.digits.truncate(keep);
        while self.digits.last() == Some(&b'9') {
            self.digits.pop();
        }
        match self.digits.last_mut() {
            Some(last) => *last += 1,
            None => {
                self.digits.push(b'1');
                self.point += 1;
            }
        }
    }

    fn round_down(&mut self, keep: usize) {
        self.digits.truncate(keep);
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    /// As `12.5`, with zeros up to `fraction` places after the point.
    pub fn plain(&self, fraction: usize) -> String {
        let digits = String::from_utf8_lossy(&self.digits);
        let before = usize::try_from(self.point).unwrap_or(0);
        let mut text: String = (0..before).map(|index| char::from(self.at(index))).collect();
        if text.is_empty() {
            text.push('0');
        }
        let zeros = usize::try_from(-self.point).unwrap_or(0);
        let mut after = if digits.is_empty() { String::new() } else { "0".repeat(zeros) };
        after.push_str(digits.get(before..).unwrap_or_default());
        while after.len() < fraction {
            after.push('0');
        }
        if !after.is_empty() {
            text.push('.');
            text.push_str(&after);
        }
        text
    }

    /// As `1.25e+01`, with zeros up to `fraction` places after the point.
    pub fn scientific(&self, fraction: usize, e: char) -> String {
        let mut text = String::from(char::from(self.at(0)));
        let mut after = String::from_utf8_lossy(self.digits.get(1..).unwrap_or_default()).into_owned();
        while after.len() < fraction {
            after.push('0');
        }
        if !after.is_empty() {
            text.push('.');
            text.push_str(&after);
        }
        let power = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if power < 0 { '-' } else { '+' };
        text + &format!("{e}{sign}{:02}", power.unsigned_abs())
    }
}

impl Number {
    /// Its digits, without the sign.
    pub fn digits(&self, places: Places) -> Digits {
        let mut all = Digits::exact(&self.mantissa, self.exponent);
        match places {
            Places::Shortest => self.shorten(&mut all),
            Places::Significant(count) => all.round(count),
            Places::Fraction(count) => {
                let keep = all.point.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
                match usize::try_from(keep) {
                    Ok(keep) => all.round(keep),
                    Err(_) => all.round_down(0),
                }
            }
        }
        all
    }

    /// The fewest digits between the numbers halfway to its neighbours.
    fn shorten(&self, all: &mut Digits) {
        if self.is_zero() {
            return;
        }
        // One bit more than the precision, so that a step is half of the distance to a neighbour.
        let shift = (self.precision + 1).saturating_sub(self.mantissa.bits());
        let mantissa = &self.mantissa << shift;
        let exponent = self.exponent - i64::try_from(shift).unwrap_or(i64::MAX);
        let lower = Digits::exact(&(&mantissa - 1_u32), exponent);
        let upper = Digits::exact(&(&mantissa + 1_u32), exponent);
        let inclusive = !mantissa.bit(1);
        for index in 0..all.digits.len() {
            let (low, digit, high) = (lower.at(index), all.digits[index], upper.at(index));
            let down = low != digit || inclusive && index + 1 == lower.digits.len();
            let up = digit != high && (inclusive || digit + 1 < high || index + 1 < upper.digits.len());
            match (down, up) {
                (true, true) => return all.round(index + 1),
                (true, false) => return all.round_down(index + 1),
                (false, true) => return all.round_up(index + 1),
                (false, false) => {}
            }
        }
    }
}

impl fmt::Display for Number {
    /// As few digits as read back as the same number, without an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", self.digits(Places::Shortest).plain(0))
    }
}
