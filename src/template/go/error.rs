//! What is wrong with a template, in parts: for Go's exact words, and for our own.

use std::fmt;

use super::quote::quote;

/// Longest part of a template that our own words for an error name.
const MAX_NODE: usize = 200;

/// Why a template cannot be parsed or rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// What the template is called.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// What is known only when the template runs.
    pub(super) running: Option<Running>,
    /// Characters before what is wrong.
    pub at: usize,
}

/// Where a template that ran went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Running {
    /// Bytes before the place on its line.
    pub(super) column: usize,
    /// The template that ran, which may be one defined in another.
    pub(super) template: String,
    /// The part that was at work, as Go writes it.
    pub(super) node: String,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no template. In Go's words.
    Syntax(String),
    /// There is no such function.
    UnknownFunction(String),
    /// There is no such field in a value that knows its fields.
    UnknownField {
        /// The field.
        field: String,
        /// What the value is, in Go's words.
        of: String,
        /// Fields there are.
        known: Vec<String>,
    },
    /// A function cannot do what it was asked.
    Call {
        /// The function.
        function: String,
        /// Why it cannot.
        failure: Failure,
    },
    /// Anything else, in Go's words.
    Other(String),
    /// It would take too long, or make too much.
    TooLarge,
}

/// Why a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// For a reason that it gives.
    Message(String),
    /// There is no such user variable, or it has no value yet.
    NoVariable(String),
    /// What it gives is known only when the build runs.
    NotKnownYet(String),
}

impl<T: Into<String>> From<T> for Failure {
    fn from(message: T) -> Self {
        Self::Message(message.into())
    }
}

impl Error {
    /// The error as Go's `text/template` says it.
    pub fn go_text(&self) -> String {
        let Self { name, line, .. } = self;
        let message = self.go_message();
        match &self.running {
            None => format!("template: {name}:{line}: {message}"),
            Some(Running { column, template, node }) => {
                format!("template: {name}:{line}:{column}: executing {} at <{node}>: {message}", quote(template))
            }
        }
    }

    fn go_message(&self) -> String {
        match &self.kind {
            ErrorKind::Syntax(message) | ErrorKind::Other(message) => message.clone(),
            ErrorKind::UnknownFunction(name) => format!("function {} not defined", quote(name)),
            ErrorKind::UnknownField { field, of, .. } => format!("can't evaluate field {field} in type {of}"),
            ErrorKind::Call { function, failure } => format!("error calling {function}: {failure}"),
            ErrorKind::TooLarge => "the template is too large".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => f.write_str(message),
            Self::NoVariable(name) => write!(f, "there is no user variable `{name}`"),
            Self::NotKnownYet(name) => write!(f, "`{name}` is known only when the build runs"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Syntax(message) => write!(f, "{message}, at character {}", self.at),
            ErrorKind::UnknownFunction(name) => write!(f, "there is no function `{name}`"),
            ErrorKind::UnknownField { field, .. } => write!(f, "there is no field `.{field}` here"),
            ErrorKind::Call { failure: failure @ (Failure::NoVariable(_) | Failure::NotKnownYet(_)), .. } => {
                failure.fmt(f)
            }
            ErrorKind::Call { function, failure } => write!(f, "{function}: {failure}"),
            ErrorKind::Other(message) => match &self.running {
                Some(running) if running.node.len() > MAX_NODE => f.write_str(message),
                Some(running) => write!(f, "{}: {message}", running.node),
                None => f.write_str(message),
            },
            ErrorKind::TooLarge => f.write_str("the template is too large"),
        }
    }
}

impl std::error::Error for Error {}
