//! Arithmetic, comparison and logic.

use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};

use super::{Eval, Evaluator, MapDiagnostic, Scope, Type, Value, convert};
use crate::template::hcl::number::Number;
use crate::template::hcl::value::Kind;

impl Evaluator<'_> {
    pub(super) fn unary(&self, operation: &UnaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let (ty, symbol) = match operation.operator.value() {
            UnaryOperator::Neg => (Type::Number, "-"),
            UnaryOperator::Not => (Type::Bool, "!"),
        };
        let operand = self.operand(&operation.expr, &ty, symbol, scope)?;
        let sensitive = operand.is_sensitive();
        Ok(match operand.into_kind() {
            Kind::Number(number) => Value::number(number.negated()),
            Kind::Bool(value) => Value::bool(!value),
            _ => Value::unknown(ty),
        }
        .mark(sensitive))
    }

    pub(super) fn binary(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Eval<Value> {
        match operation.operator.value() {
            BinaryOperator::And | BinaryOperator::Or => self.logic(operation, scope),
            BinaryOperator::Eq | BinaryOperator::NotEq => self.equality(operation, scope),
            _ => self.arithmetic(operation, scope),
        }
    }

    /// `false && x` and `x && false` are false whatever x is, also if it cannot be evaluated; with `||`, true decides.
    fn logic(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let symbol = operation.operator.value().as_str();
        let decides = *operation.operator.value() == BinaryOperator::Or;
        let decided = |value: &Value| *value.kind() == Kind::Bool(decides);
        let left = self.operand(&operation.lhs_expr, &Type::Bool, symbol, scope);
        if let Ok(left) = &left
            && decided(left)
        {
            return Ok(left.clone());
        }
        let right = self.operand(&operation.rhs_expr, &Type::Bool, symbol, scope);
        let (left, right) = match (left, right) {
            (Err(error), Ok(right)) => return if decided(&right) { Ok(right) } else { Err(error) },
            // The left side may still decide.
            (Ok(left), Err(error)) => return if left.is_unknown() { Ok(left) } else { Err(error) },
            (left, right) => (left?, right?),
        };
        let sensitive = left.is_sensitive() || right.is_sensitive();
        let result = match (left.kind(), right.kind()) {
            (_, Kind::Bool(right)) if *right == decides => Value::bool(decides),
            (Kind::Bool(_), Kind::Bool(_)) => Value::bool(!decides),
            _ => Value::unknown(Type::Bool),
        };
        Ok(result.mark(sensitive))
    }

    fn equality(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let left = self.eval(&operation.lhs_expr, scope)?;
        let right = self.eval(&operation.rhs_expr, scope)?;
        let sensitive = left.contains_sensitive() || right.contains_sensitive();
        let negated = *operation.operator.value() == BinaryOperator::NotEq;
        let result = left.equals(&right).map_or_else(|| Value::unknown(Type::Bool), |equal| (equal != negated).into());
        Ok(result.mark(sensitive))
    }

    fn arithmetic(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let operator = *operation.operator.value();
        let left = self.operand(&operation.lhs_expr, &Type::Number, operator.as_str(), scope)?;
        let right = self.operand(&operation.rhs_expr, &Type::Number, operator.as_str(), scope)?;
        let sensitive = left.is_sensitive() || right.is_sensitive();
        let compares = matches!(
            operator,
            BinaryOperator::Less | BinaryOperator::LessEq | BinaryOperator::Greater | BinaryOperator::GreaterEq
        );
        let (Kind::Number(left), Kind::Number(right)) = (left.kind(), right.kind()) else {
            return Ok(Value::unknown(if compares { Type::Bool } else { Type::Number }).mark(sensitive));
        };
        let result = match operator {
            BinaryOperator::Less => Value::bool(left < right),
            BinaryOperator::LessEq => Value::bool(left <= right),
            BinaryOperator::Greater => Value::bool(left > right),
            BinaryOperator::GreaterEq => Value::bool(left >= right),
            _ => self.number(operator, left, right, &operation.rhs_expr)?,
        };
        Ok(result.mark(sensitive))
    }

    fn number(&self, operator: BinaryOperator, left: &Number, right: &Number, at: &Expression) -> Eval<Value> {
        let result = match operator {
            BinaryOperator::Plus => Some(left.plus(right)),
            BinaryOperator::Minus => Some(left.minus(right)),
            BinaryOperator::Mul => Some(left.times(right)),
            BinaryOperator::Mod => left.remainder(right),
            _ => left.over(right),
        };
        let result =
            result.ok_or_else(|| self.error(at, "division by zero").map_hint("guard it: d == 0 ? 0 : n / d"))?;
        if !result.in_range() {
            return Err(self.error(at, "the result has too many digits"));
        }
        Ok(Value::number(result))
    }

    fn operand(&self, expression: &Expression, ty: &Type, symbol: &str, scope: &Scope<'_>) -> Eval<Value> {
        let value = self.eval(expression, scope)?;
        if value.is_null() {
            return Err(self.error(expression, format!("null cannot be used with `{symbol}`")));
        }
        convert(&value, ty)
            .map_err(|error| self.error(expression, format!("this cannot be used with `{symbol}`")).map_detail(error))
    }
}
