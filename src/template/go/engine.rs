//! Packer's template engine: Go's templates with Packer's functions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::template::remote::Answers;

use super::{Error, ErrorKind, Failure, Options, Program, Struct, Value, builtin};

mod functions;
#[cfg(test)]
mod tests;

pub use super::Rendered;
pub use functions::FunctionSet;

/// Most bytes a template may render to.
const MAX_OUTPUT: usize = 16 << 20;
/// What Packer calls all its templates.
const NAME: &str = "root";

/// What a template can use.
#[derive(Clone, Debug, Default)]
pub struct InterpolateContext {
    /// Name of the source: `build_name`.
    pub build_name: Option<String>,
    /// Type of the builder: `build_type`.
    pub build_type: Option<String>,
    /// Directory of the template: `template_dir`.
    pub template_dir: String,
    /// Directory the program runs in: `pwd`.
    pub cwd: String,
    /// Version that templates are told: `packer_version`.
    pub packer_version: String,
    /// Start of the run: `isotime`, `strftime`, `timestamp`.
    pub now: Timestamp,
    /// Variables of a legacy template: `user`; `None` in HCL2, which has none. One that is not there is empty, as in
    /// Packer.
    pub user: Option<BTreeMap<String, String>>,
    /// Environment `env` reads; `None` where it may not be used, which is everywhere but in values of variables. In
    /// these, `user` fails if there is no such variable, and fields stay as they are.
    pub env: Option<BTreeMap<String, String>>,
    /// Fields: `.Path`. Where there are none, any field is `<no value>`, as in Packer.
    pub data: BTreeMap<String, String>,
    /// What servers answer, to values of variables.
    pub answers: Answers,
    /// What `build` gives.
    pub build: BuildValues,
    /// The functions there are beside those of every template.
    pub functions: FunctionSet,
}

/// What the connection and builder will have told when a component runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BuildValues {
    /// Not known yet: the template is being validated.
    #[default]
    NotKnownYet,
    /// Known: `ID`, `Host`, ….
    Known(BTreeMap<String, String>),
}

/// Why a template cannot be rendered.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct InterpolateError(Box<Error>);

impl From<Box<Error>> for InterpolateError {
    fn from(error: Box<Error>) -> Self {
        Self(error)
    }
}

impl InterpolateError {
    /// The error, with its parts.
    pub fn error(&self) -> &Error {
        &self.0
    }

    /// Whether the text is no template at all.
    pub fn is_syntax(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Syntax(_))
    }

    /// Whether a user variable is missing.
    pub fn is_no_variable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Call { failure: Failure::NoVariable(_), .. })
    }

    /// Whether what is asked for is known only when the build runs.
    pub fn is_not_known_yet(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Call { failure: Failure::NotKnownYet(_), .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        const KEEP: &str = "to keep the braces, write {{`{{`}}";
        match &self.0.kind {
            ErrorKind::UnknownField { known, .. } if !known.is_empty() => {
                format!("fields here are: .{}", known.join(", ."))
            }
            ErrorKind::UnknownField { .. } => KEEP.to_owned(),
            ErrorKind::UnknownFunction(name) => {
                match crate::template::diagnostic::did_you_mean(name, function_names()) {
                    Some(near) if near != name => format!("did you mean `{near}`?"),
                    Some(_) => "components for other platforms have this function; this one does not".to_owned(),
                    None => KEEP.to_owned(),
                }
            }
            ErrorKind::Call { function, failure } => match function.as_str() {
                "vault" | "consul_key" | "aws_secretsmanager" | "aws_secretsmanager_raw" => match failure {
                    Failure::Message(words) if words.ends_with(functions::NOT_HERE) => {
                        "it is for values of variables: other places take {{user `NAME`}}".to_owned()
                    }
                    _ => "or give the value by other ways: -var, a -var-file, {{env `NAME`}}".to_owned(),
                },
                "sed" => "use replace or replace_all".to_owned(),
                _ => GO_TEMPLATE.to_owned(),
            },
            _ => GO_TEMPLATE.to_owned(),
        }
    }
}

const GO_TEMPLATE: &str = "this is a Go template: {{ function argument }} or {{ .Field }}";

impl InterpolateContext {
    /// Whether the template is a legacy one, in JSON.
    pub fn is_legacy(&self) -> bool {
        self.user.is_some()
    }
}

/// Renders a template.
pub fn render(text: &str, context: &InterpolateContext) -> Result<String, InterpolateError> {
    render_noting(text, context).map(|rendered| rendered.text)
}

/// Renders a template, and tells which fields had no value.
pub fn render_noting(text: &str, context: &InterpolateContext) -> Result<Rendered, InterpolateError> {
    if !is_template(text) {
        return Ok(Rendered { text: text.to_owned(), missing: BTreeSet::new() });
    }
    let program = Program::parse(NAME, text, &|name| context.functions.has(name))?;
    let data = if context.data.is_empty() {
        Value::Nil
    } else {
        let fields = context.data.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        Value::Struct(Arc::new(Struct { type_name: "struct".to_owned(), fields }))
    };
    let options = Options { limit: MAX_OUTPUT, keeps_fields: context.env.is_some().then_some(("{{", "}}")) };
    Ok(program.render(&data, context, options)?)
}

/// Names of the user variables a template uses; none if it is not a template.
pub fn user_references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if !is_template(text) {
        return found;
    }
    // Which functions there are does not matter here.
    if let Ok(program) = Program::parse(NAME, text, &|_| true) {
        program.commands(&mut |words| {
            if let [Some("user"), Some(name)] = words {
                found.insert((*name).to_owned());
            }
        });
    }
    found
}

/// Names of all functions: Packer's and Go's.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    functions::names().chain(builtin::names())
}

/// Whether a text holds template actions.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}
