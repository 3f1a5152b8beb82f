//! Strings with `${…}` and `%{…}`.

use hcl_edit::template::{Directive, Element, Strip};

use super::{Eval, Evaluator, Expression, Kind, MapDiagnostic, Scope, Type, Value};

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
    pub(super) fn template<'e>(
        &self,
        elements: impl IntoIterator<Item = &'e Element>,
        at: &Expression,
        scope: &Scope<'_>,
    ) -> Eval<Value> {
        let elements: Vec<&Element> = elements.into_iter().collect();
        if let [Element::Interpolation(interpolation)] = elements.as_slice() {
            // A template that is one interpolation gives its value as it is, whatever the type.
            return self.eval(&interpolation.expr, scope);
        }
        let mut rendered = Rendered::default();
        self.elements(&elements, (false, false), at, scope, &mut rendered)?;
        let value = if rendered.unknown { Value::unknown(Type::String) } else { Value::string(rendered.text) };
        Ok(value.mark(rendered.sensitive))
    }

    /// Renders a template that was parsed on its own, such as a file.
    pub fn render(&self, template: &hcl_edit::template::Template, scope: &Scope<'_>) -> Eval<Value> {
        self.template(template.iter(), &Expression::null(), scope)
    }

    /// Renders elements; `trim` tells whether blanks at the start and end are cut.
    fn elements(
        &self,
        elements: &[&Element],
        trim: (bool, bool),
        at: &Expression,
        scope: &Scope<'_>,
        out: &mut Rendered,
    ) -> Eval<()> {
        for (index, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(text) => {
                    let previous = index.checked_sub(1).map(|index| elements[index]);
                    let cut_start = previous.map_or(trim.0, |element| outer_strip(element).1);
                    let cut_end = elements.get(index + 1).map_or(trim.1, |element| outer_strip(element).0);
                    let mut text = text.as_str();
                    if cut_start {
                        text = text.trim_start();
                    }
                    if cut_end {
                        text = text.trim_end();
                    }
                    self.push(text, at, out)?;
                }
                Element::Interpolation(interpolation) => {
                    let value = self.eval(&interpolation.expr, scope)?;
                    self.interpolated(&value, &interpolation.expr, out)?;
                }
                Element::Directive(directive) => self.directive(directive, at, scope, out)?,
            }
        }
        Ok(())
    }

    fn push(&self, text: &str, at: &Expression, out: &mut Rendered) -> Eval<()> {
        if out.text.len() + text.len() > MAX_STRING {
            return Err(self.error(at, "the string is too long"));
        }
        self.charge(at, text.len())?;
        out.text.push_str(text);
        Ok(())
    }

    fn interpolated(&self, value: &Value, at: &Expression, out: &mut Rendered) -> Eval<()> {
        out.sensitive |= value.is_sensitive();
        match value.kind() {
            Kind::Unknown(_) => out.unknown = true,
            Kind::Null(_) => {
                return Err(self
                    .error(at, "null cannot be put into a string")
                    .map_hint("give a default: coalesce(x, \"\")"));
            }
            _ => match value.scalar_text() {
                Some(text) => self.push(&text, at, out)?,
                None => {
                    return Err(self
                        .error(at, format!("{} cannot be put into a string", value.describe()))
                        .map_hint("join it, or encode it by jsonencode"));
                }
            },
        }
        Ok(())
    }

    fn directive(&self, directive: &Directive, at: &Expression, scope: &Scope<'_>, out: &mut Rendered) -> Eval<()> {
        match directive {
            Directive::If(directive) => {
                let condition = self.bool(&directive.if_expr.cond_expr, scope, "the condition of an `if`")?;
                out.sensitive |= condition.is_sensitive();
                let end = starts(directive.endif_expr.strip);
                let otherwise = directive.else_expr.as_ref();
                let (template, trim) = match (condition.kind(), otherwise) {
                    (Kind::Bool(true), _) => {
                        let close = otherwise.map_or(end, |otherwise| starts(otherwise.strip));
                        (&directive.if_expr.template, (ends(directive.if_expr.strip), close))
                    }
                    (Kind::Bool(false), Some(otherwise)) => (&otherwise.template, (ends(otherwise.strip), end)),
                    (Kind::Bool(false), None) => return Ok(()),
                    _ => {
                        out.unknown = true;
                        return Ok(());
                    }
                };
                self.elements(&template.iter().collect::<Vec<_>>(), trim, at, scope, out)
            }
            Directive::For(directive) => {
                let intro = &directive.for_expr;
                let collection = self.eval(&intro.collection_expr, scope)?;
                out.sensitive |= collection.is_sensitive();
                if collection.is_unknown() {
                    out.unknown = true;
                    return Ok(());
                }
                let elements: Vec<&Element> = intro.template.iter().collect();
                let trim = (ends(intro.strip), starts(directive.endfor_expr.strip));
                for (key, value) in self.pairs(&collection, &intro.collection_expr)? {
                    let mut names = vec![(intro.value_var.as_str().to_owned(), value)];
                    names.extend(intro.key_var.as_ref().map(|name| (name.as_str().to_owned(), key)));
                    self.elements(&elements, trim, at, &scope.child(names), out)?;
                }
                Ok(())
            }
        }
    }
}

/// Whether an element cuts the blanks before it and after it.
fn outer_strip(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(interpolation) => (starts(interpolation.strip), ends(interpolation.strip)),
        Element::Directive(directive) => match &**directive {
            Directive::If(directive) => (starts(directive.if_expr.strip), ends(directive.endif_expr.strip)),
            Directive::For(directive) => (starts(directive.for_expr.strip), ends(directive.endfor_expr.strip)),
        },
    }
}

fn starts(strip: Strip) -> bool {
    matches!(strip, Strip::Start | Strip::Both)
}

fn ends(strip: Strip) -> bool {
    matches!(strip, Strip::End | Strip::Both)
}
