//! Functions that look into collections, and those that make others of them.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation as _;

use super::{BOOL, Call, Failure, Function, NUMBER, Outcome, Returns, STRINGS, Ty, Type, Value};
use super::{any, count, function, list, number, numeric, text, variadic};
use crate::template::hcl::convert::{convert, unify_unsafe};
use crate::template::hcl::value::Kind;

pub(super) const FUNCTIONS: &[Function] = &[
    function("length", &[any("value").in_parts()], NUMBER, |c| match c.value(0).kind() {
        Kind::String(text) => Ok(count(text.graphemes(true).count())),
        _ => {
            let elements = c.value(0).elements().map(<[Value]>::len);
            let length = elements.or_else(|| c.value(0).entries().map(BTreeMap::len));
            length.map(count).ok_or_else(|| c.found(0, "a list, map or string"))
        }
    }),
    function("contains", &[any("list"), any("value")], BOOL, |c| {
        let elements = c.elements(0)?;
        Ok(elements.iter().any(|element| element.equals(c.value(1)) == Some(true)).into())
    }),
    function("index", &[any("list"), any("value")], NUMBER, |c| {
        let found = c.elements(0)?.iter().position(|element| element.equals(c.value(1)) == Some(true));
        found.map(count).ok_or_else(|| c.wrong(1, "the list does not hold this value"))
    }),
    function("element", &[any("list").in_parts(), number("index")], Returns::Of(element_type), element),
    function(
        "lookup",
        &[any("inputMap").in_parts(), text("key"), any("default").in_parts()],
        Returns::Of(lookup_type),
        lookup,
    ),
    function("keys", &[any("inputMap").in_parts()], Returns::Of(keys_type), |c| {
        let names = c.entries(0)?.keys().map(|name| Value::string(name.as_str())).collect();
        Ok(if is_object(c.value(0)) { Value::tuple(names) } else { Value::list(Type::String, names) })
    }),
    function("values", &[any("values").in_parts()], Returns::Of(values_type), |c| {
        let values = c.entries(0)?.values().cloned().collect();
        Ok(match c.value(0).kind() {
            Kind::Map(ty, _) => Value::list(ty.clone(), values),
            _ => Value::tuple(values),
        })
    }),
    variadic("merge", &[], any("maps").or_null().in_parts(), Returns::Of(merge_type), merge),
    function("zipmap", &[list("keys", &Ty::String), any("values").in_parts()], Returns::Of(zip_type), zip),
    variadic("coalesce", &[], any("vals").or_null().in_parts(), Returns::Of(coalesce_type), coalesce),
    variadic("coalescelist", &[], any("vals").in_parts(), Returns::Of(coalesce_list_type), |c| {
        coalesce_list_type(&c.values)?;
        let found = c.values.iter().find(|value| value.elements().is_some_and(|elements| !elements.is_empty()));
        found.cloned().ok_or_else(|| "all lists are empty".into())
    }),
    function("compact", &[list("list", &Ty::String)], STRINGS, |c| {
        let texts = c.elements(0)?.iter().filter_map(Value::as_str).filter(|text| !text.is_empty());
        Ok(Value::strings(texts))
    }),
    numeric::RANGE,
];

fn is_object(value: &Value) -> bool {
    matches!(value.kind(), Kind::Object(_))
}

fn wrong(index: usize, message: &str) -> Failure {
    Failure::Argument(index, message.to_owned())
}

fn element_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::List(element) => Ok((*element).clone()),
        Type::Tuple(types) => {
            let index = values[1].as_i64().and_then(|index| usize::try_from(index).ok());
            Ok(index.and_then(|index| types.get(index % types.len().max(1)).cloned()).unwrap_or(Type::Dynamic))
        }
        _ => Err(wrong(0, "a list or a tuple is required")),
    }
}

/// The index counts on from the start when it is past the end.
fn element(c: &Call<'_>) -> Outcome {
    element_type(&c.values)?;
    let elements = c.elements(0)?;
    let index = c.size(1)?;
    if elements.is_empty() {
        return Err(c.wrong(0, "it is empty"));
    }
    Ok(elements[index % elements.len()].clone())
}

fn lookup_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::Map(element) => Ok((*element).clone()),
        Type::Object(attributes) => Ok(match values[1].as_str().map(|key| attributes.get(key)) {
            Some(Some(attribute)) => attribute.ty.clone(),
            Some(None) => values[2].ty(),
            None => Type::Dynamic,
        }),
        _ => Err(wrong(0, "a map is required")),
    }
}

fn lookup(c: &Call<'_>) -> Outcome {
    lookup_type(&c.values)?;
    let default = match c.value(0).kind() {
        Kind::Map(ty, _) => convert(c.value(2), ty)
            .map_err(|error| c.wrong(2, format!("it must be of the type of the elements of the map: {error}")))?,
        _ => c.value(2).clone(),
    };
    Ok(c.entries(0)?.get(c.text(1)).cloned().unwrap_or(default))
}

fn keys_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::Map(_) => Ok(Type::list(Type::String)),
        Type::Object(attributes) => Ok(Type::tuple(attributes.iter().map(|_| Type::String))),
        _ => Err(wrong(0, "a map or an object is required")),
    }
}

fn values_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::Map(element) => Ok(Type::List(element)),
        Type::Object(attributes) => Ok(Type::tuple(attributes.values().map(|attribute| attribute.ty.clone()))),
        _ => Err(wrong(0, "a map is required")),
    }
}

/// A map if all are of one type of map, else an object.
fn merge_type(values: &[Value]) -> Result<Type, Failure> {
    let mut attributes = BTreeMap::new();
    let mut first: Option<Type> = None;
    let mut is_map = true;
    for (index, value) in values.iter().enumerate() {
        let ty = value.ty();
        match &ty {
            _ if value.is_null() && matches!(ty, Type::Dynamic) => continue,
            Type::Map(element) => match value.entries() {
                Some(entries) => {
                    attributes.extend(entries.keys().map(|name| (name.clone(), (**element).clone())));
                }
                None if value.is_unknown() && !is_map => return Ok(Type::Dynamic),
                None => {}
            },
            Type::Object(others) => {
                attributes.extend(others.iter().map(|(name, attribute)| (name.clone(), attribute.ty.clone())));
            }
            _ => return Err(wrong(index, "a map or an object is required")),
        }
        is_map &= matches!(ty, Type::Map(_)) && first.as_ref().is_none_or(|first| *first == ty);
        first = first.or(Some(ty));
    }
    let unknown_map = values.iter().any(|value| value.is_unknown() && matches!(value.ty(), Type::Map(_)));
    Ok(match first {
        Some(first) if is_map => first,
        _ if unknown_map => Type::Dynamic,
        _ => Type::object(attributes),
    })
}

fn merge(c: &Call<'_>) -> Outcome {
    let ty = merge_type(&c.values)?;
    let mut merged = BTreeMap::new();
    for (index, value) in c.values.iter().enumerate() {
        if !value.is_null() {
            merged.extend(c.entries(index)?.clone());
        }
    }
    Ok(match ty {
        Type::Map(element) => Value::map((*element).clone(), merged),
        _ => Value::object(merged),
    })
}

fn zip_type(values: &[Value]) -> Result<Type, Failure> {
    match (values[1].ty(), values[0].elements()) {
        (Type::List(element), _) => Ok(Type::Map(element)),
        (Type::Tuple(types), Some(keys)) if keys.len() == types.len() => {
            let names: Option<Vec<String>> = keys.iter().map(Value::scalar_text).collect();
            Ok(names.map_or(Type::Dynamic, |names| Type::object(names.into_iter().zip(types.iter().cloned()))))
        }
        (Type::Tuple(_), _) => Ok(Type::Dynamic),
        _ => Err(wrong(1, "a list or a tuple is required")),
    }
}

fn zip(c: &Call<'_>) -> Outcome {
    let (keys, values) = (c.texts(0)?, c.elements(1)?);
    if keys.len() != values.len() {
        return Err(format!("there are {} keys and {} values", keys.len(), values.len()).into());
    }
    let entries = keys.into_iter().map(str::to_owned).zip(values.iter().cloned()).collect();
    Ok(match c.value(1).kind() {
        Kind::List(ty, _) => Value::map(ty.clone(), entries),
        Kind::Tuple(_) => Value::object(entries),
        _ => return Err(c.found(1, "a list or a tuple")),
    })
}

fn coalesce_type(values: &[Value]) -> Result<Type, Failure> {
    let types: Vec<Type> = values.iter().map(Value::ty).collect();
    unify_unsafe(&types).ok_or_else(|| "all arguments must be of one type".into())
}

/// The first that is neither null nor an empty string.
fn coalesce(c: &Call<'_>) -> Outcome {
    let ty = coalesce_type(&c.values)?;
    for (index, value) in c.values.iter().enumerate() {
        let converted = convert(value, &ty).map_err(|error| c.wrong(index, error))?;
        if !converted.is_null() && converted.as_str() != Some("") {
            return Ok(converted);
        }
    }
    Err("all arguments are null or empty".into())
}

fn coalesce_list_type(values: &[Value]) -> Result<Type, Failure> {
    let first = values.first().ok_or("it takes at least 1 argument")?.ty();
    let mut same = true;
    for (index, value) in values.iter().enumerate() {
        let ty = value.ty();
        if !matches!(ty, Type::List(_) | Type::Tuple(_)) {
            return Err(wrong(index, "a list or a tuple is required"));
        }
        same &= ty == first;
    }
    Ok(if same { first } else { Type::Dynamic })
}
