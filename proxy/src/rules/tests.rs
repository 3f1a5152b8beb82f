use http::HeaderName;

use super::*;

fn request(fields: &[(&str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

#[track_caller]
fn assert_rule(path: &str, rule: &str, nature: Nature) {
    let verdict = Rules::default().classify(path, None);
    assert_eq!((verdict.rule, verdict.nature), (rule, nature), "{path}");
}

/// Paths of real servers. Each line is also tried behind the prefixes of repository managers and mirrors.
#[test]
fn shapes_hold_behind_any_prefix() {
    use Nature::{Immutable, Lasting, Mutable};
    let blake = format!("/packages/ab/cd/{}/x-1.0-py3-none-any.whl", "e".repeat(60));
    let metadata = format!("{blake}.metadata");
    let sha256 = "ab".repeat(32);
    let repodata = format!("/repodata/{sha256}-primary.xml.gz");
    let paths: &[(&str, &str, Nature)] = &[
        ("/pool/main/h/hello/hello_2.10-3_amd64.deb", "apt pool", Immutable),
        ("/pool/updates/main/l/linux/linux-image_6.1_amd64.deb", "apt pool", Immutable),
        ("/pool/main/g/gcc-12/gcc-12_12.2.0.orig.tar.gz", "apt pool", Immutable),
        ("/pool/main/g/gcc-12/gcc-12_12.2.0-14.dsc", "apt pool", Immutable),
        ("/pool/main/h/hello/hello_2.10%2bdfsg-3_amd64.udeb", "apt pool", Immutable),
        ("/dists/stable/InRelease", "apt index", Mutable),
        ("/dists/stable/Release.gpg", "apt index", Mutable),
        ("/dists/stable/main/binary-amd64/Packages.xz", "apt index", Mutable),
        ("/dists/stable/main/source/Sources.gz", "apt index", Mutable),
        ("/dists/stable/main/binary-amd64/Packages.diff/Index", "apt index", Mutable),
        ("/dists/stable/main/i18n/Translation-en.xz", "apt index", Mutable),
        ("/dists/stable/main/binary-amd64/by-hash/MD5Sum/00", "apt index", Mutable),
        ("/flat/Packages.xz", "apt index", Mutable),
        ("/flat/InRelease", "apt index", Mutable),
        ("/archive/debian/20240101T000000Z/dists/stable/InRelease", "apt snapshot", Immutable),
        (&repodata, "rpm index", Immutable),
        ("/repodata/repomd.xml", "rpm index", Mutable),
        ("/repodata/primary.xml.gz", "rpm index", Mutable),
        ("/Packages/b/bash-5.2.26-3.fc40.x86_64.rpm", "rpm", Immutable),
        ("/os/x86_64/Packages/gcc-c++-14.0.1-0.15.fc40.i686.rpm", "rpm", Immutable),
        ("/drpms/bash-5.2.15-5.fc39_5.2.26-1.fc39.x86_64.drpm", "rpm", Immutable),
        ("/latest.rpm", "package", Lasting),
        ("/v3.20/main/x86_64/APKINDEX.tar.gz", "apk index", Mutable),
        ("/v3.20/main/x86_64/musl-1.2.5-r0.apk", "apk", Immutable),
        ("/v3.20/main/x86_64/ca-certificates-bundle-20240226-r0.apk", "apk", Immutable),
        ("/edge/main/x86_64/Packages.adb", "apk index", Mutable),
        (&blake, "pypi file", Immutable),
        (&metadata, "pypi file", Immutable),
        ("/packages/requests/2.31.0/requests-2.31.0-py3-none-any.whl", "pypi file", Immutable),
        ("/packages/source/r/requests/requests-2.31.0.tar.gz", "pypi file", Immutable),
        ("/root/pypi/+f/abc/def0123456789/six-1.16.0.tar.gz", "pypi file", Immutable),
        ("/wheels/numpy-2.0.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "pypi file", Immutable),
        ("/whl/cu121/torch-2.3.0%2Bcu121-cp311-cp311-linux_x86_64.whl", "pypi file", Immutable),
        ("/simple/requests/", "pypi index", Mutable),
        ("/simple/zope.interface/", "pypi index", Mutable),
        ("/simple/", "pypi index", Mutable),
        ("/root/pypi/+simple/six/", "pypi index", Mutable),
        ("/left-pad/-/left-pad-1.3.0.tgz", "npm tarball", Immutable),
        ("/@scope/x/-/x-1.0.0.tgz", "npm tarball", Immutable),
        ("/@scope/x/-/@scope/x-1.0.0.tgz", "npm tarball", Immutable),
        ("/@types%2fnode", "npm packument", Mutable),
        ("/api/v1/crates/serde/1.0.0/download", "crate", Immutable),
        ("/crates/serde/serde-1.0.0.crate", "crate", Immutable),
        ("/crates/serde/1.0.0/download", "crate", Immutable),
        ("/se/rd/serde", "cargo index", Mutable),
        ("/3/u/url", "cargo index", Mutable),
        ("/2/cc", "cargo index", Mutable),
        ("/1/a", "cargo index", Mutable),
        ("/index/config.json", "cargo index", Mutable),
        ("/github.com/!burnt!sushi/toml/@v/v1.3.2.zip", "go module", Immutable),
        ("/golang.org/x/mod/@v/v0.1.0.mod", "go module", Immutable),
        ("/golang.org/x/mod/@v/v0.0.0-20240101000000-0123456789ab.info", "go module", Immutable),
        ("/golang.org/x/mod/@v/master.info", "go index", Mutable),
        ("/golang.org/x/mod/@v/list", "go index", Mutable),
        ("/golang.org/x/mod/@latest", "go index", Mutable),
        ("/sumdb/sum.example.org/latest", "go index", Mutable),
        ("/sumdb/sum.example.org/lookup/golang.org/x/mod@v0.1.0", "go checksum database", Immutable),
        ("/tile/8/0/x001/234", "go checksum database", Immutable),
        ("/tile/8/1/007.p/12", "go checksum database", Immutable),
        ("/tile/8/data/x001/234", "go checksum database", Immutable),
        ("/gems/rails-7.1.0.gem", "gem", Immutable),
        ("/gems/nokogiri-1.16.0-x86_64-linux.gem", "gem", Immutable),
        ("/quick/Marshal.4.8/rails-7.1.0.gemspec.rz", "gem", Immutable),
        ("/specs.4.8.gz", "gem index", Mutable),
        ("/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.jar", "maven", Immutable),
        ("/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9-sources.jar", "maven", Immutable),
        ("/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.pom", "maven", Immutable),
        ("/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.jar.sha1", "checksums", Mutable),
        ("/org/slf4j/slf4j-api/maven-metadata.xml", "maven index", Mutable),
        ("/org/slf4j/slf4j-api/maven-metadata.xml.sha1", "maven index", Mutable),
        ("/a/b/1.0-SNAPSHOT/b-1.0-SNAPSHOT.jar", "maven snapshot", Mutable),
        ("/a/b/1.0-SNAPSHOT/b-1.0-20240101.123456-7.jar", "maven", Immutable),
        ("/a/b/1.0-SNAPSHOT/maven-metadata.xml", "maven index", Mutable),
        ("/releases/24.04/SHA256SUMS", "checksums", Mutable),
        ("/releases/24.04/SHA256SUMS.gpg", "checksums", Mutable),
        ("/images/Fedora-Cloud-40-1.14-x86_64-CHECKSUM", "checksums", Mutable),
        ("/arch/sha256sums.txt", "checksums", Mutable),
        ("/alpine/alpine-virt-3.20.0-x86_64.iso.sha512", "checksums", Mutable),
        ("/cloud/debian-12-genericcloud-amd64.qcow2", "image", Nature::Plain),
        ("/releases/24.04/ubuntu-24.04-live-server-amd64.iso", "image", Nature::Plain),
        ("/x/boxes/debian/versions/1/providers/virtualbox/amd64/vagrant.box", "image", Nature::Plain),
        ("/conda/linux-64/python-3.12.0-h1234_0_cpython.conda", "package", Lasting),
        ("/something/tool_1.0_amd64.deb", "package", Lasting),
        ("/v2/library/debian/manifests/stable", "oci tag", Mutable),
        ("/v2/library/debian/tags/list", "oci tag", Mutable),
        ("/v2/token", "oci token", Nature::Plain),
    ];
    for prefix in ["", "/debian", "/artifactory/some-repo", "/artifactory/api/pypi/some-repo", "/repository/some-repo"]
    {
        for (path, rule, nature) in paths {
            assert_rule(&format!("{prefix}{path}"), rule, *nature);
        }
    }
    for (path, rule, nature) in [
        ("/artifactory/api/npm/some-repo/left-pad", "npm packument", Mutable),
        ("/artifactory/api/npm/some-repo/@types/node", "npm packument", Mutable),
        ("/repository/crates/config.json", "cargo index", Mutable),
        ("/artifactory/api/cargo/some-repo/index/se/rd/serde", "cargo index", Mutable),
        ("/artifactory/api/docker/some-repo/v2/library/debian/manifests/12", "oci tag", Mutable),
        ("/artifactory/api/go/some-repo/golang.org/x/mod/@v/list", "go index", Mutable),
        ("/owner/repo/releases/download/v1.0/tool-linux-amd64", "release download", Lasting),
        ("/owner/repo/archive/refs/tags/v1.0.tar.gz", "tag archive", Nature::Plain),
        ("/owner/repo/archive/refs/heads/main.tar.gz", "branch archive", Mutable),
        ("/owner/repo/archive/0123456789012345678901234567890123456789.zip", "commit archive", Lasting),
        ("/owner/repo/tar.gz/refs/tags/v1", "tag archive", Nature::Plain),
        ("/group/project/-/package_files/12/download", "release download", Lasting),
    ] {
        assert_rule(path, rule, nature);
    }
}

/// What looks alike, and is nothing the rules know.
#[test]
fn shapes_that_must_not_match() {
    for path in [
        "/",
        "/index.html",
        "/ab/cd/other",
        "/se/rd/other",
        "/3/x/url",
        "/api/v2/users",
        "/v2/",
        "/v2/library/debian/blobs/uploads/",
        "/v2/library/debian/blobs/sha256:abc",
        "/simple/requests/json/more",
        "/simple",
        "/pool/status",
        "/dists",
        "/by-hash/SHA256/xyz",
        "/info/rails",
        "/versions",
        "/owner/repo/releases/latest",
        "/owner/repo/releases/download/v1",
        "/owner/repo/archive",
        "/left-pad",
        "/@v/list/x",
        "/tile/picture.png",
        "/tokens",
        "/packages/list",
        "/package.json",
        "/a/b/c.txt",
        "/metrics/2/abc",
        "/x.tar.gz",
        "/image",
        "/blobs/sha256/ab/data",
        "/config.json",
    ] {
        assert_rule(path, "none", Nature::Plain);
    }
}

#[test]
fn digests_are_read_from_paths() {
    let hex = "ab".repeat(32);
    let long = "cd".repeat(64);
    for (path, expected) in [
        (format!("/x/by-hash/SHA256/{hex}"), &hex),
        (format!("/x/by-hash/SHA512/{long}"), &long),
        (format!("/v2/a/b/blobs/sha256:{hex}"), &hex),
        (format!("/v2/a/manifests/sha256:{hex}"), &hex),
        (format!("/artifactory/api/docker/repo/v2/a/blobs/sha256:{hex}"), &hex),
        (format!("/repository/docker/v2/a/blobs/sha256:{hex}"), &hex),
        (format!("/docker/registry/v2/blobs/sha256/ab/{hex}/data"), &hex),
        (format!("/x86_64/repodata/{hex}-primary.xml.zst"), &hex),
    ] {
        let verdict = Rules::default().classify(&path, None);
        assert_eq!(verdict.nature, Nature::Immutable, "{path}");
        assert_eq!(verdict.promised.map(|promised| promised.hex).as_ref(), Some(expected), "{path}");
    }
    assert_eq!(Rules::default().classify("/pool/a_1.deb", None).promised, None);
}

#[test]
fn requests_tell_what_paths_cannot() {
    for (path, field, value, rule) in [
        ("/left-pad", "accept", "application/vnd.npm.install-v1+json; q=1.0, */*", "npm packument"),
        ("/left-pad", "pacote-req-type", "packument", "npm packument"),
        ("/left-pad", "pacote-req-type", "tarball", "none"),
        ("/left-pad", "accept", "application/json", "none"),
        ("/info/rails", "user-agent", "bundler/2.5.0 rubygems/3.5.0 ruby/3.3.0", "gem index"),
        ("/versions", "user-agent", "Ruby, RubyGems/3.5.0 x86_64-linux", "gem index"),
        ("/info/rails", "user-agent", "curl/8", "none"),
    ] {
        let verdict = Rules::default().classify(path, Some(&request(&[(field, value)])));
        assert_eq!(verdict.rule, rule, "{path} {field}: {value}");
    }
}

#[test]
fn an_answer_in_html_is_no_package() {
    for (path, media_type, expected) in [
        ("/pool/main/a/a_1_amd64.deb", Some("text/html; charset=utf-8"), false),
        ("/pool/main/a/a_1_amd64.deb", Some("TEXT/HTML"), false),
        ("/pool/main/a/a_1_amd64.deb", Some("application/vnd.debian.binary-package"), true),
        ("/pool/main/a/a_1_amd64.deb", None, true),
        ("/simple/x/", Some("text/html"), true),
        ("/simple/x/", Some("application/vnd.pypi.simple.v1+json"), true),
        ("/simple/x/", Some("image/png"), false),
        ("/other", Some("text/html"), true),
    ] {
        let fields: Vec<_> = media_type.map(|value| ("content-type", value)).into_iter().collect();
        assert_eq!(Rules::default().classify(path, None).fits(&request(&fields)), expected, "{path} {media_type:?}");
    }
}

#[test]
fn rules_of_the_settings_come_first_and_the_longest_of_them() {
    let own = [
        UserRule::parse(r"/nightly/", "mutable package").unwrap(),
        UserRule::parse(r"/nightly/pinned-[0-9]+/", "immutable package").unwrap(),
        UserRule::parse(r"/cas/(?<sha256>[0-9a-f]{64})$", "immutable").unwrap(),
    ];
    let rules = Rules::new(&own).unwrap();
    assert_eq!(rules.classify("/nightly/tool.deb", None).nature, Nature::Mutable);
    assert_eq!(rules.classify("/nightly/pinned-1/tool.deb", None).nature, Nature::Immutable);
    let hex = "01".repeat(32);
    let cas = rules.classify(&format!("/cas/{hex}"), None);
    assert_eq!((cas.promised.unwrap().hex, cas.class), (hex, Class::Other));
    assert_eq!(rules.classify("/a/b.iso", None).rule, "image");
    for (pattern, what, reason) in [
        ("(", "mutable", "unclosed group"),
        ("/x", "sometimes", "immutable, lasting, mutable or plain"),
        ("/x", "mutable cheese", "`cheese` is none of"),
        ("/x", "mutable index now", "more than"),
    ] {
        let error = UserRule::parse(pattern, what).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_path_is_too_strange(path in ".{0,200}") {
        let _ = Rules::default().classify(&path, None);
    }
}

/// Every request is classified: a set too large for its automaton's cache would make that many times as slow.
#[test]
fn a_path_is_judged_in_a_moment() {
    let blake = format!("/packages/ab/cd/{}/x-1.0-py3-none-any.whl", "e".repeat(60));
    let blob = format!("/v2/library/debian/blobs/sha256:{}", "ab".repeat(32));
    let paths = [
        "/debian/pool/main/h/hello/hello_2.10-3_amd64.deb",
        "/debian/dists/stable/main/binary-amd64/Packages.xz",
        &blake,
        &blob,
        "/left-pad/-/left-pad-1.3.0.tgz",
        "/some/where/else/entirely.html",
        "/org/slf4j/slf4j-api/2.0.9/slf4j-api-2.0.9.jar",
    ];
    let rules = Rules::default();
    let round = || paths.iter().for_each(|path| drop(rules.classify(path, None)));
    (0..100).for_each(|_| round());
    let begun = std::time::Instant::now();
    (0..1000).for_each(|_| round());
    let each = begun.elapsed() / 7000;
    assert!(each < std::time::Duration::from_micros(200), "{each:?}");
}
