//! Sums, products, quotients and remainders.

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{One as _, Zero as _};

use super::Number;

impl Number {
    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.plus_at(other, self.precision.max(other.precision))
    }

    fn plus_at(&self, other: &Self, precision: u64) -> Self {
        if self.is_zero() && other.is_zero() {
            return Self::rounded(self.negative && other.negative, BigUint::zero(), 0, precision);
        }
        let base = self.exponent.min(other.exponent);
        let aligned = |number: &Self| {
            let sign = if number.negative { Sign::Minus } else { Sign::Plus };
            BigInt::from_biguint(sign, &number.mantissa << (number.exponent - base).unsigned_abs())
        };
        let (sign, mantissa) = (aligned(self) + aligned(other)).into_parts();
        Self::rounded(sign == Sign::Minus, mantissa, base, precision)
    }

    /// The difference.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }

    /// The product.
    #[must_use]
    pub fn times(&self, other: &Self) -> Self {
        self.times_at(other, self.precision.max(other.precision))
    }

    fn times_at(&self, other: &Self, precision: u64) -> Self {
        let negative = self.negative != other.negative;
        Self::rounded(negative, &self.mantissa * &other.mantissa, self.exponent + other.exponent, precision)
    }

    /// The quotient; `None` of a division by zero.
    pub fn over(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let precision = self.precision.max(other.precision);
        let negative = self.negative != other.negative;
        Some(quotient(negative, &self.mantissa, &other.mantissa, self.exponent - other.exponent, precision))
    }

    /// What a division leaves; `None` of a division by zero. It has the sign of what is divided.
    ///
    /// The quotient is rounded before its fraction is cut, and so is what is taken away: `5 % 0.3` is not quite 0.2.
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        let times = Self::integer(self.over(other)?.truncated());
        let taken = other.times_at(&times, times.precision);
        Some(self.plus_at(&taken.negated(), times.precision))
    }

    /// With the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { negative: !self.negative, ..self.clone() }
    }

    /// Without its sign.
    #[must_use]
    pub fn absolute(&self) -> Self {
        Self { negative: false, ..self.clone() }
    }
}

/// A quotient of whole numbers times a power of two, rounded to nearest.
pub(super) fn quotient(negative: bool, dividend: &BigUint, divisor: &BigUint, exponent: i64, precision: u64) -> Number {
    // Two bits more than are kept, and one that stands for all that follow.
    let shift = (precision + 2 + divisor.bits()).saturating_sub(dividend.bits());
    let shifted = dividend << shift;
    let (mut whole, rest) = (&shifted / divisor, &shifted % divisor);
    let mut exponent = exponent - i64::try_from(shift).unwrap_or(i64::MAX);
    if !rest.is_zero() {
        whole = (whole << 1_u32) + BigUint::one();
        exponent -= 1;
    }
    Number::rounded(negative, whole, exponent, precision)
}
