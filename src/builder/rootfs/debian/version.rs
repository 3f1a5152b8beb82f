//! Debian versions and their order (deb-version(7)).

use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]` versions.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0).then_with(|| compare_part(a.1, b.1)).then_with(|| compare_part(a.2, b.2))
}

/// Epoch, upstream version and revision. What is no number as an epoch counts as 0.
fn split(version: &str) -> (u64, &str, &str) {
    let version = version.trim();
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternates between a stretch without digits and a number, as dpkg does.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let ordering = compare_non_digits(&mut a, &mut b);
        if ordering.is_ne() {
            return ordering;
        }
        let ordering = compare_numbers(&mut a, &mut b);
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn compare_non_digits(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let is_letter = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
    while is_letter(a) || is_letter(b) {
        let ordering = weight(a).cmp(&weight(b));
        if ordering.is_ne() {
            return ordering;
        }
        // Equal weights mean that both are at the same character, for the end weighs as much as a digit only.
        *a = a.get(1..).unwrap_or_default();
        *b = b.get(1..).unwrap_or_default();
    }
    Ordering::Equal
}

/// `~` sorts before the end, the end before letters, letters before the rest.
fn weight(rest: &[u8]) -> i32 {
    match rest.first() {
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    }
}

fn compare_numbers(a: &mut &[u8], b: &mut &[u8]) -> Ordering {
    let (x, y) = (take_number(a), take_number(b));
    x.len().cmp(&y.len()).then_with(|| x.cmp(y))
}

/// The digits at the start, without leading zeros.
fn take_number<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|c| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, tail) = rest.split_at(end);
    *rest = tail;
    let zeros = number.iter().position(|c| *c != b'0').unwrap_or(number.len());
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_versions() {
        // Each is less than the next.
        let sorted = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0-0~1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1+deb12u1",
            "1.0-2",
            "1.0-10",
            "1.0a-1",
            "1.0+b-1",
            "1.00.1",
            "1.1",
            "1.9",
            "1.10",
            "2.36-9+deb12u10",
            "1:0.1",
            "10:0",
        ];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn equal_versions() {
        for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.00"), ("1.0-0", "1.0"), ("0001", "1"), ("", "")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
        }
    }
}
