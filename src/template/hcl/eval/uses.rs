//! What names an expression uses, before it is evaluated.

use crate::template::hcl::syntax::ast::{Body, Expr, ExprKind, ForNames, Key, Name, Part, Step, Template};

/// Tells of each use of a name that is not one of the expression's own, with the steps that follow it.
pub(crate) fn uses<'a>(expr: &'a Expr, tell: &mut dyn FnMut(&'a Name, &'a [Step])) {
    Visit { own: Vec::new(), tell }.expr(expr);
}

/// As [`uses`], of all expressions in a body. Names of iterators count as used: whoever asks knows which names matter.
pub(crate) fn uses_of_body<'a>(body: &'a Body, tell: &mut dyn FnMut(&'a Name, &'a [Step])) {
    for attribute in &body.attributes {
        uses(&attribute.value, tell);
    }
    for block in &body.blocks {
        uses_of_body(&block.body, tell);
    }
}

/// Whether an expression uses a name.
pub(crate) fn uses_name(expr: &Expr, name: &str) -> bool {
    let mut used = false;
    uses(expr, &mut |found, _| used |= *found.text == *name);
    used
}

/// Whether a template uses a name.
pub(crate) fn uses_name_in(template: &Template, name: &str) -> bool {
    let mut used = false;
    Visit { own: Vec::new(), tell: &mut |found, _| used |= *found.text == *name }.template(template);
    used
}

struct Visit<'a, 't> {
    /// Names of `for` that stand for its elements here.
    own: Vec<&'a str>,
    tell: &'t mut dyn FnMut(&'a Name, &'a [Step]),
}

impl<'a> Visit<'a, '_> {
    fn expr(&mut self, expr: &'a Expr) {
        match &expr.kind {
            ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Error => {}
            ExprKind::Template(template) => self.template(template),
            ExprKind::Parenthesis(inner) | ExprKind::Unary(_, inner) => self.expr(inner),
            ExprKind::Variable(name) => self.name(name, &[]),
            ExprKind::Traversal(root, steps) => {
                match &root.kind {
                    ExprKind::Variable(name) => self.name(name, steps),
                    _ => self.expr(root),
                }
                self.steps(steps);
            }
            ExprKind::Call(call) => call.arguments.iter().for_each(|argument| self.expr(argument)),
            ExprKind::Conditional(conditional) => {
                for part in [&conditional.condition, &conditional.yes, &conditional.no] {
                    self.expr(part);
                }
            }
            ExprKind::Binary(operation) => {
                self.expr(&operation.left);
                self.expr(&operation.right);
            }
            ExprKind::Tuple(elements) => elements.iter().for_each(|element| self.expr(element)),
            ExprKind::Object(items) => {
                for item in items {
                    if let Key::Expr(key) = &item.key {
                        self.expr(key);
                    }
                    self.expr(&item.value);
                }
            }
            ExprKind::For(parts) => {
                self.expr(&parts.collection);
                self.within(&parts.names, |visit| {
                    let inner = [parts.key.as_ref(), Some(&parts.value), parts.condition.as_ref()];
                    inner.into_iter().flatten().for_each(|part| visit.expr(part));
                });
            }
        }
    }

    fn template(&mut self, template: &'a Template) {
        for part in &template.parts {
            match part {
                Part::Literal(..) => {}
                Part::Value(value) => self.expr(value),
                Part::If(choice) => {
                    self.expr(&choice.condition);
                    self.template(&choice.yes);
                    choice.no.iter().for_each(|no| self.template(no));
                }
                Part::For(each) => {
                    self.expr(&each.collection);
                    self.within(&each.names, |visit| visit.template(&each.each));
                }
            }
        }
    }

    fn steps(&mut self, steps: &'a [Step]) {
        for step in steps {
            match step {
                Step::Attribute(_) => {}
                Step::Index(key, _) => self.expr(key),
                Step::Splat(each, _) => self.steps(each),
            }
        }
    }

    fn within(&mut self, names: &'a ForNames, visit: impl FnOnce(&mut Self)) {
        let before = self.own.len();
        self.own.extend(names.key.as_ref().map(|name| &*name.text));
        self.own.push(&names.value.text);
        visit(self);
        self.own.truncate(before);
    }

    fn name(&mut self, name: &'a Name, steps: &'a [Step]) {
        if !self.own.contains(&&*name.text) {
            (self.tell)(name, steps);
        }
    }
}
