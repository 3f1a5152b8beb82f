//! The option `output`: the name of a file, with Packer's template engine in it.

use std::path::PathBuf;

use crate::engine::component::Context;
use crate::error::{Error, Result};
use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostic;
use crate::template::go::engine::{self, InterpolateContext};

/// What is wrong with the template `output`, in which the build's name and type and the values `more` will be known.
pub(super) fn check<C>(decoded: &Decoded<C>, output: &str, more: &[&str]) -> Option<Diagnostic> {
    let mut with = InterpolateContext::default();
    for name in ["BuildName", "BuilderType"].iter().chain(more) {
        with.data.insert((*name).to_owned(), "x".to_owned());
    }
    match engine::render(output, &with) {
        Ok(_) => None,
        Err(error) if error.is_not_known_yet() => None,
        Err(error) => Some(
            decoded
                .error("output", "cannot render the template in `output`")
                .detail(error.to_string())
                .hint(error.hint()),
        ),
    }
}

/// The file that `output` names for a build.
pub(super) fn render(
    output: &str,
    engine: &InterpolateContext,
    context: &Context,
    more: &[(&str, &str)],
) -> Result<PathBuf> {
    let mut with = engine.clone();
    let build = [("BuildName", context.build_name.as_str()), ("BuilderType", context.builder_type.as_str())];
    for (name, value) in build.iter().chain(more) {
        with.data.insert((*name).to_owned(), (*value).to_owned());
    }
    engine::render(output, &with)
        .map(PathBuf::from)
        .map_err(|error| Error::new(format!("cannot render `output`: {error}")).hint(error.hint()))
}
