//! URLs for people and logs: without user information, without what signs or authorises.

/// Query parameters that carry a secret or a signature, in lower case.
const SECRET: [&str; 22] = [
    "sig",
    "signature",
    "se",
    "sp",
    "sv",
    "sr",
    "st",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
    "expires",
    "key-pair-id",
    "policy",
    "token",
    "access_token",
    "password",
    "api_key",
    "apikey",
    "jwt",
];

/// Leaves out user information, fragments and secret parameters.
pub(crate) fn url(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let text = text.split('#').next().unwrap_or_default();
    let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
    let mut out = without_user(head);
    if let Some(query) = query {
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_secret(pair)).collect();
        if !kept.is_empty() {
            out.push('?');
            out.push_str(&kept.join("&"));
        }
    }
    without_users(&out)
}

/// The same of a text that is given away.
pub(crate) fn owned(text: String) -> String {
    if is_plain(&text) { text } else { url(&text) }
}

/// Whether there is nothing that could be left out, as in most.
fn is_plain(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'@' | b'?' | b'#'))
}

fn without_user(head: &str) -> String {
    let (scheme, rest) = head.split_once("://").map_or(("", head), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}

/// Without the users of URLs that are in a path, a query, or a list.
fn without_users(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + "://".len());
        let (authority, more) = after.split_at(after.find(['/', '?', '#', '&', ' ']).unwrap_or(after.len()));
        out.push_str(before);
        out.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = more;
    }
    out.push_str(rest);
    out
}

fn is_secret(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
    SECRET.contains(&name.as_str()) || name.starts_with("x-amz-") || name.starts_with("x-goog-")
}

#[cfg(test)]
mod tests {
    use super::url;

    #[test]
    fn secrets_are_left_out() {
        for (text, expected) in [
            ("http://u:p@example.org/a@b?x=1", "http://example.org/a@b?x=1"),
            ("https://example.org/a?X-Amz-Signature=1&x=2&sig=3#f", "https://example.org/a?x=2"),
            ("https://example.org/a?token=1", "https://example.org/a"),
            ("u:p@example.org:443", "example.org:443"),
            ("/a", "/a"),
            (
                "http://proxy/http://u:p@example.org/?to=ftp://u:p@x&y=a@b",
                "http://proxy/http://example.org/?to=ftp://x&y=a@b",
            ),
            ("http:?/a > socks5h://u:p@[2001:db8::1]:80", "http:?/a > socks5h://[2001:db8::1]:80"),
        ] {
            assert_eq!(url(text), expected);
        }
    }
}
