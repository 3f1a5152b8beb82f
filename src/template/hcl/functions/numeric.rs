//! Functions on numbers.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, FromPrimitive as _, RoundingMode, Signed as _, ToPrimitive as _, Zero as _};

use super::{ANY, Arguments, Function, Outcome, Value, strict};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("abs", 1, 1, |a| Ok(Value::number(a.number(0)?.abs()))),
    strict("ceil", 1, 1, |a| Ok(Value::number(a.number(0)?.with_scale_round(0, RoundingMode::Ceiling)))),
    strict("floor", 1, 1, |a| Ok(Value::number(a.number(0)?.with_scale_round(0, RoundingMode::Floor)))),
    strict("log", 2, 2, |a| {
        float(a.number(0)?.to_f64().unwrap_or(f64::NAN).log(a.number(1)?.to_f64().unwrap_or(f64::NAN)))
    }),
    strict("pow", 2, 2, pow),
    strict("signum", 1, 1, |a| {
        let number = a.number(0)?;
        Ok(Value::from(if number.is_zero() {
            0
        } else if number.is_negative() {
            -1
        } else {
            1
        }))
    }),
    strict("max", 1, ANY, |a| Ok(Value::number(numbers(a)?.into_iter().max().ok_or("no numbers")?))),
    strict("min", 1, ANY, |a| Ok(Value::number(numbers(a)?.into_iter().min().ok_or("no numbers")?))),
    strict("parseint", 2, 2, |a| {
        let base =
            u32::try_from(a.int(1)?).ok().filter(|base| (2..=36).contains(base)).ok_or("the base must be 2 to 36")?;
        let text = a.text(0)?;
        let number = BigInt::parse_bytes(text.as_bytes(), base).filter(|_| text.len() <= 1000);
        number
            .map(|number| Value::number(BigDecimal::from(number)))
            .ok_or_else(|| format!("not a number in base {base}"))
    }),
];

fn numbers(a: &Arguments<'_>) -> Result<Vec<BigDecimal>, String> {
    (0..a.len()).map(|index| a.number(index)).collect()
}

fn float(number: f64) -> Outcome {
    // Shortest text that reads back as the same float, so that pow(4, 0.5) is 2 and not 2.000000000000000111.
    let number = BigDecimal::from_f64(number).and_then(|_| number.to_string().parse::<BigDecimal>().ok());
    number.map(Value::number).ok_or_else(|| "the result is not a number".to_owned())
}

fn pow(a: &Arguments<'_>) -> Outcome {
    let (base, exponent) = (a.number(0)?, a.number(1)?);
    match exponent.to_u32().filter(|_| exponent.is_integer()) {
        Some(exponent) if exponent <= 512 && base.digits() <= 8 => {
            let mut result = BigDecimal::from(1);
            for _ in 0..exponent {
                result *= &base;
            }
            Ok(Value::number(result))
        }
        _ => float(base.to_f64().unwrap_or(f64::NAN).powf(exponent.to_f64().unwrap_or(f64::NAN))),
    }
}
