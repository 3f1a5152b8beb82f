//! Defaults from the host: a Debian host builds its own suite from its own mirror, and so does an Ubuntu host.

use std::path::{Path, PathBuf};

use crate::error::{Context as _, Error, Result};

use super::deb822::paragraphs;
use super::spec::{DebianOptions, DebianSpec, Keyring, Variant, check_name, parse_mirror};

/// Code names and suites of Debian; used only to tell which distribution a suite belongs to.
const DEBIAN_SUITES: &[&str] = &[
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
];
/// Code names of Ubuntu.
const UBUNTU_SUITES: &[&str] = &[
    "trusty", "xenial", "bionic", "focal", "jammy", "mantic", "noble", "oracular", "plucky", "questing", "resolute",
    "devel",
];

/// A distribution whose archives Larder knows how to bootstrap from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    Debian,
    Ubuntu,
}

impl Distribution {
    /// Where the distribution keeps its own certificates.
    fn keyring(self) -> &'static str {
        match self {
            Self::Debian => "usr/share/keyrings/debian-archive-keyring.gpg",
            Self::Ubuntu => "usr/share/keyrings/ubuntu-archive-keyring.gpg",
        }
    }

    /// The distribution a suite belongs to, if it is one of the known.
    fn of_suite(suite: &str) -> Option<Self> {
        let name = suite.split(['-', '/']).next().unwrap_or(suite);
        if DEBIAN_SUITES.contains(&name) {
            Some(Self::Debian)
        } else if UBUNTU_SUITES.contains(&name) {
            Some(Self::Ubuntu)
        } else {
            None
        }
    }
}

/// What os-release(5) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OsRelease {
    id: String,
    codename: Option<String>,
    pretty_name: String,
}

/// One entry of apt's sources that offers binary packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AptSource {
    pub(super) uris: Vec<String>,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    /// Paths of keyrings.
    pub(super) signed_by: Vec<PathBuf>,
    /// A certificate written into the entry itself.
    pub(super) inline_key: Option<String>,
}

/// What the host offers as defaults.
#[derive(Clone, Debug, Default)]
pub struct Host {
    root: PathBuf,
    os: OsRelease,
    sources: Vec<AptSource>,
    architecture: String,
}

impl Host {
    /// Reads os-release and apt's sources below `root` (the host's `/`). What cannot be read is as if absent.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let os = text("etc/os-release").or_else(|| text("usr/lib/os-release")).unwrap_or_default();
        let mut sources = parse_one_line(&text("etc/apt/sources.list").unwrap_or_default());
        for path in sorted_files(&root.join("etc/apt/sources.list.d")) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("list") => sources.extend(parse_one_line(&text)),
                Some("sources") => sources.extend(parse_deb822(&text)),
                _ => {}
            }
        }
        Self {
            root: root.to_owned(),
            os: parse_os_release(&os),
            sources,
            architecture: debian_architecture(std::env::consts::ARCH).to_owned(),
        }
    }

    /// The host's distribution, if it is one of those that can be bootstrapped.
    pub fn distribution(&self) -> Option<Distribution> {
        match self.os.id.as_str() {
            "debian" => Some(Distribution::Debian),
            "ubuntu" => Some(Distribution::Ubuntu),
            _ => None,
        }
    }

    /// Fills what `options` leaves open from the host.
    pub fn resolve(&self, options: &DebianOptions) -> Result<DebianSpec> {
        let suite = self.suite(options)?;
        let distribution = Distribution::of_suite(&suite).or(self.distribution());
        let source = self.source(&suite, distribution);
        let mirror = match (&options.mirror, source.and_then(|source| source.uris.first())) {
            (Some(mirror), _) => mirror,
            (None, Some(uri)) => uri,
            (None, None) => return Err(self.no_mirror(&suite)),
        };
        let components = match options.components.as_slice() {
            [] => usual_components(distribution, source),
            named => named.to_vec(),
        };
        check_name("a suite", &suite)?;
        for component in &components {
            check_name("a component", component)?;
        }
        let architecture = options.architecture.clone().unwrap_or_else(|| self.architecture.clone());
        check_name("an architecture", &architecture)?;
        Ok(DebianSpec {
            mirror: parse_mirror(mirror)?,
            variant: options.variant.as_deref().map_or(Ok(Variant::default()), Variant::parse)?,
            include: options.include.clone(),
            components,
            keyrings: self.keyrings(options, source, distribution)?,
            architecture,
            check_valid_until: options.check_valid_until.unwrap_or(true),
            suite,
        })
    }

    fn suite(&self, options: &DebianOptions) -> Result<String> {
        if let Some(suite) = &options.suite {
            return Ok(suite.clone());
        }
        let own = self.os.codename.clone().filter(|_| self.distribution().is_some());
        own.ok_or_else(|| {
            Error::new(format!("no `suite` is given, and this host ({}) has none of its own to offer", self.os.shown()))
                .hint("set `suite`, `mirror` and `keyring` in the `debian` block")
        })
    }

    /// The entry of the host's sources whose archive has `suite`: the one that names it, or else the one the host's
    /// own suite comes from, when both are of the same distribution.
    fn source(&self, suite: &str, distribution: Option<Distribution>) -> Option<&AptSource> {
        let by_suite = |wanted: &str| {
            let fetched = |source: &&AptSource| source.uris.iter().any(|uri| is_web(uri));
            self.sources.iter().filter(fetched).find(|source| source.suites.iter().any(|suite| suite == wanted))
        };
        let own = self.os.codename.as_deref().filter(|_| distribution.is_some() && distribution == self.distribution());
        by_suite(suite).or_else(|| own.and_then(by_suite))
    }

    fn no_mirror(&self, suite: &str) -> Error {
        Error::new(format!(
            "no `mirror` is given, and apt's sources on this host ({}) name none for `{suite}`",
            self.os.shown()
        ))
        .hint("set `mirror` to the archive's URL, and `keyring` to the file of its certificates")
    }

    fn keyrings(
        &self,
        options: &DebianOptions,
        source: Option<&AptSource>,
        distribution: Option<Distribution>,
    ) -> Result<Vec<Keyring>> {
        if let Some(path) = &options.keyring {
            let found = read_keyring(path).context(|| format!("cannot read the keyring {}", path.display()))?;
            return if found.is_empty() {
                Err(Error::new(format!("the folder {} holds no .gpg, .pgp or .asc file", path.display()))
                    .hint("set `keyring` to a file of OpenPGP certificates"))
            } else {
                Ok(found)
            };
        }
        let mut found = Vec::new();
        if let Some(source) = source {
            for path in &source.signed_by {
                found.extend(self.keyring_at(path));
            }
            if let Some(key) = &source.inline_key {
                let origin = "Signed-By of the host's apt sources".to_owned();
                found.push(Keyring { origin, path: None, bytes: key.clone().into_bytes() });
            }
        }
        if found.is_empty() {
            found.extend(distribution.iter().flat_map(|d| self.keyring_at(Path::new(d.keyring()))));
        }
        if found.is_empty() {
            found.extend(self.keyring_at(Path::new("etc/apt/trusted.gpg.d")));
        }
        if found.is_empty() {
            return Err(Error::new("this host has no keyring to check the archive's signature by").hint(
                "install debian-archive-keyring or ubuntu-keyring, or set `keyring` to a file of OpenPGP certificates",
            ));
        }
        Ok(found)
    }

    fn keyring_at(&self, path: &Path) -> Vec<Keyring> {
        let below = self.root.join(path.strip_prefix("/").unwrap_or(path));
        let mut found = read_keyring(&below).unwrap_or_default();
        // apt in the guest knows the keyring by the path the host's apt knows it by.
        for keyring in &mut found {
            let inside = keyring.path.as_deref().and_then(|path| path.strip_prefix(&self.root).ok());
            keyring.path = inside.map(|path| Path::new("/").join(path));
        }
        found
    }
}

impl OsRelease {
    fn shown(&self) -> &str {
        if self.pretty_name.is_empty() { "no os-release" } else { &self.pretty_name }
    }
}

/// The keyring at `path`: a file, or the `.gpg`, `.pgp` and `.asc` files of a folder.
fn read_keyring(path: &Path) -> std::io::Result<Vec<Keyring>> {
    let is_keyring = |path: &PathBuf| {
        path.extension().and_then(|extension| extension.to_str()).is_some_and(|e| matches!(e, "gpg" | "pgp" | "asc"))
    };
    let files =
        if path.is_dir() { sorted_files(path).into_iter().filter(is_keyring).collect() } else { vec![path.to_owned()] };
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path)?;
        Ok(Keyring { origin: path.display().to_string(), path: Some(path), bytes })
    };
    files.into_iter().map(read).collect()
}

fn sorted_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_web(uri: &str) -> bool {
    uri.starts_with("http://") || uri.starts_with("https://")
}

/// Reads os-release(5).
pub(super) fn parse_os_release(text: &str) -> OsRelease {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    };
    OsRelease {
        id: value("ID").unwrap_or_default(),
        codename: value("VERSION_CODENAME"),
        pretty_name: value("PRETTY_NAME").unwrap_or_default(),
    }
}

/// Reads the one-line format of sources.list(5): `deb [option=value ...] URI suite [component ...]`.
pub(super) fn parse_one_line(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(parse_source_line).collect()
}

fn parse_source_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let mut rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t']) {
        return None;
    }
    rest = rest.trim_start();
    let mut source = AptSource::default();
    if let Some(options) = rest.strip_prefix('[') {
        let (options, tail) = options.split_once(']')?;
        rest = tail;
        for (name, value) in options.split_whitespace().filter_map(|option| option.split_once('=')) {
            if name.trim_end_matches(['+', '-']).eq_ignore_ascii_case("signed-by") {
                source.signed_by.extend(keyring_paths(value.trim_matches('"')));
            }
        }
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    source.uris.push(words.next()?);
    source.suites.push(words.next()?);
    source.components.extend(words);
    Some(source)
}

/// Reads the deb822 format of sources.list(5).
pub(super) fn parse_deb822(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    for paragraph in paragraphs(text) {
        let words = |name: &str| -> Vec<String> {
            // A value may span lines, with comment lines between.
            let lines = paragraph.get(name).unwrap_or_default().lines().filter(|line| !line.starts_with('#'));
            lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
        };
        let enabled = !matches!(paragraph.get("Enabled"), Some("no" | "false" | "0" | "off"));
        if !enabled || !words("Types").iter().any(|kind| kind == "deb") {
            continue;
        }
        let signed_by = paragraph.get("Signed-By").unwrap_or_default();
        let is_inline = signed_by.contains("-----BEGIN");
        sources.push(AptSource {
            uris: words("URIs"),
            suites: words("Suites"),
            components: words("Components"),
            signed_by: if is_inline { Vec::new() } else { keyring_paths(signed_by).collect() },
            inline_key: is_inline.then(|| unfold(signed_by)),
        });
    }
    sources
}

/// Signed-By holds paths and fingerprints, separated by commas or space; a fingerprint alone needs no file.
fn keyring_paths(value: &str) -> impl Iterator<Item = PathBuf> {
    value.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| word.starts_with('/')).map(PathBuf::from)
}

/// A multi-line value as it was before it was indented; ` .` is an empty line.
fn unfold(value: &str) -> String {
    value.lines().map(|line| if line.trim() == "." { "\n".to_owned() } else { format!("{}\n", line.trim()) }).collect()
}

/// Debian's name for an architecture Rust names; unknown ones keep theirs.
fn debian_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// What scripts written for a distribution rely on: on Ubuntu much of what is in Debian's `main` is in `universe`.
fn usual_components(distribution: Option<Distribution>, source: Option<&AptSource>) -> Vec<String> {
    let names: &[&str] = match distribution {
        Some(Distribution::Ubuntu) => &["main", "universe"],
        _ => &["main"],
    };
    // A mirror of the host's may hold less.
    let there = |name: &str| name == "main" || source.is_none_or(|source| source.components.iter().any(|c| c == name));
    names.iter().filter(|name| there(name)).map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests;
