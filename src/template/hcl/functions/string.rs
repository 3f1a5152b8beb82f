//! Functions on strings.

use bigdecimal::ToPrimitive as _;
use regex::{Captures, Regex, RegexBuilder};

use super::{ANY, Arguments, Function, MAX_RESULT, Outcome, Value, count, lenient, strict};
use crate::template::hcl::value::{Kind, Type};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("upper", 1, 1, |a| Ok(a.text(0)?.to_uppercase().into())),
    strict("lower", 1, 1, |a| Ok(a.text(0)?.to_lowercase().into())),
    strict("title", 1, 1, |a| Ok(title(&a.text(0)?).into())),
    strict("chomp", 1, 1, |a| Ok(a.text(0)?.trim_end_matches(['\r', '\n']).into())),
    strict("trimspace", 1, 1, |a| Ok(a.text(0)?.trim().into())),
    strict("trim", 2, 2, |a| {
        let cut = a.text(1)?;
        Ok(a.text(0)?.trim_matches(|c| cut.contains(c)).into())
    }),
    strict("trimprefix", 2, 2, |a| {
        let (text, prefix) = (a.text(0)?, a.text(1)?);
        Ok(text.strip_prefix(&prefix).unwrap_or(&text).into())
    }),
    strict("trimsuffix", 2, 2, |a| {
        let (text, suffix) = (a.text(0)?, a.text(1)?);
        Ok(text.strip_suffix(&suffix).unwrap_or(&text).into())
    }),
    strict("startswith", 2, 2, |a| Ok(a.text(0)?.starts_with(&a.text(1)?).into())),
    strict("endswith", 2, 2, |a| Ok(a.text(0)?.ends_with(&a.text(1)?).into())),
    strict("strcontains", 2, 2, |a| Ok(a.text(0)?.contains(&a.text(1)?).into())),
    strict("strrev", 1, 1, |a| Ok(a.text(0)?.chars().rev().collect::<String>().into())),
    strict("substr", 3, 3, substr),
    strict("indent", 2, 2, indent),
    strict("join", 1, ANY, join),
    strict("split", 2, 2, split),
    strict("replace", 3, 3, replace),
    strict("regex", 2, 2, regex_first),
    strict("regexall", 2, 2, regex_all),
    strict("regex_replace", 3, 3, |a| {
        let regex = compile(&a.text(0)?).or_else(|_| compile(&a.text(1)?))?;
        bounded(regex.replace_all(&a.text(0)?, go_replacement(&a.text(2)?)).into_owned())
    }),
    lenient("format", 1, ANY, |a| format_text(&a.text(0)?, &a.values[1..]).map(Value::string)),
    lenient("formatlist", 1, ANY, format_list),
    strict("length", 1, 1, |a| match a.value(0).kind() {
        Kind::String(text) => Ok(count(text.chars().count())),
        _ => a
            .value(0)
            .elements()
            .map(<[Value]>::len)
            .or(a.value(0).entries().map(std::collections::BTreeMap::len))
            .map(count)
            .ok_or_else(|| a.wrong(0, "a list, map or string")),
    }),
];

fn bounded(text: String) -> Outcome {
    if text.len() > MAX_RESULT { Err("the result is too large".to_owned()) } else { Ok(text.into()) }
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .map(|c| {
            let upper = start;
            start = !(c.is_alphanumeric() || c == '_' || c == '\'');
            if upper { c.to_uppercase().collect::<String>() } else { c.to_string() }
        })
        .collect()
}

fn substr(a: &Arguments<'_>) -> Outcome {
    let characters: Vec<char> = a.text(0)?.chars().collect();
    let length = i64::try_from(characters.len()).unwrap_or(i64::MAX);
    let (offset, wanted) = (a.int(1)?, a.int(2)?);
    let start = if offset < 0 { length.saturating_add(offset).max(0) } else { offset.min(length) };
    let end = if wanted < 0 { length } else { start.saturating_add(wanted).min(length) };
    let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
    Ok(characters[start..end].iter().collect::<String>().into())
}

fn indent(a: &Arguments<'_>) -> Outcome {
    let (spaces, text) = (a.size(0)?, a.text(1)?);
    let lines = text.matches('\n').count();
    if spaces.saturating_mul(lines + 1) > MAX_RESULT {
        return Err("the result is too large".to_owned());
    }
    bounded(text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
}

fn join(a: &Arguments<'_>) -> Outcome {
    let mut parts = Vec::new();
    for index in 1..a.len() {
        parts.extend(a.texts(index)?);
    }
    let separator = a.text(0)?;
    if separator.len().saturating_mul(parts.len()) > MAX_RESULT {
        return Err("the result is too large".to_owned());
    }
    bounded(parts.join(&separator))
}

fn split(a: &Arguments<'_>) -> Outcome {
    let (separator, text) = (a.text(0)?, a.text(1)?);
    Ok(match separator.is_empty() {
        true => Value::strings(text.chars().map(String::from)),
        false => Value::strings(text.split(&separator)),
    })
}

/// A pattern between slashes is a regular expression.
fn replace(a: &Arguments<'_>) -> Outcome {
    let (text, pattern, with) = (a.text(0)?, a.text(1)?, a.text(2)?);
    if let Some(pattern) = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|p| !p.is_empty()) {
        return bounded(compile(pattern)?.replace_all(&text, go_replacement(&with)).into_owned());
    }
    if text.matches(&pattern).count().saturating_mul(with.len()) > MAX_RESULT {
        return Err("the result is too large".to_owned());
    }
    bounded(text.replace(&pattern, &with))
}

/// Go and this crate agree on `$name` and `${name}`.
fn go_replacement(text: &str) -> &str {
    text
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).size_limit(1 << 20).build();
    regex.map_err(|error| format!("the pattern is not a regular expression: {error}"))
}

/// The match if there are no groups, a tuple of the groups, or an object of named groups.
fn captured(regex: &Regex, captures: &Captures<'_>) -> Value {
    let group = |index: usize| {
        captures.get(index).map_or_else(|| Value::new(Kind::Null(Type::String)), |found| found.as_str().into())
    };
    if regex.captures_len() == 1 {
        return group(0);
    }
    let named: Vec<(usize, &str)> =
        regex.capture_names().enumerate().filter_map(|(index, name)| Some((index, name?))).collect();
    if named.is_empty() {
        return Value::tuple((1..regex.captures_len()).map(group).collect());
    }
    Value::object(named.into_iter().map(|(index, name)| (name.to_owned(), group(index))).collect())
}

fn regex_first(a: &Arguments<'_>) -> Outcome {
    let regex = compile(&a.text(0)?)?;
    let text = a.text(1)?;
    match regex.captures(&text) {
        Some(captures) => Ok(captured(&regex, &captures)),
        None => Err("the pattern does not match".to_owned()),
    }
}

fn regex_all(a: &Arguments<'_>) -> Outcome {
    let regex = compile(&a.text(0)?)?;
    let text = a.text(1)?;
    Ok(super::list_of(regex.captures_iter(&text).map(|captures| captured(&regex, &captures)).collect()))
}

fn format_list(a: &Arguments<'_>) -> Outcome {
    let format = a.text(0)?;
    let arguments = &a.values[1..];
    let lengths: Vec<usize> = arguments.iter().filter_map(|value| value.elements().map(<[Value]>::len)).collect();
    let length = lengths.first().copied().unwrap_or(1);
    if lengths.iter().any(|other| *other != length) {
        return Err("all lists must have the same length".to_owned());
    }
    let lines = (0..length).map(|index| {
        let row: Vec<Value> = arguments
            .iter()
            .map(|value| value.elements().map_or_else(|| value.clone(), |elements| elements[index].clone()))
            .collect();
        format_text(&format, &row)
    });
    Ok(Value::strings(lines.collect::<Result<Vec<_>, _>>()?))
}

pub(super) fn format_text(format: &str, arguments: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    let mut used = 0;
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = characters.next_if(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '#' | ' ' | '.')) {
            spec.push(c);
        }
        let verb = characters.next().ok_or("the format ends within a verb")?;
        if verb == '%' {
            text.push('%');
            continue;
        }
        let argument = arguments.get(used).ok_or("too few arguments for the format")?;
        used += 1;
        text.push_str(&formatted(verb, &spec, argument)?);
        if text.len() > MAX_RESULT {
            return Err("the result is too large".to_owned());
        }
    }
    if used < arguments.len() {
        return Err(format!("the format uses {used} arguments, got {}", arguments.len()));
    }
    Ok(text)
}

fn formatted(verb: char, spec: &str, argument: &Value) -> Result<String, String> {
    let wrong = || format!("%{verb} cannot show {}", argument.describe());
    let number = || match super::super::convert::convert(argument, &Type::Number).map(Value::into_kind) {
        Ok(Kind::Number(number)) => Ok(number),
        _ => Err(wrong()),
    };
    let int = || Value::number(number()?.with_scale(0)).as_i64().ok_or_else(wrong);
    let (flags, precision) = spec.split_once('.').map_or((spec, None), |(flags, precision)| (flags, Some(precision)));
    let precision: Option<usize> = match precision {
        None => None,
        Some("") => Some(0),
        Some(digits) => {
            Some(digits.parse::<usize>().ok().filter(|digits| *digits <= 1000).ok_or("the precision is too large")?)
        }
    };
    let json = || super::super::convert::to_json(argument).map(|json| json.to_string());
    let shown = match verb {
        's' => argument.scalar_text().ok_or_else(wrong)?,
        'v' => argument.scalar_text().map_or_else(json, Ok)?,
        'q' => serde_json::Value::String(argument.scalar_text().ok_or_else(wrong)?).to_string(),
        'd' => number()?.with_scale(0).to_plain_string(),
        'x' => match argument.as_str() {
            Some(text) => hex::encode(text),
            None => format!("{:x}", int()?),
        },
        'X' => format!("{:X}", int()?),
        'b' => format!("{:b}", int()?),
        'o' => format!("{:o}", int()?),
        't' => match super::super::convert::convert(argument, &Type::Bool).map(Value::into_kind) {
            Ok(Kind::Bool(value)) => value.to_string(),
            _ => return Err(wrong()),
        },
        'f' => format!("{:.*}", precision.unwrap_or(6), number()?.to_f64().ok_or_else(wrong)?),
        'e' => format!("{:e}", number()?.to_f64().ok_or_else(wrong)?),
        'g' => crate::template::hcl::value::number_text(&number()?),
        _ => return Err(format!("there is no verb %{verb}")),
    };
    let shown = match (verb, precision) {
        ('s', Some(precision)) => shown.chars().take(precision).collect(),
        _ => shown,
    };
    pad(shown, flags)
}

fn pad(shown: String, flags: &str) -> Result<String, String> {
    let plus = flags.contains('+') && !shown.starts_with('-');
    let shown = if plus { format!("+{shown}") } else { shown };
    let left = flags.contains('-');
    let digits = flags.trim_start_matches(['-', '+', '#', ' ']);
    let zero = digits.starts_with('0');
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(shown);
    }
    let width = digits.parse::<usize>().ok().filter(|width| *width <= 10_000).ok_or("the width is too large")?;
    let missing = width.saturating_sub(shown.chars().count());
    Ok(match (left, zero) {
        (true, _) => shown + &" ".repeat(missing),
        (false, true) => match shown.strip_prefix('-') {
            Some(digits) => format!("-{}{digits}", "0".repeat(missing)),
            None => "0".repeat(missing) + &shown,
        },
        (false, false) => " ".repeat(missing) + &shown,
    })
}
