use std::fs;
use std::io::{Cursor, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::write::GzEncoder;

use super::super::authority::Authority;
use super::super::authority::tests::new_authority;
use super::super::jks;
use super::*;

const TOKEN: &str = "tok-5f1d0e7a92";
const ADDRESS: &str = "10.0.2.1:3128";

struct Image {
    directory: tempfile::TempDir,
    ca: Authority,
}

impl Image {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), ca: new_authority("canary-7be2f0") }
    }

    fn add(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.directory.path().join(name), content).unwrap();
    }

    fn scan_with(&self, limits: &Limits) -> Report {
        let one = |text: &str| [text.to_owned()];
        let look = Look {
            authority: Some(&self.ca),
            canaries: &one("canary-7be2f0"),
            addresses: &one(ADDRESS),
            secrets: &one(TOKEN),
            paths: &one("/run/larder/"),
        };
        let needles = Needles::new(&look).unwrap();
        let tree = Layers::new([self.directory.path().to_owned()]);
        scan(&tree, &needles, limits, &CancellationToken::new(), &|_, _| {}).unwrap()
    }

    fn scan(&self) -> Report {
        self.scan_with(&Limits::default())
    }

    /// The kinds found, each with its place.
    #[track_caller]
    fn kinds(&self, name: &str) -> Vec<Kind> {
        let report = self.scan();
        assert_eq!(report.skipped, []);
        let mut kinds: Vec<_> = report.findings.iter().filter(|f| f.path == Path::new(name)).map(|f| f.kind).collect();
        kinds.dedup();
        kinds
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().into_inner()
}

fn ar(name: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("!<arch>\n{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, 644, content.len());
    [header.as_bytes(), content].concat()
}

fn rewrap(pem: &str, width: usize, end: &str) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let lines: Vec<_> = body.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(end)
}

#[test]
fn every_form_of_the_ca_is_found() {
    let image = Image::new();
    let ca = &image.ca;
    let key_pem = STANDARD.encode(ca.spki());
    let store = jks::from_bundle(ca.pem().as_bytes(), 0);
    let wide: Vec<u8> = ca.pem().bytes().flat_map(|byte| [byte, 0]).collect();
    let sha = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(ca.der()));
    let cases: [(&str, Vec<u8>, Kind); 15] = [
        ("der", ca.der().to_vec(), Kind::Certificate),
        ("spki", ca.spki().to_vec(), Kind::Certificate),
        ("jks", store.clone(), Kind::Certificate),
        ("pem", ca.pem().into(), Kind::CertificateBase64),
        ("pem-one-line", rewrap(ca.pem(), 4096, "").into(), Kind::CertificateBase64),
        ("pem-76", rewrap(ca.pem(), 76, "\r\n").into(), Kind::CertificateBase64),
        ("pem-48", rewrap(ca.pem(), 48, "\n  ").into(), Kind::CertificateBase64),
        ("pem-33", rewrap(ca.pem(), 33, "\n").into(), Kind::CertificateBase64),
        ("json", ca.pem().replace('\n', "\\n").into(), Kind::CertificateBase64),
        ("key", key_pem.into(), Kind::CertificateBase64),
        ("store-base64", STANDARD.encode([b"x".as_slice(), &store].concat()).into(), Kind::CertificateBase64),
        ("pem-utf16", wide, Kind::CertificateBase64),
        ("pem-base64", STANDARD.encode(format!("xx{}", ca.pem())).into(), Kind::PemBase64),
        ("fingerprint", format!("SHA256:{}", sha.to_uppercase()).into(), Kind::Fingerprint),
        ("canary", b"subject=OU = canary-7be2f0".to_vec(), Kind::Canary),
    ];
    for (name, content, _) in &cases {
        image.add(name, [b"before ".as_slice(), content, b" after"].concat());
    }
    image.add("clean", new_authority("other").pem());
    for (name, _, kind) in cases {
        assert!(image.kinds(name).contains(&kind), "{name}: {:?}", image.kinds(name));
    }
    assert_eq!(image.kinds("clean"), []);
}

#[test]
fn addresses_tokens_and_paths_are_found() {
    let image = Image::new();
    let wide: Vec<u8> = TOKEN.bytes().flat_map(|byte| [byte, 0]).collect();
    image.add("utf16", wide);
    image.add("basic", format!("Authorization: Basic {}", STANDARD.encode(format!("larder:{TOKEN}"))));
    image.add("config", format!("proxy = http://{ADDRESS}/"));
    image.add("other-address", format!("1{ADDRESS}0"));
    image.add("path", "--with-ca=/run/larder/ca-bundle.pem");
    let root = image.directory.path();
    std::os::unix::fs::symlink("/run/larder/ca.pem", root.join("link")).unwrap();
    fs::create_dir(root.join(format!("cache-{ADDRESS}"))).unwrap();
    rustix::fs::setxattr(root.join("config"), "user.origin", TOKEN.as_bytes(), rustix::fs::XattrFlags::empty())
        .unwrap();
    let report = image.scan();
    let seen: Vec<_> =
        report.findings.iter().map(|f| format!("{} {:?} {}", f.path.display(), f.kind, f.place)).collect();
    assert_eq!(
        seen,
        [
            "basic Secret offset 33",
            "cache-10.0.2.1:3128 Address name",
            "config Address offset 15",
            "config Secret attribute user.origin",
            "link Path link target",
            "path Path offset 10",
            "utf16 Secret offset 0",
        ]
    );
    let error = report.verdict().unwrap_err();
    assert_eq!(error.exit_code(), Exit::Trace);
    assert!(error.to_string().contains("/config: the address of the proxy (offset 15)"), "{error}");
}

#[test]
fn packed_traces_are_found() {
    let image = Image::new();
    let pem = format!("some text\n{}", image.ca.pem()).into_bytes();
    let jar = zip("META-INF/ca.pem", &pem);
    let cases: [(&str, Vec<u8>, &[&str]); 8] = [
        ("a.gz", gzip(&pem), &["(gzip)"]),
        ("two.gz", [gzip(b"first"), gzip(&pem)].concat(), &["(gzip)"]),
        ("a.xz", xz(&pem), &["(xz)"]),
        ("a.zst", zstd::encode_all(pem.as_slice(), 1).unwrap(), &["(zstd)"]),
        ("a.jar", jar.clone(), &["META-INF/ca.pem"]),
        ("app.pyz", [b"#!/usr/bin/python3\n".as_slice(), &jar].concat(), &["META-INF/ca.pem"]),
        ("a.war", zip("lib/a.jar", &zip("cacerts", &jks::from_bundle(&pem, 0))), &["lib/a.jar", "cacerts"]),
        ("a.deb", ar("data.tar.xz", &xz(&pem)), &["data.tar.xz", "(xz)"]),
    ];
    for (name, content, _) in &cases {
        image.add(name, content);
    }
    let report = image.scan();
    assert_eq!(report.skipped, []);
    for (name, _, inside) in cases {
        assert!(report.findings.iter().any(|f| f.path == Path::new(name) && f.inside == inside), "{name}: {report:?}");
    }
}

#[test]
fn a_trace_across_reads_is_found_where_it_is() {
    let image = Image::new();
    for at in [(256 << 10) - 5, (256 << 10) + 3, (512 << 10) + 10] {
        let mut content = vec![b'.'; 700 << 10];
        content[at..at + TOKEN.len()].copy_from_slice(TOKEN.as_bytes());
        image.add("file", content);
        let places: Vec<_> = image.scan().findings.into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, [format!("offset {at}")]);
    }
}

#[test]
fn what_is_not_read_is_listed() {
    let image = Image::new();
    let deep = gzip(&gzip(&gzip(&gzip(image.ca.pem().as_bytes()))));
    image.add("deep", deep);
    image.add("bomb", gzip(&vec![0; 3 << 20]));
    image.add("torn.xz", &xz(&vec![7; 100_000])[..60]);
    image.add("store.p12", [0x30, 0x82, 1, 0, 2, 1, 3, 0x30]);
    image.add("a.bz2", b"BZh91AY&SY\0\0\0\0\0\0");
    image.add("not.zip", b"PK\x03\x04 but no zip");
    let report = image.scan_with(&Limits { unpacked: 1 << 20, ..Limits::default() });
    let seen: Vec<_> = report.skipped.iter().map(|s| format!("{}: {}", s.path.display(), s.reason)).collect();
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(seen[0], "a.bz2: bzip2 is not unpacked");
    assert_eq!(seen[1], "bomb: unpacks to more than 1048576 bytes");
    assert_eq!(seen[2], "deep: more than 3 archives inside each other");
    assert!(report.findings.is_empty());
}

#[test]
fn a_short_text_is_refused_and_a_cancelled_scan_says_so() {
    let short = ["abc".to_owned()];
    assert!(Needles::new(&Look { secrets: &short, ..Look::default() }).is_err());
    let image = Image::new();
    let needles = Needles::new(&Look { authority: Some(&image.ca), ..Look::default() }).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let tree = Layers::new([image.directory.path().to_owned()]);
    assert!(scan(&tree, &needles, &Limits::default(), &cancel, &|_, _| {}).is_err());
}

/// By hand: `LARDER_SCAN=/some/tree cargo nextest run --release --run-ignored only speed`.
#[test]
#[ignore = "measures the speed on a tree that is given"]
fn speed() {
    let tree = std::env::var_os("LARDER_SCAN").expect("a tree to scan");
    let ca = new_authority("canary-7be2f0");
    let [canary, address, token] = ["canary-7be2f0", ADDRESS, TOKEN].map(|text| [text.to_owned()]);
    let look =
        Look { authority: Some(&ca), canaries: &canary, addresses: &address, secrets: &token, ..Look::default() };
    let started = std::time::Instant::now();
    let needles = Needles::new(&look).unwrap();
    println!("needles in {:?}", started.elapsed());
    let report =
        scan(&Layers::new([PathBuf::from(tree)]), &needles, &Limits::default(), &CancellationToken::new(), &|_, _| {})
            .unwrap();
    println!("{} entries, {} bytes, {:?}", report.entries, report.bytes, report.duration);
    println!("{} findings, skipped: {:#?}", report.findings.len(), report.skipped);
}
