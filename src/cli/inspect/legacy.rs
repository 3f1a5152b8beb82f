//! Legacy templates as Packer shows them. Nothing is evaluated.

use super::Output;
use crate::error::Result;
use crate::template::Template;
use crate::template::hcl::value::Value;

const NOTE: &str = "\nNote: If your build names contain user variables or template\n\
functions such as 'timestamp', these are processed at build time,\n\
and therefore only show in their raw form here.";

/// Says everything as written.
pub(super) fn say(template: &Template, out: &Output<'_>) -> Result<()> {
    out.say("Packer Inspect: JSON mode")?;
    let build = template.builds.first();
    if let Some(description) = build.map(|build| &build.description).filter(|text| !text.is_empty()) {
        out.say("Description:\n")?;
        out.say(&format!("{description}\n"))?;
    }
    variables(template, out)?;
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

fn variables(template: &Template, out: &Output<'_>) -> Result<()> {
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
