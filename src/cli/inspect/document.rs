//! What a template consists of, for programs.

use serde::Serialize;

use crate::template::build::Build;
use crate::template::hcl::convert::to_json;
use crate::template::hcl::value::Value;
use crate::template::post_processor::PostProcessorBlock;
use crate::template::provisioner::ProvisionerBlock;
use crate::template::source::BuildSource;
use crate::template::{Language, Template};

/// A template. `docs/reference/inspect.md` describes the fields.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    version: u32,
    /// `hcl2`, or `json` for a legacy template.
    language: &'static str,
    variables: Vec<Variable<'a>>,
    locals: Vec<Local<'a>>,
    required_plugins: Vec<Plugin<'a>>,
    builds: Vec<BuildShown<'a>>,
}

#[derive(Debug, Serialize)]
struct Variable<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: String,
    description: &'a str,
    /// Whether a value must be given.
    required: bool,
    sensitive: bool,
    /// Whether its value was given, and is not the default.
    given: bool,
    /// Absent if there is none, it is not known, or something in it is sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct Local<'a> {
    name: &'a str,
    sensitive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct Plugin<'a> {
    name: &'a str,
    source: &'a str,
    version: &'a str,
}

#[derive(Debug, Serialize)]
struct BuildShown<'a> {
    name: Option<&'a str>,
    description: &'a str,
    sources: Vec<SourceShown<'a>>,
    provisioners: Vec<Component<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_cleanup_provisioner: Option<Component<'a>>,
    post_processors: Vec<Vec<Component<'a>>>,
}

#[derive(Debug, Serialize)]
struct SourceShown<'a> {
    #[serde(rename = "type")]
    builder_type: &'a str,
    name: &'a str,
    /// What `-only` and `-except` match.
    id: String,
}

#[derive(Debug, Serialize)]
struct Component<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    only: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    except: &'a [String],
}

impl<'a> Document<'a> {
    /// All of a template.
    pub(super) fn of(template: &'a Template) -> Self {
        let variables = template.variables.values().map(|variable| Variable {
            name: &variable.name,
            ty: variable.ty.to_string(),
            description: &variable.description,
            required: variable.default.is_none(),
            sensitive: variable.sensitive,
            given: variable.given.is_some(),
            default: variable.default.as_ref().filter(|_| !variable.sensitive).and_then(shown),
            value: shown(&variable.value),
        });
        let locals = template.locals.iter().map(|(name, value)| Local {
            name,
            sensitive: value.contains_sensitive(),
            value: shown(value),
        });
        let plugins = template.required_plugins.iter().map(|plugin| Plugin {
            name: &plugin.name,
            source: &plugin.source,
            version: &plugin.version,
        });
        Self {
            version: 1,
            language: match template.language {
                Language::Hcl2 => "hcl2",
                Language::LegacyJson => "json",
            },
            variables: variables.collect(),
            locals: locals.collect(),
            required_plugins: plugins.collect(),
            builds: template.builds.iter().map(BuildShown::of).collect(),
        }
    }
}

/// The value, if it is known and may be shown.
fn shown(value: &Value) -> Option<serde_json::Value> {
    if value.contains_sensitive() || !value.is_wholly_known() { None } else { to_json(value).ok() }
}

impl<'a> BuildShown<'a> {
    fn of(build: &'a Build) -> Self {
        let source = |source: &'a BuildSource| SourceShown {
            builder_type: &source.builder_type,
            name: source.legacy_name.as_deref().unwrap_or(&source.local_name),
            id: source.id(),
        };
        let chain = |chain: &'a Vec<PostProcessorBlock>| chain.iter().map(Component::post_processor).collect();
        Self {
            name: build.name.as_deref(),
            description: &build.description,
            sources: build.sources.iter().map(source).collect(),
            provisioners: build.provisioners.iter().map(Component::provisioner).collect(),
            error_cleanup_provisioner: build.error_cleanup.as_ref().map(Component::provisioner),
            post_processors: build.post_processors.iter().map(chain).collect(),
        }
    }
}

impl<'a> Component<'a> {
    fn provisioner(block: &'a ProvisionerBlock) -> Self {
        Self { kind: &block.kind, name: block.name.as_deref(), only: &block.only, except: &block.except }
    }

    fn post_processor(block: &'a PostProcessorBlock) -> Self {
        Self { kind: &block.kind, name: block.name.as_deref(), only: &block.only, except: &block.except }
    }
}
