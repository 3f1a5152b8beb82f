use std::io::Write as _;

use proptest::prelude::*;

use super::*;

fn claims_of(format: Format, source: &str, template: Option<&str>, bytes: &[u8]) -> Vec<Claim> {
    let mut found = Vec::new();
    read(format, bytes, None, source, template, &mut |claim| found.push(claim)).unwrap();
    found
}

/// URL, algorithm, first characters of the digest, size.
fn short(claims: &[Claim]) -> Vec<(&str, &str, &str, Option<u64>)> {
    claims.iter().map(|claim| (&*claim.url, claim.algorithm, &claim.hex[..2], claim.size)).collect()
}

fn hex(byte: &str, length: usize) -> String {
    byte.repeat(length / 2)
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn apt_release_names_indexes() {
    let body = format!(
        "Origin: Example\nSuite: stable\nMD5Sum:\n {} 5 main/binary-amd64/Packages\nSHA1:\n {} 5 main/x\nSHA256:\n \
         {} 5 main/binary-amd64/Packages\n {} 7 main/binary-amd64/Packages.xz\n {} 9 ../../etc\nAcquire-By-Hash: yes\n",
        hex("11", 32),
        hex("22", 40),
        hex("aa", 64),
        hex("bb", 64),
        hex("cc", 64)
    );
    let signed = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{body}-----BEGIN PGP SIGNATURE-----\n\nSHA256:\n {} 1 x\n",
        hex("dd", 64)
    );
    let base = "http://example.org/debian/dists/stable";
    for (name, bytes) in [("Release", &body), ("InRelease", &signed)] {
        let found = claims_of(Format::Apt, &format!("{base}/{name}"), None, bytes.as_bytes());
        assert_eq!(
            short(&found),
            [
                (&*format!("{base}/main/binary-amd64/Packages"), "sha256", "aa", Some(5)),
                (&*format!("{base}/main/binary-amd64/Packages.xz"), "sha256", "bb", Some(7)),
            ]
        );
    }
    let weak = format!("Suite: old\nSHA1:\n {} 5 main/x\n", hex("22", 40));
    let found = claims_of(Format::Apt, "http://example.org/dists/old/Release", None, weak.as_bytes());
    assert_eq!(short(&found), [("http://example.org/dists/old/main/x", "sha1", "22", Some(5))]);
}

#[test]
fn apt_packages_name_files_however_packed() {
    let body = format!(
        "Package: hello\nSize: 10\nFilename: pool/main/h/hello_1_amd64.deb\nMD5sum: {}\nSHA256: {}\nDescription: \
         x\n more\n\nPackage: libg++\nFilename: pool/g/libg++_1~rc_amd64.deb\nSHA512: {}\nSHA1: {}\n",
        hex("11", 32),
        hex("aa", 64),
        hex("bb", 128),
        hex("cc", 40)
    );
    let expected = [
        ("http://example.org/debian/pool/main/h/hello_1_amd64.deb", "sha256", "aa", Some(10)),
        ("http://example.org/debian/pool/g/libg++_1~rc_amd64.deb", "sha512", "bb", None),
    ];
    let xz = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let lzma = {
        let options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let bz2 = {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zst = zstd::encode_all(body.as_bytes(), 1).unwrap();
    for bytes in [body.as_bytes(), &gz(body.as_bytes()), &xz, &lzma, &bz2, &zst] {
        for name in ["Packages.xz", "by-hash/SHA256/00"] {
            let source = format!("http://example.org/debian/dists/stable/main/binary-amd64/{name}");
            assert_eq!(short(&claims_of(Format::Apt, &source, None, bytes)), expected);
        }
    }
    let sources = format!(
        "Package: hello\nDirectory: pool/main/h\nFiles:\n {} 1 hello_1.dsc\nChecksums-Sha256:\n {} 2 hello_1.dsc\n {} \
         3 hello_1.tar.xz\nHomepage: x\n",
        hex("11", 32),
        hex("aa", 64),
        hex("bb", 64)
    );
    let found =
        claims_of(Format::Apt, "http://example.org/dists/s/main/source/Sources.gz", None, &gz(sources.as_bytes()));
    assert_eq!(
        short(&found),
        [
            ("http://example.org/pool/main/h/hello_1.dsc", "sha256", "aa", Some(2)),
            ("http://example.org/pool/main/h/hello_1.tar.xz", "sha256", "bb", Some(3)),
        ]
    );
    let flat = format!("Package: a\nFilename: ./amd64/a_1.deb\nSHA256: {}\n", hex("aa", 64));
    let found = claims_of(Format::Apt, "http://example.org/repo/amd64/Packages", None, flat.as_bytes());
    let urls: Vec<&str> = found.iter().map(|claim| &*claim.url).collect();
    assert_eq!(urls, ["http://example.org/repo/amd64/a_1.deb", "http://example.org/repo/amd64/amd64/a_1.deb"]);
}

#[test]
fn what_is_packed_on_the_way_is_read() {
    // `{"versions":{}}` and a digest, as Brotli packs what it cannot shorten: one uncompressed block.
    let body = format!("{}  tool.iso\n", hex("aa", 64));
    let brotli = stored_in_brotli(body.as_bytes());
    for (coding, bytes) in [("br", brotli.clone()), (" BR", brotli), ("gzip", gz(body.as_bytes()))] {
        let mut found = Vec::new();
        let source = "https://example.org/SHA256SUMS";
        read(Format::Checksums, &bytes[..], Some(coding), source, None, &mut |claim| found.push(claim)).unwrap();
        assert_eq!(short(&found), [("https://example.org/tool.iso", "sha256", "aa", None)], "{coding}");
    }
}

/// A Brotli stream (RFC 7932 section 9) of one uncompressed meta-block and an empty last one.
fn stored_in_brotli(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 1).unwrap();
    // A window of 16 bits; not the last; a length of four digits; uncompressed.
    let head = (length << 4) | (1 << 20);
    let mut packed = head.to_le_bytes()[..3].to_vec();
    packed.extend_from_slice(bytes);
    packed.push(3);
    packed
}

/// Each sign may be the tag's end, and what is before it must not be looked at again for each: this page took minutes.
#[test]
fn signs_in_a_value_are_no_ends_of_tags() {
    let row = format!("<a title=\"{}\" href='/x.whl#sha256={}'>x</a>", ">".repeat(60_000), hex("aa", 64));
    let found = claims_of(Format::Pypi, "https://pypi.example.org/simple/x/", None, row.repeat(8).as_bytes());
    assert_eq!(found.len(), 8);
    assert_eq!(found[0].url, "https://pypi.example.org/x.whl");
}

#[test]
fn pypi_pages() {
    let html = format!(
        "<!DOCTYPE html><html><head><!-- <a href=\"/x.whl#sha256={}\"> --></head><body>\n\
         <a href=\"https://files.example.net/packages/a/x-1.0.tar.gz#sha256={}\" data-requires-python=\">=3.7\">x</a>\n\
         <A HREF='../../packages/x-1.1.whl#sha256={}&amp;y=1' data-dist-info-metadata=\"sha256={}\" \
         data-core-metadata=\"sha256={}\">x</A><a href=\"none.zip\">x</a></body></html>",
        hex("99", 64),
        hex("aa", 64),
        hex("bb", 64),
        hex("dd", 64),
        hex("cc", 64)
    );
    let expected = [
        ("https://files.example.net/packages/a/x-1.0.tar.gz", "sha256", "aa", None),
        ("https://pypi.example.org/packages/x-1.1.whl.metadata", "sha256", "cc", None),
        ("https://pypi.example.org/packages/x-1.1.whl", "sha256", "bb", None),
    ];
    let source = "https://pypi.example.org/simple/x/";
    assert_eq!(short(&claims_of(Format::Pypi, source, None, html.as_bytes())), expected);
    assert_eq!(short(&claims_of(Format::Pypi, source, None, &gz(html.as_bytes()))), expected);

    let json = format!(
        r#"{{"meta": {{"api-version": "1.1"}}, "name": "x", "files": [
        {{"filename": "x", "url": "https://files.example.net/packages/a/x-1.0.tar.gz", "hashes": {{"sha256": "{}"}},
          "size": 12, "core-metadata": false, "yanked": true}},
        {{"filename": "y", "url": "/packages/x-1.1.whl", "hashes": {{"md5": "00", "sha256": "{}"}},
          "core-metadata": {{"sha256": "{}"}}}}]}}"#,
        hex("aa", 64),
        hex("bb", 64),
        hex("cc", 64)
    );
    assert_eq!(
        short(&claims_of(Format::Pypi, source, None, json.as_bytes())),
        [
            ("https://files.example.net/packages/a/x-1.0.tar.gz", "sha256", "aa", Some(12)),
            ("https://pypi.example.org/packages/x-1.1.whl.metadata", "sha256", "cc", None),
            ("https://pypi.example.org/packages/x-1.1.whl", "sha256", "bb", None),
        ]
    );
}

#[test]
fn npm_packuments() {
    let json = format!(
        r#"{{"name": "x", "versions": {{
        "1.0.0": {{"dist": {{"tarball": "https://npm.example.org/x/-/x-1.0.0.tgz", "shasum": "{}",
                   "integrity": "sha512-{}"}}}},
        "0.1.0": {{"dist": {{"tarball": "https://other.example.net/x/-/x-0.1.0.tgz", "shasum": "{}"}}}},
        "0.0.1": {{"deprecated": "x"}}}}}}"#,
        hex("11", 40),
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0xaa; 64]),
        hex("bb", 40)
    );
    assert_eq!(
        short(&claims_of(Format::Npm, "https://npm.example.org/x", None, json.as_bytes())),
        [
            ("https://npm.example.org/x/-/x-0.1.0.tgz", "sha1", "bb", None),
            ("https://other.example.net/x/-/x-0.1.0.tgz", "sha1", "bb", None),
            ("https://npm.example.org/x/-/x-1.0.0.tgz", "sha512", "aa", None),
        ]
    );
}

#[test]
fn cargo_lines() {
    let line = |version: &str, byte| {
        format!(
            "{{\"name\":\"Serde\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"{}\",\"yanked\":false}}\n",
            hex(byte, 64)
        )
    };
    let body = format!("{}garbage\n{}", line("1.0.0", "aa"), line("1.0.1", "bb"));
    let urls = |template: &str| -> Vec<String> {
        let found = claims_of(Format::Cargo, "https://index.example.org/se/rd/serde", Some(template), body.as_bytes());
        found.into_iter().map(|claim| claim.url).collect()
    };
    assert_eq!(
        urls("https://static.example.org/crates"),
        [
            "https://static.example.org/crates/Serde/1.0.0/download",
            "https://static.example.org/crates/Serde/1.0.1/download"
        ]
    );
    assert_eq!(
        urls("https://e.org/{prefix}/{lowerprefix}/{crate}-{version}.crate")[0],
        "https://e.org/Se/rd/se/rd/Serde-1.0.0.crate"
    );
    for (source, expected) in [
        ("https://e.org/se/rd/serde", "https://e.org"),
        ("https://e.org/index/3/u/url", "https://e.org/index"),
        ("https://e.org/index/2/cc", "https://e.org/index"),
        ("https://e.org/1/a", "https://e.org"),
    ] {
        assert_eq!(cargo::root(source), Some(expected), "{source}");
    }
    assert_eq!(cargo::template(b"{\"dl\": \"https://e.org\", \"api\": null}").as_deref(), Some("https://e.org"));
}

#[test]
fn rpm_data() {
    let repomd = format!(
        "<?xml version=\"1.0\"?><repomd xmlns=\"x\"><revision>1</revision><data type=\"primary\"><checksum \
         type=\"sha256\">{}</checksum><open-checksum type=\"sha256\">{}</open-checksum><location \
         href=\"repodata/x-primary.xml.gz\"/><timestamp>1</timestamp><size>12</size><open-size>99</open-size></data></repomd>",
        hex("aa", 64),
        hex("bb", 64)
    );
    let found = claims_of(Format::Rpm, "http://example.org/os/repodata/repomd.xml", None, repomd.as_bytes());
    assert_eq!(short(&found), [("http://example.org/os/repodata/x-primary.xml.gz", "sha256", "aa", Some(12))]);
    let primary = format!(
        "<metadata xmlns:rpm=\"y\"><package type=\"rpm\"><name>bash</name><checksum type=\"sha256\" \
         pkgid=\"YES\">{}</checksum><size package=\"34\" installed=\"5\"/><location href=\"Packages/b/bash-5-1.x86_64.rpm\"/>\
         <format><rpm:license>GPL</rpm:license></format></package><package><checksum type=\"md5\">00</checksum>\
         <location href=\"x.rpm\"/></package></metadata>",
        hex("cc", 64)
    );
    let found =
        claims_of(Format::Rpm, "http://example.org/os/repodata/x-primary.xml.gz", None, &gz(primary.as_bytes()));
    assert_eq!(short(&found), [("http://example.org/os/Packages/b/bash-5-1.x86_64.rpm", "sha256", "cc", Some(34))]);
}

#[test]
fn gems_and_checksum_lists() {
    let body = format!(
        "---\n1.0.0 rack:>= 1|checksum:{},ruby:>= 2.0\n1.1.0-java |checksum:{}\nx |checksum:zz\n",
        hex("aa", 64),
        hex("bb", 64)
    );
    assert_eq!(
        short(&claims_of(Format::Gem, "https://gems.example.org/info/rails", None, body.as_bytes())),
        [
            ("https://gems.example.org/gems/rails-1.0.0.gem", "sha256", "aa", None),
            ("https://gems.example.org/gems/rails-1.1.0-java.gem", "sha256", "bb", None),
        ]
    );
    let body = format!(
        "# comment\n{} *disk.qcow2\n{}  ./sub/x.iso\nSHA512 (y.iso) = {}\n{} ../z.iso\n",
        hex("aa", 64),
        hex("bb", 64),
        hex("cc", 128),
        hex("dd", 64)
    );
    assert_eq!(
        short(&claims_of(Format::Checksums, "https://example.org/24.04/SHA256SUMS", None, body.as_bytes())),
        [
            ("https://example.org/24.04/disk.qcow2", "sha256", "aa", None),
            ("https://example.org/24.04/sub/x.iso", "sha256", "bb", None),
            ("https://example.org/24.04/y.iso", "sha512", "cc", None),
        ]
    );
    let lone = claims_of(Format::Checksums, "https://e.org/a/b-1.jar.sha1", None, hex("ee", 40).as_bytes());
    assert_eq!(short(&lone), [("https://e.org/a/b-1.jar", "sha1", "ee", None)]);
}

#[test]
fn an_index_speaks_about_packages_only() {
    let rules = Rules::default();
    let page = "https://pypi.example.org/simple/x/";
    for (source, url, expected) in [
        (page, "https://files.example.net/packages/x-1.0.tar.gz", true),
        (page, "https://files.example.net/latest.json", false),
        (page, "https://pypi.example.org/settings", false),
        ("http://pypi.example.org/simple/x/", "https://files.example.net/packages/x-1.0.tar.gz", false),
        ("http://pypi.example.org/simple/x/", "http://files.example.net/packages/x-1.0.tar.gz", true),
    ] {
        assert_eq!(is_admissible(&rules, Format::Pypi, source, url), expected, "{source} {url}");
    }
}

#[test]
fn a_bomb_is_read_no_further_than_the_bound() {
    let zeros = vec![0; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    for format in [Format::Apt, Format::Rpm, Format::Gem, Format::Checksums] {
        // One line of 64 MB: read, and not kept.
        assert!(claims_of(format, "http://example.org/repodata/x", None, &bomb).is_empty());
    }
}

const FORMATS: [Format; 7] =
    [Format::Apt, Format::Rpm, Format::Pypi, Format::Npm, Format::Cargo, Format::Gem, Format::Checksums];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for format in FORMATS {
            for magic in [&b""[..], &[0x1f, 0x8b, 8], b"\xfd7zXZ\0", &[0x28, 0xb5, 0x2f, 0xfd], b"BZh9", &[0x5d, 0, 0]] {
                let whole = [magic, &bytes].concat();
                let source = "https://example.org/repodata/info/x";
                for coding in [None, Some("br")] {
                    let _ = read(format, &whole[..], coding, source, Some("https://e.org/{crate}"), &mut |_| {});
                }
            }
        }
    }

    #[test]
    fn nor_does_text_that_looks_right(
        text in "(Package: |Filename: |SHA256: |SHA256:\n|<a href=\"|<data>|<checksum type=\"sha256\">|</checksum>|<location href=\"|[a-f0-9]{64}|&#x?[0-9a-f]{1,6};|&|%|\\./|\\.\\./|/|é|\"|'|>|<|=| |\n){0,60}",
        source in "https?://[a-z.]{1,8}(:80)?/[a-zé%/]{0,20}(dists/|repodata/|info/)?[a-z.]{0,6}",
    ) {
        for format in FORMATS {
            let _ = read(format, text.as_bytes(), None, &source, Some(&source), &mut |claim| {
                let _ = place::key_of(&claim.url);
                let _ = is_admissible(&Rules::default(), Format::Pypi, &source, &claim.url);
            });
            let _ = cargo::root(&source);
        }
    }
}
