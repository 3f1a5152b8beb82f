//! Functions on lists, sets and maps.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero as _};

use super::{ANY, Arguments, Function, MAX_RESULT, Outcome, Type, Value, count, lenient, list_of, strict};
use crate::template::hcl::convert::{convert, unify};
use crate::template::hcl::value::Kind;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("alltrue", 1, 1, |a| Ok(bools(a)?.iter().all(|value| *value).into())),
    strict("anytrue", 1, 1, |a| Ok(bools(a)?.iter().any(|value| *value).into())),
    strict("chunklist", 2, 2, |a| {
        let (elements, size) = (a.elements(0)?, a.size(1)?);
        let size = if size == 0 { elements.len().max(1) } else { size };
        Ok(Value::tuple(elements.chunks(size).map(|chunk| list_of(chunk.to_vec())).collect()))
    }),
    lenient("coalesce", 1, ANY, |a| {
        let types: Vec<Type> = a.values.iter().map(Value::ty).collect();
        let ty = unify(&types).ok_or("all arguments must be of one type")?;
        let found = a.values.iter().find(|value| !value.is_null() && value.as_str() != Some(""));
        found.map(|value| convert(value, &ty)).transpose()?.ok_or_else(|| "all arguments are null or empty".to_owned())
    }),
    lenient("coalescelist", 1, ANY, |a| {
        let found = a.values.iter().find(|value| value.elements().is_some_and(|elements| !elements.is_empty()));
        found.cloned().ok_or_else(|| "all lists are empty".to_owned())
    }),
    strict("compact", 1, 1, |a| {
        let kept = a.elements(0)?.iter().filter_map(Value::scalar_text).filter(|text| !text.is_empty());
        Ok(Value::strings(kept))
    }),
    lenient("concat", 1, ANY, |a| {
        let mut all = Vec::new();
        for index in 0..a.len() {
            all.extend(a.elements(index)?.iter().cloned());
        }
        Ok(list_of(all))
    }),
    strict("contains", 2, 2, |a| {
        let wanted = a.value(1);
        Ok(a.elements(0)?.iter().any(|element| same(element, wanted)).into())
    }),
    lenient("convert", 2, 2, |_| Err("a type is only known to it in variable declarations".to_owned())),
    strict("distinct", 1, 1, |a| {
        let mut kept: Vec<Value> = Vec::new();
        for element in a.elements(0)? {
            if !kept.iter().any(|other| other.equals(element)) {
                kept.push(element.clone());
            }
        }
        Ok(list_of(kept))
    }),
    lenient("element", 2, 2, |a| {
        let (elements, index) = (a.elements(0)?, a.int(1)?);
        let length = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        if length == 0 || index < 0 {
            return Err("the list is empty, or the index negative".to_owned());
        }
        Ok(elements[usize::try_from(index % length).unwrap_or(0)].clone())
    }),
    strict("flatten", 1, 1, |a| {
        let mut flat = Vec::new();
        flatten(a.elements(0)?, &mut flat);
        Ok(Value::tuple(flat))
    }),
    strict("index", 2, 2, |a| {
        let found = a.elements(0)?.iter().position(|element| same(element, a.value(1)));
        found.map(count).ok_or_else(|| "the list does not hold the value".to_owned())
    }),
    lenient("keys", 1, 1, |a| Ok(Value::strings(a.entries(0)?.keys().cloned()))),
    lenient("values", 1, 1, |a| Ok(list_of(a.entries(0)?.values().cloned().collect()))),
    lenient("lookup", 2, 3, |a| match (a.entries(0)?.get(&a.text(1)?), a.values.get(2)) {
        (Some(value), _) | (None, Some(value)) => Ok(value.clone()),
        (None, None) => Err("the map has no such key, and there is no default".to_owned()),
    }),
    lenient("merge", 0, ANY, |a| {
        let mut merged = BTreeMap::new();
        for index in 0..a.len() {
            if !a.value(index).is_null() {
                merged.extend(a.entries(index)?.clone());
            }
        }
        let types: Vec<Type> = merged.values().map(Value::ty).collect();
        let maps = a.values.iter().all(|value| matches!(value.kind(), Kind::Map(..)));
        Ok(match types.first().filter(|first| maps && types.iter().all(|ty| ty == *first)) {
            Some(ty) => Value::map(ty.clone(), merged),
            None => Value::object(merged),
        })
    }),
    strict("range", 1, 3, range),
    strict("reverse", 1, 1, |a| {
        let mut elements = a.elements(0)?.to_vec();
        elements.reverse();
        Ok(list_of(elements))
    }),
    strict("setintersection", 1, ANY, |a| {
        sets(a, |left, right| left.iter().filter(|x| holds(right, x)).cloned().collect())
    }),
    strict("setunion", 1, ANY, |a| sets(a, |left, right| left.iter().chain(right).cloned().collect())),
    strict("setproduct", 2, ANY, set_product),
    strict("slice", 3, 3, |a| {
        let (elements, start, end) = (a.elements(0)?, a.size(1)?, a.size(2)?);
        let part = elements.get(start..end).ok_or("the indexes are out of range")?;
        Ok(list_of(part.to_vec()))
    }),
    strict("sort", 1, 1, |a| {
        let mut texts = a.texts(0)?;
        texts.sort();
        Ok(Value::strings(texts))
    }),
    strict("sum", 1, 1, |a| {
        let mut sum = BigDecimal::zero();
        for element in a.elements(0)? {
            match convert(element, &Type::Number)?.into_kind() {
                Kind::Number(number) => sum += number,
                _ => return Err("every element must be a number".to_owned()),
            }
        }
        Ok(Value::number(sum))
    }),
    strict("zipmap", 2, 2, |a| {
        let (keys, values) = (a.texts(0)?, a.elements(1)?);
        if keys.len() != values.len() {
            return Err(format!("there are {} keys and {} values", keys.len(), values.len()));
        }
        Ok(Value::object(keys.into_iter().zip(values.iter().cloned()).collect()))
    }),
    lenient("toset", 1, 1, |a| convert(a.value(0), &Type::Set(Box::new(Type::Dynamic)))),
    lenient("tolist", 1, 1, |a| convert(a.value(0), &Type::List(Box::new(Type::Dynamic)))),
    lenient("tomap", 1, 1, |a| convert(a.value(0), &Type::Map(Box::new(Type::Dynamic)))),
    lenient("tostring", 1, 1, |a| convert(a.value(0), &Type::String)),
    lenient("tonumber", 1, 1, |a| convert(a.value(0), &Type::Number)),
    lenient("tobool", 1, 1, |a| convert(a.value(0), &Type::Bool)),
];

fn same(left: &Value, right: &Value) -> bool {
    unify(&[left.ty(), right.ty()]).is_some_and(|ty| match (convert(left, &ty), convert(right, &ty)) {
        (Ok(left), Ok(right)) => left.equals(&right),
        _ => false,
    })
}

fn holds(set: &[Value], value: &Value) -> bool {
    set.iter().any(|other| same(other, value))
}

fn bools(a: &Arguments<'_>) -> Result<Vec<bool>, String> {
    let each = a.elements(0)?.iter().map(|element| match convert(element, &Type::Bool)?.into_kind() {
        Kind::Bool(value) => Ok(value),
        _ => Ok(false),
    });
    each.collect()
}

fn flatten(elements: &[Value], flat: &mut Vec<Value>) {
    for element in elements {
        match element.elements() {
            Some(inner) => flatten(inner, flat),
            None => flat.push(element.clone()),
        }
    }
}

fn range(a: &Arguments<'_>) -> Outcome {
    let numbers = (0..a.len()).map(|index| a.number(index)).collect::<Result<Vec<_>, _>>()?;
    let zero = BigDecimal::zero();
    let (start, end, step) = match numbers.as_slice() {
        [end] => (zero.clone(), end.clone(), None),
        [start, end] => (start.clone(), end.clone(), None),
        [start, end, step, ..] => (start.clone(), end.clone(), Some(step.clone())),
        [] => return Err("it takes 1 to 3 arguments".to_owned()),
    };
    let step = step.unwrap_or_else(|| BigDecimal::from(if end < start { -1 } else { 1 }));
    if step.is_zero() || (end < start) != (step < zero) && start != end {
        return Err("the step must lead from start to end".to_owned());
    }
    let mut elements = Vec::new();
    let mut next = start;
    while if step < zero { next > end } else { next < end } {
        if elements.len() == 1024 {
            return Err("more than 1024 numbers".to_owned());
        }
        elements.push(Value::number(next.clone()));
        next += &step;
    }
    Ok(Value::list(Type::Number, elements))
}

fn sets(a: &Arguments<'_>, combine: fn(&[Value], &[Value]) -> Vec<Value>) -> Outcome {
    let mut result = a.elements(0)?.to_vec();
    for index in 1..a.len() {
        result = combine(&result, a.elements(index)?);
    }
    convert(&Value::tuple(result), &Type::Set(Box::new(Type::Dynamic)))
}

fn set_product(a: &Arguments<'_>) -> Outcome {
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for index in 0..a.len() {
        let elements = a.elements(index)?;
        if rows.len().saturating_mul(elements.len()).saturating_mul(a.len()) > MAX_RESULT / 64 {
            return Err("the result is too large".to_owned());
        }
        rows = rows
            .iter()
            .flat_map(|row| elements.iter().map(|element| [row.as_slice(), std::slice::from_ref(element)].concat()))
            .collect();
    }
    Ok(list_of(rows.into_iter().map(Value::tuple).collect()))
}
