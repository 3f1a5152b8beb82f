//! Calls of functions, and those that are none: `try`, `can` and `convert` do not take values alone.

use super::{
    Call, Diagnostic, Diagnostics, Evaluator, Failure, Found, Scope, Type, Value, converted, did_you_mean, fail,
    failed, functions, type_expr,
};
use crate::template::source_map::Span;

impl Evaluator<'_> {
    pub(super) fn call(&self, call: &Call, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let name = &*call.name.text;
        let lazy = matches!(name, "try" | "can" | "convert");
        if lazy && matches!(self.env.allowed, functions::Allowed::All | functions::Allowed::InFile) {
            return match name {
                "convert" => self.convert_call(call, at, scope, sink),
                "can" => self.can(call, at, scope, sink),
                _ => self.first_of(call, at, scope, sink),
            };
        }
        let function = match functions::find(name, self.env.allowed) {
            Found::Function(function) => function,
            Found::Hint(hint) => return no_function(call, hint, sink),
            Found::Nothing => {
                self.work.charge(100);
                return match did_you_mean(name, functions::names()) {
                    Some(near) => no_function(call, &format!("did you mean `{near}`?"), sink),
                    None => no_function(call, "see the list of functions in the documentation", sink),
                };
            }
        };
        let Some(arguments) = self.arguments(call, scope, sink) else {
            return failed();
        };
        if !self.work.charge(function.effort(&arguments)) {
            return failed();
        }
        match function.call(arguments, self.env, self.work) {
            Ok(result) => {
                self.work.charge(result.weight() / 16);
                result
            }
            Err(failure) => {
                let place = match failure {
                    Failure::Argument(index, _) => call.arguments.get(index).or(call.arguments.last()),
                    Failure::Call(_) => None,
                };
                let error = Diagnostic::error(format!("`{name}` failed")).at(place.map_or(at, |place| place.span));
                sink.push(error.detail(failure.message()));
                failed()
            }
        }
    }

    /// The arguments of a call, with the elements of one that `...` follows; none if those are not known yet.
    fn arguments(&self, call: &Call, scope: &Scope<'_>, sink: &mut Diagnostics) -> Option<Vec<Value>> {
        let mut arguments: Vec<Value> =
            call.arguments.iter().map(|argument| self.value(argument, scope, sink)).collect();
        if !call.expand {
            return Some(arguments);
        }
        let list = arguments.pop()?;
        if list.is_unknown() {
            return None;
        }
        let Some(elements) = list.elements() else {
            let at = call.arguments.last().map_or(call.name.span, |argument| argument.span);
            fail(at, "only a list can be expanded by `...`", sink);
            return None;
        };
        arguments.extend(elements.iter().map(|element| element.clone().mark(list.is_sensitive())));
        Some(arguments)
    }

    /// `convert(value, type)`.
    fn convert_call(&self, call: &Call, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let [value, ty] = call.arguments.as_slice() else {
            return fail(at, "`convert` takes a value and a type", sink);
        };
        let from = self.value(value, scope, sink);
        let ty = type_expr::parse(ty, self, sink);
        let converted = converted(&from, &ty, value.span, "`convert` failed", sink);
        self.work.charge(converted.weight() / 16);
        converted
    }

    /// Whether an expression can be evaluated.
    fn can(&self, call: &Call, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let [argument] = call.arguments.as_slice() else {
            return fail(at, "`can` takes one argument", sink);
        };
        let mut found = Diagnostics::default();
        let value = self.value(argument, scope, &mut found);
        if found.has_errors() {
            return false.into();
        }
        let sensitive = value.contains_sensitive();
        if value.is_wholly_known() { true.into() } else { Value::unknown(Type::Bool).mark(sensitive) }
    }

    /// The first argument that can be evaluated. While it is not known in full, it might still turn out that it cannot.
    fn first_of(&self, call: &Call, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let mut failures = Vec::new();
        for argument in &call.arguments {
            let mut found = Diagnostics::default();
            let value = self.value(argument, scope, &mut found);
            match found.into_iter().next() {
                Some(error) => failures.push(error.summary),
                None if value.is_wholly_known() => return value,
                None => return failed().mark(value.contains_sensitive()),
            }
        }
        let detail = if failures.is_empty() { "it has no arguments".to_owned() } else { failures.join("; ") };
        let error = Diagnostic::error("none of the arguments of `try` can be evaluated").at(at);
        sink.push(error.detail(detail));
        failed()
    }
}

fn no_function(call: &Call, hint: &str, sink: &mut Diagnostics) -> Value {
    let error = Diagnostic::error(format!("there is no function `{}`", call.name.text)).at(call.name.span);
    sink.push(error.hint(hint));
    failed()
}
