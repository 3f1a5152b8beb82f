//! A page of the simple index: HTML (PEP 503) or JSON (PEP 691), with metadata files (PEP 658 and 714).

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;
use url::Url;

use super::markup::tags;
use super::place::resolve;
use super::{Claim, Sink};

/// Longest page in JSON of interest.
const LIMIT: u64 = 128 * 1024 * 1024;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
    core_metadata: Option<Metadata>,
    dist_info_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata {
    Hashes(BTreeMap<String, String>),
    Other(serde::de::IgnoredAny),
}

/// Reads whichever of the two this is.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let Ok(base) = Url::parse(source) else { return Ok(()) };
    let is_json = input.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_json { json(input, &base, sink) } else { html(input, base, sink) }
}

fn json(input: &mut dyn BufRead, base: &Url, sink: Sink<'_>) -> io::Result<()> {
    let page: Page = serde_json::from_reader(input.take(LIMIT))?;
    for file in page.files {
        let Some(url) = resolve(base, &file.url) else { continue };
        let metadata = file.core_metadata.or(file.dist_info_metadata);
        if let Some(Metadata::Hashes(hashes)) = metadata {
            claim(format!("{}.metadata", without_fragment(&url)), &hashes, None, sink);
        }
        claim(without_fragment(&url), &file.hashes, file.size, sink);
    }
    Ok(())
}

fn claim(url: String, hashes: &BTreeMap<String, String>, size: Option<u64>, sink: Sink<'_>) {
    let found = ["sha256", "sha512", "sha1"].into_iter().find_map(|name| Some((name, hashes.get(name)?)));
    if let Some((algorithm, hex)) = found {
        sink(Claim { url, algorithm, hex: hex.clone(), size });
    }
}

fn html(input: &mut dyn BufRead, mut base: Url, sink: Sink<'_>) -> io::Result<()> {
    tags(input, |tag| {
        let Some(url) = tag.get("href").and_then(|href| resolve(&base, href)) else { return };
        match tag.name.as_str() {
            "base" => base = url,
            "a" => {
                let plain = without_fragment(&url);
                let metadata = tag.get("data-core-metadata").or_else(|| tag.get("data-dist-info-metadata"));
                if let Some(hashes) = metadata.and_then(named_digest) {
                    claim(format!("{plain}.metadata"), &hashes, None, sink);
                }
                if let Some(hashes) = url.fragment().and_then(named_digest) {
                    claim(plain, &hashes, None, sink);
                }
            }
            _ => {}
        }
    })
}

/// `sha256=DIGEST`, where there may be more after an ampersand.
fn named_digest(text: &str) -> Option<BTreeMap<String, String>> {
    let (name, hex) = text.split('&').find_map(|part| part.split_once('='))?;
    Some(BTreeMap::from([(name.to_owned(), hex.to_owned())]))
}

fn without_fragment(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.into()
}
