//! The subset of Go's `text/template` that templates use: `{{ upper .Name | printf "%s-%d" 3 }}`.
//!
//! Packer runs it over almost every string of both template languages, with functions of its own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

mod execute;
mod format;
mod functions;
mod parse;
mod references;
#[cfg(test)]
mod tests;
pub mod time_layout;

/// Most bytes a template may render to.
const MAX_OUTPUT: usize = 16 << 20;

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
    /// Fields: `.Path`.
    pub data: BTreeMap<String, String>,
    /// What `build` gives.
    pub build: BuildValues,
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
pub enum InterpolateError {
    /// It is not a template: an action is not closed, a word is missing.
    #[error("{message}, at character {at}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Characters before the place.
        at: usize,
    },
    /// There is no such field here.
    #[error("there is no field `.{name}` here")]
    UnknownField {
        /// The field.
        name: String,
        /// Fields there are.
        known: Vec<String>,
    },
    /// There is no such function.
    #[error("there is no function `{name}`")]
    UnknownFunction {
        /// The function.
        name: String,
    },
    /// There is no such variable, or it has no value yet.
    #[error("there is no user variable `{name}`")]
    NoVariable {
        /// The variable.
        name: String,
    },
    /// The value is known only when the build runs.
    #[error("`{name}` is known only when the build runs")]
    NotKnownYet {
        /// The value.
        name: String,
    },
    /// A function cannot do what it was asked.
    #[error("{function}: {message}")]
    Function {
        /// The function.
        function: String,
        /// Why it cannot.
        message: String,
    },
    /// The text would be too large, or the template nests too deep.
    #[error("the template is too large")]
    TooLarge,
}

impl InterpolateError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnknownField { known, .. } if !known.is_empty() => format!("fields here are: .{}", known.join(", .")),
            Self::UnknownField { .. } => "to keep the braces, write {{`{{`}}".to_owned(),
            Self::UnknownFunction { name } => super::super::diagnostic::did_you_mean(name, functions::names())
                .map_or_else(
                    || "to keep the braces, write {{`{{`}}".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                ),
            Self::Function { function, .. } => match function.as_str() {
                "vault" | "consul_key" | "aws_secretsmanager" | "aws_secretsmanager_raw" => {
                    "read the value before, and give it as a variable: -var, a -var-file, or {{env `NAME`}}".to_owned()
                }
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
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    execute::execute(&parse::parse(text)?, context, MAX_OUTPUT)
}

/// Names of the user variables a template uses; none if it is not a template.
pub fn user_references(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if text.contains("{{") {
        for node in parse::parse(text).unwrap_or_default() {
            references::in_node(&node, &mut found);
        }
    }
    found
}

/// Whether a text holds template actions.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}
