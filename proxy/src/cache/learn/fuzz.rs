//! Indexes of packages, whatever they say, plain or packed.

use url::Url;

use super::{Claim, cargo, place, read};
use crate::rules::Format;

const FORMATS: [(Format, &str); 7] = [
    (Format::Apt, "http://example.org/debian/dists/stable/main/binary-amd64/Packages"),
    (Format::Rpm, "http://example.org/rpm/9/repodata/repomd.xml"),
    (Format::Pypi, "http://example.org/simple/name/"),
    (Format::Npm, "http://example.org/npm/name"),
    (Format::Cargo, "http://example.org/index/na/me/name"),
    (Format::Gem, "http://example.org/gems/info/name"),
    (Format::Checksums, "http://example.org/iso/SHA256SUMS"),
];

/// Claims that so many bytes could not make, whatever they are packed by.
const MOST: usize = 1 << 20;

/// The first byte says which format, and whether it came packed by brotli; a line says a template for cargo's.
pub fn indexes(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let (format, source) = FORMATS[usize::from(first & 0x0f) % FORMATS.len()];
    let coding = (first & 0x80 != 0).then_some("br");
    let (template, body) = match (format, rest.iter().position(|&byte| byte == b'\n')) {
        (Format::Cargo, Some(at)) => (String::from_utf8_lossy(&rest[..at]).into_owned(), &rest[at + 1..]),
        _ => (String::new(), rest),
    };
    let _ = cargo::template(body);
    let mut count = 0;
    let told = &mut |claim: Claim| {
        count += 1;
        check(format, source, &claim);
    };
    let _ = read(format, body, coding, source, Some(&template), told);
    assert!(count < MOST, "{count} claims of {} bytes", body.len());
}

/// What an index may say: where it speaks of files below a place, of none outside of it.
fn check(format: Format, source: &str, claim: &Claim) {
    let Claim { url, algorithm, hex, .. } = claim;
    let _ = (place::key_of(url), crate::rules::Promised::named(algorithm, hex.as_str()));
    if matches!(format, Format::Pypi) {
        let parsed = Url::parse(url).expect("an absolute URL");
        assert!(matches!(parsed.scheme(), "http" | "https") && parsed.fragment().is_none(), "{url}");
    }
    if matches!(format, Format::Apt | Format::Rpm | Format::Gem | Format::Checksums) {
        let root = match format {
            Format::Apt => "http://example.org/debian/",
            Format::Rpm => "http://example.org/rpm/9/",
            Format::Gem => "http://example.org/gems/",
            _ => "http://example.org/iso/",
        };
        assert!(url.starts_with(root), "{source} speaks of {url}");
        assert!(!url[root.len()..].split('/').any(|part| part == ".."), "{source} speaks of {url}");
    }
}
