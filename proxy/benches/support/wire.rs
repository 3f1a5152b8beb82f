//! One HTTP/1.1 connection of a client that costs little: requests are bytes made once, and of answers only what says
//! where they end is read. Clients that cost much hide what the servers cost, where both share two cores.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// What a head may be long, here.
const MAX_HEAD: usize = 16 << 10;

thread_local! {
    /// All connections of a thread read into the same bytes, which so stay in the processor's cache.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 256 << 10].into());
}

/// Where to connect, what to do first, and what to ask.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// Where to connect from, if that matters.
    pub(crate) source: Option<Ipv4Addr>,
    /// `host:port` of a CONNECT that goes before all else.
    pub(crate) tunnel: Option<String>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) request: Arc<[u8]>,
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) struct Connection {
    io: Box<dyn Io>,
    /// Whether the TLS session was an old one.
    pub(crate) resumed: bool,
}

/// An answer, read to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of the body.
    pub(crate) length: u64,
    /// Whether the connection ends with it.
    pub(crate) closes: bool,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> io::Result<Self> {
        let mut tcp = connect(target).await?;
        if let Some(authority) = &target.tunnel {
            tcp.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).await?;
            let (head, rest) = read_head(&mut tcp, |_| {}).await?;
            if head.status != 200 || rest > 0 {
                return Err(io::Error::other(format!("CONNECT {authority} was answered with {}", head.status)));
            }
        }
        let Some(config) = &target.tls else {
            return Ok(Self { io: Box::new(tcp), resumed: false });
        };
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let tls = TlsConnector::from(config.clone()).connect(name, tcp).await?;
        let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(Self { io: Box::new(tls), resumed })
    }

    /// Asks, and reads the answer away.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.ask_into(request, |_| {}).await
    }

    /// Asks, and shows every piece of the answer's body.
    pub(crate) async fn ask_into(&mut self, request: &[u8], mut piece: impl FnMut(&[u8])) -> io::Result<Answer> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        let (answer, mut read) = read_head(&mut self.io, &mut piece).await?;
        while read < answer.length {
            read += read_with(&mut self.io, |bytes| {
                piece(bytes);
                bytes.len() as u64
            })
            .await?;
        }
        if read > answer.length {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more bytes than the answer has"));
        }
        Ok(answer)
    }

    /// Asks, reads the head, and leaves the body to [`Self::read_some`].
    pub(crate) async fn begin(&mut self, request: &[u8]) -> io::Result<(Answer, u64)> {
        self.io.write_all(request).await?;
        self.io.flush().await?;
        read_head(&mut self.io, |_| {}).await
    }

    /// Reads what there is, at most a buffer: how much it was.
    pub(crate) async fn read_some(&mut self) -> io::Result<u64> {
        read_with(&mut self.io, |bytes| bytes.len() as u64).await
    }
}

pub(crate) async fn connect(target: &Target) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(source) = target.source {
        socket.bind((source, 0).into())?;
    }
    let tcp = socket.connect(target.address).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Reads a head, and tells how much of the body came with it.
async fn read_head(mut io: impl AsyncRead + Unpin, mut piece: impl FnMut(&[u8])) -> io::Result<(Answer, u64)> {
    let mut early: Vec<u8> = Vec::new();
    loop {
        let done = read_with(&mut io, |bytes| {
            let all = if early.is_empty() {
                bytes
            } else {
                early.extend_from_slice(bytes);
                &early
            };
            let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
                if early.is_empty() {
                    early.extend_from_slice(bytes);
                }
                return None;
            };
            let body = &all[end + 4..];
            piece(body);
            Some(parse_head(&all[..end]).map(|answer| (answer, body.len() as u64)))
        })
        .await?;
        match done {
            Some(answer) => return answer,
            None if early.len() > MAX_HEAD => return Err(io::Error::other("an answer's head does not end")),
            None => {}
        }
    }
}

fn parse_head(head: &[u8]) -> io::Result<Answer> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {}", head.escape_ascii()));
    let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let mut answer = Answer { status: status.ok_or_else(|| invalid("no status"))?, length: 0, closes: false };
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        // Most lines are told apart by one look at their length and first letter.
        if line.len() > 15 && line[14] == b':' && line[..14].eq_ignore_ascii_case(b"content-length") {
            let digits = std::str::from_utf8(&line[15..]).ok().and_then(|text| text.trim().parse().ok());
            answer.length = digits.ok_or_else(|| invalid("no length"))?;
        } else if line.len() > 17 && line[..17].eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(invalid("only answers with a length are read here"));
        } else if line.len() > 11 && line[10] == b':' && line[..10].eq_ignore_ascii_case(b"connection") {
            answer.closes = line[11..].trim_ascii().eq_ignore_ascii_case(b"close");
        }
    }
    Ok(answer)
}

async fn read_with<T>(io: &mut (impl AsyncRead + Unpin), mut use_bytes: impl FnMut(&[u8]) -> T) -> io::Result<T> {
    poll_fn(|context| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *io).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Poll::Ready(Ok(use_bytes(read.filled())))
        })
    })
    .await
}
