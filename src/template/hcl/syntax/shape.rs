//! Trees as short texts, without their places.

use crate::template::hcl::syntax::ast::{
    Block, Body, Expr, ExprKind, ForNames, Key, Part, Step, Template, UnaryOperator,
};

/// An expression as a text.
pub(crate) fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Null => "null".to_owned(),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Number(text) => text.to_string(),
        ExprKind::Template(template) => of_template(template),
        ExprKind::Parenthesis(inner) => format!("(paren {})", shape(inner)),
        ExprKind::Variable(name) => name.text.to_string(),
        ExprKind::Traversal(root, path) => format!("(get {} {})", shape(root), steps(path)),
        ExprKind::Call(call) => {
            let mut words = vec![call.name.text.to_string()];
            words.extend(call.arguments.iter().map(shape));
            words.extend(call.expand.then(|| "...".to_owned()));
            format!("({})", words.join(" "))
        }
        ExprKind::Conditional(parts) => {
            format!("(? {} {} {})", shape(&parts.condition), shape(&parts.yes), shape(&parts.no))
        }
        ExprKind::Binary(parts) => {
            format!("({} {} {})", parts.operator.symbol(), shape(&parts.left), shape(&parts.right))
        }
        ExprKind::Unary(UnaryOperator::Negate, operand) => format!("(neg {})", shape(operand)),
        ExprKind::Unary(UnaryOperator::Not, operand) => format!("(not {})", shape(operand)),
        ExprKind::Tuple(elements) => format!("[{}]", elements.iter().map(shape).collect::<Vec<_>>().join(" ")),
        ExprKind::Object(items) => {
            let items = items.iter().map(|item| format!("{}={}", key(&item.key), shape(&item.value)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(" "))
        }
        ExprKind::For(parts) => {
            let key = parts.key.as_ref().map(|key| format!("{} => ", shape(key))).unwrap_or_default();
            let group = if parts.group { " ..." } else { "" };
            let condition = parts.condition.as_ref().map(|condition| format!(" if {}", shape(condition)));
            let (open, close) = if key.is_empty() { ('[', ']') } else { ('{', '}') };
            let (names, over) = (names(&parts.names), shape(&parts.collection));
            let condition = condition.unwrap_or_default();
            format!("{open}for {names} in {over} : {key}{}{group}{condition}{close}", shape(&parts.value))
        }
        ExprKind::Error => "error".to_owned(),
    }
}

/// A body as a text: its attributes, then its blocks.
pub(crate) fn body(body: &Body) -> String {
    let attributes = body.attributes.iter().map(|one| format!("{}={}", one.name.text, shape(&one.value)));
    attributes.chain(body.blocks.iter().map(block)).collect::<Vec<_>>().join(" ")
}

fn block(block: &Block) -> String {
    let mut words = vec![block.kind.text.to_string()];
    words.extend(block.labels.iter().map(|label| format!("\"{}\"", label.text)));
    format!("{} {{{}}}", words.join(" "), body(&block.body))
}

fn key(key: &Key) -> String {
    match key {
        Key::Name(name) => name.text.to_string(),
        Key::Expr(expr) => shape(expr),
    }
}

fn names(names: &ForNames) -> String {
    let key = names.key.as_ref().map(|key| format!("{},", key.text)).unwrap_or_default();
    format!("{key}{}", names.value.text)
}

fn steps(steps: &[Step]) -> String {
    let shown = steps.iter().map(|step| match step {
        Step::Attribute(name) => format!(".{}", name.text),
        Step::Index(key, _) => format!("[{}]", shape(key)),
        Step::Splat(each, _) => format!("[*]({})", self::steps(each)),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn of_template(template: &Template) -> String {
    if let Some(text) = template.literal() {
        return format!("\"{text}\"");
    }
    let part = |part: &Part| match part {
        Part::Literal(text, _) => format!("\"{text}\""),
        Part::Value(expr) => format!("${{{}}}", shape(expr)),
        Part::If(parts) => {
            let no = parts.no.as_ref().map(|no| format!(" {}", nested(no))).unwrap_or_default();
            format!("%if({} {}{no})", shape(&parts.condition), nested(&parts.yes))
        }
        Part::For(parts) => {
            format!("%for({} {} {})", names(&parts.names), shape(&parts.collection), nested(&parts.each))
        }
    };
    format!("(t {})", template.parts.iter().map(part).collect::<Vec<_>>().join(" "))
}

fn nested(template: &Template) -> String {
    match template.literal() {
        Some(text) => format!("(t \"{text}\")"),
        None => of_template(template),
    }
}

/// Calls `see` with an expression and all that are in it.
pub(crate) fn each(expr: &Expr, see: &mut dyn FnMut(&Expr)) {
    see(expr);
    match &expr.kind {
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::Variable(_) | ExprKind::Error => {}
        ExprKind::Template(template) => in_template(template, see),
        ExprKind::Parenthesis(inner) | ExprKind::Unary(_, inner) => each(inner, see),
        ExprKind::Traversal(root, path) => {
            each(root, see);
            in_steps(path, see);
        }
        ExprKind::Call(call) => call.arguments.iter().for_each(|argument| each(argument, see)),
        ExprKind::Conditional(parts) => {
            for part in [&parts.condition, &parts.yes, &parts.no] {
                each(part, see);
            }
        }
        ExprKind::Binary(parts) => {
            each(&parts.left, see);
            each(&parts.right, see);
        }
        ExprKind::Tuple(elements) => elements.iter().for_each(|element| each(element, see)),
        ExprKind::Object(items) => items.iter().for_each(|item| {
            if let Key::Expr(key) = &item.key {
                each(key, see);
            }
            each(&item.value, see);
        }),
        ExprKind::For(parts) => {
            let optional = parts.key.iter().chain(&parts.condition);
            [&parts.collection, &parts.value].into_iter().chain(optional).for_each(|part| each(part, see));
        }
    }
}

fn in_steps(steps: &[Step], see: &mut dyn FnMut(&Expr)) {
    for step in steps {
        match step {
            Step::Attribute(_) => {}
            Step::Index(key, _) => each(key, see),
            Step::Splat(steps, _) => in_steps(steps, see),
        }
    }
}

fn in_template(template: &Template, see: &mut dyn FnMut(&Expr)) {
    for part in &template.parts {
        match part {
            Part::Literal(..) => {}
            Part::Value(expr) => each(expr, see),
            Part::If(parts) => {
                each(&parts.condition, see);
                in_template(&parts.yes, see);
                parts.no.iter().for_each(|no| in_template(no, see));
            }
            Part::For(parts) => {
                each(&parts.collection, see);
                in_template(&parts.each, see);
            }
        }
    }
}
