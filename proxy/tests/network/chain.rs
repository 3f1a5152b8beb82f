//! Chains of proxies, ways that fail, and rules on which way to take, against small proxies of the tests' own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use larder_proxy::config::Config;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::upstream::host_tls::{ClientIdentity, HostTls, Pin};
use larder_proxy::upstream::route::{Choice, Order, PathPattern, Pool, RouteRule, Upstream, routes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::hop::{Hop, Manner};
use crate::support::{Bed, Origin, RawOrigin, TestCa, read_all};

/// A proxy of ours whose ways are these.
async fn bed(ways: &str, change: impl FnOnce(&mut Config)) -> Bed {
    Bed::new(|config| {
        config.upstream = Upstream::of_text(ways, "", "test").unwrap();
        config.connect_ports.extend(1024..=u16::MAX);
        change(config);
    })
    .await
}

/// A port that nobody listens on.
async fn dead() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
}

/// GETs by an intercepted connection.
async fn secure(bed: &Bed, port: u16) -> String {
    let host = format!("localhost:{port}");
    let mut stream = bed.tls(bed.connect(&host).await, "localhost", &[]).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

#[tokio::test]
async fn a_chain_of_every_kind_leads_to_tls_and_to_plain_http() {
    let ca = TestCa::new();
    let tls = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("sealed"))).await;
    let plain = Origin::hello().await;
    let hops = [
        Hop::http().await,
        Hop::socks("socks5h").await,
        Hop::https(&ca).await,
        Hop::socks("socks4a").await,
        Hop::socks("socks5").await,
        Hop::socks("socks4").await,
    ];
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let chain = hops.iter().map(|hop| hop.url.as_str()).collect::<Vec<_>>().join(" > ");
    let mut bed = bed(&chain, |config| config.extra_roots.push(file)).await;
    let answer = secure(&bed, tls.port()).await;
    assert!(answer.ends_with("sealed"), "{answer}");
    let flow = bed.flow().await;
    assert_eq!(flow.route, format!("proxy {chain}"));
    // Each was asked once, for the next.
    for pair in hops.windows(2) {
        assert_eq!(pair[0].asked(), [format!("CONNECT {}", pair[1].named())]);
    }
    assert_eq!(hops[5].asked(), [format!("CONNECT 127.0.0.1:{}", tls.port())]);
    // By SOCKS, a plain request is as its origin wants it.
    let answer = bed.get(&format!("http://localhost:{}/a?b", plain.port())).await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(plain.seen()[0].uri, "/a?b");
}

#[tokio::test]
async fn an_https_proxy_is_sent_plain_requests_whole_and_makes_tunnels_for_tls_inside() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], |_| Response::new(Full::from("sealed"))).await;
    let plain = Origin::hello().await;
    let (first, last) = (Hop::socks("socks5h").await, Hop::https(&ca).await);
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let mut bed = bed(&format!("{} > {}", first.url, last.url), |config| config.extra_roots.push(file)).await;
    assert!(secure(&bed, origin.port()).await.ends_with("sealed"));
    let url = format!("http://{}/a?b", plain.addr);
    assert!(bed.get(&url).await.ends_with("hello"));
    assert_eq!(last.asked(), [format!("CONNECT localhost:{}", origin.port()), format!("GET {url}")]);
    assert_eq!(first.asked(), vec![format!("CONNECT {}", last.named()); 2]);
    bed.flow().await;
    assert_eq!(bed.flow().await.route, format!("proxy {} > {}", first.url, last.url));
}

#[tokio::test]
async fn an_https_proxy_that_is_not_trusted_is_named() {
    let hop = Hop::https(&TestCa::new()).await;
    let bed = bed(&hop.url, |_| {}).await;
    let answer = bed.get("http://pkgs.example.org/").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains(&format!("the upstream proxy {} cannot be used", hop.url)), "{answer}");
    assert!(answer.contains("authority that is not trusted here"), "{answer}");
    assert!(hop.asked().is_empty());
}

#[tokio::test]
async fn a_dead_way_is_passed_over_and_costs_nothing_the_second_time() {
    let origin = Origin::hello().await;
    let (dead, good) = (dead().await, Hop::http().await);
    let mut bed = bed(&format!("{dead}, {}", good.url), |_| {}).await;
    let answer = bed.get(&format!("http://{}/1", origin.addr)).await;
    assert!(answer.ends_with("hello"), "{answer}");
    let route = bed.flow().await.route;
    let expected = format!("proxy {} (not proxy {dead}: the upstream proxy {dead} cannot be reached: ", good.url);
    assert!(route.starts_with(&expected), "{route}");
    assert!(bed.get(&format!("http://{}/2", origin.addr)).await.ends_with("hello"));
    assert_eq!(bed.flow().await.route, format!("proxy {}", good.url), "it is known to be down");
    // All dead: every failure is told.
    let (one, two) = (self::dead().await, self::dead().await);
    let mut bed = self::bed(&format!("{one}, {two}"), |_| {}).await;
    let answer = bed.get("http://pkgs.example.org/").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("no way led to pkgs.example.org"), "{answer}");
    assert!(answer.contains(&one) && answer.contains(&two), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Error);
}

#[tokio::test]
async fn what_was_down_is_asked_again_once_it_answers() {
    let origin = Origin::hello().await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let spare = Hop::http().await;
    let mut bed = bed(&format!("http://{port}, {}", spare.url), |_| {}).await;
    assert!(bed.get(&format!("http://{}/0", origin.addr)).await.ends_with("hello"));
    bed.flow().await;
    let back = Hop::at(port, Manner::Http).await;
    // Requests go on by the other while it is looked at.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    for number in 1.. {
        assert!(bed.get(&format!("http://{}/{number}", origin.addr)).await.ends_with("hello"));
        let route = bed.flow().await.route;
        assert!(!route.contains("not proxy"), "nobody waits for the one that was down: {route}");
        if route == format!("proxy {}", back.url) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it is never asked again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(back.asked()[0].starts_with("HEAD "), "{:?}", back.asked());
}

#[tokio::test]
async fn a_silent_way_is_given_up_in_favour_of_another() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], |_| Response::new(Full::from("sealed"))).await;
    let (silent, good) = (RawOrigin::start().await, Hop::http().await);
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let ways = format!("http://{} , socks5h://{}, {}", silent.addr, silent.addr, good.url);
    let mut bed = bed(&ways, |config| {
        config.timeouts.patience = Duration::from_millis(200);
        config.extra_roots.push(file);
    })
    .await;
    assert!(secure(&bed, origin.port()).await.ends_with("sealed"));
    let route = bed.flow().await.route;
    assert!(route.starts_with(&format!("proxy {} (not proxy http://", good.url)), "{route}");
    assert_eq!(route.matches("has not made a connection within 0.2 s").count(), 2, "{route}");
}

#[tokio::test]
async fn a_slow_answer_by_one_way_does_not_hold_up_the_request() {
    let origin = Origin::hello().await;
    let (silent, good) = (RawOrigin::start().await, Hop::http().await);
    let heads = silent.addr;
    let seen = silent.always("");
    let mut bed = bed(&format!("http://{heads}, {}", good.url), |config| {
        config.timeouts.patience = Duration::from_millis(100);
        config.timeouts.head = Duration::from_secs(1);
        config.timeouts.connect = Duration::from_millis(500);
    })
    .await;
    assert!(bed.get(&format!("http://{}/", origin.addr)).await.ends_with("hello"));
    let route = bed.flow().await.route;
    assert!(route.contains("gave no answer within") || route.contains("closed"), "{route}");
    // What would change something is not sent twice.
    let count = seen.lock().unwrap().len();
    let url = format!("http://{}/", origin.addr);
    let post =
        format!("POST {url} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", origin.addr);
    let answer = bed.raw(&post).await;
    let again = seen.lock().unwrap().len();
    let posts = good.asked().iter().filter(|asked| asked.starts_with("POST ")).count();
    assert!(again > count && posts == 0 && answer.starts_with("HTTP/1.1 50"), "{answer}");
}

#[tokio::test]
async fn a_body_is_sent_by_the_way_that_leads_on() {
    let origin = Origin::hello().await;
    let (dead, good) = (dead().await, Hop::http().await);
    let bed = bed(&format!("{dead}, {}", good.url), |_| {}).await;
    let url = format!("http://{}/", origin.addr);
    let post =
        format!("POST {url} HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", origin.addr);
    assert!(bed.raw(&post).await.ends_with("hello"));
    assert_eq!(good.asked(), [format!("POST {url}")]);
}

#[tokio::test]
async fn a_proxy_without_a_way_on_is_passed_over() {
    let origin = Origin::hello().await;
    let broken = RawOrigin::start().await;
    let url = format!("http://{}", broken.addr);
    broken.always("HTTP/1.1 503 No\r\nContent-Length: 6\r\nConnection: close\r\n\r\nbroken");
    let good = Hop::http().await;
    let mut all = bed(&format!("{url}, {}", good.url), |_| {}).await;
    assert!(all.get(&format!("http://{}/", origin.addr)).await.ends_with("hello"));
    assert_eq!(
        all.flow().await.route,
        format!("proxy {} (not proxy {url}: answers 503 Service Unavailable)", good.url)
    );
    // It is the origin's, perhaps: with no other way, it is the answer.
    let alone = bed(&url, |_| {}).await;
    let answer = alone.get("http://pkgs.example.org/").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("broken"), "{answer}");
    let dead = dead().await;
    let both = bed(&format!("{url}, {dead}"), |_| {}).await;
    assert!(both.get("http://pkgs.example.org/").await.ends_with("broken"));
}

#[tokio::test]
async fn a_request_never_rides_on_the_connection_of_another_way() {
    let origin = Origin::hello().await;
    let (one, two) = (Hop::socks("socks5h").await, Hop::socks("socks5h").await);
    let rule = |path: &str, url: &str| RouteRule {
        hosts: Vec::new(),
        ports: Vec::new(),
        path: Some(PathPattern::Prefix(path.to_owned())),
        choice: Choice::Pool(Pool::new(routes(url, "test").unwrap(), Order::Ordered)),
        origin: "test".to_owned(),
    };
    let mut bed = bed(&dead().await, |config| {
        config.upstream.rules = vec![rule("/one", &one.url), rule("/two", &two.url)];
    })
    .await;
    for round in 0..3 {
        for (path, hop) in [("one", &one), ("two", &two)] {
            assert!(bed.get(&format!("http://{}/{path}/{round}", origin.addr)).await.ends_with("hello"));
            assert_eq!(bed.flow().await.route, format!("proxy {}", hop.url));
        }
    }
    // Each has its connection, used again.
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));
    assert_eq!(origin.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn members_of_a_pool_take_turns() {
    let origin = Origin::hello().await;
    let hops = [Hop::http().await, Hop::http().await, Hop::http().await];
    let ways = hops.iter().map(|hop| hop.url.as_str()).collect::<Vec<_>>().join(" ");
    let pool = |order| Choice::Pool(Pool::new(routes(&ways, "test").unwrap(), order));
    let bed_of = |order| bed("direct", move |config: &mut Config| config.upstream.http = pool(order));
    let bed = bed_of(Order::Rotating).await;
    for number in 0..6 {
        assert!(bed.get(&format!("http://{}/{number}", origin.addr)).await.ends_with("hello"));
    }
    assert_eq!(hops.each_ref().map(|hop| hop.asked().len()), [2, 2, 2]);
    let bed = bed_of(Order::Sticky).await;
    for number in 6..12 {
        assert!(bed.get(&format!("http://{}/{number}", origin.addr)).await.ends_with("hello"));
    }
    let mut counts = hops.each_ref().map(|hop| hop.asked().len() - 2);
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 6]);
}

#[tokio::test]
async fn a_tunnel_by_rule_tries_the_ways_too() {
    let echo = RawOrigin::start().await;
    let (dead, good) = (dead().await, Hop::socks("socks5h").await);
    let mut bed =
        bed(&format!("{dead}, {}", good.url), |config| config.tunnel.push("localhost".parse().unwrap())).await;
    let mut stream = bed.connect(&format!("localhost:{}", echo.addr.port())).await;
    let mut far = echo.accept_unread().await;
    stream.write_all(b"there").await.unwrap();
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).await.unwrap();
    far.write_all(b"back!").await.unwrap();
    drop(far);
    assert_eq!((&bytes[..], read_all(&mut stream).await.as_str()), (&b"there"[..], "back!"));
    drop(stream);
    let route = bed.flow().await.route;
    assert!(route.starts_with(&format!("proxy {} (not proxy {dead}: ", good.url)), "{route}");
}

#[tokio::test]
async fn rare_answers_to_connect_are_understood_or_told() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], |_| Response::new(Full::from("sealed"))).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    for (manner, expected) in [
        (Manner::Split, "sealed"),
        (
            Manner::Answer(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Please log in</html>".to_vec()),
            "no TLS connection",
        ),
        (Manner::Answer(long.into_bytes()), "has no end"),
        (Manner::Answer(b"HTTP/1.1 403 Not for you\r\n\r\n".to_vec()), "refused: HTTP/1.1 403 Not for you"),
        (Manner::Answer(Vec::new()), "without answering"),
        (Manner::Answer(b"\x05\xff".to_vec()), "without answering"),
    ] {
        let hop = Hop::start(manner).await;
        let file = file.clone();
        let bed = bed(&hop.url, |config| config.extra_roots.push(file)).await;
        let answer = secure(&bed, origin.port()).await;
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
}

#[tokio::test]
async fn what_a_socks_proxy_says_reaches_the_user() {
    let refusing = Hop::start(Manner::Answer(b"\x05\x00\x05\x02\x00\x01\0\0\0\0\0\0".to_vec())).await;
    let bed = bed(&refusing.url.replace("http:", "socks5h:"), |_| {}).await;
    let answer = bed.get("http://pkgs.example.org:81/").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("its rules do not allow it (asked for pkgs.example.org port 81)"), "{answer}");
}

#[tokio::test]
async fn a_guest_is_kept_from_the_host_by_any_way() {
    let hop = Hop::socks("socks5").await;
    let named = Hop::socks("socks5h").await;
    for url in [&hop.url, &named.url] {
        let bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
            config.upstream = Upstream::all(url, "").unwrap();
        })
        .await;
        for target in ["127.0.0.1", "0x7f.1", "169.254.169.254", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
            let answer = bed.get(&format!("http://{target}/")).await;
            assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
        }
    }
    assert!(hop.asked().is_empty() && named.asked().is_empty());
}

/// A TLS server that wants a client certificate of `ca`; it answers with its subject's presence.
async fn strict_origin(ca: &TestCa) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = ca.strict_acceptor("localhost");
    let served: Arc<AtomicUsize> = Arc::default();
    let count = served.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, count) = (acceptor.clone(), count.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = [0; 4096];
                if matches!(stream.read(&mut head).await, Ok(1..)) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nknown")
                        .await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    (port, served)
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_its_host_and_asked_for_in_words() {
    let ca = TestCa::new();
    let (port, served) = strict_origin(&ca).await;
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = ca.identity(files.path());
    let file = ca.file(files.path());
    let own = HostTls {
        hosts: vec![format!("localhost:{port}").parse().unwrap()],
        identity: Some(ClientIdentity { certificate, key }),
        pins: Vec::new(),
    };
    let hop = Hop::http().await;
    let with = bed(&hop.url, |config| {
        config.extra_roots.push(file.clone());
        config.host_tls.push(own);
    })
    .await;
    let answer = secure(&with, port).await;
    assert!(answer.ends_with("known"), "{answer}");
    let without = bed(&hop.url, |config| config.extra_roots.push(file)).await;
    let answer = secure(&without, port).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("asks for a client certificate"), "{answer}");
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pinned_key_must_be_the_one_shown() {
    let ca = TestCa::new();
    let acceptor = ca.pinned_acceptor("localhost");
    let origin = Origin::with(acceptor.0, |_| Response::new(Full::from("sealed"))).await;
    let files = tempfile::tempdir().unwrap();
    let file = ca.file(files.path());
    let right = Pin::of(&acceptor.1).unwrap();
    let wrong = Pin::of(&ca.root()).unwrap();
    for (pins, expected) in [(vec![wrong, right], "sealed"), (vec![wrong], "not the one that `pins`")] {
        let bed = bed("direct", |config| {
            config.extra_roots.push(file.clone());
            config.host_tls.push(HostTls { hosts: vec!["localhost".parse().unwrap()], identity: None, pins });
        })
        .await;
        let answer = secure(&bed, origin.port()).await;
        assert!(answer.contains(expected), "{answer}");
        assert!(expected == "sealed" || answer.contains(&right.to_string()), "{answer}");
    }
    // It is no way around the roots.
    let bed = bed("direct", |config| {
        config.host_tls.push(HostTls { hosts: vec!["*".parse().unwrap()], identity: None, pins: vec![right] });
    })
    .await;
    assert!(secure(&bed, origin.port()).await.contains("not trusted here"));
}

#[tokio::test]
async fn a_websocket_takes_the_ways_too() {
    let origin = RawOrigin::start().await;
    let (dead, good) = (dead().await, Hop::socks("socks5h").await);
    let mut bed = bed(&format!("{dead}, {}", good.url), |_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    let request = format!(
        "GET http://{0}/ws HTTP/1.1\r\nHost: {0}\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: \
         13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        origin.addr
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let (mut far, head) = origin.accept().await;
    assert!(head.starts_with("GET /ws HTTP/1.1\r\n"), "{head}");
    far.write_all(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: \
          s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello",
    )
    .await
    .unwrap();
    drop(far);
    let answer = read_all(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("hello"), "{answer}");
    drop(client);
    let route = bed.flow().await.route;
    assert!(route.starts_with(&format!("proxy {} (not proxy {dead}: ", good.url)), "{route}");
}
