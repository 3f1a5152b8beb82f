//! Type constraints: `list(object({ name = string }))`.

use std::collections::BTreeMap;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, FuncCall};

use super::eval::Origin;
use super::value::{Attribute, Type};
use crate::template::diagnostic::Diagnostic;

/// Reads a type constraint.
pub(crate) fn parse(expression: &Expression, origin: Origin) -> Result<Type, Diagnostic> {
    let wrong = |summary: String| Err(Diagnostic::error(summary).at(origin.span(expression.span())).hint(HINT));
    match expression {
        Expression::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            name @ ("list" | "set" | "map") => wrong(format!("`{name}` needs the type of its elements")),
            other => wrong(format!("`{other}` is not a type")),
        },
        Expression::FuncCall(call) => constructed(call, expression, origin),
        Expression::String(text) => wrong(format!("a type is written without quotes: {}", text.value())),
        Expression::Parenthesis(inner) => parse(inner.inner(), origin),
        _ => wrong("this is not a type".to_owned()),
    }
}

const HINT: &str = "types are string, number, bool, any, list(T), set(T), map(T), object({…}) and tuple([…])";

fn constructed(call: &FuncCall, at: &Expression, origin: Origin) -> Result<Type, Diagnostic> {
    let name = call.name.name.as_str();
    let wrong = |summary: String| Err(Diagnostic::error(summary).at(origin.span(at.span())).hint(HINT));
    let mut arguments = call.args.iter();
    let (Some(argument), None) = (arguments.next(), arguments.next()) else {
        return wrong(format!("`{name}` takes one argument here"));
    };
    let element = || parse(argument, origin).map(Box::new);
    match (name, argument) {
        ("list", _) => element().map(Type::List),
        ("set", _) => element().map(Type::Set),
        ("map", _) => element().map(Type::Map),
        ("tuple", Expression::Array(types)) => {
            Ok(Type::Tuple(types.iter().map(|ty| parse(ty, origin)).collect::<Result<_, _>>()?))
        }
        ("object", Expression::Object(attributes)) => {
            let mut types = BTreeMap::new();
            for (key, value) in attributes {
                let Some(name) = key.as_ident().map(|name| name.as_str().to_owned()).or_else(|| {
                    let expression = key.as_expr()?;
                    expression
                        .as_variable()
                        .map(|name| name.as_str().to_owned())
                        .or_else(|| Some(expression.as_str()?.to_owned()))
                }) else {
                    return wrong("an attribute of an object type needs a name".to_owned());
                };
                types.insert(name, attribute(value.expr(), origin)?);
            }
            Ok(Type::Object(types))
        }
        ("object", _) => wrong("`object` takes the types of its attributes in braces".to_owned()),
        ("tuple", _) => wrong("`tuple` takes the types of its elements in brackets".to_owned()),
        ("optional", _) => wrong("`optional` is only for attributes of an object".to_owned()),
        _ => wrong(format!("`{name}` is not a type")),
    }
}

fn attribute(expression: &Expression, origin: Origin) -> Result<Attribute, Diagnostic> {
    if let Expression::FuncCall(call) = expression
        && call.name.name.as_str() == "optional"
    {
        let mut arguments = call.args.iter();
        return match (arguments.next(), arguments.next()) {
            (Some(ty), None) => Ok(Attribute { ty: parse(ty, origin)?, optional: true }),
            _ => Err(Diagnostic::error("a default in `optional` is not supported yet")
                .at(origin.span(expression.span()))
                .hint("write optional(T), and use coalesce where the attribute is used")),
        };
    }
    Ok(Attribute { ty: parse(expression, origin)?, optional: false })
}
