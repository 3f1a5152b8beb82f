//! Numbers as cty has them: binary, each with a precision of its own.
//!
//! What a template writes, and text that is converted, has 512 bits; whole numbers that functions count have 64 or as
//! many as they need; results of `pow` and `log` have 53. Operations round to the larger precision of their operands,
//! to nearest, ties to even.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{One as _, ToPrimitive as _, Zero as _};

mod arithmetic;
mod text;

pub use text::{Digits, Places};

/// Bits of a number that was written as text.
const TEXT_PRECISION: u64 = 512;
/// Least bits of a whole number.
const INTEGER_PRECISION: u64 = 64;
/// Bits of a number that was a 64-bit float.
const FLOAT_PRECISION: u64 = 53;
/// Most digits a number may have before or after its point. `1e999999999` must not become a gigabyte of zeros.
pub const MAX_DIGITS: i64 = 4096;
/// The power of two of the largest number: 10 to the [`MAX_DIGITS`].
const MAX_EXPONENT: i64 = 13_607;

/// A number: its sign, a mantissa and a power of two.
#[derive(Clone, Debug)]
pub struct Number {
    negative: bool,
    /// Odd, or zero.
    mantissa: BigUint,
    exponent: i64,
    precision: u64,
}

impl Number {
    /// A whole number, exactly.
    pub fn integer(value: impl Into<BigInt>) -> Self {
        let (sign, mantissa) = value.into().into_parts();
        let precision = mantissa.bits().max(INTEGER_PRECISION);
        Self::rounded(sign == Sign::Minus, mantissa, 0, precision)
    }

    /// A 64-bit float; `None` if it is not finite.
    pub fn float(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let bits = value.to_bits();
        let (biased, fraction) = (i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default(), bits & ((1 << 52) - 1));
        let (mantissa, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
        Some(Self::rounded(value.is_sign_negative(), mantissa.into(), exponent, FLOAT_PRECISION))
    }

    /// Reads a decimal number such as `-1.5e3`; `None` if it is none, or has more than [`MAX_DIGITS`] digits on a side
    /// of its point.
    pub fn parse(text: &str) -> Option<Self> {
        text::parse(text)
    }

    /// The number of this sign, mantissa and power of two, rounded to a precision.
    fn rounded(negative: bool, mantissa: BigUint, exponent: i64, precision: u64) -> Self {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        let excess = mantissa.bits().saturating_sub(precision);
        if excess > 0 {
            let half = mantissa.bit(excess - 1);
            let beyond = mantissa.trailing_zeros().is_some_and(|zeros| zeros < excess - 1);
            mantissa >>= excess;
            exponent += i64::try_from(excess).unwrap_or(i64::MAX);
            if half && (beyond || mantissa.bit(0)) {
                mantissa += BigUint::one();
            }
        }
        match mantissa.trailing_zeros() {
            Some(zeros) => {
                mantissa >>= zeros;
                exponent += i64::try_from(zeros).unwrap_or(i64::MAX);
            }
            None => exponent = 0,
        }
        Self { negative, mantissa, exponent, precision }
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.mantissa.is_zero()
    }

    /// Whether it is less than zero, or the zero that Go writes as `-0`.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it has no fraction.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// The whole number it is, if it is one and fits.
    pub fn to_i64(&self) -> Option<i64> {
        if !self.is_integer() || self.magnitude() > 64 {
            return None;
        }
        self.truncated().to_i64()
    }

    /// The nearest 64-bit float; infinite if it is too large for one.
    pub fn to_f64(&self) -> f64 {
        // Near zero, floats have fewer bits.
        let bits = u64::try_from(self.magnitude().saturating_add(1074)).unwrap_or(0).min(FLOAT_PRECISION);
        if bits == 0 {
            return if self.magnitude() == -1074 && !self.mantissa.is_one() { f64::from_bits(1) } else { 0.0 };
        }
        let rounded = Self::rounded(self.negative, self.mantissa.clone(), self.exponent, bits);
        let value = rounded.mantissa.to_u64().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "it was rounded to as many bits as a float has")]
        let mut value = if self.negative { -(value as f64) } else { value as f64 };
        // In steps, as the power alone may be out of range where the product is not.
        let mut exponent = rounded.exponent;
        while exponent != 0 && value != 0.0 && value.is_finite() {
            let step = exponent.clamp(-900, 900);
            value *= 2_f64.powi(i32::try_from(step).unwrap_or_default());
            exponent -= step;
        }
        value
    }

    /// Without its fraction.
    pub fn truncated(&self) -> BigInt {
        let whole = if self.exponent >= 0 {
            &self.mantissa << self.exponent.unsigned_abs()
        } else {
            &self.mantissa >> self.exponent.unsigned_abs()
        };
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, whole)
    }

    /// The largest whole number that is not larger.
    pub fn floor(&self) -> BigInt {
        self.truncated() - i32::from(self.negative && !self.is_integer())
    }

    /// The smallest whole number that is not smaller.
    pub fn ceil(&self) -> BigInt {
        self.truncated() + i32::from(!self.negative && !self.is_integer())
    }

    /// The power of two just above it.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(i64::try_from(self.mantissa.bits()).unwrap_or(i64::MAX))
    }

    /// Whether it can be written out in about [`MAX_DIGITS`] digits on each side of the point.
    pub fn in_range(&self) -> bool {
        self.is_zero() || self.magnitude().abs() <= MAX_EXPONENT
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.is_zero(), number.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let signs = sign(self).cmp(&sign(other));
        if signs != Ordering::Equal || self.is_zero() {
            return signs;
        }
        let sizes = self.magnitude().cmp(&other.magnitude()).then_with(|| {
            let base = self.exponent.min(other.exponent);
            let aligned = |number: &Self| &number.mantissa << (number.exponent - base).unsigned_abs();
            aligned(self).cmp(&aligned(other))
        });
        if self.negative { sizes.reverse() } else { sizes }
    }
}

macro_rules! from_integers {
    ($($type:ty),*) => { $(
        impl From<$type> for Number {
            fn from(value: $type) -> Self {
                Self::integer(value)
            }
        }
    )* };
}

from_integers!(i32, u32, i64, u64, usize);

#[cfg(test)]
mod tests;
