//! Build blocks: which sources, and what to do with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::body::{ConfigBody, DecodeEnv, Override, TemplateScope, report_duplicates};
use super::config::{self, Config, DecodeContext};
use super::diagnostic::{Diagnostic, Diagnostics};
use super::dynamic::{self, Iteration};
use super::hcl::eval::Evaluator;
use super::hcl::scope::Scope;
use super::hcl::syntax::ast::{Block, Body, Expr, ExprKind, Name, Step};
use super::hcl::value::{Type, Value};
use super::load::Loading;
use super::post_processor::{self, PostProcessorBlock, PostProcessorOptions};
use super::provisioner::{self, ProvisionerBlock, ProvisionerOptions};
use super::source::{BuildSource, Source, parse_reference};
use super::source_map::Span;

/// A `build` block.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: String,
    /// The sources it builds.
    pub sources: Vec<BuildSource>,
    /// What works in the machines, in order.
    pub provisioners: Vec<ProvisionerBlock>,
    /// What runs in the machine after a failure.
    pub error_cleanup: Option<ProvisionerBlock>,
    /// Chains of post-processors.
    pub post_processors: Vec<Vec<PostProcessorBlock>>,
    /// Where its header is.
    pub span: Span,
}

/// Blocks in a build that have a label.
const LABELLED: &[&str] = &["source", "provisioner", "error-cleanup-provisioner", "post-processor"];

const CONTENT: &[&str] = &[
    "name",
    "description",
    "sources",
    "source",
    "provisioner",
    "error-cleanup-provisioner",
    "post-processor",
    "post-processors",
    "hcp_packer_registry",
];

/// A block within a build, and what is needed to read it.
#[derive(Clone, Copy)]
struct Inner<'a> {
    block: &'a Block,
    iteration: &'a Iteration,
    scope: &'a Arc<TemplateScope>,
}

impl Loading<'_> {
    /// Reads a `build` block. `scope` is complete by now.
    pub(crate) fn build(&mut self, block: &Block, scope: &Arc<TemplateScope>) -> Build {
        let mut build = Build {
            name: None,
            description: String::new(),
            sources: Vec::new(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            span: block.header,
        };
        if let Some(attribute) = block.body.attribute("name") {
            build.name = self.constant_text(&attribute.value).filter(|name| !name.is_empty());
        }
        for attribute in &block.body.attributes {
            match &*attribute.name.text {
                "name" => {}
                "description" => build.description = self.constant_text(&attribute.value).unwrap_or_default(),
                "sources" => self.use_sources(&mut build, &attribute.value),
                _ => self.unknown_option(&attribute.name, "a build", CONTENT),
            }
        }
        for (inner, iteration) in self.expanded(&block.body, LABELLED, &Iteration::default()) {
            self.build_block(&mut build, Inner { block: &inner, iteration: &iteration, scope });
        }
        if build.sources.is_empty() && !self.diagnostics.has_errors() {
            self.report(
                Diagnostic::warning("the build has no sources")
                    .at(build.span)
                    .hint("add sources = [\"source.type.name\"]"),
            );
        }
        self.check_filters(&build);
        build
    }

    fn build_block(&mut self, build: &mut Build, inner: Inner<'_>) {
        let block = inner.block;
        match &*block.kind.text {
            "source" => self.use_source_block(build, inner),
            "provisioner" => build.provisioners.extend(self.provisioner(inner)),
            "error-cleanup-provisioner" => {
                if let Some(first) = &build.error_cleanup {
                    let diagnostic = Diagnostic::error("a build has only one error-cleanup-provisioner")
                        .at(block.header)
                        .see(first.span, "the first is here");
                    self.report(diagnostic);
                }
                build.error_cleanup = self.provisioner(inner);
            }
            "post-processor" => {
                build.post_processors.extend(self.post_processor(inner).map(|found| vec![found]));
            }
            "post-processors" => {
                let mut chain = Vec::new();
                for (member, iteration) in self.expanded(&block.body, &["post-processor"], inner.iteration) {
                    match &*member.kind.text {
                        "post-processor" => {
                            let member = Inner { block: &member, iteration: &iteration, ..inner };
                            chain.extend(self.post_processor(member));
                        }
                        _ => self.unknown_option(&member.kind, "a chain of post-processors", &["post-processor"]),
                    }
                }
                for attribute in &block.body.attributes {
                    self.unknown_option(&attribute.name, "a chain of post-processors", &["post-processor"]);
                }
                build.post_processors.push(chain);
            }
            "hcp_packer_registry" => self.registry(block),
            _ => self.unknown_option(&block.kind, "a build", CONTENT),
        }
    }

    /// The blocks of a body, with those that `dynamic` blocks stand for in their place. Blocks that are `labelled` take one
    /// label each.
    fn expanded(&mut self, body: &Body, labelled: &[&str], around: &Iteration) -> Vec<(Block, Iteration)> {
        let mut blocks = Vec::new();
        for block in &body.blocks {
            if !dynamic::is_dynamic(block) {
                blocks.push((block.clone(), around.clone()));
                continue;
            }
            let labels = usize::from(labelled.contains(&&*block.labels[0].text));
            let mut found = Diagnostics::default();
            let names = Scope::of(&self.names);
            let later = ["source", "build"].map(|name| (name.to_owned(), Value::unknown(Type::Dynamic)));
            let names = names.child(later);
            let scope = names.child(around.names());
            let functions = self.functions();
            let evaluator = Evaluator { env: &functions, work: &self.work };
            blocks.extend(dynamic::expand_within(&evaluator, block, labels, &scope, around, &mut found));
            self.diagnostics.extend(found);
        }
        blocks
    }

    fn use_sources(&mut self, build: &mut Build, expr: &Expr) {
        let ExprKind::Tuple(elements) = &expr.kind else {
            let value = self.evaluate(expr);
            let names: Vec<String> =
                value.elements().unwrap_or_default().iter().filter_map(Value::scalar_text).collect();
            if names.is_empty() && value.is_wholly_known() {
                self.report(Diagnostic::error("`sources` must be a list of source names").at(expr.span));
            }
            for name in names {
                self.use_source(build, &name, expr.span);
            }
            return;
        };
        for element in elements {
            if let Some(name) = bare_reference(element).or_else(|| self.source_name(element)) {
                self.use_source(build, &name, element.span);
            }
        }
    }

    fn source_name(&mut self, expr: &Expr) -> Option<String> {
        let value = self.evaluate(expr);
        if value.is_unknown() {
            return None;
        }
        let name = value.as_str().map(str::to_owned);
        if name.is_none() {
            let error = Diagnostic::error("the name of a source must be a string").at(expr.span);
            self.report(error.detail(format!("found {}", value.describe())).hint("write \"source.type.name\""));
        }
        name
    }

    fn use_source(&mut self, build: &mut Build, reference: &str, span: Span) {
        let Some(source) = self.find_source(reference, span) else { return };
        build.sources.push(BuildSource {
            builder_type: source.builder_type,
            local_name: source.name.clone(),
            name: source.name,
            build_name: build.name.clone(),
            legacy_name: None,
            body: source.body,
            span,
        });
    }

    fn find_source(&mut self, reference: &str, span: Span) -> Option<Source> {
        let Some((builder_type, name)) = parse_reference(reference) else {
            self.report(
                Diagnostic::error(format!("`{reference}` is not the name of a source"))
                    .at(span)
                    .hint("write \"source.type.name\""),
            );
            return None;
        };
        let found = self.source_index.get(&(builder_type.clone(), name.clone())).and_then(|at| self.sources.get(*at));
        if found.is_none() {
            let known: Vec<String> =
                self.sources.iter().map(|source| format!("source.{}.{}", source.builder_type, source.name)).collect();
            let wanted = format!("source.{builder_type}.{name}");
            let hint = match self.work.near(&wanted, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it: source \"{builder_type}\" \"{name}\" {{ … }}"),
            };
            self.report(Diagnostic::error(format!("there is no source `{builder_type}.{name}`")).at(span).hint(hint));
            return None;
        }
        found.cloned()
    }

    fn use_source_block(&mut self, build: &mut Build, inner: Inner<'_>) {
        let block = inner.block;
        let Some(reference) = self.label(block, "source \"source.type.name\" {}") else { return };
        let Some(source) = self.find_source(&reference, block.header) else { return };
        let name = block.body.attribute("name");
        let local_name = name.and_then(|attribute| self.constant_text_for(&attribute.value, inner.iteration));
        let mut body = source.body;
        let added = ConfigBody::new(body.owner(), block, inner.iteration, inner.scope, &["name"]);
        report_duplicates(&body, &added, &mut self.diagnostics);
        body.extend(&added);
        build.sources.push(BuildSource {
            builder_type: source.builder_type,
            local_name: local_name.unwrap_or_else(|| source.name.clone()),
            name: source.name,
            build_name: build.name.clone(),
            legacy_name: None,
            body,
            span: block.header,
        });
    }

    fn provisioner(&mut self, inner: Inner<'_>) -> Option<ProvisionerBlock> {
        let block = inner.block;
        let kind = self.label(block, "provisioner \"type\" {}")?;
        let owner = format!("the {kind} provisioner");
        let body = ConfigBody::new(&owner, block, inner.iteration, inner.scope, provisioner::COMMON);
        let options: ProvisionerOptions = self.common_options(inner, body.owner());
        let overrides = match block.body.attribute("override") {
            Some(attribute) => self.overrides(&attribute.value, inner.iteration),
            None => BTreeMap::new(),
        };
        Some(ProvisionerBlock {
            kind,
            name: options.name,
            only: options.only,
            except: options.except,
            pause_before: options.pause_before,
            max_retries: options.max_retries,
            timeout: options.timeout.filter(|timeout| !timeout.is_zero()),
            continue_on_error: options.continue_on_error,
            overrides,
            body,
            span: block.header,
        })
    }

    fn post_processor(&mut self, inner: Inner<'_>) -> Option<PostProcessorBlock> {
        let block = inner.block;
        let kind = self.label(block, "post-processor \"type\" {}")?;
        let owner = format!("the {kind} post-processor");
        let body = ConfigBody::new(&owner, block, inner.iteration, inner.scope, post_processor::COMMON);
        let options: PostProcessorOptions = self.common_options(inner, body.owner());
        Some(PostProcessorBlock {
            kind,
            name: options.name,
            only: options.only,
            except: options.except,
            keep_input_artifact: options.keep_input_artifact,
            body,
            span: block.header,
        })
    }

    /// Decodes the options a block has whatever its kind; leaves the others alone.
    fn common_options<T: Config>(&mut self, inner: Inner<'_>, owner: &str) -> T {
        let schema = T::schema();
        let all = &inner.block.body;
        let known = all.attributes.iter().filter(|attribute| schema.option(&attribute.name.text).is_some());
        let body = Arc::new(Body { attributes: known.cloned().collect(), blocks: Vec::new(), span: all.span });
        let common = Block { body, ..inner.block.clone() };
        let body = ConfigBody::new(owner, &common, inner.iteration, inner.scope, &[]);
        let env = DecodeEnv::default();
        let (evaluated, diagnostics) = body.evaluate(&env);
        self.diagnostics.extend(diagnostics);
        let interpolate = body.interpolate_context(&env);
        let context = DecodeContext { owner, interpolate: &interpolate, secrets: &inner.scope.secrets };
        let (decoded, diagnostics) = config::decode(&evaluated, context);
        self.diagnostics.extend(diagnostics);
        decoded.config
    }

    fn overrides(&mut self, expr: &Expr, iteration: &Iteration) -> BTreeMap<String, Override> {
        let span = expr.span;
        let value = self.evaluate_for(expr, iteration);
        let mut overrides = BTreeMap::new();
        for (name, options) in value.entries().into_iter().flatten() {
            match options.entries() {
                Some(options) => {
                    overrides.insert(name.clone(), Override { span, options: options.clone() });
                }
                None => self
                    .report(Diagnostic::error(format!("the override for `{name}` must be a map of options")).at(span)),
            }
        }
        overrides
    }

    /// Names in `only` and `except` that no source of the build has.
    fn check_filters(&mut self, build: &Build) {
        let known: BTreeSet<String> = build.sources.iter().map(BuildSource::short_id).collect();
        let provisioners = build.provisioners.iter().map(|block| (&block.only, &block.except, block.span));
        let post_processors =
            build.post_processors.iter().flatten().map(|block| (&block.only, &block.except, block.span));
        let mut found = Vec::new();
        for (only, except, span) in provisioners.chain(post_processors) {
            for name in only.iter().chain(except).filter(|name| !known.contains(*name)) {
                let hint = match self.work.near(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => {
                        let some: Vec<&str> = known.iter().map(String::as_str).take(20).collect();
                        format!("sources of the build are: {}", some.join(", "))
                    }
                };
                found.push(
                    Diagnostic::warning(format!("the build has no source `{name}`"))
                        .at(span)
                        .detail("`only` or `except` names it")
                        .hint(hint),
                );
            }
        }
        self.diagnostics.extend(found);
    }
}

/// `source.type.name` written without quotes.
fn bare_reference(expr: &Expr) -> Option<String> {
    let ExprKind::Traversal(root, steps) = &expr.kind else { return None };
    let ExprKind::Variable(root) = &root.kind else { return None };
    match (&*root.text, steps.as_slice()) {
        (
            "source" | "sources",
            [Step::Attribute(Name { text: kind, .. }), Step::Attribute(Name { text: name, .. })],
        ) => Some(format!("source.{kind}.{name}")),
        _ => None,
    }
}
