//! `csvdecode`: tables in CSV, as strict about quotes and fields as Go is.

use std::collections::{BTreeMap, BTreeSet};

use super::{Call, Function, Outcome, Returns, Type, Value};
use super::{function, text};

pub(super) const FUNCTIONS: &[Function] =
    &[function("csvdecode", &[text("str")], Returns::Of(|_| Ok(Type::Dynamic)), decode)];

fn decode(c: &Call<'_>) -> Outcome {
    let rows = rows(c.text(0)).map_err(|error| c.wrong(0, error))?;
    let ((_, header), rows) = rows.split_first().ok_or_else(|| c.wrong(0, "there is no header line"))?;
    let mut names = BTreeSet::new();
    if let Some(twice) = header.iter().find(|name| !names.insert(name.as_str())) {
        return Err(c.wrong(0, format!("there are two columns \"{twice}\"")));
    }
    let mut objects = Vec::with_capacity(rows.len());
    for (line, row) in rows {
        if row.len() != header.len() {
            let message = format!("line {line} has {} fields, and the header {}", row.len(), header.len());
            return Err(c.wrong(0, message));
        }
        let fields = header.iter().cloned().zip(row.iter().map(|field| Value::string(field.as_str())));
        objects.push(Value::object(fields.collect::<BTreeMap<_, _>>()));
    }
    let ty = Type::object(header.iter().map(|name| (name.clone(), Type::String)));
    Ok(Value::list(ty, objects))
}

/// A row and the line it begins in.
type Row = (usize, Vec<String>);

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let text = text.replace("\r\n", "\n");
    let (mut rest, mut line, mut rows) = (text.as_str(), 1, Vec::new());
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n') {
            line += 1;
            rest = after;
            continue;
        }
        let start = line;
        let mut row = Vec::new();
        loop {
            let (field, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_field(quoted, &mut line)?,
                None => bare_field(rest, line)?,
            };
            row.push(field);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => {
                    rest = after;
                    break;
                }
            }
        }
        rows.push((start, row));
        if let Some(after) = rest.strip_prefix('\n') {
            line += 1;
            rest = after;
        }
    }
    Ok(rows)
}

fn bare_field(rest: &str, line: usize) -> Result<(String, &str), String> {
    let end = rest.find([',', '\n']).unwrap_or(rest.len());
    let (field, after) = rest.split_at(end);
    if field.contains('"') {
        return Err(format!("line {line} has a quote within a field that is not quoted"));
    }
    Ok((field.to_owned(), after))
}

fn quoted_field<'a>(mut rest: &'a str, line: &mut usize) -> Result<(String, &'a str), String> {
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or_else(|| format!("a quoted field is not closed in line {line}"))?;
        field.push_str(&rest[..end]);
        *line += rest[..end].matches('\n').count();
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None if rest.is_empty() || rest.starts_with([',', '\n']) => return Ok((field, rest)),
            None => return Err(format!("something follows a quoted field in line {line}")),
        }
    }
}
