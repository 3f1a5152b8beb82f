//! Go's predeclared functions and Packer's own.

use uuid::Uuid;

use super::execute::Go;
use super::{BuildValues, InterpolateContext, InterpolateError, format, time_layout};

const NAMES: &[&str] = &[
    "build_name",
    "build_type",
    "build",
    "env",
    "isotime",
    "strftime",
    "timestamp",
    "pwd",
    "split",
    "template_dir",
    "uuid",
    "user",
    "packer_version",
    "replace",
    "replace_all",
    "upper",
    "lower",
    "clean_resource_name",
    "printf",
    "print",
    "println",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "and",
    "or",
    "not",
    "len",
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied()
}

pub(super) fn call(name: &str, arguments: &[Go], context: &InterpolateContext) -> Result<Go, InterpolateError> {
    let call = Call { name, arguments };
    match name {
        "build_name" => context.build_name.clone().map(Go::Text).ok_or_else(|| call.fail("there is no build here")),
        "build_type" => context.build_type.clone().map(Go::Text).ok_or_else(|| call.fail("there is no build here")),
        "template_dir" => Ok(Go::Text(context.template_dir.clone())),
        "pwd" => Ok(Go::Text(context.cwd.clone())),
        "packer_version" => Ok(Go::Text(context.packer_version.clone())),
        "timestamp" => Ok(Go::Text(context.now.as_second().to_string())),
        "uuid" => Ok(Go::Text(Uuid::new_v4().to_string())),
        "isotime" => match arguments {
            [] => Ok(Go::Text(time_layout::format("2006-01-02T15:04:05Z07:00", context.now))),
            _ => Ok(Go::Text(time_layout::format(call.text(0)?, context.now))),
        },
        "strftime" => time_layout::strftime(call.text(0)?, context.now).map(Go::Text).map_err(|error| call.fail(error)),
        "build" => build(&call, context),
        "env" => match &context.env {
            Some(env) => Ok(Go::Text(env.get(call.text(0)?).cloned().unwrap_or_default())),
            None => Err(call.fail("may only be used in the default of a variable")),
        },
        "user" => user(&call, context),
        "upper" => Ok(Go::Text(call.text(0)?.to_uppercase())),
        "lower" => Ok(Go::Text(call.text(0)?.to_lowercase())),
        "clean_resource_name" | "clean_ami_name" | "clean_image_name" => Ok(Go::Text(clean(call.text(0)?))),
        "replace" => replace(&call),
        "replace_all" => {
            call.exactly(3)?;
            limited(&call, call.text(2)?, call.text(0)?, call.text(1)?, usize::MAX)
        }
        "split" => split(&call),
        "printf" => call.fits().and_then(|()| {
            Ok(Go::Text(format::sprintf(call.text(0)?, &arguments[1..]).map_err(|error| call.fail(error))?))
        }),
        "print" => print(&call).map(Go::Text),
        "println" => {
            call.fits().map(|()| Go::Text(arguments.iter().map(Go::text).collect::<Vec<_>>().join(" ") + "\n"))
        }
        "vault" | "consul_key" | "aws_secretsmanager" | "aws_secretsmanager_raw" => {
            Err(call.fail("Larder does not read secrets from other programs"))
        }
        "sed" => Err(call.fail("this function is no more")),
        _ => logic(&call),
    }
}

fn logic(call: &Call<'_>) -> Result<Go, InterpolateError> {
    let arguments = call.arguments;
    match call.name {
        "not" => Ok(Go::Bool(!call.get(0)?.is_true())),
        "and" => Ok(arguments.iter().find(|value| !value.is_true()).or(arguments.last()).cloned().unwrap_or(Go::Nil)),
        "or" => Ok(arguments.iter().find(|value| value.is_true()).or(arguments.last()).cloned().unwrap_or(Go::Nil)),
        "len" => match call.get(0)? {
            Go::Text(text) => Ok(Go::Int(i64::try_from(text.len()).unwrap_or(i64::MAX))),
            _ => Err(call.fail("needs a string")),
        },
        "eq" => {
            let first = call.get(0)?;
            call.get(1)?;
            Ok(Go::Bool(arguments[1..].iter().any(|other| other == first)))
        }
        "ne" => Ok(Go::Bool(call.get(0)? != call.get(1)?)),
        "lt" | "le" | "gt" | "ge" => compare(call),
        name => Err(InterpolateError::UnknownFunction { name: name.to_owned() }),
    }
}

fn compare(call: &Call<'_>) -> Result<Go, InterpolateError> {
    let order = match (call.get(0)?, call.get(1)?) {
        (Go::Int(left), Go::Int(right)) => Some(left.cmp(right)),
        (Go::Float(left), Go::Float(right)) => left.partial_cmp(right),
        (Go::Text(left), Go::Text(right)) => Some(left.cmp(right)),
        _ => None,
    };
    let order = order.ok_or_else(|| call.fail("the values cannot be compared"))?;
    Ok(Go::Bool(match call.name {
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        "gt" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn user(call: &Call<'_>, context: &InterpolateContext) -> Result<Go, InterpolateError> {
    let name = call.text(0)?;
    let Some(user) = &context.user else {
        return Err(call.fail(format!("HCL2 has no user variables; write ${{var.{name}}}")));
    };
    match user.get(name) {
        Some(value) => Ok(Go::Text(value.clone())),
        None if context.env.is_some() => Err(InterpolateError::NoVariable { name: name.to_owned() }),
        None => Ok(Go::Text(String::new())),
    }
}

fn build(call: &Call<'_>, context: &InterpolateContext) -> Result<Go, InterpolateError> {
    let name = call.text(0)?;
    match &context.build {
        BuildValues::NotKnownYet => Err(InterpolateError::NotKnownYet { name: format!("build `{name}`") }),
        BuildValues::Known(values) => match values.get(name) {
            Some(value) => Ok(Go::Text(value.clone())),
            None => Err(call.fail(format!("this builder gives no `{name}`"))),
        },
    }
}

/// `replace old new n text`
fn replace(call: &Call<'_>) -> Result<Go, InterpolateError> {
    call.exactly(4)?;
    let count = match call.get(2)? {
        Go::Int(count) => usize::try_from(*count).unwrap_or(usize::MAX),
        _ => return Err(call.fail("needs a number as its third argument")),
    };
    limited(call, call.text(3)?, call.text(0)?, call.text(1)?, count)
}

fn limited(call: &Call<'_>, text: &str, old: &str, new: &str, count: usize) -> Result<Go, InterpolateError> {
    let matches = text.matches(old).take(count).count();
    if matches.saturating_mul(new.len()).saturating_add(text.len()) > super::MAX_OUTPUT {
        return Err(call.fail("the result is too large"));
    }
    Ok(Go::Text(text.replacen(old, new, count)))
}

/// `split text separator index`
fn split(call: &Call<'_>) -> Result<Go, InterpolateError> {
    call.exactly(3)?;
    let Go::Int(index) = call.get(2)? else {
        return Err(call.fail("needs a number as its third argument"));
    };
    let mut parts = call.text(0)?.split(call.text(1)?);
    let part = usize::try_from(*index).ok().and_then(|index| parts.nth(index));
    part.map(|part| Go::Text(part.to_owned())).ok_or_else(|| call.fail("the index is out of range"))
}

/// A name clouds accept: letters, digits, `-`, everything else replaced by `-`.
fn clean(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
    text.chars().map(keep).collect()
}

/// Go's `Sprint`: a space between operands when neither is a string.
fn print(call: &Call<'_>) -> Result<String, InterpolateError> {
    call.fits()?;
    let arguments = call.arguments;
    let mut text = String::new();
    for (index, value) in arguments.iter().enumerate() {
        let is_text = |value: &Go| matches!(value, Go::Text(_));
        if index > 0 && !is_text(value) && !is_text(&arguments[index - 1]) {
            text.push(' ');
        }
        text.push_str(&value.text());
    }
    Ok(text)
}

struct Call<'a> {
    name: &'a str,
    arguments: &'a [Go],
}

impl<'a> Call<'a> {
    fn get(&self, index: usize) -> Result<&'a Go, InterpolateError> {
        self.arguments.get(index).ok_or_else(|| self.fail("too few arguments"))
    }

    fn text(&self, index: usize) -> Result<&'a str, InterpolateError> {
        match self.get(index)? {
            Go::Text(text) => Ok(text),
            _ => Err(self.fail(format!("argument {} must be a string", index + 1))),
        }
    }

    /// Refuses to put together what is too large: `with` over `print` of the dot a few times is exponential.
    fn fits(&self) -> Result<(), InterpolateError> {
        let text = |value: &Go| if let Go::Text(text) = value { text.len() } else { 0 };
        let total = self.arguments.iter().map(text).fold(0, usize::saturating_add);
        if total > super::MAX_OUTPUT { Err(self.fail("the result is too large")) } else { Ok(()) }
    }

    fn exactly(&self, count: usize) -> Result<(), InterpolateError> {
        if self.arguments.len() == count {
            return Ok(());
        }
        Err(self.fail(format!("needs {count} arguments, got {}", self.arguments.len())))
    }

    fn fail(&self, message: impl Into<String>) -> InterpolateError {
        InterpolateError::Function { function: self.name.to_owned(), message: message.into() }
    }
}
