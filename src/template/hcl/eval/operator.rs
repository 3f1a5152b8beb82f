//! Arithmetic, comparison and logic.

use bigdecimal::{BigDecimal, Zero};
use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};

use super::{Eval, Evaluator, MapDiagnostic, Scope, Type, Value, convert};
use crate::template::hcl::value::{Kind, in_range};

/// Digits a quotient is calculated to.
const PRECISION: u64 = 150;

impl Evaluator<'_> {
    pub(super) fn unary(&self, operation: &UnaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let (ty, symbol) = match operation.operator.value() {
            UnaryOperator::Neg => (Type::Number, "-"),
            UnaryOperator::Not => (Type::Bool, "!"),
        };
        let operand = self.operand(&operation.expr, &ty, symbol, scope)?;
        let sensitive = operand.is_sensitive();
        Ok(match operand.into_kind() {
            Kind::Number(number) => Value::number(-number),
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

    fn logic(&self, operation: &BinaryOp, scope: &Scope<'_>) -> Eval<Value> {
        let symbol = operation.operator.value().as_str();
        // `false && x` and `true || x` do not look at x.
        let decides = *operation.operator.value() == BinaryOperator::Or;
        let left = self.operand(&operation.lhs_expr, &Type::Bool, symbol, scope)?;
        if *left.kind() == Kind::Bool(decides) {
            return Ok(left);
        }
        let right = self.operand(&operation.rhs_expr, &Type::Bool, symbol, scope)?;
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
        if !left.is_wholly_known() || !right.is_wholly_known() {
            return Ok(Value::unknown(Type::Bool).mark(sensitive));
        }
        // Both sides are brought to one type where that is possible, as `1 == "1"` holds.
        let equal = match super::unify(&[left.ty(), right.ty()]) {
            Some(ty) => match (convert(&left, &ty), convert(&right, &ty)) {
                (Ok(left), Ok(right)) => left.equals(&right),
                _ => false,
            },
            None => false,
        };
        let negated = *operation.operator.value() == BinaryOperator::NotEq;
        Ok(Value::bool(equal != negated).mark(sensitive))
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

    fn number(&self, operator: BinaryOperator, left: &BigDecimal, right: &BigDecimal, at: &Expression) -> Eval<Value> {
        if matches!(operator, BinaryOperator::Div | BinaryOperator::Mod) && right.is_zero() {
            return Err(self.error(at, "division by zero").map_hint("guard it: d == 0 ? 0 : n / d"));
        }
        let result = match operator {
            BinaryOperator::Plus => left + right,
            BinaryOperator::Minus => left - right,
            BinaryOperator::Mul => left * right,
            BinaryOperator::Mod => left % right,
            _ => (left / right).with_prec(PRECISION),
        };
        if !in_range(&result) {
            return Err(self.error(at, "the result has too many digits"));
        }
        Ok(Value::number(result.normalized()))
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
