use larder_proxy::flow::Outcome;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, Origin, read_all};

/// Heads that must be answered with this status and never reach the origin. `{}` stands for the origin.
const REFUSED: [(&str, &str); 19] = [
    ("GET http://{}/ HTTP/1.1\r\n\r\n", "400"),
    ("GET http://{}/ HTTP/1.1\r\nHost: {}\r\nHost: {}\r\n\r\n", "400"),
    ("GET http://{}/ HTTP/1.1\r\nHost:\r\n\r\n", "400"),
    ("GET http://{}/ HTTP/1.1\r\nHost: h/evil\r\n\r\n", "400"),
    ("GET http://u:p@{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("get http://{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("GET ftp://{}/ HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("POST http://{}/ HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400"),
    ("POST http://{}/ HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", "400"),
    ("POST http://{}/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "400"),
    ("GET * HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("POST http://{}/ HTTP/1.1\r\nHost: {}\r\nExpect: 200-ok\r\nContent-Length: 0\r\n\r\n", "417"),
    ("CONNECT /a HTTP/1.1\r\nHost: {}\r\n\r\n", "400"),
    ("CONNECT example.org HTTP/1.1\r\nHost: example.org\r\n\r\n", "400"),
    ("CONNECT u@example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", "400"),
    ("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\nContent-Length: 3\r\n\r\nabc", "400"),
    ("CONNECT example.org:22 HTTP/1.1\r\nHost: example.org:22\r\n\r\n", "403"),
    ("CONNECT example.org:6379 HTTP/1.1\r\nHost: example.org:6379\r\n\r\n", "403"),
];

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|_| {}).await;
    for (head, status) in REFUSED {
        let text = head.replace("{}", &origin.addr.to_string());
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head:?}: {answer}");
    }
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn http2_nobody_agreed_on_is_not_spoken() {
    let bed = Bed::new(|_| {}).await;
    let answer = bed.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_given_up() {
    let bed = Bed::new(|config| config.timeouts.client = std::time::Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn a_smuggled_request_is_never_seen() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|_| {}).await;
    let addr = origin.addr;
    let smuggled = format!("GET http://{addr}/smuggled HTTP/1.1\r\nHost: {addr}\r\n\r\n");
    for framing in
        ["Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"]
    {
        let text = format!("POST http://{addr}/one HTTP/1.1\r\nHost: {addr}\r\n{framing}\r\n0\r\n\r\n{smuggled}");
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        read_all(&mut stream).await;
    }
    assert!(origin.seen().iter().all(|seen| seen.uri.path() == "/one"), "{:?}", origin.seen());
}

#[tokio::test]
async fn the_url_wins_over_host() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|_| {}).await;
    let answer = bed
        .raw(&format!("GET http://{}/ HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n", origin.addr))
        .await;
    assert!(answer.ends_with("hello"));
    assert_eq!(origin.seen()[0].headers["host"], origin.addr.to_string());
}

#[tokio::test]
async fn a_request_that_has_been_here_is_a_loop() {
    let origin = Origin::hello().await;
    let mut bed = Bed::new(|_| {}).await;
    bed.get(&format!("http://{}/", origin.addr)).await;
    bed.flow().await;
    let via = origin.seen()[0].headers["via"].to_str().unwrap().to_owned();
    let answer = bed
        .raw(&format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\nVia: {via}\r\nConnection: close\r\n\r\n", origin.addr))
        .await;
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Denied);
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up() {
    let bed = Bed::new(|config| config.timeouts.client = std::time::Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
    stream.write_all(b"GET http://example.org/ HTTP/1.1\r\nHost: exam").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}
