//! Go's `text/template`, as Packer runs it over almost every string of both template languages:
//! `{{ upper .Name | printf "%s-%d" 3 }}`.
//!
//! The whole language is here: pipelines, variables, `if`, `range`, `with`, templates within templates, Go's functions
//! and its formats. Errors know their parts, and can say what Go would say of them. Of what is hostile nothing takes
//! long, much memory or much of the stack.

mod builtin;
mod error;
mod execute;
mod float;
mod lex;
mod node;
mod number;
mod parse;
mod printf;
mod quote;
#[cfg(test)]
mod tests;
mod value;

pub mod engine;
pub mod time_layout;

pub use error::{Error, ErrorKind, Failure};
pub use execute::{Functions, Options, Rendered, Signature, Type};
pub(crate) use quote::{is_print, quote as quoted};
pub use value::{Struct, Value};

/// A template that can be run.
#[derive(Clone, Debug)]
pub struct Program(parse::Trees);

impl Program {
    /// Parses a text. `has_function` tells which functions there are beside Go's own.
    pub fn parse(name: &str, text: &str, has_function: &dyn Fn(&str) -> bool) -> Result<Self, Box<Error>> {
        let known = |name: &str| has_function(name) || builtin::signature(name).is_some();
        parse::parse(name, text, &known).map(Self)
    }

    /// Runs it; `.` is `data`.
    pub fn render(&self, data: &Value, functions: &dyn Functions, options: Options) -> Result<Rendered, Box<Error>> {
        execute::execute(&self.0, data, functions, options)
    }

    /// Calls `found` with the words of each command: what is called, and what it is given. Of a text among them the
    /// text, of anything else nothing. The text that a command is handed by the one before is its last word.
    pub fn commands(&self, found: &mut dyn FnMut(&[Option<&str>])) {
        self.0.commands(found);
    }
}
