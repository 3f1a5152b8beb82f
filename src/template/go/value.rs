//! Values of templates, as Go's `fmt` shows them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A value.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing: a field that is not there.
    #[default]
    Nil,
    /// A bool.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A byte of a text.
    Byte(u8),
    /// A float.
    Float(f64),
    /// A complex number.
    Complex(f64, f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<[Value]>),
    /// Values by name; a name that is not there has no value.
    Map(Arc<BTreeMap<String, Value>>),
    /// Values by name; a name that is not there is an error.
    Struct(Arc<Struct>),
}

/// A value that knows its fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Struct {
    /// What errors call its type.
    pub type_name: String,
    /// Its fields.
    pub fields: BTreeMap<String, Value>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl Value {
    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Byte(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(elements) => !elements.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Struct(_) => true,
        }
    }

    /// Its type in Go's words.
    pub(super) fn type_name(&self) -> String {
        let is_text = |value: &Self| matches!(value, Self::Text(_));
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_) => "int".to_owned(),
            Self::Byte(_) => "uint8".to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Complex(..) => "complex128".to_owned(),
            Self::Text(_) => "string".to_owned(),
            Self::List(elements) if elements.iter().all(is_text) => "[]string".to_owned(),
            Self::List(_) => "[]interface {}".to_owned(),
            Self::Map(entries) if entries.values().all(is_text) => "map[string]string".to_owned(),
            Self::Map(_) => "map[string]interface {}".to_owned(),
            Self::Struct(value) => value.type_name.clone(),
        }
    }

    /// The text that is printed for it within others, and by `printf "%v"`.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Byte(number) => number.to_string(),
            Self::Float(number) => super::float::general(*number, None, 'e'),
            Self::Complex(real, imaginary) => {
                let sign = if imaginary.is_sign_negative() { "" } else { "+" };
                let part = |number: f64| super::float::general(number, None, 'e');
                format!("({}{sign}{}i)", part(*real), part(*imaginary))
            }
            Self::Text(text) => text.to_string(),
            Self::List(elements) => format!("[{}]", joined(elements.iter())),
            Self::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}:{}", value.shown())).collect();
                format!("map[{}]", entries.join(" "))
            }
            Self::Struct(value) => format!("{{{}}}", joined(value.fields.values())),
        }
    }

    /// The text that an action prints.
    pub(super) fn printed(&self) -> String {
        if *self == Self::Nil { "<no value>".to_owned() } else { self.shown() }
    }

    /// About how many bytes it is made of.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(elements) => elements.iter().map(|element| element.weight() + 1).sum(),
            Self::Map(entries) => entries.iter().map(|(name, value)| name.len() + value.weight()).sum(),
            Self::Struct(value) => value.fields.values().map(|value| value.weight() + 1).sum(),
            _ => 8,
        }
    }
}

fn joined<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    values.map(Value::shown).collect::<Vec<_>>().join(" ")
}

/// The operands one after the other, with a blank between two that are both no texts: Go's `Sprint`.
pub(super) fn sprint(operands: &[Value]) -> String {
    let mut out = String::new();
    for (index, value) in operands.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if index > 0 && !is_text(value) && !is_text(&operands[index - 1]) {
            out.push(' ');
        }
        out.push_str(&value.shown());
    }
    out
}
