//! `for` expressions.

use std::collections::BTreeMap;

use super::uses::uses_name;
use super::{Diagnostic, Diagnostics, Evaluator, Expr, Kind, MAX_ERRORS, Scope, Type, Value, article, fail, failed};
use crate::template::hcl::syntax::ast::{For, ForNames};
use crate::template::source_map::Span;

/// Key and value of an element.
pub(crate) type Pair = (Value, Value);

/// What has been made of the elements so far.
#[derive(Default)]
struct Made {
    elements: Vec<Value>,
    groups: BTreeMap<String, Vec<Value>>,
    sensitive: bool,
    /// Something is not known, or was wrong.
    unknown: bool,
}

impl Evaluator<'_> {
    pub(super) fn for_expr(&self, for_expr: &For, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let collection = self.value(&for_expr.collection, scope, sink);
        let mut made = Made { sensitive: collection.is_sensitive(), ..Made::default() };
        let Some(pairs) = pairs(&collection, for_expr.collection.span, sink) else {
            return failed().mark(made.sensitive);
        };
        let mut told = Diagnostics::default();
        for (key, value) in pairs {
            if self.work.is_too_much() {
                return failed();
            }
            let inner = scope.child(named(&for_expr.names, key, value));
            let mut found = Diagnostics::default();
            self.round(for_expr, &inner, &mut made, &mut found);
            tell_once(found, &mut told, |diagnostic| {
                let parts = [Some(&for_expr.value), for_expr.key.as_ref(), for_expr.condition.as_ref()];
                let used = |name: &str| parts.iter().flatten().any(|part| uses_name(part, name));
                with_names(diagnostic, &for_expr.names, &inner, used)
            });
        }
        sink.extend(told);
        if made.unknown {
            return failed().mark(made.sensitive);
        }
        if for_expr.key.is_none() {
            return Value::tuple(made.elements).mark(made.sensitive);
        }
        let mut attributes = BTreeMap::new();
        for (name, mut values) in made.groups {
            let value = match (for_expr.group, values.len()) {
                (true, _) => Value::tuple(values),
                (false, 1) => values.remove(0),
                (false, _) => {
                    let error = Diagnostic::error("two elements have the same key").at(at);
                    let error = if made.sensitive { error } else { error.detail(format!("the key is \"{name}\"")) };
                    sink.push(error.hint("to collect them, write `...` after the value"));
                    return failed().mark(made.sensitive);
                }
            };
            attributes.insert(name, value);
        }
        Value::object(attributes).mark(made.sensitive)
    }

    /// One element. What is not known of it, or wrong, leaves all open, but the others are looked at.
    fn round(&self, for_expr: &For, scope: &Scope<'_>, made: &mut Made, sink: &mut Diagnostics) {
        if let Some(condition) = &for_expr.condition {
            let wanted = self.bool(condition, scope, "the condition of a `for`", sink);
            made.sensitive |= wanted.is_sensitive();
            match wanted.kind() {
                Kind::Bool(true) => {}
                Kind::Bool(false) => return,
                _ => {
                    made.unknown = true;
                    return;
                }
            }
        }
        let key = for_expr.key.as_ref().map(|key| (self.value(key, scope, sink), key));
        let value = self.value(&for_expr.value, scope, sink);
        let Some((key, key_expr)) = key else {
            made.elements.push(value);
            return;
        };
        made.sensitive |= key.is_sensitive();
        match key.scalar_text() {
            Some(name) => made.groups.entry(name).or_default().push(value),
            None => {
                made.unknown = true;
                if !key.is_unknown() {
                    key_is_no_string(&key, key_expr, sink);
                }
            }
        }
    }
}

/// Keys and values of what a `for` goes over; none if they are not known.
pub(crate) fn pairs(collection: &Value, at: Span, sink: &mut Diagnostics) -> Option<Vec<Pair>> {
    match collection.kind() {
        Kind::List(_, elements) | Kind::Tuple(elements) => {
            let pairs = elements.iter().enumerate();
            Some(pairs.map(|(index, element)| (Value::number(index), element.clone())).collect())
        }
        Kind::Set(_, elements) => Some(elements.iter().map(|element| (element.clone(), element.clone())).collect()),
        Kind::Object(entries) if entries.is_open() => None,
        Kind::Map(_, entries) | Kind::Object(entries) => {
            Some(entries.iter().map(|(name, value)| (Value::string(name.as_str()), value.clone())).collect())
        }
        Kind::Unknown(Type::String | Type::Number | Type::Bool) => {
            fail(at, format!("{} cannot be gone over by `for`", article(&collection.ty())), sink);
            None
        }
        Kind::Unknown(_) => None,
        _ => {
            fail(at, format!("{} cannot be gone over by `for`", collection.describe()), sink);
            None
        }
    }
}

fn key_is_no_string(key: &Value, at: &Expr, sink: &mut Diagnostics) {
    let error = Diagnostic::error("a key must be a string").at(at.span);
    sink.push(error.detail(format!("found {}", article(&key.ty()))));
}

/// The names of an element.
pub(super) fn named(names: &ForNames, key: Value, value: Value) -> Vec<(String, Value)> {
    let mut named = vec![(names.value.text.to_string(), value)];
    named.extend(names.key.as_ref().map(|name| (name.text.to_string(), key)));
    named
}

/// Adds what was found in a round to what was told of others, unless the same has been told of one of them.
pub(super) fn tell_once(found: Diagnostics, told: &mut Diagnostics, more: impl Fn(Diagnostic) -> Diagnostic) {
    for diagnostic in found {
        let same = |other: &Diagnostic| other.span == diagnostic.span && other.summary == diagnostic.summary;
        if told.len() < MAX_ERRORS && !told.iter().any(same) {
            told.push(more(diagnostic));
        }
    }
}

/// Says which element it was that something is wrong with.
pub(super) fn with_names(
    mut diagnostic: Diagnostic,
    names: &ForNames,
    scope: &Scope<'_>,
    used: impl Fn(&str) -> bool,
) -> Diagnostic {
    let names = names.key.iter().chain([&names.value]).map(|name| &*name.text).filter(|name| used(name));
    let shown: Vec<String> = names.filter_map(|name| Some(format!("{name} is {}", brief(scope.get(name)?)))).collect();
    if !shown.is_empty() {
        let shown = format!("where {}", shown.join(" and "));
        diagnostic.detail = Some(diagnostic.detail.map_or(shown.clone(), |detail| format!("{detail}, {shown}")));
    }
    diagnostic
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    const LONGEST: usize = 60;
    if value.contains_sensitive() {
        return "sensitive".to_owned();
    }
    let Some(text) = value.scalar_text() else { return value.describe() };
    let text = match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    };
    if value.as_str().is_some() { format!("\"{text}\"") } else { text }
}
