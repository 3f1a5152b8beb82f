//! `larder fix`: a legacy template as today's versions want it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::FixArgs;
use super::console::Console;
use super::template::read_stdin;
use super::version::PACKER_VERSION;
use crate::error::{Context as _, Error, Result};
use crate::template::build::Build;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::files::{FileLoader, HostFiles};
use crate::template::json::fixer::{self, FIXERS};
use crate::template::source_map::{SourceMap, Span};
use crate::template::{Depth, LoadOptions, load};

/// Prints the fixed template, or the fixers.
pub(super) fn run(args: &FixArgs, console: &Console) -> Result<()> {
    let path = match &args.template {
        Some(path) if !args.list => path,
        _ => return list(console),
    };
    let (name, text) = read_legacy(path)?;
    let fixed = fixer::fix_text(&name, &text);
    tell(&fixed.diagnostics, &fixed.sources, console);
    let Some(text) = fixed.text else { return Err(Error::new(format!("{name} cannot be fixed"))) };
    // Packer ends with a blank line.
    console.line(&format!("{text}\n"))?;
    if args.validate { validate(&name, text, console) } else { Ok(()) }
}

fn list(console: &Console) -> Result<()> {
    FIXERS.iter().try_for_each(|fixer| console.line(&format!("{:<27} {}", fixer.name, fixer.description)))
}

/// A legacy template, and what to call it.
pub(super) fn read_legacy(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let bytes = if name == "-" {
        read_stdin()?
    } else {
        if name.ends_with(".pkr.hcl") || name.ends_with(".pkr.json") || path.is_dir() {
            return Err(Error::new(format!("{name} is not legacy JSON"))
                .hint("this command is for templates in JSON without .pkr in their name"));
        }
        HostFiles.read(path).context(|| format!("cannot read {name}"))?
    };
    let name = if name == "-" { "<stdin>".to_owned() } else { name };
    let text = String::from_utf8(bytes).map_err(|_| Error::new(format!("{name} is not UTF-8")))?;
    Ok((name, text))
}

/// Prints what was found.
pub(super) fn tell(found: &Diagnostics, sources: &SourceMap, console: &Console) {
    if !found.is_empty() {
        console.note(&format!("{}\n", found.render(sources, console.width, console.colour_err)));
    }
}

/// Checks a template as far as that can be done without values for its variables.
fn validate(name: &str, text: String, console: &Console) -> Result<()> {
    let name = format!("{name} (fixed)");
    let options = LoadOptions {
        path: PathBuf::from(&name),
        stdin: None,
        vars: Vec::new(),
        var_files: Vec::new(),
        env: BTreeMap::new(),
        cwd: PathBuf::new(),
        now: jiff::Timestamp::now(),
        packer_version: PACKER_VERSION.to_owned(),
        depth: Depth::Declared,
        warn_on_undeclared: false,
        remote: None,
    };
    let loaded = load(&options, Arc::new(InMemory(text)));
    let mut found = loaded.diagnostics;
    if let Some(build) = loaded.template.as_ref().and_then(|template| template.builds.first()) {
        found.extend(unknown_builders(build));
    }
    tell(&found, &loaded.sources, console);
    match found.errors().count() {
        0 => Ok(()),
        1 => Err(Error::new("the fixed template has an error")),
        count => Err(Error::new(format!("the fixed template has {count} errors"))),
    }
    .map_err(|error| error.hint("most often the template had it before, too"))
}

/// What is wrong with the names of builders in a template.
fn unknown_builders(build: &Build) -> Diagnostics {
    let mut found = Diagnostics::default();
    if build.sources.is_empty() {
        found.push(Diagnostic::error("the template has no builder").at(build.span).hint("add one to `builders`"));
    }
    let mut check = |only: &[String], except: &[String], overrides: Vec<&String>, span: Span| {
        if !only.is_empty() && !except.is_empty() {
            let error = Diagnostic::error("`only` and `except` cannot be used together").at(span);
            found.push(error.hint("keep one of them"));
        }
        for name in only.iter().chain(except).chain(overrides) {
            if !build.sources.iter().any(|source| source.name == *name) {
                found.push(Diagnostic::error(format!("there is no builder `{name}`")).at(span));
            }
        }
    };
    for one in &build.provisioners {
        check(&one.only, &one.except, one.overrides.keys().collect(), one.span);
    }
    for one in build.post_processors.iter().flatten() {
        check(&one.only, &one.except, Vec::new(), one.span);
    }
    found
}

/// One text, as the only file there is.
#[derive(Debug)]
struct InMemory(String);

impl FileLoader for InMemory {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }

    fn is_dir(&self, _: &Path) -> bool {
        false
    }

    fn is_file(&self, _: &Path) -> bool {
        true
    }
}
