//! What follows a value: attributes, indexes and splats.

use super::{Diagnostics, Evaluator, Expr, ExprKind, Kind, Scope, Step, Type, Value, fail, failed};
use crate::template::source_map::Span;

impl Evaluator<'_> {
    pub(super) fn traversal(&self, root: &Expr, steps: &[Step], scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        // `var.x` must not copy all of `var`, so known objects are walked by reference first.
        let named = match &root.kind {
            ExprKind::Variable(name) => scope.get(&name.text).map(|value| (name, value)),
            _ => None,
        };
        let Some((name, mut value)) = named else {
            let value = self.value(root, scope, sink);
            return self.follow(value, steps, None, scope, sink);
        };
        let (mut used, mut sensitive) = (0, value.is_sensitive());
        while let Some(Step::Attribute(attribute)) = steps.get(used) {
            let Some(next) = value.entries().and_then(|entries| entries.get(&*attribute.text)) else { break };
            value = next;
            sensitive |= value.is_sensitive();
            used += 1;
        }
        self.work.charge(value.weight() / 16);
        let root = (used == 0).then_some(&*name.text);
        self.follow(value.clone().mark(sensitive), &steps[used..], root, scope, sink)
    }

    /// Where steps lead from a value. If the value is that of a name, `root` is the name.
    fn follow(
        &self,
        value: Value,
        steps: &[Step],
        root: Option<&str>,
        scope: &Scope<'_>,
        sink: &mut Diagnostics,
    ) -> Value {
        let mut value = value;
        for (used, step) in steps.iter().enumerate() {
            let root = root.filter(|_| used == 0);
            value = match step {
                Step::Attribute(name) => self.attribute(&value, name, root, sink),
                Step::Index(key, span) => {
                    let key = self.value(key, scope, sink);
                    self.index(&value, &key, *span, sink)
                }
                Step::Splat(each, span) => self.splat(&value, each, *span, scope, sink),
            };
        }
        value
    }

    /// Where steps lead from each element. A value that is no collection is taken for one of itself, null for none.
    fn splat(&self, value: &Value, steps: &[Step], span: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let sensitive = value.is_sensitive();
        let typed = match value.ty() {
            Type::List(element) | Type::Set(element) => Some(element),
            _ => None,
        };
        let mut each = |element: Value| {
            if !self.work.charge(1) {
                return failed();
            }
            self.follow(element, steps, None, scope, sink)
        };
        let single = [value.clone()];
        let elements: &[Value] = match (value.kind(), &typed) {
            (Kind::Unknown(_), Some(element)) => {
                let ty = each(Value::unknown((**element).clone())).ty();
                return Value::unknown(Type::list(ty)).mark(sensitive);
            }
            (Kind::Unknown(Type::Tuple(types)), None) => {
                let ty = Type::tuple(types.iter().map(|ty| each(Value::unknown(ty.clone())).ty()));
                return Value::unknown(ty).mark(sensitive);
            }
            (Kind::Unknown(_), None) => return failed().mark(sensitive),
            (Kind::Null(_), Some(_)) => return fail(span, "null is no list that `*` could go over", sink),
            (Kind::Null(_), None) => &[],
            _ => value.elements().unwrap_or(&single),
        };
        let results: Vec<Value> = elements.iter().cloned().map(&mut each).collect();
        if let Some(element) = typed {
            let ty = match results.first() {
                Some(first) => first.ty(),
                None => each(Value::unknown((*element).clone())).ty(),
            };
            if results.iter().all(|result| result.ty() == ty) {
                return Value::list(ty, results).mark(sensitive);
            }
        }
        Value::tuple(results).mark(sensitive)
    }
}
