//! An origin that speaks HTTP/2 and nothing else, asked by a client that speaks HTTP/1.1 and nothing else.

use http::{Response, Version};
use http_body_util::Full;
use larder_proxy::mirror::Mirror;
use tokio::io::AsyncWriteExt as _;

use crate::support::{Bed, Origin, TestCa, read_all};

#[tokio::test]
async fn an_origin_of_http2_alone_is_reached() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("hello"))).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let bed = Bed::new(|config| {
        config.extra_roots.push(file);
        let to = format!("https://localhost:{}/", origin.port());
        config.mirrors.push(Mirror::parse("pkgs.example.org", &to).unwrap());
    })
    .await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[b"http/1.1"]).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    assert_eq!(origin.seen()[0].version, Version::HTTP_2);
}
