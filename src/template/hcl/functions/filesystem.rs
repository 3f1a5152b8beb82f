//! Functions on paths and files. Relative paths start at the working directory, as in Packer.

use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::{Arguments, Function, FunctionEnv, Outcome, Value, lenient, strict};
use crate::template::diagnostic::Diagnostic;
use crate::template::hcl::eval::{Evaluator, Origin, Work};
use crate::template::hcl::scope::Scope;
use crate::template::source_map::SourceMap;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("abspath", 1, 1, |a| Ok(lexical(&a.env.cwd.join(a.text(0)?)).display().to_string().into())),
    strict("basename", 1, 1, |a| {
        let path = a.text(0)?;
        Ok(Path::new(&path).file_name().map_or_else(|| "".into(), |name| name.to_string_lossy().into_owned()).into())
    }),
    strict("dirname", 1, 1, |a| {
        let path = a.text(0)?;
        let parent = Path::new(&path).parent().map(|parent| parent.display().to_string()).unwrap_or_default();
        Ok(if parent.is_empty() { if path.starts_with('/') { "/" } else { "." }.into() } else { parent.into() })
    }),
    strict("pathexpand", 1, 1, |a| Ok(a.text(0)?.into())),
    strict("file", 1, 1, |a| read_text(a.env, &a.text(0)?).map(Value::from)),
    strict("filebase64", 1, 1, |a| {
        let bytes = read(a.env, &a.text(0)?)?;
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes).into())
    }),
    strict("fileexists", 1, 1, |a| Ok(a.env.files.is_file(&a.env.cwd.join(a.text(0)?)).into())),
    strict("fileset", 2, 2, fileset),
    lenient("templatefile", 2, 2, template_file),
    strict("env", 1, 1, |a| match a.env.env {
        Some(env) => Ok(env.get(&a.text(0)?).cloned().unwrap_or_default().into()),
        None => Err("it may only be used in the default of a variable".to_owned()),
    }),
];

fn read(env: &FunctionEnv<'_>, path: &str) -> Result<Vec<u8>, String> {
    let path = env.cwd.join(path);
    env.files.read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn read_text(env: &FunctionEnv<'_>, path: &str) -> Result<String, String> {
    String::from_utf8(read(env, path)?).map_err(|_| format!("{path} is not UTF-8; use filebase64"))
}

/// The path without `.` and `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// Files below a directory that match a pattern, as paths relative to it.
fn fileset(a: &Arguments<'_>) -> Outcome {
    let root = a.env.cwd.join(a.text(0)?);
    let glob = globset::GlobBuilder::new(&a.text(1)?).literal_separator(true).build();
    let matcher = glob.map_err(|error| error.to_string())?.compile_matcher();
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut directories = vec![(root.clone(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        for path in a.env.files.list(&directory).unwrap_or_default() {
            seen += 1;
            if seen > 100_000 {
                return Err("there are more than 100000 files".to_owned());
            }
            if a.env.files.is_dir(&path) {
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
    Ok(Value::set(super::Type::String, found))
}

fn template_file(a: &Arguments<'_>) -> Outcome {
    if a.env.in_template_file {
        return Err("a file rendered by it cannot call it".to_owned());
    }
    let path = a.text(0)?;
    let text = read_text(a.env, &path)?;
    let names = a.entries(1)?.clone();
    let parsed: hcl_edit::template::Template = text.parse().map_err(|error: hcl_edit::parser::Error| {
        let location = error.location();
        format!("{path}:{}:{}: {}", location.line(), location.column(), error.message())
    })?;
    let mut sources = SourceMap::default();
    let file = sources.add(path, text);
    let env = FunctionEnv { in_template_file: true, ..*a.env };
    let work = Work::default();
    let evaluator = Evaluator { origin: Origin { file, base: 0 }, env: &env, work: &work };
    evaluator.render(&parsed, &Scope::new(names)).map_err(|diagnostic: Box<Diagnostic>| diagnostic.one_line(&sources))
}
