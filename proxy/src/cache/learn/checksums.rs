//! `SHA256SUMS` and its kin, and the digest of one file beside it.

use std::io::{self, BufRead};

use super::place::{below, directory};
use super::unpack::lines;
use super::{Claim, Sink};

/// Reads lines of `DIGEST *NAME`, and of `SHA256 (NAME) = DIGEST`; a lone digest is that of the file the list is named
/// after.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let base = directory(source);
    lines(input, |line| {
        let Some((hex, name)) = pair(line) else { return };
        let Some(algorithm) = algorithm(hex) else { return };
        let url = match name {
            Some(name) => below(base, name),
            None => named_after(source),
        };
        if let Some(url) = url {
            sink(Claim { url, algorithm, hex: hex.to_owned(), size: None });
        }
    })
}

fn pair(line: &str) -> Option<(&str, Option<&str>)> {
    let line = line.trim();
    if let Some((name, hex)) = line.rsplit_once(") = ") {
        let (_, name) = name.split_once(" (")?;
        return Some((hex.trim(), Some(name)));
    }
    match line.split_once([' ', '\t']) {
        None => Some((line, None)),
        Some((hex, name)) => {
            let name = name.trim_start();
            Some((hex, Some(name.strip_prefix('*').unwrap_or(name)).filter(|name| !name.is_empty())))
        }
    }
}

fn algorithm(hex: &str) -> Option<&'static str> {
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match hex.len() {
        40 => Some("sha1"),
        64 => Some("sha256"),
        128 => Some("sha512"),
        _ => None,
    }
}

/// `x.iso` of `x.iso.sha256`.
fn named_after(source: &str) -> Option<String> {
    let path = source.split(['?', '#']).next()?;
    let path = path.strip_suffix(".txt").unwrap_or(path);
    let (file, extension) = path.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let is_digest = matches!(extension.trim_end_matches("sum"), "sha1" | "sha256" | "sha512");
    is_digest.then(|| file.to_owned())
}
