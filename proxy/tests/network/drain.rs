use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, read_all};

/// An origin that answers when told.
async fn held() -> (std::net::SocketAddr, tokio::task::JoinHandle<TcpStream>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (addr, tokio::spawn(async move { listener.accept().await.unwrap().0 }))
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_new_begun() {
    let (addr, origin) = held().await;
    let mut bed = Bed::new(|_| {}).await;
    let idle = TcpStream::connect(bed.addr()).await.unwrap();
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    client.write_all(format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await.unwrap();
    let mut origin = origin.await.unwrap();
    let proxy = bed.proxy.clone();
    let shutdown = tokio::spawn(async move { proxy.shutdown(Duration::from_secs(20)).await });
    // The idle connection is closed at once, which shows that draining has begun.
    let mut idle = idle;
    assert_eq!(read_all(&mut idle).await, "");
    origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    assert!(read_all(&mut client).await.ends_with("hello"));
    shutdown.await.unwrap();
    assert!(!bed.flow().await.aborted);
    assert!(TcpStream::connect(bed.addr()).await.is_err());
    let again = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = larder_proxy::identity::Client::host("x");
    assert!(bed.proxy.listen(again, larder_proxy::listener::Role::Proxy, client).is_err());
}

#[tokio::test]
async fn what_does_not_end_in_time_is_ended() {
    let (addr, origin) = held().await;
    let mut bed = Bed::new(|_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    client.write_all(format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n\r\n").as_bytes()).await.unwrap();
    let _origin = origin.await.unwrap();
    bed.proxy.shutdown(Duration::from_millis(50)).await;
    read_all(&mut client).await;
    assert!(bed.flow().await.aborted);
}
