use super::*;

fn map_of(rules: &[(&str, &[&str])]) -> MirrorMap {
    let rule =
        |(from, to): &(&str, &[&str])| Mirror::new(from, to.iter().map(|to| TargetConfig::new(*to)).collect()).unwrap();
    MirrorMap::new(rules.iter().map(rule).collect())
}

fn mapped(map: &MirrorMap, uri: &str) -> Vec<String> {
    let candidates = map.candidates(&uri.parse().unwrap()).unwrap_or_default();
    candidates.iter().map(|mapped| mapped.uri.to_string()).collect()
}

#[test]
fn names_and_prefixes_are_replaced() {
    let map = map_of(&[
        ("deb.example.org", &["http://10.0.0.5:8081/debian"]),
        ("https://example.org/files/", &["https://mirror.example.net/a/"]),
        ("https://example.org/files/iso/", &["https://iso.example.net/"]),
        ("both.example.org/debian", &["http://a.example.net/d"]),
        ("several.example.org", &["http://a.example.net", "origin", "http://b.example.net/x"]),
    ]);
    let table: [(&str, &[&str]); 13] = [
        ("http://both.example.org/debian/x", &["http://a.example.net/d/x"]),
        ("https://both.example.org/debian/", &["http://a.example.net/d/"]),
        ("https://both.example.org/debian-security/x", &[]),
        ("http://deb.example.org/dists/x?y=%7E", &["http://10.0.0.5:8081/debian/dists/x?y=%7E"]),
        ("https://deb.example.org/", &["http://10.0.0.5:8081/debian/"]),
        ("http://deb.example.org:8080/", &[]),
        ("http://notdeb.example.org/", &[]),
        ("https://example.org/files/x", &["https://mirror.example.net/a/x"]),
        ("https://example.org/files/iso/x", &["https://iso.example.net/x"]),
        ("https://example.org/filesx", &[]),
        ("http://example.org/files/x", &[]),
        ("http://10.0.0.5:8081/debian/x", &[]),
        (
            "https://several.example.org/p/q",
            &["http://a.example.net/p/q", "https://several.example.org/p/q", "http://b.example.net/x/p/q"],
        ),
    ];
    for (uri, expected) in table {
        assert_eq!(mapped(&map, uri), expected, "{uri}");
    }
}

/// The public names of each ecosystem, and where Artifactory, Nexus and Harbor keep what stands in for them.
#[test]
fn shapes_of_repository_managers() {
    let table = [
        (
            "deb.example.org",
            "https://r.example.net/artifactory/deb-remote/",
            "http://deb.example.org/dists/s/InRelease",
            "https://r.example.net/artifactory/deb-remote/dists/s/InRelease",
        ),
        (
            "pypi.example.org",
            "https://r.example.net/artifactory/api/pypi/pypi-remote/",
            "https://pypi.example.org/simple/x/",
            "https://r.example.net/artifactory/api/pypi/pypi-remote/simple/x/",
        ),
        (
            "https://pypi.example.org/simple/",
            "https://r.example.net/artifactory/api/pypi/pypi-remote/simple",
            "https://pypi.example.org/simple/x/",
            "https://r.example.net/artifactory/api/pypi/pypi-remote/simple/x/",
        ),
        (
            "npm.example.org",
            "https://r.example.net/artifactory/api/npm/npm-remote/",
            "https://npm.example.org/@a%2fb",
            "https://r.example.net/artifactory/api/npm/npm-remote/@a%2fb",
        ),
        (
            "index.crates.example.org",
            "https://r.example.net/artifactory/api/cargo/crates-remote/index/",
            "https://index.crates.example.org/config.json",
            "https://r.example.net/artifactory/api/cargo/crates-remote/index/config.json",
        ),
        (
            "proxy.golang.example.org",
            "https://r.example.net/artifactory/api/go/go-remote",
            "https://proxy.golang.example.org/m/@v/list",
            "https://r.example.net/artifactory/api/go/go-remote/m/@v/list",
        ),
        (
            "registry.example.org",
            "https://r.example.net/artifactory/api/docker/docker-remote",
            "https://registry.example.org/v2/library/debian/manifests/stable",
            "https://r.example.net/artifactory/api/docker/docker-remote/v2/library/debian/manifests/stable",
        ),
        (
            "registry.example.org",
            "https://r.example.net/artifactory/api/docker/docker-remote/v2/",
            "https://registry.example.org/v2/library/debian/manifests/stable",
            "https://r.example.net/artifactory/api/docker/docker-remote/v2/library/debian/manifests/stable",
        ),
        (
            "npm.example.org",
            "http://n.example.net:8081/repository/npm-proxy/",
            "https://npm.example.org/left-pad",
            "http://n.example.net:8081/repository/npm-proxy/left-pad",
        ),
        (
            "registry.example.org",
            "http://n.example.net:8081/repository/docker/",
            "https://registry.example.org/v2/",
            "http://n.example.net:8081/repository/docker/v2/",
        ),
        (
            "registry.example.org",
            "https://harbor.example.net/v2/hub/",
            "https://registry.example.org/v2/library/debian/tags/list",
            "https://harbor.example.net/v2/hub/library/debian/tags/list",
        ),
        (
            "registry.example.org",
            "https://harbor.example.net/v2/hub/",
            "https://registry.example.org/v2/",
            "https://harbor.example.net/v2/",
        ),
        (
            "https://registry.example.org/v2/",
            "https://harbor.example.net/v2/hub/",
            "https://registry.example.org/v2/",
            "https://harbor.example.net/v2/",
        ),
        (
            "https://registry.example.org/v2/",
            "https://harbor.example.net/v2/hub/",
            "https://registry.example.org/v2/a/blobs/sha256:0",
            "https://harbor.example.net/v2/hub/a/blobs/sha256:0",
        ),
    ];
    for (from, to, uri, expected) in table {
        assert_eq!(mapped(&map_of(&[(from, &[to])]), uri), [expected], "{from} -> {to}");
    }
}

#[test]
fn a_mirrors_own_urls_are_the_public_ones() {
    let mut config = TargetConfig::new("http://10.0.0.5:8081/repository/npm/");
    config.aliases.push("https://nexus.example.net/repository/npm".to_owned());
    let map = MirrorMap::new(vec![
        Mirror::new("npm.example.org", vec![config]).unwrap(),
        Mirror::parse("registry.example.org", "https://harbor.example.net/v2/hub/").unwrap(),
        Mirror::parse("nexus.example.net", "http://10.0.0.5:8081/").unwrap(),
        Mirror::parse("http://a.example.org/x/", "https://whole.example.net/").unwrap(),
    ]);
    for (uri, expected) in [
        ("http://10.0.0.5:8081/repository/npm/x/-/x-1.tgz?y", Some("https://npm.example.org/x/-/x-1.tgz?y")),
        // Covered as a public name by a rule of its own.
        ("https://nexus.example.net/repository/npm/x", None),
        ("http://10.0.0.5:8081/other", None),
        ("https://harbor.example.net/v2/hub/a/blobs/x", Some("https://registry.example.org/v2/a/blobs/x")),
        ("https://harbor.example.net/v2/other/a", None),
        // A whole host without credentials is itself.
        ("https://whole.example.net/y", None),
        ("https://npm.example.org/x", None),
        ("https://elsewhere.example.net/", None),
    ] {
        let public = map.public(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(public.as_deref(), expected, "{uri}");
    }
}

#[test]
fn fields_inside_the_mirror_are_mapped_back() {
    let mut config = TargetConfig::new("http://10.0.0.5/debian");
    config.aliases.push("https://nexus.example.net/debian/".to_owned());
    let map = MirrorMap::new(vec![Mirror::new("deb.example.org", vec![config]).unwrap()]);
    let mapped = map.candidates(&"http://deb.example.org/a/b".parse().unwrap()).unwrap().remove(0);
    let table = [
        ("http://10.0.0.5/debian/c", "http://deb.example.org/c"),
        ("/debian/c?d", "http://deb.example.org/c?d"),
        ("c", "http://deb.example.org/a/c"),
        ("/elsewhere", "http://10.0.0.5/elsewhere"),
        ("https://nexus.example.net/debian/c", "http://deb.example.org/c"),
        ("https://cdn.example.net/x", "https://cdn.example.net/x"),
    ];
    for (location, expected) in table {
        assert_eq!(mapped.map_back(&map, location).as_deref(), Some(expected), "{location}");
    }
    let mut headers = http::HeaderMap::new();
    for (name, value) in [
        ("location", "/debian/c"),
        ("content-location", "c"),
        ("link", "</debian/n?last=1>; rel=\"next\", <https://cdn.example.net/>; rel=x"),
        ("www-authenticate", "Basic realm=\"x\""),
        ("www-authenticate", "Bearer realm=\"http://10.0.0.5/debian/v2/token\",service=\"s\""),
        ("set-cookie", "SESSION=secret"),
        ("alt-svc", "h3=\":443\""),
        ("etag", "\"1\""),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    mapped.map_fields_back(&map, &mut headers);
    assert_eq!(headers["location"], "http://deb.example.org/c");
    assert_eq!(headers["content-location"], "http://deb.example.org/a/c");
    assert_eq!(headers["link"], "<http://deb.example.org/n?last=1>; rel=\"next\", <https://cdn.example.net/>; rel=x");
    let challenges: Vec<_> = headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Basic realm=\"x\"", "Bearer realm=\"http://deb.example.org/v2/token\",service=\"s\""]);
    assert!(!headers.contains_key("set-cookie") && !headers.contains_key("alt-svc"));
    assert_eq!(headers["etag"], "\"1\"");
}

#[test]
fn a_rule_that_makes_no_sense_is_refused() {
    for (from, to) in
        [("", "http://m/"), ("/b", "http://m/"), ("a", "ftp://m/"), ("a", "m"), ("a", "http://u:secret@m/")]
    {
        let error = Mirror::parse(from, to).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(Mirror::new("a", Vec::new()).is_err());
    let mut origin = TargetConfig::new(ORIGIN);
    origin.credentials = Some(Credentials::bearer("x").unwrap());
    assert!(Mirror::new("a", vec![origin]).is_err());
}

#[test]
fn roots_are_for_the_mirrors_own_host_and_port() {
    let mut one = TargetConfig::new("https://[2001:db8::1]/a");
    one.roots.push("/one.pem".into());
    let mut two = TargetConfig::new("https://m.example.net:8443/b");
    two.roots.push("/two.pem".into());
    let map = MirrorMap::new(vec![Mirror::new("a", vec![one, two, TargetConfig::new("https://c/")]).unwrap()]);
    let found: Vec<_> = map.with_roots().collect();
    assert_eq!(
        found,
        [
            ("2001:db8::1".to_owned(), 443, vec![PathBuf::from("/one.pem")]),
            ("m.example.net".to_owned(), 8443, vec![PathBuf::from("/two.pem")]),
        ]
    );
}

/// An index names what is beside it, and both have a public name.
#[test]
fn names_of_other_rules_at_the_same_host_are_known() {
    let map = map_of(&[
        ("index.crates.example.org", &["https://r.example.net/api/cargo/crates/index/"]),
        ("crates.example.org", &["https://r.example.net/api/cargo/crates/"]),
        ("elsewhere.example.org", &["https://other.example.net/x/"]),
        ("registry.example.org", &["https://r.example.net/v2/hub/"]),
    ]);
    let uri = "https://index.crates.example.org/config.json".parse().unwrap();
    let mapped = map.candidates(&uri).unwrap().remove(0);
    let pair = |own: &str, public: &str| (own.to_owned(), public.to_owned());
    assert_eq!(
        mapped.spellings(&map),
        [
            pair("https://r.example.net/api/cargo/crates/index", "https://index.crates.example.org"),
            pair("https://r.example.net/api/cargo/crates", "https://crates.example.org"),
        ]
    );
    assert_eq!(
        mapped.map_back(&map, "../v1/crates/x/1.0/download").as_deref(),
        Some("https://crates.example.org/v1/crates/x/1.0/download")
    );
}
