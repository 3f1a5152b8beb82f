//! HCL2 templates as Packer shows them.

use std::fmt::Write as _;

use crate::template::Template;
use crate::template::build::Build;
use crate::template::hcl::show::{quote, show};
use crate::template::hcl::value::Value;

/// Variables and locals, as `inspect` and the word `variables` of the console show them.
pub(in crate::cli) fn values(template: &Template) -> String {
    let mut text = "> input-variables:\n\n".to_owned();
    for (name, variable) in &template.variables {
        value("var", name, &variable.value, &mut text);
    }
    text.push_str("\n> local-variables:\n\n");
    for (name, local) in &template.locals {
        value("local", name, local, &mut text);
    }
    text
}

/// As Packer has it: what the console shows, in quotes.
fn value(root: &str, name: &str, value: &Value, text: &mut String) {
    let _ = write!(text, "{root}.{name}: ");
    quote(&show(value), text);
    text.push('\n');
}

/// The builds.
pub(super) fn builds(template: &Template) -> String {
    let mut text = "> builds:\n".to_owned();
    for (index, build) in template.builds.iter().enumerate() {
        one(index, build, &mut text);
    }
    text
}

fn one(index: usize, build: &Build, text: &mut String) {
    let _ = match &build.name {
        Some(name) => writeln!(text, "\n  > {name}:"),
        None => writeln!(text, "\n  > <unnamed build {index}>:"),
    };
    if !build.description.is_empty() {
        let _ = writeln!(text, "\n  > Description: {}", build.description);
    }
    text.push_str("\n    sources:\n");
    for source in &build.sources {
        let _ = writeln!(text, "\n      {}.{}", source.builder_type, source.name);
    }
    if build.sources.is_empty() {
        text.push_str("\n      <no source>\n");
    }
    text.push_str("\n    provisioners:\n\n");
    for block in &build.provisioners {
        let _ = writeln!(text, "      {}", named(&block.kind, block.name.as_deref()));
    }
    if build.provisioners.is_empty() {
        text.push_str("      <no provisioner>\n");
    }
    text.push_str("\n    post-processors:\n");
    for (index, chain) in build.post_processors.iter().enumerate() {
        let _ = writeln!(text, "\n      {index}:");
        for block in chain {
            let _ = writeln!(text, "        {}", named(&block.kind, block.name.as_deref()));
        }
    }
    if build.post_processors.is_empty() {
        text.push_str("\n      <no post-processor>\n");
    }
}

fn named(kind: &str, name: Option<&str>) -> String {
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind}.{name}"))
}
