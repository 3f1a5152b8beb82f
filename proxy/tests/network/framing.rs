//! Messages whose framing or fields are wrong, in both directions, byte by byte.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, Origin, RawOrigin, read_all};

/// What is sent after a request line with the target in place of `{}`; whether it may reach the origin. What reaches it
/// must be one request, framed anew.
const REQUESTS: [(&str, bool); 26] = [
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", true),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5, 5\r\n\r\nhello", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: +5\r\n\r\nhello", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: 0x5\r\n\r\nhello", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nhello", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", false),
    (
        "POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        false,
    ),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", false),
    ("POST {}/a HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", false),
    ("GET {}/a HTTP/1.1\r\nHost: h\r\nX-A: b\0c\r\n\r\n", false),
    ("GET {}/a HTTP/1.1\r\nHost: h\r\nX-A: b\rc\r\n\r\n", false),
    ("GET {}/a HTTP/1.1\r\nHost: h\r\nX-A: b\r\n folded\r\n\r\n", false),
    ("GET {}/a HTTP/1.1\r\nHost: h\r\n X-A: b\r\n\r\n", false),
    // hyper takes these line ends, and reads them as nobody else could: RFC 9112 section 2.2 allows it.
    ("GET {}/a HTTP/1.1\nHost: h\nConnection: close\n\n", true),
    (
        "POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        false,
    ),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", false),
    ("POST {}/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", false),
    ("GET {}/a HTTP/1.2\r\nHost: h\r\n\r\n", false),
    ("GET {}/a HTTP/2.0\r\nHost: h\r\n\r\n", false),
    ("GET {}/a\r\n\r\n", false),
    ("GET  {}/a HTTP/1.1\r\nHost: h\r\n\r\n", false),
];

#[tokio::test]
async fn only_what_is_unambiguous_comes_through_and_once() {
    for (request, passes) in REQUESTS {
        let origin = Origin::hello().await;
        let bed = Bed::new(|_| {}).await;
        let smuggled = format!("GET http://{}/smuggled HTTP/1.1\r\nHost: h\r\n\r\n", origin.addr);
        let text = request.replace("{}", &format!("http://{}", origin.addr));
        let text = text.replace("Host: h\r\n", "Host: h\r\nConnection: close\r\n");
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        if !passes {
            let _ = stream.write_all(smuggled.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        let answer = read_all(&mut stream).await;
        let seen: Vec<_> = origin.seen().iter().map(|seen| seen.uri.path().to_owned()).collect();
        if passes {
            assert!(answer.starts_with("HTTP/1.1 200 "), "{request:?}: {answer}");
            assert_eq!(seen, ["/a"], "{request:?}");
        } else {
            // The connection ends with it, whatever was said.
            assert!(!answer.contains(" 200 "), "{request:?}: {answer}");
            assert!(!answer.starts_with("HTTP/") || answer[9..].starts_with(['4', '5']), "{request:?}: {answer}");
            assert!(seen.is_empty(), "{request:?}: {seen:?}");
        }
    }
}

/// What follows a refused request on its connection is its body, and no request.
#[tokio::test]
async fn a_body_nobody_read_is_never_taken_for_a_request() {
    let origin = Origin::hello().await;
    let addr = origin.addr;
    let bed = Bed::new(|config| config.deny.push("denied.example.org".parse().unwrap())).await;
    let smuggled = format!("GET http://{addr}/smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    for size in [smuggled.len(), 100_000] {
        let body = smuggled.clone() + &" ".repeat(size - smuggled.len());
        let text = format!(
            "POST http://denied.example.org/ HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n{body}\
             GET http://{addr}/next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        );
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.shutdown().await;
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    assert!(origin.seen().iter().all(|seen| seen.uri.path() == "/next"), "{:?}", origin.seen());
}

#[tokio::test]
async fn connection_cannot_name_what_frames_the_message() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let heads = origin.always("HTTP/1.1 200 OK\r\nConnection: close, content-length, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n");
    let bed = Bed::new(|_| {}).await;
    let text = format!(
        "POST http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 5\r\n\
         Connection: close, content-length, host, X-Secret, transfer-encoding\r\nX-Secret: 1\r\nTrailer: x\r\n\
         Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\n\r\nhello"
    );
    let answer = bed.raw(&text).await;
    assert!(answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    assert!(!answer.contains("x-hop"), "{answer}");
    let head = heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.contains("content-length: 5\r\n") && head.contains(&format!("host: {addr}\r\n")), "{head}");
    for gone in ["x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "transfer-encoding"] {
        assert!(!head.contains(gone), "{gone}: {head}");
    }
}

/// Answers that break off: the client sees it, and nothing is stored.
#[tokio::test]
async fn a_broken_body_is_broken_for_the_client_and_not_stored() {
    for body in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\nA\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nFFFFFFFFFFFFFFFFF\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x1\r\nx\r\n0\r\n\r\n",
        // hyper counts the transfer coding, as it should, and closes; nothing of what follows is an answer.
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n",
    ] {
        let origin = RawOrigin::start().await;
        let addr = origin.addr;
        let (asked, mut told) = tokio::sync::mpsc::unbounded_channel();
        let answer = format!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n{body}");
        tokio::spawn(async move {
            loop {
                let (mut stream, head) = origin.accept().await;
                asked.send(head).unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let mut bed = Bed::new(|config| config.cache_dir = Some(dir.path().join("cache"))).await;
        for _ in 0..2 {
            let got = bed.get(&format!("http://{addr}/x")).await;
            let whole = got.ends_with("0\r\n\r\n") || got.contains("content-length: 5\r\n");
            assert!(!whole && !got.contains("\r\nhello\r\n0"), "{body:?}: {got}");
            let flow = bed.flow().await;
            assert!(flow.aborted, "{body:?}: {}", flow.why);
            told.recv().await.unwrap();
        }
        bed.proxy.cache().drain(std::time::Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn an_answer_cannot_be_split() {
    for (header, passes) in [
        ("X-A: b\rSet-Cookie: c", false),
        ("X-A: b\r\n Set-Cookie: c", false),
        ("Location: /%0d%0aSet-Cookie:%20c", true),
        ("X\nSet-Cookie: c", false),
    ] {
        let origin = RawOrigin::start().await;
        let addr = origin.addr;
        origin.always(format!("HTTP/1.1 302 Found\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        let bed = Bed::new(|_| {}).await;
        let answer = bed.get(&format!("http://{addr}/")).await;
        assert_eq!(answer.starts_with("HTTP/1.1 302 "), passes, "{header:?}: {answer}");
        assert!(!answer.to_ascii_lowercase().lines().any(|line| line.starts_with("set-cookie:")), "{answer}");
    }
}

/// A client of 1996 gets what it can read: no chunks, and a connection that stays where it says so.
#[tokio::test]
async fn an_http10_client_is_served() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    origin.always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let bed = Bed::new(|_| {}).await;
    let answer = bed.raw(&format!("GET http://{addr}/ HTTP/1.0\r\n\r\n")).await;
    assert!(
        !answer.to_ascii_lowercase().contains("transfer-encoding") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );

    let origin = Origin::hello().await;
    let addr = origin.addr;
    let head = |more: &str| format!("GET http://{addr}/ HTTP/1.0\r\n{more}\r\n");
    let text = head("Connection: keep-alive\r\n") + &head("");
    let answer = bed.raw(&text).await;
    assert_eq!(answer.matches("hello").count(), 2, "{answer}");
    assert_eq!(bed.raw(&head("")).await.matches("hello").count(), 1);
}
