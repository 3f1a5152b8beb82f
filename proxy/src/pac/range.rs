//! Days, dates and hours: `weekdayRange`, `dateRange`, `timeRange`.

use jiff::Zoned;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

/// An argument of a script, as text and, where it is one, as a number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arg {
    pub(super) text: String,
    pub(super) number: Option<i32>,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Takes a last argument `GMT` off, and gives the time in the zone that is meant.
fn zone<'a>(args: &'a [Arg], now: &Zoned) -> (&'a [Arg], Zoned) {
    match args.split_last() {
        Some((last, rest)) if last.text.eq_ignore_ascii_case("GMT") => (rest, now.with_time_zone(TimeZone::UTC)),
        _ => (args, now.clone()),
    }
}

fn position(names: &[&str], arg: &Arg) -> Option<i32> {
    let found = names.iter().position(|name| name.eq_ignore_ascii_case(&arg.text))?;
    i32::try_from(found).ok()
}

/// Whether a value is from `first` to `last`, both included; backwards, round the end.
fn between<T: PartialOrd>(first: &T, value: &T, last: &T) -> bool {
    if first <= last { first <= value && value <= last } else { value >= first || value <= last }
}

/// `weekdayRange(day [, day] [, "GMT"])`.
pub(super) fn weekday(args: &[Arg], now: &Zoned) -> bool {
    let (args, now) = zone(args, now);
    let days: Option<Vec<i32>> = args.iter().map(|arg| position(&DAYS, arg)).collect();
    let today = i32::from(Weekday::to_sunday_zero_offset(now.weekday()));
    match days.as_deref() {
        Some([day]) => *day == today,
        Some([first, last]) => between(first, &today, last),
        _ => false,
    }
}

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Day(i32),
    Month(i32),
    Year(i32),
}

fn part(arg: &Arg) -> Option<Part> {
    match arg.number {
        Some(number @ 1..=31) => Some(Part::Day(number)),
        Some(number) if number > 31 => Some(Part::Year(number)),
        Some(_) => None,
        None => position(&MONTHS, arg).map(Part::Month),
    }
}

/// `dateRange(...)`: a day, month or year; or two of the same make, from the first to the last.
pub(super) fn date(args: &[Arg], now: &Zoned) -> bool {
    use Part::{Day, Month, Year};
    let (args, now) = zone(args, now);
    let Some(parts) = args.iter().map(part).collect::<Option<Vec<Part>>>() else { return false };
    let (day, month, year) = (i32::from(now.day()), i32::from(now.month()) - 1, i32::from(now.year()));
    match parts.as_slice() {
        [Day(one)] => *one == day,
        [Month(one)] => *one == month,
        [Year(one)] => *one == year,
        [Day(first), Day(last)] => between(first, &day, last),
        [Month(first), Month(last)] => between(first, &month, last),
        [Year(first), Year(last)] => *first <= year && year <= *last,
        [Day(d1), Month(m1), Day(d2), Month(m2)] => between(&(*m1, *d1), &(month, day), &(*m2, *d2)),
        [Month(m1), Year(y1), Month(m2), Year(y2)] => (*y1, *m1) <= (year, month) && (year, month) <= (*y2, *m2),
        [Day(d1), Month(m1), Year(y1), Day(d2), Month(m2), Year(y2)] => {
            let today = (year, month, day);
            (*y1, *m1, *d1) <= today && today <= (*y2, *m2, *d2)
        }
        _ => false,
    }
}

/// `timeRange(...)`: an hour; or from one hour, minute or second to another.
pub(super) fn time(args: &[Arg], now: &Zoned) -> bool {
    let (args, now) = zone(args, now);
    let Some(parts) = args.iter().map(|arg| arg.number).collect::<Option<Vec<i32>>>() else { return false };
    let (hour, minute, second) = (i32::from(now.hour()), i32::from(now.minute()), i32::from(now.second()));
    let seconds =
        |hour: i32, minute: i32, second: i32| i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let now = seconds(hour, minute, second);
    match *parts.as_slice() {
        [one] => one == hour,
        // Browsers count the whole of the last hour and the last minute in.
        [first, last] => between(&first, &hour, &last),
        [h1, m1, h2, m2] => between(&seconds(h1, m1, 0), &now, &seconds(h2, m2, 59)),
        [h1, m1, s1, h2, m2, s2] => between(&seconds(h1, m1, s1), &now, &seconds(h2, m2, s2)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    fn args(text: &str) -> Vec<Arg> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| Arg { text: word.to_owned(), number: word.parse().ok() }).collect()
    }

    /// A Monday, in a zone where it is already Tuesday by GMT.
    fn now() -> Zoned {
        datetime(2026, 11, 23, 17, 30, 30, 0).to_zoned(TimeZone::fixed(jiff::tz::offset(-8))).unwrap()
    }

    fn all(function: fn(&[Arg], &Zoned) -> bool, table: &[(&str, bool)]) {
        for (text, expected) in table {
            assert_eq!(function(&args(text), &now()), *expected, "({text})");
        }
    }

    #[test]
    fn weekdays() {
        all(
            weekday,
            &[
                ("MON", true),
                ("mon", true),
                ("TUE", false),
                ("TUE,GMT", true),
                ("MON,GMT", false),
                ("MON,FRI", true),
                ("SUN,MON", true),
                ("FRI,MON", true),
                ("FRI,SUN", false),
                ("TUE,SAT", false),
                ("", false),
                ("GMT", false),
                ("HOLIDAY", false),
            ],
        );
    }

    #[test]
    fn dates() {
        all(
            date,
            &[
                ("23", true),
                ("24", false),
                ("24,GMT", true),
                ("NOV", true),
                ("2026", true),
                ("2025", false),
                ("20,25", true),
                ("25,20", false),
                ("23,5", true),
                ("OCT,DEC", true),
                ("NOV,FEB", true),
                ("JAN,MAR", false),
                ("2025,2027", true),
                ("2027,2025", false),
                ("23,NOV,24,NOV", true),
                ("24,NOV,1,DEC", false),
                ("20,DEC,5,JAN", false),
                ("1,NOV,5,JAN", true),
                ("NOV,2026,DEC,2026", true),
                ("DEC,2026,FEB,2027", false),
                ("1,JAN,2026,23,NOV,2026", true),
                ("24,NOV,2026,1,JAN,2027", false),
                ("24,NOV,2026,1,JAN,2027,GMT", true),
                ("23,2026", false),
                ("0", false),
                ("", false),
            ],
        );
    }

    #[test]
    fn times() {
        all(
            time,
            &[
                ("17", true),
                ("16", false),
                ("1,GMT", true),
                ("9,17", true),
                ("9,16", false),
                ("18,9", false),
                ("22,17", true),
                ("8,30,17,30", true),
                ("8,30,17,29", false),
                ("17,31,18,0", false),
                ("0,0,0,17,30,30", true),
                ("0,0,0,17,30,29", false),
                ("a,b", false),
                ("", false),
            ],
        );
    }
}
