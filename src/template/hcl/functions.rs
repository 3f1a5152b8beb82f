//! The functions templates can call: Packer's names and results.

use std::collections::BTreeMap;
use std::path::Path;

use bigdecimal::BigDecimal;
use jiff::Timestamp;

use super::value::{Kind, Type, Value};
use crate::template::files::FileLoader;

mod collection;
mod encoding;
mod filesystem;
mod network;
mod numeric;
mod string;
#[cfg(test)]
mod tests;
mod time;

/// Most elements or bytes a function may give.
const MAX_RESULT: usize = 16 << 20;

/// What functions can use.
#[derive(Clone, Copy, Debug)]
pub struct FunctionEnv<'a> {
    /// The files of the host.
    pub files: &'a dyn FileLoader,
    /// Relative paths start here.
    pub cwd: &'a Path,
    /// Start of the run.
    pub now: Timestamp,
    /// Environment `env` reads; `None` where it may not be used, which is everywhere but in defaults of variables.
    pub env: Option<&'a BTreeMap<String, String>>,
    /// Whether a file is being rendered by `templatefile`, which may not call it again.
    pub in_template_file: bool,
}

type Outcome = Result<Value, String>;

/// A function.
#[derive(Debug)]
pub struct Function {
    name: &'static str,
    parameters: (usize, usize),
    /// Takes null, and collections with unknown parts.
    lenient: bool,
    call: fn(&Arguments<'_>) -> Outcome,
}

const ANY: usize = usize::MAX;

const fn strict(name: &'static str, min: usize, max: usize, call: fn(&Arguments<'_>) -> Outcome) -> Function {
    Function { name, parameters: (min, max), lenient: false, call }
}

const fn lenient(name: &'static str, min: usize, max: usize, call: fn(&Arguments<'_>) -> Outcome) -> Function {
    Function { name, parameters: (min, max), lenient: true, call }
}

/// The function of this name.
pub fn find(name: &str) -> Option<&'static Function> {
    tables().into_iter().flatten().find(|function| function.name == name)
}

/// Names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    tables().into_iter().flatten().map(|function| function.name).chain(["try", "can"])
}

fn tables() -> [&'static [Function]; 7] {
    [
        string::FUNCTIONS,
        collection::FUNCTIONS,
        numeric::FUNCTIONS,
        encoding::FUNCTIONS,
        filesystem::FUNCTIONS,
        network::FUNCTIONS,
        time::FUNCTIONS,
    ]
}

impl Function {
    /// Calls it. A sensitive argument makes the result sensitive, one that is not known makes it unknown.
    pub fn call(&self, values: Vec<Value>, env: &FunctionEnv<'_>) -> Outcome {
        let (min, max) = self.parameters;
        if values.len() < min || values.len() > max {
            let expected = match (min, max) {
                (min, ANY) => format!("at least {min}"),
                (min, max) if min == max => min.to_string(),
                (min, max) => format!("{min} to {max}"),
            };
            return Err(format!("it takes {expected} arguments, got {}", values.len()));
        }
        let sensitive = values.iter().any(Value::contains_sensitive);
        let known = |value: &Value| if self.lenient { !value.is_unknown() } else { value.is_wholly_known() };
        if !values.iter().all(known) {
            return Ok(Value::unknown(Type::Dynamic).mark(sensitive));
        }
        if let Some(index) = values.iter().position(Value::is_null).filter(|_| !self.lenient) {
            return Err(format!("argument {} must not be null", index + 1));
        }
        let values = values.into_iter().map(Value::unmark_deep).collect();
        let result = (self.call)(&Arguments { values, env })?;
        Ok(result.mark(sensitive))
    }
}

/// The arguments of a call, without marks.
struct Arguments<'a> {
    values: Vec<Value>,
    env: &'a FunctionEnv<'a>,
}

impl Arguments<'_> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&self, index: usize) -> &Value {
        &self.values[index]
    }

    fn text(&self, index: usize) -> Result<String, String> {
        self.values[index].scalar_text().ok_or_else(|| self.wrong(index, "a string"))
    }

    fn number(&self, index: usize) -> Result<BigDecimal, String> {
        let converted = super::convert::convert(&self.values[index], &Type::Number);
        match converted.map(Value::into_kind) {
            Ok(Kind::Number(number)) => Ok(number),
            _ => Err(self.wrong(index, "a number")),
        }
    }

    fn int(&self, index: usize) -> Result<i64, String> {
        Value::number(self.number(index)?).as_i64().ok_or_else(|| self.wrong(index, "a whole number"))
    }

    fn size(&self, index: usize) -> Result<usize, String> {
        usize::try_from(self.int(index)?).map_err(|_| self.wrong(index, "a whole number that is not negative"))
    }

    fn elements(&self, index: usize) -> Result<&[Value], String> {
        self.values[index].elements().ok_or_else(|| self.wrong(index, "a list"))
    }

    fn texts(&self, index: usize) -> Result<Vec<String>, String> {
        let elements = self.elements(index)?.iter().map(|element| {
            element.scalar_text().ok_or_else(|| format!("every element of argument {} must be a string", index + 1))
        });
        elements.collect()
    }

    fn entries(&self, index: usize) -> Result<&BTreeMap<String, Value>, String> {
        self.values[index].entries().ok_or_else(|| self.wrong(index, "a map"))
    }

    fn wrong(&self, index: usize, expected: &str) -> String {
        format!("argument {} must be {expected}, found {}", index + 1, self.values[index].describe())
    }
}

fn count(length: usize) -> Value {
    Value::number(u64::try_from(length).unwrap_or(u64::MAX))
}

/// A list if the elements are of one type, else a tuple.
fn list_of(elements: Vec<Value>) -> Value {
    let types: Vec<Type> = elements.iter().map(Value::ty).collect();
    match types.first() {
        Some(first) if types.iter().all(|ty| ty == first) => Value::list(first.clone(), elements),
        _ => Value::tuple(elements),
    }
}
