//! The functions templates can call: Packer's names, parameters and results.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::convert::convert;
use super::eval::Work;
use super::value::{Kind, Number, Type, Value};
use crate::template::files::FileLoader;
use crate::template::remote::Answers;

mod collection;
mod csv;
mod date;
mod encoding;
mod filesystem;
mod format;
mod hash;
mod network;
mod numeric;
mod parameter;
mod regex;
mod remote;
mod reorder;
mod set;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

pub use parameter::{Parameter, Ty};
use parameter::{any, list, number, text};

/// Most elements or bytes a function may give.
const MAX_RESULT: usize = 16 << 20;

/// Which functions can be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Allowed<'a> {
    /// All, but for `env`.
    #[default]
    All,
    /// All but those that would read a file as a template again, and `env`: within such a file.
    InFile,
    /// `env` alone, with the environment it reads: in defaults of variables.
    Env(&'a BTreeMap<String, String>),
    /// None: in files of variables.
    Nothing,
}

/// What functions can use.
#[derive(Clone, Copy, Debug)]
pub struct FunctionEnv<'a> {
    /// The files of the host.
    pub files: &'a dyn FileLoader,
    /// Relative paths start here.
    pub cwd: &'a Path,
    /// Start of the run.
    pub now: Timestamp,
    /// Which functions there are.
    pub allowed: Allowed<'a>,
    /// What servers answer; `None` where nobody is asked.
    pub answers: Option<&'a Answers>,
}

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An argument is wrong: which one, counted from 0, and why.
    Argument(usize, String),
    /// The call as a whole.
    Call(String),
}

impl Failure {
    /// What is said of it.
    pub fn message(&self) -> &str {
        match self {
            Self::Argument(_, message) | Self::Call(message) => message,
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Call(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Call(message.to_owned())
    }
}

/// What a call gives.
type Outcome = Result<Value, Failure>;

/// The type a function gives.
#[derive(Clone, Copy, Debug)]
enum Returns {
    Is(Ty),
    /// By the arguments, which may not be known yet.
    Of(fn(&[Value]) -> Result<Type, Failure>),
}

/// A function.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    parameters: &'static [Parameter],
    /// What all further arguments are.
    rest: Option<Parameter>,
    returns: Returns,
    call: fn(&Call<'_>) -> Outcome,
}

const fn function(
    name: &'static str,
    parameters: &'static [Parameter],
    returns: Returns,
    call: fn(&Call<'_>) -> Outcome,
) -> Function {
    Function { name, parameters, rest: None, returns, call }
}

const fn variadic(
    name: &'static str,
    parameters: &'static [Parameter],
    rest: Parameter,
    returns: Returns,
    call: fn(&Call<'_>) -> Outcome,
) -> Function {
    Function { name, parameters, rest: Some(rest), returns, call }
}

const STRING: Returns = Returns::Is(Ty::String);
const NUMBER: Returns = Returns::Is(Ty::Number);
const BOOL: Returns = Returns::Is(Ty::Bool);
const STRINGS: Returns = Returns::Is(Ty::List(&Ty::String));

/// Why there is no function of a name, or how it can be called.
#[derive(Debug)]
pub enum Found {
    /// This one.
    Function(&'static Function),
    /// There is none; what to do instead.
    Hint(&'static str),
    /// There is none.
    Nothing,
}

/// The function of this name.
pub fn find(name: &str, allowed: Allowed<'_>) -> Found {
    match allowed {
        Allowed::Nothing => return Found::Hint("no function can be called here"),
        Allowed::Env(_) if name != "env" => {
            return Found::Hint("`env` is the only function in the default of a variable; use a local");
        }
        _ => {}
    }
    let function = tables().into_iter().flatten().find(|function| function.name == name);
    let Some(function) = function else {
        return replacement(name).map_or(Found::Nothing, Found::Hint);
    };
    match (allowed, name) {
        (Allowed::All | Allowed::InFile, "env") => {
            Found::Hint("it can only be used in the default of a variable: declare one, and use that")
        }
        (Allowed::InFile, "templatefile") => Found::Hint("a file that it renders cannot call it again"),
        _ => Found::Function(function),
    }
}

/// What to call in place of functions that others than Packer have.
fn replacement(name: &str) -> Option<&'static str> {
    Some(match name {
        "tostring" => "write convert(x, string)",
        "tonumber" => "write convert(x, number)",
        "tobool" => "write convert(x, bool)",
        "tolist" => "write convert(x, list(any))",
        "toset" => "write convert(x, set(any))",
        "tomap" => "write convert(x, map(any))",
        "isotime" => "write formatdate(\"YYYY-MM-DD\", timestamp()), or legacy_isotime(\"2006-01-02\")",
        "strftime" => "write formatdate(\"YYYY-MM-DD\", timestamp()), or legacy_strftime(\"%Y-%m-%d\")",
        _ => return None,
    })
}

/// Names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    tables().into_iter().flatten().map(|function| function.name).chain(["try", "can", "convert"])
}

fn tables() -> [&'static [Function]; 15] {
    [
        text::FUNCTIONS,
        regex::FUNCTIONS,
        format::FUNCTIONS,
        collection::FUNCTIONS,
        reorder::FUNCTIONS,
        set::FUNCTIONS,
        numeric::FUNCTIONS,
        encoding::FUNCTIONS,
        csv::FUNCTIONS,
        yaml::FUNCTIONS,
        hash::FUNCTIONS,
        filesystem::FUNCTIONS,
        network::FUNCTIONS,
        date::FUNCTIONS,
        remote::FUNCTIONS,
    ]
}

impl Function {
    /// Calls it, as cty does: arguments are converted to the types of the parameters; null and what is not known yet
    /// reach only functions that can do with it; marks are taken off and put on the result.
    pub fn call(&self, values: Vec<Value>, env: &FunctionEnv<'_>, work: &Work) -> Outcome {
        self.check_count(values.len())?;
        let mut sensitive = false;
        let mut arguments = Vec::with_capacity(values.len());
        for (index, value) in values.into_iter().enumerate() {
            let parameter = self.parameter(index).ok_or("too many arguments")?;
            let wrong = |message: String| Failure::Argument(index, message);
            let value = convert(&value, &parameter.ty.to_type())
                .map_err(|error| wrong(format!("`{}`: {error}", parameter.name)))?;
            if value.is_null() && !parameter.null {
                return Err(wrong(format!("`{}` must not be null", parameter.name)));
            }
            let value = if parameter.parts {
                sensitive |= value.is_sensitive();
                value.unmark()
            } else {
                sensitive |= value.contains_sensitive();
                value.unmark_deep()
            };
            arguments.push(value);
        }
        let result = self.call_unmarked(arguments, env, work)?;
        Ok(result.mark(sensitive))
    }

    fn call_unmarked(&self, arguments: Vec<Value>, env: &FunctionEnv<'_>, work: &Work) -> Outcome {
        // Of an open object, not even the names of the attributes are known.
        let is_open = |value: &Value| matches!(value.kind(), Kind::Object(entries) if entries.is_open());
        let not_known = |(index, value): (usize, &Value)| {
            let in_parts = self.parameter(index).is_some_and(|parameter| parameter.unknown);
            value.is_unknown() || is_open(value) || !in_parts && !value.is_wholly_known()
        };
        if !arguments.iter().enumerate().any(not_known) {
            return (self.call)(&Call { function: self, values: arguments, env, work });
        }
        let untyped = |value: &Value| *value.kind() == Kind::Unknown(Type::Dynamic) || is_open(value);
        let ty = match self.returns {
            Returns::Is(ty) => ty.to_type(),
            Returns::Of(_) if arguments.iter().any(untyped) => Type::Dynamic,
            Returns::Of(returns) => returns(&arguments)?,
        };
        Ok(Value::unknown(ty))
    }

    /// How much work a call is beyond that of walking through its arguments and its result.
    pub fn effort(&self, values: &[Value]) -> usize {
        match self.name {
            "bcrypt" => hash::bcrypt_effort(values.get(1).and_then(Value::as_i64)),
            "rsadecrypt" => remote::rsa_effort(values.get(1).and_then(Value::as_str)),
            _ => 0,
        }
    }

    fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or(self.rest.as_ref())
    }

    fn check_count(&self, count: usize) -> Result<(), Failure> {
        let wanted = self.parameters.len();
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        match self.parameters.get(count) {
            Some(missing) => {
                let least = if self.rest.is_some() { "at least " } else { "" };
                let message = format!("it takes {least}{wanted} {}, and `{}` is missing", plural(wanted), missing.name);
                Err(Failure::Call(message))
            }
            None if count > wanted && self.rest.is_none() => {
                Err(Failure::Argument(wanted, format!("it takes only {wanted} {}", plural(wanted))))
            }
            None => Ok(()),
        }
    }
}

/// A call: arguments of the types of the parameters, without marks.
struct Call<'a> {
    function: &'a Function,
    values: Vec<Value>,
    env: &'a FunctionEnv<'a>,
    work: &'a Work,
}

impl Call<'_> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&self, index: usize) -> &Value {
        &self.values[index]
    }

    fn text(&self, index: usize) -> &str {
        self.values[index].as_str().unwrap_or_default()
    }

    fn number(&self, index: usize) -> Number {
        self.values[index].as_number().cloned().unwrap_or_else(|| Number::from(0))
    }

    fn int(&self, index: usize) -> Result<i64, Failure> {
        self.values[index].as_i64().ok_or_else(|| self.wrong(index, "a whole number of 64 bits is required"))
    }

    fn size(&self, index: usize) -> Result<usize, Failure> {
        usize::try_from(self.int(index)?).map_err(|_| self.wrong(index, "it must not be negative"))
    }

    fn elements(&self, index: usize) -> Result<&[Value], Failure> {
        self.values[index].elements().ok_or_else(|| self.found(index, "a list"))
    }

    /// The texts of a list of strings.
    fn texts(&self, index: usize) -> Result<Vec<&str>, Failure> {
        let elements = self.elements(index)?.iter().enumerate();
        let texts = elements.map(|(at, element)| {
            element.as_str().ok_or_else(|| self.wrong(index, format!("element {at} must not be null")))
        });
        texts.collect()
    }

    fn entries(&self, index: usize) -> Result<&BTreeMap<String, Value>, Failure> {
        self.values[index].entries().ok_or_else(|| self.found(index, "a map or an object"))
    }

    fn wrong(&self, index: usize, message: impl AsRef<str>) -> Failure {
        let name = self.function.parameter(index).map_or("argument", |parameter| parameter.name);
        Failure::Argument(index, format!("`{name}`: {}", message.as_ref()))
    }

    fn found(&self, index: usize, expected: &str) -> Failure {
        self.wrong(index, format!("{expected} is required, found {}", self.values[index].describe()))
    }
}

/// Text, unless there is too much of it.
fn bounded(text: String) -> Outcome {
    if text.len() > MAX_RESULT { Err(TOO_LARGE.into()) } else { Ok(text.into()) }
}

const TOO_LARGE: &str = "the result is too large";

fn count(length: usize) -> Value {
    Value::number(length)
}
