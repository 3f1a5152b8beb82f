//! Legacy templates: JSON, with Go templates in its strings. They become the same [`Template`] as HCL2's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::parse::{self, Kind, Node};
use super::value::entry;
use crate::template::body::{ConfigBody, DecodeEnv, Override, TemplateScope};
use crate::template::build::Build;
use crate::template::config::{self, Config, DecodeContext, EvaluatedBody};
use crate::template::diagnostic::{Diagnostic, did_you_mean};
use crate::template::go::engine;
use crate::template::load::{Depth, Language, Loading, Template};
use crate::template::post_processor::{PostProcessorBlock, PostProcessorOptions};
use crate::template::provisioner::{ProvisionerBlock, ProvisionerOptions};
use crate::template::required_plugin::satisfies;
use crate::template::source::{BuildSource, Source};
use crate::template::source_map::{FileId, Span};
use crate::template::variable::Variable;
use outline::{Component, Outline};

pub(in crate::template::json) mod outline;
#[cfg(test)]
mod tests;
mod variables;

const BUILDER: &[&str] = &["type", "name"];
const PROVISIONER: &[&str] = &["type", "only", "except", "override", "pause_before", "timeout", "max_retries"];
const POST_PROCESSOR: &[&str] = &["type", "name", "only", "except", "keep_input_artifact"];

impl Loading<'_> {
    /// Loads a legacy template from its text.
    pub(crate) fn load_legacy(&mut self, file: FileId, text: &str, directory: &Path) -> Option<Template> {
        let root = parse::parse(file, text, &mut self.diagnostics)?;
        let outline = outline::read(&root, &mut self.diagnostics);
        let whole = self.options.depth == Depth::Whole;
        let (mut user, mut given) = (BTreeMap::new(), BTreeMap::new());
        if whole {
            self.check_version(&outline);
        }
        if whole || self.options.depth == Depth::Values {
            (user, given) = self.legacy_values(&outline, directory);
        }
        if whole {
            self.warn_of_unknown_variables(&outline, &user);
        }
        let scope = Arc::new(TemplateScope { user: Some(user), ..self.scope(directory) });
        let build = self.legacy_build(&outline, &scope);
        if whole {
            self.check_legacy(&outline, &build);
        }
        if self.options.depth == Depth::Syntax {
            return None;
        }
        let secrets = self.scope_secrets.values();
        let variable = |one: &outline::Declared| {
            let mut variable = Variable::legacy(&one.name, one.default.as_deref(), one.sensitive, one.name_span);
            if let Some(value) = scope.user.as_ref().and_then(|user| user.get(&one.name)) {
                // Also what holds a secret that a server gave.
                let is_secret = one.sensitive || secrets.iter().any(|secret| value.contains(secret.as_str()));
                variable.value = crate::template::hcl::value::Value::string(value.clone()).mark(is_secret);
            }
            variable.given = given.get(&one.name).copied();
            (one.name.clone(), variable)
        };
        let source = |one: &BuildSource| Source {
            builder_type: one.builder_type.clone(),
            name: one.name.clone(),
            body: one.body.clone(),
            span: one.span,
        };
        Some(Template {
            language: Language::LegacyJson,
            variables: outline.variables.iter().map(variable).collect(),
            locals: BTreeMap::new(),
            sources: build.sources.iter().map(source).collect(),
            builds: vec![build],
            required_plugins: Vec::new(),
            directory: directory.to_owned(),
            scope,
        })
    }

    fn check_version(&mut self, outline: &Outline) {
        let Some((wanted, span)) = &outline.min_version else { return };
        let version = self.options.packer_version.clone();
        match satisfies(&version, &format!(">= {wanted}")) {
            Some(true) => {}
            Some(false) => self.report(
                Diagnostic::error(format!("the template needs version {wanted}"))
                    .at(*span)
                    .detail(format!("this program behaves as version {version}"))
                    .hint("change min_packer_version if the template works all the same"),
            ),
            None => self.report(Diagnostic::error("this is not a version").at(*span).hint("write it like \"1.7.0\"")),
        }
    }

    /// As in Packer a variable that is not there is empty, except within values of variables; most often it is
    /// misspelt.
    fn warn_of_unknown_variables(&mut self, outline: &Outline, user: &BTreeMap<String, String>) {
        let chains = outline.post_processors.iter().flatten();
        let components = outline.builders.iter().chain(&outline.provisioners).chain(&outline.error_cleanup);
        let declared: BTreeSet<&str> = outline.variables.iter().map(|variable| variable.name.as_str()).collect();
        let mut unknown = Vec::new();
        for member in components.chain(chains).flat_map(|component| &component.members) {
            strings(&member.value, &mut |text, span| {
                let names = engine::user_references(text);
                let names = names.into_iter().filter(|name| !user.contains_key(name) && !declared.contains(&**name));
                unknown.extend(names.map(|name| (name, span)));
            });
        }
        for (name, span) in unknown {
            let hint = match did_you_mean(&name, user.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it to `variables`, or give it: -var '{name}=…'"),
            };
            self.report(
                Diagnostic::warning(format!("there is no user variable `{name}`"))
                    .at(span)
                    .detail("it is taken to be empty")
                    .hint(hint),
            );
        }
    }

    fn legacy_build(&mut self, outline: &Outline, scope: &Arc<TemplateScope>) -> Build {
        let mut sources = Vec::new();
        let mut names: BTreeMap<String, Span> = BTreeMap::new();
        for builder in &outline.builders {
            let Some(source) = self.legacy_source(builder, scope) else { continue };
            let span = builder.get("name").map_or(builder.header, |member| member.value.span);
            let first = *names.entry(source.name.clone()).or_insert(span);
            if first == span {
                sources.push(source);
            } else {
                self.report(
                    Diagnostic::error(format!("there are two builders named `{}`", source.name))
                        .at(span)
                        .see(first, "the first is here")
                        .hint("give one of them another \"name\""),
                );
            }
        }
        sources.sort_by(|left, right| left.name.cmp(&right.name));
        let provisioners = outline.provisioners.iter().map(|one| self.legacy_provisioner(one, scope)).collect();
        let error_cleanup = outline.error_cleanup.as_ref().map(|one| self.legacy_provisioner(one, scope));
        let mut post_processors = Vec::new();
        for chain in &outline.post_processors {
            post_processors.push(chain.iter().map(|one| self.legacy_post_processor(one, scope)).collect());
        }
        Build {
            name: None,
            description: outline.description.clone(),
            sources,
            provisioners,
            error_cleanup,
            post_processors,
            span: outline.span,
        }
    }

    fn legacy_source(&mut self, builder: &Component, scope: &Arc<TemplateScope>) -> Option<BuildSource> {
        let named = builder.get("name").map(|member| &member.value).filter(|value| value.kind != Kind::Null);
        let raw = named.and_then(Node::scalar).unwrap_or_default();
        if let Some(value) = named.filter(|value| value.scalar().is_none()) {
            let found = format!("found {}", value.describe());
            self.report(Diagnostic::error("the name of a builder must be a string").at(value.span).detail(found));
            return None;
        }
        let raw = if raw.is_empty() { builder.kind.clone() } else { raw };
        let body = ConfigBody::json(
            &format!("the {} builder", builder.kind),
            builder.header,
            &builder.members,
            scope,
            BUILDER,
        );
        let mut name = raw.clone();
        if self.options.depth == Depth::Whole {
            let context = body.interpolate_context(&DecodeEnv::default());
            match engine::render(&raw, &context) {
                Ok(rendered) => name = rendered,
                Err(error) => {
                    let span = named.map_or(builder.header, |value| value.span);
                    self.report(
                        Diagnostic::error("cannot render the name of the builder")
                            .at(span)
                            .detail(error.to_string())
                            .hint(error.hint()),
                    );
                }
            }
        }
        Some(BuildSource {
            builder_type: builder.kind.clone(),
            local_name: name.clone(),
            name,
            build_name: None,
            legacy_name: Some(raw),
            body,
            span: builder.header,
        })
    }

    fn legacy_provisioner(&mut self, component: &Component, scope: &Arc<TemplateScope>) -> ProvisionerBlock {
        let kind = component.kind.clone();
        let owner = format!("the {kind} provisioner");
        let options: ProvisionerOptions = self.legacy_options(component, PROVISIONER, scope, &owner);
        ProvisionerBlock {
            kind,
            name: None,
            only: self.legacy_names(component, "only"),
            except: self.legacy_names(component, "except"),
            pause_before: options.pause_before,
            max_retries: options.max_retries,
            timeout: options.timeout.filter(|timeout| !timeout.is_zero()),
            continue_on_error: false,
            overrides: self.legacy_overrides(component),
            body: ConfigBody::json(&owner, component.header, &component.members, scope, PROVISIONER),
            span: component.header,
        }
    }

    fn legacy_post_processor(&mut self, component: &Component, scope: &Arc<TemplateScope>) -> PostProcessorBlock {
        let kind = component.kind.clone();
        let owner = format!("the {kind} post-processor");
        let options: PostProcessorOptions = self.legacy_options(component, POST_PROCESSOR, scope, &owner);
        PostProcessorBlock {
            kind,
            name: options.name,
            only: self.legacy_names(component, "only"),
            except: self.legacy_names(component, "except"),
            keep_input_artifact: options.keep_input_artifact,
            body: ConfigBody::json(&owner, component.header, &component.members, scope, POST_PROCESSOR),
            span: component.header,
        }
    }

    /// Decodes the options a component has whatever its kind; leaves the others alone.
    fn legacy_options<T: Config>(
        &mut self,
        component: &Component,
        common: &[&str],
        scope: &Arc<TemplateScope>,
        owner: &str,
    ) -> T {
        let schema = T::schema();
        let whole = self.options.depth == Depth::Whole;
        let mut entries = Vec::new();
        for member in &component.members {
            let entry = entry(member);
            // Before variables have values, templates cannot be rendered.
            let mut is_template = false;
            strings(&member.value, &mut |text, _| is_template |= engine::is_template(text));
            let is_common = common.contains(&entry.name.as_str()) && schema.option(&entry.name).is_some();
            let is_common = is_common && !matches!(entry.name.as_str(), "only" | "except");
            if is_common && (whole || !is_template) {
                entries.push(entry);
            }
        }
        let evaluated = EvaluatedBody { header: component.header, entries };
        let body = ConfigBody::json(owner, component.header, &[], scope, &[]);
        let interpolate = body.interpolate_context(&DecodeEnv::default());
        let context = DecodeContext { owner, interpolate: &interpolate, secrets: &scope.secrets };
        let (decoded, diagnostics) = config::decode(&evaluated, context);
        self.diagnostics.extend(diagnostics);
        decoded.config
    }

    /// Names of builders, as they are written: Go templates in them are not rendered.
    fn legacy_names(&mut self, component: &Component, option: &str) -> Vec<String> {
        let Some(member) = component.get(option) else { return Vec::new() };
        let elements = match &member.value.kind {
            Kind::Null => &[],
            Kind::Array(elements) => elements.as_slice(),
            _ => std::slice::from_ref(&member.value),
        };
        let mut names = Vec::new();
        for element in elements {
            match &element.kind {
                Kind::String(name) => names.push(name.clone()),
                _ => self.report(
                    Diagnostic::error(format!("`{option}` is a list of names of builders"))
                        .at(element.span)
                        .detail(format!("found {}", element.describe())),
                ),
            }
        }
        names
    }

    fn legacy_overrides(&mut self, component: &Component) -> BTreeMap<String, Override> {
        let mut overrides = BTreeMap::new();
        let Some(member) = component.get("override").filter(|member| member.value.kind != Kind::Null) else {
            return overrides;
        };
        let Kind::Object(builders) = &member.value.kind else {
            let found = format!("found {}", member.value.describe());
            self.report(Diagnostic::error("`override` must be an object").at(member.value.span).detail(found));
            return overrides;
        };
        for builder in builders {
            match builder.value.to_value().entries() {
                Some(options) => {
                    let options = options.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
                    let given = Override { span: builder.value.span, options: options.collect() };
                    overrides.insert(builder.name.clone(), given);
                }
                None => self.report(
                    Diagnostic::error(format!("the override for `{}` must be an object of options", builder.name))
                        .at(builder.value.span)
                        .detail(format!("found {}", builder.value.describe())),
                ),
            }
        }
        overrides
    }

    /// Names of builders in `only`, `except` and `override` must be those of builders.
    fn check_legacy(&mut self, outline: &Outline, build: &Build) {
        let known: Vec<String> = build.sources.iter().map(BuildSource::short_id).collect();
        for component in outline.provisioners.iter().chain(outline.post_processors.iter().flatten()) {
            if let (Some(only), Some(except)) = (component.get("only"), component.get("except"))
                && [only, except]
                    .iter()
                    .all(|member| matches!(&member.value.kind, Kind::Array(names) if !names.is_empty()))
            {
                self.report(
                    Diagnostic::error("`only` and `except` cannot be used together")
                        .at(except.name_span)
                        .see(only.name_span, "the other is here")
                        .hint("keep one of them"),
                );
            }
            let mut named = Vec::new();
            for member in [component.get("only"), component.get("except")].into_iter().flatten() {
                strings(&member.value, &mut |text, span| named.push((text.to_owned(), span)));
            }
            if let Some(Kind::Object(members)) = component.get("override").map(|member| &member.value.kind) {
                named.extend(members.iter().map(|member| (member.name.clone(), member.name_span)));
            }
            for (name, span) in named.into_iter().filter(|(name, _)| !known.contains(name)) {
                let hint = match did_you_mean(&name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "the template has no builders".to_owned(),
                    None => format!("builders are: {}", known.join(", ")),
                };
                self.report(Diagnostic::error(format!("there is no builder `{name}`")).at(span).hint(hint));
            }
        }
    }
}

/// Calls `found` with each string in a value.
fn strings(node: &Node, found: &mut dyn FnMut(&str, Span)) {
    match &node.kind {
        Kind::String(text) => found(text, node.span),
        Kind::Array(elements) => elements.iter().for_each(|element| strings(element, found)),
        Kind::Object(members) => members.iter().for_each(|member| strings(&member.value, found)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) => {}
    }
}
