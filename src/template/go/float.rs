//! Floats to text, by Go's verbs.

/// `%g`: with an exponent if that is short or the number large. Without precision, the shortest digits that read back.
pub(super) fn general(number: f64, precision: Option<usize>, letter: char) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let (negative, digits, point) = match precision {
        None => decimal(&format!("{number:e}")),
        Some(precision) => decimal(&format!("{number:.*e}", precision.max(1) - 1)),
    };
    let sign = if negative { "-" } else { "" };
    let limit = match precision {
        None => 6,
        Some(precision) => {
            let wanted = precision.max(1);
            let kept = digits.trim_end_matches('0').len();
            if wanted > kept && i32::try_from(kept).is_ok_and(|kept| kept >= point) { kept.max(1) } else { wanted }
        }
    };
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let exponent = point - 1;
    if exponent < -4 || i32::try_from(limit).is_ok_and(|limit| exponent >= limit) {
        let rest = if digits.len() > 1 { format!(".{}", &digits[1..]) } else { String::new() };
        return format!("{sign}{}{rest}{}", &digits[..1], exponent_text(exponent, letter));
    }
    format!("{sign}{}", plain(digits, point))
}

/// `%e`: one digit, a point, and an exponent.
pub(super) fn exponential(number: f64, precision: Option<usize>, letter: char) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let text = match precision {
        None => format!("{number:e}"),
        Some(precision) => format!("{number:.precision$e}"),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{}", exponent_text(exponent.parse().unwrap_or_default(), letter))
}

/// `%f`: digits alone.
pub(super) fn fixed(number: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    match precision {
        None => format!("{number}"),
        Some(precision) => format!("{number:.precision$}"),
    }
}

fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        return Some("NaN");
    }
    if number.is_infinite() {
        return Some(if number > 0.0 { "+Inf" } else { "-Inf" });
    }
    None
}

fn exponent_text(exponent: i32, letter: char) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// Sign, digits, and how many of them stand before the point, of a number written with an exponent.
fn decimal(text: &str) -> (bool, String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().unwrap_or_default();
    (negative, digits, exponent + 1)
}

fn plain(digits: &str, point: i32) -> String {
    match usize::try_from(point) {
        Ok(0) | Err(_) => format!("0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or_default())),
        Ok(point) if point >= digits.len() => format!("{digits}{}", "0".repeat(point - digits.len())),
        Ok(point) => format!("{}.{}", &digits[..point], &digits[point..]),
    }
}

/// Sign, mantissa and exponent of two, so that the number is their product.
fn parts(number: f64) -> (bool, u64, i32) {
    let bits = number.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default();
    let negative = bits >> 63 == 1;
    if exponent == 0 { (negative, fraction, -1074) } else { (negative, fraction | (1 << 52), exponent - 1075) }
}

/// `%b`: the mantissa, and the exponent of two.
pub(super) fn binary(number: f64) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let (negative, mantissa, exponent) = parts(number);
    format!("{}{mantissa}p{exponent:+}", if negative { "-" } else { "" })
}

/// `%x`: one hexadecimal digit, a point, more of them, and the exponent of two.
pub(super) fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let (negative, mut mantissa, mut exponent) = parts(number);
    if mantissa == 0 {
        exponent = -52;
    } else {
        // One bit before the point: 52 behind it.
        while mantissa < 1 << 52 {
            mantissa <<= 1;
            exponent -= 1;
        }
    }
    if let Some(digits) = precision.filter(|digits| *digits < 13) {
        let dropped = 4 * (13 - digits);
        let (kept, rest) = (mantissa >> dropped, mantissa & ((1 << dropped) - 1));
        let half = 1u64 << (dropped - 1);
        let up = rest > half || (rest == half && kept & 1 == 1);
        mantissa = (kept + u64::from(up)) << dropped;
        if mantissa >= 1 << 53 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:013x}", mantissa & ((1 << 52) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) if precision <= 13 => digits[..precision].to_owned(),
        Some(precision) => digits + &"0".repeat(precision - 13),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let exponent = exponent + 52;
    let sign = if exponent < 0 { '-' } else { '+' };
    let minus = if negative { "-" } else { "" };
    format!("{minus}0x{}{point}{digits}p{sign}{:02}", mantissa >> 52, exponent.unsigned_abs())
}
