//! `larder inspect`: what a template consists of, in Packer's two forms: for people and `-machine-readable`.

use super::Env;
use super::args::InspectArgs;
use super::console::Console;
use super::settings::Settings;
use super::template::Reading;
use crate::error::{Context as _, Result};
use crate::template::build::Build;
use crate::template::hcl::convert::to_json;
use crate::template::hcl::value::Value;
use crate::template::{Language, Template};

/// Prints variables, locals and builds.
pub(super) fn run(args: &InspectArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: false, settings: Some(settings) };
    let (template, _) = reading.template(console)?;
    let out = Output { console };
    match template.language {
        Language::Hcl2 => hcl2(&template, &out),
        Language::LegacyJson => legacy(&template, &out),
    }
}

/// Where things are said; what is for people is a line of data too where programs read.
struct Output<'a> {
    console: &'a Console,
}

impl Output<'_> {
    fn say(&self, text: &str) -> Result<()> {
        self.console.line(text)
    }

    /// A line for programs alone.
    fn machine(&self, category: &str, data: &[&str]) -> Result<()> {
        if self.console.machine { self.console.machine_line(category, data) } else { Ok(()) }
    }
}

fn hcl2(template: &Template, out: &Output<'_>) -> Result<()> {
    out.say("Packer Inspect: HCL2 mode\n")?;
    out.say("> input-variables:\n")?;
    for (name, variable) in &template.variables {
        out.say(&format!("var.{name}: {}", shown(&variable.value, variable.sensitive)))?;
    }
    out.say("\n> local-variables:\n")?;
    for (name, value) in &template.locals {
        out.say(&format!("local.{name}: {}", shown(value, false)))?;
    }
    out.say("\n> builds:\n")?;
    for (index, build) in template.builds.iter().enumerate() {
        out.say(&build_lines(index, build))?;
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

const NOTE: &str = "\nNote: If your build names contain user variables or template\n\
functions such as 'timestamp', these are processed at build time,\n\
and therefore only show in their raw form here.";

/// Everything as written: nothing is evaluated.
fn legacy(template: &Template, out: &Output<'_>) -> Result<()> {
    out.say("Packer Inspect: JSON mode")?;
    let build = template.builds.first();
    if let Some(description) = build.map(|build| &build.description).filter(|text| !text.is_empty()) {
        out.say("Description:\n")?;
        out.say(&format!("{description}\n"))?;
    }
    legacy_variables(template, out)?;
    out.say("Builders:\n")?;
    let sources = build.map(|build| build.sources.as_slice()).unwrap_or_default();
    if sources.is_empty() {
        out.say("  <No builders>")?;
    }
    let width = sources.iter().map(|source| source.name.len()).max().unwrap_or(0);
    for source in sources {
        let (name, kind) = (&source.name, &source.builder_type);
        out.machine("template-builder", &[name, kind])?;
        let named = if name == kind { String::new() } else { format!(" ({kind})") };
        out.say(&format!("  {name}{}{named}", " ".repeat(width - name.len())))?;
    }
    out.say("")?;
    out.say("Provisioners:\n")?;
    let provisioners = build.map(|build| build.provisioners.as_slice()).unwrap_or_default();
    if provisioners.is_empty() {
        out.say("  <No provisioners>")?;
    }
    for provisioner in provisioners {
        out.machine("template-provisioner", &[&provisioner.kind])?;
        out.say(&format!("  {}", provisioner.kind))?;
    }
    out.say(NOTE)
}

fn legacy_variables(template: &Template, out: &Output<'_>) -> Result<()> {
    let variables = &template.variables;
    if variables.is_empty() {
        out.say("Variables:\n")?;
        out.say("  <No variables>")?;
        return out.say("");
    }
    // A value that is secret under one name is no less so under another.
    let text = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    let secrets: Vec<String> = variables.values().filter(|one| one.sensitive).map(|one| text(&one.default)).collect();
    let required = |name: &str| variables[name].default.is_none();
    if variables.keys().any(|name| required(name)) {
        out.say("Required variables:\n")?;
        for name in variables.keys().filter(|name| required(name)) {
            let default = if variables[name].sensitive { "<sensitive>" } else { "" };
            out.machine("template-variable", &[name, default, "1"])?;
            out.say(&format!("  {name}"))?;
        }
        out.say("")?;
    }
    out.say("Optional variables and their defaults:\n")?;
    let width = variables.keys().map(String::len).max().unwrap_or(0);
    for (name, variable) in variables.iter().filter(|(name, _)| !required(name)) {
        let mut default = text(&variable.default);
        if variable.sensitive || (!default.is_empty() && secrets.contains(&default)) {
            "<sensitive>".clone_into(&mut default);
        }
        out.machine("template-variable", &[name, &default, "0"])?;
        out.say(&format!("  {name}{} = {default}", " ".repeat(width - name.len())))?;
    }
    out.say("")
}
