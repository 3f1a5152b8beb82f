use super::*;

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn text_is_read_and_written_in_full() {
    for (text, shown) in [
        ("0", "0"),
        ("-0", "-0"),
        ("-1", "-1"),
        ("0.1", "0.1"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("100", "100"),
        ("-0.0000001", "-0.0000001"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1.50", "1.5"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0e999999999", "0"),
    ] {
        assert_eq!(number(text).to_string(), shown, "{text}");
    }
    let long = "e".repeat(3);
    for text in [
        "",
        "x",
        "0x10",
        "1e999999999",
        "1e-999999999",
        "1e5000",
        "--1",
        "+-1",
        "NaN",
        "Inf",
        "1_000",
        " 1",
        ".",
        "1e",
        "1e+",
        "1.2.3",
        "é",
        &long,
    ] {
        assert_eq!(Number::parse(text), None, "{text}");
    }
    assert_eq!(Number::parse(&"9".repeat(9000)), None);
}

/// What Packer 1.6.6 shows of the same operations.
#[test]
fn operations_give_packers_digits() {
    let third = format!("0.{}35", "3".repeat(153));
    assert_eq!(number("1").over(&number("3")).expect("a quotient").to_string(), third);
    assert_eq!(Number::from(1).over(&number("3")).expect("a quotient").to_string(), third);
    let (up, down) = (Number::integer(number("1.2").ceil()), Number::integer(number("3.3").floor()));
    assert_eq!(up.over(&down).expect("a quotient").to_string(), "0.6666666666666666667");
    assert_eq!(number("5").remainder(&number("0.3")).expect("not zero").to_string(), "0.19999999999999999983");
    assert_eq!(number("1e30").remainder(&number("7")).expect("not zero").to_string(), "0");
    assert_eq!(number("-7.5").remainder(&number("2")).expect("not zero").to_string(), "-1.5");
    let root = Number::float(2_f64.sqrt()).expect("finite").plus(&number("1"));
    assert_eq!(root.to_string(), "2.4142135623730951454746218587388284504413604736328125");
    let nines = format!("3.333333333333333333333332{}8", "9".repeat(129));
    let quotient = number("9.999999999999999999999999").over(&number("3")).expect("a quotient");
    assert_eq!(quotient.to_string(), nines);
    assert_eq!(number("0").times(&number("-1")).to_string(), "-0");
    assert!(number("1").over(&number("-0")).is_none() && number("1").remainder(&number("0")).is_none());
}

#[test]
fn whole_numbers_are_rounded_towards_either_side() {
    for (text, floor, ceil, cut) in [
        ("1.5", 1, 2, 1),
        ("-1.5", -2, -1, -1),
        ("3", 3, 3, 3),
        ("-3", -3, -3, -3),
        ("0.1", 0, 1, 0),
        ("-0.1", -1, 0, 0),
    ] {
        let number = number(text);
        assert_eq!((number.floor(), number.ceil(), number.truncated()), (floor.into(), ceil.into(), cut.into()));
    }
    assert_eq!(number("9223372036854775807").to_i64(), Some(i64::MAX));
    assert_eq!(number("9223372036854775808").to_i64(), None);
    assert_eq!(number("1.5").to_i64(), None);
    assert_eq!(number("1e400").to_i64(), None);
}

#[test]
fn floats_go_both_ways() {
    for value in [0.0, 1.0, -1.5, 0.1, 1e300, 1e-300, f64::MAX, f64::MIN_POSITIVE, 123_456.789] {
        assert_eq!(Number::float(value).expect("finite").to_f64().to_bits(), f64::to_bits(value), "{value}");
        assert_eq!(Number::parse(&format!("{value:e}")).expect("a number").to_f64().to_bits(), value.to_bits());
    }
    assert!(number("1e400").to_f64().is_infinite());
    assert!(Number::float(f64::NAN).is_none() && Number::float(f64::INFINITY).is_none());
}

#[test]
fn digits_are_written_in_each_form() {
    let shown = |text: &str, places: Places, fraction: usize| {
        let digits = number(text).digits(places);
        (digits.plain(fraction), digits.scientific(fraction, 'e'))
    };
    let both = |plain: &str, scientific: &str| (plain.to_owned(), scientific.to_owned());
    assert_eq!(shown("2.25", Places::Fraction(1), 1), both("2.2", "2.2e+00"));
    assert_eq!(shown("0.00001234", Places::Shortest, 0), both("0.00001234", "1.234e-05"));
    assert_eq!(shown("12345.678", Places::Significant(3), 4), both("12300.0000", "1.2300e+04"));
    assert_eq!(shown("0.04", Places::Fraction(1), 1), both("0.0", "0.0e+00"));
    assert_eq!(shown("99.96", Places::Fraction(1), 1), both("100.0", "1.0e+02"));
    assert_eq!(shown("0.6", Places::Fraction(0), 0), both("1", "1e+00"));
}

proptest::proptest! {
    #[test]
    fn whole_numbers_calculate_as_integers(left in proptest::num::i64::ANY, right in proptest::num::i64::ANY) {
        let (a, b) = (Number::parse(&left.to_string()).expect("a number"), Number::parse(&right.to_string()).expect("a number"));
        let (x, y) = (i128::from(left), i128::from(right));
        proptest::prop_assert_eq!(a.plus(&b).to_string(), (x + y).to_string());
        proptest::prop_assert_eq!(a.minus(&b).to_string(), (x - y).to_string());
        proptest::prop_assert_eq!(a.times(&b).truncated().to_string(), (x * y).to_string());
        proptest::prop_assert_eq!(a.cmp(&b), left.cmp(&right));
    }

    #[test]
    fn text_reads_back_as_the_same_number(bits in proptest::num::u64::ANY) {
        let value = f64::from_bits(bits);
        if let Some(number) = Number::float(value) {
            let shown = number.digits(Places::Shortest).scientific(0, 'e');
            let read: f64 = shown.parse().expect("a float");
            proptest::prop_assert_eq!(read.to_bits(), value.abs().to_bits());
        }
    }
}
