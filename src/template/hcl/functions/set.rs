//! Functions on sets.

use super::{Call, Failure, Function, MAX_RESULT, Outcome, Returns, TOO_LARGE, Ty, Type, Value};
use super::{any, parameter, variadic};
use crate::template::hcl::convert::{convert, unify_unsafe};

const SET: parameter::Parameter = parameter::parameter("first_set", Ty::Set(&Ty::Any));
const SETS: parameter::Parameter = parameter::parameter("other_sets", Ty::Set(&Ty::Any));

pub(super) const FUNCTIONS: &[Function] = &[
    variadic("setunion", &[SET], SETS, Returns::Of(set_type), |c| {
        combine(c, |mut all, other| {
            all.extend(other);
            all
        })
    }),
    variadic("setintersection", &[SET], SETS, Returns::Of(set_type), |c| {
        combine(c, |mut all, other| {
            // Sets are in order.
            all.retain(|value| other.binary_search_by(|other| other.order(value)).is_ok());
            all
        })
    }),
    variadic("setproduct", &[], any("sets"), Returns::Of(product_type), product),
];

/// Sets of the one type that the elements of all have.
fn set_type(values: &[Value]) -> Result<Type, Failure> {
    let types: Vec<Type> = values.iter().filter_map(|value| element_type(&value.ty())).collect();
    unify_unsafe(&types).map(Type::set).ok_or_else(|| "the elements of all sets must be of one type".into())
}

fn element_type(ty: &Type) -> Option<Type> {
    match ty {
        Type::List(element) | Type::Set(element) => Some((**element).clone()),
        _ => None,
    }
}

fn combine(c: &Call<'_>, mut step: impl FnMut(Vec<Value>, Vec<Value>) -> Vec<Value>) -> Outcome {
    // A set without elements has none of a type that would matter.
    let filled: Vec<Value> = c.values.iter().filter(|set| set.elements() != Some(&[])).cloned().collect();
    let ty = set_type(if filled.is_empty() { &c.values } else { &filled })?;
    let mut sets = Vec::with_capacity(c.len());
    for (index, set) in c.values.iter().enumerate() {
        let converted = convert(set, &ty).map_err(|error| c.wrong(index, error))?;
        sets.push(converted.elements().unwrap_or_default().to_vec());
    }
    let all = sets.into_iter().reduce(&mut step).unwrap_or_default();
    Ok(Value::set(element_type(&ty).unwrap_or(Type::Dynamic), all))
}

/// A set if all arguments are, else a list; of tuples, one element of each.
fn product_type(values: &[Value]) -> Result<Type, Failure> {
    if values.len() < 2 {
        return Err("it takes at least 2 arguments".into());
    }
    let mut is_set = true;
    let mut elements = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        let element = match value.ty() {
            Type::Set(element) => (*element).clone(),
            Type::List(element) => {
                is_set = false;
                (*element).clone()
            }
            Type::Tuple(types) => {
                is_set = false;
                unify_unsafe(&types)
                    .ok_or_else(|| Failure::Argument(index, "all elements must be of one type".to_owned()))?
            }
            _ => return Err(Failure::Argument(index, "a list or a set is required".to_owned())),
        };
        elements.push(element);
    }
    let row = Type::tuple(elements);
    Ok(if is_set { Type::set(row) } else { Type::list(row) })
}

fn product(c: &Call<'_>) -> Outcome {
    let ty = product_type(&c.values)?;
    let (Type::Set(row) | Type::List(row)) = &ty else {
        return Err("it takes lists and sets".into());
    };
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for index in 0..c.len() {
        let elements = c.elements(index)?;
        if rows.len().saturating_mul(elements.len()).saturating_mul(c.len()) > MAX_RESULT / 64 {
            return Err(TOO_LARGE.into());
        }
        rows = rows
            .iter()
            .flat_map(|row| elements.iter().map(|element| [row.as_slice(), std::slice::from_ref(element)].concat()))
            .collect();
    }
    let rows = rows.into_iter().map(|values| convert(&Value::tuple(values), row));
    let rows = rows.collect::<Result<Vec<_>, String>>()?;
    Ok(match &ty {
        Type::Set(_) => Value::set((**row).clone(), rows),
        _ => Value::list((**row).clone(), rows),
    })
}
