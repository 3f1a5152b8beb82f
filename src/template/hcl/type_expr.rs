//! Type constraints: `list(object({ name = string }))`.

use std::collections::BTreeMap;

use hcl_edit::expr::{Expression, FuncCall};

use super::convert::convert;
use super::eval::Evaluator;
use super::scope::Scope;
use super::value::{Attribute, Type};
use crate::template::diagnostic::Diagnostic;

/// Reads a type constraint. The evaluator knows where it stands, and what defaults of attributes may be.
pub(crate) fn parse(expression: &Expression, evaluator: &Evaluator<'_>) -> Result<Type, Diagnostic> {
    let wrong = |summary: String| Err(Diagnostic::error(summary).at(evaluator.span(expression)).hint(HINT));
    match expression {
        Expression::Variable(name) => match name.as_str() {
            "string" => Ok(Type::String),
            "number" => Ok(Type::Number),
            "bool" => Ok(Type::Bool),
            "any" => Ok(Type::Dynamic),
            name @ ("list" | "set" | "map") => wrong(format!("`{name}` needs the type of its elements")),
            other => wrong(format!("`{other}` is not a type")),
        },
        Expression::FuncCall(call) => constructed(call, expression, evaluator),
        Expression::String(text) => wrong(format!("a type is written without quotes: {}", text.value())),
        Expression::Parenthesis(inner) => parse(inner.inner(), evaluator),
        _ => wrong("this is not a type".to_owned()),
    }
}

const HINT: &str = "types are string, number, bool, any, list(T), set(T), map(T), object({…}) and tuple([…])";

fn constructed(call: &FuncCall, at: &Expression, evaluator: &Evaluator<'_>) -> Result<Type, Diagnostic> {
    let name = call.name.name.as_str();
    let wrong = |summary: String| Err(Diagnostic::error(summary).at(evaluator.span(at)).hint(HINT));
    let mut arguments = call.args.iter();
    let (Some(argument), None) = (arguments.next(), arguments.next()) else {
        return wrong(format!("`{name}` takes one argument here"));
    };
    let element = || parse(argument, evaluator);
    match (name, argument) {
        ("list", _) => element().map(Type::list),
        ("set", _) => element().map(Type::set),
        ("map", _) => element().map(Type::map),
        ("tuple", Expression::Array(types)) => {
            Ok(Type::Tuple(types.iter().map(|ty| parse(ty, evaluator)).collect::<Result<_, _>>()?))
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
                types.insert(name, attribute(value.expr(), evaluator)?);
            }
            Ok(Type::Object(types.into()))
        }
        ("object", _) => wrong("`object` takes the types of its attributes in braces".to_owned()),
        ("tuple", _) => wrong("`tuple` takes the types of its elements in brackets".to_owned()),
        ("optional", _) => wrong("`optional` is only for attributes of an object".to_owned()),
        _ => wrong(format!("`{name}` is not a type")),
    }
}

fn attribute(expression: &Expression, evaluator: &Evaluator<'_>) -> Result<Attribute, Diagnostic> {
    let Expression::FuncCall(call) = expression else { return Ok(parse(expression, evaluator)?.into()) };
    if call.name.name.as_str() != "optional" {
        return Ok(parse(expression, evaluator)?.into());
    }
    let mut arguments = call.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(ty), None, _) => Ok(Attribute { ty: parse(ty, evaluator)?, optional: true, default: None }),
        (Some(ty), Some(default), None) => {
            let ty = parse(ty, evaluator)?;
            let value = evaluator.eval(default, &Scope::default()).map_err(|error| *error)?;
            let value = convert(&value, &ty).map_err(|error| {
                Diagnostic::error("the default of an attribute is not of its type")
                    .at(evaluator.span(default))
                    .detail(error)
            })?;
            Ok(Attribute { ty, optional: true, default: Some(value) })
        }
        _ => Err(Diagnostic::error("`optional` takes a type and a default").at(evaluator.span(expression)).hint(HINT)),
    }
}
