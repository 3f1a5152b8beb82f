//! `Proxy-Status` for each way an origin can fail, `Via`, and requests that a proxy answers itself.

use std::time::Duration;

use http::Response;
use http_body_util::Full;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::upstream::route::Upstream;
use tokio::io::AsyncWriteExt as _;

use crate::intercept::bed_for;
use crate::support::{Bed, FakeProxy, Origin, RawOrigin, TestCa, read_all};

fn proxy_status(answer: &str) -> String {
    let line = answer.lines().find(|line| line.starts_with("proxy-status: "));
    line.unwrap_or_else(|| panic!("no Proxy-Status: {answer}")).to_owned()
}

/// What an origin sends before it closes, and what the client is told.
const BROKEN: [(&str, &str, &str); 9] = [
    ("", "502", "http_response_incomplete"),
    ("HTTP/1.1 200 OK\r\nContent-", "502", "http_response_incomplete"),
    ("SSH-2.0-x\r\n\r\n", "502", "http_protocol_error"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "502", "http_protocol_error"),
    ("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello", "502", "http_protocol_error"),
    ("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "502", "http_protocol_error"),
    ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", "502", "http_protocol_error"),
    ("HTTP/1.1 200 OK\r\n no: name\r\n\r\n", "502", "http_protocol_error"),
    ("HTTP/1.1 20", "502", "http_response_incomplete"),
];

#[tokio::test]
async fn a_broken_answer_is_told_by_its_kind() {
    for (sent, status, kind) in BROKEN {
        let origin = RawOrigin::start().await;
        let addr = origin.addr;
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = origin.accept().await;
                stream.write_all(sent.as_bytes()).await.unwrap();
            }
        });
        let mut bed = Bed::new(|_| {}).await;
        let answer = bed.get(&format!("http://{addr}/")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent:?}: {answer}");
        let field = proxy_status(&answer);
        assert!(field.starts_with(&format!("proxy-status: larder; error={kind}; details=\"")), "{sent:?}: {field}");
        assert!(field.ends_with(&format!("; next-hop=\"{addr}\"")), "{field}");
        assert_eq!(bed.flow().await.outcome, Outcome::Error);
    }
}

#[tokio::test]
async fn what_an_origin_sends_too_much_of_is_cut_off() {
    let many = "X-Many: y\r\n".repeat(10_000);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (sent, kind) in [
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(10 << 20)), "http_response_header_section_size"),
        (format!("HTTP/1.1 200 OK\r\n{many}\r\n"), "http_response_header_section_size"),
        // Without an end at all.
        (format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20)), "http_response_header_section_size"),
        (hints.repeat(1000), "http_protocol_error"),
    ] {
        let origin = RawOrigin::start().await;
        let addr = origin.addr;
        origin.always(sent);
        let bed = Bed::new(|_| {}).await;
        let answer = bed.get(&format!("http://{addr}/")).await;
        assert!(answer.starts_with("HTTP/1.1 502 "), "{kind}: {answer}");
        assert!(proxy_status(&answer).contains(&format!("error={kind};")), "{answer}");
    }
    // A few are nothing unusual.
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    origin.always(format!("{}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", hints.repeat(3)));
    let answer = Bed::new(|_| {}).await.get(&format!("http://{addr}/")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_by_its_kind() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bed = Bed::new(|config| {
        config.timeouts.head = Duration::from_millis(50);
        config.timeouts.connect = Duration::from_millis(50);
    })
    .await;
    let answer = bed.get(&format!("http://{closed}/")).await;
    assert!(proxy_status(&answer).contains("error=connection_refused;"), "{answer}");
    let answer = bed.get("http://no-such-name.invalid/").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && proxy_status(&answer).contains("error=dns_error;"), "{answer}");
    let silent = RawOrigin::start().await;
    let answer = bed.get(&format!("http://{}/", silent.addr)).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(proxy_status(&answer).contains("error=http_response_timeout;"), "{answer}");
}

#[tokio::test]
async fn tls_failures_are_told_by_their_kind() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let untrusted = Origin::https(&other, &[], |_| Response::new(Full::from("hello"))).await;
    // It speaks a protocol nobody offers, and says so by an alert.
    let alerting = Origin::https(&ca, &[b"smtp"], |_| Response::new(Full::from("hello"))).await;
    let plain = RawOrigin::start().await;
    let plain_port = plain.addr.port();
    tokio::spawn(async move {
        loop {
            let listener = &plain;
            let mut stream = listener.accept_unread().await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            read_all(&mut stream).await;
        }
    });
    for (port, kind) in [
        (untrusted.port(), "error=tls_certificate_error;"),
        (alerting.port(), "error=tls_alert_received;"),
        (plain_port, "error=tls_protocol_error;"),
    ] {
        let roots = tempfile::tempdir().unwrap();
        let file = ca.file(roots.path());
        let bed = Bed::new(|config| {
            config.extra_roots.push(file);
            config.connect_ports.push(port);
        })
        .await;
        let host = format!("localhost:{port}");
        let stream = bed.connect(&host).await;
        let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        let field = proxy_status(&answer);
        assert!(answer.starts_with("HTTP/1.1 502 ") && field.contains(kind), "{kind} {answer}");
        assert!(field.contains(&format!("next-hop=\"{host}\"")), "{field}");
        assert_eq!(field.contains("; alert-id=120"), kind.contains("alert"), "{field}");
    }
}

#[tokio::test]
async fn an_upstream_proxys_refusal_is_told_with_its_status() {
    let parent = FakeProxy::start(true).await;
    let url = format!("http://{}", parent.addr);
    let bed = Bed::new(|config| config.upstream = Upstream::all(&url, "").unwrap()).await;
    let expected = format!("; received-status=407; next-hop=\"{}\"", parent.addr);
    let answer = bed.get("http://pkgs.example.org/").await;
    assert!(proxy_status(&answer).ends_with(&expected), "{answer}");
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(proxy_status(&answer).ends_with(&expected), "{answer}");
}

#[tokio::test]
async fn via_names_the_protocol_of_each_message() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let bed = bed_for(&ca, &origin).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[b"http/1.1"]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\nHost: pkgs.example.org\r\nVia: 1.1 other\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.contains("via: 2.0 larder-"), "{answer}");
    let seen = origin.seen();
    let via: Vec<_> = seen[0].headers.get_all("via").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(via[0] == "1.1 other" && via[1].starts_with("1.0 larder-"), "{via:?}");
}

#[tokio::test]
async fn max_forwards_is_counted_and_obeyed() {
    let origin = Origin::hello().await;
    let addr = origin.addr;
    let mut bed = Bed::new(|_| {}).await;
    for (method, value) in [("OPTIONS", 1), ("OPTIONS", 0), ("TRACE", 0), ("GET", 0)] {
        let text = format!(
            "{method} http://{addr}/x HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nMax-Forwards: {value}\r\n\
             Authorization: Basic secret\r\nX-Mine: 1\r\n\r\n"
        );
        let answer = bed.raw(&text).await;
        bed.flow().await;
        match (method, value) {
            ("OPTIONS", 0) => assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("allow: GET"), "{answer}"),
            ("TRACE", 0) => {
                assert!(answer.contains("content-type: message/http\r\n"), "{answer}");
                assert!(answer.contains(&format!("TRACE http://{addr}/x HTTP/1.1\r\n")), "{answer}");
                assert!(answer.contains("x-mine: 1\r\n") && !answer.contains("secret"), "{answer}");
            }
            _ => assert!(answer.ends_with("hello"), "{answer}"),
        }
    }
    let counts: Vec<_> = origin.seen().iter().map(|seen| seen.headers["max-forwards"].clone()).collect();
    // One OPTIONS, counted down; and the GET, whose count is nobody's business.
    assert_eq!(counts, ["0", "0"]);
    let text = format!("TRACE http://{addr}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nMax-Forwards: x\r\n\r\n");
    assert!(bed.raw(&text).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn options_about_a_server_reach_it_or_are_answered() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let heads = origin.always("HTTP/1.1 200 OK\r\nAllow: GET\r\nContent-Length: 0\r\n\r\n");
    let bed = Bed::with(Client::host("test"), Role::Http, |_| {}).await;
    for target in ["*", "/"] {
        let answer = bed.raw(&format!("OPTIONS {target} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("allow: GET"), "{answer}");
        let head = heads.lock().unwrap().last().unwrap().clone();
        assert!(head.starts_with(&format!("OPTIONS {target} HTTP/1.1\r\n")), "{head}");
        assert!(head.contains(&format!("host: {addr}\r\n")), "{head}");
    }
    // The proxy itself is meant.
    let bed = Bed::new(|_| {}).await;
    let answer = bed.raw("OPTIONS * HTTP/1.1\r\nHost: proxy.example.org\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 204 ") && answer.contains("allow: "), "{answer}");
    assert_eq!(heads.lock().unwrap().len(), 2);
}
