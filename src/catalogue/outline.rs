//! What a template would do: builds, their steps, what they download as far as their options tell, where images go.

use crate::plan::{BuildPlan, Plan};
use crate::template::body::DecodeEnv;
use crate::template::config::{Content, EvaluatedBody};
use crate::template::go::engine::{self, BuildValues, InterpolateContext};

/// One build of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOutline {
    /// Its id, as `-only` takes it.
    pub id: String,
    /// Kind of its builder.
    pub builder: String,
    /// What happens, in order: the builder, provisioners, post-processors.
    pub steps: Vec<String>,
    /// What it begins with that has to be fetched.
    pub downloads: Vec<String>,
    /// Where the image goes.
    pub output: Option<String>,
    /// How long it will take, in seconds, by how long it took; `None` if it has not been built before.
    pub seconds: Option<u32>,
}

/// Options of builders that name what is made, the most telling first.
const OUTPUTS: [&str; 5] = ["output", "target", "output_filename", "output_directory", "export_path"];

/// Options of builders that name what is begun with.
const BASES: [&str; 6] = ["base", "iso_url", "iso_urls", "image", "source_path", "rootfs_url"];

/// The builds of a plan.
pub(super) fn builds(plan: &Plan) -> Vec<BuildOutline> {
    plan.builds.iter().map(outline).collect()
}

fn outline(build: &BuildPlan) -> BuildOutline {
    let source = &build.source;
    let env = DecodeEnv {
        builder_type: Some(source.builder_type.clone()),
        source_name: Some(source.local_name.clone()),
        declared_name: Some(source.name.clone()),
        build_name: source.build_name.clone(),
        build: BuildValues::NotKnownYet,
        ..DecodeEnv::default()
    };
    let context = source.body.interpolate_context(&env);
    let (body, _) = source.body.evaluate(&env);
    let mut steps = vec![source.builder_type.clone()];
    steps.extend(build.provisioners.iter().map(|block| label(&block.kind, block.name.as_deref())));
    steps.extend(build.post_processors.iter().flatten().map(|block| label(&block.kind, block.name.as_deref())));
    BuildOutline {
        id: build.id.clone(),
        builder: source.builder_type.clone(),
        steps,
        downloads: downloads(&body, &context),
        output: OUTPUTS.iter().find_map(|name| texts(&body, name, &context).into_iter().next()),
        seconds: None,
    }
}

fn label(kind: &str, name: Option<&str>) -> String {
    match name {
        Some(name) if name != kind => format!("{kind} ({name})"),
        _ => kind.to_owned(),
    }
}

fn downloads(body: &EvaluatedBody, context: &InterpolateContext) -> Vec<String> {
    let named = BASES.iter().flat_map(|name| texts(body, name, context).into_iter().map(move |text| (*name, text)));
    let mut found: Vec<String> =
        named.filter(|(name, text)| *name == "image" || text.contains("://")).map(|(_, text)| text).collect();
    for (name, block) in blocks(body) {
        if name == "debian" {
            let suite = texts(block, "suite", context).into_iter().find(|suite| !suite.is_empty());
            found.push(match suite {
                Some(suite) => format!("packages of {suite}"),
                None => "packages of the host's own suite".to_owned(),
            });
        }
    }
    found
}

/// The texts an option is set to, if it is known. Nothing that is sensitive.
fn texts(body: &EvaluatedBody, name: &str, context: &InterpolateContext) -> Vec<String> {
    let values = body.entries.iter().filter(|entry| entry.name == name).filter_map(|entry| match &entry.item.content {
        Content::Value(value) if !value.contains_sensitive() => Some(value),
        _ => None,
    });
    let each = values.flat_map(|value| match value.elements() {
        Some(elements) => elements.iter().filter_map(|element| element.as_str()).collect::<Vec<_>>(),
        None => value.as_str().into_iter().collect(),
    });
    each.map(|text| engine::render(text, context).unwrap_or_else(|_| text.to_owned())).collect()
}

fn blocks(body: &EvaluatedBody) -> impl Iterator<Item = (&str, &EvaluatedBody)> {
    body.entries.iter().filter_map(|entry| match &entry.item.content {
        Content::Block(block) => Some((entry.name.as_str(), block)),
        Content::Value(_) | Content::Blocks(_) => None,
    })
}
