//! A template with what has been typed into its form, as `larder validate` and `larder build` would see it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::Around;
use super::field::{self, Field, ValueSource};
use super::literal::literal;
use super::outline::{self, BuildOutline};
use super::problem::{self, Problem};
use crate::plan;
use crate::template::files::HostFiles;
use crate::template::variable::Variable;
use crate::template::{Depth, Language, LoadOptions, Loaded, Template, load};

/// A template and the values for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The template: a file or a directory.
    pub path: PathBuf,
    /// Variables of the command line.
    pub vars: Vec<(String, String)>,
    /// Variable files of the command line.
    pub var_files: Vec<PathBuf>,
    /// What has been typed, by variable.
    pub typed: BTreeMap<String, String>,
    /// The variable file that is to be written: what it sets now, and nobody has typed over, it keeps.
    pub target: Option<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// The form's fields: their values are those without what was typed.
    pub fields: Vec<Field>,
    /// All that is wrong, in the order found.
    pub problems: Vec<Problem>,
    /// What would be built.
    pub builds: Vec<BuildOutline>,
    /// The variable file; empty if nothing differs from the defaults.
    pub variables: String,
    /// Variables that were typed and are not in the file, as they are sensitive.
    pub not_written: Vec<String>,
    /// What the template is written in: the variable file is HCL or JSON accordingly.
    pub language: Language,
}

impl Evaluated {
    /// Problems of a field.
    pub fn of_field<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Problem> {
        self.problems.iter().filter(move |problem| problem.field.as_deref() == Some(name))
    }

    /// Problems of no field.
    pub fn others(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| problem.field.is_none())
    }

    /// How many errors keep it from being built.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_error).count()
    }
}

/// Loads a template as a command would.
pub(super) fn load_template(around: &Around, request: &Request, depth: Depth) -> Loaded {
    let typed = request.typed.iter().map(|(name, text)| (name.clone(), text.clone()));
    let options = LoadOptions {
        path: request.path.clone(),
        stdin: None,
        vars: request.vars.iter().cloned().chain(typed).collect(),
        var_files: request.var_files.clone(),
        env: around.env.clone(),
        cwd: around.cwd.clone(),
        now: (around.now)(),
        packer_version: around.packer_version.clone(),
        depth,
        warn_on_undeclared: false,
        remote: None,
    };
    load(&options, Arc::new(HostFiles))
}

/// The variable file to be written, where it is there already and would not be read of itself.
fn named_target(around: &Around, request: &Request) -> Option<PathBuf> {
    let target = request.target.clone()?;
    let is_automatic =
        target.to_string_lossy().ends_with(".auto.pkrvars.hcl") && around.cwd.join(&request.path).is_dir();
    (!is_automatic && around.cwd.join(&target).is_file()).then_some(target)
}

/// Evaluates a template with what has been typed.
pub fn evaluate(around: &Around, request: &Request) -> Evaluated {
    let mut request = request.clone();
    request.var_files.extend(named_target(around, &request));
    let without = Request { typed: BTreeMap::new(), ..request.clone() };
    let base = load_template(around, &without, Depth::Whole);
    let fields = base.template.as_ref().map(|template| field::fields(template, &base.sources)).unwrap_or_default();
    let typed: BTreeMap<_, _> =
        request.typed.iter().filter(|(name, _)| fields.iter().any(|field| field.name == **name)).collect();
    let typed = typed.into_iter().map(|(name, text)| (name.clone(), text.clone())).collect();
    request.typed = typed;
    let mut loaded = if request.typed.is_empty() { base } else { load_template(around, &request, Depth::Whole) };
    let template = loaded.template.take();
    let mut builds = Vec::new();
    if let Some(template) = &template {
        match plan::plan(template, &[], &[]) {
            Ok(plan) => {
                loaded.diagnostics.extend((around.check)(&plan));
                builds = outline::builds(&plan);
            }
            // A template that cannot be built is no less a template; what is wrong is said by the diagnostics, if
            // there are any.
            Err(error) if !loaded.diagnostics.has_errors() => {
                let hint = error.hints().join("; ");
                loaded.diagnostics.push(crate::template::diagnostic::Diagnostic::error(error.to_string()).hint(hint));
            }
            Err(_) => {}
        }
    }
    let mut evaluated = Evaluated {
        problems: problem::problems(&loaded, template.as_ref()),
        fields,
        builds,
        variables: String::new(),
        not_written: Vec::new(),
        language: template.as_ref().map_or(Language::Hcl2, |template| template.language),
    };
    if let Some(template) = &template {
        write_variables(&request, template, around, &mut evaluated);
    }
    evaluated
}

/// The variable file: what was typed, and what the file sets already, where it is not the default.
fn write_variables(request: &Request, template: &Template, around: &Around, evaluated: &mut Evaluated) {
    let target = request.target.as_ref().map(|target| {
        let target = around.cwd.join(target);
        target.strip_prefix(&around.cwd).unwrap_or(&target).display().to_string()
    });
    let mut chosen: Vec<(&Field, &Variable)> = Vec::new();
    for field in &evaluated.fields {
        let Some(variable) = template.variables.get(&field.name) else { continue };
        let is_typed = request.typed.contains_key(&field.name);
        let is_kept = matches!(&field.from, ValueSource::File(name) if Some(name) == target.as_ref());
        let is_default = variable.default.as_ref().is_some_and(|default| {
            default.clone().unmark_deep().equals(&variable.value.clone().unmark_deep()) == Some(true)
        });
        // Over a value from elsewhere the default has to be said.
        let is_needed = !is_default || (is_typed && !is_kept && field.from != ValueSource::Default);
        if (is_typed || is_kept) && is_needed && variable.value.is_wholly_known() {
            if variable.value.contains_sensitive() {
                evaluated.not_written.push(field.name.clone());
            } else {
                chosen.push((field, variable));
            }
        }
    }
    evaluated.variables = match template.language {
        Language::Hcl2 => hcl(&chosen, &evaluated.not_written),
        Language::LegacyJson => json(&chosen),
    };
}

fn hcl(chosen: &[(&Field, &Variable)], not_written: &[String]) -> String {
    let width = chosen.iter().map(|(field, _)| field.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (field, variable) in chosen {
        let _ = writeln!(text, "{:width$} = {}", field.name, literal(&variable.value));
    }
    for name in not_written {
        let _ = writeln!(text, "# {name} is sensitive: set PKR_VAR_{name}");
    }
    text
}

fn json(chosen: &[(&Field, &Variable)]) -> String {
    let values: BTreeMap<&str, String> = chosen
        .iter()
        .map(|(field, variable)| (field.name.as_str(), variable.value.scalar_text().unwrap_or_default()))
        .collect();
    if values.is_empty() {
        return String::new();
    }
    serde_json::to_string_pretty(&values).map_or_else(|_| String::new(), |text| text + "\n")
}
