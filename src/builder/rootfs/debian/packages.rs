//! The packages of a suite: fetched, checked, decompressed and indexed by name.

use std::collections::HashMap;
use std::io::{self, Read};

use super::deb822::{Paragraph, paragraphs};
use super::release::{Entry, Release};
use super::spec::DebianSpec;
use super::version;
use crate::download::{Algorithm, Checksum, Downloader};
use crate::error::{Context as _, Error, Result};

/// Largest package list read where the Release does not say how large it is.
const MAX_LIST: u64 = 2 * 1024 * 1024 * 1024;

/// A package as the list describes it, in slices of the list.
#[derive(Clone, Debug)]
pub(super) struct Package<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    pub(super) essential: bool,
    pub(super) priority: &'a str,
    pub(super) multi_arch: &'a str,
    pub(super) depends: &'a str,
    pub(super) pre_depends: &'a str,
    pub(super) conflicts: &'a str,
    pub(super) breaks: &'a str,
    pub(super) provides: &'a str,
    pub(super) filename: &'a str,
    pub(super) size: u64,
    pub(super) sha256: &'a str,
}

/// All packages, the newest version of each name only, and who provides what.
#[derive(Debug, Default)]
pub(super) struct Index<'a> {
    pub(super) packages: Vec<Package<'a>>,
    by_name: HashMap<&'a str, usize>,
    providers: HashMap<&'a str, Vec<(usize, Option<&'a str>)>>,
}

/// Fetches the lists of all components, as one text each.
pub(super) async fn fetch(spec: &DebianSpec, release: &Release, downloader: &Downloader) -> Result<Vec<String>> {
    let mut lists = Vec::new();
    for component in &spec.components {
        let base = format!("{component}/binary-{}/Packages", spec.architecture);
        let text = fetch_list(spec, release, downloader, &base).await?;
        lists.push(text);
    }
    Ok(lists)
}

/// Where the lists of all components are, and how large they are.
pub(super) fn places(spec: &DebianSpec, release: &Release) -> Result<Vec<(String, u64)>> {
    let one = |component: &String| {
        let base = format!("{component}/binary-{}/Packages", spec.architecture);
        let (form, entry) = form_of(spec, release, &base)?;
        Ok((url_of(spec, release, &format!("{base}{form}"), entry), entry.size))
    };
    spec.components.iter().map(one).collect()
}

/// The form in which a list is fetched.
fn form_of<'a>(spec: &DebianSpec, release: &'a Release, base: &str) -> Result<(&'static str, &'a Entry)> {
    let forms = [".xz", ".gz", ""];
    forms.iter().find_map(|form| release.file(&format!("{base}{form}")).map(|entry| (*form, entry))).ok_or_else(|| {
        Error::new(format!("the Release of {} lists no {base} that can be read (.xz, .gz or plain)", spec.suite))
            .hint("check `components` and `architecture`")
    })
}

async fn fetch_list(spec: &DebianSpec, release: &Release, downloader: &Downloader, base: &str) -> Result<String> {
    let (form, entry) = form_of(spec, release, base)?;
    let url = url_of(spec, release, &format!("{base}{form}"), entry);
    let bytes = downloader.get_bytes(&url, entry.size).await?.bytes;
    let plain_size = release.file(base).map_or(MAX_LIST, |entry| entry.size);
    let expected = entry.sha256.clone();
    let work = move || check_and_decompress(&bytes, &expected, form, plain_size);
    let text = tokio::task::spawn_blocking(work).await.context(|| format!("cannot read {url}"))?;
    text.map_err(|error| {
        Error::new(format!("{url} is not the list that the signed Release names: {error}"))
            .hint("the mirror may be in the middle of an update: try again, then try another mirror")
    })
}

/// By its digest where the archive offers that, so that an update in between cannot mix two states.
fn url_of(spec: &DebianSpec, release: &Release, path: &str, entry: &Entry) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if release.by_hash {
        format!("{}dists/{}/{folder}/by-hash/SHA256/{}", spec.mirror, spec.suite, entry.sha256.to_hex())
    } else {
        format!("{}dists/{}/{path}", spec.mirror, spec.suite)
    }
}

fn check_and_decompress(bytes: &[u8], expected: &Checksum, form: &str, limit: u64) -> io::Result<String> {
    let mut hasher = Algorithm::Sha256.hasher();
    hasher.update(bytes);
    let actual = hasher.finalize();
    if !expected.matches(&actual) {
        return Err(io::Error::other(format!(
            "its SHA-256 digest is {}, not {}",
            hex::encode(actual),
            expected.to_hex()
        )));
    }
    let reader: Box<dyn Read> = match form {
        ".xz" => Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes)),
        ".gz" => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        _ => Box::new(bytes),
    };
    let mut text = String::new();
    reader.take(limit + 1).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::other(format!("it unpacks to more than {limit} bytes")));
    }
    Ok(text)
}

impl<'a> Index<'a> {
    /// Indexes lists. Of several versions of a package the newest counts, as to apt without pins.
    pub(super) fn new(lists: &'a [String]) -> Self {
        let mut index = Self::default();
        for paragraph in lists.iter().flat_map(|list| paragraphs(list)) {
            if let Some(package) = read(&paragraph) {
                index.add(package);
            }
        }
        for (place, package) in index.packages.iter().enumerate() {
            for (name, version) in provided(package.provides) {
                index.providers.entry(name).or_default().push((place, version));
            }
        }
        index
    }

    fn add(&mut self, package: Package<'a>) {
        match self.by_name.get(package.name) {
            Some(place) if version::compare(package.version, self.packages[*place].version).is_gt() => {
                self.packages[*place] = package;
            }
            Some(_) => {}
            None => {
                self.by_name.insert(package.name, self.packages.len());
                self.packages.push(package);
            }
        }
    }

    /// The package so named.
    pub(super) fn named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Those that provide a virtual package, with the version they provide it in.
    pub(super) fn providers(&self, name: &str) -> &[(usize, Option<&'a str>)] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The name most like a misspelt one.
    pub(super) fn nearest(&self, name: &str) -> Option<&'a str> {
        let most = name.len() / 3 + 1;
        let close = self.by_name.keys().filter(|known| known.len().abs_diff(name.len()) <= most);
        close.map(|known| (distance(known, name), *known)).filter(|(d, _)| *d <= most).min().map(|(_, known)| known)
    }
}

fn read<'a>(fields: &Paragraph<'a>) -> Option<Package<'a>> {
    let mut package = Package {
        name: "",
        version: "",
        architecture: "",
        essential: false,
        priority: "",
        multi_arch: "",
        depends: "",
        pre_depends: "",
        conflicts: "",
        breaks: "",
        provides: "",
        filename: "",
        size: 0,
        sha256: "",
    };
    for (name, value) in fields.fields() {
        match *name {
            "Package" => package.name = value,
            "Version" => package.version = value,
            "Architecture" => package.architecture = value,
            "Essential" => package.essential = *value == "yes",
            "Priority" => package.priority = value,
            "Multi-Arch" => package.multi_arch = value,
            "Depends" => package.depends = value,
            "Pre-Depends" => package.pre_depends = value,
            "Conflicts" => package.conflicts = value,
            "Breaks" => package.breaks = value,
            "Provides" => package.provides = value,
            "Filename" => package.filename = value,
            "Size" => package.size = value.parse().ok()?,
            "SHA256" => package.sha256 = value,
            _ => {}
        }
    }
    let whole = ![package.name, package.version, package.filename, package.sha256].contains(&"");
    whole.then_some(package)
}

/// The names a `Provides` field gives, with their versions.
pub(super) fn provided(field: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    field.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| {
        let (name, rest) = item.split_once([' ', '(']).unwrap_or((item, ""));
        let version = rest.trim_matches(|c: char| c == '(' || c == ')' || c == '=' || c.is_whitespace());
        // A name may carry an architecture, which for one architecture says nothing.
        let name = name.split(':').next().unwrap_or(name);
        (name, Some(version).filter(|version| !version.is_empty()))
    })
}

/// Edits (insertion, deletion, substitution) from one word to the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts() {
        let entry = |version: &str| {
            format!("Package: a\nVersion: {version}\nFilename: f\nSize: 1\nSHA256: x\nProvides: v (= 2), w:any\n\n")
        };
        let lists = [format!("{}{}", entry("1.9"), entry("1.10")), entry("1.2")];
        let index = Index::new(&lists);
        assert_eq!(index.packages.len(), 1);
        assert_eq!(index.packages[index.named("a").unwrap()].version, "1.10");
        assert_eq!(index.providers("v"), [(0, Some("2"))]);
        assert_eq!(index.providers("w"), [(0, None)]);
    }

    #[test]
    fn nearest_name() {
        let lists = [["vim", "curl", "openssh-server"]
            .map(|name| format!("Package: {name}\nVersion: 1\nFilename: f\nSize: 1\nSHA256: x\n"))
            .join("\n")];
        let index = Index::new(&lists);
        assert_eq!(index.nearest("crul"), Some("curl"));
        assert_eq!(index.nearest("opensh-server"), Some("openssh-server"));
        assert_eq!(index.nearest("something-else"), None);
    }
}
