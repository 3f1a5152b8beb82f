//! CONNECT through a proxy upstream (RFC 9110 section 9.3.6).

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::auth::{Conversation, Next, ProxyAuth};
use super::observe::{Event, note};
use super::patience::within;
use super::route::ProxyUrl;
use crate::origin::{Phase, UpstreamError};
use crate::prefixed::Prefixed;

#[cfg(test)]
mod tests;

/// The answer's head may be no longer.
const HEAD_LIMIT: usize = 64 * 1024;
/// The page that comes with a refusal is read up to here, to use the connection again.
const PAGE_LIMIT: usize = 256 * 1024;
/// Times that a way is opened again because of a proxy that closes when it asks: once for each of some hops.
const MOST_AGAIN: usize = 4;

const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Asks the proxy for a tunnel to a host (an IPv6 address without brackets), with credentials where it asks for them.
/// Bytes that follow the answer's head belong to the tunnel and are kept.
///
/// A proxy may ask for credentials and close the connection: then the error is [`is_asked_again`], and what it wants
/// is remembered for the next.
pub(crate) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    stream: T,
    proxy: &ProxyUrl,
    auth: &Arc<ProxyAuth>,
    host: &str,
    port: u16,
    limit: Duration,
) -> Result<Prefixed<T>, UpstreamError> {
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let asking = Asking { stream, buffer: BytesMut::new(), proxy, host, authority };
    match within(limit, asking.run(auth.conversation())).await {
        Some(result) => result,
        None => Err(failed(proxy, host, &format!("did not answer CONNECT within {} s", limit.as_secs()), true)),
    }
}

/// Whether a proxy closed the connection when it asked for credentials that there are: they go with the next.
fn is_asked_again(error: &UpstreamError) -> bool {
    error.retryable && error.phase == Phase::ProxyAnswered(407)
}

/// Opens a way, and opens it again where a proxy on it asked for credentials and closed the connection.
pub(crate) async fn persist<T, F>(mut open: impl FnMut() -> F) -> Result<T, UpstreamError>
where
    F: Future<Output = Result<T, UpstreamError>>,
{
    for _ in 0..MOST_AGAIN {
        match open().await {
            Err(error) if is_asked_again(&error) => {}
            opened => return opened,
        }
    }
    open().await
}

struct Asking<'a, T> {
    stream: T,
    /// Read, and not used yet.
    buffer: BytesMut,
    proxy: &'a ProxyUrl,
    host: &'a str,
    authority: String,
}

struct Head {
    line: String,
    status: u16,
    headers: HeaderMap,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Asking<'_, T> {
    async fn run(mut self, mut conversation: Conversation) -> Result<Prefixed<T>, UpstreamError> {
        // Whether the connection has carried an answer, and may have been closed behind it.
        let mut used = false;
        loop {
            let asked = self.ask(&mut conversation).await;
            let head = match asked {
                Err(error) if used && error.retryable => return Err(self.asked_again()),
                asked => asked?,
            };
            note(|| Event::Proxy {
                proxy: self.proxy.to_string(),
                asked: format!("CONNECT {}", self.authority),
                answer: printable(&head.line),
                scheme: conversation.sent().map(|scheme| scheme.name().to_owned()),
            });
            match head.status {
                200..=299 => {
                    conversation.accepted(&head.headers);
                    return Ok(Prefixed::new(self.buffer.freeze(), self.stream));
                }
                407 => {
                    let next = conversation.challenged(&head.headers).await.map_err(unauthorized)?;
                    if self.drain(&head).await {
                        used = next == Next::Any;
                        continue;
                    }
                    return Err(match next {
                        Next::Any => self.asked_again(),
                        Next::Same => self.failed("closed the connection in the middle of the authentication", false),
                    });
                }
                status => {
                    conversation.accepted(&head.headers);
                    let error = self.failed(&format!("refused: {}", printable(&head.line)), false);
                    return Err(UpstreamError { phase: Phase::ProxyAnswered(status), ..error });
                }
            }
        }
    }

    /// Sends the request, and reads the head of the answer.
    async fn ask(&mut self, conversation: &mut Conversation) -> Result<Head, UpstreamError> {
        let authorization = conversation.authorization("CONNECT", &self.authority).await.map_err(unauthorized)?;
        let mut request = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", self.authority).into_bytes();
        if let Some(value) = authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let lost = |error: std::io::Error| failed(self.proxy, self.host, &broke(&error), true);
        self.stream.write_all(&request).await.map_err(lost)?;
        loop {
            let head = self.head().await?;
            if !(100..200).contains(&head.status) {
                return Ok(head);
            }
        }
    }

    async fn head(&mut self) -> Result<Head, UpstreamError> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if self.buffer.len() > HEAD_LIMIT {
                return Err(self.failed("sent an answer to CONNECT that has no end", false));
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(self.failed("closed the connection without answering CONNECT", true)),
                Ok(_) => {}
                Err(error) => return Err(self.failed(&broke(&error), true)),
            }
        };
        let head = self.buffer.split_to(end);
        parse(&head).ok_or_else(|| self.failed("answered CONNECT with something that is not HTTP", false))
    }

    /// Reads the body of a refusal to its end. Whether the connection can be used again.
    async fn drain(&mut self, head: &Head) -> bool {
        let has = |name: &HeaderName, word: &str| {
            let values = head.headers.get_all(name).iter();
            values
                .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
                .any(|one| one.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        };
        let says = |word: &str| has(&CONNECTION, word) || has(&PROXY_CONNECTION, word);
        if says("close") || head.line.starts_with("HTTP/1.0") && !says("keep-alive") {
            return false;
        }
        if has(&TRANSFER_ENCODING, "chunked") {
            return self.skip_chunks().await.is_some();
        }
        let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        match length {
            Some(length) if length <= PAGE_LIMIT => self.skip(length).await.is_some(),
            _ => false,
        }
    }

    async fn skip_chunks(&mut self) -> Option<()> {
        let mut all = 0;
        loop {
            let line = self.line().await?;
            let size = line[..].split(|byte| *byte == b';').next()?;
            let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
            if size > PAGE_LIMIT - all {
                return None;
            }
            all += size;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Some(());
            }
            self.skip(size + 2).await?;
        }
    }

    /// A line without its end.
    async fn line(&mut self) -> Option<BytesMut> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let mut line = self.buffer.split_to(end + 2);
                line.truncate(end);
                return Some(line);
            }
            if self.buffer.len() > HEAD_LIMIT {
                return None;
            }
            self.more().await?;
        }
    }

    async fn skip(&mut self, length: usize) -> Option<()> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        let _ = self.buffer.split_to(length);
        Some(())
    }

    async fn more(&mut self) -> Option<()> {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(read) if read > 0).then_some(())
    }

    fn failed(&self, what: &str, retryable: bool) -> UpstreamError {
        failed(self.proxy, self.host, what, retryable)
    }

    fn asked_again(&self) -> UpstreamError {
        let error = self.failed("asks for authentication (407), and closed the connection", true);
        UpstreamError { phase: Phase::ProxyAnswered(407), ..error }
    }
}

/// No way to authenticate did.
pub(super) fn unauthorized(error: super::auth::AuthError) -> UpstreamError {
    UpstreamError { phase: Phase::ProxyAnswered(407), message: error.0, retryable: false }
}

fn broke(error: &std::io::Error) -> String {
    format!("broke the connection: {error}")
}

fn failed(proxy: &ProxyUrl, host: &str, what: &str, retryable: bool) -> UpstreamError {
    UpstreamError {
        phase: Phase::Proxy,
        message: format!("the upstream proxy {proxy} {what} (asked for {host})"),
        retryable,
    }
}

/// Reads a head, up to the empty line. Fields that are none are left out.
fn parse(head: &[u8]) -> Option<Head> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = String::from_utf8_lossy(lines.next()?).into_owned();
    let status = status(&line)?;
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(field) {
        headers.append(name, value);
    }
    Some(Head { line, status, headers })
}

fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.")?;
    let code = rest.get(1..)?.strip_prefix(' ')?.get(..3)?;
    code.bytes().all(|byte| byte.is_ascii_digit()).then(|| code.parse().ok())?
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}
