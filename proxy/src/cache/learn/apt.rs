//! `Release`, `Packages` and `Sources` of apt repositories.

use std::io::{self, BufRead};

use super::place::{below, directory};
use super::unpack::lines;
use super::{Claim, Sink};

/// Digests kept of a `Release` that has no SHA-256.
const MOST_WEAK: usize = 50_000;

/// Reads whichever of them this is.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let begins = input.fill_buf()?;
    let begins = std::str::from_utf8(&begins[..begins.len().min(64)]).unwrap_or_default().trim_start().to_owned();
    if begins.starts_with("Package:") || begins.starts_with("Format:") {
        packages(input, source, sink)
    } else if begins.starts_with("-----BEGIN PGP SIGNED") || begins.contains(": ") {
        release(input, source, sink)
    } else {
        Ok(())
    }
}

fn release(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let base = match source.rfind("/by-hash/") {
        Some(_) => return Ok(()),
        None => directory(source),
    };
    let mut section = "";
    let mut strong = false;
    let mut weak: Vec<Claim> = Vec::new();
    let mut ended = false;
    lines(input, |line| {
        ended |= line.starts_with("-----BEGIN PGP SIGNATURE");
        if ended {
            return;
        }
        if !line.starts_with(' ') {
            section = match line {
                "SHA256:" => "sha256",
                "SHA512:" => "sha512",
                "SHA1:" => "sha1",
                _ => "",
            };
            return;
        }
        let Some(claim) = listed(line, section, base).filter(|_| !section.is_empty()) else { return };
        if section == "sha256" {
            strong = true;
            sink(claim);
        } else if weak.len() < MOST_WEAK {
            weak.push(claim);
        }
    })?;
    if !strong {
        weak.into_iter().for_each(sink);
    }
    Ok(())
}

/// ` DIGEST SIZE PATH`
fn listed(line: &str, algorithm: &'static str, base: &str) -> Option<Claim> {
    let mut words = line.split_whitespace();
    let (hex, size, path) = (words.next()?, words.next()?, words.next()?);
    Some(Claim { url: below(base, path)?, algorithm, hex: hex.to_owned(), size: Some(size.parse().ok()?) })
}

/// One paragraph of `Packages` or `Sources`.
#[derive(Default)]
struct Paragraph {
    filename: String,
    directory: String,
    size: Option<u64>,
    digest: Option<(&'static str, String)>,
    files: Vec<(String, u64, String)>,
    in_files: bool,
}

/// Files of one source package that are believed.
const MOST_FILES: usize = 1000;

impl Paragraph {
    fn line(&mut self, line: &str) {
        if line.starts_with([' ', '\t']) {
            let mut words = line.split_whitespace();
            if self.in_files
                && self.files.len() < MOST_FILES
                && let (Some(hex), Some(Ok(size)), Some(name)) =
                    (words.next(), words.next().map(str::parse), words.next())
            {
                self.files.push((hex.to_owned(), size, name.to_owned()));
            }
            return;
        }
        self.in_files = false;
        let Some((name, value)) = line.split_once(':') else { return };
        let value = value.trim();
        match name {
            "Filename" => value.clone_into(&mut self.filename),
            "Directory" => value.clone_into(&mut self.directory),
            "Size" => self.size = value.parse().ok(),
            "SHA256" => self.digest = Some(("sha256", value.to_owned())),
            "SHA512" if self.digest.as_ref().is_none_or(|(known, _)| *known == "sha1") => {
                self.digest = Some(("sha512", value.to_owned()));
            }
            "SHA1" if self.digest.is_none() => self.digest = Some(("sha1", value.to_owned())),
            "Checksums-Sha256" => self.in_files = true,
            _ => {}
        }
    }

    fn claims(self, roots: &Roots<'_>, sink: &mut dyn FnMut(Claim)) {
        if let Some((algorithm, hex)) = self.digest {
            for url in roots.places(&self.filename) {
                sink(Claim { url, algorithm, hex: hex.clone(), size: self.size });
            }
        }
        for (hex, size, name) in self.files {
            let path = if self.directory.is_empty() { name } else { format!("{}/{name}", self.directory) };
            for url in roots.places(&path) {
                sink(Claim { url, algorithm: "sha256", hex: hex.clone(), size: Some(size) });
            }
        }
    }
}

/// Where paths of an index are taken from.
enum Roots<'a> {
    /// Above `dists`.
    Archive(&'a str),
    /// A flat repository: the index's own directory or one above it, which `sources.list` says and nobody else.
    Flat(&'a str),
}

/// What lies below this may be named by an index.
pub(super) fn root(source: &str) -> &str {
    match Roots::of(source) {
        Roots::Archive(root) => root,
        // One above its own directory, as `sources.list` may say.
        Roots::Flat(_) => super::place::origin(source),
    }
}

impl<'a> Roots<'a> {
    fn of(source: &'a str) -> Self {
        match source.rfind("/dists/") {
            Some(at) => Self::Archive(&source[..=at]),
            None => Self::Flat(directory(source)),
        }
    }

    fn places(&self, path: &str) -> Vec<String> {
        match self {
            Self::Archive(root) => below(root, path).into_iter().collect(),
            Self::Flat(own) => {
                let path = path.trim_start_matches("./");
                let above = path.match_indices('/').find_map(|(at, _)| {
                    let begins = format!("/{}", &path[..=at]);
                    let root = own.strip_suffix(&begins[1..]).filter(|_| own.ends_with(&begins))?;
                    below(root, path)
                });
                above.into_iter().chain(below(own, path)).collect()
            }
        }
    }
}

fn packages(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let roots = Roots::of(source);
    let mut paragraph = Paragraph::default();
    lines(input, |line| {
        if line.is_empty() {
            std::mem::take(&mut paragraph).claims(&roots, sink);
        } else {
            paragraph.line(line);
        }
    })?;
    paragraph.claims(&roots, sink);
    Ok(())
}
