//! `larder inspect`: what a template consists of.

use super::Env;
use super::args::InspectArgs;
use super::console::Console;
use super::template::Reading;
use crate::error::{Context as _, Result};
use crate::template::build::Build;
use crate::template::hcl::convert::to_json;
use crate::template::hcl::value::Value;

/// Prints variables, locals and builds.
pub(super) fn run(args: &InspectArgs, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: false };
    let (template, _) = reading.template(console)?;
    console.line("Packer Inspect: HCL2 mode\n")?;
    console.line("> input-variables:\n")?;
    for (name, variable) in &template.variables {
        console.line(&format!("var.{name}: {}", shown(&variable.value, variable.sensitive)))?;
    }
    console.line("\n> local-variables:\n")?;
    for (name, value) in &template.locals {
        console.line(&format!("local.{name}: {}", shown(value, false)))?;
    }
    console.line("\n> builds:\n")?;
    for (index, build) in template.builds.iter().enumerate() {
        console.line(&build_lines(index, build))?;
    }
    Ok(())
}

fn shown(value: &Value, sensitive: bool) -> String {
    if sensitive || value.is_sensitive() {
        return "\"<sensitive>\"".to_owned();
    }
    to_json(value).map_or_else(|_| "<unknown>".to_owned(), |json| json.to_string())
}

fn build_lines(index: usize, build: &Build) -> String {
    let mut lines = vec![match &build.name {
        Some(name) => format!("  > {name}:"),
        None => format!("  > <unnamed build {index}>:"),
    }];
    if !build.description.is_empty() {
        lines.push(format!("\n  > Description: {}", build.description));
    }
    lines.push("\n    sources:\n".to_owned());
    lines.extend(build.sources.iter().map(|source| format!("      {}", source.short_id())));
    lines.push("\n    provisioners:\n".to_owned());
    lines.extend(build.provisioners.iter().map(|block| format!("      {}", named(&block.kind, block.name.as_deref()))));
    if build.provisioners.is_empty() {
        lines.push("      <no provisioner>".to_owned());
    }
    lines.push("\n    post-processors:\n".to_owned());
    for (index, chain) in build.post_processors.iter().enumerate() {
        lines.push(format!("      {index}:"));
        lines.extend(chain.iter().map(|block| format!("        {}", named(&block.kind, block.name.as_deref()))));
    }
    if build.post_processors.is_empty() {
        lines.push("      <no post-processor>".to_owned());
    }
    lines.join("\n")
}

fn named(kind: &str, name: Option<&str>) -> String {
    name.map_or_else(|| kind.to_owned(), |name| format!("{kind} ({name})"))
}
