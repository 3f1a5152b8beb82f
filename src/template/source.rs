//! Sources: what to build from, declared at the top and used in builds.

use super::body::ConfigBody;
use super::diagnostic::Diagnostic;
use super::hcl::syntax::ast::Block;
use super::source_map::Span;

/// A `source "type" "name"` block, before its body is bound to a scope.
#[derive(Clone, Debug)]
pub(crate) struct SourceBlock {
    pub(crate) builder_type: String,
    pub(crate) name: String,
    pub(crate) block: Block,
}

/// A declared source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Type of its builder.
    pub builder_type: String,
    /// Its name.
    pub name: String,
    /// Its options.
    pub body: ConfigBody,
    /// Where it is declared.
    pub span: Span,
}

/// A source as used by a build.
#[derive(Clone, Debug)]
pub struct BuildSource {
    /// Type of its builder.
    pub builder_type: String,
    /// Name that the source is declared by: `PACKER_BUILD_NAME`, and `{{ build_name }}` of Go templates.
    pub name: String,
    /// Name in this build: `source.name`, and what `only` and `except` have; the source's unless the build gives another.
    pub local_name: String,
    /// Name of the build block.
    pub build_name: Option<String>,
    /// In a legacy template the name as written, before Go templates in it are rendered: what `only`, `except` and
    /// `override` there have.
    pub legacy_name: Option<String>,
    /// Its options.
    pub body: ConfigBody,
    /// Where the build uses it.
    pub span: Span,
}

impl BuildSource {
    /// `type.name`, or the name as written in a legacy template, as `only` and `except` in a template have it.
    pub fn short_id(&self) -> String {
        match &self.legacy_name {
            Some(name) => name.clone(),
            None => format!("{}.{}", self.builder_type, self.local_name),
        }
    }

    /// `[build.]type.name`, or the name in a legacy template, as the command line's `-only` and `-except` match it.
    pub fn id(&self) -> String {
        match (&self.legacy_name, &self.build_name) {
            (Some(_), _) => self.local_name.clone(),
            (None, Some(build)) => format!("{build}.{}", self.short_id()),
            (None, None) => self.short_id(),
        }
    }
}

/// Reads the labels of a source block.
pub(crate) fn parse(block: &Block) -> Result<SourceBlock, Diagnostic> {
    match block.labels.as_slice() {
        [builder_type, name] => Ok(SourceBlock {
            builder_type: builder_type.text.to_string(),
            name: name.text.to_string(),
            block: block.clone(),
        }),
        _ => Err(Diagnostic::error("a source needs a type and a name")
            .at(block.header)
            .hint("write source \"type\" \"name\" { … }")),
    }
}

/// Type and name in a reference such as `source.null.web`, `null.web`.
pub(crate) fn parse_reference(text: &str) -> Option<(String, String)> {
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        [builder_type, name] | ["source" | "sources", builder_type, name] => {
            Some(((*builder_type).to_owned(), (*name).to_owned()))
        }
        _ => None,
    }
}
