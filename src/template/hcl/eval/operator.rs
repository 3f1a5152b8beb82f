//! Arithmetic, comparison and logic.

use super::{Diagnostic, Diagnostics, Evaluator, Expr, Scope, Type, Value, converted};
use crate::template::hcl::number::Number;
use crate::template::hcl::syntax::ast::{Binary, BinaryOperator, UnaryOperator};
use crate::template::hcl::value::Kind;
use crate::template::source_map::Span;

impl Evaluator<'_> {
    pub(super) fn unary(
        &self,
        operator: UnaryOperator,
        operand: &Expr,
        scope: &Scope<'_>,
        sink: &mut Diagnostics,
    ) -> Value {
        let (ty, symbol) = match operator {
            UnaryOperator::Negate => (Type::Number, "-"),
            UnaryOperator::Not => (Type::Bool, "!"),
        };
        let operand = self.operand(operand, &ty, symbol, scope, sink);
        let sensitive = operand.is_sensitive();
        let result = match operand.into_kind() {
            Kind::Number(number) => Value::number(number.negated()),
            Kind::Bool(value) => Value::bool(!value),
            _ => Value::unknown(ty),
        };
        result.mark(sensitive)
    }

    pub(super) fn binary(&self, operation: &Binary, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        match operation.operator {
            BinaryOperator::And | BinaryOperator::Or => self.logic(operation, scope, sink),
            BinaryOperator::Equal | BinaryOperator::NotEqual => self.equality(operation, scope, sink),
            _ => self.arithmetic(operation, scope, sink),
        }
    }

    /// `false && x` and `x && false` are false whatever x is, also if it cannot be evaluated; with `||`, true decides.
    /// What is wrong on the right is of no importance while the left is not known, as it may decide.
    fn logic(&self, operation: &Binary, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let symbol = operation.operator.symbol();
        let decides = operation.operator == BinaryOperator::Or;
        let decided = |value: &Value| *value.kind() == Kind::Bool(decides);
        let (mut of_left, mut of_right) = (Diagnostics::default(), Diagnostics::default());
        let left = self.operand(&operation.left, &Type::Bool, symbol, scope, &mut of_left);
        let right = self.operand(&operation.right, &Type::Bool, symbol, scope, &mut of_right);
        let sensitive = left.contains_sensitive() || right.contains_sensitive();
        if decided(&left) || decided(&right) {
            return Value::bool(decides).mark(sensitive);
        }
        if of_left.has_errors() || !left.is_unknown() {
            sink.extend(of_left);
            sink.extend(of_right);
        }
        let known = !left.is_unknown() && !right.is_unknown();
        let result = if known { Value::bool(!decides) } else { Value::unknown(Type::Bool) };
        result.mark(sensitive)
    }

    fn equality(&self, operation: &Binary, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let left = self.value(&operation.left, scope, sink);
        let right = self.value(&operation.right, scope, sink);
        let sensitive = left.contains_sensitive() || right.contains_sensitive();
        let negated = operation.operator == BinaryOperator::NotEqual;
        let result = left.equals(&right).map_or_else(|| Value::unknown(Type::Bool), |equal| (equal != negated).into());
        result.mark(sensitive)
    }

    fn arithmetic(&self, operation: &Binary, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let operator = operation.operator;
        let left = self.operand(&operation.left, &Type::Number, operator.symbol(), scope, sink);
        let right = self.operand(&operation.right, &Type::Number, operator.symbol(), scope, sink);
        let sensitive = left.is_sensitive() || right.is_sensitive();
        let compares = matches!(
            operator,
            BinaryOperator::Less | BinaryOperator::LessEqual | BinaryOperator::Greater | BinaryOperator::GreaterEqual
        );
        let (Kind::Number(left), Kind::Number(right)) = (left.kind(), right.kind()) else {
            return Value::unknown(if compares { Type::Bool } else { Type::Number }).mark(sensitive);
        };
        let result = match operator {
            BinaryOperator::Less => Value::bool(left < right),
            BinaryOperator::LessEqual => Value::bool(left <= right),
            BinaryOperator::Greater => Value::bool(left > right),
            BinaryOperator::GreaterEqual => Value::bool(left >= right),
            _ => number(operator, left, right, operation.right.span).unwrap_or_else(|error| {
                sink.push(*error);
                Value::unknown(Type::Number)
            }),
        };
        result.mark(sensitive)
    }

    fn operand(&self, expr: &Expr, ty: &Type, symbol: &str, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        let value = self.value(expr, scope, sink);
        if value.is_null() {
            sink.push(Diagnostic::error(format!("null cannot be used with `{symbol}`")).at(expr.span));
            return Value::unknown(ty.clone());
        }
        let summary = format!("this cannot be used with `{symbol}`");
        if symbol == "+" && value.as_str().is_some_and(|text| Number::parse(text).is_none()) {
            let error =
                Diagnostic::error(summary).at(expr.span).detail("a number is required, and the string is not one");
            sink.push(error.hint("texts are joined within a string: \"${…}${…}\""));
            return Value::unknown(ty.clone());
        }
        converted(&value, ty, expr.span, &summary, sink)
    }
}

fn number(operator: BinaryOperator, left: &Number, right: &Number, at: Span) -> Result<Value, Box<Diagnostic>> {
    let result = match operator {
        BinaryOperator::Add => Some(left.plus(right)),
        BinaryOperator::Subtract => Some(left.minus(right)),
        BinaryOperator::Multiply => Some(left.times(right)),
        BinaryOperator::Remainder => left.remainder(right),
        _ => left.over(right),
    };
    let zero = || Diagnostic::error("division by zero").at(at).hint("guard it: d == 0 ? 0 : n / d");
    let result = result.ok_or_else(zero)?;
    if !result.in_range() {
        return Err(Box::new(Diagnostic::error("the result has too many digits").at(at)));
    }
    Ok(Value::number(result))
}
