//! What the tools of a machine are set to fetch from, in place of the public names.
//!
//! Reads configuration files below a root, so that it can be told of any tree; and nothing but those. Secrets are looked
//! at only so far as to say where they are.

mod apt;
mod cargo;
mod go;
mod maven;
mod npm;
mod pip;
pub(super) mod public;
mod registries;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use url::Url;

use self::public::{Ecosystem, Names};
use super::netrc;
use crate::cli::Env;
use crate::cli::settings::mirrors::{MirrorSetting, Secret};

/// A machine's configuration.
pub(super) struct Machine<'a> {
    /// What its `/` is here.
    pub(super) root: &'a Path,
    /// The user's home, as a path of the machine's own.
    pub(super) home: Option<String>,
    pub(super) env: &'a Env,
}

impl Machine<'_> {
    fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file, if it is there and is text.
    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.below(path)).ok()
    }

    fn exists(&self, path: &str) -> bool {
        self.below(path).exists()
    }

    /// A path in the user's home.
    fn home(&self, path: &str) -> Option<String> {
        self.home.as_deref().map(|home| format!("{}/{path}", home.trim_end_matches('/')))
    }

    /// A path in the user's directory for configuration (XDG Base Directory specification).
    fn config(&self, path: &str) -> Option<String> {
        // One for Larder alone would not hold on another machine.
        self.home(&format!(".config/{path}"))
    }

    /// What is in a directory, in order of names.
    fn list(&self, directory: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.below(directory)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names.into_iter().map(|name| format!("{}/{name}", directory.trim_end_matches('/'))).collect()
    }

    /// A variable that is set.
    fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of several files that is there, with its text.
    fn first(&self, paths: impl IntoIterator<Item = Option<String>>) -> Option<(String, String)> {
        paths.into_iter().flatten().find_map(|path| self.read(&path).map(|text| (path, text)))
    }
}

/// A mirror that a tool is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    /// The public names it stands in for, hosts or URL prefixes: none where nothing says which.
    pub(super) public: Vec<String>,
    /// What they have, unless the tool names them itself.
    pub(super) ecosystem: Option<Ecosystem>,
    pub(super) mirror: MirrorSetting,
    pub(super) tool: &'static str,
    /// The file or variable, and the key in it.
    pub(super) source: String,
    /// What the user has to know or do.
    pub(super) notes: Vec<String>,
}

/// Something found that no mirror follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) tool: &'static str,
    pub(super) source: String,
    pub(super) text: String,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What has been known before.
    names: Names,
    pub(super) proposals: Vec<Proposal>,
    pub(super) remarks: Vec<Remark>,
}

/// Looks at everything.
pub(super) fn survey(machine: &Machine<'_>, names: Names) -> Found {
    let mut found = Found { names, ..Found::default() };
    for read in [apt::read, pip::read, npm::read, cargo::read, maven::read, go::read, registries::read] {
        read(machine, &mut found);
    }
    for proposal in &mut found.proposals {
        add_netrc(machine, proposal);
    }
    found
}

impl Found {
    fn remark(&mut self, tool: &'static str, source: impl Into<String>, text: impl Into<String>) {
        self.remarks.push(Remark { tool, source: source.into(), text: text.into() });
    }

    /// Notes a mirror of an ecosystem's public names.
    fn mirror(&mut self, tool: &'static str, source: String, ecosystem: Ecosystem, url: &str) -> Option<&mut Proposal> {
        let public = self.names.of(ecosystem);
        let several = if public.is_empty() { self.names.candidates(ecosystem).join(", ") } else { String::new() };
        let proposal = self.add(tool, source, public, url)?;
        proposal.ecosystem = Some(ecosystem);
        if !several.is_empty() {
            proposal.notes.push(format!("the cache knows several public names: {several}"));
        }
        Some(proposal)
    }

    /// Notes a mirror of a name.
    fn mirror_of(&mut self, tool: &'static str, source: String, public: String, url: &str) -> Option<&mut Proposal> {
        self.add(tool, source, vec![public], url)
    }

    /// Notes a mirror, unless it is a public name itself or no URL. A password in the URL is left out.
    fn add(&mut self, tool: &'static str, source: String, public: Vec<String>, url: &str) -> Option<&mut Proposal> {
        let parsed = Url::parse(url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut parsed) = parsed else {
            self.remark(tool, source, format!("{} is no http or https URL, and was left out", without_user(url)));
            return None;
        };
        if self.names.is_public(&parsed) {
            return None;
        }
        let mut notes = Vec::new();
        let user = parsed.username().to_owned();
        let mut mirror = MirrorSetting::default();
        if parsed.password().is_some() {
            let variable = format!("MIRROR_PASSWORD_{}", tool.to_uppercase());
            notes.push(format!("the password is in the URL there: put it into the variable {variable}"));
            mirror.user = Some(decoded(&user));
            mirror.password = Some(Secret::Env(variable));
        } else if !user.is_empty() {
            notes.push("the URL there has a user and no password: it was left out".to_owned());
        }
        let cleared = parsed.set_username("").is_ok() && parsed.set_password(None).is_ok();
        if !cleared {
            return None;
        }
        parsed.set_fragment(None);
        parsed.set_query(None);
        if !parsed.path().ends_with('/') {
            let path = format!("{}/", parsed.path());
            parsed.set_path(&path);
        }
        mirror.url = parsed.into();
        self.proposals.push(Proposal { public, ecosystem: None, mirror, tool, source, notes });
        self.proposals.last_mut()
    }
}

impl Proposal {
    fn set_token(&mut self, secret: Secret) {
        self.mirror.user = None;
        self.mirror.password = None;
        self.mirror.token = Some(secret);
    }

    /// What tells Larder the public name, where it is not known.
    pub(super) fn asks_for(&self) -> Option<String> {
        self.ecosystem.filter(|_| self.public.is_empty()).map(|one| format!("--public {}=HOST", one.word()))
    }

    fn has_credentials(&self) -> bool {
        self.mirror.password.is_some() || self.mirror.token.is_some() || self.mirror.netrc_file.is_some()
    }
}

/// Where a mirror's host has an entry in the user's netrc file, that file is named.
fn add_netrc(machine: &Machine<'_>, proposal: &mut Proposal) {
    let Some(path) = machine.home(".netrc").filter(|_| !proposal.has_credentials()) else { return };
    let Some(text) = machine.read(&path) else { return };
    if let Ok(url) = Url::parse(&proposal.mirror.url)
        && netrc::parse(&text).iter().any(|entry| !entry.is_default() && entry.is_for(&url))
    {
        proposal.mirror.netrc_file = Some(PathBuf::from(&path));
        proposal.notes.push(format!("user and password are in {path}"));
    }
}

fn decoded(text: &str) -> String {
    // The URL crate has encoded what a user name may hold.
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URL, or what should have been one, without what may be a password.
fn without_user(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_owned(),
    }
}
