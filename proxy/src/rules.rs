//! What the shape of a path says about the content: package, index or image, and whether it can ever change.
//!
//! Host names play no part, so the rules hold behind mirrors and repository managers.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use http::HeaderMap;
use regex::{Regex, RegexSet};

use crate::flow::Class;

/// How long content named by a path lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Never changes under its name, whatever its headers say.
    Immutable,
    /// Does not change, unless its headers give an explicit lifetime.
    Lasting,
    /// Changes: asked for again once a run, and served stale when upstream fails.
    Mutable,
    /// Nothing known: RFC 9111 as it stands.
    Plain,
}

impl Nature {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Immutable => "immutable",
            Self::Lasting => "lasting",
            Self::Mutable => "mutable",
            Self::Plain => "plain",
        }
    }
}

/// A digest that the URL promises for the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// The algorithm, in the spelling of aws-lc-rs.
    pub algorithm: &'static digest::Algorithm,
    /// Lower-case hex.
    pub hex: String,
}

/// Algorithms by the names used in indexes and in the store, the strongest first.
const ALGORITHMS: [(&str, &digest::Algorithm); 3] =
    [("sha512", &digest::SHA512), ("sha256", &digest::SHA256), ("sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY)];

impl Promised {
    /// A digest by the name of its algorithm, in hex of any case; `None` where either is not known or not one.
    pub fn named(algorithm: &str, hex: impl Into<String>) -> Option<Self> {
        let (_, algorithm) = ALGORITHMS.into_iter().find(|(name, _)| *name == algorithm)?;
        let hex = hex.into().to_ascii_lowercase();
        let fits = hex.len() == algorithm.output_len() * 2 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then_some(Self { algorithm, hex })
    }

    /// The name of the algorithm: `sha512`, `sha256` or `sha1`.
    pub fn name(&self) -> &'static str {
        ALGORITHMS.into_iter().find(|(_, algorithm)| *algorithm == self.algorithm).map_or("unknown", |(name, _)| name)
    }

    /// The digest itself.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        hex::decode(&self.hex).ok()
    }
}

/// What the rules say about one URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Kind of content.
    pub class: Class,
    /// How long it lives.
    pub nature: Nature,
    /// Name of the rule that matched, or `none`.
    pub rule: &'static str,
    /// Digest the body must have.
    pub promised: Option<Promised>,
}

struct Rule {
    name: &'static str,
    path: &'static str,
    nature: Nature,
    class: Class,
    /// What a regular expression cannot say.
    guard: fn(&str) -> bool,
}

const fn rule(name: &'static str, class: Class, nature: Nature, path: &'static str) -> Rule {
    Rule { name, path, nature, class, guard: |_| true }
}

/// The first match wins. A group named `sha1`, `sha256` or `sha512` is the digest of the body.
const RULES: &[Rule] = &[
    rule("apt by-hash", Class::Index, Nature::Immutable, r"/by-hash/SHA256/(?<sha256>[0-9a-f]{64})$"),
    rule("apt by-hash", Class::Index, Nature::Immutable, r"/by-hash/SHA512/(?<sha512>[0-9a-f]{128})$"),
    rule("apt by-hash", Class::Index, Nature::Immutable, r"/by-hash/SHA1/(?<sha1>[0-9a-f]{40})$"),
    rule("oci blob", Class::Package, Nature::Immutable, r"^/v2/.+/blobs/sha256:(?<sha256>[0-9a-f]{64})$"),
    rule("oci manifest", Class::Index, Nature::Immutable, r"^/v2/.+/manifests/sha256:(?<sha256>[0-9a-f]{64})$"),
    rule("oci blob", Class::Package, Nature::Immutable, r"/blobs/sha256/[0-9a-f]{2}/(?<sha256>[0-9a-f]{64})/data$"),
    rule("oci tag", Class::Index, Nature::Mutable, r"^/v2/.+/(?:manifests/[^/]+|tags/list)$"),
    rule(
        "apt pool",
        Class::Package,
        Nature::Immutable,
        r"/pool/.+(?:\.u?deb|\.ddeb|\.dsc|\.tar\.(?:gz|xz|bz2|zst)|\.diff\.gz|\.asc)$",
    ),
    rule("apt index", Class::Index, Nature::Mutable, r"/dists/"),
    rule(
        "apt index",
        Class::Index,
        Nature::Mutable,
        r"/(?:InRelease|Release|Release\.gpg|(?:Packages|Sources)(?:\.[a-z0-9]+)?)$",
    ),
    rule("pypi file", Class::Package, Nature::Immutable, r"/packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+$"),
    rule("pypi index", Class::Index, Nature::Mutable, r"/simple/(?:[^/]+/?)?$"),
    rule("npm tarball", Class::Package, Nature::Immutable, r"/-/[^/]+\.tgz$"),
    rule("crate", Class::Package, Nature::Immutable, r"\.crate$"),
    rule("crate", Class::Package, Nature::Immutable, r"/crates/[^/]+/[0-9][^/]*/download$"),
    rule("go module", Class::Package, Nature::Immutable, r"/@v/v[0-9][^/]*\.(?:zip|mod|info)$"),
    rule("go index", Class::Index, Nature::Mutable, r"/(?:@v/list|@latest)$"),
    Rule {
        guard: sparse_name,
        ..rule(
            "cargo index",
            Class::Index,
            Nature::Mutable,
            r"/(?:1/[a-z0-9_-]|2/[a-z0-9_-]{2}|3/[a-z0-9]/[a-z0-9_-]{3}|[a-z0-9_-]{2}/[a-z0-9_-]{2}/[a-z0-9_-]{4,})$",
        )
    },
    rule("gem", Class::Package, Nature::Immutable, r"/gems/[^/]+\.gem$"),
    Rule {
        guard: |path| !path.contains("-SNAPSHOT"),
        ..rule("maven", Class::Package, Nature::Immutable, r"/maven2?/.+/[0-9][^/]*/[^/]+\.(?:jar|pom|aar|war|module)$")
    },
    rule("rpm index", Class::Index, Nature::Immutable, r"/repodata/[0-9a-f]{64}-[^/]+$"),
    rule("rpm index", Class::Index, Nature::Mutable, r"/repodata/[^/]+$"),
    rule("apk index", Class::Index, Nature::Mutable, r"/APKINDEX\.tar\.gz$"),
    rule(
        "checksums",
        Class::Index,
        Nature::Mutable,
        r"/(?:MD5SUMS|SHA(?:1|224|256|384|512)SUMS)(?:\.(?:gpg|sign|asc))?$",
    ),
    rule("package", Class::Package, Nature::Lasting, r"\.(?:deb|udeb|rpm|apk|whl|gem|jar|nupkg)(?:\.metadata)?$"),
    rule(
        "image",
        Class::Image,
        Nature::Plain,
        r"\.(?:iso|img|qcow2|raw|vmdk|vhdx?|ova|box|squashfs)(?:\.(?:gz|xz|zst|bz2))?$",
    ),
];

static SET: LazyLock<RegexSet> =
    LazyLock::new(|| RegexSet::new(RULES.iter().map(|rule| rule.path)).expect("the built-in patterns are valid"));
static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    RULES.iter().map(|rule| Regex::new(rule.path).expect("the built-in patterns are valid")).collect()
});

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct Rules {}

impl Rules {
    /// Judges a URL by its path, and by the request's fields where they are known: they alone tell an npm packument.
    #[expect(clippy::unused_self, reason = "rules of the user's configuration will join the built-in ones")]
    pub fn classify(&self, path: &str, request: Option<&HeaderMap>) -> Verdict {
        let found = SET.matches(path).iter().find(|&index| (RULES[index].guard)(path));
        if let Some(index) = found {
            let rule = &RULES[index];
            return Verdict {
                class: rule.class,
                nature: rule.nature,
                rule: rule.name,
                promised: promised(index, path),
            };
        }
        if request.is_some_and(asks_for_packument) {
            return Verdict { class: Class::Index, nature: Nature::Mutable, rule: "npm packument", promised: None };
        }
        Verdict { class: Class::Other, nature: Nature::Plain, rule: "none", promised: None }
    }
}

/// npm asks for the short form by its media type and, in newer versions, for the long form as plain JSON; it names the
/// kind of request in a field of its own then, and so do tools built on its library.
fn asks_for_packument(request: &HeaderMap) -> bool {
    let is =
        |name: &str, test: fn(&str) -> bool| request.get(name).and_then(|value| value.to_str().ok()).is_some_and(test);
    is("accept", |accept| accept.contains("application/vnd.npm.install-v1+json"))
        || is("pacote-req-type", |kind| kind == "packument")
}

fn promised(index: usize, path: &str) -> Option<Promised> {
    let captures = EACH[index].captures(path)?;
    ALGORITHMS.into_iter().find_map(|(name, _)| Promised::named(name, captures.name(name)?.as_str()))
}

/// In a sparse index the directories repeat the beginning of the crate's name.
fn sparse_name(path: &str) -> bool {
    let parts: Vec<&str> = path.rsplit('/').collect();
    match parts.as_slice() {
        [_, "1" | "2", ..] => true,
        [name, first, "3", ..] => name.starts_with(first),
        [name, second, first, ..] => name.starts_with(&format!("{first}{second}")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str) -> (&'static str, Nature, Class) {
        let verdict = Rules::default().classify(path, None);
        (verdict.rule, verdict.nature, verdict.class)
    }

    #[test]
    fn shapes() {
        let hex = "ab".repeat(32);
        let blake = format!("/packages/ab/cd/{}/x-1.0-py3-none-any.whl", "e".repeat(60));
        for (path, rule, nature) in [
            ("/debian/pool/main/h/hello/hello_2.10-3_amd64.deb", "apt pool", Nature::Immutable),
            ("/debian/dists/stable/InRelease", "apt index", Nature::Mutable),
            ("/debian/dists/stable/main/binary-amd64/by-hash/MD5Sum/00", "apt index", Nature::Mutable),
            ("/flat/Packages.xz", "apt index", Nature::Mutable),
            (blake.as_str(), "pypi file", Nature::Immutable),
            (&format!("{blake}.metadata"), "pypi file", Nature::Immutable),
            ("/simple/requests/", "pypi index", Nature::Mutable),
            ("/left-pad/-/left-pad-1.3.0.tgz", "npm tarball", Nature::Immutable),
            ("/@scope/x/-/x-1.0.0.tgz", "npm tarball", Nature::Immutable),
            ("/api/v1/crates/serde/1.0.0/download", "crate", Nature::Immutable),
            ("/crates/serde/serde-1.0.0.crate", "crate", Nature::Immutable),
            ("/se/rd/serde", "cargo index", Nature::Mutable),
            ("/3/u/url", "cargo index", Nature::Mutable),
            ("/ab/cd/other", "none", Nature::Plain),
            ("/m/@v/v1.0.0.zip", "go module", Nature::Immutable),
            ("/m/@v/master.info", "none", Nature::Plain),
            ("/m/@v/list", "go index", Nature::Mutable),
            ("/v2/library/debian/manifests/stable", "oci tag", Nature::Mutable),
            ("/maven2/a/b/1.0-SNAPSHOT/b-1.0-SNAPSHOT.jar", "package", Nature::Lasting),
            ("/maven2/a/b/1.0/b-1.0.pom", "maven", Nature::Immutable),
            ("/d/disk.qcow2", "image", Nature::Plain),
            ("/", "none", Nature::Plain),
        ] {
            assert_eq!((judge(path).0, judge(path).1), (rule, nature), "{path}");
        }
        for path in [
            format!("/x/by-hash/SHA256/{hex}"),
            format!("/v2/a/b/blobs/sha256:{hex}"),
            format!("/v2/a/manifests/sha256:{hex}"),
            format!("/registry/blobs/sha256/ab/{hex}/data"),
        ] {
            let verdict = Rules::default().classify(&path, None);
            assert_eq!(verdict.nature, Nature::Immutable, "{path}");
            assert_eq!(verdict.promised.map(|promised| promised.hex), Some(hex.clone()), "{path}");
        }
        for (field, value, expected) in [
            ("accept", "application/vnd.npm.install-v1+json; q=1.0, */*", Nature::Mutable),
            ("pacote-req-type", "packument", Nature::Mutable),
            ("pacote-req-type", "tarball", Nature::Plain),
            ("accept", "application/json", Nature::Plain),
        ] {
            let request = [(field.parse().unwrap(), value.parse().unwrap())].into_iter().collect();
            assert_eq!(Rules::default().classify("/left-pad", Some(&request)).nature, expected, "{field}: {value}");
        }
    }
}
