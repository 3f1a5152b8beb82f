//! Finds out what a client speaks, and which host it names, without answering.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use rustls::CipherSuite;
use rustls::server::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use crate::prefixed::Prefixed;

/// Content type of a TLS handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;
/// Those of TLS 1.3 that are spoken here.
const CIPHERS: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];
/// A hello may be no longer.
const LIMIT: usize = 64 * 1024;

/// The client's first bytes.
pub(crate) enum Hello {
    /// A TLS hello, with the name it asks for.
    Tls {
        /// The hello, read: the handshake goes on from here.
        accepted: Box<Accepted>,
        /// How many of the first bytes are in it.
        taken: usize,
        /// In lower case.
        sni: Option<String>,
        /// Whether it wants `ChaCha20` most, as who has no instructions for AES does.
        wants_chacha: bool,
    },
    /// Looks like an HTTP/1 request without TLS.
    Http,
    /// Something else, or a hello that cannot be read.
    Other(String),
    /// The client closed without a byte.
    Nothing,
}

/// Reads until it is clear, and gives back the stream with the bytes put back.
pub(crate) async fn read<T: AsyncRead + Unpin>(stream: T, limit: Duration) -> io::Result<(Hello, Prefixed<T>)> {
    timeout(limit, sniff(stream)).await.unwrap_or_else(|_| {
        let message = format!("sent no TLS hello within {} s", limit.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, message))
    })
}

async fn sniff<T: AsyncRead + Unpin>(mut stream: T) -> io::Result<(Hello, Prefixed<T>)> {
    let mut buffer = BytesMut::with_capacity(4096);
    let mut acceptor = Acceptor::default();
    let mut seen = 0;
    let hello = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            break if buffer.is_empty() { Hello::Nothing } else { Hello::Other("an unfinished TLS hello".to_owned()) };
        }
        if buffer[0] != HANDSHAKE {
            break other(&buffer);
        }
        let mut fresh = &buffer[seen..];
        while !fresh.is_empty() && acceptor.read_tls(&mut fresh)? > 0 {}
        seen = buffer.len() - fresh.len();
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let sni = hello.server_name().map(str::to_ascii_lowercase);
                let wanted = hello.cipher_suites().iter().find(|suite| CIPHERS.contains(suite));
                let wants_chacha = wanted == Some(&CipherSuite::TLS13_CHACHA20_POLY1305_SHA256);
                break Hello::Tls { accepted: Box::new(accepted), taken: seen, sni, wants_chacha };
            }
            Ok(None) if buffer.len() > LIMIT => break Hello::Other("a TLS hello without end".to_owned()),
            Ok(None) => {}
            Err((rustls::Error::PeerIncompatible(what), _)) => {
                break Hello::Other(format!("a hello of TLS before 1.2, which is not spoken here ({what:?}),"));
            }
            Err((error, _)) => break Hello::Other(format!("a TLS hello that cannot be read ({error})")),
        }
    };
    Ok((hello, Prefixed::new(buffer.freeze(), stream)))
}

fn other(bytes: &[u8]) -> Hello {
    let upper = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if upper >= 3 && bytes.get(upper).is_none_or(|byte| *byte == b' ') {
        return Hello::Http;
    }
    let shown = hex::encode(&bytes[..bytes.len().min(16)]);
    Hello::Other(format!("bytes that are not TLS ({shown}…)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    async fn first(bytes: &'static [u8]) -> (Hello, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(1024);
        client.write_all(bytes).await.unwrap();
        drop(client);
        let (hello, mut stream) = read(server, Duration::from_secs(5)).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (hello, rest)
    }

    #[tokio::test]
    async fn first_bytes_tell_and_are_kept() {
        let (hello, rest) = first(b"GET / HTTP/1.1\r\n").await;
        assert!(matches!(hello, Hello::Http));
        assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        assert!(matches!(first(b"SSH-2.0-x").await.0, Hello::Other(_)));
        assert!(matches!(first(b"\x16\x03\x01\x00\x05hello").await.0, Hello::Other(_)));
        assert!(matches!(first(b"\x16\x03").await.0, Hello::Other(_)));
        assert!(matches!(first(b"").await.0, Hello::Nothing));
    }
}
