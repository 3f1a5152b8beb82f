//! cargo: what the source `crates-io` is replaced with.

use toml::{Table, Value};

use super::public::Ecosystem;
use super::{Found, Machine, without_user};

const TOOL: &str = "cargo";

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let home = machine.variable("CARGO_HOME").map(str::to_owned).or_else(|| machine.home(".cargo"));
    let in_home = |name: &str| home.as_deref().map(|home| format!("{home}/{name}"));
    let Some((path, text)) = machine.first([in_home("config.toml"), in_home("config")]) else { return };
    let Ok(table) = text.parse::<Table>() else {
        return found.remark(TOOL, path, "it is no TOML, and was left out");
    };
    let sources = table.get("source").and_then(Value::as_table);
    let source = |name: &str| sources.and_then(|sources| sources.get(name)).and_then(Value::as_table);
    let text = |table: &Table, key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let registries = table.get("registries").and_then(Value::as_table);
    let registry = |name: &str| registries.and_then(|all| all.get(name)).and_then(|one| text(one.as_table()?, "index"));

    // A replacement may be replaced in turn.
    let mut name = "crates-io".to_owned();
    let mut seen = vec![name.clone()];
    while let Some(next) = source(&name).and_then(|source| text(source, "replace-with")) {
        if seen.contains(&next) {
            return found.remark(TOOL, path, "sources are replaced in a circle");
        }
        seen.push(next.clone());
        name = next;
    }
    let replaced = name != "crates-io";
    let index = source(&name).and_then(|source| text(source, "registry")).or_else(|| registry(&name));
    let place = format!("{path}, source.{name}");
    match index {
        Some(index) if replaced => propose(found, &index, place),
        None if replaced && source(&name).is_some_and(|source| source.contains_key("directory")) => {
            found.remark(TOOL, place, "crates come from a directory, which is no mirror");
        }
        _ => {}
    }
    for other in registries.into_iter().flatten().map(|(other, _)| other).filter(|other| **other != name) {
        let at = registry(other).map(|url| format!(" at {}", without_user(&url))).unwrap_or_default();
        let text = format!("the registry {other}{at} is no public name's, so guests have to be set to it as well");
        found.remark(TOOL, format!("{path}, registries.{other}"), text);
    }
    if let Some(certificate) = table.get("http").and_then(|http| text(http.as_table()?, "cainfo")) {
        for proposal in found.proposals.iter_mut().filter(|proposal| proposal.tool == TOOL) {
            proposal.mirror.ca_files.push(certificate.clone().into());
        }
    }
}

fn propose(found: &mut Found, index: &str, place: String) {
    let Some(url) = index.strip_prefix("sparse+") else {
        let text = format!("{} is an index in git, which cannot stand in for the sparse one", without_user(index));
        return found.remark(TOOL, place, text);
    };
    let known = found.mirror(TOOL, place.clone(), Ecosystem::Cargo, url).map(|proposal| proposal.mirror.url.clone());
    // A repository manager keeps crates beside its index, and says so by its own name in the index's config.json.
    if let Some(base) = known.as_deref().and_then(|url| url.strip_suffix("index/")) {
        found.mirror(TOOL, place, Ecosystem::Crates, base);
    }
}
