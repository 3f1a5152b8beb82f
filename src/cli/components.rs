//! From the components a plan names to components that run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::builder::{self, PreparedBuilder};
use crate::engine::job::{Generated, Make, PostProcessorJob, ProvisionerJob};
use crate::engine::registry::{ComponentType, Prepared, Registry};
use crate::error::{Error, Result};
use crate::plan::{BuildPlan, Plan};
use crate::post_processor;
use crate::provisioner;
use crate::template::body::{ConfigBody, DecodeEnv};
use crate::template::config::DecodeContext;
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::go::engine::BuildValues;
use crate::template::post_processor::PostProcessorBlock;
use crate::template::provisioner::ProvisionerBlock;
use crate::template::source_map::{FileId, SourceMap, Span};

/// A kind of component with the options of one place in the template.
struct Component<T: ?Sized + 'static> {
    kind: &'static ComponentType<T>,
    body: ConfigBody,
}

impl<T: ?Sized> Component<T> {
    /// A kind, and whether it can run.
    fn find(registry: &Registry<T>, kind: &str, body: &ConfigBody) -> Result<(Self, bool), Box<Diagnostic>> {
        let found = registry.find(kind).map_err(|diagnostic| Box::new(diagnostic.or_at(body.header())))?;
        Ok((Self { kind: found.component, body: body.clone() }, found.runs))
    }

    /// A kind that can run.
    fn running(registry: &Registry<T>, kind: &str, body: &ConfigBody) -> Result<Self, Box<Diagnostic>> {
        match Self::find(registry, kind, body)? {
            (component, true) => Ok(component),
            (_, false) => Err(Box::new(registry.not_built(kind, true).at(body.header()))),
        }
    }

    fn prepare(&self, env: &DecodeEnv) -> Prepared<T> {
        let (body, mut diagnostics) = self.body.evaluate(env);
        let interpolate = self.body.interpolate_context(env);
        let context =
            DecodeContext { owner: self.body.owner(), interpolate: &interpolate, secrets: self.body.secrets() };
        let mut prepared = (self.kind.prepare)(&body, context);
        diagnostics.extend(std::mem::take(&mut prepared.diagnostics));
        Prepared { component: prepared.component.filter(|_| !diagnostics.has_errors()), diagnostics }
    }
}

/// Whether components are to run, or only to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// They are to run: a component that cannot run yet is an error.
    Run,
    /// They are looked at: of a component that cannot run yet there is a warning.
    Look,
}

/// Checks the options of every component of the plan that is to run, with the `build.*` values unknown.
pub(super) fn check(plan: &Plan) -> Diagnostics {
    check_for(plan, Purpose::Run)
}

/// Checks the options of every component of the plan, with the `build.*` values unknown.
pub(super) fn check_for(plan: &Plan, purpose: Purpose) -> Diagnostics {
    let mut check = Check { purpose, not_built: BTreeSet::new(), told: BTreeSet::new(), found: Diagnostics::default() };
    for build in &plan.builds {
        let env = environment(build, BuildValues::NotKnownYet, BTreeMap::new());
        check.one(&builder::REGISTRY, &build.source.builder_type, &build.source.body, &env);
        for block in build.provisioners.iter().chain(&build.error_cleanup) {
            let env = with_overrides(block, build, env.clone());
            check.one(&provisioner::REGISTRY, &block.kind, &block.body, &env);
        }
        for block in build.post_processors.iter().flatten() {
            check.one(&post_processor::REGISTRY, &block.kind, &block.body, &env);
        }
    }
    check.found
}

/// A check of many components.
struct Check {
    purpose: Purpose,
    /// Kinds that cannot run yet and have been told of: one place is enough.
    not_built: BTreeSet<(&'static str, &'static str)>,
    /// What has been told, and of which place: components that are in several builds are told of once.
    told: BTreeSet<(String, FileId, usize)>,
    found: Diagnostics,
}

impl Check {
    fn one<T: ?Sized>(&mut self, registry: &Registry<T>, kind: &str, body: &ConfigBody, env: &DecodeEnv) {
        let (component, runs) = match Component::find(registry, kind, body) {
            Ok(found) => found,
            Err(diagnostic) => return self.tell(*diagnostic),
        };
        let diagnostics = component.prepare(env).diagnostics;
        if !runs && !diagnostics.has_errors() && self.not_built.insert((registry.what, component.kind.kind)) {
            self.found.push(registry.not_built(kind, self.purpose == Purpose::Run).at(body.header()));
        }
        diagnostics.into_iter().for_each(|diagnostic| self.tell(diagnostic));
    }

    fn tell(&mut self, diagnostic: Diagnostic) {
        let is_new = |span: Span| self.told.insert((diagnostic.summary.clone(), span.file, span.start));
        if diagnostic.span.is_none_or(is_new) {
            self.found.push(diagnostic);
        }
    }
}

fn environment(build: &BuildPlan, values: BuildValues, data: BTreeMap<String, String>) -> DecodeEnv {
    DecodeEnv {
        builder_type: Some(build.source.builder_type.clone()),
        source_name: Some(build.source.local_name.clone()),
        declared_name: Some(build.source.name.clone()),
        build_name: build.source.build_name.clone(),
        build: values,
        data,
        overrides: None,
    }
}

fn with_overrides(block: &ProvisionerBlock, build: &BuildPlan, env: DecodeEnv) -> DecodeEnv {
    let own = block.overrides.get(&build.source.short_id()).or_else(|| block.overrides.get(&build.source.local_name));
    DecodeEnv { overrides: own.cloned(), ..env }
}

/// Makes the builder of a build.
pub(super) fn builder(build: &BuildPlan, sources: &SourceMap) -> Result<Box<dyn PreparedBuilder>> {
    let env = environment(build, BuildValues::NotKnownYet, BTreeMap::new());
    let component = Component::running(&builder::REGISTRY, &build.source.builder_type, &build.source.body)
        .map_err(|diagnostic| one(&diagnostic, sources))?;
    made(component.prepare(&env), component.body.owner(), sources)
}

/// A provisioner of a build, made when it runs.
pub(super) fn provisioner(block: &ProvisionerBlock, build: &BuildPlan, sources: &Arc<SourceMap>) -> ProvisionerJob {
    let (kind, body) = (block.kind.clone(), block.body.clone());
    let (env, sources) =
        (with_overrides(block, build, environment(build, BuildValues::NotKnownYet, BTreeMap::new())), sources.clone());
    let make: Make<dyn crate::engine::component::Provisioner> =
        Arc::new(move |generated| make(&provisioner::REGISTRY, &kind, &body, &env, generated, &sources));
    ProvisionerJob {
        label: label(&block.kind, block.name.as_deref()),
        pause_before: block.pause_before,
        max_retries: block.max_retries,
        timeout: block.timeout,
        continue_on_error: block.continue_on_error,
        make,
    }
}

/// A post-processor of a build, made when it runs.
pub(super) fn post_processor(
    block: &PostProcessorBlock,
    build: &BuildPlan,
    sources: &Arc<SourceMap>,
) -> PostProcessorJob {
    let (kind, body) = (block.kind.clone(), block.body.clone());
    let (env, sources) = (environment(build, BuildValues::NotKnownYet, BTreeMap::new()), sources.clone());
    let make: Make<dyn crate::engine::component::PostProcessor> =
        Arc::new(move |generated| make(&post_processor::REGISTRY, &kind, &body, &env, generated, &sources));
    PostProcessorJob { label: label(&block.kind, block.name.as_deref()), keep_input: block.keep_input_artifact, make }
}

fn label(kind: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name != kind => format!("{kind} ({name})"),
        _ => kind.to_owned(),
    }
}

fn make<T: ?Sized>(
    registry: &Registry<T>,
    kind: &str,
    body: &ConfigBody,
    env: &DecodeEnv,
    generated: &Generated,
    sources: &SourceMap,
) -> Result<Box<T>> {
    let component = Component::running(registry, kind, body).map_err(|diagnostic| one(&diagnostic, sources))?;
    let env = DecodeEnv { build: BuildValues::Known(generated.clone()), data: generated.clone(), ..env.clone() };
    made(component.prepare(&env), body.owner(), sources)
}

/// The component, or the first thing that is wrong with its options.
fn made<T: ?Sized>(prepared: Prepared<T>, owner: &str, sources: &SourceMap) -> Result<Box<T>> {
    if let Some(diagnostic) = prepared.diagnostics.errors().next() {
        return Err(one(diagnostic, sources));
    }
    prepared.component.ok_or_else(|| {
        Error::new(format!("{owner} has an option whose value is not known when it runs"))
            .hint("use only `build.*` values that the builder and communicator provide")
    })
}

fn one(diagnostic: &Diagnostic, sources: &SourceMap) -> Error {
    Error::new(diagnostic.one_line(sources))
}
