//! Strings with `${…}` and `%{…}`.

use super::for_expr::{named, pairs, tell_once, with_names};
use super::uses::uses_name_in;
use super::{Diagnostic, Diagnostics, Evaluator, Kind, Scope, Type, Value, article};
use crate::template::hcl::syntax::ast::{Expr, Part, Template, TemplateFor, TemplateIf};
use crate::template::source_map::Span;

/// Longest string an expression may give.
const MAX_STRING: usize = 64 << 20;

/// The text rendered so far; unknown as soon as a part is.
#[derive(Default)]
struct Rendered {
    text: String,
    unknown: bool,
    sensitive: bool,
}

impl Evaluator<'_> {
    /// The text of a template, or the value that it stands for.
    pub(crate) fn template(&self, template: &Template, at: Span, scope: &Scope<'_>, sink: &mut Diagnostics) -> Value {
        match template.parts.as_slice() {
            // A template that is one value gives it as it is, whatever the type.
            [Part::Value(value)] => return self.value(value, scope, sink),
            [Part::Literal(text, _)] => {
                self.work.charge(text.len() / 16);
                return Value::string(text.clone());
            }
            _ => {}
        }
        let mut rendered = Rendered::default();
        self.parts(&template.parts, at, scope, &mut rendered, sink);
        let value = if rendered.unknown { Value::unknown(Type::String) } else { Value::string(rendered.text) };
        value.mark(rendered.sensitive)
    }

    fn parts(&self, parts: &[Part], at: Span, scope: &Scope<'_>, out: &mut Rendered, sink: &mut Diagnostics) {
        for part in parts {
            match part {
                Part::Literal(text, _) => self.push(text, at, out, sink),
                Part::Value(expr) => {
                    let value = self.value(expr, scope, sink);
                    self.interpolated(&value, expr, out, sink);
                }
                Part::If(choice) => self.choice(choice, scope, out, sink),
                Part::For(each) => self.for_each(each, scope, out, sink),
            }
        }
    }

    fn push(&self, text: &str, at: Span, out: &mut Rendered, sink: &mut Diagnostics) {
        if out.unknown {
            return;
        }
        if out.text.len() + text.len() > MAX_STRING {
            sink.push(Diagnostic::error("the string is too long").at(at));
            out.unknown = true;
        } else if self.work.charge(text.len() / 16) {
            out.text.push_str(text);
        } else {
            out.unknown = true;
        }
    }

    fn interpolated(&self, value: &Value, at: &Expr, out: &mut Rendered, sink: &mut Diagnostics) {
        out.sensitive |= value.is_sensitive();
        match (value.kind(), value.scalar_text()) {
            (Kind::Unknown(Type::Dynamic | Type::String | Type::Number | Type::Bool), _) => out.unknown = true,
            (Kind::Null(_), _) => {
                let error = Diagnostic::error("null cannot be put into a string").at(at.span);
                sink.push(error.hint("give a default: coalesce(x, \"\")"));
                out.unknown = true;
            }
            (_, Some(text)) => self.push(&text, at.span, out, sink),
            (_, None) => {
                let what = match value.kind() {
                    Kind::Unknown(ty) => article(ty),
                    _ => value.describe(),
                };
                let error = Diagnostic::error(format!("{what} cannot be put into a string")).at(at.span);
                sink.push(error.hint("join it, or encode it by jsonencode"));
                out.unknown = true;
            }
        }
    }

    /// One of two texts. What is wrong with the other is of no importance, and of neither while it is not known which.
    fn choice(&self, choice: &TemplateIf, scope: &Scope<'_>, out: &mut Rendered, sink: &mut Diagnostics) {
        let condition = self.bool(&choice.condition, scope, "the condition of an `if`", sink);
        out.sensitive |= condition.is_sensitive();
        let no: &[Part] = choice.no.as_ref().map_or(&[], |no| &no.parts);
        match condition.kind() {
            Kind::Bool(true) => self.parts(&choice.yes.parts, choice.span, scope, out, sink),
            Kind::Bool(false) => self.parts(no, choice.span, scope, out, sink),
            _ => {
                out.unknown = true;
                for parts in [&choice.yes.parts, no] {
                    let mut either = Rendered::default();
                    self.parts(parts, choice.span, scope, &mut either, &mut Diagnostics::default());
                    out.sensitive |= either.sensitive;
                }
            }
        }
    }

    fn for_each(&self, each: &TemplateFor, scope: &Scope<'_>, out: &mut Rendered, sink: &mut Diagnostics) {
        let collection = self.value(&each.collection, scope, sink);
        out.sensitive |= collection.is_sensitive();
        let Some(pairs) = pairs(&collection, each.collection.span, sink) else {
            out.unknown = true;
            return;
        };
        let mut told = Diagnostics::default();
        for (key, value) in pairs {
            if !self.work.charge(1) {
                out.unknown = true;
                break;
            }
            let inner = scope.child(named(&each.names, key, value));
            let mut found = Diagnostics::default();
            self.parts(&each.each.parts, each.span, &inner, out, &mut found);
            let used = |name: &str| uses_name_in(&each.each, name);
            tell_once(found, &mut told, |diagnostic| with_names(diagnostic, &each.names, &inner, used));
        }
        sink.extend(told);
    }
}
