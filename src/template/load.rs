//! Files to [`Template`]: everything that can be said about a template without building it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Structure};
use jiff::Timestamp;

use super::body::{ConfigBody, TemplateScope, header_span};
use super::build::Build;
use super::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use super::files::{self, FileLoader};
use super::hcl::eval::{Eval, Evaluator, Origin, Work};
use super::hcl::functions::{Allowed, FunctionEnv};
use super::hcl::parse::{self, Placed, ROOT_BLOCKS};
use super::hcl::scope::Scope;
use super::hcl::value::{Kind, Type, Value};
use super::json;
use super::local::Local;
use super::mistake;
use super::required_plugin::RequiredPlugin;
use super::secrets::Secrets;
use super::source::{self, Source, SourceBlock};
use super::source_map::{FileId, SourceMap, Span};
use super::variable::Variable;

mod structures;
#[cfg(test)]
pub(crate) mod tests;
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

/// Loads a template. All errors found are reported, not only the first.
pub fn load(options: &LoadOptions, files: Arc<dyn FileLoader>) -> Loaded {
    let mut loading = Loading {
        options,
        files,
        diagnostics: Diagnostics::default(),
        source_map: SourceMap::default(),
        scope_secrets: Secrets::default(),
        variables: BTreeMap::new(),
        locals: BTreeMap::new(),
        names: BTreeMap::new(),
        sources: Vec::new(),
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
    pub(crate) variables: BTreeMap<String, Variable>,
    pub(crate) locals: BTreeMap<String, Local>,
    /// What expressions can use so far.
    pub(crate) names: BTreeMap<String, Value>,
    pub(crate) sources: Vec<Source>,
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
        let mut structures = Vec::new();
        for path in &paths {
            let Some((file, text)) = self.read(path) else { continue };
            if !ends(path, ".json") {
                structures.extend(self.native_structures(file, &text));
            } else if let Some(root) = json::parse::parse_repeated(file, &text, &mut self.diagnostics) {
                structures.extend(self.json_structures(&root));
            }
        }
        let whole = !self.diagnostics.has_errors();
        let blocks = self.root_blocks(structures);
        if self.options.depth == Depth::Syntax {
            return None;
        }
        Some(self.evaluate_template(&blocks, directory, self.files.is_dir(&path))).filter(|_| whole)
    }

    fn evaluate_template(&mut self, blocks: &[(Block, Origin)], directory: PathBuf, is_dir: bool) -> Template {
        let mut sources: Vec<SourceBlock> = Vec::new();
        for (block, origin) in blocks {
            match block.ident.as_str() {
                "packer" => self.packer_block(block, *origin),
                "variable" => self.declare_variable(block, *origin),
                "variables" => self.declare_variables(block, *origin),
                "local" => self.declare_local(block, *origin),
                "locals" => self.declare_locals(block, *origin),
                "source" => self.declare_source(block, *origin, &mut sources),
                "data" => self.report(
                    Diagnostic::error("data sources are not supported yet")
                        .at(header_span(block, *origin))
                        .hint("give the value as a variable"),
                ),
                "hcp_packer_registry" => self.report(
                    Diagnostic::warning("`hcp_packer_registry` is left out")
                        .at(header_span(block, *origin))
                        .detail("builds are not published to HCP Packer"),
                ),
                _ => {}
            }
        }
        let given = self.given_variables(&directory, is_dir);
        self.set_variables(&given);
        self.set_names(&directory);
        let locals = self.evaluate_locals();
        self.names.insert("local".to_owned(), Value::object(locals.clone()));
        let scope = Arc::new(TemplateScope {
            names: self.names.clone(),
            user: None,
            files: Arc::clone(&self.files),
            cwd: self.options.cwd.clone(),
            template_dir: directory.clone(),
            now: self.options.now,
            packer_version: self.options.packer_version.clone(),
            secrets: self.scope_secrets.clone(),
        });
        for found in sources {
            let owner = format!("the {} source", found.builder_type);
            let body = ConfigBody::new(&owner, &found.block, found.origin, &scope, &[]);
            let SourceBlock { builder_type, name, span, .. } = found;
            self.sources.push(Source { builder_type, name, body, span });
        }
        let builds = blocks
            .iter()
            .filter(|(block, _)| block.ident.as_str() == "build")
            .map(|(block, origin)| self.build(block, *origin, &scope))
            .collect();
        Template {
            language: Language::Hcl2,
            variables: std::mem::take(&mut self.variables),
            locals,
            sources: std::mem::take(&mut self.sources),
            builds,
            required_plugins: std::mem::take(&mut self.required_plugins),
            directory,
            scope,
        }
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

    /// The blocks at the root; what else is there is reported.
    fn root_blocks(&mut self, structures: Vec<Placed>) -> Vec<(Block, Origin)> {
        let mut blocks = Vec::new();
        for (structure, origin) in structures {
            match structure {
                Structure::Block(block) if ROOT_BLOCKS.contains(&block.ident.as_str()) => {
                    let label = block.labels.first().map(hcl_edit::structure::BlockLabel::as_str);
                    let span = header_span(&block, origin);
                    let found = label.and_then(|label| mistake::label_too_many(block.ident.as_str(), label, span));
                    if let Some(found) = found {
                        self.report(found);
                    }
                    blocks.push((block, origin));
                }
                Structure::Block(block) => {
                    let span = header_span(&block, origin);
                    self.unknown_option(block.ident.as_str(), span, "a template", ROOT_BLOCKS);
                }
                Structure::Attribute(attribute) => {
                    let name = attribute.key.as_str();
                    self.report(
                        Diagnostic::error(format!("`{name}` cannot be set outside a block"))
                            .at(origin.span(attribute.key.span()))
                            .hint(format!("for a value of your own, write locals {{ {name} = … }}")),
                    );
                }
            }
        }
        blocks
    }

    fn declare_source(&mut self, block: &Block, origin: Origin, sources: &mut Vec<SourceBlock>) {
        match source::parse(block, origin) {
            Ok(found) => {
                let same = |other: &&SourceBlock| other.builder_type == found.builder_type && other.name == found.name;
                match sources.iter().find(same) {
                    Some(first) => {
                        let diagnostic = Diagnostic::error(format!(
                            "the source `{}.{}` is declared twice",
                            found.builder_type, found.name
                        ))
                        .at(found.span)
                        .see(first.span, "first declared here")
                        .hint("rename one of them");
                        self.report(diagnostic);
                    }
                    None => sources.push(found),
                }
            }
            Err(diagnostic) => self.report(diagnostic),
        }
    }

    /// Sets `var`, `path` and `packer`.
    fn set_names(&mut self, directory: &Path) {
        let object = |entries: Vec<(&str, String)>| {
            Value::object(entries.into_iter().map(|(name, text)| (name.to_owned(), Value::string(text))).collect())
        };
        let variables = self.variables.iter().map(|(name, variable)| (name.clone(), variable.value.clone()));
        let variables = Value::object(variables.collect());
        let root = directory.strip_prefix(&self.options.cwd).ok().filter(|_| !self.options.path.is_absolute());
        let root = match root {
            Some(root) if root.as_os_str().is_empty() => ".".to_owned(),
            Some(root) => root.display().to_string(),
            None => directory.display().to_string(),
        };
        let path = object(vec![("root", root), ("cwd", self.options.cwd.display().to_string())]);
        let packer = object(vec![("version", self.options.packer_version.clone())]);
        self.names.extend([("var".to_owned(), variables), ("path".to_owned(), path), ("packer".to_owned(), packer)]);
    }

    // === for all blocks ===

    /// Reports something.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Evaluates an expression with the names known so far; unknown, and reported, if it fails.
    pub(crate) fn evaluate(&mut self, expression: &Expression, origin: Origin) -> Value {
        let names = std::mem::take(&mut self.names);
        let scope = Scope::new(names);
        let functions = self.functions();
        let evaluator = Evaluator { origin, env: &functions, work: &self.work };
        let result = evaluator.eval(expression, &scope);
        self.names = scope.into_names();
        self.value_or_report(result)
    }

    /// The value; unknown, and reported, if there is none.
    pub(crate) fn value_or_report(&mut self, result: Eval<Value>) -> Value {
        result.unwrap_or_else(|diagnostic| {
            self.report(*diagnostic);
            Value::unknown(Type::Dynamic)
        })
    }

    /// What functions can use.
    pub(crate) fn functions(&self) -> FunctionEnv<'_> {
        FunctionEnv { files: &*self.files, cwd: &self.options.cwd, now: self.options.now, allowed: Allowed::All }
    }

    /// The text of an option that must be known while loading.
    pub(crate) fn constant_text(&mut self, expression: &Expression, origin: Origin) -> String {
        let value = self.evaluate(expression, origin);
        if value.is_unknown() || value.is_null() {
            return String::new();
        }
        value.scalar_text().unwrap_or_else(|| {
            let found = format!("found {}", value.describe());
            self.report(Diagnostic::error("a string is needed here").at(origin.span(expression.span())).detail(found));
            String::new()
        })
    }

    /// The value of a bool that must be known while loading.
    pub(crate) fn constant_bool(&mut self, expression: &Expression, origin: Origin) -> bool {
        let value = self.evaluate(expression, origin);
        match super::hcl::convert::convert(&value, &Type::Bool).map(Value::into_kind) {
            Ok(Kind::Bool(value)) => value,
            Ok(_) => false,
            Err(error) => {
                let span = origin.span(expression.span());
                self.report(Diagnostic::error("true or false is needed here").at(span).detail(error));
                false
            }
        }
    }

    /// The only label of a block.
    pub(crate) fn label(&mut self, block: &Block, origin: Origin, example: &str) -> Option<String> {
        if let [label] = block.labels.as_slice() {
            return Some(label.as_str().to_owned());
        }
        let detail = format!("it has {}", block.labels.len());
        self.report(
            Diagnostic::error(format!("`{}` needs one label", block.ident.as_str()))
                .at(header_span(block, origin))
                .detail(detail)
                .hint(format!("write {example}")),
        );
        None
    }

    /// Reports a name that means nothing where it stands.
    pub(crate) fn unknown_option(&mut self, name: &str, span: Span, owner: &str, known: &[&str]) {
        let near = did_you_mean(name, known.iter().copied());
        let hint = match mistake::misplaced_block(name).filter(|_| known == ROOT_BLOCKS) {
            Some(meant) => meant.to_owned(),
            None => {
                near.map_or_else(|| format!("it has: {}", known.join(", ")), |near| format!("did you mean `{near}`?"))
            }
        };
        self.report(
            Diagnostic::error(format!("unknown option or block `{name}`"))
                .at(span)
                .detail(format!("{owner} has none of this name"))
                .hint(hint),
        );
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
