//! Values of fields, put together with one allocation: the `http` crate needs two for a number.

use std::fmt::{Arguments, Write as _};
use std::io::Write as _;

use http::HeaderValue;

/// What most values are shorter than, in bytes.
const SHORT: usize = 96;

/// A value put together; `None` where a field cannot have it.
pub(crate) fn value(text: Arguments<'_>) -> Option<HeaderValue> {
    let mut room = [0; SHORT];
    let mut left = &mut room[..];
    if left.write_fmt(text).is_ok() {
        let length = SHORT - left.len();
        return HeaderValue::from_bytes(&room[..length]).ok();
    }
    let mut long = String::with_capacity(4 * SHORT);
    long.write_fmt(text).ok()?;
    HeaderValue::try_from(long).ok()
}

/// A number.
pub(crate) fn number(number: u64) -> HeaderValue {
    value(format_args!("{number}")).unwrap_or_else(|| HeaderValue::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_length_are_what_was_written() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 5 * SHORT] {
            let text = "x".repeat(length);
            assert_eq!(value(format_args!("{text}")).unwrap(), text);
        }
        assert_eq!(value(format_args!("a\nb")), None);
        assert_eq!(value(format_args!("{}\n", "x".repeat(SHORT))), None);
        assert_eq!((number(0), number(u64::MAX)), (HeaderValue::from(0), HeaderValue::from(u64::MAX)));
    }
}
