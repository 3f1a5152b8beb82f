//! Diagnostics as the catalogue shows them: one line each, by the field they are about.

use std::collections::BTreeSet;

use crate::event::redact::Redactor;
use crate::template::diagnostic::{Diagnostic, Severity};
use crate::template::source_map::{SourceMap, Span};
use crate::template::variable::Variable;
use crate::template::{Loaded, Template};

/// Something that is wrong, without secrets in its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it keeps the template from being built.
    pub is_error: bool,
    /// What is wrong and why, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// `file:line:column`, if it is about a place.
    pub place: Option<String>,
    /// The variable it is about.
    pub field: Option<String>,
    /// Whether it says that the variable has no value.
    pub is_missing: bool,
}

/// All that was found, in the order found.
pub(super) fn problems(loaded: &Loaded, template: Option<&Template>) -> Vec<Problem> {
    let redactor = Redactor::default();
    loaded.secrets.values().iter().for_each(|secret| redactor.register(secret));
    let variables: Vec<&Variable> = template.iter().flat_map(|template| template.variables.values()).collect();
    let problem = |diagnostic: &Diagnostic| {
        let field = field_of(diagnostic, &variables, &loaded.sources);
        let message = match &diagnostic.detail {
            // The rule's own sentence says it best beside the field.
            Some(detail) if field.is_some() && detail.ends_with(['.', '?']) => detail.clone(),
            Some(detail) => format!("{}: {detail}", diagnostic.summary),
            None => diagnostic.summary.clone(),
        };
        Problem {
            is_error: diagnostic.severity == Severity::Error,
            message: redactor.text(one_line(&message)),
            hint: diagnostic.hint.as_deref().map(|hint| redactor.text(one_line(hint))),
            place: diagnostic.span.map(|span| loaded.sources.location(span)),
            is_missing: field.is_some_and(|variable| {
                variable.default.is_none() && variable.given.is_none() && diagnostic.span == Some(variable.span)
            }),
            field: field.map(|variable| variable.name.clone()),
        }
    };
    loaded.diagnostics.iter().map(problem).collect()
}

/// Text of a template must not move the cursor or begin a line of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The variable a finding is about: its declaration, its value, or an expression that uses it and no other.
fn field_of<'a>(diagnostic: &Diagnostic, variables: &[&'a Variable], sources: &SourceMap) -> Option<&'a Variable> {
    let within =
        |span: Span, other: Span| other.file == span.file && other.start <= span.start && span.end <= other.end;
    let about = |span: Span| {
        let named =
            |variable: &&&Variable| variable.span == span || variable.given.is_some_and(|given| within(span, given));
        variables.iter().find(named).copied()
    };
    let spans = diagnostic.span.into_iter().chain(diagnostic.secondary.iter().map(|(span, _)| *span));
    spans.clone().find_map(about).or_else(|| {
        let used: BTreeSet<&str> = variables_in(sources.slice(diagnostic.span?));
        let mut used = used.into_iter();
        let (Some(only), None) = (used.next(), used.next()) else { return None };
        variables.iter().find(|variable| variable.name == only).copied()
    })
}

/// Names of variables in the text of an expression.
fn variables_in(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("var.") {
        let stands_alone = !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let rest = &text[at + 4..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')).unwrap_or(rest.len());
        if stands_alone && end > 0 {
            found.insert(&rest[..end]);
        }
    }
    found
}
