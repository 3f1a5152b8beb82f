//! pip and uv: where the Python Package Index is.

use super::public::Ecosystem;
use super::{Found, Machine};

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let mut certificate = None;
    let mut index = None;
    for path in pip_files(machine) {
        let Some(text) = machine.read(&path) else { continue };
        for (section, key, value) in ini(&text) {
            let key = key.replace('_', "-");
            let counts = matches!(section.as_str(), "global" | "install" | "download");
            match key.as_str() {
                "index-url" if counts => index = Some((value, format!("{path}, index-url"))),
                "cert" if counts => certificate = Some(value),
                "extra-index-url" if counts => {
                    found.remark("pip", path.clone(), "extra-index-url names further indexes, which are no mirrors");
                }
                _ => {}
            }
        }
    }
    if let Some(url) = machine.variable("PIP_INDEX_URL") {
        index = Some((url.to_owned(), "the variable PIP_INDEX_URL".to_owned()));
    }
    let certificate = machine.variable("PIP_CERT").map(str::to_owned).or(certificate);
    if let Some((url, source)) = index {
        propose(found, "pip", &url, source, certificate);
    }
    uv(machine, found);
}

/// pip's files, a later one overriding an earlier.
fn pip_files(machine: &Machine<'_>) -> Vec<String> {
    let own = machine.variable("PIP_CONFIG_FILE").filter(|path| *path != "/dev/null").map(str::to_owned);
    let files = [
        Some("/etc/xdg/pip/pip.conf".to_owned()),
        Some("/etc/pip.conf".to_owned()),
        machine.home(".pip/pip.conf"),
        machine.config("pip/pip.conf"),
        own,
    ];
    files.into_iter().flatten().collect()
}

fn uv(machine: &Machine<'_>, found: &mut Found) {
    let named = ["UV_DEFAULT_INDEX", "UV_INDEX_URL"];
    let variable =
        named.iter().find_map(|name| machine.variable(name).map(|url| (url, format!("the variable {name}"))));
    if let Some((url, source)) = variable {
        // An index may have a name before it.
        let url = url.split_once('=').filter(|(name, _)| !name.contains(':')).map_or(url, |(_, url)| url);
        return propose(found, "uv", url, source, None);
    }
    let files = [machine.config("uv/uv.toml"), Some("/etc/uv/uv.toml".to_owned())];
    let Some((path, text)) = machine.first(files) else { return };
    let Ok(table) = text.parse::<toml::Table>() else {
        return found.remark("uv", path, "it is no TOML, and was left out");
    };
    let old = table.get("index-url").and_then(toml::Value::as_str);
    let list = table.get("index").and_then(toml::Value::as_array).into_iter().flatten();
    let mut default = list.filter(|index| index.get("default").and_then(toml::Value::as_bool) == Some(true));
    let new = default.find_map(|index| index.get("url").and_then(toml::Value::as_str));
    if let Some(url) = new.or(old) {
        propose(found, "uv", url, path, None);
    }
}

/// The index is below `/simple/`; files are beside it, by relative links, so the whole is mapped.
fn propose(found: &mut Found, tool: &'static str, url: &str, source: String, certificate: Option<String>) {
    let url = url.trim().trim_end_matches('/');
    let (base, whole) = url.strip_suffix("/simple").map_or((url, false), |base| (base, true));
    if let Some(proposal) = found.mirror(tool, source, Ecosystem::Pypi, base) {
        if !whole {
            for name in &mut proposal.public {
                *name = format!("{}/simple/", name.trim_end_matches('/'));
            }
        }
        proposal.mirror.ca_files.extend(certificate.map(Into::into));
    }
}

/// Section, key and value of each line of an INI file. A value may go on in lines that are indented.
pub(super) fn ini(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found: Vec<(String, String, String)> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
        } else if line.starts_with([' ', '\t'])
            && let Some((_, _, value)) = found.last_mut()
        {
            // The first of several is what counts here.
            if value.is_empty() {
                trimmed.clone_into(value);
            }
        } else if let Some((key, value)) = trimmed.split_once(['=', ':']) {
            found.push((section.clone(), key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}
