//! Attributes and indexes.

use std::collections::BTreeMap;

use super::{Diagnostic, Diagnostics, Evaluator, Kind, Name, Type, Value, article, convert, fail, failed};
use crate::template::source_map::Span;

impl Evaluator<'_> {
    /// An attribute of a value, which is that of the name `root` if there is one.
    pub(super) fn attribute(&self, value: &Value, name: &Name, root: Option<&str>, sink: &mut Diagnostics) -> Value {
        let sensitive = value.is_sensitive();
        let text = &*name.text;
        match value.kind() {
            Kind::Unknown(Type::Object(attributes)) => match attributes.get(text) {
                Some(attribute) => Value::unknown(attribute.ty.clone()).mark(sensitive),
                None => self.no_attribute(name, attributes, root, sink),
            },
            Kind::Unknown(Type::Map(element)) => Value::unknown((**element).clone()).mark(sensitive),
            Kind::Unknown(Type::Dynamic) => failed().mark(sensitive),
            Kind::Null(_) => fail(name.span, format!("null has no attribute `{text}`"), sink),
            Kind::Object(entries) | Kind::Map(_, entries) => match entries.get(text) {
                Some(value) => value.clone().mark(sensitive),
                None if entries.is_open() => Value::unknown(Type::String).mark(sensitive),
                None => self.no_attribute(name, entries, root, sink),
            },
            Kind::List(..) | Kind::Tuple(_) | Kind::Set(..) => {
                let error = Diagnostic::error(format!("{} has no attribute `{text}`", value.describe()));
                sink.push(error.at(name.span).hint(format!("to get it from every element, write [*].{text}")));
                failed()
            }
            _ => fail(name.span, format!("{} has no attribute `{text}`", article(&value.ty())), sink),
        }
    }

    fn no_attribute<T>(
        &self,
        name: &Name,
        entries: &BTreeMap<String, T>,
        root: Option<&str>,
        sink: &mut Diagnostics,
    ) -> Value {
        let text = &*name.text;
        let summary = match root {
            Some("var") => format!("there is no variable `{text}`"),
            Some("local") => format!("there is no local `{text}`"),
            Some(root) => format!("`{root}` has no attribute `{text}`"),
            None => format!("there is no attribute `{text}`"),
        };
        let hint = match (self.work.near(text, entries.keys().map(String::as_str)), root) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some("var")) => format!("declare it: variable \"{text}\" {{}}"),
            (None, Some("local")) => format!("define it: locals {{ {text} = … }}"),
            (None, _) if entries.is_empty() => "it is empty".to_owned(),
            (None, _) => format!("it has: {}", entries.keys().take(20).cloned().collect::<Vec<_>>().join(", ")),
        };
        sink.push(Diagnostic::error(summary).at(name.span).hint(hint));
        failed()
    }

    /// The element of a collection that a key stands for.
    pub(super) fn index(&self, value: &Value, key: &Value, at: Span, sink: &mut Diagnostics) -> Value {
        let sensitive = value.is_sensitive() || key.is_sensitive();
        let found = self.element(value, key, at);
        match found {
            Ok(found) => found.mark(sensitive),
            Err(error) => {
                sink.push(*error);
                failed().mark(sensitive)
            }
        }
    }

    fn element(&self, value: &Value, key: &Value, at: Span) -> Result<Value, Box<Diagnostic>> {
        let error = |summary: String| Diagnostic::error(summary).at(at);
        if value.is_null() {
            return Err(Box::new(error("null cannot be indexed".to_owned())));
        }
        if key.is_null() {
            return Err(Box::new(error("null cannot be an index".to_owned())));
        }
        let ty = value.ty();
        let key = match &ty {
            Type::List(_) | Type::Tuple(_) => convert(key, &Type::Number)
                .map_err(|why| error("an index of a list must be a number".to_owned()).detail(why))?,
            Type::Map(_) | Type::Object(_) => {
                convert(key, &Type::String).map_err(|why| error("a key must be a string".to_owned()).detail(why))?
            }
            Type::Set(_) => {
                let error = error("elements of a set have no index".to_owned());
                return Err(Box::new(error.hint("convert it: [for x in set : x]")));
            }
            Type::Dynamic => return Ok(failed().mark(value.contains_sensitive())),
            Type::String | Type::Number | Type::Bool => {
                return Err(Box::new(error(format!("{} cannot be indexed", article(&ty)))));
            }
        };
        if value.is_unknown() || key.is_unknown() {
            return Ok(Value::unknown(element_type(&ty, &key)).mark(value.contains_sensitive()));
        }
        match value.entries() {
            Some(_) => self.entry(value, &key, at),
            None => {
                let elements = value.elements().unwrap_or_default();
                let index = key.as_i64().and_then(|index| usize::try_from(index).ok());
                index.and_then(|index| elements.get(index)).cloned().ok_or_else(|| {
                    let count = format!("the list has {} elements", elements.len());
                    Box::new(error("the index is out of range".to_owned()).detail(count))
                })
            }
        }
    }

    fn entry(&self, value: &Value, key: &Value, at: Span) -> Result<Value, Box<Diagnostic>> {
        let (Kind::Map(_, entries) | Kind::Object(entries)) = value.kind() else { return Ok(failed()) };
        let name = key.as_str().unwrap_or_default();
        match entries.get(name) {
            Some(found) => Ok(found.clone()),
            None if entries.is_open() => Ok(Value::unknown(Type::String)),
            None => {
                let shown = if key.is_sensitive() { "(sensitive)" } else { name };
                let error = Diagnostic::error(format!("there is no element \"{shown}\"")).at(at);
                Err(Box::new(match self.work.near(name, entries.keys().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean \"{near}\"?")),
                    None => error,
                }))
            }
        }
    }
}

/// The type of an element of a collection that is not known, or whose key is not.
fn element_type(ty: &Type, key: &Value) -> Type {
    match ty {
        Type::List(element) | Type::Map(element) => (**element).clone(),
        Type::Tuple(types) => {
            let index = key.as_i64().and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| types.get(index).cloned()).unwrap_or(Type::Dynamic)
        }
        Type::Object(attributes) => {
            key.as_str().and_then(|name| attributes.get(name)).map_or(Type::Dynamic, |found| found.ty.clone())
        }
        _ => Type::Dynamic,
    }
}
