//! Files to [`Template`]: everything that can be said about a template without building it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::body::TemplateScope;
use super::build::Build;
use super::data::{Data, DataBlock};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::files::{self, FileLoader};
use super::hcl::eval::Work;
use super::hcl::syntax;
use super::hcl::syntax::ast::Block;
use super::hcl::value::Value;
use super::json;
use super::local::Local;
use super::remote::{Answers, Remote};
use super::required_plugin::RequiredPlugin;
use super::secrets::Secrets;
use super::source::Source;
use super::source_map::{FileId, SourceMap, Span};
use super::variable::Variable;

mod declare;
mod evaluate;
#[cfg(test)]
pub(crate) mod tests;
mod values;
mod variable_files;

/// What to load, and what it is given.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// A file, or a directory whose `*.pkr.hcl` and `*.pkr.json` files make one template, or `-` for `stdin`.
    pub path: PathBuf,
    /// What standard input held, if the path is `-`.
    pub stdin: Option<Vec<u8>>,
    /// Variables of the command line, in order.
    pub vars: Vec<(String, String)>,
    /// Variable files of the command line, in order.
    pub var_files: Vec<PathBuf>,
    /// The environment: `PKR_VAR_name`, and what `env` reads.
    pub env: BTreeMap<String, String>,
    /// Relative paths start here.
    pub cwd: PathBuf,
    /// Start of the run.
    pub now: Timestamp,
    /// Version that templates are told.
    pub packer_version: String,
    /// How far to go.
    pub depth: Depth,
    /// Warn of values in variable files for variables that are not declared.
    pub warn_on_undeclared: bool,
    /// Who asks servers for functions that read secrets; without one their results are not known.
    pub remote: Option<Arc<dyn Remote>>,
}

/// How far a template is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// It is parsed.
    Syntax,
    /// What it declares is known; variables need no values, and those of a legacy template have none.
    Declared,
    /// Values are known as far as they are given; variables need none.
    Values,
    /// Everything is evaluated that can be before a build runs.
    Whole,
}

/// What a template is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// HCL2, in its own syntax or in JSON.
    Hcl2,
    /// JSON with Go templates in its strings.
    LegacyJson,
}

/// The result of loading.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The template, of use only if the diagnostics hold no error; with errors, what could be made of it, with unknown
    /// values in their places. `None` if it could not be parsed, or was to be parsed only.
    pub template: Option<Template>,
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// The texts diagnostics point into.
    pub sources: SourceMap,
    /// What must not be shown.
    pub secrets: Secrets,
}

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    /// What it is written in.
    pub language: Language,
    /// Its variables by name.
    pub variables: BTreeMap<String, Variable>,
    /// Its locals by name.
    pub locals: BTreeMap<String, Value>,
    /// Its sources, in order.
    pub sources: Vec<Source>,
    /// Its builds, in order.
    pub builds: Vec<Build>,
    /// Plugins it asks for.
    pub required_plugins: Vec<RequiredPlugin>,
    /// Its directory.
    pub directory: PathBuf,
    /// What its expressions can use.
    pub scope: Arc<TemplateScope>,
}

/// Loads a template. All errors found are reported, not only the first. What data sources give is not known.
pub fn load(options: &LoadOptions, files: Arc<dyn FileLoader>) -> Loaded {
    load_with(options, files, Data::Unknown)
}

/// Loads a template, with what is known of data sources.
pub fn load_with(options: &LoadOptions, files: Arc<dyn FileLoader>, sources_of_data: Data<'_>) -> Loaded {
    let secrets = Secrets::default();
    let mut loading = Loading {
        options,
        files,
        diagnostics: Diagnostics::default(),
        source_map: SourceMap::default(),
        answers: Answers::new(options.remote.clone(), secrets.clone()),
        scope_secrets: secrets,
        variables: BTreeMap::new(),
        locals: BTreeMap::new(),
        data: Vec::new(),
        sources_of_data,
        registry: None,
        names: BTreeMap::new(),
        sources: Vec::new(),
        source_index: BTreeMap::new(),
        data_index: BTreeMap::new(),
        required_plugins: Vec::new(),
        work: Work::default(),
    };
    let template = loading.load();
    Loaded { template, diagnostics: loading.diagnostics, sources: loading.source_map, secrets: loading.scope_secrets }
}

/// The state of loading one template.
#[derive(Debug)]
pub(crate) struct Loading<'a> {
    pub(crate) options: &'a LoadOptions,
    pub(crate) files: Arc<dyn FileLoader>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) source_map: SourceMap,
    pub(crate) scope_secrets: Secrets,
    pub(crate) answers: Answers,
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) locals: BTreeMap<String, Local>,
    pub(crate) data: Vec<DataBlock>,
    pub(crate) sources_of_data: Data<'a>,
    /// Where the registry of HCP Packer is named first.
    pub(crate) registry: Option<Span>,
    /// What expressions can use so far.
    pub(crate) names: BTreeMap<String, Value>,
    pub(crate) sources: Vec<Source>,
    /// Which of the sources has a type and a name.
    pub(crate) source_index: BTreeMap<(String, String), usize>,
    /// Where each data source is declared first, by type and name.
    pub(crate) data_index: BTreeMap<(String, String), Span>,
    pub(crate) required_plugins: Vec<RequiredPlugin>,
    pub(crate) work: Work,
}

impl Loading<'_> {
    fn load(&mut self) -> Option<Template> {
        if let Some(content) = &self.options.stdin {
            let (file, text) = self.add_text("<stdin>".to_owned(), content.clone())?;
            return self.load_legacy(file, &text, &self.options.cwd.clone());
        }
        let path = self.options.cwd.join(&self.options.path);
        if self.files.is_file(&path) && !ends(&path, ".pkr.hcl") && !ends(&path, ".pkr.json") {
            let (file, text) = self.read(&path)?;
            let path = clean(&path);
            return self.load_legacy(file, &text, path.parent().unwrap_or(Path::new("/")));
        }
        let (paths, directory) = self.template_files(&path)?;
        let mut blocks = Vec::new();
        for path in &paths {
            let Some((file, text)) = self.read(path) else { continue };
            blocks.extend(self.blocks(path, file, &text));
        }
        let whole = !self.diagnostics.has_errors();
        if self.options.depth == Depth::Syntax {
            self.declare(&blocks);
            return None;
        }
        Some(self.evaluate_template(&blocks, directory, self.files.is_dir(&path))).filter(|_| whole)
    }

    /// The root blocks of a file. What else is in it is reported.
    fn blocks(&mut self, path: &Path, file: FileId, text: &str) -> Vec<Block> {
        let is_json = ends(path, ".json");
        let body = if is_json {
            let Some(root) = json::parse::parse_repeated(file, text, &mut self.diagnostics) else { return Vec::new() };
            syntax::json::body(&root, &self.source_map, &mut self.diagnostics)
        } else {
            syntax::parser::parse(file, text, &mut self.diagnostics)
        };
        self.root_blocks(body, is_json)
    }

    /// The files of the template and its directory.
    fn template_files(&mut self, path: &Path) -> Option<(Vec<PathBuf>, PathBuf)> {
        let shown = self.options.path.display().to_string();
        if self.files.is_dir(path) {
            let mut found = match self.files.list(path) {
                Ok(found) => found,
                Err(error) => {
                    self.report(Diagnostic::error(format!("cannot list {shown}")).detail(error.to_string()));
                    return None;
                }
            };
            found.sort();
            found.retain(|path| (ends(path, ".pkr.hcl") || ends(path, ".pkr.json")) && self.files.is_file(path));
            // As in Packer: first all files of the one kind.
            found.sort_by_key(|path| ends(path, ".json"));
            if found.is_empty() {
                let hint = match files::directories_with(&*self.files, path, ".pkr.hcl").as_slice() {
                    [] => "name a template file, or another directory".to_owned(),
                    found => format!("there are some in {}", found.join(", ")),
                };
                self.report(
                    Diagnostic::error(format!("there is no template in {shown}"))
                        .detail("none of its files is named *.pkr.hcl or *.pkr.json")
                        .hint(hint),
                );
                return None;
            }
            return Some((found, path.to_owned()));
        }
        if !self.files.is_file(path) {
            self.report(
                Diagnostic::error(format!("there is no template {shown}"))
                    .hint("name a file or a directory that exists"),
            );
            return None;
        }
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        Some((vec![path.to_owned()], directory))
    }

    /// Reads a file into the source map.
    pub(crate) fn read(&mut self, path: &Path) -> Option<(FileId, String)> {
        let shown = path.strip_prefix(&self.options.cwd).unwrap_or(path).display().to_string();
        let content = match self.files.read(path) {
            Ok(content) => content,
            Err(error) => {
                self.report(Diagnostic::error(format!("cannot read {shown}")).detail(error.to_string()));
                return None;
            }
        };
        self.add_text(shown, content)
    }

    /// Adds a text to the source map.
    fn add_text(&mut self, shown: String, content: Vec<u8>) -> Option<(FileId, String)> {
        match String::from_utf8(content) {
            Ok(text) => Some((self.source_map.add(shown, text.clone()), text)),
            Err(error) => {
                let valid = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
                let end = valid.len();
                let file = self.source_map.add(shown, valid);
                self.report(
                    Diagnostic::error("the file is not UTF-8").at(Span::new(file, end..end)).hint("save it as UTF-8"),
                );
                None
            }
        }
    }
}

fn ends(path: &Path, suffix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(suffix))
}

/// The path without `.` and `..`, as Go's `filepath.Clean` has it.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            cleaned.pop();
        } else {
            cleaned.push(component);
        }
    }
    cleaned
}
