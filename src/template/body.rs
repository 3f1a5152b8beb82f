//! The body of a source, provisioner or post-processor: kept parsed, evaluated and decoded when it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::structure::{Attribute, Block, Body, Structure};
use jiff::Timestamp;

use super::config::{self, Config, Content, DecodeContext, Decoded, Entry, EvaluatedBody, Item};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::files::FileLoader;
use super::go::engine::{BuildValues, FunctionSet, InterpolateContext};
use super::hcl::eval::{Evaluator, Origin, Work};
use super::hcl::functions::{Allowed, FunctionEnv};
use super::hcl::scope::Scope;
use super::hcl::value::{Type, Value};
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
    /// What servers answer.
    pub answers: Answers,
}

/// What a body can use besides [`TemplateScope`], as it is used for one source of one build.
#[derive(Clone, Debug, Default)]
pub struct DecodeEnv {
    /// Type of the builder: `source.type`.
    pub builder_type: Option<String>,
    /// Name of the source: `source.name`.
    pub source_name: Option<String>,
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
    Hcl { body: Arc<Body>, origin: Origin },
    Json(Arc<[Member]>),
}

impl Part {
    /// Names set at the top and where.
    fn names(&self) -> Vec<(String, Span)> {
        match self {
            Self::Hcl { body, origin } => {
                body.attributes().map(|a| (a.key.as_str().to_owned(), origin.span(a.key.span()))).collect()
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
        origin: Origin,
        scope: &Arc<TemplateScope>,
        common: &'static [&'static str],
    ) -> Self {
        let header = header_span(block, origin);
        let parts = vec![Part::Hcl { body: Arc::new(block.body.clone()), origin }];
        Self { owner: owner.into(), header, parts, scope: Arc::clone(scope), common }
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
            build_name: env.source_name.clone(),
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
        let work = Work::default();
        let scope = Scope::new(env.names(&self.scope));
        let mut diagnostics = Diagnostics::default();
        let mut evaluated = EvaluatedBody { header: self.header, entries: Vec::new() };
        for part in &self.parts {
            let entries = match part {
                Part::Hcl { body, origin } => {
                    let evaluator = Evaluator { origin: *origin, env: &functions, work: &work };
                    body_entries(&evaluator, body, &scope, &mut diagnostics)
                }
                Part::Json(members) => members.iter().map(json::value::entry).collect(),
            };
            evaluated.entries.extend(entries.into_iter().filter(|entry| !self.common.contains(&entry.name.as_str())));
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
    /// The names of the template and those of this source.
    fn names(&self, scope: &TemplateScope) -> BTreeMap<String, Value> {
        let mut names = scope.names.clone();
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
        names.insert("source".to_owned(), Value::object(source));
        let build = match &self.build {
            // Builders tell more than those names, once they have run.
            BuildValues::NotKnownYet => Value::open_object(build),
            BuildValues::Known(_) => Value::object(build),
        };
        names.insert("build".to_owned(), build);
        names
    }
}

/// Where a block's name and labels are.
pub(crate) fn header_span(block: &Block, origin: Origin) -> Span {
    let ident = origin.span(block.ident.span());
    let last = block.labels.last().and_then(|label| match label {
        hcl_edit::structure::BlockLabel::Ident(label) => label.span(),
        hcl_edit::structure::BlockLabel::String(label) => label.span(),
    });
    last.map_or(ident, |last| ident.to(origin.span(Some(last))))
}

/// Evaluates attributes and nested blocks, `dynamic` blocks expanded.
pub(crate) fn body_entries(
    evaluator: &Evaluator<'_>,
    body: &Body,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => entries.push(attribute_entry(evaluator, attribute, scope, diagnostics)),
            Structure::Block(block) if block.ident.as_str() == "dynamic" && block.labels.len() == 1 => {
                entries.extend(dynamic_entries(evaluator, block, scope, diagnostics));
            }
            Structure::Block(block) => {
                let inner = body_entries(evaluator, &block.body, scope, diagnostics);
                entries.push(block_entry(evaluator, block, block.ident.as_str(), inner));
            }
        }
    }
    entries
}

fn block_entry(evaluator: &Evaluator<'_>, block: &Block, name: &str, entries: Vec<Entry>) -> Entry {
    let header = header_span(block, evaluator.origin);
    let body = EvaluatedBody { header, entries };
    Entry { name: name.to_owned(), name_span: header, item: Item { span: header, content: Content::Block(body) } }
}

fn attribute_entry(
    evaluator: &Evaluator<'_>,
    attribute: &Attribute,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Entry {
    let span = evaluator.span(&attribute.value);
    let value = evaluator.eval(&attribute.value, scope).unwrap_or_else(|diagnostic| {
        diagnostics.push(diagnostic.or_at(span));
        Value::unknown(Type::Dynamic)
    });
    Entry {
        name: attribute.key.as_str().to_owned(),
        name_span: evaluator.origin.span(attribute.key.span()),
        item: Item { span, content: Content::Value(value) },
    }
}

/// `dynamic "name" { for_each = …; content { … } }` stands for one block for each element.
fn dynamic_entries(
    evaluator: &Evaluator<'_>,
    block: &Block,
    scope: &Scope<'_>,
    diagnostics: &mut Diagnostics,
) -> Vec<Entry> {
    let name = block.labels[0].as_str();
    let header = header_span(block, evaluator.origin);
    let (Some(for_each), Some(content)) =
        (block.body.get_attribute("for_each"), block.body.get_blocks("content").next())
    else {
        diagnostics.push(
            Diagnostic::error("a dynamic block needs `for_each` and a `content` block")
                .at(header)
                .hint(format!("dynamic \"{name}\" {{ for_each = […] content {{ … }} }}")),
        );
        return Vec::new();
    };
    let iterator =
        block.body.get_attribute("iterator").and_then(|a| a.value.as_variable()).map_or(name, |v| v.as_str());
    let pairs = evaluator.eval(&for_each.value, scope).and_then(|collection| {
        if collection.is_unknown() { Ok(Vec::new()) } else { evaluator.pairs(&collection, &for_each.value) }
    });
    let pairs = pairs.unwrap_or_else(|diagnostic| {
        diagnostics.push(diagnostic.or_at(header));
        Vec::new()
    });
    let blocks = pairs.into_iter().map(|(key, value)| {
        let each = BTreeMap::from([("key".to_owned(), key), ("value".to_owned(), value)]);
        let scope = scope.child([(iterator.to_owned(), Value::object(each))]);
        let inner = body_entries(evaluator, &content.body, &scope, diagnostics);
        block_entry(evaluator, content, name, inner)
    });
    blocks.collect()
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
