use super::*;

fn parts(method: &str, uri: &str, version: Version, headers: &[(&str, &str)]) -> Parts {
    let mut builder = http::Request::builder().method(method).uri(uri).version(version);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn inside(host: &str) -> Scope {
    Scope::Inside { tls: true, host: host.to_owned(), port: 443 }
}

fn got(uri: &str, version: Version, headers: &[(&str, &str)], scope: &Scope) -> Result<String, u16> {
    absolute_uri(&parts("GET", uri, version, headers), scope)
        .map(|uri| uri.to_string())
        .map_err(|refusal| refusal.status.as_u16())
}

#[test]
fn a_proxy_request_is_made_canonical() {
    let table = [
        ("http://Example.ORG:80", Ok("http://example.org/")),
        ("http://example.org.:8080/a?b", Ok("http://example.org:8080/a?b")),
        ("https://example.org:443/%7E?", Ok("https://example.org/%7E?")),
        ("http://[2001:DB8:0::1]/", Ok("http://[2001:db8::1]/")),
        ("http://example.org/é", Ok("http://example.org/%C3%A9")),
        ("ftp://example.org/", Err(400)),
        ("http://u:p@example.org/", Err(400)),
        ("http://exa$mple.org/", Err(400)),
        ("http://example.org:0/", Err(400)),
        ("/origin-form", Err(400)),
        ("*", Err(400)),
    ];
    for (uri, expected) in table {
        let result = got(uri, Version::HTTP_11, &[("host", "example.org")], &Scope::Proxy);
        assert_eq!(result, expected.map(str::to_owned), "{uri}");
    }
}

#[test]
fn the_url_wins_over_host_and_host_must_be_one() {
    let uri = "http://good.example.org/";
    let ok = Ok(uri.to_owned());
    assert_eq!(got(uri, Version::HTTP_11, &[("host", "evil.example.org")], &Scope::Proxy), ok);
    assert_eq!(got(uri, Version::HTTP_10, &[], &Scope::Proxy), ok);
    assert_eq!(got(uri, Version::HTTP_11, &[], &Scope::Own), ok);
    for headers in [
        &[][..],
        &[("host", "")],
        &[("host", "a"), ("host", "a")],
        &[("host", "h/evil")],
        &[("host", "u@h")],
        &[("host", "h:x")],
        &[("host", "a"), ("transfer-encoding", "chunked, chunked")],
        &[("host", "a"), ("transfer-encoding", "identity, chunked")],
        &[("host", "a"), ("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("host", "a"), ("transfer-encoding", "chunked"), ("content-length", "3")],
    ] {
        assert_eq!(got(uri, Version::HTTP_11, headers, &Scope::Proxy), Err(400), "{headers:?}");
    }
    let lower = parts("get", uri, Version::HTTP_11, &[("host", "a")]);
    assert!(absolute_uri(&lower, &Scope::Proxy).is_err());
}

#[test]
fn inside_a_connection_only_its_host_is_served() {
    let scope = inside("example.org");
    let ok = |path: &str| Ok(format!("https://example.org{path}"));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "EXAMPLE.org")], &scope), ok("/a"));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "example.org:443")], &scope), ok("/a"));
    assert_eq!(got("/a", Version::HTTP_10, &[], &scope), ok("/a"));
    assert_eq!(got("https://example.org/a", Version::HTTP_2, &[], &scope), ok("/a"));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "other.example.org")], &scope), Err(421));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "example.org:8443")], &scope), Err(421));
    assert_eq!(got("https://other.example.org/a", Version::HTTP_2, &[], &scope), Err(421));
    assert_eq!(got("https://example.org/", Version::HTTP_2, &[("host", "x")], &scope), Err(400));
    assert_eq!(got("/a", Version::HTTP_11, &[], &scope), Err(400));
}

#[test]
fn a_transparent_request_is_for_its_host() {
    let scope = Scope::Transparent { fallback: "pool.example.org".to_owned() };
    let http = |rest: &str| Ok(format!("http://{rest}"));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "example.org")], &scope), http("example.org/a"));
    assert_eq!(got("/a", Version::HTTP_11, &[("host", "example.org:81")], &scope), http("example.org:81/a"));
    assert_eq!(got("/a", Version::HTTP_10, &[], &scope), http("pool.example.org/a"));
    assert_eq!(got("/a", Version::HTTP_11, &[], &scope), Err(400));
}

#[test]
fn connect_names_a_host_and_a_port() {
    let target = |uri: Uri, headers: &[(&str, &str)]| {
        let mut parts = parts("CONNECT", "/", Version::HTTP_11, headers);
        parts.uri = uri;
        connect_target(&parts)
    };
    let authority = |text: &str| Uri::builder().authority(text).build().unwrap();
    assert_eq!(target(authority("Example.org:443"), &[]).unwrap(), ("example.org".to_owned(), 443));
    assert_eq!(target(authority("[2001:db8::1]:443"), &[]).unwrap(), ("2001:db8::1".to_owned(), 443));
    for bad in ["example.org", "u@example.org:443", "example.org:0"] {
        assert!(target(authority(bad), &[]).is_err(), "{bad}");
    }
    assert!(target("/a".parse().unwrap(), &[]).is_err());
    assert!(target("https://example.org:443/".parse().unwrap(), &[]).is_err());
    assert!(target(authority("example.org:443"), &[("content-length", "5")]).is_err());
}
