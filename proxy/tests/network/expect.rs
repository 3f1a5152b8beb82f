//! `Expect: 100-continue`, and bodies that are large, slow or never come.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Bed, RawOrigin, read_all, read_head};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

async fn ask(bed: &Bed, addr: std::net::SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head = format!(
        "POST http://{addr}/up HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\
         Connection: close\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn the_origin_decides_whether_the_body_is_sent() {
    let origin = RawOrigin::start().await;
    let mut bed = Bed::new(|_| {}).await;
    let mut client = ask(&bed, origin.addr).await;
    let (mut server, head) = origin.accept().await;
    assert!(head.to_ascii_lowercase().contains("expect: 100-continue\r\n"), "{head}");
    server.write_all(CONTINUE.as_bytes()).await.unwrap();
    // Only now is the client told, and only now does it send.
    assert_eq!(read_head(&mut client).await, CONTINUE);
    client.write_all(b"hello").await.unwrap();
    let mut body = [0; 5];
    server.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hello");
    server.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.ends_with("ok"), "{answer}");
    let flow = bed.flow().await;
    assert_eq!((flow.status, flow.bytes_received, flow.aborted), (201, 5, false));
}

#[tokio::test]
async fn the_origins_refusal_arrives_instead_of_leave() {
    let origin = RawOrigin::start().await;
    let mut bed = Bed::new(|_| {}).await;
    let mut client = ask(&bed, origin.addr).await;
    let (mut server, _) = origin.accept().await;
    server.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno").await.unwrap();
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("no") && !answer.contains("100 Cont"), "{answer}");
    // Nothing of a body was sent, and the connection is given up, as the body it announced never comes.
    assert_eq!(read_all(&mut server).await, "");
    assert!(!bed.flow().await.aborted);
}

/// Many servers know nothing of `Expect`: the client is then asked for its body all the same.
#[tokio::test]
async fn an_origin_that_says_nothing_gets_the_body() {
    let origin = RawOrigin::start().await;
    let bed = Bed::new(|_| {}).await;
    let mut client = ask(&bed, origin.addr).await;
    let (mut server, _) = origin.accept().await;
    assert_eq!(read_head(&mut client).await, CONTINUE);
    client.write_all(b"hello").await.unwrap();
    let mut body = [0; 5];
    server.read_exact(&mut body).await.unwrap();
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(read_all(&mut client).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_body_that_never_comes_frees_the_slot() {
    let origin = RawOrigin::start().await;
    let mut bed = Bed::new(|config| config.timeouts.idle = Duration::from_millis(300)).await;
    let mut client = ask(&bed, origin.addr).await;
    let (mut server, _) = origin.accept().await;
    server.write_all(CONTINUE.as_bytes()).await.unwrap();
    let answer = read_all(&mut client).await;
    let answer = answer.strip_prefix(CONTINUE).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("error=http_request_error"), "{answer}");
    assert_eq!(read_all(&mut server).await, "");
    assert_eq!(bed.flow().await.status, 408);
    assert!(bed.proxy.in_flight().is_empty());

    // The same where nobody asked for leave.
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head = format!("POST http://{0}/ HTTP/1.1\r\nHost: {0}\r\nContent-Length: 5\r\n\r\nhel", origin.addr);
    client.write_all(head.as_bytes()).await.unwrap();
    assert!(read_all(&mut client).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_ends_the_request_upstream() {
    let origin = RawOrigin::start().await;
    let mut bed = Bed::new(|_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head =
        format!("POST http://{0}/ HTTP/1.1\r\nHost: {0}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", origin.addr);
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = origin.accept().await;
    drop(client);
    // Without the last chunk the origin cannot take it for whole.
    let rest = read_all(&mut server).await;
    assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    assert_ne!(bed.flow().await.status, 200);
}

/// The client is held back while the origin does not read: what lies between them is bounded, however large the body.
#[tokio::test]
async fn a_large_upload_waits_for_the_origin() {
    const SIZE: usize = 256 << 20;
    /// The sockets' buffers, and what hyper reads ahead.
    const MOST: usize = 24 << 20;
    let origin = RawOrigin::start().await;
    let mut bed = Bed::new(|_| {}).await;
    let client = TcpStream::connect(bed.addr()).await.unwrap();
    let (mut read, mut write) = client.into_split();
    let head = format!(
        "PUT http://{0}/ HTTP/1.1\r\nHost: {0}\r\nContent-Length: {SIZE}\r\nConnection: close\r\n\r\n",
        origin.addr
    );
    write.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = origin.accept().await;
    let chunk = vec![7; 1 << 20];
    let mut sent = 0;
    // Until not a byte more is taken.
    while let Ok(written) = tokio::time::timeout(Duration::from_millis(500), write.write(&chunk)).await {
        sent += written.unwrap();
        assert!(sent < MOST, "nothing holds the client back");
    }
    let rest = tokio::spawn(async move {
        while sent < SIZE {
            let length = chunk.len().min(SIZE - sent);
            write.write_all(&chunk[..length]).await.unwrap();
            sent += length;
        }
        write
    });
    let mut buffer = vec![0; 1 << 20];
    let mut got = 0;
    while got < SIZE {
        let length = server.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "the upload broke off at {got}");
        got += length;
    }
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert!(read_all(&mut read).await.ends_with("ok"));
    rest.await.unwrap();
    assert_eq!(bed.flow().await.bytes_received, SIZE as u64);
}

/// The time for the answer's head begins with the last byte of the body.
#[tokio::test]
async fn a_slow_upload_is_not_a_slow_answer() {
    let origin = RawOrigin::start().await;
    let bed = Bed::new(|config| {
        config.timeouts.head = Duration::from_millis(400);
        config.timeouts.connect = Duration::from_millis(50);
    })
    .await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head = format!(
        "PUT http://{0}/ HTTP/1.1\r\nHost: {0}\r\nContent-Length: 10\r\nConnection: close\r\n\r\n",
        origin.addr
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = origin.accept().await;
    let begun = tokio::time::Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(150));
    for _ in 0..10 {
        pace.tick().await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'x');
    }
    assert!(begun.elapsed() > Duration::from_millis(1200));
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert!(read_all(&mut client).await.ends_with("ok"));
}
