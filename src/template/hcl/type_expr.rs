//! Type constraints: `list(object({ name = string }))`.

use super::convert::convert;
use super::eval::Evaluator;
use super::scope::Scope;
use super::syntax::ast::{Call, Expr, ExprKind, Key};
use super::value::{Attribute, Type};
use crate::template::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::template::source_map::Span;

const NAMES: [&str; 10] = ["string", "number", "bool", "any", "list", "set", "map", "object", "tuple", "optional"];
const HINT: &str = "types are string, number, bool, any, list(T), set(T), map(T), object({…}) and tuple([…])";

/// Reads a type constraint; what is none is reported, and any type will do. The evaluator knows what defaults of
/// attributes may be.
pub(crate) fn parse(expr: &Expr, evaluator: &Evaluator<'_>, sink: &mut Diagnostics) -> Type {
    let wrong = |summary: String, sink: &mut Diagnostics| wrong(expr.span, summary, sink);
    match &expr.kind {
        ExprKind::Variable(name) => match &*name.text {
            "string" => Type::String,
            "number" => Type::Number,
            "bool" => Type::Bool,
            "any" => Type::Dynamic,
            name @ ("list" | "set" | "map") => wrong(format!("`{name}` needs the type of its elements"), sink),
            other => unknown(expr.span, other, sink),
        },
        ExprKind::Call(call) => constructed(call, expr.span, evaluator, sink),
        ExprKind::Template(template) => match template.literal() {
            Some(text) => wrong(format!("a type is written without quotes: {text}"), sink),
            None => wrong("a type is written without quotes".to_owned(), sink),
        },
        ExprKind::Parenthesis(inner) => parse(inner, evaluator, sink),
        ExprKind::Error => Type::Dynamic,
        _ => wrong("this is not a type".to_owned(), sink),
    }
}

fn wrong(at: Span, summary: impl Into<String>, sink: &mut Diagnostics) -> Type {
    sink.push(Diagnostic::error(summary).at(at).hint(HINT));
    Type::Dynamic
}

fn unknown(at: Span, name: &str, sink: &mut Diagnostics) -> Type {
    let hint = did_you_mean(name, NAMES).map_or_else(|| HINT.to_owned(), |near| format!("did you mean `{near}`?"));
    sink.push(Diagnostic::error(format!("`{name}` is not a type")).at(at).hint(hint));
    Type::Dynamic
}

fn constructed(call: &Call, at: Span, evaluator: &Evaluator<'_>, sink: &mut Diagnostics) -> Type {
    let name = &*call.name.text;
    let takes_one = matches!(name, "list" | "set" | "map" | "tuple" | "object");
    let [argument] = call.arguments.as_slice() else {
        return match name {
            _ if takes_one => wrong(at, format!("`{name}` takes one argument here"), sink),
            "optional" => wrong(at, "`optional` is only for attributes of an object", sink),
            _ => unknown(at, name, sink),
        };
    };
    match (name, &argument.kind) {
        ("list", _) => Type::list(parse(argument, evaluator, sink)),
        ("set", _) => Type::set(parse(argument, evaluator, sink)),
        ("map", _) => Type::map(parse(argument, evaluator, sink)),
        ("tuple", ExprKind::Tuple(types)) => {
            Type::tuple(types.iter().map(|ty| parse(ty, evaluator, sink)).collect::<Vec<_>>())
        }
        ("object", ExprKind::Object(items)) => {
            let mut types = std::collections::BTreeMap::new();
            for item in items {
                let name = match &item.key {
                    Key::Name(name) => Some(name.text.to_string()),
                    Key::Expr(Expr { kind: ExprKind::Template(template), .. }) => template.literal().map(str::to_owned),
                    Key::Expr(_) => None,
                };
                let ty = attribute(&item.value, evaluator, sink);
                match name {
                    Some(name) => drop(types.insert(name, ty)),
                    None => drop(wrong(at, "an attribute of an object type needs a name", sink)),
                }
            }
            Type::Object(types.into())
        }
        (_, ExprKind::Error) if takes_one => Type::Dynamic,
        ("object", _) => wrong(at, "`object` takes the types of its attributes in braces", sink),
        ("tuple", _) => wrong(at, "`tuple` takes the types of its elements in brackets", sink),
        ("optional", _) => wrong(at, "`optional` is only for attributes of an object", sink),
        _ => unknown(at, name, sink),
    }
}

fn attribute(expr: &Expr, evaluator: &Evaluator<'_>, sink: &mut Diagnostics) -> Attribute {
    let call = match &expr.kind {
        ExprKind::Call(call) if &*call.name.text == "optional" => call,
        _ => return parse(expr, evaluator, sink).into(),
    };
    match call.arguments.as_slice() {
        [ty] => Attribute { ty: parse(ty, evaluator, sink), optional: true, default: None },
        [ty, default] => {
            let ty = parse(ty, evaluator, sink);
            let value = evaluator.eval(default, &Scope::default(), sink);
            let value = convert(&value, &ty).map_err(|error| {
                let wrong = Diagnostic::error("the default of an attribute is not of its type").at(default.span);
                sink.push(wrong.detail(error));
            });
            Attribute { ty, optional: true, default: value.ok() }
        }
        _ => wrong(expr.span, "`optional` takes a type and a default", sink).into(),
    }
}
