//! Functions on times. All times are UTC; the run has one start time.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Arguments, Function, Outcome, Value, strict};
use crate::template::duration;
use crate::template::json::interpolate::time_layout;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("timestamp", 0, 0, |a| Ok(rfc3339(a.env.now).into())),
    strict("formatdate", 2, 2, |a| format_date(&a.text(0)?, parse(&a.text(1)?)?).map(Value::from)),
    strict("timeadd", 2, 2, |a| {
        let duration = duration::parse(&a.text(1)?).ok_or("argument 2 must be a duration like 1h30m")?;
        let time = parse(&a.text(0)?)?.checked_add(duration).map_err(|error| error.to_string())?;
        Ok(rfc3339(time).into())
    }),
    strict("legacy_isotime", 0, 1, |a| {
        let layout = if a.len() == 0 { "2006-01-02T15:04:05Z07:00".to_owned() } else { a.text(0)? };
        Ok(time_layout::format(&layout, a.env.now).into())
    }),
    strict("legacy_strftime", 1, 1, |a| Ok(time_layout::strftime(&a.text(0)?, a.env.now).into())),
    strict("rfc3339_parse", 1, 1, |a| Ok(parts(parse(&a.text(0)?)?))),
    strict("unix_timestamp_parse", 1, 1, unix),
];

fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn parse(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "the time must be like 2006-01-02T15:04:05Z".to_owned())
}

fn unix(a: &Arguments<'_>) -> Outcome {
    Timestamp::from_second(a.int(0)?).map(parts).map_err(|error| error.to_string())
}

fn parts(time: Timestamp) -> Value {
    let zoned = time.to_zoned(TimeZone::UTC);
    let numbers = [
        ("year", i64::from(zoned.year())),
        ("month", zoned.month().into()),
        ("day", zoned.day().into()),
        ("hour", zoned.hour().into()),
        ("minute", zoned.minute().into()),
        ("second", zoned.second().into()),
        ("year_day", zoned.day_of_year().into()),
        ("unix", time.as_second()),
    ];
    let mut entries: std::collections::BTreeMap<String, Value> =
        numbers.into_iter().map(|(name, number)| (name.to_owned(), Value::from(number))).collect();
    entries.insert("rfc3339".to_owned(), rfc3339(time).into());
    entries.insert("weekday".to_owned(), i64::from(zoned.weekday().to_sunday_zero_offset()).into());
    Value::object(entries)
}

/// A time by HCL's own format: `YYYY-MM-DD'T'hh:mm:ssZ`.
fn format_date(format: &str, time: Timestamp) -> Result<String, String> {
    let zoned = time.to_zoned(TimeZone::UTC);
    let mut text = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted.find('\'').ok_or("a quoted part is not closed")?;
            text.push_str(&quoted[..end]);
            rest = &quoted[end + 1..];
            continue;
        }
        let run: String = rest.chars().take_while(|c| *c == first).collect();
        rest = &rest[run.len()..];
        let directive = match run.as_str() {
            "YYYY" => "%Y",
            "YY" => "%y",
            "MMMM" => "%B",
            "MMM" => "%b",
            "MM" => "%m",
            "M" => "%-m",
            "DD" => "%d",
            "D" => "%-d",
            "EEEE" => "%A",
            "EEE" => "%a",
            "hh" => "%H",
            "h" => "%-H",
            "HH" => "%I",
            "H" => "%-I",
            "AA" => "%p",
            "aa" => "%P",
            "mm" => "%M",
            "m" => "%-M",
            "ss" => "%S",
            "s" => "%-S",
            "ZZZZZ" => "+00:00",
            "ZZZZ" => "+0000",
            "ZZZ" => "UTC",
            "Z" => "Z",
            run if run.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                return Err(format!("`{run}` means nothing in a time format; put text in single quotes"));
            }
            run => {
                text.push_str(run);
                continue;
            }
        };
        text.push_str(&zoned.strftime(directive).to_string());
    }
    Ok(text)
}
