//! What is seen and changed of a proxy that runs.

use std::time::Duration;

use larder_proxy::cache::Mode;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Bed, Origin, read_head};

/// Waits until the requests under way are as wanted.
async fn until(bed: &Bed, wanted: impl Fn(&[larder_proxy::in_flight::InFlight]) -> bool) {
    let reached = async {
        while !wanted(&bed.proxy.in_flight()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), reached).await.expect("the requests under way never were as wanted");
}

#[tokio::test]
async fn requests_under_way_are_listed_with_how_far_they_are() {
    let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bed = Bed::new(|_| {}).await;
    assert!(bed.proxy.in_flight().is_empty());
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let url = format!("http://{}/a", origin.local_addr().unwrap());
    client.write_all(format!("GET {url} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let (mut upstream, _) = timeout(Duration::from_secs(20), origin.accept()).await.unwrap().unwrap();
    let _ = read_head(&mut upstream).await;
    let waiting = &bed.proxy.in_flight()[0];
    assert_eq!((waiting.flow.url.as_str(), &*waiting.flow.method, waiting.total), (url.as_str(), "GET", None));
    assert_eq!(&*waiting.flow.identity.build, "test");

    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234").await.unwrap();
    until(&bed, |found| found[0].flow.bytes_sent == 4).await;
    let half = &bed.proxy.in_flight()[0];
    assert_eq!((half.total, half.flow.route.as_str()), (Some(10), "direct"));
    assert!(half.outcome.is_some() && half.flow.duration > Duration::ZERO);

    upstream.write_all(b"567890").await.unwrap();
    let flow = bed.flow().await;
    assert_eq!((flow.id, flow.bytes_sent), (half.flow.id, 10));
    assert!(bed.proxy.in_flight().is_empty());
}

#[tokio::test]
async fn the_mode_holds_at_once_also_for_connections_already_open() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let request = format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\n\r\n", origin.addr);
    for (mode, status) in [(Mode::Cache, "200"), (Mode::Offline, "403"), (Mode::Cache, "200")] {
        bed.proxy.cache().set_mode(mode);
        client.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut client).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{mode:?}: {head}");
        let length = head.to_ascii_lowercase().split("content-length: ").nth(1).map(str::to_owned).unwrap();
        let length: usize = length.lines().next().unwrap().parse().unwrap();
        client.read_exact(&mut vec![0; length]).await.unwrap();
    }
    assert_eq!(origin.seen().len(), 2);
}

#[tokio::test]
async fn a_refetch_is_read_to_its_end_and_recorded() {
    let origin = Origin::hello().await;
    let dir = tempfile::tempdir().unwrap();
    let mut bed = Bed::new(|config| config.cache_dir = Some(dir.path().to_owned())).await;
    let url: http::Uri = format!("http://{}/x_1_all.deb", origin.addr).parse().unwrap();
    for _ in 0..2 {
        // What is still being stored would be joined.
        bed.proxy.cache().drain(Duration::from_secs(20)).await;
        let status = bed.proxy.refetch(url.clone(), &Client::host("larder")).await.unwrap();
        assert_eq!(status, 200);
        let flow = bed.flow().await;
        assert_eq!((flow.outcome, flow.bytes_sent, &*flow.identity.build), (Outcome::Miss, 5, "larder"));
    }
    assert_eq!(origin.seen().len(), 2);
}
