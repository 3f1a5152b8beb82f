//! From the components a plan names to components that run.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::builder::{self, PreparedBuilder};
use crate::engine::job::{Generated, Make, PostProcessorJob, ProvisionerJob};
use crate::engine::registry::{ComponentType, Prepared};
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
use crate::template::source_map::SourceMap;

/// Finds a kind of component.
type Find<T> = fn(&str) -> Result<&'static ComponentType<T>, Box<Diagnostic>>;

/// A kind of component with the options of one place in the template.
struct Component<T: ?Sized + 'static> {
    kind: &'static ComponentType<T>,
    body: ConfigBody,
}

impl<T: ?Sized> Component<T> {
    fn find(find: Find<T>, kind: &str, body: &ConfigBody) -> Result<Self, Box<Diagnostic>> {
        let kind = find(kind).map_err(|diagnostic| Box::new(diagnostic.or_at(body.header())))?;
        Ok(Self { kind, body: body.clone() })
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

/// Checks the options of every component of the plan, with the `build.*` values unknown.
pub(super) fn check(plan: &Plan) -> Diagnostics {
    let mut found = Diagnostics::default();
    for build in &plan.builds {
        let env = environment(build, BuildValues::NotKnownYet, BTreeMap::new());
        check_one(builder::find, &build.source.builder_type, &build.source.body, &env, &mut found);
        for block in build.provisioners.iter().chain(&build.error_cleanup) {
            let env = with_overrides(block, build, env.clone());
            check_one(provisioner::find, &block.kind, &block.body, &env, &mut found);
        }
        for block in build.post_processors.iter().flatten() {
            check_one(post_processor::find, &block.kind, &block.body, &env, &mut found);
        }
    }
    found
}

fn check_one<T: ?Sized>(find: Find<T>, kind: &str, body: &ConfigBody, env: &DecodeEnv, found: &mut Diagnostics) {
    match Component::find(find, kind, body) {
        Ok(component) => found.extend(component.prepare(env).diagnostics),
        Err(diagnostic) => found.push(*diagnostic),
    }
}

fn environment(build: &BuildPlan, values: BuildValues, data: BTreeMap<String, String>) -> DecodeEnv {
    DecodeEnv {
        builder_type: Some(build.source.builder_type.clone()),
        source_name: Some(build.source.local_name.clone()),
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
    let component = Component::find(builder::find, &build.source.builder_type, &build.source.body)
        .map_err(|diagnostic| one(&diagnostic, sources))?;
    made(component.prepare(&env), component.body.owner(), sources)
}

/// A provisioner of a build, made when it runs.
pub(super) fn provisioner(block: &ProvisionerBlock, build: &BuildPlan, sources: &Arc<SourceMap>) -> ProvisionerJob {
    let (kind, body) = (block.kind.clone(), block.body.clone());
    let (env, sources) =
        (with_overrides(block, build, environment(build, BuildValues::NotKnownYet, BTreeMap::new())), sources.clone());
    let make: Make<dyn crate::engine::component::Provisioner> =
        Arc::new(move |generated| make(provisioner::find, &kind, &body, &env, generated, &sources));
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
        Arc::new(move |generated| make(post_processor::find, &kind, &body, &env, generated, &sources));
    PostProcessorJob { label: label(&block.kind, block.name.as_deref()), keep_input: block.keep_input_artifact, make }
}

fn label(kind: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name != kind => format!("{kind} ({name})"),
        _ => kind.to_owned(),
    }
}

fn make<T: ?Sized>(
    find: Find<T>,
    kind: &str,
    body: &ConfigBody,
    env: &DecodeEnv,
    generated: &Generated,
    sources: &SourceMap,
) -> Result<Box<T>> {
    let component = Component::find(find, kind, body).map_err(|diagnostic| one(&diagnostic, sources))?;
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
