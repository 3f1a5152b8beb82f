//! Local values, which may use each other in any order.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::structure::Block;
use hcl_edit::visit::{Visit, visit_traversal};

use super::body::header_span;
use super::diagnostic::Diagnostic;
use super::hcl::eval::Origin;
use super::hcl::value::Value;
use super::load::Loading;
use super::source_map::Span;

/// A local value as declared.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    expression: Expression,
    origin: Origin,
    sensitive: bool,
    span: Span,
}

impl Loading<'_> {
    /// Declares a `local` block.
    pub(crate) fn declare_local(&mut self, block: &Block, origin: Origin) {
        let Some(name) = self.label(block, origin, "local \"name\" { expression = … }") else { return };
        let span = header_span(block, origin);
        let sensitive = match block.body.get_attribute("sensitive") {
            Some(attribute) => self.constant_bool(&attribute.value, origin),
            None => false,
        };
        for attribute in block.body.attributes() {
            if !matches!(attribute.key.as_str(), "expression" | "sensitive") {
                let at = origin.span(attribute.key.span());
                self.unknown_option(attribute.key.as_str(), at, "a local", &["expression", "sensitive"]);
            }
        }
        match block.body.get_attribute("expression") {
            Some(attribute) => {
                let expression = attribute.value.clone();
                self.add_local(name, Local { expression, origin, sensitive, span });
            }
            None => self.report(Diagnostic::error("a local needs an `expression`").at(span)),
        }
    }

    /// Declares the values of a `locals` block.
    pub(crate) fn declare_locals(&mut self, block: &Block, origin: Origin) {
        for attribute in block.body.attributes() {
            let span = origin.span(attribute.key.span());
            let local = Local { expression: attribute.value.clone(), origin, sensitive: false, span };
            self.add_local(attribute.key.as_str().to_owned(), local);
        }
        for inner in block.body.blocks() {
            let span = header_span(inner, origin);
            self.report(Diagnostic::error("`locals` takes no blocks").at(span).hint("write name = value"));
        }
    }

    fn add_local(&mut self, name: String, local: Local) {
        match self.locals.get(&name) {
            Some(first) => {
                let diagnostic = Diagnostic::error(format!("the local `{name}` is defined twice"))
                    .at(local.span)
                    .see(first.span, "first defined here")
                    .hint("remove or rename one of them");
                self.report(diagnostic);
            }
            None => {
                self.locals.insert(name, local);
            }
        }
    }

    /// Evaluates all locals, each after those it uses.
    pub(crate) fn evaluate_locals(&mut self) -> BTreeMap<String, Value> {
        let locals = std::mem::take(&mut self.locals);
        let mut waiting: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, local) in &locals {
            let mut used = Used::default();
            used.visit_expr(&local.expression);
            used.0.retain(|other| locals.contains_key(other));
            for other in &used.0 {
                users.entry(other.clone()).or_default().push(name);
            }
            waiting.insert(name, used.0);
        }
        let mut ready: Vec<&str> =
            waiting.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| *name).rev().collect();
        let mut values = BTreeMap::new();
        while let Some(name) = ready.pop() {
            waiting.remove(name);
            let local = &locals[name];
            self.names.insert("local".to_owned(), Value::object(values));
            let value = self.evaluate(&local.expression, local.origin).mark(local.sensitive);
            values = self.take_locals();
            if local.sensitive {
                self.scope_secrets.add_sensitive(&value);
            }
            values.insert(name.to_owned(), value);
            for user in users.get(name).into_iter().flatten() {
                if let Some(used) = waiting.get_mut(user) {
                    used.remove(name);
                    if used.is_empty() {
                        ready.push(user);
                    }
                }
            }
        }
        self.report_cycles(&locals, &waiting);
        for name in waiting.keys() {
            values.insert((*name).to_owned(), Value::unknown(super::hcl::value::Type::Dynamic));
        }
        values
    }

    fn take_locals(&mut self) -> BTreeMap<String, Value> {
        self.names.remove("local").and_then(Value::into_entries).unwrap_or_default()
    }

    fn report_cycles(&mut self, locals: &BTreeMap<String, Local>, waiting: &BTreeMap<&str, BTreeSet<String>>) {
        let mut seen = BTreeSet::new();
        for start in waiting.keys() {
            let mut path: Vec<&str> = Vec::new();
            let mut next = *start;
            // Following any unmet use from one to the next must come round.
            while !seen.contains(next) {
                seen.insert(next);
                path.push(next);
                match waiting.get(next).and_then(|used| used.iter().find(|used| waiting.contains_key(used.as_str()))) {
                    Some(used) => next = used,
                    None => break,
                }
            }
            let Some(begin) = path.iter().position(|name| *name == next) else { continue };
            let mut cycle: Vec<String> = path[begin..].iter().map(|name| format!("local.{name}")).collect();
            cycle.push(format!("local.{next}"));
            self.report(
                Diagnostic::error("locals use each other in a circle")
                    .at(locals[next].span)
                    .detail(cycle.join(" -> "))
                    .hint("give one of them a value that does not depend on the others"),
            );
        }
    }
}

/// Names of the locals an expression uses.
#[derive(Default)]
struct Used(BTreeSet<String>);

impl Visit for Used {
    fn visit_traversal(&mut self, node: &Traversal) {
        if node.expr.as_variable().is_some_and(|root| root.as_str() == "local")
            && let Some(TraversalOperator::GetAttr(name)) = node.operators.first().map(hcl_edit::Decorated::value)
        {
            self.0.insert(name.as_str().to_owned());
        }
        visit_traversal(self, node);
    }
}
