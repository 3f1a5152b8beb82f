//! What follows a value: attributes, indexes and splats.

use hcl_edit::expr::TraversalOperator;

use super::{Eval, Evaluator, Expression, Kind, Scope, Traversal, Type, Value};

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
                self.charge(&traversal.expr, value.weight() / 16)?;
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
                    // After `.*` only attributes and old indexes are taken from each element, after `[*]` everything.
                    let applies = |operator: &&&TraversalOperator| {
                        full || matches!(operator, TraversalOperator::GetAttr(_) | TraversalOperator::LegacyIndex(_))
                    };
                    let count = rest.iter().take_while(applies).count();
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

    /// What the operators give of each element. A value that is no collection is taken for one of itself, null for none.
    fn splat(&self, value: &Value, operators: &[&TraversalOperator], at: &Traversal, scope: &Scope<'_>) -> Eval<Value> {
        let sensitive = value.is_sensitive();
        let each = |element: &Value| self.follow(element.clone(), operators, at, scope);
        let typed = match value.ty() {
            Type::List(element) | Type::Set(element) => Some(element),
            _ => None,
        };
        let single = [value.clone()];
        let elements: &[Value] = match (value.kind(), &typed) {
            (Kind::Unknown(_), Some(element)) => {
                let ty = each(&Value::unknown((**element).clone()))?.ty();
                return Ok(Value::unknown(Type::list(ty)).mark(sensitive));
            }
            (Kind::Unknown(_), None) => return Ok(Value::unknown(Type::Dynamic).mark(sensitive)),
            (Kind::Null(_), Some(_)) => return Err(self.error(&at.expr, "null is no list that `*` could go over")),
            (Kind::Null(_), None) => &[],
            _ => value.elements().unwrap_or(&single),
        };
        let results = elements.iter().map(each).collect::<Eval<Vec<Value>>>()?;
        if let Some(element) = typed {
            let ty = match results.first() {
                Some(first) => first.ty(),
                None => each(&Value::unknown((*element).clone()))?.ty(),
            };
            if results.iter().all(|result| result.ty() == ty) {
                return Ok(Value::list(ty, results).mark(sensitive));
            }
        }
        Ok(Value::tuple(results).mark(sensitive))
    }

    fn follow(&self, value: Value, operators: &[&TraversalOperator], at: &Traversal, scope: &Scope<'_>) -> Eval<Value> {
        let mut value = value;
        for (used, operator) in operators.iter().enumerate() {
            if matches!(operator, TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_)) {
                return self.splat(&value, &operators[used + 1..], at, scope);
            }
            value = self.step(&value, operator, at, scope)?;
        }
        Ok(value)
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
}
