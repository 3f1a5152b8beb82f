//! Build blocks: which sources, and what to do with them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, TraversalOperator};
use hcl_edit::structure::{Block, Structure};

use super::body::{ConfigBody, DecodeEnv, Override, TemplateScope, header_span, report_duplicates};
use super::config::{self, Config, DecodeContext};
use super::diagnostic::{Diagnostic, did_you_mean};
use super::hcl::eval::Origin;
use super::hcl::value::Value;
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

impl Loading<'_> {
    /// Reads a `build` block. `scope` is complete by now.
    pub(crate) fn build(&mut self, block: &Block, origin: Origin, scope: &Arc<TemplateScope>) -> Build {
        let mut build = Build {
            name: None,
            description: String::new(),
            sources: Vec::new(),
            provisioners: Vec::new(),
            error_cleanup: None,
            post_processors: Vec::new(),
            span: header_span(block, origin),
        };
        if let Some(attribute) = block.body.get_attribute("name") {
            build.name = Some(self.constant_text(&attribute.value, origin)).filter(|name| !name.is_empty());
        }
        for structure in &block.body {
            match structure {
                Structure::Attribute(attribute) => match attribute.key.as_str() {
                    "name" => {}
                    "description" => build.description = self.constant_text(&attribute.value, origin),
                    "sources" => self.use_sources(&mut build, &attribute.value, origin),
                    other => self.unknown_option(other, origin.span(attribute.key.span()), "a build", CONTENT),
                },
                Structure::Block(inner) => self.build_block(&mut build, inner, origin, scope),
            }
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

    fn build_block(&mut self, build: &mut Build, inner: &Block, origin: Origin, scope: &Arc<TemplateScope>) {
        match inner.ident.as_str() {
            "source" => self.use_source_block(build, inner, origin, scope),
            "provisioner" => build.provisioners.extend(self.provisioner(inner, origin, scope)),
            "error-cleanup-provisioner" => {
                if let Some(first) = &build.error_cleanup {
                    let diagnostic = Diagnostic::error("a build has only one error-cleanup-provisioner")
                        .at(header_span(inner, origin))
                        .see(first.span, "the first is here");
                    self.report(diagnostic);
                }
                build.error_cleanup = self.provisioner(inner, origin, scope);
            }
            "post-processor" => {
                build.post_processors.extend(self.post_processor(inner, origin, scope).map(|found| vec![found]));
            }
            "post-processors" => {
                let mut chain = Vec::new();
                for member in inner.body.blocks() {
                    match member.ident.as_str() {
                        "post-processor" => chain.extend(self.post_processor(member, origin, scope)),
                        other => {
                            let span = header_span(member, origin);
                            self.unknown_option(other, span, "a chain of post-processors", &["post-processor"]);
                        }
                    }
                }
                build.post_processors.push(chain);
            }
            "hcp_packer_registry" => self.report(
                Diagnostic::warning("`hcp_packer_registry` is left out")
                    .at(header_span(inner, origin))
                    .detail("builds are not published to HCP Packer"),
            ),
            other => self.unknown_option(other, header_span(inner, origin), "a build", CONTENT),
        }
    }

    fn use_sources(&mut self, build: &mut Build, expression: &Expression, origin: Origin) {
        let Expression::Array(array) = expression else {
            let value = self.evaluate(expression, origin);
            let names: Vec<String> =
                value.elements().unwrap_or_default().iter().filter_map(Value::scalar_text).collect();
            if names.is_empty() && value.is_wholly_known() {
                let span = origin.span(expression.span());
                self.report(Diagnostic::error("`sources` must be a list of source names").at(span));
            }
            for name in names {
                self.use_source(build, &name, origin.span(expression.span()));
            }
            return;
        };
        for element in array {
            let span = origin.span(element.span());
            let name = bare_reference(element).or_else(|| self.evaluate(element, origin).scalar_text());
            if let Some(name) = name {
                self.use_source(build, &name, span);
            }
        }
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
        let same = |source: &&Source| source.builder_type == builder_type && source.name == name;
        let found = self.sources.iter().find(same).cloned();
        if found.is_none() {
            let known: Vec<String> =
                self.sources.iter().map(|source| format!("source.{}.{}", source.builder_type, source.name)).collect();
            let wanted = format!("source.{builder_type}.{name}");
            let hint = match did_you_mean(&wanted, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it: source \"{builder_type}\" \"{name}\" {{ … }}"),
            };
            self.report(Diagnostic::error(format!("there is no source `{builder_type}.{name}`")).at(span).hint(hint));
        }
        found
    }

    fn use_source_block(&mut self, build: &mut Build, block: &Block, origin: Origin, scope: &Arc<TemplateScope>) {
        let span = header_span(block, origin);
        let Some(reference) = self.label(block, origin, "source \"source.type.name\" {}") else { return };
        let Some(source) = self.find_source(&reference, span) else { return };
        let local_name = match block.body.get_attribute("name") {
            Some(attribute) => self.constant_text(&attribute.value, origin),
            None => source.name.clone(),
        };
        let mut body = source.body;
        let added = ConfigBody::new(body.owner(), block, origin, scope, &["name"]);
        report_duplicates(&body, &added, &mut self.diagnostics);
        body.extend(&added);
        build.sources.push(BuildSource {
            builder_type: source.builder_type,
            name: source.name,
            local_name,
            build_name: build.name.clone(),
            legacy_name: None,
            body,
            span,
        });
    }

    fn provisioner(&mut self, block: &Block, origin: Origin, scope: &Arc<TemplateScope>) -> Option<ProvisionerBlock> {
        let kind = self.label(block, origin, "provisioner \"type\" {}")?;
        let body = ConfigBody::new(&format!("the {kind} provisioner"), block, origin, scope, provisioner::COMMON);
        let options: ProvisionerOptions = self.common_options(block, origin, scope, body.owner());
        let overrides = match block.body.get_attribute("override") {
            Some(attribute) => self.overrides(&attribute.value, origin),
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
            span: header_span(block, origin),
        })
    }

    fn post_processor(
        &mut self,
        block: &Block,
        origin: Origin,
        scope: &Arc<TemplateScope>,
    ) -> Option<PostProcessorBlock> {
        let kind = self.label(block, origin, "post-processor \"type\" {}")?;
        let body = ConfigBody::new(&format!("the {kind} post-processor"), block, origin, scope, post_processor::COMMON);
        let options: PostProcessorOptions = self.common_options(block, origin, scope, body.owner());
        Some(PostProcessorBlock {
            kind,
            name: options.name,
            only: options.only,
            except: options.except,
            keep_input_artifact: options.keep_input_artifact,
            body,
            span: header_span(block, origin),
        })
    }

    /// Decodes the options a block has whatever its kind; leaves the others alone.
    fn common_options<T: Config>(
        &mut self,
        block: &Block,
        origin: Origin,
        scope: &Arc<TemplateScope>,
        owner: &str,
    ) -> T {
        let schema = T::schema();
        let mut common = block.clone();
        common.body = block
            .body
            .attributes()
            .filter(|attribute| schema.option(attribute.key.as_str()).is_some())
            .cloned()
            .map(Structure::from)
            .collect();
        let body = ConfigBody::new(owner, &common, origin, scope, &[]);
        let env = DecodeEnv::default();
        let (mut evaluated, diagnostics) = body.evaluate(&env);
        self.diagnostics.extend(diagnostics);
        evaluated.header = header_span(block, origin);
        let interpolate = body.interpolate_context(&env);
        let context = DecodeContext { owner, interpolate: &interpolate, secrets: &scope.secrets };
        let (decoded, diagnostics) = config::decode(&evaluated, context);
        self.diagnostics.extend(diagnostics);
        decoded.config
    }

    fn overrides(&mut self, expression: &Expression, origin: Origin) -> BTreeMap<String, Override> {
        let span = origin.span(expression.span());
        let value = self.evaluate(expression, origin);
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
        let known: Vec<String> = build.sources.iter().map(BuildSource::short_id).collect();
        let provisioners = build.provisioners.iter().map(|block| (&block.only, &block.except, block.span));
        let post_processors =
            build.post_processors.iter().flatten().map(|block| (&block.only, &block.except, block.span));
        let mut found = Vec::new();
        for (only, except, span) in provisioners.chain(post_processors) {
            for name in only.iter().chain(except).filter(|name| !known.contains(name)) {
                let hint = match did_you_mean(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("sources of the build are: {}", known.join(", ")),
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
fn bare_reference(expression: &Expression) -> Option<String> {
    let traversal = expression.as_traversal()?;
    traversal.expr.as_variable().filter(|root| matches!(root.as_str(), "source" | "sources"))?;
    let names: Option<Vec<&str>> = traversal
        .operators
        .iter()
        .map(|operator| match operator.value() {
            TraversalOperator::GetAttr(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    names.filter(|names| names.len() == 2).map(|names| format!("source.{}", names.join(".")))
}
