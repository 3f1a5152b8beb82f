//! Functions on times. The run has one start time.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::{Function, Returns, STRING, Type, Value};
use super::{function, number, text, variadic};
use crate::template::duration;
use crate::template::go::time_layout;

pub(super) const FUNCTIONS: &[Function] = &[
    function("timestamp", &[], STRING, |c| Ok(Moment::of(c.env.now).rfc3339().into())),
    function("formatdate", &[text("format"), text("time")], STRING, |c| {
        let moment = Moment::parse(c.text(1)).map_err(|error| c.wrong(1, error))?;
        format_date(c.text(0), &moment).map(Value::from).map_err(|error| c.wrong(0, error))
    }),
    function("timeadd", &[text("timestamp"), text("duration")], STRING, |c| {
        let moment = Moment::parse(c.text(0)).map_err(|error| c.wrong(0, error))?;
        let duration = duration::parse(c.text(1)).ok_or_else(|| c.wrong(1, "a duration like 1h30m is required"))?;
        Ok(moment.plus(duration).ok_or("the time is out of range")?.rfc3339().into())
    }),
    variadic("legacy_isotime", &[], text("format"), STRING, |c| {
        let layout = match c.len() {
            0 => "2006-01-02T15:04:05Z07:00",
            1 => c.text(0),
            _ => return Err(c.wrong(1, "it takes at most 1 argument")),
        };
        Ok(time_layout::format(layout, c.env.now).into())
    }),
    function("legacy_strftime", &[text("format")], STRING, |c| Ok(time_layout::strftime(c.text(0), c.env.now).into())),
    function("rfc3339_parse", &[text("timestamp")], Returns::Of(|_| Ok(parts_type("unix", Type::Number))), |c| {
        // This one takes a blank for the `T`, too.
        let mut text = c.text(0).to_owned();
        if text.is_char_boundary(10) && text.get(10..11) == Some(" ") {
            text.replace_range(10..11, "T");
        }
        let moment = Moment::parse(&text).map_err(|error| c.wrong(0, error))?;
        let unix = moment.offset.to_timestamp(moment.local).map_err(|_| "the time is out of range")?;
        Ok(moment.parts("unix", unix.as_second().into()))
    }),
    function(
        "unix_timestamp_parse",
        &[number("unix_timestamp")],
        Returns::Of(|_| Ok(parts_type("rfc3339", Type::String))),
        |c| {
            let time = Timestamp::from_second(c.int(0)?).map_err(|_| c.wrong(0, "the time is out of range"))?;
            let moment = Moment::of(time);
            Ok(moment.parts("rfc3339", moment.rfc3339().into()))
        },
    ),
];

/// A time as it is told somewhere, and how far from UTC that is.
struct Moment {
    local: DateTime,
    offset: Offset,
}

impl Moment {
    fn of(time: Timestamp) -> Self {
        Self { local: Offset::UTC.to_datetime(time), offset: Offset::UTC }
    }

    /// Reads RFC 3339 to the letter: `2006-01-02T15:04:05Z`, or with `-07:00` in place of the `Z`.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a time like 2006-01-02T15:04:05Z is required".to_owned();
        let bytes = text.as_bytes();
        let shape = |pattern: &[u8], at: usize| {
            bytes.get(at..at + pattern.len()).is_some_and(|part| {
                part.iter().zip(pattern).all(|(byte, wanted)| match wanted {
                    b'0' => byte.is_ascii_digit(),
                    other => byte == other,
                })
            })
        };
        if !shape(b"0000-00-00T00:00:00", 0) {
            return Err(wrong());
        }
        let mut end = 19;
        if bytes.get(end) == Some(&b'.') {
            end += 1 + bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if end == 20 {
                return Err(wrong());
            }
        }
        let number = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<i32>().ok()).unwrap_or(99);
        let offset = match bytes.get(end) {
            Some(b'Z') if bytes.len() == end + 1 => 0,
            Some(sign @ (b'+' | b'-')) if bytes.len() == end + 6 && shape(b"00:00", end + 1) => {
                let (hours, minutes) = (number(end + 1), number(end + 4));
                if hours > 23 || minutes > 59 {
                    return Err(wrong());
                }
                (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return Err(wrong()),
        };
        let local = text[..19].parse().map_err(|_| "there is no such time".to_owned())?;
        let offset = Offset::from_seconds(offset).map_err(|_| wrong())?;
        Ok(Self { local, offset })
    }

    fn plus(self, duration: SignedDuration) -> Option<Self> {
        Some(Self { local: self.local.checked_add(duration).ok()?, ..self })
    }

    /// The offset, with what stands between its hours and minutes.
    fn zone(&self, between: &str) -> String {
        let seconds = self.offset.seconds();
        let minutes = seconds.unsigned_abs() / 60;
        format!("{}{:02}{between}{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }

    fn rfc3339(&self) -> String {
        let zone = if self.offset == Offset::UTC { "Z".to_owned() } else { self.zone(":") };
        self.local.strftime("%Y-%m-%dT%H:%M:%S").to_string() + &zone
    }

    /// What a calendar and a clock say, and one thing more.
    fn parts(&self, more: &str, value: Value) -> Value {
        let local = self.local;
        let week = local.date().iso_week_date();
        let numbers: [i64; 10] = [
            local.day().into(),
            local.hour().into(),
            week.week().into(),
            week.year().into(),
            local.minute().into(),
            local.month().into(),
            local.second().into(),
            local.weekday().to_sunday_zero_offset().into(),
            local.year().into(),
            local.day_of_year().into(),
        ];
        let mut entries: BTreeMap<String, Value> =
            NUMBERS.iter().zip(numbers).map(|(name, number)| ((*name).to_owned(), number.into())).collect();
        for (name, directive) in TEXTS {
            entries.insert(name.to_owned(), local.strftime(directive).to_string().into());
        }
        entries.insert(more.to_owned(), value);
        Value::object(entries)
    }
}

const NUMBERS: [&str; 10] =
    ["day", "hour", "iso_week", "iso_year", "minute", "month", "second", "weekday", "year", "year_day"];
const TEXTS: [(&str, &str); 2] = [("month_name", "%B"), ("weekday_name", "%A")];

fn parts_type(more: &str, ty: Type) -> Type {
    let numbers = NUMBERS.iter().map(|name| ((*name).to_owned(), Type::Number));
    let texts = TEXTS.iter().map(|(name, _)| ((*name).to_owned(), Type::String));
    Type::object(numbers.chain(texts).chain([(more.to_owned(), ty)]))
}

/// A time by HCL's own format: `YYYY-MM-DD'T'hh:mm:ssZ`.
fn format_date(format: &str, moment: &Moment) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (quoted, after) = quoted(&rest[1..])?;
            text.push_str(&quoted);
            rest = after;
            continue;
        }
        let end = rest.find(|other| other != first).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if !first.is_ascii_alphabetic() {
            text.push_str(run);
            continue;
        }
        let utc = moment.offset == Offset::UTC;
        match run {
            "Z" if utc => text.push('Z'),
            "ZZZ" if utc => text.push_str("UTC"),
            "ZZZ" | "ZZZZ" => text.push_str(&moment.zone("")),
            "Z" | "ZZZZZ" => text.push_str(&moment.zone(":")),
            _ => text.push_str(&moment.local.strftime(directive(run)?).to_string()),
        }
    }
    Ok(text)
}

/// The text up to the closing quote, in which a quote is written twice, and what follows. Two quotes alone are one.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    if let Some(after) = rest.strip_prefix('\'') {
        return Ok(("'".to_owned(), after));
    }
    let mut text = String::new();
    let mut rest = rest;
    loop {
        let end = rest.find('\'').ok_or("a quoted part is not closed")?;
        text.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                text.push('\'');
                rest = after;
            }
            None => return Ok((text, rest)),
        }
    }
}

fn directive(run: &str) -> Result<&'static str, String> {
    Ok(match run {
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
        run => return Err(format!("`{run}` means nothing in a time format; put text in single quotes")),
    })
}
