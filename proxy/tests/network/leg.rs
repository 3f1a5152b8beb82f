//! The same conversation in the clear and inside an intercepted CONNECT, with an origin that keeps every byte it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_proxy::config::Config;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::support::{Bed, TestCa, read_all};

const LIMIT: Duration = Duration::from_secs(20);

/// Either way of asking.
pub(crate) const LEGS: [bool; 2] = [false, true];

/// An answer after which the origin closes: each connection to it carries one request, and what more it carries was
/// smuggled.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type Carried = Arc<Mutex<Vec<Vec<u8>>>>;

/// A proxy, its origin, and how the one is asked for the other.
pub(crate) struct Leg {
    pub(crate) bed: Bed,
    pub(crate) authority: String,
    inside: bool,
    carried: Carried,
    conversations: TaskTracker,
    _roots: tempfile::TempDir,
}

impl Leg {
    /// With an origin that gives `answer` to the first request on each connection, and closes.
    pub(crate) async fn new(inside: bool, answer: impl Into<Vec<u8>>) -> Self {
        Self::with(inside, answer, |_| {}).await
    }

    pub(crate) async fn with(inside: bool, answer: impl Into<Vec<u8>>, change: impl FnOnce(&mut Config)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (ca, roots) = (TestCa::new(), tempfile::tempdir().unwrap());
        let acceptor = inside.then(|| ca.acceptor("localhost", &[b"http/1.1"]));
        let file = ca.file(roots.path());
        let bed = Bed::new(|config| {
            // What is kept open is closed soon: the tests read until then.
            config.timeouts.client = Duration::from_millis(700);
            config.extra_roots.push(file);
            config.connect_ports.push(addr.port());
            change(config);
        })
        .await;
        let (carried, conversations): (Carried, _) = (Arc::default(), TaskTracker::new());
        let (record, tasks, answer) = (carried.clone(), conversations.clone(), answer.into());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve(stream, acceptor.clone(), answer.clone(), record.clone()));
            }
        });
        let authority = if inside { format!("localhost:{}", addr.port()) } else { addr.to_string() };
        Self { bed, authority, inside, carried, conversations, _roots: roots }
    }

    /// A connection on which requests can be made.
    pub(crate) async fn open(&self) -> Box<dyn Stream> {
        self.open_for(&[]).await
    }

    /// One that agrees on a protocol, where it is inside.
    pub(crate) async fn open_for(&self, alpn: &[&[u8]]) -> Box<dyn Stream> {
        if !self.inside {
            return Box::new(TcpStream::connect(self.bed.addr()).await.unwrap());
        }
        let stream = self.bed.connect(&self.authority).await;
        Box::new(self.bed.tls(stream, "localhost", alpn).await.unwrap())
    }

    /// Text with `{}` in place of what stands before the path in a request line, and `{host}` for the host.
    pub(crate) fn text(&self, text: &str) -> String {
        let before = if self.inside { String::new() } else { format!("http://{}", self.authority) };
        text.replace("{}", &before).replace("{host}", &self.authority)
    }

    /// Sends text on a connection of its own, and reads until the proxy closes it. Nothing is half-closed: a client that
    /// does so could make the proxy drop what it would else have sent on.
    pub(crate) async fn say(&self, text: &str) -> String {
        let mut stream = self.open().await;
        // It may be closed before all is written.
        let _ = stream.write_all(self.text(text).as_bytes()).await;
        let _ = stream.flush().await;
        read_all(&mut stream).await
    }

    /// Stops the proxy, waits until every connection to the origin is at its end, and returns what each has carried.
    pub(crate) async fn over(self) -> Vec<String> {
        self.bed.proxy.shutdown(Duration::from_secs(5)).await;
        let Self { bed, conversations, carried, .. } = self;
        drop(bed);
        conversations.close();
        timeout(LIMIT, conversations.wait()).await.expect("a connection to the origin stays open");
        let carried = carried.lock().unwrap();
        carried
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .filter(|text| !text.is_empty())
            .collect()
    }
}

/// The request line's method and path, the head in lower case, and the body, of what must be one request and no more.
#[track_caller]
pub(crate) fn one_request(carried: &str) -> (String, String, String) {
    let (head, _) = carried.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole head: {carried:?}"));
    let length = whole(carried.as_bytes()).unwrap_or_else(|| panic!("no whole request: {carried:?}"));
    assert_eq!(&carried[length..], "", "more than a request: {carried:?}");
    let line: Vec<&str> = head.lines().next().unwrap().split(' ').collect();
    assert_eq!(line.len(), 3, "{head}");
    (format!("{} {}", line[0], line[1]), head.to_ascii_lowercase() + "\r\n", carried[head.len() + 4..].to_owned())
}

/// Bytes of the first request, once it is all there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let end = |from: usize, mark: &[u8]| {
        bytes[from..].windows(mark.len()).position(|part| part == mark).map(|at| from + at + mark.len())
    };
    let body = end(0, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..body]).to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked\r\n") {
        return chunks(bytes, body);
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    Some(body + length.unwrap_or(0)).filter(|&end| bytes.len() >= end)
}

/// The end of the chunks that begin at `at`, as far as they can be read.
fn chunks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = at + bytes.get(at..)?.windows(2).position(|pair| pair == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[at..line]).ok()?, 16).ok()?;
        if size == 0 {
            let end = line + bytes[line..].windows(4).position(|mark| mark == b"\r\n\r\n")?;
            return Some(end + 4);
        }
        at = line + 2 + size + 2;
    }
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, answer: Vec<u8>, carried: Carried) {
    match acceptor {
        None => converse(stream, &answer, &carried).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, &answer, &carried).await;
            }
        }
    }
}

async fn converse(mut stream: impl Stream, answer: &[u8], carried: &Carried) {
    let number = {
        let mut carried = carried.lock().unwrap();
        carried.push(Vec::new());
        carried.len() - 1
    };
    let (mut buffer, mut answered) = (vec![0; 64 * 1024], false);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let is_whole = {
            let mut carried = carried.lock().unwrap();
            carried[number].extend_from_slice(&buffer[..count]);
            whole(&carried[number]).is_some()
        };
        if is_whole && !answered {
            answered = true;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    }
}
