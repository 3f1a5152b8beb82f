//! Calls of functions, and those that are none: `try`, `can` and `convert` do not take values alone.

use hcl_edit::Span as _;

use super::{
    Diagnostic, Eval, Evaluator, Expression, Failure, Found, FuncCall, MapDiagnostic, Scope, Type, Value, convert,
    did_you_mean, functions, type_expr,
};

impl Evaluator<'_> {
    pub(super) fn call(&self, call: &FuncCall, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let name = call.name.name.as_str();
        if call.name.is_namespaced() {
            return Err(self.error(at, format!("there is no function `{name}` in this namespace")));
        }
        let lazy = matches!(name, "try" | "can" | "convert");
        if lazy && matches!(self.env.allowed, functions::Allowed::All | functions::Allowed::InFile) {
            return match name {
                "convert" => self.convert_call(call, at, scope),
                "can" => self.can(call, at, scope),
                _ => self.first_of(call, at, scope),
            };
        }
        let function = match functions::find(name, self.env.allowed) {
            Found::Function(function) => function,
            Found::Hint(hint) => return Err(self.no_function(call, hint.to_owned())),
            Found::Nothing => {
                let hint = did_you_mean(name, functions::names()).map_or_else(
                    || "see the list of functions in the documentation".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(self.no_function(call, hint));
            }
        };
        let Some(arguments) = self.arguments(call, scope)? else {
            return Ok(Value::unknown(Type::Dynamic));
        };
        self.charge(at, function.effort(&arguments))?;
        let result = function.call(arguments, self.env, self.work).map_err(|failure| {
            let place = match failure {
                Failure::Argument(index, _) => call.args.iter().nth(index.min(call.args.iter().count().max(1) - 1)),
                Failure::Call(_) => None,
            };
            self.error(place.unwrap_or(at), format!("`{name}` failed")).map_detail(failure.message())
        })?;
        self.charge(at, result.weight() / 16)?;
        Ok(result)
    }

    fn no_function(&self, call: &FuncCall, hint: String) -> Box<Diagnostic> {
        let span = self.origin.span(call.name.name.span());
        Box::new(Diagnostic::error(format!("there is no function `{}`", call.name.name.as_str())).at(span).hint(hint))
    }

    /// The arguments of a call, with the elements of one that `...` follows; none if those are not known yet.
    fn arguments(&self, call: &FuncCall, scope: &Scope<'_>) -> Eval<Option<Vec<Value>>> {
        let mut arguments = Vec::new();
        let count = call.args.iter().count();
        for (index, argument) in call.args.iter().enumerate() {
            let value = self.eval(argument, scope)?;
            if !call.args.expand_final() || index + 1 < count {
                arguments.push(value);
                continue;
            }
            if value.is_unknown() {
                return Ok(None);
            }
            let elements =
                value.elements().ok_or_else(|| self.error(argument, "only a list can be expanded by `...`"))?;
            arguments.extend(elements.iter().map(|element| element.clone().mark(value.is_sensitive())));
        }
        Ok(Some(arguments))
    }

    /// `convert(value, type)`.
    fn convert_call(&self, call: &FuncCall, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let mut arguments = call.args.iter();
        let (Some(value), Some(ty), None) = (arguments.next(), arguments.next(), arguments.next()) else {
            return Err(self.error(at, "`convert` takes a value and a type"));
        };
        let converted = self.eval(value, scope)?;
        let ty = type_expr::parse(ty, self).map_err(Box::new)?;
        let converted =
            convert(&converted, &ty).map_err(|error| self.error(value, "`convert` failed").map_detail(error))?;
        self.charge(at, converted.weight() / 16)?;
        Ok(converted)
    }

    /// Whether an expression can be evaluated.
    fn can(&self, call: &FuncCall, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let mut arguments = call.args.iter();
        match (arguments.next(), arguments.next()) {
            (Some(argument), None) => match self.eval(argument, scope) {
                Ok(value) if !value.is_wholly_known() => Ok(Value::unknown(Type::Bool)),
                result => Ok(Value::bool(result.is_ok())),
            },
            _ => Err(self.error(at, "`can` takes one argument")),
        }
    }

    /// The first argument that can be evaluated. While it is not known in full, it might still turn out that it cannot.
    fn first_of(&self, call: &FuncCall, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let mut failures = Vec::new();
        for argument in &call.args {
            match self.eval(argument, scope) {
                Ok(value) if !value.is_wholly_known() => {
                    return Ok(Value::unknown(Type::Dynamic).mark(value.contains_sensitive()));
                }
                Ok(value) => return Ok(value),
                Err(error) => failures.push(error.summary),
            }
        }
        let detail = if failures.is_empty() { "it has no arguments".to_owned() } else { failures.join("; ") };
        Err(self.error(at, "none of the arguments of `try` can be evaluated").map_detail(detail))
    }
}
