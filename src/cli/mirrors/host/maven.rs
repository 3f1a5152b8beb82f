//! Maven: mirrors of `settings.xml`.

use super::public::Ecosystem;
use super::{Found, Machine};
use crate::cli::settings::mirrors::Secret;

const TOOL: &str = "maven";

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let files = [
        machine.home(".m2/settings.xml"),
        Some("/etc/maven/settings.xml".to_owned()),
        Some("/usr/share/maven/conf/settings.xml".to_owned()),
    ];
    let Some((path, text)) = machine.first(files) else { return };
    let text = without_comments(&text);
    for mirror in elements(&text, "mirror") {
        let of = element(mirror, "mirrorOf").unwrap_or_default();
        let id = element(mirror, "id").unwrap_or_default();
        let Some(url) = element(mirror, "url") else { continue };
        let blocked = element(mirror, "blocked").is_some_and(|word| word == "true");
        if blocked || !covers_central(&of) {
            continue;
        }
        let Some(proposal) = found.mirror(TOOL, format!("{path}, mirror {id}"), Ecosystem::Maven, &url) else {
            continue;
        };
        let server = elements(&text, "server").into_iter().find(|server| element(server, "id").as_ref() == Some(&id));
        let Some(user) = server.and_then(|server| element(server, "username")) else { continue };
        let password = server.and_then(|server| element(server, "password")).unwrap_or_default();
        let variable = password.strip_prefix("${env.").and_then(|rest| rest.strip_suffix('}'));
        match user.strip_prefix("${env.") {
            Some(_) => proposal.notes.push(format!("the user of server {id} is in a variable: name it by `user`")),
            None => {
                proposal.mirror.user = Some(user);
                let name = variable.unwrap_or("MIRROR_PASSWORD_MAVEN");
                proposal.mirror.password = Some(Secret::Env(name.to_owned()));
                if variable.is_none() {
                    proposal
                        .notes
                        .push(format!("the password of server {id} is in {path}: put it into the variable {name}"));
                }
            }
        }
    }
}

/// `mirrorOf` is a list, with `*` for all, `external:*` for all that are not of this machine, and `!` for what is not.
fn covers_central(of: &str) -> bool {
    let words: Vec<&str> = of.split(',').map(str::trim).collect();
    !words.contains(&"!central") && words.iter().any(|word| matches!(*word, "*" | "central" | "external:*"))
}

fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, next)| next);
    }
    out + rest
}

/// The contents of all elements of a name, which are not nested in this format.
fn elements<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&open) {
        let Some((content, next)) = after.split_once(&close) else { break };
        found.push(content);
        rest = next;
    }
    found
}

fn element(text: &str, name: &str) -> Option<String> {
    let content = elements(text, name).first()?.trim();
    let plain = [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")];
    Some(plain.iter().rev().fold(content.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}
