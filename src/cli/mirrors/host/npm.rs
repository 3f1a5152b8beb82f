//! npm: `registry`, and registries of scopes.

use super::public::Ecosystem;
use super::{Found, Machine};
use crate::cli::settings::mirrors::Secret;

const TOOL: &str = "npm";

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    // Lower to higher: npm's global file, the user's, variables.
    let files = [
        Some("/etc/npmrc".to_owned()),
        Some("/usr/etc/npmrc".to_owned()),
        Some("/usr/local/etc/npmrc".to_owned()),
        machine.home(".npmrc"),
        machine.variable("NPM_CONFIG_USERCONFIG").map(str::to_owned),
    ];
    let mut lines: Vec<(String, String, String)> = Vec::new();
    for path in files.into_iter().flatten() {
        let Some(text) = machine.read(&path) else { continue };
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches(['"', '\'']);
                lines.push((key.trim().to_owned(), value.to_owned(), path.clone()));
            }
        }
    }
    let last = |name: &str| lines.iter().rev().find(|(key, _, _)| key == name);
    let mut registry = last("registry").map(|(_, url, path)| (url.clone(), format!("{path}, registry")));
    for name in ["npm_config_registry", "NPM_CONFIG_REGISTRY"] {
        if let Some(url) = machine.variable(name) {
            registry = Some((url.to_owned(), format!("the variable {name}")));
        }
    }
    for (key, url, path) in &lines {
        if let Some(scope) = key.strip_suffix(":registry").filter(|scope| scope.starts_with('@')) {
            let url = super::without_user(url);
            let text = format!("{scope} is at {url}: that is no public name's, so guests have to be set to it as well");
            found.remark(TOOL, path.clone(), text);
        }
    }
    let certificate = last("cafile").map(|(_, path, _)| path.clone());
    let Some((url, source)) = registry else { return };
    let Some(proposal) = found.mirror(TOOL, source, Ecosystem::Npm, &expanded(machine, &url)) else { return };
    proposal.mirror.ca_files.extend(certificate.map(Into::into));
    if proposal.has_credentials() {
        return;
    }
    // Credentials are kept under the URL without its scheme, of which a beginning will do.
    let bare = proposal.mirror.url.split_once(':').map_or("", |(_, rest)| rest).to_owned();
    let of = |name: &str| {
        lines.iter().rev().find(|(key, _, _)| {
            let prefix = key.strip_suffix(name).and_then(|rest| rest.strip_suffix(':'));
            prefix.is_some_and(|prefix| bare.starts_with(&format!("{}/", prefix.trim_end_matches('/'))))
        })
    };
    if let Some((_, token, path)) = of("_authToken") {
        match token.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(variable) => proposal.set_token(Secret::Env(variable.trim_end_matches('?').to_owned())),
            None => {
                proposal.set_token(Secret::Env("MIRROR_TOKEN_NPM".to_owned()));
                proposal.notes.push(format!("the token is in {path}: put it into the variable MIRROR_TOKEN_NPM"));
            }
        }
    } else if let (Some((_, user, path)), Some(_)) = (of("username"), of("_password")) {
        proposal.mirror.user = Some(user.clone());
        proposal.mirror.password = Some(Secret::Env("MIRROR_PASSWORD_NPM".to_owned()));
        proposal.notes.push(format!(
            "the password is in {path}, in base64: put what it stands for into the variable MIRROR_PASSWORD_NPM"
        ));
    } else if let Some((_, _, path)) = of("_auth") {
        proposal.notes.push(format!(
            "{path} has `_auth`, which is user and password in base64: name them by `user` and `password_env`"
        ));
    }
}

/// `${NAME}` in a value is a variable; npm leaves what is not set as it is.
fn expanded(machine: &Machine<'_>, value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, next)) = after.split_once('}') else { break };
        out.push_str(before);
        match machine.variable(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(&format!("${{{name}}}")),
        }
        rest = next;
    }
    out + rest
}
