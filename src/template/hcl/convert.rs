//! Conversion of values to types, as `cty` does it.

use std::collections::BTreeMap;

use super::value::{Attribute, Kind, Number, Type, Value};

pub mod json;
#[cfg(test)]
mod tests;
mod unify;

pub use json::to_json;
pub use unify::{can_convert, unify, unify_unsafe};

/// Converts a value to a type. The error says what does not fit, without showing values.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, String> {
    convert_kind(value, ty).map(|converted| converted.mark(value.is_sensitive()))
}

fn convert_kind(value: &Value, ty: &Type) -> Result<Value, String> {
    let mismatch = || Err(format!("{} is required, found {}", article(ty), value.describe()));
    match (value.kind(), ty) {
        (_, Type::Dynamic) => Ok(value.clone()),
        (Kind::Null(from) | Kind::Unknown(from), _) if !can_convert(from, ty, true) => {
            Err(format!("{} is required, found {}", article(ty), article(from)))
        }
        (Kind::Null(_), _) => Ok(Value::null_of(ty.required())),
        (Kind::Unknown(_), _) => Ok(Value::unknown(ty.required())),
        (Kind::String(_), Type::String) | (Kind::Number(_), Type::Number) | (Kind::Bool(_), Type::Bool) => {
            Ok(value.clone())
        }
        (Kind::Number(_) | Kind::Bool(_), Type::String) => Ok(Value::string(value.scalar_text().unwrap_or_default())),
        (Kind::String(text), Type::Number) => match Number::parse(text) {
            Some(number) => Ok(Value::number(number)),
            None => Err("a number is required, and the string is not one".to_owned()),
        },
        (Kind::String(text), Type::Bool) => match text.as_ref() {
            "true" | "1" => Ok(Value::bool(true)),
            "false" | "0" => Ok(Value::bool(false)),
            _ => Err("a bool is required, and the string is neither \"true\" nor \"false\"".to_owned()),
        },
        (Kind::List(element, _), Type::List(wanted))
        | (Kind::Set(element, _), Type::Set(wanted))
        | (Kind::Map(element, _), Type::Map(wanted))
            if element == &**wanted =>
        {
            Ok(value.clone())
        }
        (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), Type::List(_) | Type::Set(_) | Type::Tuple(_)) => {
            convert_elements(value, ty)
        }
        (Kind::Map(..) | Kind::Object(_), Type::Map(_) | Type::Object(_)) => convert_entries(value, ty),
        _ => mismatch(),
    }
}

fn convert_elements(value: &Value, ty: &Type) -> Result<Value, String> {
    let elements = value.elements().unwrap_or_default();
    let each = |wanted: &Type| {
        let named = elements.iter().enumerate().map(|(index, element)| (format!("element {index}"), element));
        convert_all(value, named, wanted)
    };
    match ty {
        Type::List(element) => each(element).map(|(ty, elements)| Value::list(ty, elements)),
        Type::Set(element) => each(element).map(|(ty, elements)| Value::set(ty, elements)),
        Type::Tuple(types) if matches!(value.kind(), Kind::Tuple(_)) && types.len() == elements.len() => {
            let converted = elements.iter().zip(types.iter()).enumerate().map(|(index, (element, ty))| {
                convert(element, ty).map_err(|error| format!("element {index}: {error}"))
            });
            Ok(Value::tuple(converted.collect::<Result<_, _>>()?))
        }
        Type::Tuple(types) if matches!(value.kind(), Kind::Tuple(_)) => {
            Err(format!("a tuple of {} elements is required, found {}", types.len(), elements.len()))
        }
        _ => Err(format!("{} is required, found {}", article(ty), value.describe())),
    }
}

/// Converts the parts of a collection to one type: the wanted one, or where that leaves something open, the one that
/// all of them unify to.
fn convert_all<'a>(
    collection: &Value,
    parts: impl Iterator<Item = (String, &'a Value)>,
    wanted: &Type,
) -> Result<(Type, Vec<Value>), String> {
    let mut names = Vec::new();
    let mut converted = Vec::new();
    for (name, part) in parts {
        converted.push(convert(part, wanted).map_err(|error| format!("{name}: {error}"))?);
        names.push(name);
    }
    if wanted.is_concrete() {
        return Ok((wanted.required(), converted));
    }
    let own = match collection.kind() {
        Kind::List(ty, _) | Kind::Set(ty, _) | Kind::Map(ty, _) if converted.is_empty() => Some(ty.clone()),
        _ => None,
    };
    let types: Vec<Type> = converted.iter().map(Value::ty).collect();
    let ty = own.or_else(|| unify_unsafe(&types)).ok_or("all elements must be of one type")?;
    let unified =
        converted.iter().zip(names).map(|(part, name)| convert(part, &ty).map_err(|error| format!("{name}: {error}")));
    let unified = unified.collect::<Result<_, String>>()?;
    Ok((ty, unified))
}

fn convert_entries(value: &Value, ty: &Type) -> Result<Value, String> {
    let empty = BTreeMap::new();
    let entries = value.entries().unwrap_or(&empty);
    match ty {
        Type::Map(element) => {
            let named = entries.iter().map(|(name, part)| (format!("element \"{name}\""), part));
            let (ty, parts) = convert_all(value, named, element)?;
            Ok(Value::map(ty, entries.keys().cloned().zip(parts).collect()))
        }
        Type::Object(attributes) => {
            let converted = attributes.iter().map(|(name, attribute)| {
                let value = convert_attribute(entries.get(name), attribute);
                Ok((
                    name.clone(),
                    value.map_err(|error| match error {
                        Some(error) => format!("attribute \"{name}\": {error}"),
                        None => format!("attribute \"{name}\" is required"),
                    })?,
                ))
            });
            Ok(Value::object(converted.collect::<Result<_, String>>()?))
        }
        _ => Err(format!("{} is required, found {}", article(ty), value.describe())),
    }
}

/// The value of an attribute of an object type; no error text if it is missing.
fn convert_attribute(value: Option<&Value>, attribute: &Attribute) -> Result<Value, Option<String>> {
    match (value, &attribute.default) {
        (Some(value), Some(default)) if value.is_null() => Ok(default.clone().mark(value.is_sensitive())),
        (Some(value), _) => convert(value, &attribute.ty).map_err(Some),
        (None, Some(default)) => Ok(default.clone()),
        (None, None) if attribute.optional => Ok(Value::null_of(attribute.ty.required())),
        (None, None) => Err(None),
    }
}

/// A type with its article, for messages.
pub fn article(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "any value".to_owned(),
        Type::Object(_) => "an object".to_owned(),
        Type::Tuple(_) => "a tuple".to_owned(),
        other => format!("a {other}"),
    }
}
