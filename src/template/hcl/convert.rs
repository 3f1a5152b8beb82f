//! Conversion and unification of values, as `cty` does them.

use std::collections::BTreeMap;

use super::value::{Attribute, Kind, Type, Value, parse_number};

#[cfg(test)]
mod tests;

/// Converts a value to a type. The error says what does not fit, without showing values.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, String> {
    convert_kind(value, ty).map(|converted| converted.mark(value.is_sensitive()))
}

fn convert_kind(value: &Value, ty: &Type) -> Result<Value, String> {
    let mismatch = || Err(format!("{} is required, found {}", article(ty), value.describe()));
    match (value.kind(), ty) {
        (_, Type::Dynamic) => Ok(value.clone()),
        (Kind::Null(_), _) => Ok(Value::new(Kind::Null(ty.clone()))),
        (Kind::Unknown(from), _) => match from == ty || can_convert(from, ty) {
            true => Ok(Value::unknown(ty.clone())),
            false => Err(format!("{} is required, found {}", article(ty), article(from))),
        },
        (Kind::String(_), Type::String) | (Kind::Number(_), Type::Number) | (Kind::Bool(_), Type::Bool) => {
            Ok(value.clone())
        }
        (Kind::Number(_) | Kind::Bool(_), Type::String) => Ok(Value::string(value.scalar_text().unwrap_or_default())),
        (Kind::String(text), Type::Number) => match parse_number(text) {
            Some(number) => Ok(Value::number(number)),
            None => Err("a number is required, and the string is not one".to_owned()),
        },
        (Kind::String(text), Type::Bool) => match text.as_str() {
            "true" | "1" => Ok(Value::bool(true)),
            "false" | "0" => Ok(Value::bool(false)),
            _ => Err("a bool is required, and the string is neither \"true\" nor \"false\"".to_owned()),
        },
        (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), Type::List(_) | Type::Set(_) | Type::Tuple(_)) => {
            convert_elements(value, ty)
        }
        (Kind::Map(..) | Kind::Object(_), Type::Map(_) | Type::Object(_)) => convert_entries(value, ty),
        _ => mismatch(),
    }
}

fn convert_elements(value: &Value, ty: &Type) -> Result<Value, String> {
    let elements = value.elements().unwrap_or_default();
    let each = |element: &Type| -> Result<(Type, Vec<Value>), String> {
        let wanted = if element.is_concrete() {
            element.clone()
        } else {
            let types: Vec<Type> = elements.iter().map(Value::ty).collect();
            unify(&types).ok_or("all elements must be of one type")?
        };
        let converted = elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                let element = convert(element, &wanted).map_err(|error| format!("element {index}: {error}"))?;
                Ok(element)
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok((wanted, converted))
    };
    match ty {
        Type::List(element) => each(element).map(|(ty, elements)| Value::list(ty, elements)),
        Type::Set(element) => each(element).map(|(ty, elements)| Value::set(ty, elements)),
        Type::Tuple(types) if types.len() == elements.len() => {
            let converted = elements.iter().zip(types).map(|(element, ty)| convert(element, ty));
            Ok(Value::tuple(converted.collect::<Result<_, _>>()?))
        }
        Type::Tuple(types) => Err(format!("a tuple of {} elements is required, found {}", types.len(), elements.len())),
        _ => Err(format!("{} is required", article(ty))),
    }
}

fn convert_entries(value: &Value, ty: &Type) -> Result<Value, String> {
    let empty = BTreeMap::new();
    let entries = value.entries().unwrap_or(&empty);
    match ty {
        Type::Map(element) => {
            let wanted = if element.is_concrete() {
                (**element).clone()
            } else {
                let types: Vec<Type> = entries.values().map(Value::ty).collect();
                unify(&types).ok_or("all elements of a map must be of one type")?
            };
            let converted = entries.iter().map(|(name, value)| {
                let value = convert(value, &wanted).map_err(|error| format!("element \"{name}\": {error}"))?;
                Ok((name.clone(), value))
            });
            Ok(Value::map(wanted.clone(), converted.collect::<Result<_, String>>()?))
        }
        Type::Object(attributes) => {
            let converted = attributes.iter().map(|(name, attribute)| {
                let value = match entries.get(name) {
                    Some(value) => {
                        convert(value, &attribute.ty).map_err(|error| format!("attribute \"{name}\": {error}"))?
                    }
                    None if attribute.optional => Value::new(Kind::Null(attribute.ty.clone())),
                    None => return Err(format!("attribute \"{name}\" is required")),
                };
                Ok((name.clone(), value))
            });
            Ok(Value::object(converted.collect::<Result<_, String>>()?))
        }
        _ => Err(format!("{} is required", article(ty))),
    }
}

fn can_convert(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Dynamic, _) | (_, Type::Dynamic) => true,
        (from, to) if from.is_primitive() && to.is_primitive() => {
            from == to || *from == Type::String || *to == Type::String
        }
        (Type::List(from) | Type::Set(from), Type::List(to) | Type::Set(to)) | (Type::Map(from), Type::Map(to)) => {
            can_convert(from, to)
        }
        (Type::Tuple(from), Type::List(to) | Type::Set(to)) => from.iter().all(|from| can_convert(from, to)),
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| can_convert(from, to))
        }
        (Type::Object(from), Type::Map(to)) => from.values().all(|from| can_convert(&from.ty, to)),
        (Type::Object(from), Type::Object(to)) => {
            to.iter().all(|(name, to)| from.get(name).map_or(to.optional, |from| can_convert(&from.ty, &to.ty)))
        }
        (Type::Map(from), Type::Object(to)) => to.values().all(|to| can_convert(from, &to.ty)),
        (Type::List(from) | Type::Set(from), Type::Tuple(to)) => to.iter().all(|to| can_convert(from, to)),
        _ => false,
    }
}

/// The type all of `types` can be converted to; `None` if there is none.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut result: Option<Type> = None;
    for ty in types {
        result = Some(match result {
            None | Some(Type::Dynamic) => ty.clone(),
            Some(other) => unify_two(&other, ty)?,
        });
    }
    Some(result.unwrap_or(Type::Dynamic))
}

fn unify_two(left: &Type, right: &Type) -> Option<Type> {
    if left == right {
        return Some(left.clone());
    }
    let boxed = |left: &Type, right: &Type| unify_two(left, right).map(Box::new);
    match (left, right) {
        (Type::Dynamic, other) | (other, Type::Dynamic) => Some(other.clone()),
        (left, right) if left.is_primitive() && right.is_primitive() => {
            (*left == Type::String || *right == Type::String).then_some(Type::String)
        }
        (Type::List(left), Type::List(right)) => boxed(left, right).map(Type::List),
        (Type::List(left) | Type::Set(left), Type::Set(right)) | (Type::Set(left), Type::List(right)) => {
            boxed(left, right).map(Type::Set)
        }
        (Type::Map(left), Type::Map(right)) => boxed(left, right).map(Type::Map),
        (Type::Tuple(left), Type::Tuple(right)) if left.len() == right.len() => {
            let types: Option<Vec<Type>> = left.iter().zip(right).map(|(left, right)| unify_two(left, right)).collect();
            types.map(Type::Tuple)
        }
        (Type::Tuple(left), Type::Tuple(right)) => {
            let all: Vec<Type> = left.iter().chain(right).cloned().collect();
            unify(&all).map(|ty| Type::List(Box::new(ty)))
        }
        (Type::Tuple(elements), Type::List(element)) | (Type::List(element), Type::Tuple(elements)) => {
            unify_many(elements, element).map(Type::List)
        }
        (Type::Tuple(elements), Type::Set(element)) | (Type::Set(element), Type::Tuple(elements)) => {
            unify_many(elements, element).map(Type::Set)
        }
        (Type::Object(left), Type::Object(right)) => unify_objects(left, right),
        (Type::Object(attributes), Type::Map(element)) | (Type::Map(element), Type::Object(attributes)) => {
            let types: Vec<Type> = attributes.values().map(|attribute| attribute.ty.clone()).collect();
            unify_many(&types, element).map(Type::Map)
        }
        _ => None,
    }
}

fn unify_many(types: &[Type], element: &Type) -> Option<Box<Type>> {
    let all: Vec<Type> = types.iter().chain(std::iter::once(element)).cloned().collect();
    unify(&all).map(Box::new)
}

fn unify_objects(left: &BTreeMap<String, Attribute>, right: &BTreeMap<String, Attribute>) -> Option<Type> {
    if left.keys().eq(right.keys()) {
        let attributes: Option<Vec<(String, Type)>> = left
            .iter()
            .zip(right.values())
            .map(|((name, left), right)| Some((name.clone(), unify_two(&left.ty, &right.ty)?)))
            .collect();
        return attributes.map(Type::object);
    }
    let all: Vec<Type> = left.values().chain(right.values()).map(|attribute| attribute.ty.clone()).collect();
    unify(&all).map(|ty| Type::Map(Box::new(ty)))
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

/// The value as JSON, as `jsonencode` writes it. Fails on values not known.
pub fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    Ok(match value.kind() {
        Kind::Unknown(_) => return Err("the value is not known yet".to_owned()),
        Kind::Null(_) => Json::Null,
        Kind::Bool(value) => Json::Bool(*value),
        Kind::Number(number) => {
            let text = super::value::number_text(number);
            serde_json::from_str(&text).map_err(|error| error.to_string())?
        }
        Kind::String(text) => Json::String(text.clone()),
        Kind::List(_, elements) | Kind::Set(_, elements) | Kind::Tuple(elements) => {
            Json::Array(elements.iter().map(to_json).collect::<Result<_, _>>()?)
        }
        Kind::Map(_, elements) | Kind::Object(elements) => {
            let entries = elements.iter().map(|(name, value)| Ok((name.clone(), to_json(value)?)));
            Json::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}

/// A JSON value as `jsondecode` reads it: arrays become tuples, objects objects.
pub fn from_json(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::null(),
        Json::Bool(value) => Value::bool(*value),
        Json::Number(number) => parse_number(&number.to_string()).map_or_else(Value::null, Value::number),
        Json::String(text) => Value::string(text.clone()),
        Json::Array(elements) => Value::tuple(elements.iter().map(from_json).collect()),
        Json::Object(entries) => {
            Value::object(entries.iter().map(|(name, value)| (name.clone(), from_json(value))).collect())
        }
    }
}
