//! Go's own functions.

use super::error::Failure;
use super::execute::{Signature, Type};
use super::printf;
use super::value::{Value, sprint};

const ANY: Type = Type::Any;
const REFLECT: Type = Type::Reflect;

/// All of them, with what they take.
const FUNCTIONS: &[(&str, &[Type], Option<Type>)] = &[
    ("and", &[REFLECT], Some(REFLECT)),
    ("call", &[REFLECT], Some(REFLECT)),
    ("eq", &[REFLECT], Some(REFLECT)),
    ("ge", &[REFLECT, REFLECT], None),
    ("gt", &[REFLECT, REFLECT], None),
    ("html", &[], Some(ANY)),
    ("index", &[REFLECT], Some(REFLECT)),
    ("js", &[], Some(ANY)),
    ("le", &[REFLECT, REFLECT], None),
    ("len", &[REFLECT], None),
    ("lt", &[REFLECT, REFLECT], None),
    ("ne", &[REFLECT, REFLECT], None),
    ("not", &[REFLECT], None),
    ("or", &[REFLECT], Some(REFLECT)),
    ("print", &[], Some(ANY)),
    ("printf", &[Type::Text], Some(ANY)),
    ("println", &[], Some(ANY)),
    ("slice", &[REFLECT], Some(REFLECT)),
    ("urlquery", &[], Some(ANY)),
];

/// Their names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

pub(super) fn signature(name: &str) -> Option<Signature> {
    let (_, parameters, variadic) = FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
    Some(Signature { parameters, variadic: *variadic })
}

/// Calls one, but for `and` and `or`, which see to their arguments themselves.
pub(super) fn call(name: &str, arguments: &[Value]) -> Result<Value, Failure> {
    Ok(match name {
        "not" => Value::Bool(!arguments[0].is_true()),
        "eq" => Value::Bool(equal(&arguments[0], &arguments[1..])?),
        "ne" => Value::Bool(!equal(&arguments[0], &arguments[1..])?),
        "lt" => Value::Bool(less(&arguments[0], &arguments[1])?),
        "le" => Value::Bool(less_or_equal(&arguments[0], &arguments[1])?),
        "gt" => Value::Bool(!less_or_equal(&arguments[0], &arguments[1])?),
        "ge" => Value::Bool(!less(&arguments[0], &arguments[1])?),
        "len" => length(&arguments[0])?,
        "index" => index(&arguments[0], &arguments[1..])?,
        "slice" => slice(&arguments[0], &arguments[1..])?,
        "call" => return Err(call_failure(&arguments[0])),
        "print" => sprint(arguments).into(),
        "println" => (arguments.iter().map(Value::shown).collect::<Vec<_>>().join(" ") + "\n").into(),
        "printf" => match &arguments[0] {
            Value::Text(format) => printf::sprintf(format, &arguments[1..])?.into(),
            _ => Value::Nil,
        },
        "html" => html(&text_of(arguments)).into(),
        "js" => js(&text_of(arguments)).into(),
        _ => url_query(&text_of(arguments)).into(),
    })
}

fn call_failure(value: &Value) -> Failure {
    match value {
        Value::Nil => "call of nil".into(),
        other => format!("non-function of type {}", other.type_name()).into(),
    }
}

/// What Go's reflection says of asking nothing for its type.
const NO_TYPE: &str = "reflect: call of reflect.Value.Type on zero Value";

fn length(value: &Value) -> Result<Value, Failure> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(elements) => elements.len(),
        Value::Map(entries) => entries.len(),
        Value::Nil => return Err(NO_TYPE.into()),
        other => return Err(format!("len of type {}", other.type_name()).into()),
    };
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

/// A place in what has `length` elements.
fn place(index: &Value, length: usize) -> Result<usize, Failure> {
    let at = match index {
        Value::Int(at) => *at,
        Value::Byte(at) => i64::from(*at),
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    };
    let found = usize::try_from(at).ok().filter(|at| *at <= length);
    found.ok_or_else(|| format!("index out of range: {at}").into())
}

fn index(value: &Value, indexes: &[Value]) -> Result<Value, Failure> {
    let mut value = value.clone();
    if value == Value::Nil {
        return Err("index of untyped nil".into());
    }
    for index in indexes {
        value = match &value {
            Value::Text(text) => {
                let at = place(index, text.len())?;
                let byte = text.as_bytes().get(at).copied();
                Value::Byte(byte.ok_or("reflect: string index out of range")?)
            }
            Value::List(elements) => {
                let at = place(index, elements.len())?;
                elements.get(at).cloned().ok_or("reflect: slice index out of range")?
            }
            Value::Map(entries) => match index {
                Value::Text(name) => {
                    let is_text = entries.values().all(|value| matches!(value, Value::Text(_)));
                    let none = if is_text { Value::from("") } else { Value::Nil };
                    entries.get(name.as_ref()).cloned().unwrap_or(none)
                }
                Value::Nil => return Err("value is nil; should be of type string".into()),
                other => return Err(format!("value has type {}; should be string", other.type_name()).into()),
            },
            Value::Nil => return Err("index of nil pointer".into()),
            other => return Err(format!("can't index item of type {}", other.type_name()).into()),
        };
    }
    Ok(value)
}

fn slice(value: &Value, indexes: &[Value]) -> Result<Value, Failure> {
    if *value == Value::Nil {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let length = match value {
        Value::Text(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Text(text) => text.len(),
        Value::List(elements) => elements.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name()).into()),
    };
    let mut bounds = [0, length, length];
    for (bound, index) in bounds.iter_mut().zip(indexes) {
        *bound = place(index, length)?;
    }
    let [start, end, capacity] = bounds;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}").into());
    }
    if end > capacity {
        return Err(format!("invalid slice index: {end} > {capacity}").into());
    }
    Ok(match value {
        Value::Text(text) => String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned().into(),
        Value::List(elements) => Value::List(elements[start..end].into()),
        _ => Value::Nil,
    })
}

/// The kinds of values that can be compared with each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Complex,
    Int,
    Byte,
    Float,
    Text,
    None,
}

fn basic(value: &Value) -> Basic {
    match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_) => Basic::Int,
        Value::Byte(_) => Basic::Byte,
        Value::Float(_) => Basic::Float,
        Value::Complex(..) => Basic::Complex,
        Value::Text(_) => Basic::Text,
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Struct(_) => Basic::None,
    }
}

fn whole(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Byte(number) => i64::from(*number),
        _ => 0,
    }
}

const INCOMPATIBLE: &str = "incompatible types for comparison";

/// Whether the first value is one of the others.
fn equal(first: &Value, others: &[Value]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        let same = match (basic(first), basic(other)) {
            (Basic::Int, Basic::Byte) | (Basic::Byte, Basic::Int) => whole(first) == whole(other),
            (left, right) if left != right => {
                if *first != Value::Nil && *other != Value::Nil {
                    return Err(INCOMPATIBLE.into());
                }
                false
            }
            (Basic::None, _) => same_collection(first, other)?,
            _ => first == other,
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn same_collection(first: &Value, other: &Value) -> Result<bool, Failure> {
    match (first, other) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Struct(_), Value::Struct(_)) => Ok(first == other),
        (Value::List(_), Value::List(_)) | (Value::Map(_), Value::Map(_)) => {
            Err(format!("non-comparable type {}: {}", other.shown(), other.type_name()).into())
        }
        _ => Err(format!(
            "non-comparable types {}: {}, {}: {}",
            first.shown(),
            first.type_name(),
            other.type_name(),
            other.shown()
        )
        .into()),
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, Failure> {
    const INVALID: &str = "invalid type for comparison";
    let kinds = (basic(left), basic(right));
    if kinds.0 == Basic::None || kinds.1 == Basic::None {
        return Err(INVALID.into());
    }
    match (left, right) {
        (Value::Float(left), Value::Float(right)) => Ok(left < right),
        (Value::Text(left), Value::Text(right)) => Ok(left < right),
        (Value::Int(_) | Value::Byte(_), Value::Int(_) | Value::Byte(_)) => Ok(whole(left) < whole(right)),
        _ if kinds.0 != kinds.1 => Err(INCOMPATIBLE.into()),
        _ => Err(INVALID.into()),
    }
}

fn less_or_equal(left: &Value, right: &Value) -> Result<bool, Failure> {
    Ok(less(left, right)? || equal(left, std::slice::from_ref(right))?)
}

/// The operands as one text, for what escapes it.
fn text_of(operands: &[Value]) -> String {
    let shown = |value: &Value| if *value == Value::Nil { "<no value>".into() } else { value.clone() };
    sprint(&operands.iter().map(shown).collect::<Vec<_>>())
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '<' | '>' | '&' | '=' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            _ if c.is_ascii() || super::quote::is_print(c) => out.push(c),
            _ => out.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
