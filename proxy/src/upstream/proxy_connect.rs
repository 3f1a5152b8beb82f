//! CONNECT through a proxy upstream (RFC 9110 section 9.3.6).

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::observe::{Event, note};
use super::route::ProxyUrl;
use crate::origin::{Phase, UpstreamError};
use crate::prefixed::Prefixed;

/// The answer's head may be no longer.
const HEAD_LIMIT: usize = 16 * 1024;

/// Asks the proxy for a tunnel to a host (an IPv6 address without brackets). Bytes that follow the answer's head
/// belong to the tunnel and are kept.
pub(crate) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    proxy: &ProxyUrl,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<Prefixed<T>, UpstreamError> {
    match timeout(limit, exchange(stream, proxy, host, port)).await {
        Ok(result) => result,
        Err(_) => Err(failed(proxy, host, &format!("did not answer CONNECT within {} s", limit.as_secs()), true)),
    }
}

async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    proxy: &ProxyUrl,
    host: &str,
    port: u16,
) -> Result<Prefixed<T>, UpstreamError> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = proxy.basic() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let lost = |error: std::io::Error| failed(proxy, host, &format!("broke the connection: {error}"), true);
    stream.write_all(&request).await.map_err(lost)?;

    let mut buffer = BytesMut::new();
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if buffer.len() > HEAD_LIMIT {
            return Err(failed(proxy, host, "sent an answer to CONNECT that has no end", false));
        }
        if stream.read_buf(&mut buffer).await.map_err(lost)? == 0 {
            return Err(failed(proxy, host, "closed the connection without answering CONNECT", true));
        }
    };
    let head = buffer.split_to(end);
    let head = String::from_utf8_lossy(&head);
    note(|| Event::Proxy {
        proxy: proxy.to_string(),
        asked: format!("CONNECT {authority}"),
        answer: printable(head.lines().next().unwrap_or_default()),
        scheme: proxy.login.as_ref().map(|_| "Basic".to_owned()),
    });
    match status(&head) {
        Some(200..=299) => Ok(Prefixed::new(buffer.freeze(), stream)),
        Some(407) => Err(UpstreamError {
            phase: Phase::ProxyAnswered(407),
            message: unauthorized(proxy, &head),
            retryable: false,
        }),
        Some(status) => {
            let line = head.lines().next().unwrap_or_default();
            let error = failed(proxy, host, &format!("refused: {}", printable(line)), false);
            Err(UpstreamError { phase: Phase::ProxyAnswered(status), ..error })
        }
        None => Err(failed(proxy, host, "answered CONNECT with something that is not HTTP", false)),
    }
}

/// What to tell the user when the proxy wants (other) credentials.
fn unauthorized(proxy: &ProxyUrl, head: &str) -> String {
    let schemes: Vec<String> = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"))
        .filter_map(|(_, value)| value.split_whitespace().next().map(printable))
        .collect();
    unauthorized_message(proxy, &schemes)
}

/// As [`unauthorized`], from the schemes the proxy offers.
pub(crate) fn unauthorized_message(proxy: &ProxyUrl, schemes: &[String]) -> String {
    let offered = if schemes.is_empty() { "no scheme".to_owned() } else { schemes.join(", ") };
    let next = match (&proxy.login, schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"))) {
        (_, false) if !schemes.is_empty() => "Larder can answer Basic only; ask for another proxy",
        (None, _) => "put user and password into its URL: http://user:password@host:port",
        (Some(_), _) => "the user name or password in its URL is wrong (special characters must be percent-encoded)",
    };
    format!("the upstream proxy {proxy} asks for authentication (407, offers {offered}); {next}")
}

fn failed(proxy: &ProxyUrl, host: &str, what: &str, retryable: bool) -> UpstreamError {
    UpstreamError {
        phase: Phase::Proxy,
        message: format!("the upstream proxy {proxy} {what} (asked for {host})"),
        retryable,
    }
}

fn status(head: &str) -> Option<u16> {
    let rest = head.strip_prefix("HTTP/1.")?;
    let code = rest.get(1..)?.strip_prefix(' ')?.get(..3)?;
    code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.parse().ok())?
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reply(answer: &'static [u8]) -> Result<Vec<u8>, UpstreamError> {
        let (client, mut server) = tokio::io::duplex(64 * 1024);
        let proxy = ProxyUrl::parse("http://u:p@proxy.example.org:3128", "test").unwrap();
        let peer = tokio::spawn(async move {
            let mut request = [0; 1024];
            let n = server.read(&mut request).await.unwrap();
            server.write_all(answer).await.unwrap();
            drop(server);
            request[..n].to_vec()
        });
        let mut stream = connect(client, &proxy, "2001:db8::1", 443, Duration::from_secs(5)).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let request = peer.await.unwrap();
        assert!(request.starts_with(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"));
        assert!(String::from_utf8_lossy(&request).contains("Proxy-Authorization: Basic dTpw\r\n"));
        Ok(rest)
    }

    #[tokio::test]
    async fn bytes_after_the_head_belong_to_the_tunnel() {
        assert_eq!(reply(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello").await.unwrap(), b"hello");
        assert_eq!(reply(b"HTTP/1.1 204\r\n\r\n").await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_refusal_says_why() {
        for (answer, expected) in [
            (&b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"[..], "is wrong"),
            (b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n", "Basic only"),
            (b"HTTP/1.1 502 Bad\x1b gateway\r\n\r\n", "refused: HTTP/1.1 502 Bad gateway"),
            (b"<html>", "without answering"),
            (b"SSH-2.0\r\n\r\n", "not HTTP"),
        ] {
            let error = reply(answer).await.unwrap_err();
            assert!(matches!(error.phase, Phase::Proxy | Phase::ProxyAnswered(407 | 502)), "{:?}", error.phase);
            assert!(error.message.contains(expected), "{}", error.message);
        }
    }
}
