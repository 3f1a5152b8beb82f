use http::Response;
use http_body_util::Full;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::upstream::route::Upstream;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Bed, FakeProxy, Origin, TestCa, read_all};

#[tokio::test]
async fn a_plain_request_goes_to_the_upstream_proxy_whole() {
    let parent = FakeProxy::start(true).await;
    let url = format!("http://u:p@{}", parent.addr);
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
        config.upstream = Upstream::all(&url, "").unwrap();
    })
    .await;
    let answer = bed.get("http://no-such-name.example.org:81/a?b").await;
    assert!(answer.ends_with("from-parent"), "{answer}");
    let head = parent.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("GET http://no-such-name.example.org:81/a?b HTTP/1.1\r\n"), "{head}");
    let flow = bed.flow().await;
    assert_eq!(flow.route, format!("proxy http://{}", parent.addr));
    // What the name may stand for is not asked; what can be told without asking is.
    for target in ["127.0.0.1", "0x7f.1", "169.254.169.254", "localhost"] {
        let answer = bed.get(&format!("http://{target}/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
    }
}

#[tokio::test]
async fn tls_goes_through_the_upstream_proxys_tunnel() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let parent = FakeProxy::start(true).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let url = format!("http://u:p@{}", parent.addr);
    let mut bed = Bed::new(|config| {
        config.upstream = Upstream::all(&url, "").unwrap();
        config.extra_roots.push(file);
        config.connect_ports.push(origin.port());
    })
    .await;
    let host = format!("localhost:{}", origin.port());
    let stream = bed.connect(&host).await;
    let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(parent.heads.lock().unwrap()[0].starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")));
    assert!(bed.flow().await.route.starts_with("proxy http://127.0.0.1:"));
}

#[tokio::test]
async fn a_407_is_explained_for_both_ways() {
    let parent = FakeProxy::start(true).await;
    let url = format!("http://{}", parent.addr);
    let mut bed = Bed::new(|config| config.upstream = Upstream::all(&url, "").unwrap()).await;
    let answer = bed.get("http://pkgs.example.org/").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("(407, offers Basic)"), "{answer}");
    assert!(answer.contains("http://user:password@host:port"));
    assert_eq!(bed.flow().await.outcome, Outcome::Error);
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("(407, offers Basic)"), "{answer}");
}

#[tokio::test]
async fn no_proxy_goes_straight() {
    let origin = Origin::hello().await;
    let parent = FakeProxy::start(false).await;
    let url = format!("http://{}", parent.addr);
    let mut bed = Bed::new(|config| config.upstream = Upstream::all(&url, "127.0.0.0/8").unwrap()).await;
    assert!(bed.get(&format!("http://{}/", origin.addr)).await.ends_with("hello"));
    assert_eq!(bed.flow().await.route, "direct");
    assert!(parent.heads.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_silent_upstream_proxy_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut bed = Bed::new(|config| {
        config.upstream = Upstream::all(&url, "").unwrap();
        config.timeouts.connect = std::time::Duration::from_millis(100);
    })
    .await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.contains("did not answer CONNECT"), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Error);
}
