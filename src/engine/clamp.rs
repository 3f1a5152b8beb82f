//! The latest time that an image may hold: `SOURCE_DATE_EPOCH`.
//!
//! <https://reproducible-builds.org/specs/source-date-epoch/>: decimal seconds since 1970; tools use it in the place of
//! the current time, and must not accept a malformed one.

use crate::error::{Error, Result};

/// Name of the variable, for the host and in guests.
pub const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Later times become this one; earlier ones stay. Without a limit (the default), all stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clamp(Option<u32>);

impl Clamp {
    /// No time is later than `seconds` since 1970.
    pub fn at(seconds: u32) -> Self {
        Self(Some(seconds))
    }

    /// Reads the variable's value; without one there is no limit. Dates up to 2106 are taken, which is what gzip,
    /// squashfs and byte-code can hold.
    pub fn parse(value: Option<&str>) -> Result<Self> {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(Self(None)) };
        let seconds = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten();
        match seconds {
            Some(seconds) => Ok(Self(Some(seconds))),
            None => Err(Error::new(format!("{VARIABLE} is {value:?}, which is not a number of seconds since 1970"))
                .hint(format!("set it to a whole number: {VARIABLE}=$(git log -1 --format=%ct)"))),
        }
    }

    /// The limit in seconds since 1970.
    pub fn seconds(self) -> Option<u32> {
        self.0
    }

    /// A time in seconds and nanoseconds, or the limit if that is earlier.
    #[must_use]
    pub fn time(self, time: (i64, i64)) -> (i64, i64) {
        self.0.map_or(time, |limit| time.min((limit.into(), 0)))
    }

    /// The variable as commands are given it, where there is a limit.
    pub fn variable(self) -> Option<(String, String)> {
        self.0.map(|limit| (VARIABLE.to_owned(), limit.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_later_times_change() {
        let clamp = Clamp::parse(Some("100")).unwrap();
        assert_eq!(clamp.time((99, 999_999_999)), (99, 999_999_999));
        assert_eq!(clamp.time((100, 1)), (100, 0));
        assert_eq!(clamp.time((-5, 1)), (-5, 1));
        assert_eq!(Clamp::parse(Some("")).unwrap().time((7, 7)), (7, 7));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in ["x", "-1", "+1", " 1", "1.5", "99999999999"] {
            assert!(Clamp::parse(Some(wrong)).unwrap_err().to_string().contains("SOURCE_DATE_EPOCH"), "{wrong}");
        }
    }
}
