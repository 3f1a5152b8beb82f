//! Functions that give the elements of lists in another order or shape.

use super::{Call, Failure, Function, MAX_RESULT, Outcome, Returns, STRINGS, TOO_LARGE, Ty, Type, Value};
use super::{any, function, list, number, variadic};
use crate::template::hcl::convert::{convert, unify_unsafe};
use crate::template::hcl::value::Kind;

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("concat", &[], any("seqs").in_parts(), Returns::Of(concat_type), concat),
    function("flatten", &[any("list").in_parts()], Returns::Of(flatten_type), |c| {
        let elements = c.elements(0)?;
        let mut flat = Vec::new();
        Ok(if flatten(elements, false, &mut flat)? { Value::tuple(flat) } else { Value::unknown(Type::Dynamic) })
    }),
    function("reverse", &[any("list").in_parts()], Returns::Of(reverse_type), |c| {
        let mut elements = c.elements(0)?.to_vec();
        elements.reverse();
        Ok(like(c.value(0), elements))
    }),
    function(
        "slice",
        &[any("list").in_parts(), number("start_index"), number("end_index")],
        Returns::Of(slice_type),
        slice,
    ),
    function("distinct", &[list("list", &Ty::Any)], Returns::Of(|values| Ok(values[0].ty())), |c| {
        let elements = c.elements(0)?;
        let mut firsts: Vec<usize> = (0..elements.len()).collect();
        firsts.sort_by(|left, right| elements[*left].order(&elements[*right]).then(left.cmp(right)));
        firsts.dedup_by(|later, first| elements[*later].order(&elements[*first]).is_eq());
        firsts.sort_unstable();
        let kept = firsts.into_iter().map(|index| elements[index].clone()).collect();
        Ok(like(c.value(0), kept))
    }),
    function(
        "chunklist",
        &[list("list", &Ty::Any), number("size")],
        Returns::Of(|values| Ok(Type::list(values[0].ty()))),
        |c| {
            let (elements, size) = (c.elements(0)?, c.size(1)?);
            let size = if size == 0 { elements.len().max(1) } else { size };
            let chunks = elements.chunks(size).map(|chunk| like(c.value(0), chunk.to_vec())).collect();
            Ok(Value::list(c.value(0).ty(), chunks))
        },
    ),
    function("sort", &[list("list", &Ty::String)], STRINGS, |c| {
        let mut texts = c.texts(0)?;
        texts.sort_unstable();
        Ok(Value::strings(texts))
    }),
];

/// Elements as a list or tuple, as the value is; a set becomes a list.
fn like(value: &Value, elements: Vec<Value>) -> Value {
    match value.kind() {
        Kind::List(ty, _) | Kind::Set(ty, _) => Value::list(ty.clone(), elements),
        _ => Value::tuple(elements),
    }
}

fn wrong(index: usize, message: &str) -> Failure {
    Failure::Argument(index, message.to_owned())
}

/// A list if all are, and of one type; else a tuple.
fn concat_type(values: &[Value]) -> Result<Type, Failure> {
    if values.is_empty() {
        return Err("it takes at least 1 argument".into());
    }
    let types: Vec<Type> = values.iter().map(Value::ty).collect();
    let mut parts = Vec::new();
    let mut lists = Vec::new();
    let mut later = false;
    for (index, (ty, value)) in types.iter().zip(values).enumerate() {
        match ty {
            Type::List(element) => {
                lists.push((**element).clone());
                match value.elements() {
                    Some(elements) => parts.extend(elements.iter().map(|_| (**element).clone())),
                    None => later = true,
                }
            }
            Type::Tuple(types) => parts.extend(types.iter().cloned()),
            _ => return Err(wrong(index, "a list or a tuple is required")),
        }
    }
    if lists.len() == types.len()
        && let Some(element) = unify_unsafe(&lists)
    {
        return Ok(Type::list(element));
    }
    Ok(if later { Type::Dynamic } else { Type::tuple(parts) })
}

fn concat(c: &Call<'_>) -> Outcome {
    let ty = concat_type(&c.values)?;
    let mut all = Vec::new();
    for index in 0..c.len() {
        all.extend(c.elements(index)?.iter().cloned());
        if all.len() > MAX_RESULT / 64 {
            return Err(TOO_LARGE.into());
        }
    }
    Ok(match ty {
        Type::List(element) => {
            let converted = all.iter().map(|value| convert(value, &element)).collect::<Result<_, String>>();
            Value::list((*element).clone(), converted?)
        }
        _ => Value::tuple(all),
    })
}

fn flatten_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::List(_) | Type::Set(_) | Type::Tuple(_) => Ok(Type::Dynamic),
        _ => Err(wrong(0, "a list, set or tuple is required")),
    }
}

/// Puts what is in lists within lists into one; says if all of it is known enough.
fn flatten(elements: &[Value], sensitive: bool, flat: &mut Vec<Value>) -> Result<bool, Failure> {
    let mut known = true;
    for element in elements {
        let sensitive = sensitive || element.is_sensitive();
        let is_list = matches!(element.ty_of_unknown(), Some(Type::List(_) | Type::Set(_) | Type::Dynamic));
        known &= !is_list;
        match element.elements() {
            Some(inner) => known &= flatten(inner, sensitive, flat)?,
            None => flat.push(element.clone().mark(sensitive)),
        }
        if flat.len() > MAX_RESULT / 64 {
            return Err(TOO_LARGE.into());
        }
    }
    Ok(known)
}

fn reverse_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        Type::List(element) | Type::Set(element) => Ok(Type::List(element)),
        Type::Tuple(types) => Ok(Type::tuple(types.iter().rev().cloned())),
        _ => Err(wrong(0, "a list or a tuple is required")),
    }
}

fn slice_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].ty() {
        list @ Type::List(_) => Ok(list),
        Type::Tuple(types) => {
            let index = |value: &Value| value.as_i64().and_then(|index| usize::try_from(index).ok());
            let part = index(&values[1]).zip(index(&values[2])).and_then(|(start, end)| types.get(start..end));
            Ok(part.map_or(Type::Dynamic, |part| Type::tuple(part.iter().cloned())))
        }
        Type::Set(_) => {
            Err(wrong(0, "elements of a set have no index: write convert(x, list(any)) if any order will do"))
        }
        _ => Err(wrong(0, "a list or a tuple is required")),
    }
}

fn slice(c: &Call<'_>) -> Outcome {
    slice_type(&c.values)?;
    let (elements, start, end) = (c.elements(0)?, c.size(1)?, c.size(2)?);
    if start > end {
        return Err(c.wrong(1, "the start must not be past the end"));
    }
    let part = elements.get(start..end);
    let part = part.ok_or_else(|| c.wrong(2, format!("the list has only {} elements", elements.len())))?;
    Ok(like(c.value(0), part.to_vec()))
}
