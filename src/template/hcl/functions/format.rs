//! `format` and `formatlist`: verbs as Go's, on values.

use unicode_segmentation::UnicodeSegmentation as _;

use super::{Call, Failure, Function, MAX_RESULT, Outcome, STRING, STRINGS, TOO_LARGE, Type, Value};
use super::{any, text, variadic};
use crate::template::hcl::convert::{convert, json};
use crate::template::hcl::number::{Number, Places};
use crate::template::hcl::value::Kind;

/// Widest field, and most digits after a point.
const MAX_WIDTH: usize = 10_000;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("format", &[text("format")], any("args").or_null(), STRING, |c| {
        format_text(c.text(0), &c.values[1..]).map(Value::string)
    }),
    variadic("formatlist", &[text("format")], any("args").or_null(), STRINGS, format_list),
];

/// One line for each element of the lists, which must be of one length; what is no list is the same in all.
fn format_list(c: &Call<'_>) -> Outcome {
    let arguments = &c.values[1..];
    let mut length: Option<(usize, usize)> = None;
    for (index, value) in arguments.iter().enumerate() {
        let Some(elements) = value.elements() else { continue };
        match length {
            Some((first, length)) if length != elements.len() => {
                let message = format!("it has {} elements, and argument {} has {length}", elements.len(), first + 2);
                return Err(c.wrong(index + 1, message));
            }
            _ => length = length.or(Some((index, elements.len()))),
        }
    }
    let mut lines = Vec::new();
    let mut total = 0;
    for line in 0..length.map_or(1, |(_, length)| length) {
        let row: Vec<Value> = arguments
            .iter()
            .map(|value| value.elements().map_or_else(|| value.clone(), |elements| elements[line].clone()))
            .collect();
        let text = format_text(c.text(0), &row)?;
        total += text.len();
        if total > MAX_RESULT {
            return Err(TOO_LARGE.into());
        }
        lines.push(text);
    }
    Ok(Value::strings(lines))
}

/// A verb and what stands between it and its `%`.
#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    hash: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// Which argument, counted from 1.
    index: Option<usize>,
    letter: char,
}

fn format_text(format: &str, arguments: &[Value]) -> Result<String, Failure> {
    let mut text = String::new();
    let (mut next, mut used) = (0, 0);
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let verb = read_verb(&mut rest)?;
        let index = verb.index.map_or(next, |index| index - 1);
        let argument = arguments.get(index).ok_or_else(|| {
            Failure::Argument(0, format!("it asks for {}, and {} are given", index + 1, arguments.len()))
        })?;
        let shown = verb.show(argument).map_err(|message| Failure::Argument(index + 1, message))?;
        text.push_str(&shown);
        next = index + 1;
        used = used.max(next);
        if text.len() > MAX_RESULT {
            return Err(TOO_LARGE.into());
        }
    }
    text.push_str(rest);
    if used < arguments.len() {
        return Err(Failure::Argument(used + 1, format!("too many arguments: the format uses {used}")));
    }
    Ok(text)
}

fn read_verb(rest: &mut &str) -> Result<Verb, Failure> {
    let wrong = |message: &str| Failure::Argument(0, message.to_owned());
    let mut verb = Verb::default();
    let mut characters = rest.chars();
    let mut next = characters.next();
    while let Some(flag) = next {
        match flag {
            '-' => verb.minus = true,
            '+' => verb.plus = true,
            '#' => verb.hash = true,
            ' ' => verb.space = true,
            '0' => verb.zero = true,
            _ => break,
        }
        next = characters.next();
    }
    let mut number = |next: &mut Option<char>| -> Result<Option<usize>, Failure> {
        let mut value: Option<usize> = None;
        while let Some(digit) = next.and_then(|digit| digit.to_digit(10)) {
            let wider = value.unwrap_or(0) * 10 + digit as usize;
            if wider > MAX_WIDTH {
                return Err(wrong("a width is too large"));
            }
            value = Some(wider);
            *next = characters.next();
        }
        Ok(value)
    };
    verb.width = number(&mut next)?;
    let skip = |next: &mut Option<char>, wanted: char| {
        let is_there = *next == Some(wanted);
        if is_there {
            *next = None;
        }
        is_there
    };
    if skip(&mut next, '.') {
        next = Some('0');
        verb.precision = number(&mut next)?;
    }
    if skip(&mut next, '[') {
        next = Some('0');
        verb.index = number(&mut next)?.filter(|index| *index > 0);
        if verb.index.is_none() || next != Some(']') {
            return Err(wrong("the number of an argument is written like %[1]s"));
        }
        next = characters.next();
    }
    verb.letter = next.filter(char::is_ascii_alphabetic).ok_or_else(|| match next {
        Some(other) => wrong(&format!("`{other}` is no verb")),
        None => wrong("it ends within a verb; write %% for a percent sign"),
    })?;
    *rest = characters.as_str();
    Ok(verb)
}

impl Verb {
    fn show(&self, argument: &Value) -> Result<String, String> {
        if argument.is_null() && self.letter != 'v' {
            return Err(format!("null cannot be shown by %{}", self.letter));
        }
        match self.letter {
            'v' => self.value(argument),
            't' => match convert(argument, &Type::Bool)?.as_bool() {
                Some(value) => Ok(value.to_string()),
                None => Err("a bool is required".to_owned()),
            },
            's' => Ok(self.field(&self.cut(&string(argument)?))),
            'q' => {
                let quoted = json::encode(&Value::string(self.cut(&string(argument)?)))?;
                Ok(self.field(&quoted))
            }
            'd' | 'b' | 'o' | 'x' | 'X' => self.whole(&number(argument)?),
            'e' | 'E' | 'f' | 'g' | 'G' => Ok(self.fraction(&number(argument)?)),
            other => Err(format!("there is no verb %{other}")),
        }
    }

    /// A string as it is, what is no string as JSON; with `#`, strings too.
    fn value(&self, argument: &Value) -> Result<String, String> {
        match argument.kind() {
            Kind::String(text) if !self.hash => Ok(self.field(text)),
            Kind::Number(number) if !self.hash => {
                let general = Self { plus: false, space: false, precision: None, letter: 'g', ..*self };
                Ok(general.fraction(number))
            }
            _ => Ok(self.field(&json::encode(argument)?)),
        }
    }

    fn whole(&self, number: &Number) -> Result<String, String> {
        if !number.is_integer() {
            return Err("a whole number is required".to_owned());
        }
        let whole = number.truncated();
        let digits = whole.magnitude().to_str_radix(match self.letter {
            'b' => 2,
            'o' => 8,
            'x' | 'X' => 16,
            _ => 10,
        });
        let digits = match self.precision {
            Some(0) if digits == "0" => String::new(),
            Some(least) => "0".repeat(least.saturating_sub(digits.len())) + &digits,
            None => digits,
        };
        let digits = if self.letter == 'X' { digits.to_uppercase() } else { digits };
        let prefix = match (self.hash, self.letter) {
            (true, 'b') => "0b",
            (true, 'o') => "0",
            (true, 'x') => "0x",
            (true, 'X') => "0X",
            _ => "",
        };
        let sign = self.sign(whole.sign() == num_bigint::Sign::Minus);
        let zero = self.zero && self.precision.is_none();
        Ok(self.number_field(&format!("{sign}{prefix}"), &digits, zero))
    }

    fn fraction(&self, number: &Number) -> String {
        let e = if self.letter.is_uppercase() { 'E' } else { 'e' };
        let digits = match self.letter {
            'e' | 'E' => {
                let places = self.precision.unwrap_or(6);
                number.digits(Places::Significant(places + 1)).scientific(places, e)
            }
            'f' => {
                let places = self.precision.unwrap_or(6);
                number.digits(Places::Fraction(places)).plain(places)
            }
            _ => self.general(number, e),
        };
        self.number_field(self.sign(number.is_negative()), &digits, self.zero)
    }

    /// As few digits as needed, with an exponent if it is far from 0.
    fn general(&self, number: &Number, e: char) -> String {
        let places = self.precision.map_or(Places::Shortest, |precision| Places::Significant(precision.max(1)));
        let digits = number.digits(places);
        let count = i64::try_from(digits.digits.len()).unwrap_or(i64::MAX);
        let most = match self.precision {
            None => 6,
            Some(precision) => {
                let most = i64::try_from(precision.max(1)).unwrap_or(i64::MAX);
                if most > count && count >= digits.point { count } else { most }
            }
        };
        let power = if digits.digits.is_empty() { 0 } else { digits.point - 1 };
        if power < -4 || power >= most { digits.scientific(0, e) } else { digits.plain(0) }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// The first characters, as many as the precision says; 0 says nothing.
    fn cut(&self, text: &str) -> String {
        match self.precision {
            Some(precision) if precision > 0 => text.graphemes(true).take(precision).collect(),
            _ => text.to_owned(),
        }
    }

    fn missing(&self, text: &str) -> usize {
        self.width.unwrap_or(0).saturating_sub(text.graphemes(true).count())
    }

    fn field(&self, text: &str) -> String {
        let missing = self.missing(text);
        match (self.minus, self.zero) {
            (true, _) => format!("{text}{}", " ".repeat(missing)),
            (false, true) => format!("{}{text}", "0".repeat(missing)),
            (false, false) => format!("{}{text}", " ".repeat(missing)),
        }
    }

    fn number_field(&self, sign: &str, digits: &str, zero: bool) -> String {
        let text = format!("{sign}{digits}");
        let missing = self.missing(&text);
        match (self.minus, zero) {
            (true, _) => text + &" ".repeat(missing),
            (false, true) => format!("{sign}{}{digits}", "0".repeat(missing)),
            (false, false) => " ".repeat(missing) + &text,
        }
    }
}

fn string(argument: &Value) -> Result<String, String> {
    let converted = convert(argument, &Type::String)?;
    Ok(converted.as_str().unwrap_or_default().to_owned())
}

fn number(argument: &Value) -> Result<Number, String> {
    convert(argument, &Type::Number)?.as_number().cloned().ok_or_else(|| "a number is required".to_owned())
}
