//! From a request as it arrived to one with an absolute, canonical URI. Strict where hyper is lax: what two readers
//! could understand differently is refused.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{self, Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version};

use crate::error::Refusal;

/// How the target of a request is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A client that knows it talks to a proxy: the URI is absolute.
    Proxy,
    /// Larder's own request: as above, and no Host is needed.
    Own,
    /// A client that believes it talks to the origin on port 80; the name stands in where it sends no Host.
    Transparent {
        /// What the resolver gave the address for, else the address.
        fallback: String,
    },
    /// Inside a connection whose target is known: intercepted TLS, or plain HTTP through CONNECT.
    Inside {
        /// Whether TLS was taken off.
        tls: bool,
        /// Name or address, without brackets.
        host: String,
        /// Port asked for.
        port: u16,
    },
}

/// The absolute, canonical URI of a request.
pub(crate) fn absolute_uri(parts: &Parts, scope: &Scope) -> Result<Uri, Refusal> {
    check_framing(parts)?;
    let host = single_host(parts)?;
    let uri = &parts.uri;
    if uri.path() == "*" && parts.method != Method::OPTIONS {
        return Err(Refusal::malformed("`*` asks about a server as a whole, which only OPTIONS does"));
    }
    if let Some(authority) = uri.authority() {
        if authority.as_str().contains('@') {
            return Err(Refusal::malformed("user information does not belong into a request's URL; use Authorization"));
        }
        if parts.version == Version::HTTP_11 && host.is_none() && *scope != Scope::Own {
            return Err(Refusal::malformed("an HTTP/1.1 request needs a Host field"));
        }
    }
    match scope {
        // A question about this proxy itself.
        Scope::Proxy if uri.path() == "*" => Ok(Uri::from_static("*")),
        Scope::Proxy | Scope::Own => {
            let scheme = uri.scheme().filter(|_| uri.authority().is_some()).ok_or_else(not_a_proxy_request)?;
            let (name, port) = split(uri.authority().ok_or_else(not_a_proxy_request)?)?;
            // A Host that differs is ignored, as RFC 9112 section 3.2.2 demands; it still has to be a host.
            build(scheme, &name, port, uri, uri.authority())
        }
        Scope::Transparent { fallback } => {
            let target = match uri.authority() {
                Some(authority) => split(authority)?,
                None => match &host {
                    Some(authority) => split(authority)?,
                    None if parts.version == Version::HTTP_10 => (Cow::Borrowed(fallback.as_str()), None),
                    None => return Err(Refusal::malformed("an HTTP/1.1 request needs a Host field")),
                },
            };
            build(&Scheme::HTTP, &target.0, target.1, uri, uri.authority().or(host.as_ref()))
        }
        Scope::Inside { tls, host: own, port } => {
            let named = name_inside(parts, host.as_ref())?;
            let default = if *tls { 443 } else { 80 };
            if let Some((name, named_port)) = named
                && (name != *own || named_port.unwrap_or(default) != *port)
            {
                return Err(Refusal {
                    status: StatusCode::MISDIRECTED_REQUEST,
                    kind: "http_request_error",
                    message: format!("the connection is for {own} port {port}, but the request is for {name}"),
                });
            }
            let scheme = if *tls { Scheme::HTTPS } else { Scheme::HTTP };
            build(&scheme, own, Some(*port), uri, uri.authority().or(host.as_ref()))
        }
    }
}

/// The host that a request inside a connection names: in its URI, in Host, or in both alike.
fn name_inside<'a>(parts: &'a Parts, host: Option<&'a Authority>) -> Result<Option<Named<'a>>, Refusal> {
    match (parts.uri.authority(), host) {
        (Some(authority), Some(host)) if split(authority)? != split(host)? => {
            Err(Refusal::malformed(format!("the URL names {authority}, but Host names {host}")))
        }
        (Some(authority), _) => split(authority).map(Some),
        (None, Some(host)) => split(host).map(Some),
        (None, None) if parts.version == Version::HTTP_10 => Ok(None),
        (None, None) => Err(Refusal::malformed("the request needs a Host field")),
    }
}

/// Host (without brackets) and port of a CONNECT request.
pub(crate) fn connect_target(parts: &Parts) -> Result<(String, u16), Refusal> {
    check_framing(parts)?;
    single_host(parts)?;
    if parts.headers.contains_key(CONTENT_LENGTH) || parts.headers.contains_key(TRANSFER_ENCODING) {
        return Err(Refusal::malformed("a CONNECT request has no body"));
    }
    let uri = &parts.uri;
    let bad = || Refusal::malformed(format!("CONNECT needs `host:port`, not `{uri}`"));
    let authority = uri.authority().filter(|_| uri.scheme().is_none() && uri.path_and_query().is_none());
    let authority = authority.filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
    match split(authority)? {
        (host, Some(port)) if port != 0 => Ok((host.into_owned(), port)),
        _ => Err(bad()),
    }
}

fn check_framing(parts: &Parts) -> Result<(), Refusal> {
    if parts.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(Refusal::malformed(format!("methods are written in capitals, not `{}`", parts.method)));
    }
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::malformed("the only transfer coding a request may have is `chunked`, once"));
        }
        if parts.headers.contains_key(CONTENT_LENGTH) {
            return Err(Refusal::malformed("Content-Length and Transfer-Encoding exclude each other"));
        }
    }
    Ok(())
}

/// Whether a request asks about the server as a whole (RFC 9110 section 9.3.7). To a proxy, a URL without a path
/// would ask the same (RFC 9112 section 3.2.4), but is read by the `http` crate as one with the path `/`.
pub(crate) fn is_about_server(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.uri.path() == "*"
}

/// The one Host field, where there is one.
fn single_host(parts: &Parts) -> Result<Option<Authority>, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Ok(None) };
    if hosts.next().is_some() {
        return Err(Refusal::malformed("there is more than one Host field"));
    }
    // Mostly it says again what the URL has, which is looked at by itself.
    if let Some(same) = parts.uri.authority().filter(|named| named.as_str().as_bytes() == host.as_bytes()) {
        return Ok(Some(same.clone()));
    }
    let authority = Authority::try_from(host.as_bytes()).ok().filter(|host| !host.as_str().contains('@'));
    let authority = authority.ok_or_else(|| Refusal::malformed("Host does not name a host"))?;
    split(&authority)?;
    Ok(Some(authority))
}

/// Canonical host (lower case, no trailing dot, no brackets) and port.
type Named<'a> = (Cow<'a, str>, Option<u16>);

/// Host and port of an authority.
fn split(authority: &Authority) -> Result<Named<'_>, Refusal> {
    let bad = || Refusal::malformed(format!("`{authority}` is not a host with an optional port"));
    let port = match authority.as_str().rsplit_once(':') {
        Some((_, text)) if !text.contains(']') => match text {
            "" => None,
            text => Some(text.parse::<u16>().map_err(|_| bad())?),
        },
        _ => None,
    };
    let host = authority.host();
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| bad())?;
        return Ok((Cow::Owned(address.to_string()), port));
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let capitals = host.bytes().any(|byte| byte.is_ascii_uppercase());
    let host = if capitals { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) };
    let fits = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if fits { Ok((host, port)) } else { Err(bad()) }
}

/// `named` is how the client wrote the host: what is canonical already is not read again.
fn build(scheme: &Scheme, host: &str, port: Option<u16>, uri: &Uri, named: Option<&Authority>) -> Result<Uri, Refusal> {
    let default = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        other => return Err(Refusal::malformed(format!("only http and https URLs are served, not `{other}:`"))),
    };
    let port = port.filter(|port| *port != default);
    if port == Some(0) {
        return Err(Refusal::malformed("port 0 cannot be reached"));
    }
    let unreadable = |error: http::Error| Refusal::malformed(format!("the URL cannot be read: {error}"));
    let authority = match named.filter(|named| is_written(named.as_str(), host, port)) {
        Some(named) => named.clone(),
        None => {
            let host = if matches!(host.parse(), Ok(IpAddr::V6(_))) { format!("[{host}]") } else { host.to_owned() };
            let text = port.map(|port| format!("{host}:{port}")).unwrap_or(host);
            Authority::try_from(text).map_err(|error| unreadable(error.into()))?
        }
    };
    let path = match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') && is_ascii(path.as_str()) => path.clone(),
        // What `OPTIONS *` asks about has no path; which server it is, is all there is to say.
        path => {
            let path = path.map_or("/", PathAndQuery::as_str);
            let path = if path == "*" { "/" } else { path };
            let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
            PathAndQuery::try_from(ascii(&path)).map_err(|error| unreadable(error.into()))?
        }
    };
    let mut parts = uri::Parts::default();
    (parts.scheme, parts.authority, parts.path_and_query) = (Some(scheme.clone()), Some(authority), Some(path));
    Uri::from_parts(parts).map_err(|error| unreadable(error.into()))
}

/// Whether a host that is no IPv6 address, and a port, are written just so.
fn is_written(named: &str, host: &str, port: Option<u16>) -> bool {
    let Some(rest) = named.strip_prefix(host).filter(|_| !host.contains(':')) else { return false };
    match port {
        None => rest.is_empty(),
        Some(port) => rest.strip_prefix(':').is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0') && digits.parse() == Ok(port)
        }),
    }
}

fn is_ascii(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// Bytes that do not belong into a URL, percent-encoded: one spelling for one resource.
fn ascii(path: &str) -> String {
    if is_ascii(path) {
        return path.to_owned();
    }
    path.bytes()
        .map(|byte| match byte {
            b'"' => "%22".to_owned(),
            byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn not_a_proxy_request() -> Refusal {
    Refusal::malformed(
        "this is Larder's proxy, and the request names no absolute URL; set it as http_proxy and https_proxy",
    )
}

#[cfg(test)]
mod tests;
