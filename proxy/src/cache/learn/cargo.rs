//! A crate's file of a sparse index.

use std::io::{self, BufRead};

use serde::Deserialize;

use super::unpack::lines;
use super::{Claim, Sink};

#[derive(Deserialize)]
struct Line {
    name: String,
    vers: String,
    cksum: String,
}

#[derive(Deserialize)]
struct Config {
    dl: String,
}

/// Where an index says what URLs its crates have, below its root.
pub(super) const CONFIG: &str = "config.json";

/// The root of the index that a file of it lies in.
pub(super) fn root(source: &str) -> Option<&str> {
    let path = source.split(['?', '#']).next()?;
    let mut parts = path.rsplitn(4, '/');
    let (_, second, first, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if matches!(second, "1" | "2") {
        path.rfind(&format!("/{second}/")).map(|at| &path[..at])
    } else {
        Some(rest).filter(|_| !first.is_empty())
    }
}

/// The template of download URLs in an index's `config.json`.
pub(super) fn template(config: &[u8]) -> Option<String> {
    Some(serde_json::from_slice::<Config>(config).ok()?.dl)
}

/// Reads one version a line.
pub(super) fn read(input: &mut dyn BufRead, template: &str, sink: Sink<'_>) -> io::Result<()> {
    lines(input, |line| {
        if let Ok(Line { name, vers, cksum }) = serde_json::from_str(line) {
            let url = download(template, &name, &vers, &cksum);
            sink(Claim { url, algorithm: "sha256", hex: cksum, size: None });
        }
    })
}

fn download(template: &str, name: &str, version: &str, checksum: &str) -> String {
    const MARKERS: [&str; 5] = ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];
    if !MARKERS.iter().any(|marker| template.contains(marker)) {
        return format!("{}/{name}/{version}/download", template.trim_end_matches('/'));
    }
    let prefix = |name: &str| match name.len() {
        0..=2 => name.len().to_string(),
        3 => format!("3/{}", name.get(..1).unwrap_or_default()),
        _ => format!("{}/{}", name.get(..2).unwrap_or_default(), name.get(2..4).unwrap_or_default()),
    };
    template
        .replace("{crate}", name)
        .replace("{version}", version)
        .replace("{prefix}", &prefix(name))
        .replace("{lowerprefix}", &prefix(&name.to_lowercase()))
        .replace("{sha256-checksum}", checksum)
}
