//! The values a validation accepts, where it lists them.

use hcl_edit::expr::{BinaryOperator, Expression, Traversal, TraversalOperator};

/// The texts a condition accepts of the variable `name`; `None` if it is not a plain list of them.
pub(super) fn of(condition: &Expression, name: &str) -> Option<Vec<String>> {
    match condition {
        Expression::Parenthesis(inner) => of(inner.inner(), name),
        Expression::FuncCall(call) if call.name.name.as_str() == "contains" => {
            let mut arguments = call.args.iter();
            let (list, value, None) = (arguments.next()?, arguments.next()?, arguments.next()) else { return None };
            let listed = list.as_array()?.iter().map(text).collect::<Option<Vec<_>>>()?;
            is_variable(value, name).then_some(listed).filter(|listed| !listed.is_empty())
        }
        Expression::BinaryOp(operation) => match operation.operator.value() {
            BinaryOperator::Or => {
                let mut listed = of(&operation.lhs_expr, name)?;
                listed.extend(of(&operation.rhs_expr, name)?);
                Some(listed)
            }
            BinaryOperator::Eq if is_variable(&operation.lhs_expr, name) => Some(vec![text(&operation.rhs_expr)?]),
            BinaryOperator::Eq if is_variable(&operation.rhs_expr, name) => Some(vec![text(&operation.lhs_expr)?]),
            _ => None,
        },
        _ => None,
    }
}

/// A literal as it would be typed.
fn text(expression: &Expression) -> Option<String> {
    match expression {
        Expression::String(text) => Some(text.value().clone()),
        Expression::Number(number) => Some(number.value().to_string()),
        _ => None,
    }
}

fn is_variable(expression: &Expression, name: &str) -> bool {
    let Expression::Traversal(traversal) = expression else { return false };
    let Traversal { expr, operators, .. } = &**traversal;
    let [operator] = operators.as_slice() else { return false };
    expr.as_variable().is_some_and(|root| root.as_str() == "var")
        && matches!(operator.value(), TraversalOperator::GetAttr(attribute) if attribute.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(condition: &str) -> Option<Vec<String>> {
        of(&condition.parse().expect(condition), "v")
    }

    #[test]
    fn lists_in_conditions_are_choices() {
        let ab = Some(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(listed(r#"contains(["a", "b"], var.v)"#), ab);
        assert_eq!(listed(r#"(var.v == "a" || "b" == var.v)"#), ab);
        assert_eq!(listed("contains([1, 2], var.v)"), Some(vec!["1".to_owned(), "2".to_owned()]));
    }

    #[test]
    fn other_conditions_are_not() {
        for condition in [
            r#"contains(["a"], var.other)"#,
            r#"contains(var.v, "a")"#,
            "contains([], var.v)",
            r#"contains(["a", "${var.x}"], var.v)"#,
            r#"var.v == "a" || length(var.v) > 3"#,
            r#"var.v != "a""#,
            r#"var.v == "a" && true"#,
            "length(var.v) > 3",
        ] {
            assert_eq!(listed(condition), None, "{condition}");
        }
    }
}
