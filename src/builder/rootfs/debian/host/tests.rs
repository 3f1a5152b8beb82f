use super::*;

/// A host's root with the files given, and a keyring of each distribution.
fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    let debian = "usr/share/keyrings/debian-archive-keyring.gpg";
    let ubuntu = "usr/share/keyrings/ubuntu-archive-keyring.gpg";
    for (path, text) in files.iter().copied().chain([(debian, "debian keys"), (ubuntu, "ubuntu keys")]) {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut host = Host::read(root.path());
    host.architecture = "amd64".to_owned();
    (root, host)
}

const BOOKWORM: (&str, &str) = (
    "etc/os-release",
    "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
);
const NOBLE: (&str, &str) = ("etc/os-release", "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n");
const DEB822: (&str, &str) = (
    "etc/apt/sources.list.d/debian.sources",
    "Types: deb deb-src\n# a comment\nURIs: http://example.org/debian\nSuites: bookworm bookworm-updates\n\
     Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
     Types: deb\nURIs: http://example.org/debian-security\nSuites: bookworm-security\nComponents: main\n",
);

#[test]
fn a_debian_host_builds_its_own() {
    let (_root, host) = host(&[BOOKWORM, DEB822]);
    let spec = host.resolve(&DebianOptions::default()).unwrap();
    assert_eq!(spec.suite, "bookworm");
    assert_eq!(spec.mirror.as_str(), "http://example.org/debian/");
    assert_eq!(
        (spec.variant, spec.components, spec.architecture.as_str()),
        (Variant::Minbase, vec!["main".into()], "amd64")
    );
    assert!(spec.check_valid_until);
    assert_eq!(spec.keyrings.len(), 1);
    assert_eq!(spec.keyrings[0].bytes, b"debian keys");
    assert_eq!(spec.keyrings[0].path.as_deref(), Some(Path::new("/usr/share/keyrings/debian-archive-keyring.gpg")));
}

#[test]
fn another_suite_of_the_same_distribution_comes_from_the_hosts_mirror() {
    let (_root, host) = host(&[BOOKWORM, DEB822]);
    let suite = |suite: &str| host.resolve(&DebianOptions { suite: Some(suite.into()), ..DebianOptions::default() });
    assert_eq!(suite("trixie").unwrap().mirror.as_str(), "http://example.org/debian/");
    assert_eq!(suite("bookworm-security").unwrap().mirror.as_str(), "http://example.org/debian-security/");
    let error = suite("noble").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no `mirror` is given, and apt's sources on this host (Debian GNU/Linux 12) name none for `noble`"
    );
    assert!(error.hints()[0].contains("keyring"));
}

#[test]
fn an_ubuntu_host_builds_ubuntu_and_debian_when_told_from_where() {
    let list = (
        "etc/apt/sources.list",
        "# deb http://no.example.org/ noble main\ndeb-src http://no.example.org/ noble main\ndeb cdrom:[x]/ noble main\ndeb [arch=amd64] http://example.org/ubuntu noble main universe # x\n",
    );
    let (_root, host) = host(&[NOBLE, list]);
    let spec = host.resolve(&DebianOptions::default()).unwrap();
    assert_eq!((spec.suite.as_str(), spec.mirror.as_str()), ("noble", "http://example.org/ubuntu/"));
    assert_eq!(spec.keyrings[0].bytes, b"ubuntu keys");
    assert_eq!(spec.components, ["main", "universe"]);
    let options = DebianOptions {
        suite: Some("trixie".into()),
        mirror: Some("https://example.org/d".into()),
        ..Default::default()
    };
    let spec = host.resolve(&options).unwrap();
    assert_eq!(
        (spec.mirror.as_str(), spec.keyrings[0].bytes.as_slice()),
        ("https://example.org/d/", &b"debian keys"[..])
    );
}

#[test]
fn a_host_that_is_neither_must_be_told() {
    let (root, host) = host(&[("etc/os-release", "ID=fedora\nPRETTY_NAME=\"Fedora 44\"\nVERSION_CODENAME=x\n")]);
    let error = host.resolve(&DebianOptions::default()).unwrap_err();
    assert!(error.to_string().contains("this host (Fedora 44)"), "{error}");
    assert_eq!(error.hints(), ["set `suite`, `mirror` and `keyring` in the `debian` block"]);
    let options = DebianOptions {
        suite: Some("bookworm".into()),
        mirror: Some("http://example.org/debian".into()),
        keyring: Some(root.path().join("usr/share/keyrings/debian-archive-keyring.gpg")),
        ..DebianOptions::default()
    };
    assert_eq!(host.resolve(&options).unwrap().keyrings[0].bytes, b"debian keys");
}

#[test]
fn one_line_sources() {
    let text = "deb [signed-by=/a.gpg,/b.gpg arch=amd64] http://example.org/d bookworm main contrib\ndeb http://example.org/flat ./\ndebx y z\ndeb [broken http://example.org x\n";
    let sources = parse_one_line(text);
    assert_eq!(sources.len(), 2);
    assert_eq!(sources[0].signed_by, [PathBuf::from("/a.gpg"), PathBuf::from("/b.gpg")]);
    assert_eq!(sources[0].components, ["main", "contrib"]);
    assert_eq!(sources[1].suites, ["./"]);
}

#[test]
fn deb822_sources() {
    let text = "Types: deb\nURIs: http://example.org/a\n  http://example.org/b\nSuites: s\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ==\n -----END PGP PUBLIC KEY BLOCK-----\n\nTypes: deb\nEnabled: no\nURIs: http://example.org/c\nSuites: s\n\nTypes: deb-src\nURIs: x\nSuites: s\n";
    let sources = parse_deb822(text);
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].uris, ["http://example.org/a", "http://example.org/b"]);
    let key = sources[0].inline_key.as_deref().unwrap();
    assert_eq!(key, "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n");
}

#[test]
fn names_and_mirrors_that_lead_elsewhere_are_refused() {
    let (_root, host) = host(&[BOOKWORM, DEB822]);
    let with = |change: fn(&mut DebianOptions)| {
        let mut options = DebianOptions::default();
        change(&mut options);
        host.resolve(&options)
    };
    assert!(with(|o| o.suite = Some("../../etc".into())).is_err());
    assert!(with(|o| o.components = vec!["main x".into()]).is_err());
    assert!(with(|o| o.architecture = Some(String::new())).is_err());
    assert!(with(|o| o.mirror = Some("ftp://example.org/".into())).is_err());
    assert!(with(|o| o.variant = Some("huge".into())).is_err());
}
