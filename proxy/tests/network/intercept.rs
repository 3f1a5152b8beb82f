use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder_proxy::flow::Outcome;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Bed, Origin, TestCa, read_all, tls};

/// A proxy whose CONNECT port 443 of `pkgs.example.org` leads to the origin: names stay public, ports stay free.
pub(crate) async fn bed_for(ca: &TestCa, origin: &Origin) -> Bed {
    let to = format!("https://localhost:{}/", origin.port());
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let bed = Bed::new(|config| {
        config.extra_roots.push(file);
        config.mirrors.push(larder_proxy::mirror::Mirror::parse("pkgs.example.org", &to).unwrap());
        config.connect_ports.push(origin.port());
    })
    .await;
    // The roots are read on first use.
    std::mem::forget(roots);
    bed
}

fn hello(_: &crate::support::Seen) -> Response<Full<bytes::Bytes>> {
    Response::new(Full::from("hello"))
}

#[tokio::test]
async fn http1_inside_connect_is_served() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], hello).await;
    let mut bed = bed_for(&ca, &origin).await;
    let stream = bed.connect(&format!("localhost:{}", origin.port())).await;
    // npm sends no ALPN.
    let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
    let head = format!("GET /a HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", origin.port());
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    let flow = bed.flow().await;
    assert!(flow.intercepted);
    assert_eq!(flow.url, format!("https://localhost:{}/a", origin.port()));
    assert_eq!(origin.seen()[0].version, Version::HTTP_11);
}

#[tokio::test]
async fn http2_is_spoken_on_both_sides() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2", b"http/1.1"], hello).await;
    let mut bed = bed_for(&ca, &origin).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let stream = bed.tls(stream, "pkgs.example.org", &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut waiting = Vec::new();
    for index in 0..20 {
        let uri = format!("https://pkgs.example.org/{index}");
        let request = Request::get(uri).body(Empty::<bytes::Bytes>::new()).unwrap();
        waiting.push(sender.send_request(request));
    }
    for response in waiting {
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    }
    for _ in 0..20 {
        let flow = bed.flow().await;
        assert_eq!((&*flow.version, flow.status, flow.aborted), ("HTTP/2.0", 200, false));
    }
    assert!(origin.seen().iter().all(|seen| seen.version == Version::HTTP_2));
    assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1, "one connection carries them all");
    // Another host is not this connection's business.
    let request = Request::get("https://other.example.org/").body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 421);
    drop(sender);
    let _ = driver.await;
}

#[tokio::test]
async fn sessions_resume() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[], hello).await;
    let bed = bed_for(&ca, &origin).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(bed.proxy.ca_certificate_der().to_vec().into()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let stream = bed.connect("pkgs.example.org:443").await;
        let name = rustls_pki_types::ServerName::try_from("pkgs.example.org").unwrap();
        let mut stream = connector.connect(name, stream).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
        read_all(&mut stream).await;
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn a_client_that_refuses_the_ca_is_told_what_to_do() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[], hello).await;
    let mut bed = bed_for(&ca, &origin).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    // It trusts the origin's authority, but not Larder's.
    tls(stream, "pkgs.example.org", &[], vec![ca.root()], true).await.unwrap_err();
    let flow = bed.flow().await;
    assert_eq!((flow.outcome, flow.url.as_str()), (Outcome::Error, "pkgs.example.org:443"));
    assert!(flow.why.contains("does not trust Larder's CA for pkgs.example.org"), "{}", flow.why);
    assert!(
        flow.why.contains("CURL_CA_BUNDLE") && flow.why.contains("tunnel = [\"pkgs.example.org\"]"),
        "{}",
        flow.why
    );
}

#[tokio::test]
async fn an_untrusted_origin_is_never_signed_as_valid() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[], hello).await;
    let mut bed = Bed::new(|config| config.connect_ports.push(origin.port())).await;
    let host = format!("localhost:{}", origin.port());
    let stream = bed.connect(&host).await;
    let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("not trusted here"), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Error);
    assert!(origin.seen().is_empty());
}

#[tokio::test]
async fn bytes_that_are_not_tls_are_reported() {
    let mut bed = Bed::new(|_| {}).await;
    let mut stream = bed.connect("pkgs.example.org:443").await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("without TLS"), "{answer}");
    assert!(bed.flow().await.why.contains("without TLS"));
    let mut stream = bed.connect("pkgs.example.org:443").await;
    stream.write_all(b"\x05\x01\x00").await.unwrap();
    assert_eq!(read_all(&mut stream).await, "");
    assert!(bed.flow().await.why.contains("tunnel = [\"pkgs.example.org\"]"));
}

#[tokio::test]
async fn a_tunnel_rule_passes_bytes_unseen() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], hello).await;
    let rule = format!("localhost:{}", origin.port());
    let mut bed = Bed::new(|config| config.tunnel.push(rule.parse().unwrap())).await;
    let stream = bed.connect(&rule).await;
    // The origin's own certificate is what the client sees.
    let mut stream = tls(stream, "localhost", &[], vec![ca.root()], true).await.unwrap();
    stream.write_all(b"GET /t HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    drop(stream);
    let flow = bed.flow().await;
    assert_eq!((flow.outcome, &*flow.method, flow.url), (Outcome::Tunnel, "CONNECT", rule));
    assert!(flow.bytes_sent > 500 && flow.bytes_upstream == flow.bytes_sent);
}

#[tokio::test]
async fn a_tunnel_that_cannot_be_opened_is_refused_before_it_begins() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut bed = Bed::new(|config| config.tunnel.push(closed.to_string().parse().unwrap())).await;
    let answer = bed.raw(&format!("CONNECT {closed} HTTP/1.1\r\nHost: {closed}\r\nConnection: close\r\n\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Error);
}

#[tokio::test]
async fn plain_http_through_connect_to_another_port_is_served() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|config| config.connect_ports.push(origin.port())).await;
    let mut stream = bed.connect(&origin.addr.to_string()).await;
    let head = format!("GET /x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", origin.addr);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
}
