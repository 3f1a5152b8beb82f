use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder_proxy::cache::Mode;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::upstream::route::Upstream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as End;

use crate::intercept::bed_for;
use crate::support::{Bed, FakeProxy, Origin, RawOrigin, TestCa, read_all, read_head};

/// A WebSocket server that sends back what it gets, behind TLS where `acceptor` is given.
async fn echo(acceptor: Option<tokio_rustls::TlsAcceptor>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    Some(acceptor) => answer(acceptor.accept(stream).await.unwrap()).await,
                    None => answer(stream).await,
                }
            });
        }
    });
    addr
}

async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
}

/// Says something, hears it, and takes its leave.
async fn converse<T: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<T>) {
    let large = vec![7; 300_000];
    for message in [Message::text("hello"), Message::binary(large)] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
}

async fn check_flow(bed: &mut Bed, url: &str) {
    let flow = bed.flow().await;
    assert_eq!((flow.url.as_str(), flow.status, flow.outcome), (url, 101, Outcome::Tunnel), "{}", flow.why);
    assert!(!flow.aborted && flow.why.contains("websocket"), "{}", flow.why);
    assert!(flow.bytes_sent > 300_000 && flow.bytes_received > 300_000, "{flow:?}");
    assert_eq!(flow.bytes_upstream, flow.bytes_sent);
}

const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn a_websocket_passes_with_an_absolute_url() {
    let addr = echo(None).await;
    let mut bed = Bed::new(|_| {}).await;
    let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
    stream
        .write_all(format!("GET http://{addr}/ws HTTP/1.1\r\nHost: {addr}\r\n{HANDSHAKE}\r\n").as_bytes())
        .await
        .unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: websocket\r\n"), "{head}");
    assert!(head.contains("connection: upgrade\r\n") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    let mut socket = WebSocketStream::from_raw_socket(stream, End::Client, None).await;
    converse(&mut socket).await;
    drop(socket);
    check_flow(&mut bed, &format!("http://{addr}/ws")).await;
}

#[tokio::test]
async fn a_websocket_passes_transparently_and_through_connect() {
    let addr = echo(None).await;
    let mut bed = Bed::with(Client::host("test"), Role::Http, |_| {}).await;
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{addr}/ws"), stream).await.unwrap();
    converse(&mut socket).await;
    drop(socket);
    check_flow(&mut bed, &format!("http://{addr}/ws")).await;

    let mut bed = Bed::new(|config| config.connect_ports.push(addr.port())).await;
    let stream = bed.connect(&addr.to_string()).await;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{addr}/ws"), stream).await.unwrap();
    converse(&mut socket).await;
    drop(socket);
    check_flow(&mut bed, &format!("http://{addr}/ws")).await;
}

#[tokio::test]
async fn a_websocket_passes_over_intercepted_tls_and_by_an_upstream_proxy() {
    let ca = TestCa::new();
    let addr = echo(Some(ca.acceptor("localhost", &[b"http/1.1"]))).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let parent = FakeProxy::start(true).await;
    for proxy in ["", &format!("http://u:p@{}", parent.addr)] {
        let mut bed = Bed::new(|config| {
            config.extra_roots.push(file.clone());
            config.connect_ports.push(addr.port());
            if !proxy.is_empty() {
                config.upstream = Upstream::all(proxy, "").unwrap();
            }
        })
        .await;
        let host = format!("localhost:{}", addr.port());
        let stream = bed.connect(&host).await;
        let stream = bed.tls(stream, "localhost", &[b"http/1.1"]).await.unwrap();
        let (mut socket, _) = tokio_tungstenite::client_async(format!("wss://{host}/ws"), stream).await.unwrap();
        converse(&mut socket).await;
        drop(socket);
        check_flow(&mut bed, &format!("https://{host}/ws")).await;
    }
    assert!(parent.heads.lock().unwrap()[0].starts_with(&format!("CONNECT localhost:{} ", addr.port())));
}

#[tokio::test]
async fn an_upstream_proxy_is_asked_for_a_tunnel_for_plain_http_too() {
    let addr = echo(None).await;
    let parent = FakeProxy::start(true).await;
    let url = format!("http://u:p@{}", parent.addr);
    let mut bed = Bed::new(|config| {
        config.upstream = Upstream::all(&url, "").unwrap();
        config.connect_ports.push(addr.port());
    })
    .await;
    let stream = bed.connect(&addr.to_string()).await;
    let (mut socket, _) = tokio_tungstenite::client_async(format!("ws://{addr}/ws"), stream).await.unwrap();
    converse(&mut socket).await;
    drop(socket);
    check_flow(&mut bed, &format!("http://{addr}/ws")).await;
    assert!(parent.heads.lock().unwrap()[0].starts_with(&format!("CONNECT {addr} HTTP/1.1\r\n")));
}

#[tokio::test]
async fn a_websocket_passes_on_a_stream_of_http2() {
    let ca = TestCa::new();
    let addr = echo(Some(ca.acceptor("localhost", &[b"http/1.1"]))).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let mut bed = Bed::new(|config| {
        config.extra_roots.push(file);
        config.connect_ports.push(addr.port());
    })
    .await;
    let host = format!("localhost:{}", addr.port());
    let stream = bed.connect(&host).await;
    let stream = bed.tls(stream, "localhost", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = |protocol: &'static str| {
        Request::connect(format!("https://{host}/ws"))
            .version(Version::HTTP_2)
            .extension(hyper::ext::Protocol::from_static(protocol))
            .header("sec-websocket-version", "13")
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .unwrap()
    };
    // The server's settings say whether it may be asked at all; they come with the first answer.
    let plain = Request::get(format!("https://{host}/none")).body(http_body_util::Empty::new()).unwrap();
    let _ = sender.send_request(plain).await;
    let response = sender.send_request(request("connect-udp")).await.unwrap();
    assert_eq!(response.status(), 501);
    let response = sender.send_request(request("websocket")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(stream, End::Client, None).await;
    converse(&mut socket).await;
    drop(socket);
    let flow = loop {
        let flow = bed.flow().await;
        if flow.outcome == Outcome::Tunnel {
            break flow;
        }
    };
    assert_eq!((flow.status, &*flow.version, &*flow.method), (200, "HTTP/2.0", "GET"));
    assert!(flow.bytes_sent > 300_000 && flow.bytes_received > 300_000);
}

/// An answer of 200 to a client on HTTP/2 would open the way, so it must not get one.
#[tokio::test]
async fn an_origin_that_does_not_switch_opens_nothing_on_http2() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], |_| http::Response::new("hello".into())).await;
    let bed = bed_for(&ca, &origin).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    let stream = bed.tls(stream, "pkgs.example.org", &[b"h2"]).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let plain = Request::get("https://pkgs.example.org/").body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
    sender.send_request(plain).await.unwrap();
    let request = Request::connect("https://pkgs.example.org/ws")
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .body(http_body_util::Empty::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(response.headers()["proxy-status"].to_str().unwrap().contains("http_upgrade_failed"));
}

#[tokio::test]
async fn without_a_101_nothing_is_opened_and_nothing_smuggled() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 5\r\n\r\nhello",
        // It says 101, but to what nobody offered, or to nothing.
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: bar\r\nConnection: upgrade\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo, bar\r\nConnection: upgrade\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\n\r\nhello",
    ] {
        let origin = RawOrigin::start().await;
        let addr = origin.addr;
        let heads = origin.always(answer);
        for role in [Role::Proxy, Role::Http] {
            let mut bed = Bed::with(Client::host("test"), role, |_| {}).await;
            let target = if role == Role::Proxy { format!("http://{addr}") } else { String::new() };
            let text = format!(
                "GET {target}/a HTTP/1.1\r\nHost: {addr}\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n\
                 GET {target}/smuggled HTTP/1.1\r\nHost: {addr}\r\n\r\n"
            );
            let got = bed.raw(&text).await;
            let switched = answer.contains(" 101 ");
            assert!(got.starts_with(if switched { "HTTP/1.1 502 " } else { &answer[..12] }), "{answer:?}: {got}");
            assert_eq!(got.contains("http_upgrade_failed"), switched, "{got}");
            assert_eq!(got.matches("HTTP/1.1").count(), 1, "{got}");
            let flow = bed.flow().await;
            assert_eq!(flow.outcome, if switched { Outcome::Error } else { Outcome::Bypass });
        }
        let heads = heads.lock().unwrap();
        assert_eq!(heads.len(), 2, "{heads:?}");
        assert!(heads.iter().all(|head| head.starts_with("GET /a ") && !head.contains("smuggled")), "{heads:?}");
    }
}

#[tokio::test]
async fn a_switch_nobody_asked_for_is_an_error() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    origin.always("HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n");
    let bed = Bed::new(|_| {}).await;
    let answer = bed.get(&format!("http://{addr}/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("error=http_upgrade_failed"), "{answer}");
}

/// `h2c` and TLS inside would hide the requests; with a body, or by HTTP/1.0, or without `Connection`, there is nothing
/// to switch. All of them are answered as if they had not asked.
#[tokio::test]
async fn what_cannot_be_switched_is_answered_as_it_is() {
    let origin = Origin::hello().await;
    let bed = Bed::new(|_| {}).await;
    let addr = origin.addr;
    for rest in [
        "HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        "HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: TLS/1.2\r\n\r\n",
        "HTTP/1.1\r\nHost: x\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1\r\nHost: x\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let answer = bed.raw(&format!("GET http://{addr}/ {rest}")).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK") && answer.ends_with("hello"), "{answer}");
    }
    for seen in origin.seen() {
        assert!(!seen.headers.contains_key("upgrade") && !seen.headers.contains_key("http2-settings"), "{seen:?}");
    }
}

/// A way that is open: the client's end, the origin's, and the proxy.
async fn opened(change: impl FnOnce(&mut larder_proxy::config::Config)) -> (TcpStream, TcpStream, Bed) {
    let origin = RawOrigin::start().await;
    let bed = Bed::new(change).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let head =
        format!("GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n", origin.addr);
    // What follows at once is for the other protocol.
    client.write_all(format!("{head}early").as_bytes()).await.unwrap();
    let (mut server, head) = origin.accept().await;
    let lower = head.to_ascii_lowercase();
    assert!(lower.contains("connection: upgrade\r\n") && lower.contains("upgrade: foo\r\n"), "{head}");
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: FOO\r\n\r\nfirst";
    server.write_all(answer.as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let mut early = [0; 5];
    server.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"early");
    client.read_exact(&mut early).await.unwrap();
    assert_eq!(&early, b"first");
    (client, server, bed)
}

#[tokio::test]
async fn each_side_may_end_before_the_other() {
    let (mut client, mut server, mut bed) = opened(|_| {}).await;
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await, "ping");
    server.write_all(b"pong").await.unwrap();
    drop(server);
    assert_eq!(read_all(&mut client).await, "pong");
    let flow = bed.flow().await;
    assert!(!flow.aborted, "{}", flow.why);
    assert_eq!((flow.bytes_sent, flow.bytes_received, flow.bytes_upstream), (9, 9, 9));
}

#[tokio::test]
async fn a_side_that_breaks_off_ends_the_other() {
    for client_breaks in [true, false] {
        let (mut client, mut server, mut bed) = opened(|_| {}).await;
        let (broken, other) = if client_breaks { (client, &mut server) } else { (server, &mut client) };
        rustix::net::sockopt::set_socket_linger(&broken, Some(Duration::ZERO)).unwrap();
        drop(broken);
        assert_eq!(read_all(other).await, "");
        assert!(bed.flow().await.aborted);
    }
}

#[tokio::test]
async fn a_silent_way_is_closed() {
    let (mut client, mut server, mut bed) = opened(|config| {
        config.timeouts.tunnel = Duration::from_millis(300);
    })
    .await;
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(read_all(&mut server).await, "");
    let flow = bed.flow().await;
    assert!(flow.aborted && flow.why.contains("nothing passed"), "{}", flow.why);

    // Half closed, it has as long as a body.
    let (client, mut server, mut bed) = opened(|config| config.timeouts.idle = Duration::from_millis(300)).await;
    let (mut read, mut write) = client.into_split();
    write.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await, "");
    assert_eq!(read_all(&mut read).await, "");
    assert!(bed.flow().await.aborted);
}

#[tokio::test]
async fn an_open_way_has_the_time_of_the_drain() {
    let (mut client, mut server, mut bed) = opened(|_| {}).await;
    let proxy = bed.proxy.clone();
    let stop = tokio::spawn(async move { proxy.shutdown(Duration::from_secs(20)).await });
    // Once the listener is gone, the drain has begun.
    while TcpStream::connect(bed.addr()).await.is_ok() {
        tokio::task::yield_now().await;
    }
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut server).await, "ping");
    drop(server);
    assert_eq!(read_all(&mut client).await, "");
    stop.await.unwrap();
    assert!(!bed.flow().await.aborted);

    let (mut client, _server, mut bed) = opened(|_| {}).await;
    bed.proxy.shutdown(Duration::from_millis(50)).await;
    assert_eq!(read_all(&mut client).await, "");
    assert!(bed.flow().await.aborted);
}

#[tokio::test]
async fn the_guard_and_the_mode_hold_for_switches_too() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    let heads = origin.always("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
    let text = format!("GET http://{addr}/ HTTP/1.1\r\nHost: {addr}\r\n{HANDSHAKE}\r\n");
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |_| {}).await;
    let answer = bed.raw(&text).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("destination_ip_prohibited"), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Denied);
    let mut bed = Bed::new(|config| config.mode = Mode::Offline).await;
    let answer = bed.raw(&text).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("offline"), "{answer}");
    assert!(bed.flow().await.offline_miss);
    assert!(heads.lock().unwrap().is_empty());
}
