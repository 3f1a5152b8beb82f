//! A form's fields, made from a template's variables.

use super::literal;
use crate::template::Template;
use crate::template::hcl::value::Type;
use crate::template::source_map::SourceMap;
use crate::template::variable::Variable;

/// A variable, as a form shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// How it is filled in.
    pub kind: FieldKind,
    /// Its type as the template writes it.
    pub ty: String,
    /// What it is for.
    pub description: String,
    /// What is said of values that are not accepted.
    pub rules: Vec<String>,
    /// Whether its value must not be shown.
    pub sensitive: bool,
    /// The text of its default; `None` if it has none. Empty where it is sensitive.
    pub default: Option<String>,
    /// Where its value comes from when nothing is typed.
    pub from: ValueSource,
    /// The text of the value it has when nothing is typed. Empty where it is sensitive.
    pub text: String,
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A number.
    Number,
    /// Yes or no.
    Bool,
    /// One of these.
    Choice(Vec<String>),
    /// An expression: a list, a map, an object.
    Expression,
}

/// Where a variable's value comes from, the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// Typed into the form.
    Typed,
    /// An option `-var`.
    CommandLine,
    /// A variable file.
    File(String),
    /// `PKR_VAR_name`.
    Environment,
    /// The template's default.
    Default,
    /// There is no value.
    Missing,
}

impl ValueSource {
    /// What it is called.
    pub fn text(&self) -> String {
        match self {
            Self::Typed => "typed here".to_owned(),
            Self::CommandLine => "command line".to_owned(),
            Self::File(name) => name.clone(),
            Self::Environment => "environment".to_owned(),
            Self::Default => "default".to_owned(),
            Self::Missing => "no value yet".to_owned(),
        }
    }
}

impl Field {
    /// Whether a value must be given.
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    fn new(variable: &Variable, sources: &SourceMap) -> Self {
        let own = |value| if variable.sensitive { String::new() } else { literal::shown(value) };
        let ty = match (&variable.ty, &variable.default) {
            (Type::Dynamic, Some(default)) => default.ty(),
            (ty, _) => ty.clone(),
        };
        let kind = match (variable.choices(), &ty) {
            (Some(choices), _) if !variable.sensitive => FieldKind::Choice(choices),
            (_, Type::Bool) => FieldKind::Bool,
            (_, Type::Number) => FieldKind::Number,
            (_, Type::String | Type::Dynamic) => FieldKind::Text,
            _ => FieldKind::Expression,
        };
        Self {
            name: variable.name.clone(),
            kind,
            ty: ty.to_string(),
            description: variable.description.clone(),
            rules: variable.rules().map(str::to_owned).collect(),
            sensitive: variable.sensitive,
            default: variable.default.as_ref().map(own),
            from: source_of(variable, sources),
            text: own(&variable.value),
        }
    }
}

/// The fields of a template's variables, in the order of the template.
pub(super) fn fields(template: &Template, sources: &SourceMap) -> Vec<Field> {
    let mut variables: Vec<&Variable> = template.variables.values().collect();
    variables.sort_by_key(|variable| {
        let span = variable.span;
        (span.file, span.start)
    });
    variables.into_iter().map(|variable| Field::new(variable, sources)).collect()
}

/// Where the value that a variable has was given.
pub(super) fn source_of(variable: &Variable, sources: &SourceMap) -> ValueSource {
    let Some(given) = variable.given else {
        return if variable.default.is_some() { ValueSource::Default } else { ValueSource::Missing };
    };
    let name = sources.name(given.file);
    if name.starts_with("-var ") {
        ValueSource::CommandLine
    } else if name.strip_prefix("PKR_VAR_") == Some(variable.name.as_str()) {
        ValueSource::Environment
    } else {
        ValueSource::File(name.to_owned())
    }
}
