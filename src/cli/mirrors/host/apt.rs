//! apt: sources.list(5) in both forms, apt.conf(5), apt_auth.conf(5).

use std::path::PathBuf;

use url::Url;

use super::public::Ecosystem;
use super::{Found, Machine, without_user};
use crate::cli::mirrors::netrc;

const TOOL: &str = "apt";

/// A URI of the sources, with what tells which archive it is.
struct Source {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
    /// Path of a keyring, or the certificate itself.
    signed_by: String,
    place: String,
}

pub(super) fn read(machine: &Machine<'_>, found: &mut Found) {
    let mut sources = Vec::new();
    let mut paths = vec!["/etc/apt/sources.list".to_owned()];
    paths.extend(machine.list("/etc/apt/sources.list.d"));
    for path in paths {
        let Some(text) = machine.read(&path) else { continue };
        // apt heeds these endings, as they are.
        match path.rsplit_once('.') {
            Some((_, "list")) => one_line(&path, &text, &mut sources),
            Some((_, "sources")) => deb822(&path, &text, &mut sources),
            _ => {}
        }
    }
    let system = System::of(&machine.read("/etc/os-release").unwrap_or_default());
    let mut seen = Vec::new();
    for source in sources {
        for ecosystem in system.archives(&source) {
            let uri = source.uri.trim_end_matches('/').to_owned();
            if seen.contains(&(uri.clone(), ecosystem)) {
                continue;
            }
            seen.push((uri, ecosystem));
            propose(machine, found, &source, ecosystem);
        }
    }
    proxies(machine, found);
}

fn propose(machine: &Machine<'_>, found: &mut Found, source: &Source, ecosystem: Ecosystem) {
    if source.uri.starts_with("mirror+") || source.uri.starts_with("mirror:") {
        return found.remark(TOOL, source.place.clone(), "a list of mirrors is named there, which is not looked into");
    }
    let known = found.mirror(TOOL, source.place.clone(), ecosystem, &source.uri);
    if let Some(proposal) = known.filter(|proposal| !proposal.has_credentials())
        && let Some(path) = auth_file(machine, &proposal.mirror.url)
    {
        proposal.notes.push(format!("user and password are in {path}"));
        proposal.mirror.netrc_file = Some(PathBuf::from(path));
    }
}

/// What os-release(5) says.
struct System {
    is_ubuntu: bool,
    codename: String,
}

impl System {
    fn of(text: &str) -> Self {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
        };
        Self { is_ubuntu: value("ID") == "ubuntu", codename: value("VERSION_CODENAME") }
    }

    /// The archives of the distribution that a source stands in for: none for a third party's, which is told by its
    /// key, its suites and its components.
    fn archives(&self, source: &Source) -> Vec<Ecosystem> {
        let own_key = ["debian-archive", "ubuntu-archive"].iter().any(|name| source.signed_by.contains(name));
        if !(source.signed_by.is_empty() || own_key) || !source.components.iter().any(|name| name == "main") {
            return Vec::new();
        }
        let path = Url::parse(source.uri.trim_start_matches("mirror+")).map(|url| url.path().to_lowercase());
        let path = path.unwrap_or_default();
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let is_ubuntu = !path.contains("debian") && (self.is_ubuntu || path.contains("ubuntu"));
        let by_path = matches!(last, "debian" | "debian-security" | "ubuntu" | "ubuntu-ports");
        let mut found = Vec::new();
        for suite in &source.suites {
            let (name, pocket) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
            let known = matches!(pocket, "" | "updates" | "security" | "backports" | "proposed" | "proposed-updates");
            if !(known && (by_path || name == self.codename)) {
                continue;
            }
            // Before bullseye, `buster/updates` was the security archive's.
            let security = pocket == "security" || suite.ends_with("/updates");
            let ecosystem = match (is_ubuntu, security) {
                (true, _) if last == "ubuntu-ports" => Ecosystem::UbuntuPorts,
                (true, true) => Ecosystem::UbuntuSecurity,
                (true, false) => Ecosystem::Ubuntu,
                (false, true) => Ecosystem::DebianSecurity,
                (false, false) => Ecosystem::Debian,
            };
            if !found.contains(&ecosystem) {
                found.push(ecosystem);
            }
        }
        found
    }
}

fn one_line(path: &str, text: &str, sources: &mut Vec<Source>) {
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t'])) else { continue };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').unwrap_or(("", "")),
            None => ("", rest),
        };
        let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
        let mut words = rest.split_whitespace().map(str::to_owned);
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            let signed_by = signed_by.unwrap_or_default().to_owned();
            let place = format!("{path}:{}", number + 1);
            sources.push(Source { uri, suites: vec![suite], components: words.collect(), signed_by, place });
        }
    }
}

fn deb822(path: &str, text: &str, sources: &mut Vec<Source>) {
    for paragraph in text.split("\n\n") {
        let field = |name: &str| -> Vec<String> {
            let mut words = Vec::new();
            let mut inside = false;
            for line in paragraph.lines().filter(|line| !line.starts_with('#')) {
                match line.split_once(':').filter(|_| !line.starts_with([' ', '\t'])) {
                    Some((key, value)) => {
                        inside = key.trim().eq_ignore_ascii_case(name);
                        words.extend(value.split_whitespace().filter(|_| inside).map(str::to_owned));
                    }
                    None => words.extend(line.split_whitespace().filter(|_| inside).map(str::to_owned)),
                }
            }
            words
        };
        let off = field("Enabled").first().is_some_and(|word| matches!(word.as_str(), "no" | "false" | "0" | "off"));
        if off || !field("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        for uri in field("URIs") {
            sources.push(Source {
                uri,
                suites: field("Suites"),
                components: field("Components"),
                signed_by: field("Signed-By").join(" "),
                place: path.to_owned(),
            });
        }
    }
}

/// The file that has the credentials for a URL.
fn auth_file(machine: &Machine<'_>, url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut paths = vec!["/etc/apt/auth.conf".to_owned()];
    paths.extend(machine.list("/etc/apt/auth.conf.d"));
    paths.into_iter().find(|path| {
        let text = machine.read(path).unwrap_or_default();
        netrc::parse(&text).iter().any(|entry| !entry.is_default() && entry.is_for(&url))
    })
}

/// Proxies that apt is set to use: no mirrors, and most often caches that know apt alone.
fn proxies(machine: &Machine<'_>, found: &mut Found) {
    let mut paths = vec!["/etc/apt/apt.conf".to_owned()];
    paths.extend(machine.list("/etc/apt/apt.conf.d"));
    for path in paths {
        let Some(text) = machine.read(&path) else { continue };
        for (name, value) in settings(&text) {
            let name = name.to_lowercase();
            if name.starts_with("acquire::") && name.ends_with("proxy-auto-detect") {
                found.remark(TOOL, path.clone(), "apt asks a program for its proxy, which Larder does not");
            } else if name.starts_with("acquire::http")
                && name.contains("::proxy")
                && value != "DIRECT"
                && !value.is_empty()
            {
                let value = without_user(&value);
                found.remark(
                    TOOL,
                    path.clone(),
                    format!(
                        "apt goes through the proxy {value}; if that is a proxy for everything, set \
                         upstream_proxy to it (a cache for apt alone is not needed behind Larder's)"
                    ),
                );
            }
        }
    }
}

/// Names and values of apt.conf(5): `A::B "value";`, or nested in braces.
fn settings(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut scopes: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut name = String::new();
    let lines = text.lines().map(|line| {
        let line = line.trim_start();
        // A `//` inside a value is part of a URL.
        let comment = line.starts_with('#') || line.starts_with("//");
        if comment { "" } else { line }
    });
    let text: String = lines.collect::<Vec<_>>().join("\n");
    let mut letters = text.chars();
    let full = |scopes: &[String], name: &str| {
        scopes.iter().map(String::as_str).chain([name]).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("::")
    };
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                if !word.is_empty() {
                    name = std::mem::take(&mut word);
                }
                let value: String = letters.by_ref().take_while(|letter| *letter != '"').collect();
                found.push((full(&scopes, &name), value));
            }
            '{' => {
                if !word.is_empty() {
                    name = std::mem::take(&mut word);
                }
                scopes.push(std::mem::take(&mut name));
            }
            '}' => {
                scopes.pop();
                name.clear();
            }
            ';' => {
                if !word.is_empty() && !name.is_empty() {
                    found.push((full(&scopes, &name), std::mem::take(&mut word)));
                }
                word.clear();
                name.clear();
            }
            letter if letter.is_whitespace() => {
                if !word.is_empty() {
                    name = std::mem::take(&mut word);
                }
            }
            letter => word.push(letter),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apt_conf_is_read_in_both_forms() {
        let text = "// a comment\nAcquire::http::Proxy \"http://a:1/\";\nAcquire {\n  https { Proxy \"http://b:2\"; };\n  \
                    Retries 3;\n};\nAPT::X::Y \"z\"; # end\n";
        let pairs = settings(text);
        assert!(pairs.contains(&("Acquire::http::Proxy".into(), "http://a:1/".into())), "{pairs:?}");
        assert!(pairs.contains(&("Acquire::https::Proxy".into(), "http://b:2".into())), "{pairs:?}");
        assert!(pairs.contains(&("Acquire::Retries".into(), "3".into())), "{pairs:?}");
    }
}
