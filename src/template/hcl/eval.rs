//! Evaluates expressions as HCL does: conversions, unknown values, marks, lazy `try` and `can`.
//!
//! Evaluation always gives a value. What is wrong goes to a sink, and the value is one that is not known, of which nothing
//! is reported again. So all that is wrong with an expression is told at once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::convert::{article, convert, unify_unsafe};
use super::functions::{self, Failure, Found, FunctionEnv};
use super::number::Number;
use super::scope::Scope;
use super::syntax::ast::{Call, Conditional, Expr, ExprKind, Item, Key, Name, Step};
use super::type_expr;
use super::value::{Kind, Type, Value};
use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::source_map::Span;

mod call;
mod collection;
pub(crate) mod for_expr;
mod operator;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod traversal;
pub(crate) mod uses;

/// Deepest nesting of values.
const MAX_VALUE_DEPTH: usize = 500;
/// Most work one template may cause, counted in evaluated expressions and in units of 16 bytes of values they give.
const MAX_WORK: usize = 4_000_000;
/// Most errors told of the rounds of one `for`.
const MAX_ERRORS: usize = 20;
/// Most names that are compared with misspelt ones.
const MAX_COMPARED: usize = 400_000;

/// How much evaluation has been done, so that a hostile template ends in a diagnostic.
#[derive(Debug)]
pub struct Work {
    done: AtomicUsize,
    limit: usize,
    reported: AtomicBool,
    compared: AtomicUsize,
}

impl Default for Work {
    fn default() -> Self {
        Self::up_to(MAX_WORK)
    }
}

impl Work {
    /// Work of which there may be so much.
    pub fn up_to(limit: usize) -> Self {
        let none = || AtomicUsize::new(0);
        Self { done: none(), limit, reported: AtomicBool::new(false), compared: none() }
    }

    /// Takes note of some work. Whether there may be more.
    fn charge(&self, work: usize) -> bool {
        let done = self.done.load(Ordering::Relaxed).saturating_add(work);
        self.done.store(done, Ordering::Relaxed);
        done <= self.limit
    }

    /// The one of many names that a misspelt one is near to. After many have been compared no more are.
    pub(crate) fn near<'n>(&self, name: &str, known: impl ExactSizeIterator<Item = &'n str>) -> Option<&'n str> {
        let compared = self.compared.load(Ordering::Relaxed).saturating_add(known.len());
        self.compared.store(compared, Ordering::Relaxed);
        if compared > MAX_COMPARED { None } else { did_you_mean(name, known) }
    }

    fn is_too_much(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.limit
    }
}

/// Evaluates expressions.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// What functions can use.
    pub env: &'a FunctionEnv<'a>,
    /// Counts the work.
    pub work: &'a Work,
}

impl Evaluator<'_> {
    /// Evaluates an expression. What is wrong is reported, and what depends on it is not known.
    pub fn eval(&self, expr: &Expr, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let value = self.value(expr, scope, sink);
        self.report_too_much(expr.span, sink);
        value
    }

    /// The value of an expression, or the first thing that is wrong with it.
    ///
    /// # Errors
    ///
    /// If anything is wrong with it.
    pub fn eval_or_first_error(&self, expr: &Expr, scope: &Scope<'_>) -> Result<Value, Box<Diagnostic>> {
        let mut sink = Diagnostics::default();
        let value = self.eval(expr, scope, &mut sink);
        match sink.into_iter().next() {
            Some(error) => Err(Box::new(error)),
            None => Ok(value),
        }
    }

    /// Evaluates a part of what is evaluated.
    fn value(&self, expr: &Expr, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        if !self.work.charge(1) {
            return failed();
        }
        let value = self.kind(expr, scope, sink);
        if value.depth() > MAX_VALUE_DEPTH {
            return fail(expr.span, "the value nests too deep", sink);
        }
        value
    }

    fn kind(&self, expr: &Expr, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        match &expr.kind {
            ExprKind::Null => Value::null(),
            ExprKind::Bool(value) => Value::bool(*value),
            ExprKind::Number(text) => match Number::parse(text) {
                Some(number) => Value::number(number),
                None => fail(expr.span, "the number has too many digits", sink),
            },
            ExprKind::Template(template) => self.template(template, expr.span, scope, sink),
            ExprKind::Parenthesis(inner) => self.value(inner, scope, sink),
            ExprKind::Variable(name) => self.variable(name, scope, sink),
            ExprKind::Traversal(root, steps) => self.traversal(root, steps, scope, sink),
            ExprKind::Call(call) => self.call(call, expr.span, scope, sink),
            ExprKind::Conditional(conditional) => self.conditional(conditional, scope, sink),
            ExprKind::Binary(operation) => self.binary(operation, scope, sink),
            ExprKind::Unary(operator, operand) => self.unary(*operator, operand, scope, sink),
            ExprKind::Tuple(elements) => {
                Value::tuple(elements.iter().map(|element| self.value(element, scope, sink)).collect())
            }
            ExprKind::Object(items) => self.object(items, scope, sink),
            ExprKind::For(for_expr) => self.for_expr(for_expr, expr.span, scope, sink),
            ExprKind::Error => failed(),
        }
    }

    /// An object; of names given twice the last counts. While one of its names is not known, nor is the object.
    fn object(&self, items: &[Item], scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let mut attributes = BTreeMap::new();
        let (mut sensitive, mut known) = (false, true);
        for item in items {
            let (name, marked) = self.object_key(&item.key, scope, sink);
            let value = self.value(&item.value, scope, sink);
            sensitive |= marked;
            if let Some(name) = name {
                attributes.insert(name, value);
            } else {
                sensitive |= value.contains_sensitive();
                known = false;
            }
        }
        if !known {
            sensitive |= attributes.values().any(Value::contains_sensitive);
            return failed().mark(sensitive);
        }
        Value::object(attributes).mark(sensitive)
    }

    /// The name a key gives, if it is known, and whether it is sensitive.
    fn object_key(&self, key: &Key, scope: &Scope<'_>, sink: &mut Diagnostics) -> (Option<String>, bool) {
        let expr = match key {
            Key::Name(name) => return (Some(name.text.to_string()), false),
            Key::Expr(expr) => expr,
        };
        if is_reference(expr) {
            let error = Diagnostic::error("it is not clear what this key is").at(expr.span);
            sink.push(error.hint("to use its value, put it in parentheses; for a name with dots in it, in quotes"));
            return (None, false);
        }
        let value = self.value(expr, scope, sink);
        if value.is_unknown() {
            return (None, value.is_sensitive());
        }
        let name = value.scalar_text();
        if name.is_none() {
            let error = Diagnostic::error("a key of an object must be a string").at(expr.span);
            sink.push(error.detail(format!("found {}", value.describe())));
        }
        (name, value.is_sensitive())
    }

    fn variable(&self, name: &Name, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        if let Some(value) = scope.get(&name.text) {
            self.work.charge(value.weight() / 16);
            return value.clone();
        }
        let names = scope.names();
        let hint = match did_you_mean(&name.text, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "only plain values can be here; a local can use others".to_owned(),
            None => format!("use a string in quotes, or one of {}", names.join(", ")),
        };
        sink.push(Diagnostic::error(format!("there is no `{}` here", name.text)).at(name.span).hint(hint));
        failed()
    }

    /// One of two values, of the type that both have in common. What is wrong with the other is of no importance, and of
    /// neither while it is not known which it is.
    fn conditional(&self, conditional: &Conditional, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let Conditional { condition, yes, no } = conditional;
        let condition = self.bool(condition, scope, "a condition", sink);
        let (mut of_yes, mut of_no) = (Diagnostics::default(), Diagnostics::default());
        let (yes_value, no_value) = (self.value(yes, scope, &mut of_yes), self.value(no, scope, &mut of_no));
        let failed = of_yes.has_errors() || of_no.has_errors();
        let ty = if failed { None } else { Some(common_type(&yes_value, &no_value)) };
        let sensitive = condition.is_sensitive();
        let Kind::Bool(chosen) = condition.kind() else {
            let sensitive = sensitive || yes_value.contains_sensitive() || no_value.contains_sensitive();
            return Value::unknown(ty.flatten().unwrap_or(Type::Dynamic)).mark(sensitive);
        };
        let (value, other, at, found) =
            if *chosen { (yes_value, no_value, yes, of_yes) } else { (no_value, yes_value, no, of_no) };
        sink.extend(found);
        let ty = match ty {
            None => return value.mark(sensitive),
            Some(Some(ty)) => ty,
            Some(None) => {
                let error = Diagnostic::error("the two results of the condition are of different types").at(at.span);
                sink.push(error.detail(format!("one is {}, the other {}", value.describe(), other.describe())));
                return self::failed();
            }
        };
        let converted = converted(&value, &ty, at.span, "the two results of the condition do not fit", sink);
        self.work.charge(converted.weight() / 16);
        converted.mark(sensitive)
    }

    /// A bool that is not null, or may be known later.
    fn bool(&self, expr: &Expr, scope: &Scope<'_>, what: &str, sink: &mut Diagnostics) -> Value {
        let value = self.value(expr, scope, sink);
        if value.is_null() {
            sink.push(Diagnostic::error(format!("{what} cannot be null")).at(expr.span));
            return Value::unknown(Type::Bool);
        }
        converted(&value, &Type::Bool, expr.span, &format!("{what} must be a bool"), sink)
    }

    /// Reports that there was too much work, if nobody has done so.
    fn report_too_much(&self, at: Span, sink: &mut Diagnostics) {
        if self.work.is_too_much() && !self.work.reported.swap(true, Ordering::Relaxed) {
            let error = Diagnostic::error("the template is too much work to evaluate").at(at);
            sink.push(error.hint("are values multiplied in nested loops?"));
        }
    }
}

/// What an expression gives that is wrong, which has been reported.
fn failed() -> Value {
    Value::unknown(Type::Dynamic)
}

/// Reports what is wrong with an expression.
fn fail(at: Span, summary: impl Into<Cow<'static, str>>, sink: &mut Diagnostics) -> Value {
    sink.push(Diagnostic::error(summary.into()).at(at));
    failed()
}

/// The value as one of a type; not known, and reported, if it cannot be.
fn converted(value: &Value, ty: &Type, at: Span, summary: &str, sink: &mut Diagnostics) -> Value {
    convert(value, ty).unwrap_or_else(|error| {
        sink.push(Diagnostic::error(summary).at(at).detail(error));
        Value::unknown(ty.required()).mark(value.is_sensitive())
    })
}

/// Whether an expression is a name and plain steps from it: as a key it may be meant for a name with dots.
fn is_reference(expr: &Expr) -> bool {
    let ExprKind::Traversal(root, steps) = &expr.kind else { return false };
    let plain = |step: &Step| match step {
        Step::Attribute(_) => true,
        Step::Index(key, _) => match &key.kind {
            ExprKind::Number(_) => true,
            ExprKind::Template(template) => template.literal().is_some(),
            _ => false,
        },
        Step::Splat(..) => false,
    };
    matches!(root.kind, ExprKind::Variable(_)) && steps.iter().all(plain)
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
