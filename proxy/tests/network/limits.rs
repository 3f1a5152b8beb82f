//! What one client may take: places, memory, and what it holds up by not reading.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_proxy::admission::{Admission, Gate};
use larder_proxy::identity::Client;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{Bed, RawOrigin, TestCa, read_all, read_head};

const BODY: usize = 256 << 20;
/// What sockets, TLS and the proxy may hold of a body between two peers of which one has stopped.
const IN_BETWEEN: usize = 48 << 20;
/// How long nothing moves before a peer is taken to have stopped.
const STILL: Duration = Duration::from_secs(1);

/// Sends a body that may not be stored until nobody takes any more of it, and says how much went; then the rest.
async fn send(mut stream: impl AsyncWrite + Unpin, sent: Arc<AtomicUsize>) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\nCache-Control: no-store\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![7; 64 * 1024];
    let mut left = BODY;
    while left > 0 {
        let count = stream.write(&chunk[..left.min(chunk.len())]).await.unwrap();
        left -= count;
        sent.fetch_add(count, Ordering::SeqCst);
    }
    stream.flush().await.unwrap();
    stream.shutdown().await.unwrap();
}

/// Reads the head, stops, and sees that the origin stops as well; then reads the rest.
async fn stop_and_go(mut client: impl AsyncRead + Unpin, sent: &AtomicUsize, what: &str) {
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{what}: {head}");
    let mut before = 0;
    loop {
        let now = sent.load(Ordering::SeqCst);
        assert!(now < IN_BETWEEN, "{what}: the origin is asked for {now} bytes though nobody reads");
        if now > 0 && now == before {
            break;
        }
        before = now;
        tokio::time::sleep(STILL).await;
    }
    let mut left = BODY;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        let count = timeout(Duration::from_secs(20), client.read(&mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{what}: {left} bytes are missing");
        left -= count;
    }
    assert_eq!(sent.load(Ordering::SeqCst), BODY, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_stops_the_origin() {
    let bed = Bed::new(|_| {}).await;
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    client.write_all(format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await.unwrap();
    let (stream, _) = origin.accept().await;
    tokio::spawn(send(stream, sent.clone()));
    stop_and_go(client, &sent, "plain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_inside_tls_stops_the_origin() {
    let ca = TestCa::new();
    let dir = tempfile::tempdir().unwrap();
    let origin = RawOrigin::start().await;
    let port = origin.addr.port();
    let roots = ca.file(dir.path());
    let bed = Bed::new(|config| {
        config.extra_roots.push(roots);
        config.connect_ports = vec![port];
    })
    .await;
    let sent = Arc::new(AtomicUsize::new(0));
    let acceptor = ca.acceptor("localhost", &[b"http/1.1"]);
    let count = sent.clone();
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(origin.accept_unread().await).await.unwrap();
        read_head(&mut stream).await;
        send(stream, count).await;
    });
    let stream = bed.connect(&format!("localhost:{port}")).await;
    let mut client = bed.tls(stream, "localhost", &[b"http/1.1"]).await.unwrap();
    client.write_all(format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").as_bytes()).await.unwrap();
    stop_and_go(client, &sent, "intercepted").await;
    server.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_a_tunnel_stops_the_origin() {
    let origin = RawOrigin::start().await;
    let bed = Bed::new(|config| {
        config.tunnel = vec![format!("127.0.0.1:{}", origin.addr.port()).parse().unwrap()];
    })
    .await;
    let sent = Arc::new(AtomicUsize::new(0));
    let mut client = bed.connect(&origin.addr.to_string()).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").await.unwrap();
    let (stream, _) = origin.accept().await;
    tokio::spawn(send(stream, sent.clone()));
    stop_and_go(client, &sent, "a tunnel").await;
}

/// A tunnel counts as the connection that it was made on, for as long as it is open.
#[tokio::test]
async fn a_tunnel_keeps_its_place() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let bed = Bed::new(|config| config.tunnel = vec![format!("127.0.0.1:{}", addr.port()).parse().unwrap()]).await;
    let gate = Gate::new(Admission { per_client: 1, ..Admission::default() });
    let listener =
        bed.proxy.listen_gated(TcpListener::bind("127.0.0.1:0").unwrap(), Client::host("fleet"), &gate).unwrap();
    let mut tunnel = TcpStream::connect(listener.local_addr()).await.unwrap();
    tunnel.write_all(format!("CONNECT {addr} HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(read_head(&mut tunnel).await.starts_with("HTTP/1.1 200 "));
    tunnel.write_all(b"ping").await.unwrap();
    let mut far = origin.accept_unread().await;
    let mut ping = [0; 4];
    far.read_exact(&mut ping).await.unwrap();
    assert_eq!((&ping, gate.counts().open), (b"ping", 1));
    let mut second = TcpStream::connect(listener.local_addr()).await.unwrap();
    second.write_all(b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n").await.unwrap();
    let answer = read_all(&mut second).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    drop((tunnel, far));
    while gate.counts().open > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tunnels_at_once() {
    const MANY: usize = 1000;
    // Four ends each are in this process.
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let origin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = origin.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = origin.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    let bed = Bed::new(|config| config.tunnel = vec![format!("127.0.0.1:{}", addr.port()).parse().unwrap()]).await;
    let target = addr.to_string();
    let mut open = Vec::new();
    for number in 0..MANY {
        let mut tunnel = bed.connect(&target).await;
        tunnel.write_all(format!("{number:06}").as_bytes()).await.unwrap();
        open.push(tunnel);
    }
    for (number, mut tunnel) in open.into_iter().enumerate() {
        let mut echo = [0; 6];
        timeout(Duration::from_secs(20), tunnel.read_exact(&mut echo)).await.unwrap().unwrap();
        assert_eq!(echo, format!("{number:06}").as_bytes());
    }
}

/// Somebody who reads slowly has the time of the drain.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_let_finish() {
    const SIZE: usize = 32 << 20;
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let bed = Bed::new(|_| {}).await;
    let mut idle = TcpStream::connect(bed.addr()).await.unwrap();
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    client.write_all(format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await.unwrap();
    let (mut stream, _) = origin.accept().await;
    let sending = tokio::spawn(async move {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nCache-Control: no-store\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![7; SIZE]).await.unwrap();
    });
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
    let proxy = bed.proxy.clone();
    let shutdown = tokio::spawn(async move { proxy.shutdown(Duration::from_mins(1)).await });
    // The idle connection is closed at once, which shows that draining has begun.
    assert_eq!(read_all(&mut idle).await, "");
    let mut body = Vec::new();
    timeout(Duration::from_secs(20), client.read_to_end(&mut body)).await.unwrap().unwrap();
    assert_eq!(body.len(), SIZE);
    sending.await.unwrap();
    shutdown.await.unwrap();
}
