//! Attributes, indexes and `for` expressions.

use super::{
    BTreeMap, Eval, Evaluator, Expression, ForExpr, Kind, MapDiagnostic, Scope, Traversal, Type, Value, article,
    convert, did_you_mean,
};

impl Evaluator<'_> {
    pub(super) fn attribute(&self, value: &Value, name: &str, at: &Traversal) -> Eval<Value> {
        let sensitive = value.is_sensitive();
        match value.kind() {
            Kind::Unknown(Type::Object(attributes)) if attributes.contains_key(name) => {
                Ok(Value::unknown(attributes[name].ty.clone()).mark(sensitive))
            }
            Kind::Unknown(Type::Map(element)) => Ok(Value::unknown((**element).clone()).mark(sensitive)),
            Kind::Unknown(Type::Dynamic) => Ok(Value::unknown(Type::Dynamic).mark(sensitive)),
            Kind::Null(_) => Err(self.error(&at.expr, format!("null has no attribute `{name}`"))),
            Kind::Object(entries) | Kind::Map(_, entries) => match entries.get(name) {
                Some(value) => Ok(value.clone().mark(sensitive)),
                None if entries.is_open() => Ok(Value::unknown(Type::String).mark(sensitive)),
                None => Err(self.no_attribute(name, entries, at)),
            },
            Kind::List(..) | Kind::Tuple(_) | Kind::Set(..) => Err(self
                .error(&at.expr, format!("{} has no attribute `{name}`", value.describe()))
                .map_hint(format!("to get it from every element, write [*].{name}"))),
            _ => Err(self.error(&at.expr, format!("{} has no attribute `{name}`", value.describe()))),
        }
    }

    fn no_attribute(&self, name: &str, entries: &BTreeMap<String, Value>, at: &Traversal) -> Box<super::Diagnostic> {
        let root = at.expr.as_variable().map(hcl_edit::Ident::as_str);
        let summary = match root {
            Some("var") => format!("there is no variable `{name}`"),
            Some("local") => format!("there is no local `{name}`"),
            Some(root) => format!("`{root}` has no attribute `{name}`"),
            None => format!("there is no attribute `{name}`"),
        };
        let hint = match (did_you_mean(name, entries.keys().map(String::as_str)), root) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some("var")) => format!("declare it: variable \"{name}\" {{}}"),
            (None, Some("local")) => format!("define it: locals {{ {name} = … }}"),
            (None, _) if entries.is_empty() => "it is empty".to_owned(),
            (None, _) => format!("it has: {}", entries.keys().take(20).cloned().collect::<Vec<_>>().join(", ")),
        };
        self.error(&at.expr, summary).map_hint(hint)
    }

    pub(super) fn index(&self, value: &Value, key: &Value, at: &Expression) -> Eval<Value> {
        let sensitive = value.is_sensitive() || key.is_sensitive();
        if key.is_null() {
            return Err(self.error(at, "null cannot be an index"));
        }
        if value.is_unknown() || key.is_unknown() {
            let ty = element_type(&value.ty(), key);
            let ty = ty.ok_or_else(|| self.error(at, format!("{} cannot be indexed", article(&value.ty()))))?;
            return Ok(Value::unknown(ty).mark(sensitive || value.contains_sensitive()));
        }
        match value.kind() {
            Kind::List(_, elements) | Kind::Tuple(elements) => {
                let index = convert(key, &Type::Number)
                    .map_err(|error| self.error(at, "an index of a list must be a number").map_detail(error))?;
                let found =
                    index.as_i64().and_then(|index| usize::try_from(index).ok()).and_then(|index| elements.get(index));
                let found = found.ok_or_else(|| {
                    self.error(at, "the index is out of range")
                        .map_detail(format!("the list has {} elements", elements.len()))
                })?;
                Ok(found.clone().mark(sensitive))
            }
            Kind::Map(_, entries) | Kind::Object(entries) => {
                let name = key.scalar_text().ok_or_else(|| self.error(at, "a key must be a string"))?;
                if entries.is_open() && !entries.contains_key(&name) {
                    return Ok(Value::unknown(Type::String).mark(sensitive));
                }
                let found = entries.get(&name).ok_or_else(|| {
                    let shown = if key.is_sensitive() { "(sensitive)" } else { &name };
                    let error = self.error(at, format!("there is no element \"{shown}\""));
                    match did_you_mean(&name, entries.keys().map(String::as_str)) {
                        Some(near) => error.map_hint(format!("did you mean \"{near}\"?")),
                        None => error,
                    }
                })?;
                Ok(found.clone().mark(sensitive))
            }
            Kind::Set(..) => {
                Err(self.error(at, "elements of a set have no index").map_hint("convert it: [for x in set : x]"))
            }
            _ => Err(self.error(at, format!("{} cannot be indexed", value.describe()))),
        }
    }

    pub(super) fn for_expr(&self, for_expr: &ForExpr, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let intro = &for_expr.intro;
        let collection = self.eval(&intro.collection_expr, scope)?;
        let mut sensitive = collection.is_sensitive();
        if collection.is_unknown() {
            return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
        }
        let pairs = self.pairs(&collection, &intro.collection_expr)?;
        let (mut elements, mut groups) = (Vec::new(), BTreeMap::<String, Vec<Value>>::new());
        for (key, value) in pairs {
            let mut names = vec![(intro.value_var.as_str().to_owned(), value)];
            names.extend(intro.key_var.as_ref().map(|name| (name.as_str().to_owned(), key)));
            let scope = scope.child(names);
            if let Some(condition) = &for_expr.cond {
                let wanted = self.bool(&condition.expr, &scope, "the condition of a `for`")?;
                sensitive |= wanted.is_sensitive();
                match wanted.kind() {
                    Kind::Bool(true) => {}
                    Kind::Bool(false) => continue,
                    _ => return Ok(Value::unknown(Type::Dynamic).mark(sensitive)),
                }
            }
            let value = self.eval(&for_expr.value_expr, &scope)?;
            let Some(key_expr) = &for_expr.key_expr else {
                elements.push(value);
                continue;
            };
            let key = self.eval(key_expr, &scope)?;
            sensitive |= key.is_sensitive();
            if key.is_unknown() {
                return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
            }
            let name = key.scalar_text().ok_or_else(|| {
                self.error(key_expr, "a key must be a string").map_detail(format!("found {}", article(&key.ty())))
            })?;
            groups.entry(name).or_default().push(value);
        }
        if for_expr.key_expr.is_none() {
            return Ok(Value::tuple(elements).mark(sensitive));
        }
        let mut attributes = BTreeMap::new();
        for (name, mut values) in groups {
            let value = match (for_expr.grouping, values.len()) {
                (true, _) => Value::tuple(values),
                (false, 1) => values.remove(0),
                (false, _) => {
                    return Err(self
                        .error(at, "two elements have the same key")
                        .map_hint("to collect them, write `...` after the value"));
                }
            };
            attributes.insert(name, value);
        }
        Ok(Value::object(attributes).mark(sensitive))
    }

    /// Keys and values of what a `for` goes over.
    pub(crate) fn pairs(&self, collection: &Value, at: &Expression) -> Eval<Vec<(Value, Value)>> {
        match collection.kind() {
            Kind::List(_, elements) | Kind::Tuple(elements) => {
                let pairs = elements.iter().enumerate();
                Ok(pairs.map(|(index, element)| (Value::number(index), element.clone())).collect())
            }
            Kind::Set(_, elements) => Ok(elements.iter().map(|element| (element.clone(), element.clone())).collect()),
            Kind::Map(_, entries) | Kind::Object(entries) => {
                Ok(entries.iter().map(|(name, value)| (Value::string(name.as_str()), value.clone())).collect())
            }
            _ => Err(self.error(at, format!("{} cannot be gone over by `for`", collection.describe()))),
        }
    }
}

/// The type of an element of a collection that is not known, or whose element is not; none if it has no elements.
fn element_type(ty: &Type, key: &Value) -> Option<Type> {
    match ty {
        Type::Dynamic => Some(Type::Dynamic),
        Type::List(element) | Type::Map(element) => Some((**element).clone()),
        Type::Tuple(types) => {
            let index = key.as_i64().and_then(|index| usize::try_from(index).ok());
            Some(index.and_then(|index| types.get(index).cloned()).unwrap_or(Type::Dynamic))
        }
        Type::Object(attributes) => {
            let attribute = key.scalar_text().and_then(|name| attributes.get(&name).map(|found| found.ty.clone()));
            Some(attribute.unwrap_or(Type::Dynamic))
        }
        Type::String | Type::Number | Type::Bool | Type::Set(_) => None,
    }
}
