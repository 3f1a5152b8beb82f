//! Which types convert to which, and the one that several convert to.

use std::collections::BTreeMap;

use crate::template::hcl::value::{Attribute, Type};

/// Whether values of one type convert to another: all of them, or with `maybe` some.
pub fn can_convert(from: &Type, to: &Type, maybe: bool) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (_, Type::Dynamic) | (Type::Number | Type::Bool, Type::String) => true,
        (Type::Dynamic, _) | (Type::String, Type::Number | Type::Bool) => maybe,
        (Type::List(from) | Type::Set(from), Type::List(to) | Type::Set(to)) | (Type::Map(from), Type::Map(to)) => {
            can_convert(from, to, maybe)
        }
        (Type::Tuple(from), Type::List(to) | Type::Set(to)) => {
            **to == Type::Dynamic && unify_with(from, maybe).is_some()
                || **to != Type::Dynamic && from.iter().all(|from| can_convert(from, to, maybe))
        }
        (Type::Tuple(from), Type::Tuple(to)) => {
            from.len() == to.len() && from.iter().zip(to.iter()).all(|(from, to)| can_convert(from, to, maybe))
        }
        (Type::Object(from), Type::Map(to)) => {
            let types: Vec<Type> = from.values().map(|attribute| attribute.ty.clone()).collect();
            **to == Type::Dynamic && unify_with(&types, maybe).is_some()
                || **to != Type::Dynamic && types.iter().all(|from| can_convert(from, to, maybe))
        }
        (Type::Object(from), Type::Object(to)) => {
            to.iter().all(|(name, to)| from.get(name).map_or(to.optional, |from| can_convert(&from.ty, &to.ty, maybe)))
        }
        (Type::Map(from), Type::Object(to)) => maybe && to.values().all(|to| can_convert(from, &to.ty, maybe)),
        _ => false,
    }
}

/// The type that all values of all `types` convert to; `None` if there is none.
pub fn unify(types: &[Type]) -> Option<Type> {
    unify_with(types, false)
}

/// The type that all `types` convert to, as far as their values let them; `None` if there is none.
pub fn unify_unsafe(types: &[Type]) -> Option<Type> {
    unify_with(types, true)
}

/// How many of the types are of which form.
#[derive(Default)]
struct Forms {
    lists: usize,
    sets: usize,
    maps: usize,
    tuples: usize,
    objects: usize,
    dynamic: usize,
}

impl Forms {
    fn of(types: &[Type]) -> Self {
        let mut forms = Self::default();
        for ty in types {
            match ty {
                Type::List(_) => forms.lists += 1,
                Type::Set(_) => forms.sets += 1,
                Type::Map(_) => forms.maps += 1,
                Type::Tuple(_) => forms.tuples += 1,
                Type::Object(_) => forms.objects += 1,
                Type::Dynamic => forms.dynamic += 1,
                Type::String | Type::Number | Type::Bool => {}
            }
        }
        forms
    }
}

fn unify_with(types: &[Type], maybe: bool) -> Option<Type> {
    let first = types.first().unwrap_or(&Type::Dynamic);
    if types.iter().all(|ty| ty == first) {
        return Some(first.clone());
    }
    let all = types.len();
    let forms = Forms::of(types);
    let collections = forms.lists + forms.sets + forms.maps + forms.tuples + forms.objects;
    if collections > 0 && collections + forms.dynamic == all && forms.dynamic > 0 {
        return one_form(&forms, all).then_some(Type::Dynamic);
    }
    let by_form = if forms.maps > 0 && forms.maps + forms.objects == all {
        elements_of(types, maybe).map(Type::map)
    } else if forms.lists > 0 && forms.lists + forms.tuples == all {
        elements_of(types, maybe).map(Type::list)
    } else if forms.sets > 0 && forms.sets + forms.tuples == all {
        elements_of(types, maybe).map(Type::set)
    } else if forms.objects == all {
        return objects(types, maybe);
    } else if forms.tuples == all {
        return tuples(types, maybe);
    } else {
        None
    };
    by_form.or_else(|| by_preference(types, maybe))
}

/// Whether the types known so far are all of one form, so that what is not known yet may become of it too.
fn one_form(forms: &Forms, all: usize) -> bool {
    let rest = all - forms.dynamic;
    [forms.lists + forms.tuples, forms.sets + forms.tuples, forms.maps + forms.objects].contains(&rest)
        || forms.lists + forms.sets == rest
}

/// The type of the elements of all collections together.
fn elements_of(types: &[Type], maybe: bool) -> Option<Type> {
    let mut elements: Vec<Type> = Vec::new();
    for ty in types {
        match ty {
            Type::List(element) | Type::Set(element) | Type::Map(element) => elements.push((**element).clone()),
            Type::Tuple(parts) => elements.extend(parts.iter().cloned()),
            Type::Object(parts) => elements.extend(parts.values().map(|attribute| attribute.ty.clone())),
            _ => {}
        }
    }
    unify_with(&elements, maybe)
}

/// One attribute at a time if all have the same names, else a map of all.
fn objects(types: &[Type], maybe: bool) -> Option<Type> {
    let attributes: Vec<&BTreeMap<String, Attribute>> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::Object(attributes) => Some(&**attributes),
            _ => None,
        })
        .collect();
    let first = attributes.first()?;
    if attributes.iter().all(|other| other.keys().eq(first.keys())) {
        let unified: Option<Vec<(String, Type)>> = first
            .keys()
            .map(|name| {
                let types: Vec<Type> = attributes.iter().map(|attributes| attributes[name].ty.clone()).collect();
                Some((name.clone(), unify_with(&types, maybe)?))
            })
            .collect();
        if let Some(unified) = unified {
            return Some(Type::object(unified));
        }
    }
    elements_of(types, maybe).map(Type::map)
}

/// One element at a time if all have the same length, else a list of all.
fn tuples(types: &[Type], maybe: bool) -> Option<Type> {
    let tuples: Vec<&[Type]> = types
        .iter()
        .filter_map(|ty| match ty {
            Type::Tuple(elements) => Some(&**elements),
            _ => None,
        })
        .collect();
    let length = tuples.first()?.len();
    if tuples.iter().all(|other| other.len() == length) {
        let unified: Option<Vec<Type>> = (0..length)
            .map(|index| {
                let types: Vec<Type> = tuples.iter().map(|tuple| tuple[index].clone()).collect();
                unify_with(&types, maybe)
            })
            .collect();
        if let Some(unified) = unified {
            return Some(Type::tuple(unified));
        }
    }
    elements_of(types, maybe).map(Type::list)
}

/// The first of the types that all others convert to. What can take more comes first, what is not known last.
fn by_preference(types: &[Type], maybe: bool) -> Option<Type> {
    fn rank(ty: &Type) -> u8 {
        match ty {
            Type::String => 0,
            Type::Dynamic => 2,
            Type::List(element) | Type::Set(element) | Type::Map(element) => rank(element),
            _ => 1,
        }
    }
    let mut candidates: Vec<&Type> = types.iter().collect();
    candidates.sort_by_key(|ty| rank(ty));
    candidates.into_iter().find(|wanted| types.iter().all(|ty| can_convert(ty, wanted, maybe))).cloned()
}
