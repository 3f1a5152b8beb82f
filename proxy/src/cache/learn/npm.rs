//! A packument of an npm registry, full or abbreviated.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::place::origin;
use super::{Claim, Sink};

/// Longest packument of interest.
const LIMIT: u64 = 128 * 1024 * 1024;

#[derive(Deserialize)]
struct Packument {
    #[serde(default)]
    versions: BTreeMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Option<Dist>,
}

#[derive(Deserialize)]
struct Dist {
    tarball: Option<String>,
    integrity: Option<String>,
    shasum: Option<String>,
}

/// Reads the tarballs of all versions. npm asks its own registry for a tarball that is named elsewhere, so a promise
/// holds there as well.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let packument: Packument = serde_json::from_reader(input.take(LIMIT))?;
    for dist in packument.versions.into_values().filter_map(|version| version.dist) {
        let Some((algorithm, hex)) = digest(&dist) else { continue };
        let Some(tarball) = dist.tarball else { continue };
        let (own, theirs) = (origin(source), origin(&tarball));
        if own != theirs {
            let url = format!("{own}{}", &tarball[theirs.len()..]);
            sink(Claim { url, algorithm, hex: hex.clone(), size: None });
        }
        sink(Claim { url: tarball, algorithm, hex, size: None });
    }
    Ok(())
}

fn digest(dist: &Dist) -> Option<(&'static str, String)> {
    let listed = dist.integrity.as_deref().unwrap_or_default();
    for algorithm in ["sha512", "sha256"] {
        let of_it = |word: &str| Some(word.strip_prefix(algorithm)?.strip_prefix('-')?.split('?').next()?.to_owned());
        if let Some(bytes) = listed.split_whitespace().find_map(of_it).and_then(|text| STANDARD.decode(text).ok()) {
            return Some((algorithm, hex::encode(bytes)));
        }
    }
    Some(("sha1", dist.shasum.clone()?))
}
