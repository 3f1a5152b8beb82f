//! Connections through SOCKS proxies: version 5 (RFC 1928, with RFC 1929 for user and password), 4 and 4a.
//!
//! Our own, being small: what is read ends exactly where the reply does, so that bytes the origin sends at once stay in
//! the stream, and each refusal is told in words.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::observe::{Event, note};
use super::proxy_url::{Login, ProxyKind, ProxyUrl};
use crate::origin::{Phase, UpstreamError};

/// What is to be reached, as the proxy is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    Address(IpAddr),
    Name(String),
}

/// Why there is no connection.
struct Failure {
    phase: Phase,
    what: String,
}

impl Failure {
    /// The proxy itself is at fault.
    fn of_proxy(what: impl Into<String>) -> Self {
        Self { phase: Phase::Proxy, what: what.into() }
    }
}

/// Asks the proxy for a connection. The error's phase is [`Phase::Proxy`] where the proxy itself is at fault, and
/// another where it says that the destination is.
pub(super) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    proxy: &ProxyUrl,
    to: &Destination,
    port: u16,
    limit: Duration,
) -> Result<(), UpstreamError> {
    let asked = async {
        match proxy.kind {
            ProxyKind::Socks4 | ProxyKind::Socks4a => version_4(stream, proxy.login.as_ref(), to, port).await,
            _ => version_5(stream, proxy.login.as_ref(), to, port).await,
        }
    };
    let late = || Err(Failure::of_proxy(format!("did not answer within {} s", limit.as_secs())));
    let answer = timeout(limit, asked).await.unwrap_or_else(|_| late());
    note(|| Event::Proxy {
        proxy: proxy.to_string(),
        asked: format!("a connection to {} port {port}", shown(to)),
        answer: answer.as_ref().map_or_else(|failure| failure.what.clone(), |()| "granted".to_owned()),
        scheme: proxy.login.as_ref().map(|_| "user and password".to_owned()),
    });
    answer.map_err(|failure| UpstreamError {
        phase: failure.phase,
        message: format!("the upstream proxy {proxy} {} (asked for {} port {port})", failure.what, shown(to)),
        retryable: true,
    })
}

fn shown(to: &Destination) -> String {
    match to {
        Destination::Address(address) => address.to_string(),
        Destination::Name(name) => name.clone(),
    }
}

async fn version_5<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    login: Option<&Login>,
    to: &Destination,
    port: u16,
) -> Result<(), Failure> {
    let methods: &[u8] = if login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    write(stream, methods).await?;
    let [version, method] = read::<2, _>(stream).await?;
    if version != 5 {
        return Err(not_socks(5, version));
    }
    match (method, login) {
        (0, _) => {}
        (2, Some(login)) => log_in(stream, login).await?,
        (0xff, Some(_)) => {
            return Err(Failure::of_proxy("takes neither user and password nor none; it wants another method"));
        }
        (0xff, None) => {
            return Err(Failure::of_proxy(
                "asks for a login; put user and password into its URL: socks5://user:password@host",
            ));
        }
        (other, _) => return Err(Failure::of_proxy(format!("wants method {other}, which was not offered"))),
    }
    let mut request = vec![5, 1, 0];
    match to {
        Destination::Address(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend(v4.octets());
        }
        Destination::Address(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend(v6.octets());
        }
        Destination::Name(name) => {
            request.push(3);
            request.extend(counted(name, "the name")?);
        }
    }
    request.extend(port.to_be_bytes());
    write(stream, &request).await?;
    let [version, reply, _, kind] = read::<4, _>(stream).await?;
    if version != 5 {
        return Err(not_socks(5, version));
    }
    if reply != 0 {
        return Err(reply_5(reply));
    }
    // The address it has connected from: of no use, but to be read.
    match kind {
        1 => drop(read::<6, _>(stream).await?),
        4 => drop(read::<18, _>(stream).await?),
        3 => {
            let [length] = read::<1, _>(stream).await?;
            let mut rest = vec![0; usize::from(length) + 2];
            stream.read_exact(&mut rest).await.map_err(lost)?;
        }
        other => return Err(Failure::of_proxy(format!("gave an address of a kind ({other}) that there is not"))),
    }
    Ok(())
}

/// RFC 1929.
async fn log_in<T: AsyncRead + AsyncWrite + Unpin>(stream: &mut T, login: &Login) -> Result<(), Failure> {
    let mut request = vec![1];
    request.extend(counted(&login.user, "the user")?);
    request.extend(counted(&login.password, "the password")?);
    write(stream, &request).await?;
    match read::<2, _>(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(Failure::of_proxy(
            "does not take the user and password of its URL (special characters must be percent-encoded)",
        )),
    }
}

async fn version_4<T: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut T,
    login: Option<&Login>,
    to: &Destination,
    port: u16,
) -> Result<(), Failure> {
    let mut request = vec![4, 1];
    request.extend(port.to_be_bytes());
    let name = match to {
        Destination::Address(IpAddr::V4(v4)) => {
            request.extend(v4.octets());
            None
        }
        Destination::Address(IpAddr::V6(_)) => {
            return Err(Failure::of_proxy("speaks SOCKS 4, which knows IPv4 addresses only; use socks5:// if it can"));
        }
        Destination::Name(name) => {
            // 4a: an address that cannot be, and the name after the user.
            request.extend(Ipv4Addr::new(0, 0, 0, 1).octets());
            Some(name)
        }
    };
    request.extend(login.map_or("", |login| &login.user).bytes());
    request.push(0);
    if let Some(name) = name {
        counted(name, "the name")?;
        request.extend(name.bytes());
        request.push(0);
    }
    write(stream, &request).await?;
    let [version, reply] = read::<2, _>(stream).await?;
    if version != 0 {
        return Err(not_socks(4, version));
    }
    match reply {
        90 => {
            read::<6, _>(stream).await?;
            Ok(())
        }
        91 => Err(Failure {
            phase: Phase::Connect,
            what: "refused, or could not connect (SOCKS 4 does not say which)".to_owned(),
        }),
        92 => Err(Failure::of_proxy("refused: it cannot reach an identd here")),
        93 => Err(Failure::of_proxy("refused: the identd here names another user")),
        other => Err(Failure::of_proxy(format!("answered with a code ({other}) that there is not"))),
    }
}

/// RFC 1928 section 6.
fn reply_5(reply: u8) -> Failure {
    let (phase, what) = match reply {
        1 => (Phase::Connect, "failed, without saying why"),
        2 => (Phase::Connect, "refused: its rules do not allow it"),
        3 => (Phase::Unroutable, "has no way to the network"),
        4 => (Phase::Unroutable, "cannot reach the host, or find its address"),
        5 => (Phase::Connect, "was refused the connection"),
        6 => (Phase::Unroutable, "could not connect: the packets' time to live ran out"),
        7 => (Phase::Proxy, "does not know the command CONNECT"),
        8 => (Phase::Connect, "does not take this kind of address"),
        other => return Failure::of_proxy(format!("answered with a code ({other}) that there is not")),
    };
    Failure { phase, what: what.to_owned() }
}

fn counted(text: &str, what: &str) -> Result<Vec<u8>, Failure> {
    match u8::try_from(text.len()) {
        Ok(length @ 1..) => Ok([&[length], text.as_bytes()].concat()),
        _ => Err(Failure::of_proxy(format!("cannot be told {what}: SOCKS takes 1 to 255 bytes"))),
    }
}

fn not_socks(expected: u8, first: u8) -> Failure {
    let guess = match first {
        b'H' | b'<' => ": it seems to speak HTTP; write http:// in its URL",
        0x15 | 0x16 => ": it seems to speak TLS",
        _ => "",
    };
    Failure::of_proxy(format!("does not speak SOCKS {expected} (its answer begins with {first:#04x}){guess}"))
}

async fn write<T: AsyncWrite + Unpin>(stream: &mut T, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).await.map_err(lost)?;
    stream.flush().await.map_err(lost)
}

async fn read<const N: usize, T: AsyncRead + Unpin>(stream: &mut T) -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(lost)?;
    Ok(bytes)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn lost(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Failure::of_proxy("closed the connection without an answer"),
        _ => Failure::of_proxy(format!("broke the connection: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a peer that reads `asked` (each piece after the reply to the one before) makes of a request.
    async fn play(url: &str, to: Destination, script: &[(&[u8], &[u8])]) -> Result<Vec<u8>, String> {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let proxy = ProxyUrl::parse(url, "test").unwrap();
        let script: Vec<(Vec<u8>, Vec<u8>)> = script.iter().map(|(a, b)| (a.to_vec(), b.to_vec())).collect();
        let peer = tokio::spawn(async move {
            for (asked, answer) in script {
                let mut read = vec![0; asked.len()];
                server.read_exact(&mut read).await.unwrap();
                assert_eq!(read, asked);
                // One byte at a time: a reply may come in pieces.
                for byte in answer {
                    // It may have read enough.
                    let _ = server.write_all(&[byte]).await;
                    tokio::task::yield_now().await;
                }
            }
        });
        let done = connect(&mut client, &proxy, &to, 443, Duration::from_secs(5)).await;
        let mut rest = Vec::new();
        if done.is_ok() {
            client.read_to_end(&mut rest).await.unwrap();
        }
        drop(client);
        peer.await.unwrap();
        done.map(|()| rest).map_err(|error| error.message)
    }

    fn name() -> Destination {
        Destination::Name("a.example".to_owned())
    }

    #[tokio::test]
    async fn version_5_with_names_addresses_and_passwords() {
        let asked = b"\x05\x01\x00\x03\x09a.example\x01\xbb";
        let reply = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50early";
        let open: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
        assert_eq!(play("socks5h://p", name(), &[open, (asked, reply)]).await.unwrap(), b"early");
        let known: [(&[u8], &[u8]); 3] =
            [(b"\x05\x02\x00\x02", b"\x05\x02"), (b"\x01\x01u\x03p:w", b"\x01\x00"), (asked, reply)];
        assert_eq!(play("socks5h://u:p%3Aw@p", name(), &known).await.unwrap(), b"early");
        // The reply may hold a name or an IPv6 address, and is read to its end.
        let v6 = Destination::Address("2001:db8::1".parse().unwrap());
        let asked = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb";
        let reply = b"\x05\x00\x00\x03\x02ab\x00\x50early";
        assert_eq!(play("socks5://p", v6.clone(), &[open, (asked, reply)]).await.unwrap(), b"early");
        let reply = b"\x05\x00\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50early";
        assert_eq!(play("socks5://p", v6, &[open, (asked, reply)]).await.unwrap(), b"early");
    }

    #[tokio::test]
    async fn version_4_with_and_without_names() {
        let v4 = Destination::Address("192.0.2.1".parse().unwrap());
        let reply = b"\x00\x5a\0\0\0\0\0\0early";
        assert_eq!(
            play("socks4://me@p", v4, &[(b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0", reply)]).await.unwrap(),
            b"early"
        );
        let asked = b"\x04\x01\x01\xbb\0\0\0\x01\0a.example\0";
        assert_eq!(play("socks4a://p", name(), &[(asked, reply)]).await.unwrap(), b"early");
        let v6 = Destination::Address("2001:db8::1".parse().unwrap());
        assert!(play("socks4://p", v6, &[]).await.unwrap_err().contains("IPv4 addresses only"));
    }

    #[tokio::test]
    async fn refusals_are_told_in_words() {
        let hello: &[u8] = b"\x05\x01\x00";
        let asked: &[u8] = b"\x05\x01\x00\x03\x09a.example\x01\xbb";
        let tail = |reply: u8| [5, reply, 0, 1];
        for (reply, words) in [
            (1, "without saying why"),
            (2, "rules do not allow"),
            (4, "cannot reach the host"),
            (5, "refused the connection"),
            (8, "kind of address"),
            (99, "code (99)"),
        ] {
            let answer = tail(reply);
            let error = play("socks5h://p", name(), &[(hello, b"\x05\x00"), (asked, &answer)]).await.unwrap_err();
            assert!(error.contains(words) && error.contains("a.example port 443"), "{error}");
        }
        for (url, answer, words) in [
            ("socks5h://p", &b"\x05\xff"[..], "asks for a login"),
            ("socks5h://p", b"HTTP/1.1 400 Bad Request\r\n\r\n", "seems to speak HTTP"),
            ("socks5h://p", b"\x05\x01", "was not offered"),
            ("socks5h://p", b"\x05", "without an answer"),
        ] {
            let error = play(url, name(), &[(hello, answer)]).await.unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let wrong: [(&[u8], &[u8]); 2] = [(b"\x05\x02\x00\x02", b"\x05\x02"), (b"\x01\x01u\x06geheim", b"\x01\x01")];
        let error = play("socks5h://u:geheim@p", name(), &wrong).await.unwrap_err();
        assert!(error.contains("does not take the user and password") && !error.contains("geheim"), "{error}");
        let error = play("socks4a://p", name(), &[(b"\x04\x01\x01\xbb\0\0\0\x01\0a.example\0", b"\x00\x5b")])
            .await
            .unwrap_err();
        assert!(error.contains("refused, or could not connect"), "{error}");
    }
}
