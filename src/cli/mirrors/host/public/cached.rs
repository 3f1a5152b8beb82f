//! Public names, by what the cache was asked for.

use std::collections::{BTreeMap, BTreeSet};

use larder_proxy::rules::Rules;
use url::Url;

use super::Ecosystem;

/// The prefixes of each ecosystem, up to where its shape of paths begins.
pub(super) fn names(urls: &[(String, Option<String>)], rules: &Rules) -> BTreeMap<Ecosystem, BTreeSet<String>> {
    let mut found: BTreeMap<Ecosystem, BTreeSet<String>> = BTreeMap::new();
    let mut archives: BTreeMap<String, Archive> = BTreeMap::new();
    for (url, rule) in urls {
        let Ok(url) = Url::parse(url) else { continue };
        let judged = rule.is_none().then(|| rules.classify(url.path(), None).rule);
        let Some(rule) = rule.as_deref().or(judged) else { continue };
        if matches!(rule, "apt index" | "apt by-hash") {
            let Some((prefix, below)) = url.path().split_once("/dists/") else { continue };
            let name = name(&url, &format!("{prefix}/"));
            archives.entry(name).or_default().add(below.split('/').next().unwrap_or_default());
        } else if let Some((ecosystem, prefix)) = of_path(rule, url.path()) {
            found.entry(ecosystem).or_default().insert(name(&url, &prefix));
        }
    }
    for (name, archive) in archives {
        if let Some(ecosystem) = archive.ecosystem(&name) {
            found.entry(ecosystem).or_default().insert(name);
        }
    }
    found
}

/// What was asked of an archive of apt's.
#[derive(Default)]
struct Archive {
    security: bool,
    other: bool,
}

impl Archive {
    fn add(&mut self, suite: &str) {
        let security = suite.ends_with("-security");
        self.security |= security;
        self.other |= !security;
    }

    /// Told by the end of its path. Ubuntu's security archive lies where the other does, and has one kind of suites.
    fn ecosystem(&self, name: &str) -> Option<Ecosystem> {
        match name.trim_end_matches('/').rsplit_once('/')?.1 {
            "debian" => Some(Ecosystem::Debian),
            "debian-security" => Some(Ecosystem::DebianSecurity),
            "ubuntu" if self.security && !self.other => Some(Ecosystem::UbuntuSecurity),
            "ubuntu" => Some(Ecosystem::Ubuntu),
            "ubuntu-ports" => Some(Ecosystem::UbuntuPorts),
            _ => None,
        }
    }
}

/// The ecosystem, and the path before the shape that the rule is about.
fn of_path(rule: &str, path: &str) -> Option<(Ecosystem, String)> {
    let before = |mark: &str| path.split_once(mark).map(|(prefix, _)| format!("{prefix}/"));
    let without = |count: usize| {
        let parts: Vec<&str> = path.split('/').collect();
        parts.get(..parts.len().checked_sub(count)?).map(|parts| format!("{}/", parts.join("/")))
    };
    match rule {
        "pypi index" => before("/simple/").map(|prefix| (Ecosystem::Pypi, prefix)),
        "npm tarball" => {
            // @scope/name/-/name-1.0.0.tgz
            let (package, _) = path.split_once("/-/")?;
            let (prefix, _) = package.rsplit_once('/')?;
            let prefix = prefix.rsplit_once("/@").map_or(prefix, |(prefix, _)| prefix);
            Some((Ecosystem::Npm, format!("{prefix}/")))
        }
        "cargo index" => {
            // 1/a, 2/ab, 3/a/abc, ab/cd/abcdef
            let short = path.rsplit('/').nth(1).is_some_and(|part| matches!(part, "1" | "2"));
            let count = if short { 2 } else { 3 };
            let prefix = if path.ends_with("/config.json") { without(1) } else { without(count) };
            prefix.map(|prefix| (Ecosystem::Cargo, prefix))
        }
        "crate" => {
            let prefix = before("/api/v1/crates/").or_else(|| before("/crates/"));
            prefix.map(|prefix| (Ecosystem::Crates, prefix))
        }
        "go module" | "go index" => {
            // A module's name begins with a domain.
            let (module, _) = path.split_once("/@")?;
            let parts: Vec<&str> = module.split('/').collect();
            let domain = parts.iter().position(|part| part.contains('.'))?;
            Some((Ecosystem::Go, format!("{}/", parts[..domain].join("/"))))
        }
        // Nothing says where groups begin, but for the usual name.
        "maven" | "maven index" => path.starts_with("/maven2/").then(|| (Ecosystem::Maven, "/maven2/".to_owned())),
        // Where Docker's own images are.
        "oci tag" | "oci manifest" | "oci blob" => {
            path.starts_with("/v2/library/").then(|| (Ecosystem::Docker, "/".to_owned()))
        }
        _ => None,
    }
}

/// A name as the mirror map has it.
fn name(url: &Url, path: &str) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}{path}", url.scheme()),
        None if path == "/" => host.to_owned(),
        None => format!("{host}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_the_shape_of_paths_begins() {
        let table = [
            ("http://deb.example.org/debian/dists/bookworm/InRelease", None, "debian deb.example.org/debian/"),
            (
                "http://deb.example.org/debian-security/dists/bookworm-security/InRelease",
                None,
                "debian-security deb.example.org/debian-security/",
            ),
            ("http://a.example.org/ubuntu/dists/noble/InRelease", None, "ubuntu a.example.org/ubuntu/"),
            (
                "http://s.example.org/ubuntu/dists/noble-security/InRelease",
                None,
                "ubuntu-security s.example.org/ubuntu/",
            ),
            ("http://third.example.org/dists/bookworm/InRelease", None, ""),
            ("https://pypi.example.org/simple/six/", None, "pypi pypi.example.org"),
            ("https://r.example.org:8443/api/pypi/x/simple/six/", None, "pypi https://r.example.org:8443/api/pypi/x/"),
            ("https://npm.example.org/left-pad/-/left-pad-1.0.0.tgz", None, "npm npm.example.org"),
            ("https://npm.example.org/n/@s/p/-/p-1.0.0.tgz", None, "npm npm.example.org/n/"),
            ("https://index.example.org/se/rd/serde", None, "cargo index.example.org"),
            ("https://index.example.org/x/3/l/log", None, "cargo index.example.org/x/"),
            ("https://static.example.org/crates/serde/1.0.0/download", None, "crates static.example.org"),
            ("https://c.example.org/api/v1/crates/serde/1.0.0/download", None, "crates c.example.org"),
            ("https://go.example.org/example.net/x/mod/@v/list", None, "go go.example.org"),
            ("https://go.example.org/api/go/example.net/x/mod/@v/v0.1.0.zip", None, "go go.example.org/api/go/"),
            ("https://m.example.org/maven2/org/a/b/1.0/b-1.0.jar", None, "maven m.example.org/maven2/"),
            ("https://hub.example.org/v2/library/debian/manifests/12", None, "docker hub.example.org"),
            ("https://other.example.org/v2/me/debian/manifests/12", None, ""),
            ("https://x.example.org/simple/six/", Some("own rule"), ""),
            ("https://example.org/index.html", None, ""),
            ("no URL", None, ""),
        ];
        for (url, rule, expected) in table {
            let found = names(&[(url.to_owned(), rule.map(str::to_owned))], &Rules::default());
            let told: Vec<String> = found
                .iter()
                .flat_map(|(one, names)| names.iter().map(|name| format!("{} {name}", one.word())))
                .collect();
            assert_eq!(told.join(", "), expected, "{url}");
        }
    }
}
