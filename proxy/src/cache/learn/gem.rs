//! A gem's file of the compact index of RubyGems.

use std::io::{self, BufRead};

use super::unpack::lines;
use super::{Claim, Sink};

/// Reads lines of `VERSION[-PLATFORM] DEPENDENCIES|checksum:DIGEST,...` at `ROOT/info/NAME`.
pub(super) fn read(input: &mut dyn BufRead, source: &str, sink: Sink<'_>) -> io::Result<()> {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let Some((root, name)) = path.rsplit_once("/info/") else { return Ok(()) };
    lines(input, |line| {
        let Some((version, rest)) = line.split_once(' ') else { return };
        let Some((_, facts)) = rest.rsplit_once('|') else { return };
        let Some(hex) = facts.split(',').find_map(|fact| fact.strip_prefix("checksum:")) else { return };
        if version.starts_with(|first: char| first.is_ascii_digit()) && !version.contains('/') {
            let url = format!("{root}/gems/{name}-{version}.gem");
            sink(Claim { url, algorithm: "sha256", hex: hex.to_owned(), size: None });
        }
    })
}
