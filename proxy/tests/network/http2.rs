//! HTTP/2 with clients and origins, polite ones and others; the others are played frame by frame.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::intercept::bed_for;
use crate::support::{Bed, Origin, TestCa};

const LIMIT: Duration = Duration::from_secs(20);
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    timeout(LIMIT, stream.read_exact(&mut head)).await.expect("no frame").ok()?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

/// `GET https://pkgs.example.org/` in HPACK, without its table.
fn get() -> Vec<u8> {
    let host = b"pkgs.example.org";
    [&[0x82, 0x87, 0x84, 0x01, u8::try_from(host.len()).unwrap()][..], host].concat()
}

/// A client that has said hello, with these settings.
async fn raw(bed: &Bed, settings: &[u8]) -> TlsStream<TcpStream> {
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[b"h2"]).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Writes until the other side has closed, or all is written; reads along, and says how it ended.
async fn flood(stream: TlsStream<TcpStream>, frames: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Option<u32> {
    let (mut read, mut write) = tokio::io::split(stream);
    let writer = tokio::spawn(async move {
        for frame in frames {
            if write.write_all(&frame).await.is_err() || write.flush().await.is_err() {
                break;
            }
        }
        write
    });
    let mut reason = None;
    while let Some(frame) = read_frame(&mut read).await {
        if frame.kind == GOAWAY {
            reason = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
        }
    }
    timeout(LIMIT, writer).await.expect("it may still write").unwrap();
    reason
}

async fn still_serves(bed: &Bed) {
    let stream = bed.connect("pkgs.example.org:443").await;
    let stream = bed.tls(stream, "pkgs.example.org", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://pkgs.example.org/x").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(timeout(LIMIT, sender.send_request(request)).await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn a_rapid_reset_ends_the_connection() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let bed = bed_for(&ca, &origin).await;
    let stream = raw(&bed, &[]).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let frames = (0..50_000_u32).map(move |index| {
        count.fetch_add(1, Ordering::Relaxed);
        let id = index * 2 + 1;
        [frame(HEADERS, END_STREAM | END_HEADERS, id, &get()), frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())].concat()
    });
    flood(stream, frames).await;
    assert!(sent.load(Ordering::Relaxed) < 50_000, "nothing stops it");
    assert!(origin.seen().len() < 2000, "{} requests came through", origin.seen().len());
    still_serves(&bed).await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let bed = bed_for(&ca, &origin).await;
    // Empty ones, and ones that add up.
    for payload in [&[][..], &[0x00, 0x01, b'a', 0x01, b'b'].repeat(200)] {
        let stream = raw(&bed, &[]).await;
        let payload = payload.to_vec();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let frames = std::iter::once(frame(HEADERS, END_STREAM, 1, &get())).chain((0..200_000).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            frame(CONTINUATION, 0, 1, &payload)
        }));
        flood(stream, frames).await;
        assert!(sent.load(Ordering::Relaxed) < 100_000, "nothing stops it");
    }
    assert!(origin.seen().is_empty());
    still_serves(&bed).await;
}

/// What must be acknowledged is not read faster than the acknowledgements are taken.
#[tokio::test]
async fn settings_and_pings_without_end_are_held_back() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let bed = bed_for(&ca, &origin).await;
    for unit in [frame(SETTINGS, 0, 0, &[]), frame(PING, 0, 0, &[7; 8])] {
        let mut stream = raw(&bed, &[]).await;
        let batch = unit.repeat(10_000);
        let mut sent = 0;
        // Until nothing more is taken, or the connection is closed.
        while let Ok(Ok(())) = timeout(Duration::from_millis(500), stream.write_all(&batch)).await {
            sent += batch.len();
            assert!(sent < 64 << 20, "nothing holds it back");
        }
    }
    still_serves(&bed).await;
}

/// A client that opens no window gets nothing, and what waits for it is bounded.
#[tokio::test]
async fn a_client_without_a_window_costs_no_more_than_the_windows_upstream() {
    let ca = TestCa::new();
    let big = Bytes::from(vec![7; 8 << 20]);
    let origin = Origin::https(&ca, &[b"h2"], move |seen| {
        Response::new(Full::from(if seen.uri.path() == "/x" { Bytes::from("hello") } else { big.clone() }))
    })
    .await;
    let bed = bed_for(&ca, &origin).await;
    // INITIAL_WINDOW_SIZE is 0.
    let mut stream = raw(&bed, &[0, 4, 0, 0, 0, 0]).await;
    for index in 0..20 {
        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, index * 2 + 1, &get())).await.unwrap();
    }
    stream.flush().await.unwrap();
    let mut answered = 0;
    while answered < 20 {
        let frame = read_frame(&mut stream).await.expect("it closed");
        assert_ne!(frame.kind, 0, "data came without a window");
        answered += usize::from(frame.kind == HEADERS);
    }
    let taken: u64 = bed.proxy.in_flight().iter().map(|one| one.flow.bytes_upstream).sum();
    assert!(taken <= 80 << 20, "{taken}");
    // The others go on, on the same connection upstream.
    still_serves(&bed).await;
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

/// A client that takes nothing of what it asked for does not hold it for ever, on either protocol.
#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let ca = TestCa::new();
    let big = Bytes::from(vec![7; 64 << 20]);
    let origin = Origin::https(&ca, &[b"h2"], move |_| Response::new(Full::from(big.clone()))).await;
    let to = format!("https://localhost:{}/", origin.port());
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let mut bed = Bed::new(|config| {
        config.extra_roots.push(file);
        config.mirrors.push(larder_proxy::mirror::Mirror::parse("pkgs.example.org", &to).unwrap());
        config.timeouts.send = Duration::from_millis(300);
    })
    .await;
    let mut stream = raw(&bed, &[0, 4, 0, 0, 0, 10]).await;
    stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &get())).await.unwrap();
    stream.flush().await.unwrap();
    while read_frame(&mut stream).await.is_some() {}
    assert!(bed.flow().await.aborted);
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    // It is closed although nothing is read.
    assert!(bed.flow().await.aborted);
}

#[tokio::test]
async fn of_two_hundred_streams_those_that_stall_do_not_stop_the_rest() {
    const STALLED: usize = 20;
    let ca = TestCa::new();
    let big = Bytes::from(vec![7; 8 << 20]);
    let small = Bytes::from(vec![8; 100_000]);
    let origin = Origin::https(&ca, &[b"h2"], move |seen| {
        let stalls = seen.uri.path() == "/stall";
        Response::builder()
            .header("cache-control", "no-store")
            .body(Full::from(if stalls { big.clone() } else { small.clone() }))
            .unwrap()
    })
    .await;
    let bed = bed_for(&ca, &origin).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let stream = bed.tls(stream, "pkgs.example.org", &[b"h2"]).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1 << 30)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut waiting = Vec::new();
    for index in 0..200 {
        let path = if index < STALLED { "stall".to_owned() } else { index.to_string() };
        let request = Request::get(format!("https://pkgs.example.org/{path}")).body(Empty::<Bytes>::new()).unwrap();
        waiting.push(sender.send_request(request));
    }
    let mut stalled = Vec::new();
    for (index, response) in waiting.into_iter().enumerate() {
        let response = timeout(LIMIT, response).await.expect("no answer").unwrap();
        if index < STALLED {
            stalled.push(response);
        } else {
            let body = timeout(LIMIT, response.into_body().collect()).await.expect("it stalls with the others");
            assert_eq!(body.unwrap().to_bytes().len(), 100_000);
        }
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    // They have lost nothing by it.
    for response in stalled {
        assert_eq!(timeout(LIMIT, response.into_body().collect()).await.unwrap().unwrap().to_bytes().len(), 8 << 20);
    }
}

/// An origin on HTTP/2 that answers the first request of the first connection with `first`, and all others with 204.
struct Fickle {
    port: u16,
    /// ALPN of each connection.
    connections: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl Fickle {
    async fn start(ca: &TestCa, first: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = ca.acceptor("localhost", &[b"h2", b"http/1.1"]);
        let connections: Arc<Mutex<Vec<Option<Vec<u8>>>>> = Arc::default();
        let record = connections.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
                let answer = if record.lock().unwrap().is_empty() { Some(first.clone()) } else { None };
                record.lock().unwrap().push(alpn.clone());
                tokio::spawn(async move {
                    if alpn.as_deref() == Some(b"h2") {
                        Self::converse(stream, answer).await;
                    } else {
                        crate::support::read_head(&mut stream).await;
                        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                    }
                });
            }
        });
        Self { port, connections }
    }

    async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, mut first: Option<Vec<u8>>) {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        while let Some(got) = read_frame(&mut stream).await {
            if got.kind == SETTINGS && got.flags & ACK == 0 {
                stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
            }
            if got.kind == HEADERS {
                match first.take() {
                    Some(answer) => {
                        stream.write_all(&answer).await.unwrap();
                        if answer[3] == GOAWAY || answer.len() < 9 {
                            break;
                        }
                    }
                    // `:status: 204`, from HPACK's table.
                    None => {
                        stream.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, got.stream, &[0x89])).await.unwrap();
                    }
                }
            }
            stream.flush().await.unwrap();
        }
        stream.shutdown().await.unwrap();
    }
}

fn reset(reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, 1, &reason.to_be_bytes())
}

fn goaway(last: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

#[tokio::test]
async fn what_an_origin_has_not_begun_is_asked_again_and_the_rest_is_told() {
    for (first, method, expected) in [
        // Not begun, so that even a POST may be repeated.
        (goaway(0, 0), "POST", Ok(b"h2".to_vec())),
        (reset(7), "POST", Ok(b"h2".to_vec())),
        // It wants to be asked on HTTP/1.1.
        (reset(13), "POST", Ok(b"http/1.1".to_vec())),
        // Perhaps begun.
        (reset(2), "POST", Err("connection_terminated")),
        (reset(2), "GET", Err("connection_terminated")),
        (goaway(1, 2), "POST", Err("connection_terminated")),
        // Not HTTP/2 at all.
        (
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            "GET",
            Err("http_protocol_error"),
        ),
    ] {
        let ca = TestCa::new();
        let origin = Fickle::start(&ca, first.clone()).await;
        let roots = tempfile::tempdir().unwrap();
        let file = ca.file(roots.path());
        let bed = Bed::new(|config| {
            config.extra_roots.push(file);
            config.connect_ports.push(origin.port);
        })
        .await;
        let host = format!("localhost:{}", origin.port);
        let stream = bed.connect(&host).await;
        let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
        let head = format!("{method} / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = crate::support::read_all(&mut stream).await;
        match expected {
            Ok(alpn) => {
                assert!(answer.starts_with("HTTP/1.1 204 "), "{first:?} {answer}");
                assert_eq!(origin.connections.lock().unwrap().last().unwrap(), &Some(alpn));
            }
            Err(kind) => {
                assert!(answer.starts_with("HTTP/1.1 502 "), "{first:?} {answer}");
                assert!(answer.contains(&format!("proxy-status: larder; error={kind};")), "{first:?} {answer}");
            }
        }
    }
}

/// A connection of the pool that the origin closes as it is used again costs the client nothing.
#[tokio::test]
async fn a_connection_that_dies_in_the_pool_is_replaced() {
    let origin = crate::support::RawOrigin::start().await;
    let addr = origin.addr;
    let bed = Bed::new(|_| {}).await;
    let first = tokio::spawn(async move {
        let (mut stream, _) = origin.accept().await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst").await.unwrap();
        // The second request arrives, and is not answered.
        crate::support::read_head(&mut stream).await;
        drop(stream);
        let (mut stream, head) = origin.accept().await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond").await.unwrap();
        head
    });
    assert!(bed.get(&format!("http://{addr}/1")).await.ends_with("first"));
    let answer = bed.raw(&format!("HEAD http://{addr}/2 HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(first.await.unwrap().starts_with("HEAD /2 "));
}

/// An answer that comes before the client has sent its body reaches it, whoever gives the answer.
#[tokio::test]
async fn an_early_answer_reaches_a_client_that_still_sends() {
    let ca = TestCa::new();
    let origin = crate::support::RawOrigin::start().await;
    let to = format!("http://{}/", origin.addr);
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = origin.accept().await;
            stream
                .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
                .await
                .unwrap();
            // The first says that it sends no more, and reads nothing; the other stays. Closed with bytes unread, it
            // would be reset, and a reset may overtake the answer.
            if held.is_empty() {
                stream.shutdown().await.unwrap();
            }
            held.push(stream);
        }
    });
    let bed = Bed::new(|config| {
        config.mirrors.push(larder_proxy::mirror::Mirror::parse("pkgs.example.org", &to).unwrap());
    })
    .await;
    drop(ca);
    let stream = bed.connect("pkgs.example.org:443").await;
    let stream = bed.tls(stream, "pkgs.example.org", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for (host, expected) in [("other.example.org", 421), ("pkgs.example.org", 413), ("pkgs.example.org", 413)] {
        let chunks = futures_util::stream::unfold(0_u32, |count| async move {
            if count > 64 {
                std::future::pending::<()>().await;
            }
            Some((Ok::<_, std::convert::Infallible>(http_body::Frame::data(Bytes::from(vec![7; 10_000]))), count + 1))
        });
        let body = http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(chunks));
        let request = Request::put(format!("https://{host}/x")).body(body).unwrap();
        let response = timeout(LIMIT, sender.send_request(request)).await.expect("no answer");
        assert_eq!(
            response.map(|response| response.status().as_u16()).map_err(|error| format!("{error:?}")),
            Ok(expected),
            "{host}"
        );
    }
}
