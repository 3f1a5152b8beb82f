//! Mirrors of container registries: Docker's daemon.json, containerd's hosts.toml, registries.conf(5) of Podman and Skopeo.

use serde_json::Value as Json;
use toml::{Table, Value};

use super::public::Ecosystem;
use super::{Found, Machine};
use crate::cli::settings::mirrors::Secret;

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let before = found.proposals.len();
    docker(machine, found);
    containerd(machine, found);
    podman(machine, found);
    for index in before..found.proposals.len() {
        certificates_and_login(machine, &mut found.proposals[index]);
    }
}

/// `registry-mirrors` are for Docker's own registry alone.
fn docker(machine: &Machine<'_>, found: &mut Found) {
    let files = [machine.config("docker/daemon.json"), Some("/etc/docker/daemon.json".to_owned())];
    let Some((path, text)) = machine.first(files) else { return };
    let Ok(json) = serde_json::from_str::<Json>(&text) else {
        return found.remark("docker", path, "it is no JSON, and was left out");
    };
    let mirrors = json.get("registry-mirrors").and_then(Json::as_array);
    for url in mirrors.into_iter().flatten().filter_map(Json::as_str) {
        let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        found.mirror("docker", format!("{path}, registry-mirrors"), Ecosystem::Docker, &url);
    }
}

/// A directory for each registry, with a file that lists its mirrors in order.
fn containerd(machine: &Machine<'_>, found: &mut Found) {
    for directory in machine.list("/etc/containerd/certs.d") {
        let path = format!("{directory}/hosts.toml");
        let Some(text) = machine.read(&path) else { continue };
        let Ok(table) = text.parse::<Table>() else {
            found.remark("containerd", path, "it is no TOML, and was left out");
            continue;
        };
        let name = directory.rsplit('/').next().unwrap_or_default();
        if name == "_default" {
            found.remark(
                "containerd",
                path,
                "it is for every registry, and mirrors are for one: name those that matter",
            );
            continue;
        }
        let Some(hosts) = table.get("host").and_then(Value::as_table) else { continue };
        // The order is that of the file, which a parsed table does not keep.
        let mut hosts: Vec<(usize, &String, &Value)> = hosts
            .iter()
            .map(|(url, host)| (text.find(&format!("\"{url}\"")).unwrap_or(usize::MAX), url, host))
            .collect();
        hosts.sort_by_key(|(at, _, _)| *at);
        for (_, url, host) in hosts {
            let capabilities = host.get("capabilities").and_then(Value::as_array);
            let pulls = capabilities.is_none_or(|all| all.iter().any(|one| one.as_str() == Some("pull")));
            if !pulls {
                continue;
            }
            let whole = if url.contains("://") { url.clone() } else { format!("https://{url}") };
            // Without override_path, containerd adds /v2/ itself; with it, the URL has it.
            let public = found.names.registry(name);
            let Some(proposal) = found.mirror_of("containerd", path.clone(), public, &whole) else { continue };
            let roots = match host.get("ca") {
                Some(Value::String(file)) => vec![file.clone()],
                Some(Value::Array(files)) => files.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => Vec::new(),
            };
            let absolute = |file: String| if file.starts_with('/') { file } else { format!("{directory}/{file}") };
            proposal.mirror.ca_files.extend(roots.into_iter().map(|file| absolute(file).into()));
            if host.get("skip_verify").and_then(Value::as_bool) == Some(true) {
                proposal.notes.push("skip_verify is set there; Larder always checks certificates".to_owned());
            }
        }
    }
}

fn podman(machine: &Machine<'_>, found: &mut Found) {
    let mut paths = vec!["/etc/containers/registries.conf".to_owned()];
    paths.extend(
        machine
            .list("/etc/containers/registries.conf.d")
            .into_iter()
            .filter(|path| matches!(path.rsplit_once('.'), Some((_, "conf")))),
    );
    paths.extend(machine.config("containers/registries.conf"));
    for path in paths {
        let Some(text) = machine.read(&path) else { continue };
        let Ok(table) = text.parse::<Table>() else {
            found.remark("podman", path, "it is no TOML, and was left out");
            continue;
        };
        for entry in table.get("registry").and_then(Value::as_array).into_iter().flatten() {
            let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
            let Some(location) = word(entry, "prefix").or_else(|| word(entry, "location")) else { continue };
            if location.contains('*') {
                found.remark("podman", path.clone(), format!("{location} is a pattern, and mirrors are for one name"));
                continue;
            }
            let (host, below) = location.split_once('/').map_or((location.as_str(), ""), |(host, below)| (host, below));
            let public = match below {
                "" => found.names.registry(host),
                below => format!("{}/v2/{below}/", found.names.registry(host)),
            };
            for mirror in entry.get("mirror").and_then(Value::as_array).into_iter().flatten() {
                let Some(at) = word(mirror, "location") else { continue };
                let insecure = mirror.get("insecure").and_then(Value::as_bool) == Some(true);
                let url = mirror_url(&at, insecure, !below.is_empty());
                if let Some(proposal) = found.mirror_of("podman", path.clone(), public.clone(), &url)
                    && insecure
                {
                    proposal.notes.push("it is marked insecure there, so it is asked without TLS".to_owned());
                }
            }
        }
    }
}

/// A location is a host, and a beginning of names of repositories, which come after `/v2/`.
fn mirror_url(location: &str, insecure: bool, inside: bool) -> String {
    let scheme = if insecure { "http" } else { "https" };
    match location.split_once('/') {
        Some((host, below)) => format!("{scheme}://{host}/v2/{below}/"),
        None if inside => format!("{scheme}://{location}/v2/"),
        None => format!("{scheme}://{location}/"),
    }
}

/// Certificates and logins that Docker has by the mirror's host.
fn certificates_and_login(machine: &Machine<'_>, proposal: &mut super::Proposal) {
    let Some((_, rest)) = proposal.mirror.url.split_once("://") else { return };
    let host = rest.split('/').next().unwrap_or_default().to_owned();
    for directory in ["/etc/docker/certs.d", "/etc/containers/certs.d"] {
        let path = format!("{directory}/{host}/ca.crt");
        if machine.exists(&path) && proposal.mirror.ca_files.is_empty() {
            proposal.mirror.ca_files.push(path.into());
        }
    }
    let Some(path) = machine.home(".docker/config.json").filter(|_| !proposal.has_credentials()) else { return };
    let config = machine.read(&path).and_then(|text| serde_json::from_str::<Json>(&text).ok());
    let known = config.is_some_and(|config| config["auths"].as_object().is_some_and(|auths| auths.contains_key(&host)));
    if known {
        let name = "MIRROR_PASSWORD_REGISTRY";
        proposal.mirror.user = Some("USER".to_owned());
        proposal.mirror.password = Some(Secret::Env(name.to_owned()));
        proposal.notes.push(format!(
            "{path} has a login for it: write its user in place of USER, and put its password into the variable {name}"
        ));
    }
}
