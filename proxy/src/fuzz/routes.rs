//! Which way out: `NO_PROXY`, the URLs of proxies, and what is shown of URLs.

use crate::redact;
use crate::upstream::choice::routes;
use crate::upstream::no_proxy::NoProxy;
use crate::upstream::route::ProxyUrl;

/// Host and port on the first line, then two lists: neither the spelling of a host nor a second entry changes what an
/// entry covers.
pub fn no_proxy(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let (Some(target), first, second) = (lines.next(), lines.next().unwrap_or(""), lines.next().unwrap_or("")) else {
        return;
    };
    let (host, port) = target.rsplit_once(' ').unwrap_or((target, "80"));
    let port = port.parse().unwrap_or(80);
    let covers = |list: &str| NoProxy::parse(list).matches(host, port);
    let (one, other) = (covers(first), covers(second));
    for both in [format!("{first},{second}"), format!("{second} {first}")] {
        assert_eq!(covers(&both), one || other, "{both:?} covers {host:?} otherwise than its two halves");
    }
    let list = NoProxy::parse(first);
    assert_eq!(list.matches(&host.to_ascii_uppercase(), port), one, "{first:?}: case counts in {host:?}");
    if !host.ends_with('.') {
        assert_eq!(list.matches(&format!("{host}."), port), one, "{first:?}: a final dot counts after {host:?}");
        // In a list, a leading dot says nothing.
        if !host.is_empty()
            && !host.starts_with('.')
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
        {
            assert!(covers(host), "{host:?} does not cover itself");
        }
    }
    assert!(!NoProxy::parse("").matches(host, port));
    assert!(NoProxy::parse("*").matches(host, port));
}

/// The URL of a proxy, or several in a list: shown and read again it is the same, and no password is ever shown.
pub fn proxy_urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A word that cannot come about by chance, in the place of a password.
    let secret = "x9Kq7ZvW";
    if let Ok(proxy) = ProxyUrl::parse(text, "test") {
        let shown = proxy.to_string();
        let again = ProxyUrl::parse(&shown, "test").expect("what is shown of a proxy can be read");
        assert_eq!((again.kind, &again.host, again.port), (proxy.kind, &proxy.host, proxy.port), "{shown}");
        assert!(again.login.is_none(), "{shown}");
    }
    if let Ok(found) = routes(text, "test") {
        assert!(!found.is_empty());
        let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !rest.contains(['@', '/', '?', '#', '\\']) && !text.contains(secret) {
        let with_login = format!("{scheme}://user:{secret}@{rest}");
        for shown in [
            redact::url(&with_login),
            format!("{:?}", ProxyUrl::parse(&with_login, "test")),
            ProxyUrl::parse(&with_login, "test").map_or_else(|error| error.to_string(), |proxy| proxy.to_string()),
            routes(&with_login, "test").err().map(|error| error.to_string()).unwrap_or_default(),
        ] {
            assert!(!shown.contains(secret), "{with_login:?} shown as {shown:?}");
        }
    }
    if matches!(scheme, "http" | "https") && text.parse::<http::Uri>().is_ok() {
        let shown = redact::url(text);
        assert_eq!(redact::url(&shown), shown, "{text:?}");
    }
}
