//! The body of a source, provisioner or post-processor: kept parsed, evaluated and decoded when it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::config::{self, Config, Content, DecodeContext, Decoded, Entry, EvaluatedBody, Item};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::dynamic::{self, Iteration};
use super::files::FileLoader;
use super::go::engine::{BuildValues, FunctionSet, InterpolateContext};
use super::hcl::eval::{Evaluator, Work};
use super::hcl::functions::{Allowed, FunctionEnv};
use super::hcl::scope::Scope;
use super::hcl::syntax::ast::{Block, Body, Piece};
use super::hcl::value::Value;
use super::json;
use super::json::parse::Member;
use super::remote::Answers;
use super::secrets::Secrets;
use super::source_map::Span;

/// What every expression of a template can use.
#[derive(Clone, Debug)]
pub struct TemplateScope {
    /// `var`, `local`, `path`, `packer`.
    pub names: BTreeMap<String, Value>,
    /// The user variables of a legacy template; `None` in HCL2.
    pub user: Option<BTreeMap<String, String>>,
    /// The files of the host.
    pub files: Arc<dyn FileLoader>,
    /// The directory the program runs in.
    pub cwd: PathBuf,
    /// The directory of the template.
    pub template_dir: PathBuf,
    /// Start of the run.
    pub now: Timestamp,
    /// Version that templates are told.
    pub packer_version: String,
    /// Gets the sensitive strings met.
    pub secrets: Secrets,
    /// Counts what all bodies cost together.
    pub work: Arc<Work>,
    /// What servers answer.
    pub answers: Answers,
}

/// Most work that evaluating the bodies of a template may cause. They may be evaluated for each source, and again when a
/// build runs.
const MAX_WORK: usize = 16_000_000;

/// What a body can use besides [`TemplateScope`], as it is used for one source of one build.
#[derive(Clone, Debug, Default)]
pub struct DecodeEnv {
    /// Type of the builder: `source.type`.
    pub builder_type: Option<String>,
    /// Name of the source in its build: `source.name`.
    pub source_name: Option<String>,
    /// Name that the source is declared by, if that is another: `{{ build_name }}` of Go templates.
    pub declared_name: Option<String>,
    /// Name of the build block: `build.name`.
    pub build_name: Option<String>,
    /// Other values of `build`: not known while validating, known when running.
    pub build: BuildValues,
    /// Fields of Go templates: `.HTTPIP`.
    pub data: BTreeMap<String, String>,
    /// The `override` of the source, merged over the body.
    pub overrides: Option<Override>,
}

/// Options that replace those of a provisioner for one source.
#[derive(Clone, Debug)]
pub struct Override {
    /// Where they are set.
    pub span: Span,
    /// The options.
    pub options: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
enum Part {
    Hcl { body: Arc<Body>, iteration: Iteration },
    Json(Arc<[Member]>),
}

impl Part {
    /// Names set at the top and where.
    fn names(&self) -> Vec<(String, Span)> {
        match self {
            Self::Hcl { body, .. } => {
                body.attributes.iter().map(|one| (one.name.text.to_string(), one.name.span)).collect()
            }
            Self::Json(members) => members.iter().map(|member| (member.name.clone(), member.name_span)).collect(),
        }
    }
}

/// A parsed body. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ConfigBody {
    owner: Arc<str>,
    header: Span,
    parts: Vec<Part>,
    scope: Arc<TemplateScope>,
    /// Options the block has whatever its kind, which are not the component's.
    common: &'static [&'static str],
}

impl ConfigBody {
    pub(crate) fn new(
        owner: &str,
        block: &Block,
        iteration: &Iteration,
        scope: &Arc<TemplateScope>,
        common: &'static [&'static str],
    ) -> Self {
        let parts = vec![Part::Hcl { body: Arc::clone(&block.body), iteration: iteration.clone() }];
        Self { owner: owner.into(), header: block.header, parts, scope: Arc::clone(scope), common }
    }

    /// The options of a component of a legacy template.
    pub(crate) fn json(
        owner: &str,
        header: Span,
        members: &[Member],
        scope: &Arc<TemplateScope>,
        common: &'static [&'static str],
    ) -> Self {
        Self { owner: owner.into(), header, parts: vec![Part::Json(members.into())], scope: Arc::clone(scope), common }
    }

    /// Adds the options of another block.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.parts.extend(other.parts.iter().cloned());
        self.common = other.common;
    }

    /// Names set at the top of the body and where.
    pub(crate) fn attributes(&self) -> Vec<(String, Span)> {
        let names = self.parts.iter().flat_map(Part::names);
        names.filter(|(name, _)| !self.common.contains(&name.as_str())).collect()
    }

    /// Where the block's header is.
    pub fn header(&self) -> Span {
        self.header
    }

    /// Where the sensitive strings met are told to.
    pub fn secrets(&self) -> &Secrets {
        &self.scope.secrets
    }

    /// What the body belongs to, such as `the shell provisioner`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Evaluates the body and decodes it. The configuration is of use only if there is no error.
    pub fn decode<T: Config>(&self, env: &DecodeEnv) -> (Decoded<T>, Diagnostics) {
        let (body, mut diagnostics) = self.evaluate(env);
        let interpolate = self.interpolate_context(env);
        let context = DecodeContext { owner: &self.owner, interpolate: &interpolate, secrets: &self.scope.secrets };
        let (decoded, found) = config::decode(&body, context);
        diagnostics.extend(found);
        (decoded, diagnostics)
    }

    /// What Go templates of the body can use; components use it, with more fields, for what they render later.
    pub fn interpolate_context(&self, env: &DecodeEnv) -> InterpolateContext {
        InterpolateContext {
            build_name: env.declared_name.clone().or_else(|| env.source_name.clone()),
            build_type: env.builder_type.clone(),
            template_dir: self.scope.template_dir.display().to_string(),
            cwd: self.scope.cwd.display().to_string(),
            packer_version: self.scope.packer_version.clone(),
            now: self.scope.now,
            user: self.scope.user.clone(),
            data: env.data.clone(),
            build: env.build.clone(),
            functions: env.builder_type.as_deref().map_or(FunctionSet::Common, FunctionSet::of_builder),
            ..InterpolateContext::default()
        }
    }

    /// Evaluates the body. An expression that fails is reported and counts as not known.
    pub fn evaluate(&self, env: &DecodeEnv) -> (EvaluatedBody, Diagnostics) {
        let functions = self.scope.functions();
        let evaluator = Evaluator { env: &functions, work: &self.scope.work };
        let names = Scope::of(&self.scope.names);
        let scope = names.child(env.names());
        let mut diagnostics = Diagnostics::default();
        let mut evaluated = EvaluatedBody { header: self.header, entries: Vec::new() };
        for part in &self.parts {
            let entries = match part {
                Part::Hcl { body, iteration } => {
                    let scope = scope.child(iteration.names());
                    body_entries(&evaluator, body, &scope, self.common, &mut diagnostics)
                }
                Part::Json(members) => {
                    let entries = members.iter().map(json::value::entry);
                    entries.filter(|entry| !self.common.contains(&entry.name.as_str())).collect()
                }
            };
            evaluated.entries.extend(entries);
        }
        if let Some(overrides) = &env.overrides {
            evaluated.replace(overrides.options.iter().map(|(name, value)| Entry {
                name: name.clone(),
                name_span: overrides.span,
                item: Item { span: overrides.span, content: Content::Value(value.clone()) },
            }));
        }
        (evaluated, diagnostics)
    }
}

impl TemplateScope {
    /// A count of the work of all bodies of a template.
    pub(crate) fn new_work() -> Arc<Work> {
        Arc::new(Work::up_to(MAX_WORK))
    }

    /// What functions can use.
    pub(crate) fn functions(&self) -> FunctionEnv<'_> {
        FunctionEnv {
            files: &*self.files,
            cwd: &self.cwd,
            now: self.now,
            allowed: Allowed::All,
            answers: Some(&self.answers),
        }
    }
}

impl DecodeEnv {
    /// The names of this source and build.
    fn names(&self) -> [(String, Value); 2] {
        let text = |text: &Option<String>| text.clone().map(Value::string);
        let mut source = BTreeMap::new();
        source.extend(text(&self.builder_type).map(|value| ("type".to_owned(), value)));
        source.extend(text(&self.source_name).map(|value| ("name".to_owned(), value)));
        let mut build = BTreeMap::new();
        if let BuildValues::Known(values) = &self.build {
            build.extend(values.iter().map(|(name, value)| {
                let secret = matches!(name.as_str(), "Password" | "SSHPrivateKey" | "WinRMPassword");
                (name.clone(), Value::string(value.as_str()).mark(secret))
            }));
        }
        build.insert("name".to_owned(), Value::string(self.build_name.clone().unwrap_or_default()));
        let build = match &self.build {
            // Builders tell more than those names, once they have run.
            BuildValues::NotKnownYet => Value::open_object(build),
            BuildValues::Known(_) => Value::object(build),
        };
        [("source".to_owned(), Value::object(source)), ("build".to_owned(), build)]
    }
}

/// Evaluates attributes and nested blocks, but for those `left_out`; `dynamic` blocks are expanded.
pub(crate) fn body_entries(
    evaluator: &Evaluator<'_>,
    body: &Body,
    scope: &Scope<'_>,
    left_out: &[&str],
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for piece in body.in_order() {
        match piece {
            Piece::Attribute(attribute) if left_out.contains(&&*attribute.name.text) => {}
            Piece::Attribute(attribute) => entries.push(Entry {
                name: attribute.name.text.to_string(),
                name_span: attribute.name.span,
                item: Item {
                    span: attribute.value.span,
                    content: Content::Value(evaluator.eval(&attribute.value, scope, diagnostics)),
                },
            }),
            Piece::Block(block) if dynamic::is_dynamic(block) => {
                for (made, iteration) in dynamic::expand(evaluator, block, 0, scope, diagnostics) {
                    let scope = scope.child(iteration.names());
                    entries.push(block_entry(evaluator, &made, &scope, diagnostics));
                }
            }
            Piece::Block(block) if left_out.contains(&&*block.kind.text) => {}
            Piece::Block(block) => {
                if let Some(label) = block.labels.first() {
                    let error = Diagnostic::error(format!("`{}` takes no label here", block.kind.text));
                    diagnostics.push(error.at(label.span).hint("remove the label"));
                }
                entries.push(block_entry(evaluator, block, scope, diagnostics));
            }
        }
    }
    entries
}

fn block_entry(evaluator: &Evaluator<'_>, block: &Block, scope: &Scope<'_>, diagnostics: &mut Diagnostics) -> Entry {
    let entries = body_entries(evaluator, &block.body, scope, &[], diagnostics);
    let content = Content::Block(EvaluatedBody { header: block.header, entries });
    Entry { name: block.kind.text.to_string(), name_span: block.header, item: Item { span: block.header, content } }
}

/// Reports options that two blocks both set.
pub(crate) fn report_duplicates(first: &ConfigBody, second: &ConfigBody, diagnostics: &mut Diagnostics) {
    let mut reported = BTreeSet::new();
    for (name, span) in second.attributes() {
        let Some((_, other)) = first.attributes().into_iter().find(|(other, _)| *other == name) else { continue };
        if reported.insert(name.clone()) {
            diagnostics.push(
                Diagnostic::error(format!("`{name}` is set twice"))
                    .at(span)
                    .detail("a source in a build may only add options to the source it uses")
                    .see(other, "first set here")
                    .hint("remove one of them"),
            );
        }
    }
}
