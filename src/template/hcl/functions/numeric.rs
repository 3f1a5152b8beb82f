//! Functions on numbers.

use num_bigint::BigInt;
use num_traits::Zero as _;

use super::{BOOL, Call, Failure, Function, NUMBER, Number, Outcome, Returns, Ty, Type, Value};
use super::{any, function, list, number, variadic};
use crate::template::hcl::convert::convert;

pub(super) const FUNCTIONS: &[Function] = &[
    function("abs", &[number("num")], NUMBER, |c| Ok(Value::number(c.number(0).absolute()))),
    function("ceil", &[number("num")], NUMBER, |c| Ok(Value::number(Number::integer(c.number(0).ceil())))),
    function("floor", &[number("num")], NUMBER, |c| Ok(Value::number(Number::integer(c.number(0).floor())))),
    function("log", &[number("num"), number("base")], NUMBER, |c| {
        float(c.number(0).to_f64().ln() / c.number(1).to_f64().ln())
    }),
    function("pow", &[number("num"), number("power")], NUMBER, |c| {
        float(power(c.number(0).to_f64(), c.number(1).to_f64()))
    }),
    function("signum", &[number("num")], NUMBER, |c| Ok(c.int(0)?.signum().into())),
    variadic("max", &[], number("numbers"), NUMBER, |c| extreme(c, |number, most| number > most)),
    variadic("min", &[], number("numbers"), NUMBER, |c| extreme(c, |number, least| number < least)),
    function("parseint", &[any("number"), number("base")], NUMBER, parse_int),
    function("sum", &[any("list").in_parts()], NUMBER, sum),
    function("alltrue", &[list("list", &Ty::Bool)], BOOL, |c| {
        Ok(c.elements(0)?.iter().all(|value| value.as_bool() == Some(true)).into())
    }),
    function("anytrue", &[list("list", &Ty::Bool)], BOOL, |c| {
        Ok(c.elements(0)?.iter().any(|value| value.as_bool() == Some(true)).into())
    }),
];

fn float(value: f64) -> Outcome {
    Ok(Value::number(Number::float(value).ok_or("the result is not a number that can be written down")?))
}

/// A power of floats. The whole part of the exponent is applied by squaring, as Go does: other ways give other last
/// digits.
fn power(base: f64, exponent: f64) -> f64 {
    let whole = exponent.abs().trunc();
    if base == 0.0 || exponent.abs().to_bits() == 0.5_f64.to_bits() || !base.is_finite() || whole >= 9e15 {
        return base.powf(exponent);
    }
    let mut fraction = exponent.abs() - whole;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
    let mut rest = whole as i64;
    if fraction > 0.5 {
        fraction -= 1.0;
        rest += 1;
    }
    let (mut result, mut shift) = (if fraction == 0.0 { 1.0 } else { (fraction * base.ln()).exp() }, 0_i64);
    let (mut square, mut square_shift) = split(base);
    while rest != 0 {
        if square_shift.abs() > 1 << 12 {
            shift += square_shift;
            break;
        }
        if rest & 1 == 1 {
            result *= square;
            shift += square_shift;
        }
        square *= square;
        square_shift *= 2;
        if square < 0.5 {
            square += square;
            square_shift -= 1;
        }
        rest >>= 1;
    }
    if exponent < 0.0 {
        (result, shift) = (1.0 / result, -shift);
    }
    for _ in 0..3 {
        let step = shift.clamp(-1000, 1000);
        result *= 2_f64.powi(i32::try_from(step).unwrap_or_default());
        shift -= step;
    }
    if shift == 0 { result } else { result * if shift < 0 { 0.0 } else { f64::INFINITY } }
}

/// A float as one from a half to 1, and the power of two that is taken from it.
fn split(value: f64) -> (f64, i64) {
    let scaled = if value.abs() < f64::MIN_POSITIVE { value * 2_f64.powi(64) } else { value };
    let shift = if scaled.to_bits() == value.to_bits() { 0 } else { -64 };
    let bits = scaled.to_bits();
    let exponent = i64::try_from(bits >> 52 & 0x7ff).unwrap_or_default() - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent + shift)
}

/// The first argument that none of the others goes beyond.
fn extreme(c: &Call<'_>, beyond: fn(&Number, &Number) -> bool) -> Outcome {
    let mut numbers = c.values.iter().filter_map(Value::as_number);
    let mut found = numbers.next().ok_or("at least one number is required")?;
    for number in numbers {
        if beyond(number, found) {
            found = number;
        }
    }
    Ok(Value::number(found.clone()))
}

fn sum(c: &Call<'_>) -> Outcome {
    let elements = c.elements(0)?;
    let (first, rest) = elements.split_first().ok_or_else(|| c.wrong(0, "it must not be empty"))?;
    let number = |value: &Value| -> Result<Option<Number>, Failure> {
        let converted = convert(value, &Type::Number).map_err(|error| c.wrong(0, error))?;
        if converted.is_null() {
            return Err(c.wrong(0, "an element is null"));
        }
        Ok(converted.as_number().cloned())
    };
    let sensitive = elements.iter().any(Value::contains_sensitive);
    let mut total = number(first)?;
    for value in rest {
        let next = number(value)?;
        total = total.zip(next).map(|(total, next)| total.plus(&next));
    }
    Ok(total.map_or_else(|| Value::unknown(Type::Number), Value::number).mark(sensitive))
}

/// Digits are 0 to 9, a to z, A to Z; up to base 36 the case does not matter.
fn parse_int(c: &Call<'_>) -> Outcome {
    let Some(digits) = c.value(0).as_str() else {
        return Err(c.found(0, "a string"));
    };
    let base = c.int(1)?;
    if !(2..=62).contains(&base) {
        return Err(c.wrong(1, "the base must be 2 to 62"));
    }
    if digits.len() > 4096 {
        return Err(c.wrong(0, "the number has too many digits"));
    }
    let (negative, unsigned) = match digits.as_bytes().first() {
        Some(b'-') => (true, &digits[1..]),
        Some(b'+') => (false, &digits[1..]),
        _ => (false, digits),
    };
    let digit = |byte: u8| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            b'A'..=b'Z' if base <= 36 => byte - b'A' + 10,
            b'A'..=b'Z' => byte - b'A' + 36,
            _ => return None,
        };
        (i64::from(value) < base).then_some(value)
    };
    let values: Option<Vec<u8>> = unsigned.bytes().map(digit).collect();
    let base = u32::try_from(base).unwrap_or(10);
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return Err(c.wrong(0, format!("it is no whole number in base {base}")));
    };
    let parsed = values.iter().fold(BigInt::zero(), |sum, value| sum * base + u32::from(*value));
    Ok(Value::number(Number::integer(if negative { -parsed } else { parsed })))
}

/// Numbers from a start to an end, which is not among them.
pub(super) const RANGE: Function = variadic("range", &[], number("params"), Returns::Is(Ty::List(&Ty::Number)), |c| {
    let numbers: Vec<Number> = (0..c.len()).map(|index| c.number(index)).collect();
    let zero = Number::from(0);
    let (start, end, step) = match numbers.as_slice() {
        [end] => (zero.clone(), end.clone(), None),
        [start, end] => (start.clone(), end.clone(), None),
        [start, end, step] => (start.clone(), end.clone(), Some(step.clone())),
        _ => return Err("it takes one, two or three arguments".into()),
    };
    let step = step.unwrap_or_else(|| Number::from(if end < start { -1 } else { 1 }));
    if start != end && (step.is_zero() || (end < start) != (step < zero)) {
        return Err(c.wrong(c.len() - 1, "the step must lead from the start to the end"));
    }
    let mut elements = Vec::new();
    let mut next = start;
    while if step < zero { next > end } else { next < end } {
        if elements.len() == 1024 {
            return Err("there would be more than 1024 numbers".into());
        }
        elements.push(Value::number(next.clone()));
        next = next.plus(&step);
    }
    Ok(Value::list(Type::Number, elements))
});
