//! Functions on paths and files. Relative paths start at the working directory, as in Packer.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::{Allowed, BOOL, Call, Failure, Function, FunctionEnv, Outcome, Returns, STRING, Ty, Type, Value};
use super::{any, function, text};
use crate::template::diagnostic::Diagnostics;
use crate::template::hcl::eval::Evaluator;
use crate::template::hcl::scope::Scope;
use crate::template::hcl::syntax::parser::{Place, parse_template_at};
use crate::template::source_map::{SourceMap, Span};

pub(super) const FUNCTIONS: &[Function] = &[
    function("abspath", &[text("path")], STRING, |c| Ok(clean(&c.env.cwd.join(c.text(0)).to_string_lossy()).into())),
    function("basename", &[text("path")], STRING, |c| Ok(base(c.text(0)).to_owned().into())),
    function("dirname", &[text("path")], STRING, |c| {
        let folder = c.text(0).rfind('/').map_or("", |at| &c.text(0)[..=at]);
        Ok(clean(folder).into())
    }),
    function("pathexpand", &[text("path")], STRING, |c| {
        let Some(below) = c.text(0).strip_prefix('~') else { return Ok(c.text(0).into()) };
        if !below.is_empty() && !below.starts_with('/') {
            return Err(c.wrong(0, "only the home directory of the user who runs this can be told"));
        }
        let home = c.env.files.home().ok_or("the home directory is not known")?;
        Ok(clean(&format!("{}{below}", home.display())).into())
    }),
    function("file", &[text("path")], STRING, |c| {
        String::from_utf8(read(c)?).map(Value::from).map_err(|_| c.wrong(0, "the file is not UTF-8; use filebase64"))
    }),
    function("filebase64", &[text("path")], STRING, |c| {
        Ok(base64::engine::general_purpose::STANDARD.encode(read(c)?).into())
    }),
    function("fileexists", &[text("path")], BOOL, |c| {
        let path = c.env.cwd.join(c.text(0));
        if c.env.files.is_dir(&path) {
            return Err(c.wrong(0, format!("{} is a directory", path.display())));
        }
        Ok(c.env.files.is_file(&path).into())
    }),
    function("fileset", &[text("path"), text("pattern")], Returns::Is(Ty::Set(&Ty::String)), fileset),
    function(
        "templatefile",
        &[text("path"), any("vars").in_parts()],
        Returns::Of(|_| Ok(Type::Dynamic)),
        template_file,
    ),
    function("env", &[text("key")], STRING, |c| match c.env.allowed {
        Allowed::Env(env) => Ok(env.get(c.text(0)).cloned().unwrap_or_default().into()),
        _ => Err("there is no environment here".into()),
    }),
];

fn read(c: &Call<'_>) -> Result<Vec<u8>, Failure> {
    let path = c.env.cwd.join(c.text(0));
    c.env.files.read(&path).map_err(|error| c.wrong(0, format!("cannot read {}: {error}", path.display())))
}

/// The path without `.`, `..` and needless slashes, by its text alone; `.` if nothing is left.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// The last part of a path.
fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

/// Files below a directory that match a pattern, as paths relative to it.
fn fileset(c: &Call<'_>) -> Outcome {
    let root = PathBuf::from(clean(&c.env.cwd.join(c.text(0)).to_string_lossy()));
    let pattern = clean(c.text(1));
    let glob = globset::GlobBuilder::new(&pattern).literal_separator(true).build();
    let matcher = glob.map_err(|error| c.wrong(1, error.to_string()))?.compile_matcher();
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut directories = vec![(root.clone(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for path in c.env.files.list(&directory).unwrap_or_default() {
            seen += 1;
            if seen > 100_000 {
                return Err("there are more than 100000 files".into());
            }
            if c.env.files.is_dir(&path) {
                // A link to a directory above would never end.
                if depth < 32 {
                    directories.push((path, depth + 1));
                }
            } else if let Ok(relative) = path.strip_prefix(&root)
                && matcher.is_match(relative)
            {
                found.push(Value::string(relative.display().to_string()));
            }
        }
    }
    Ok(Value::set(Type::String, found))
}

/// A file rendered as a template with these names. What is wrong in it is told with its place in the file.
fn template_file(c: &Call<'_>) -> Outcome {
    let names = c.entries(1)?.clone();
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
    };
    if let Some(name) = names.keys().find(|name| !is_name(name)) {
        return Err(c.wrong(1, format!("`{name}` cannot be used as a name in a template")));
    }
    let path = Path::new(c.text(0)).display().to_string();
    let text = String::from_utf8(read(c)?).map_err(|_| c.wrong(0, "the file is not UTF-8"))?;
    let mut sources = SourceMap::default();
    let file = sources.add(path, text.as_str());
    let at = Span::new(file, 0..0);
    let mut found = Diagnostics::default();
    let env = FunctionEnv { allowed: Allowed::InFile, ..*c.env };
    let rendered = match parse_template_at(&text, Place::From(at), &mut found) {
        Some(template) => {
            let evaluator = Evaluator { env: &env, work: c.work };
            evaluator.template(&template, at, &Scope::new(names), &mut found)
        }
        None if found.is_empty() => return Err(c.wrong(0, "the file is too long")),
        None => Value::unknown(Type::Dynamic),
    };
    if found.has_errors() {
        let found: Vec<String> = found.errors().map(|error| error.one_line(&sources)).collect();
        return Err(Failure::Call(found.join("; ")));
    }
    Ok(rendered)
}
