//! The values of the names that a failing expression uses.

use std::collections::BTreeMap;

use super::{Diagnostic, Diagnostics, Severity};
use crate::template::hcl::syntax::scanner::scan;
use crate::template::hcl::syntax::token::TokenKind;
use crate::template::hcl::value::Value;
use crate::template::source_map::{SourceMap, Span};

/// Longest text that is taken for an expression: what is longer is a block.
const MAX_TEXT: usize = 2000;

impl Diagnostics {
    /// Tells in each error the values of the names that the text it points at uses. `names` are those of the template:
    /// `var`, `local`, ….
    pub fn add_values(&mut self, sources: &SourceMap, names: &BTreeMap<String, Value>) {
        for diagnostic in &mut self.0 {
            if diagnostic.severity != Severity::Error || !diagnostic.values.is_empty() {
                continue;
            }
            let places = diagnostic.span.into_iter().chain(diagnostic.secondary.as_ref().map(|(span, _)| *span));
            let found: Vec<_> = places.flat_map(|span| used(expression(sources, span), names)).collect();
            for (name, value) in found {
                *diagnostic = std::mem::replace(diagnostic, Diagnostic::error("")).with_value(name, value);
            }
        }
    }
}

/// The text of a span, from where the name begins of which it is the end: of `var.list[2]` it may be `[2]`.
fn expression(sources: &SourceMap, span: Span) -> &str {
    let before = sources.slice(Span::new(span.file, 0..span.start));
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let start =
        if sources.slice(span).starts_with(['[', '.']) { before.trim_end_matches(part).len() } else { span.start };
    sources.slice(Span::new(span.file, start..span.end))
}

/// The names `root.name` in a text whose values are known.
fn used<'a>(text: &str, names: &'a BTreeMap<String, Value>) -> Vec<(String, &'a Value)> {
    if text.len() > MAX_TEXT || !text.contains('.') {
        return Vec::new();
    }
    let tokens = scan(text);
    let mut found = Vec::new();
    for (at, three) in tokens.windows(3).enumerate() {
        let kinds = [three[0].kind, three[1].kind, three[2].kind];
        let inner = at > 0 && tokens[at - 1].kind == TokenKind::Dot;
        if inner || kinds != [TokenKind::Identifier, TokenKind::Dot, TokenKind::Identifier] {
            continue;
        }
        let (root, name) = (three[0].text(text), three[2].text(text));
        let value = names.get(root).and_then(Value::entries).and_then(|entries| entries.get(name));
        if let Some(value) = value.filter(|value| !value.is_unknown()) {
            found.push((format!("{root}.{name}"), value));
        }
    }
    found
}
