//! The values a validation accepts, where it lists them.

use crate::template::hcl::number::Number;
use crate::template::hcl::syntax::ast::{BinaryOperator, Expr, ExprKind, Part, Step};

/// The texts a condition accepts of the variable `name`; `None` if it is not a plain list of them.
pub(super) fn of(condition: &Expr, name: &str) -> Option<Vec<String>> {
    match &condition.kind {
        ExprKind::Parenthesis(inner) => of(inner, name),
        ExprKind::Call(call) if &*call.name.text == "contains" && !call.expand => {
            let [list, value] = call.arguments.as_slice() else { return None };
            let ExprKind::Tuple(listed) = &list.kind else { return None };
            let listed = listed.iter().map(text).collect::<Option<Vec<_>>>()?;
            is_variable(value, name).then_some(listed).filter(|listed| !listed.is_empty())
        }
        ExprKind::Binary(operation) => match operation.operator {
            BinaryOperator::Or => {
                let mut listed = of(&operation.left, name)?;
                listed.extend(of(&operation.right, name)?);
                Some(listed)
            }
            BinaryOperator::Equal if is_variable(&operation.left, name) => Some(vec![text(&operation.right)?]),
            BinaryOperator::Equal if is_variable(&operation.right, name) => Some(vec![text(&operation.left)?]),
            _ => None,
        },
        // In JSON an expression is in a string.
        ExprKind::Template(template) => match template.parts.as_slice() {
            [Part::Value(value)] => of(value, name),
            _ => None,
        },
        _ => None,
    }
}

/// A literal as it would be typed.
fn text(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Template(template) => template.literal().map(str::to_owned),
        ExprKind::Number(number) => Number::parse(number).map(|number| number.to_string()),
        _ => None,
    }
}

fn is_variable(expr: &Expr, name: &str) -> bool {
    let ExprKind::Traversal(root, steps) = &expr.kind else { return false };
    matches!(&root.kind, ExprKind::Variable(root) if &*root.text == "var")
        && matches!(steps.as_slice(), [Step::Attribute(attribute)] if &*attribute.text == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::diagnostic::Diagnostics;
    use crate::template::hcl::syntax::parser::parse_expression;
    use crate::template::source_map::SourceMap;

    fn listed(condition: &str) -> Option<Vec<String>> {
        let mut sources = SourceMap::default();
        let file = sources.add("t", condition);
        of(&parse_expression(file, condition, &mut Diagnostics::default()).expect(condition), "v")
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
