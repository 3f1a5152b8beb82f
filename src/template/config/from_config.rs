//! The types options can have, decoded as Packer does: by HCL's rules of conversion, and in legacy templates weakly.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::decode::A_LIST;
use super::{Content, Decoder, FromConfig, Item, OptionType, Schema};
use crate::template::diagnostic::Diagnostic;
use crate::template::duration;
use crate::template::hcl::value::{Kind, Number, Value};

impl FromConfig for String {
    fn option_type() -> OptionType {
        OptionType::String
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = match item.value().map(Value::kind) {
            Some(Kind::Bool(value)) if decoder.is_weak() => Some(u8::from(*value).to_string()),
            _ => item.value().and_then(Value::scalar_text),
        };
        match text {
            Some(text) => decoder.text(item, &text),
            None => decoder.mismatch(item, "a string"),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl FromConfig for PathBuf {
    fn option_type() -> OptionType {
        OptionType::Path
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        String::from_config(item, decoder).map(Self::from)
    }

    fn show(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl FromConfig for bool {
    fn option_type() -> OptionType {
        OptionType::Bool
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = match item.value().map(Value::kind) {
            Some(Kind::Bool(value)) => return Some(*value),
            Some(Kind::Number(number)) if decoder.is_weak() => return Some(!number.is_zero()),
            Some(Kind::String(text)) => convertible(text, item, decoder)?,
            _ => return decoder.mismatch(item, "true or false"),
        };
        match text.as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            "t" | "T" | "True" | "TRUE" if decoder.is_weak() => Some(true),
            "f" | "F" | "False" | "FALSE" | "" if decoder.is_weak() => Some(false),
            _ => decoder.mismatch(item, "true or false"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FromConfig for f64 {
    fn option_type() -> OptionType {
        OptionType::Number
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = match item.value().map(Value::kind) {
            Some(Kind::Number(number)) => return Some(number.to_f64()).filter(|number| number.is_finite()),
            Some(Kind::Bool(value)) if decoder.is_weak() => return Some(f64::from(u8::from(*value))),
            Some(Kind::String(text)) => convertible(text, item, decoder)?,
            _ => return decoder.mismatch(item, "a number"),
        };
        if text.is_empty() && decoder.is_weak() {
            return Some(0.0);
        }
        match Number::parse(&text).map(|number| number.to_f64()).filter(|number| number.is_finite()) {
            Some(number) => Some(number),
            None => decoder.mismatch(item, "a number"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($type:ident: $expected:literal),* $(,)?) => { $(
        impl FromConfig for $type {
            fn option_type() -> OptionType {
                OptionType::Integer { min: bound($type::MIN), max: bound($type::MAX) }
            }

            fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
                let number = match item.value().map(Value::kind) {
                    Some(Kind::Number(number)) if decoder.is_weak() => Some(number.truncated().to_string()),
                    Some(Kind::Number(number)) => Some(number.to_string()),
                    Some(Kind::String(text)) => {
                        let text = convertible(text, item, decoder)?;
                        if decoder.is_weak() { go_integer(&text) } else { Number::parse(&text).map(|text| text.to_string()) }
                    }
                    Some(Kind::Bool(value)) if decoder.is_weak() => Some(u8::from(*value).to_string()),
                    _ => return decoder.mismatch(item, $expected),
                };
                match number.and_then(|number| number.parse().ok()) {
                    Some(number) => Some(number),
                    None => {
                        let name = decoder.option();
                        let range = format!("{} to {}", $type::MIN, $type::MAX);
                        decoder.report(
                            Diagnostic::error(format!("wrong value for `{name}`"))
                                .at(item.span)
                                .detail(concat!("expected ", $expected))
                                .hint(format!("use a whole number from {range}")),
                        );
                        None
                    }
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

/// An end of the range of a type; those of 64 bits are the widest there are.
fn bound(end: impl TryInto<i128>) -> i128 {
    end.try_into().unwrap_or(i128::MAX)
}

/// The text that is to be made a number or a bool: HCL makes it before Go templates in it are rendered.
fn convertible(text: &str, item: &Item, decoder: &mut Decoder<'_>) -> Option<String> {
    if decoder.is_weak() { decoder.text(item, text) } else { Some(text.to_owned()) }
}

/// A whole number as Go's `ParseInt` reads it with base 0, in decimal digits: `0x1F`, `0b11`, `017`, `1_000`. An empty
/// text is 0.
fn go_integer(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("0".to_owned());
    }
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let lone = digits.ends_with('_') || digits.contains("__") || (radix == 10 && digits.starts_with('_'));
    let digits = digits.replace('_', "");
    if lone || digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let number = i128::from_str_radix(&digits, radix).ok()?;
    Some(if sign == "-" { -number } else { number }.to_string())
}

integers!(
    i32: "an integer",
    i64: "an integer",
    u8: "a small integer that is not negative",
    u16: "an integer that is not negative",
    u32: "an integer that is not negative",
    u64: "an integer that is not negative",
    usize: "an integer that is not negative",
);

impl FromConfig for SignedDuration {
    fn option_type() -> OptionType {
        OptionType::Duration
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = match item.value().map(Value::kind) {
            Some(Kind::String(_) | Kind::Number(_)) => String::from_config(item, decoder)?,
            _ => return decoder.mismatch(item, "a duration"),
        };
        if text.is_empty() {
            return Some(Self::ZERO);
        }
        let parsed = duration::parse(&text);
        if parsed.is_none() {
            let name = decoder.option();
            let hint = match text.parse::<f64>() {
                Ok(_) => format!("add a unit: \"{text}s\""),
                Err(_) => "write it like \"1m20s\"; units are ns, us, ms, s, m and h".to_owned(),
            };
            decoder.report(
                Diagnostic::error(format!("wrong value for `{name}`"))
                    .at(item.span)
                    .detail("expected a duration")
                    .hint(hint),
            );
        }
        parsed
    }

    fn show(&self) -> String {
        format!("\"{}\"", duration::show(*self))
    }
}

/// A negative duration counts as none.
impl FromConfig for Duration {
    fn option_type() -> OptionType {
        OptionType::Duration
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let duration = SignedDuration::from_config(item, decoder)?;
        Some(Self::try_from(duration).unwrap_or_default())
    }

    fn show(&self) -> String {
        SignedDuration::try_from(*self).unwrap_or(SignedDuration::MAX).show()
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::null()
    }
}

/// The value as it is, whatever its type; Go templates in it are not rendered.
impl FromConfig for Value {
    fn option_type() -> OptionType {
        OptionType::Any
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        match item.value() {
            Some(value) => Some(value.clone()),
            None => decoder.mismatch(item, "a value"),
        }
    }

    fn takes_unknown() -> bool {
        true
    }
}

impl<T: FromConfig> FromConfig for Option<T> {
    fn option_type() -> OptionType {
        T::option_type()
    }

    fn nested() -> Option<Schema> {
        T::nested()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::from_config(item, decoder).map(Some)
    }

    fn from_flat(body: &super::EvaluatedBody, decoder: &mut Decoder<'_>) -> Option<Self> {
        T::from_flat(body, decoder).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), T::show)
    }

    fn takes_unknown() -> bool {
        T::takes_unknown()
    }
}

/// In legacy templates a single value stands for a list of it, and a text for what commas separate in it.
impl<T: FromConfig> FromConfig for Vec<T> {
    fn option_type() -> OptionType {
        match T::nested() {
            Some(_) => OptionType::Blocks,
            None => OptionType::List(Box::new(T::option_type())),
        }
    }

    fn nested() -> Option<Schema> {
        T::nested()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let items: Vec<Item> = match &item.content {
            Content::Block(_) => vec![item.clone()],
            Content::Blocks(bodies) => {
                bodies.iter().map(|body| Item { span: body.header, content: Content::Block(body.clone()) }).collect()
            }
            Content::Value(value) => match (value.elements(), value.as_str()) {
                (Some(elements), _) => elements
                    .iter()
                    .filter(|element| !element.is_null())
                    .map(|element| item.part(element.clone().mark(value.is_sensitive())))
                    .collect(),
                (None, Some(text)) if decoder.is_weak() => return separated(item, text, decoder),
                (None, None) if decoder.is_weak() || T::nested().is_some() => vec![item.clone()],
                _ => return decoder.mismatch(item, A_LIST),
            },
        };
        // Every element is decoded even after one fails, so that all errors are reported.
        let elements: Vec<Option<T>> = items.iter().map(|item| T::from_config(item, decoder)).collect();
        elements.into_iter().collect()
    }

    fn show(&self) -> String {
        format!("[{}]", self.iter().map(T::show).collect::<Vec<_>>().join(", "))
    }
}

/// Elements of a list that is written as a text.
const MOST_PARTS: usize = 100_000;

/// What commas separate in a text, which is rendered as a whole.
fn separated<T: FromConfig>(item: &Item, text: &str, decoder: &mut Decoder<'_>) -> Option<Vec<T>> {
    let sensitive = item.value().is_some_and(Value::is_sensitive);
    let text = decoder.render_whole(item, text)?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    if text.matches(',').count() >= MOST_PARTS {
        return decoder.mismatch(item, &format!("a list of at most {MOST_PARTS} elements"));
    }
    let raw = std::mem::replace(&mut decoder.raw, true);
    let parts = text.split(',').map(|part| item.part(Value::string(part).mark(sensitive)));
    let elements: Vec<Option<T>> = parts.map(|part| T::from_config(&part, decoder)).collect();
    decoder.raw = raw;
    elements.into_iter().collect()
}

impl<T: FromConfig> FromConfig for BTreeMap<String, T> {
    fn option_type() -> OptionType {
        OptionType::Map(Box::new(T::option_type()))
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some(value) = item.value() else { return decoder.mismatch(item, "a map") };
        let maps = match value.elements() {
            // A list of maps is the map they make together.
            Some(elements) if decoder.is_weak() => elements,
            _ => std::slice::from_ref(value),
        };
        let mut map = Self::new();
        let mut complete = true;
        for part in maps {
            let Some(entries) = part.entries() else { return decoder.mismatch(item, "a map") };
            for (name, element) in entries.iter().filter(|(_, element)| !element.is_null()) {
                let sensitive = value.is_sensitive() || part.is_sensitive();
                match T::from_config(&item.part(element.clone().mark(sensitive)), decoder) {
                    Some(element) => {
                        map.insert(name.clone(), element);
                    }
                    None => complete = false,
                }
            }
        }
        complete.then_some(map)
    }

    fn show(&self) -> String {
        let entries: Vec<String> = self.iter().map(|(name, value)| format!("{name} = {}", value.show())).collect();
        if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
    }
}
