//! Attributes, indexes, splats and `for` expressions.

use hcl_edit::expr::TraversalOperator;

use super::{
    BTreeMap, Eval, Evaluator, Expression, ForExpr, Kind, MapDiagnostic, Scope, Traversal, Type, Value, article,
    convert, did_you_mean,
};

impl Evaluator<'_> {
    pub(super) fn traversal(&self, traversal: &Traversal, scope: &Scope<'_>) -> Eval<Value> {
        // `var.x` must not copy all of `var`, so known objects are walked by reference first.
        let operators: Vec<&TraversalOperator> = traversal.operators.iter().map(hcl_edit::Decorated::value).collect();
        let spans: Vec<_> = traversal.operators.iter().map(hcl_edit::Span::span).collect();
        let mut used = 0;
        let mut value = match &traversal.expr {
            Expression::Variable(name) if scope.get(name.as_str()).is_some() => {
                let mut value = scope.get(name.as_str()).expect("checked above");
                let mut sensitive = value.is_sensitive();
                while let Some(TraversalOperator::GetAttr(attribute)) = operators.get(used) {
                    let Some(next) = value.entries().and_then(|entries| entries.get(attribute.as_str())) else { break };
                    value = next;
                    sensitive |= value.is_sensitive();
                    used += 1;
                }
                self.charge(&traversal.expr, value.weight())?;
                value.clone().mark(sensitive)
            }
            other => self.eval(other, scope)?,
        };
        while used < operators.len() {
            let at = self.origin.span(spans[used].clone());
            let here = |mut error: Box<super::Diagnostic>| {
                error.span = Some(at);
                error
            };
            match operators[used] {
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let full = matches!(operators[used], TraversalOperator::FullSplat(_));
                    let rest = &operators[used + 1..];
                    let applies =
                        |operator: &&TraversalOperator| full || matches!(operator, TraversalOperator::GetAttr(_));
                    let count = rest.iter().take_while(|operator| applies(operator)).count();
                    value = self.splat(&value, &rest[..count], traversal, scope).map_err(here)?;
                    used += 1 + count;
                }
                operator => {
                    value = self.step(&value, operator, traversal, scope).map_err(here)?;
                    used += 1;
                }
            }
        }
        Ok(value)
    }

    fn splat(&self, value: &Value, operators: &[&TraversalOperator], at: &Traversal, scope: &Scope<'_>) -> Eval<Value> {
        let sensitive = value.is_sensitive();
        if value.is_unknown() {
            return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
        }
        let single = [value.clone()];
        let elements: &[Value] = match value.elements() {
            Some(elements) => elements,
            None if value.is_null() => &[],
            None => &single,
        };
        let mut results = Vec::with_capacity(elements.len());
        for element in elements {
            let mut element = element.clone();
            let mut used = 0;
            while let Some(operator) = operators.get(used) {
                if matches!(operator, TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_)) {
                    element = self.splat(&element, &operators[used + 1..], at, scope)?;
                    break;
                }
                element = self.step(&element, operator, at, scope)?;
                used += 1;
            }
            results.push(element);
        }
        Ok(Value::tuple(results).mark(sensitive))
    }

    fn step(&self, value: &Value, operator: &TraversalOperator, at: &Traversal, scope: &Scope<'_>) -> Eval<Value> {
        let key = match operator {
            TraversalOperator::GetAttr(name) => return self.attribute(value, name.as_str(), at),
            TraversalOperator::LegacyIndex(index) => Value::number(**index),
            TraversalOperator::Index(expression) => self.eval(expression, scope)?,
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                return self.splat(value, &[], at, scope);
            }
        };
        self.index(value, &key, &at.expr)
    }

    fn attribute(&self, value: &Value, name: &str, at: &Traversal) -> Eval<Value> {
        let sensitive = value.is_sensitive();
        match value.kind() {
            Kind::Unknown(Type::Object(attributes)) if attributes.contains_key(name) => {
                Ok(Value::unknown(attributes[name].ty.clone()).mark(sensitive))
            }
            Kind::Unknown(Type::Dynamic | Type::Map(_)) => Ok(Value::unknown(Type::Dynamic).mark(sensitive)),
            Kind::Object(entries) | Kind::Map(_, entries) => match entries.get(name) {
                Some(value) => Ok(value.clone().mark(sensitive)),
                None if entries.contains_key(super::OPEN_OBJECT) => Ok(Value::unknown(Type::String).mark(sensitive)),
                None => Err(self.no_attribute(name, entries, at)),
            },
            Kind::List(..) | Kind::Tuple(_) | Kind::Set(..) => Err(self
                .error(&at.expr, format!("{} has no attribute `{name}`", value.describe()))
                .map_hint(format!("to get it from every element, write [*].{name}"))),
            _ => Err(self.error(&at.expr, format!("{} has no attribute `{name}`", value.describe()))),
        }
    }

    fn no_attribute(&self, name: &str, entries: &BTreeMap<String, Value>, at: &Traversal) -> Box<super::Diagnostic> {
        let root = at.expr.as_variable().map(|root| root.as_str());
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

    fn index(&self, value: &Value, key: &Value, at: &Expression) -> Eval<Value> {
        let sensitive = value.is_sensitive() || key.is_sensitive();
        if value.is_unknown() || key.is_unknown() {
            return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
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
            Kind::Set(..) => Err(self
                .error(at, "elements of a set have no index")
                .map_hint("convert it by tolist or [for x in set: x]")),
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
                Ok((0_u64..).zip(elements).map(|(index, element)| (Value::number(index), element.clone())).collect())
            }
            Kind::Set(_, elements) => Ok(elements.iter().map(|element| (element.clone(), element.clone())).collect()),
            Kind::Map(_, entries) | Kind::Object(entries) => {
                Ok(entries.iter().map(|(name, value)| (Value::string(name.clone()), value.clone())).collect())
            }
            _ => Err(self.error(at, format!("{} cannot be gone over by `for`", collection.describe()))),
        }
    }
}
