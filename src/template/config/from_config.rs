//! The types options can have, decoded as weakly as Packer does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Content, Decoder, FromConfig, Item, Schema};
use crate::template::diagnostic::Diagnostic;
use crate::template::duration;
use crate::template::hcl::value::{Kind, Number, Value};

impl FromConfig for String {
    fn type_name() -> String {
        "string".to_owned()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        match item.value().and_then(Value::scalar_text) {
            Some(text) => decoder.text(item, &text),
            None => decoder.mismatch(item, "a string"),
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl FromConfig for PathBuf {
    fn type_name() -> String {
        "path".to_owned()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        String::from_config(item, decoder).map(Self::from)
    }

    fn show(&self) -> String {
        format!("{:?}", self.display().to_string())
    }
}

impl FromConfig for bool {
    fn type_name() -> String {
        "bool".to_owned()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let text = match item.value().map(Value::kind) {
            Some(Kind::Bool(value)) => return Some(*value),
            Some(Kind::Number(_) | Kind::String(_)) => String::from_config(item, decoder)?,
            _ => return decoder.mismatch(item, "true or false"),
        };
        match text.as_str() {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" | "" => Some(false),
            _ => decoder.mismatch(item, "true or false"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FromConfig for f64 {
    fn type_name() -> String {
        "number".to_owned()
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        match item.value().map(Value::kind) {
            Some(Kind::Number(number)) => return Some(number.to_f64()).filter(|number| number.is_finite()),
            Some(Kind::String(_)) => {}
            _ => return decoder.mismatch(item, "a number"),
        }
        let text = String::from_config(item, decoder)?;
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
    ($($type:ty: $expected:literal),* $(,)?) => { $(
        impl FromConfig for $type {
            fn type_name() -> String {
                "integer".to_owned()
            }

            fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
                let text = match item.value().map(Value::kind) {
                    Some(Kind::Number(_) | Kind::String(_)) => String::from_config(item, decoder)?,
                    Some(Kind::Bool(value)) => u8::from(*value).to_string(),
                    _ => return decoder.mismatch(item, $expected),
                };
                match text.parse() {
                    Ok(number) => Some(number),
                    Err(_) if text.is_empty() => Some(0),
                    Err(_) => {
                        let name = decoder.option();
                        let range = format!("{} to {}", <$type>::MIN, <$type>::MAX);
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
    fn type_name() -> String {
        "duration".to_owned()
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
    fn type_name() -> String {
        "duration".to_owned()
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
    fn type_name() -> String {
        "any".to_owned()
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
    fn type_name() -> String {
        T::type_name()
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

/// A single value stands for a list of it.
impl<T: FromConfig> FromConfig for Vec<T> {
    fn type_name() -> String {
        match T::nested() {
            Some(_) => "blocks".to_owned(),
            None => format!("list of {}", T::type_name()),
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
            Content::Value(value) => match value.elements() {
                Some(elements) => elements
                    .iter()
                    .filter(|element| !element.is_null())
                    .map(|element| item.part(element.clone().mark(value.is_sensitive())))
                    .collect(),
                None if value.as_str() == Some("") => Vec::new(),
                None => vec![item.clone()],
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

impl<T: FromConfig> FromConfig for BTreeMap<String, T> {
    fn type_name() -> String {
        format!("map of {}", T::type_name())
    }

    fn from_config(item: &Item, decoder: &mut Decoder<'_>) -> Option<Self> {
        let Some((value, entries)) = item.value().and_then(|value| Some((value, value.entries()?))) else {
            return decoder.mismatch(item, "a map");
        };
        let mut map = Self::new();
        let mut complete = true;
        for (name, element) in entries.iter().filter(|(_, element)| !element.is_null()) {
            match T::from_config(&item.part(element.clone().mark(value.is_sensitive())), decoder) {
                Some(element) => {
                    map.insert(name.clone(), element);
                }
                None => complete = false,
            }
        }
        complete.then_some(map)
    }

    fn show(&self) -> String {
        let entries: Vec<String> = self.iter().map(|(name, value)| format!("{name} = {}", value.show())).collect();
        if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
    }
}
