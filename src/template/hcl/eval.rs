//! Evaluates expressions as HCL does: conversions, unknown values, marks, lazy `try` and `can`.

use std::cell::Cell;
use std::collections::BTreeMap;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, ForExpr, FuncCall, ObjectKey, Traversal};

use super::convert::{article, convert, unify_unsafe};
use super::functions::{self, Failure, Found, FunctionEnv};
use super::number::Number;
use super::scope::Scope;
use super::type_expr;
use super::value::{Kind, Type, Value};
use crate::template::diagnostic::{Diagnostic, MapDiagnostic, did_you_mean};
use crate::template::source_map::{FileId, Span};

mod call;
mod collection;
mod operator;
mod splat;
mod template;
#[cfg(test)]
pub(crate) mod tests;

/// The result of evaluating an expression: one diagnostic is enough to fix it.
pub type Eval<T> = Result<T, Box<Diagnostic>>;

/// Deepest nesting of expressions.
const MAX_DEPTH: usize = 200;
/// Deepest nesting of values.
const MAX_VALUE_DEPTH: usize = 500;
/// Most work one template may cause, counted in evaluated expressions and in units of 16 bytes of values they give.
const MAX_WORK: usize = 4_000_000;

/// Where a parsed text came from: spans in it are offsets from `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: FileId,
    /// Offset of the parsed text in it.
    pub base: usize,
}

impl Origin {
    /// The place of something that was parsed; of the whole text if it has none.
    pub fn span(self, range: Option<std::ops::Range<usize>>) -> Span {
        let range = range.unwrap_or(0..0);
        Span::new(self.file, self.base + range.start..self.base + range.end)
    }
}

/// How much evaluation has been done, so that a hostile template ends in a diagnostic.
#[derive(Debug, Default)]
pub struct Work {
    done: Cell<usize>,
    depth: Cell<usize>,
}

/// Evaluates the expressions of one parsed text.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// Where the text came from.
    pub origin: Origin,
    /// What functions can use.
    pub env: &'a FunctionEnv<'a>,
    /// Counts the work.
    pub work: &'a Work,
}

impl Evaluator<'_> {
    /// Evaluates an expression.
    pub fn eval(&self, expression: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        let depth = self.work.depth.get();
        if depth >= MAX_DEPTH {
            return Err(self.error(expression, "the expression nests too deep"));
        }
        self.charge(expression, 1)?;
        self.work.depth.set(depth + 1);
        let result = self.eval_kind(expression, scope);
        self.work.depth.set(depth);
        let value = result?;
        if value.depth() > MAX_VALUE_DEPTH {
            return Err(self.error(expression, "the value nests too deep"));
        }
        Ok(value)
    }

    fn eval_kind(&self, expression: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        match expression {
            Expression::Null(_) => Ok(Value::null()),
            Expression::Bool(value) => Ok(Value::bool(**value)),
            Expression::Number(number) => {
                let text = number.as_repr().map_or_else(|| number.to_string(), |repr| repr.trim().to_owned());
                let number = Number::parse(&text).or_else(|| Number::parse(&number.value().to_string()));
                number.map(Value::number).ok_or_else(|| self.error(expression, "the number has too many digits"))
            }
            Expression::String(text) => {
                self.charge(expression, text.value().len() / 16)?;
                Ok(Value::string(text.value().as_str()))
            }
            Expression::Array(array) => {
                let elements = array.iter().map(|element| self.eval(element, scope));
                Ok(Value::tuple(elements.collect::<Eval<_>>()?))
            }
            Expression::Object(object) => {
                let mut attributes = BTreeMap::new();
                let (mut sensitive, mut known) = (false, true);
                for (key, value) in object {
                    let (name, marked) = self.object_key(key, scope)?;
                    let value = self.eval(value.expr(), scope)?;
                    sensitive |= marked;
                    match name {
                        Some(name) => {
                            attributes.insert(name, value);
                        }
                        None => {
                            sensitive |= value.contains_sensitive();
                            known = false;
                        }
                    }
                }
                if !known {
                    sensitive |= attributes.values().any(Value::contains_sensitive);
                    return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
                }
                Ok(Value::object(attributes).mark(sensitive))
            }
            Expression::StringTemplate(template) => self.template(template.iter(), expression, scope),
            Expression::HeredocTemplate(heredoc) => self.template(heredoc.template.iter(), expression, scope),
            Expression::Parenthesis(inner) => self.eval(inner.inner(), scope),
            Expression::Variable(name) => self.variable(name.as_str(), expression, scope),
            Expression::Conditional(conditional) => self.conditional(conditional, scope),
            Expression::FuncCall(call) => self.call(call, expression, scope),
            Expression::Traversal(traversal) => self.traversal(traversal, scope),
            Expression::UnaryOp(operation) => self.unary(operation, scope),
            Expression::BinaryOp(operation) => self.binary(operation, scope),
            Expression::ForExpr(for_expr) => self.for_expr(for_expr, expression, scope),
        }
    }

    /// The name a key gives, if it is known, and whether it is sensitive.
    fn object_key(&self, key: &ObjectKey, scope: &Scope<'_>) -> Eval<(Option<String>, bool)> {
        match key {
            ObjectKey::Ident(name) | ObjectKey::Expression(Expression::Variable(name)) => {
                Ok((Some(name.as_str().to_owned()), false))
            }
            ObjectKey::Expression(Expression::Null(_)) => Ok((Some("null".to_owned()), false)),
            ObjectKey::Expression(expression) => {
                let value = self.eval(expression, scope)?;
                if value.is_unknown() {
                    return Ok((None, value.is_sensitive()));
                }
                match value.scalar_text() {
                    Some(text) => Ok((Some(text), value.is_sensitive())),
                    None => Err(self
                        .error(expression, "a key of an object must be a string")
                        .map_detail(format!("found {}", value.describe()))),
                }
            }
        }
    }

    fn variable(&self, name: &str, at: &Expression, scope: &Scope<'_>) -> Eval<Value> {
        if let Some(value) = scope.get(name) {
            self.charge(at, value.weight() / 16)?;
            Ok(value.clone())
        } else {
            let names = scope.names();
            let hint = match did_you_mean(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "only plain values can be here; a local can use others".to_owned(),
                None => format!("use a string in quotes, or one of {}", names.join(", ")),
            };
            Err(self.error(at, format!("there is no `{name}` here")).map_hint(hint))
        }
    }

    fn conditional(&self, conditional: &hcl_edit::expr::Conditional, scope: &Scope<'_>) -> Eval<Value> {
        let condition = self.bool(&conditional.cond_expr, scope, "a condition")?;
        let (yes, no) = (self.eval(&conditional.true_expr, scope), self.eval(&conditional.false_expr, scope));
        let Kind::Bool(chosen) = condition.kind() else {
            let (yes, no) = (yes?, no?);
            let sensitive = condition.is_sensitive() || yes.contains_sensitive() || no.contains_sensitive();
            return Ok(Value::unknown(common_type(&yes, &no).unwrap_or(Type::Dynamic)).mark(sensitive));
        };
        let (value, other, at) =
            if *chosen { (yes?, no, &conditional.true_expr) } else { (no?, yes, &conditional.false_expr) };
        let Ok(other) = other else { return Ok(value.mark(condition.is_sensitive())) };
        let ty = common_type(&value, &other).ok_or_else(|| {
            self.error(at, "the two results of the condition are of different types").map_detail(format!(
                "one is {}, the other {}",
                value.describe(),
                other.describe()
            ))
        })?;
        let converted = convert(&value, &ty).map_err(|error| self.error(at, error))?;
        self.charge(at, converted.weight() / 16)?;
        Ok(converted.mark(condition.is_sensitive()))
    }

    fn bool(&self, expression: &Expression, scope: &Scope<'_>, what: &str) -> Eval<Value> {
        let value = self.eval(expression, scope)?;
        if value.is_null() {
            return Err(self.error(expression, format!("{what} cannot be null")));
        }
        convert(&value, &Type::Bool)
            .map_err(|error| self.error(expression, format!("{what} must be a bool")).map_detail(error))
    }

    /// An error at an expression.
    pub fn error(&self, at: &Expression, summary: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(summary).at(self.span(at)))
    }

    /// Where an expression is.
    pub fn span(&self, expression: &Expression) -> Span {
        self.origin.span(expression.span())
    }

    fn charge(&self, at: &Expression, work: usize) -> Eval<()> {
        let done = self.work.done.get().saturating_add(work);
        self.work.done.set(done);
        if done > MAX_WORK {
            return Err(self
                .error(at, "the template is too much work to evaluate")
                .map_hint("are values multiplied in nested loops?"));
        }
        Ok(())
    }
}

/// The type of both arms of a condition. What is plainly null is of the type of the other arm; an arm whose type is not
/// known yet leaves that of both open.
fn common_type(one: &Value, other: &Value) -> Option<Type> {
    let plain_null = |value: &Value| *value.kind() == Kind::Null(Type::Dynamic);
    match (one.ty(), other.ty()) {
        (_, ty) if plain_null(one) => Some(ty),
        (ty, _) if plain_null(other) => Some(ty),
        (Type::Dynamic, _) | (_, Type::Dynamic) => Some(Type::Dynamic),
        (one, other) => unify_unsafe(&[one, other]),
    }
}
