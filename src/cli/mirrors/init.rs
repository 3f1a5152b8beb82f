//! `larder mirrors init`: a mirror map proposed from what the host's tools are set to.

use larder_proxy::store;
use serde_json::{Value, json};

use super::host::public::{Ecosystem, Names};
use super::host::{Found, Machine, Proposal, survey};
use super::write;
use crate::cli::Env;
use crate::cli::args::MirrorsInitArgs;
use crate::cli::console::Console;
use crate::cli::proxy_config::rules;
use crate::cli::settings::Settings;
use crate::cli::settings::mirrors::Secret;
use crate::error::Result;

pub(super) fn run(args: &MirrorsInitArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    let home = env.get("HOME").filter(|home| home.starts_with('/')).cloned();
    let machine = Machine { root: &args.root, home, env };
    let cache = &settings.cache_dir.value;
    let urls = store::urls(cache).unwrap_or_else(|error| {
        console.note(&format!("the cache at {} says no public names: {error}", cache.display()));
        Vec::new()
    });
    let found = survey(&machine, Names::new(&args.public, &urls, &rules(settings)?));
    let nameless: Vec<&Proposal> = found.proposals.iter().filter(|one| one.public.is_empty()).collect();
    let names = by_name(&found.proposals);
    let file = &settings.files.user;
    let written = if args.write { Some(write::add(file, &names)?) } else { None };
    if args.json.json {
        return console.json(&as_json(&found, written.as_ref(), file));
    }
    let text = match &written {
        None => proposed(&names, &nameless)?,
        Some(done) => told(done, &nameless, file).join("\n"),
    };
    console.line(&text)?;
    for remark in &found.remarks {
        console.note(&format!("{} ({}): {}", remark.tool, remark.source, remark.text));
    }
    let variables = variables(&names);
    if !variables.is_empty() {
        console.note(&format!("To be set before Larder is run: {}", variables.join(", ")));
    }
    if written.is_none() && !names.is_empty() {
        let word = if settings.mirrors.value.is_empty() { "put this into" } else { "add what is missing to" };
        console.note(&format!("`larder mirrors init --write` would {word} {}", file.display()));
    }
    Ok(())
}

/// The mirror map as it would be in the settings file, and after it what lacks a public name.
fn proposed(names: &[(String, Vec<&Proposal>)], nameless: &[&Proposal]) -> Result<String> {
    if names.is_empty() && nameless.is_empty() {
        return Ok("No tool here is set to a mirror, so there is nothing to propose.".to_owned());
    }
    let texts = std::iter::once(write::new_text(names)?).chain(nameless.iter().map(|one| write::comment(one)));
    let texts: Vec<String> = texts.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect();
    Ok(texts.join("\n\n"))
}

/// What is proposed for each public name, in the order found; a mirror that two tools name is there once.
fn by_name(proposals: &[Proposal]) -> Vec<(String, Vec<&Proposal>)> {
    let mut names: Vec<(String, Vec<&Proposal>)> = Vec::new();
    for proposal in proposals {
        for public in &proposal.public {
            match names.iter_mut().find(|(name, _)| name == public) {
                None => names.push((public.clone(), vec![proposal])),
                Some((_, mirrors)) if mirrors.iter().any(|known| known.mirror.url == proposal.mirror.url) => {}
                Some((_, mirrors)) => mirrors.push(proposal),
            }
        }
    }
    names
}

/// Variables that the settings refer to.
fn variables(names: &[(String, Vec<&Proposal>)]) -> Vec<String> {
    let all = names.iter().flat_map(|(_, mirrors)| mirrors);
    let secrets = all.flat_map(|proposal| [&proposal.mirror.password, &proposal.mirror.token]).flatten();
    let mut found: Vec<String> = secrets
        .filter_map(|secret| match secret {
            Secret::Env(name) => Some(name.clone()),
            Secret::File(_) => None,
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn told(done: &write::Done, nameless: &[&Proposal], file: &std::path::Path) -> Vec<String> {
    let mut lines = Vec::new();
    if done.added.is_empty() {
        lines.push(format!("{} has nothing to be added", file.display()));
    } else {
        lines.push(format!("Added to {}:", file.display()));
        lines.extend(done.added.iter().map(|name| format!("  {name}")));
    }
    if !done.kept.is_empty() {
        lines.push(format!("Kept as they were: {}", done.kept.join(", ")));
    }
    if !nameless.is_empty() {
        lines.push("Left out, because nothing says which public names they stand in for:".to_owned());
        lines.extend(nameless.iter().filter_map(|proposal| {
            let (tool, place) = (proposal.tool, &proposal.source);
            Some(format!("  {tool} ({place}): say so with {}", proposal.asks_for()?))
        }));
    }
    lines
}

fn as_json(found: &Found, written: Option<&write::Done>, file: &std::path::Path) -> Value {
    let proposals = found.proposals.iter().map(|proposal| {
        json!({
            "public": Some(&proposal.public).filter(|names| !names.is_empty()),
            "ecosystem": proposal.ecosystem.map(Ecosystem::word),
            "mirror": proposal.mirror.described(),
            "tool": proposal.tool,
            "from": proposal.source,
            "notes": proposal.notes,
        })
    });
    let remarks =
        found.remarks.iter().map(|remark| json!({ "tool": remark.tool, "from": remark.source, "text": remark.text }));
    json!({
        "proposals": proposals.collect::<Vec<_>>(),
        "remarks": remarks.collect::<Vec<_>>(),
        "file": file.to_string_lossy(),
        "written": written.map(|done| json!({ "added": done.added, "kept": done.kept })),
    })
}
