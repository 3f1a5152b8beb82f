//! Small proxies of every kind, that note what they are asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{TestCa, read_head};

/// How a proxy behaves.
#[derive(Clone)]
pub(crate) enum Manner {
    /// HTTP.
    Http,
    /// HTTP in TLS.
    Https(TlsAcceptor),
    /// SOCKS of any version.
    Socks,
    /// HTTP, the answer to CONNECT in small pieces.
    Split,
    /// Always this, whatever is asked.
    Answer(Vec<u8>),
}

/// A proxy on loopback.
pub(crate) struct Hop {
    pub(crate) url: String,
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hop {
    pub(crate) async fn http() -> Self {
        Self::start(Manner::Http).await
    }

    /// With a certificate of `ca` for `localhost`.
    pub(crate) async fn https(ca: &TestCa) -> Self {
        let mut hop = Self::start(Manner::Https(ca.acceptor("localhost", &[b"http/1.1"]))).await;
        hop.url = format!("https://localhost:{}", hop.addr.port());
        hop
    }

    pub(crate) async fn socks(scheme: &str) -> Self {
        let mut hop = Self::start(Manner::Socks).await;
        hop.url = format!("{scheme}://{}", hop.addr);
        hop
    }

    pub(crate) async fn start(manner: Manner) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), manner).await
    }

    pub(crate) async fn at(addr: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (manner, record) = (manner.clone(), record.clone());
                tokio::spawn(async move {
                    // A client may go away at any time.
                    let _ = serve(stream, manner, &record).await;
                });
            }
        });
        Self { url: format!("http://{addr}"), addr, asked }
    }

    /// What it was asked so far: `CONNECT host:port`, or method and URL.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// As another proxy is asked for it.
    pub(crate) fn named(&self) -> String {
        let (_, authority) = self.url.split_once("://").unwrap();
        authority.to_owned()
    }
}

type Record = Mutex<Vec<String>>;

async fn serve(stream: TcpStream, manner: Manner, record: &Record) -> std::io::Result<()> {
    match manner {
        Manner::Http => http(stream, record, false).await,
        Manner::Split => http(stream, record, true).await,
        Manner::Https(acceptor) => http(acceptor.accept(stream).await?, record, false).await,
        Manner::Socks => socks(stream, record).await,
        Manner::Answer(bytes) => {
            let mut stream = stream;
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await?;
            stream.write_all(&bytes).await?;
            stream.shutdown().await?;
            while stream.read(&mut asked).await? > 0 {}
            Ok(())
        }
    }
}

fn note(record: &Record, what: String) {
    record.lock().unwrap().push(what);
}

async fn pass<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, mut origin: TcpStream) -> std::io::Result<()> {
    tokio::io::copy_bidirectional(&mut stream, &mut origin).await.map(drop)
}

async fn http<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, record: &Record, split: bool) -> std::io::Result<()> {
    let head = read_head(&mut stream).await;
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    note(record, format!("{method} {target}"));
    if method == "CONNECT" {
        let origin = TcpStream::connect(target).await?;
        let answer = b"HTTP/1.1 200 Connection established\r\n\r\n";
        for piece in answer.chunks(if split { 3 } else { answer.len() }) {
            stream.write_all(piece).await?;
            stream.flush().await?;
            tokio::task::yield_now().await;
        }
        return pass(stream, origin).await;
    }
    // One request a connection: the URL becomes a path, the rest passes as it is.
    let rest = target.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let mut origin = TcpStream::connect(authority).await?;
    let head = head.replacen(target, &format!("/{path}"), 1).replacen("\r\n", "\r\nConnection: close\r\n", 1);
    origin.write_all(head.as_bytes()).await?;
    pass(stream, origin).await
}

async fn socks(mut stream: TcpStream, record: &Record) -> std::io::Result<()> {
    let version = stream.read_u8().await?;
    if version == 4 {
        stream.read_u8().await?;
        let port = stream.read_u16().await?;
        let address = Ipv4Addr::from(stream.read_u32().await?);
        text(&mut stream).await?;
        let is_named = address.octets()[..3] == [0, 0, 0];
        let host = if is_named { text(&mut stream).await? } else { address.to_string() };
        return open(stream, record, host, port, b"\x00\x5a\0\0\0\0\0\0").await;
    }
    let count = stream.read_u8().await?;
    stream.read_exact(&mut vec![0; usize::from(count)]).await?;
    stream.write_all(&[5, 0]).await?;
    stream.read_exact(&mut [0; 3]).await?;
    let host = match stream.read_u8().await? {
        1 => Ipv4Addr::from(stream.read_u32().await?).to_string(),
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
        _ => std::net::Ipv6Addr::from(stream.read_u128().await?).to_string(),
    };
    let port = stream.read_u16().await?;
    open(stream, record, host, port, b"\x05\x00\x00\x01\0\0\0\0\0\0").await
}

async fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        match stream.read_u8().await? {
            0 => return Ok(String::from_utf8(bytes).unwrap()),
            byte => bytes.push(byte),
        }
    }
}

async fn open(mut stream: TcpStream, record: &Record, host: String, port: u16, granted: &[u8]) -> std::io::Result<()> {
    note(record, format!("CONNECT {host}:{port}"));
    let origin = TcpStream::connect((host.as_str(), port)).await?;
    stream.write_all(granted).await?;
    pass(stream, origin).await
}
