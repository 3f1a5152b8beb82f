//! Trailers, and gRPC, which lives on them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Bed, RawOrigin, TestCa, read_all};

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

fn frames(data: &'static str, trailers: HeaderMap) -> Body {
    let frames = [Frame::data(Bytes::from(data)), Frame::trailers(trailers)];
    StreamBody::new(futures_util::stream::iter(frames.map(Ok))).boxed()
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value))).collect()
}

/// What a caller sent: its fields, and the trailers after its body.
type Calls = Arc<Mutex<Vec<(HeaderMap, Option<HeaderMap>)>>>;

/// A server in the manner of gRPC, that speaks nothing but HTTP/2.
async fn grpc(ca: &TestCa) -> (u16, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = ca.acceptor("localhost", &[b"h2"]);
    let calls: Calls = Arc::default();
    let record = calls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, record) = (acceptor.clone(), record.clone());
            tokio::spawn(async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service = service_fn(move |request| serve(record.clone(), request));
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (port, calls)
}

async fn serve(record: Calls, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let collected = body.collect().await.unwrap();
    record.lock().unwrap().push((parts.headers, collected.trailers().cloned()));
    let grpc = Response::builder().header("content-type", "application/grpc");
    Ok(if parts.uri.path() == "/trailers-only" {
        let body = http_body_util::Empty::new().boxed();
        grpc.header("grpc-status", "5").header("grpc-message", "no such thing").body(body).unwrap()
    } else {
        let end = [("grpc-status", "0"), ("set-cookie", "a=b"), ("content-length", "9"), ("cache-control", "public")];
        grpc.body(frames("answer", map(&end))).unwrap()
    })
}

#[tokio::test]
async fn grpc_works_with_answers_of_both_shapes() {
    let ca = TestCa::new();
    let (port, calls) = grpc(&ca).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let mut bed = Bed::new(|config| {
        config.cache_dir = Some(roots.path().join("cache"));
        config.extra_roots.push(file);
        config.connect_ports.push(port);
    })
    .await;
    let stream = bed.connect(&format!("localhost:{port}")).await;
    let stream = bed.tls(stream, "localhost", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let call = |path: &str| {
        let end = map(&[("x-checksum", "abc"), ("authorization", "Basic eDp5"), ("host", "evil")]);
        Request::post(format!("https://localhost:{port}{path}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(frames("question", end))
            .unwrap()
    };

    let response = sender.send_request(call("/normal")).await.unwrap();
    assert!(!response.headers().contains_key("grpc-status"));
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&map(&[("grpc-status", "0")])), "what is no trailer's business is dropped");
    assert_eq!(collected.to_bytes(), "answer");

    let response = sender.send_request(call("/trailers-only")).await.unwrap();
    assert_eq!((&response.headers()["grpc-status"], response.status().as_u16()), (&HeaderValue::from_static("5"), 200));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");

    for (headers, trailers) in calls.lock().unwrap().iter() {
        assert_eq!(headers["te"], "trailers");
        assert_eq!(trailers.as_ref(), Some(&map(&[("x-checksum", "abc")])));
    }
    for _ in 0..2 {
        let flow = bed.flow().await;
        assert!(!flow.aborted && flow.status == 200 && flow.bytes_received == 8, "{flow:?}");
    }
}

const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum, Set-Cookie\r\n\r\n\
                             5\r\nhello\r\n0\r\nX-Checksum: abc\r\nSet-Cookie: a=b\r\nContent-Length: 7\r\n\r\n";

#[tokio::test]
async fn trailers_pass_on_http1_to_those_who_take_them() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let heads = origin.always(WITH_TRAILERS);
    let bed = Bed::new(|_| {}).await;
    for (te, expected) in [("TE: trailers\r\n", true), ("TE: gzip\r\n", false), ("", false)] {
        let text = format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nConnection: close, TE\r\n{te}\r\n");
        let answer = bed.raw(&text).await;
        assert_eq!(answer.ends_with("\r\n0\r\nx-checksum: abc\r\n\r\n"), expected, "{te}: {answer}");
        assert!(answer.contains("hello") && !answer.contains("set-cookie: a"), "{answer}");
        let head = heads.lock().unwrap().last().unwrap().to_ascii_lowercase();
        assert_eq!(head.contains("te: trailers\r\n"), expected, "{head}");
    }
}

#[tokio::test]
async fn trailers_of_a_request_pass_on_http1() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let bed = Bed::new(|_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head = format!(
        "POST http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
         Trailer: X-Checksum\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: abc\r\nAuthorization: Basic x\r\nHost: evil\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut server, _) = origin.accept().await;
    let mut body = String::new();
    while !body.ends_with("\r\n\r\n") {
        body.push(char::from(tokio::io::AsyncReadExt::read_u8(&mut server).await.unwrap()));
    }
    assert_eq!(body, "5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n");
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert!(read_all(&mut client).await.starts_with("HTTP/1.1 200 "));
}

/// What is stored keeps no trailers, and so nobody gets them: not the first, and not the next.
#[tokio::test]
async fn what_is_stored_has_no_trailers() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let heads = origin.always(WITH_TRAILERS.replace("Trailer:", "Cache-Control: max-age=60\r\nTrailer:"));
    let dir = tempfile::tempdir().unwrap();
    let mut bed = Bed::new(|config| config.cache_dir = Some(dir.path().join("cache"))).await;
    for _ in 0..2 {
        let text =
            format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\nConnection: close, TE\r\nTE: trailers\r\n\r\n");
        let answer = bed.raw(&text).await.to_ascii_lowercase();
        assert!(answer.contains("hello") && !answer.contains("x-checksum") && !answer.contains("trailer:"), "{answer}");
        bed.flow().await;
    }
    assert_eq!(heads.lock().unwrap().len(), 1);
}
