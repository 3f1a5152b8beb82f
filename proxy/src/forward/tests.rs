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

/// The URL as upstream is asked for it, and what it is filed under; `None` where it is refused.
fn filed(url: &str) -> Option<(String, crate::cache::Key)> {
    let uri: Uri = url.parse().ok()?;
    let mut parts = parts("GET", "/", Version::HTTP_11, &[("host", "x.example.org")]);
    parts.uri = uri;
    let uri = absolute_uri(&parts, &Scope::Proxy).ok()?;
    Some((uri.to_string(), crate::cache::Key::of(&uri)?))
}

#[test]
fn the_page_on_keys_is_what_happens() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cache-key.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let urls: Vec<&str> = row.split('`').collect();
        let (one, other) = (filed(urls[1]).unwrap(), filed(urls[3]).unwrap());
        assert_eq!(one.1 == other.1, row.contains(" | one | "), "{row}");
        assert!(row.contains(" | one | ") || row.contains(" | two | "), "{row}");
        rows += 1;
    }
    assert!(rows > 25, "{rows} rows");
}

/// A URL taken apart by hand: scheme, host, port, path, and query, as far as an origin could see a difference.
fn apart(url: &str) -> (String, String, u16, String, Option<String>) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.split('#').next().unwrap();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse().ok()),
        None => (authority, None),
    };
    let host = host.to_ascii_lowercase().replace("[0:0::1]", "[::1]");
    let port = port.unwrap_or(if scheme == "http" { 80 } else { 443 });
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let encoded = |text: &str| text.replace('é', "%C3%A9").replace('"', "%22");
    let path = if path.is_empty() { "/".to_owned() } else { encoded(path) };
    (scheme, host.trim_end_matches('.').to_owned(), port, path, query.map(encoded))
}

proptest::proptest! {
    /// Whatever an origin can tell apart stays apart, and nothing else does; and what it is sent is what is filed.
    #[test]
    fn never_merges_what_an_origin_could_tell_apart(
        one in "(http|HTTP|https)://(a|A|b|a\\.|\\[::1\\]|\\[0:0::1\\])(:80|:443|:0080|:8080)?(/(a|A|%7E|~|%2F|%2f|/|\\.\\.|é|%C3%A9|\"|%22|;|\\+|%20){0,3})?(\\?(a|A|b=|=|&|%61|é){0,3})?(#f)?",
        other in "(http|HTTP|https)://(a|A|b|a\\.|\\[::1\\]|\\[0:0::1\\])(:80|:443|:0080|:8080)?(/(a|A|%7E|~|%2F|%2f|/|\\.\\.|é|%C3%A9|\"|%22|;|\\+|%20){0,3})?(\\?(a|A|b=|=|&|%61|é){0,3})?(#f)?",
        // Mostly alike, as two of the same client are.
        mix in 0..4,
    ) {
        let other = if mix == 0 { other } else {
            let (head, tail) = (one.split_once("://").unwrap(), other.split_once("://").unwrap());
            let cut = |text: &str| text.find(['/', '?', '#']).unwrap_or(text.len());
            match mix {
                1 => format!("{}://{}", tail.0, head.1),
                2 => format!("{}://{}{}", head.0, &tail.1[..cut(tail.1)], &head.1[cut(head.1)..]),
                _ => format!("{}://{}{}", head.0, &head.1[..cut(head.1)], &tail.1[cut(tail.1)..]),
            }
        };
        let (Some(first), Some(second)) = (filed(&one), filed(&other)) else {
            proptest::prop_assert!(false, "{one} or {other} is refused");
            return Ok(());
        };
        proptest::prop_assert_eq!(apart(&one) == apart(&other), first.1 == second.1, "{} {}", one, other);
        proptest::prop_assert_eq!(first.0 == second.0, first.1 == second.1, "{} {}", first.0, second.0);
    }
}
