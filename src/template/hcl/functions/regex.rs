//! Regular expressions: Go's syntax, matched by this program's engine.

use regex::{Captures, Regex, RegexBuilder};

use super::{Call, Failure, Function, MAX_RESULT, Outcome, Returns, STRING, TOO_LARGE, Type, Value};
use super::{function, text};

mod translate;

pub(super) const FUNCTIONS: &[Function] = &[
    function("regex", &[text("pattern"), text("string")], Returns::Of(match_type), |c| {
        let regex = compile(c, 0)?;
        let captures = regex.captures(c.text(1)).ok_or_else(|| c.wrong(1, "the pattern does not match"))?;
        Ok(captured(&regex, &captures))
    }),
    function(
        "regexall",
        &[text("pattern"), text("string")],
        Returns::Of(|values| match_type(values).map(Type::list)),
        |c| {
            let regex = compile(c, 0)?;
            let mut found = Vec::new();
            for captures in regex.captures_iter(c.text(1)) {
                found.push(captured(&regex, &captures));
                if found.len() > MAX_RESULT / 64 {
                    return Err(TOO_LARGE.into());
                }
            }
            Ok(Value::list(result_type(&regex), found))
        },
    ),
    function("regex_replace", &[text("str"), text("substr"), text("replace")], STRING, replace),
];

fn build(pattern: &str) -> Result<Regex, String> {
    let translated = translate::translate(pattern)?;
    let regex = RegexBuilder::new(&translated).size_limit(1 << 20).build();
    regex.map_err(|error| {
        let last = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("the pattern is not a regular expression: {last}")
    })
}

fn compile(c: &Call<'_>, index: usize) -> Result<Regex, Failure> {
    build(c.text(index)).map_err(|error| c.wrong(index, error))
}

/// `$1`, `${name}` and `$$` in the replacement are as in Go.
fn replace(c: &Call<'_>) -> Outcome {
    let regex = compile(c, 1)?;
    let (text, mut result, mut last) = (c.text(0), String::new(), 0);
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        result.push_str(&text[last..whole.start()]);
        captures.expand(c.text(2), &mut result);
        last = whole.end();
        if result.len() > MAX_RESULT {
            return Err(TOO_LARGE.into());
        }
    }
    result.push_str(&text[last..]);
    Ok(result.into())
}

/// What a match gives is told by the pattern.
fn match_type(values: &[Value]) -> Result<Type, Failure> {
    match values[0].as_str() {
        Some(pattern) => build(pattern).map(|regex| result_type(&regex)).map_err(|error| Failure::Argument(0, error)),
        None => Ok(Type::Dynamic),
    }
}

/// Groups with a name, and where they are.
fn named(regex: &Regex) -> Vec<(usize, &str)> {
    regex.capture_names().enumerate().filter_map(|(index, name)| Some((index, name?))).collect()
}

/// A string if there are no groups, an object of the named groups, or else a tuple of all.
fn result_type(regex: &Regex) -> Type {
    let names = named(regex);
    match regex.captures_len() {
        1 => Type::String,
        groups if names.is_empty() => Type::tuple((1..groups).map(|_| Type::String)),
        _ => Type::object(names.into_iter().map(|(_, name)| (name.to_owned(), Type::String))),
    }
}

fn captured(regex: &Regex, captures: &Captures<'_>) -> Value {
    let group =
        |index: usize| captures.get(index).map_or_else(|| Value::null_of(Type::String), |found| found.as_str().into());
    let names = named(regex);
    match regex.captures_len() {
        1 => group(0),
        groups if names.is_empty() => Value::tuple((1..groups).map(group).collect()),
        _ => Value::object(names.into_iter().map(|(index, name)| (name.to_owned(), group(index))).collect()),
    }
}
