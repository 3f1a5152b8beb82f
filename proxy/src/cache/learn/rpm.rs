//! `repomd.xml` and the primary index of RPM repositories.

use std::io::{self, BufRead};

use super::markup::{Tag, tags};
use super::place::below;
use super::{Claim, Sink};

/// What is known of the package, or of the part of the repository's data, being described.
#[derive(Default)]
struct Item {
    digest: Option<(&'static str, String)>,
    size: Option<u64>,
    location: Option<String>,
}

/// Reads either: both describe files by `checksum`, `size` and `location`, from the directory above `repodata`.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let Some(at) = source.rfind("/repodata/") else { return Ok(()) };
    let root = &source[..=at];
    let mut item = Item::default();
    let mut checksum = None;
    tags(input, |tag| match tag.name.as_str() {
        "package" | "data" => item = Item::default(),
        "checksum" => checksum = tag.get("type").and_then(algorithm),
        "/checksum" => {
            if let Some(algorithm) = checksum.take() {
                item.digest = Some((algorithm, tag.text.clone()));
            }
        }
        "/size" => item.size = tag.text.parse().ok(),
        "size" => item.size = tag.get("package").and_then(|size| size.parse().ok()),
        "location" => item.location = located(tag),
        "/package" | "/data" => {
            let Item { digest, size, location } = std::mem::take(&mut item);
            if let (Some((algorithm, hex)), Some(url)) = (digest, location.and_then(|path| below(root, &path))) {
                sink(Claim { url, algorithm, hex, size });
            }
        }
        _ => {}
    })
}

/// The path; `None` for what lies in another place altogether.
fn located(tag: &Tag) -> Option<String> {
    tag.get("href").filter(|_| tag.get("xml:base").is_none()).map(str::to_owned)
}

fn algorithm(name: &str) -> Option<&'static str> {
    match name {
        "sha256" => Some("sha256"),
        "sha512" => Some("sha512"),
        "sha" | "sha1" => Some("sha1"),
        _ => None,
    }
}
