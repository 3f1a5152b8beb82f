//! A listener with rules: who is let in, who logs in, and settings that change meanwhile.

use std::net::TcpListener;
use std::sync::Arc;

use base64::Engine as _;
use larder_proxy::admission::{Admission, Gate, Network};
use larder_proxy::config::Config;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::ListenerHandle;
use larder_proxy::login::{self, Users};
use larder_proxy::mirror::Mirror;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, Origin, RawOrigin, read_all, read_head};

fn rules(users: bool) -> Admission {
    let users = users.then(|| Arc::new(Users::parse(&login::line("ci", "s3cret").unwrap()).unwrap()));
    Admission { users, ..Admission::default() }
}

fn open(bed: &Bed, rules: Admission) -> (Arc<Gate>, ListenerHandle) {
    let gate = Gate::new(rules);
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = bed.proxy.listen_gated(socket, Client::host("fleet"), &gate).unwrap();
    (gate, handle)
}

fn credentials(password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("ci:{password}"));
    format!("Proxy-Authorization: Basic {pair}\r\n")
}

#[tokio::test]
async fn a_kept_connection_is_asked_and_its_credentials_go_no_further() {
    let origin = Origin::hello().await;
    let to = format!("http://{}/", origin.addr);
    let mut bed = Bed::new(|config| config.mirrors.push(Mirror::parse("pkgs.example.org", &to).unwrap())).await;
    let (gate, listener) = open(&bed, rules(true));
    let addr = "pkgs.example.org";
    let get = |more: &str| format!("GET http://{addr}/x HTTP/1.1\r\nHost: {addr}\r\n{more}\r\n");
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    for wrong in [String::new(), credentials("guess")] {
        client.write_all(get(&wrong).as_bytes()).await.unwrap();
        let head = read_head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
        assert!(head.contains("proxy-authenticate: Basic realm=\"larder\", charset=\"UTF-8\""), "{head}");
        let flow = bed.flow().await;
        assert_eq!((flow.outcome, flow.status, flow.identity.user), (Outcome::Denied, 407, None));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        tokio::io::AsyncReadExt::read_exact(&mut client, &mut body).await.unwrap();
    }
    assert!(origin.seen().is_empty());
    client.write_all(get(&(credentials("s3cret") + "Connection: close\r\n")).as_bytes()).await.unwrap();
    assert!(read_all(&mut client).await.ends_with("hello"));
    let flow = bed.flow().await;
    assert_eq!(flow.identity.user.as_deref(), Some("ci"));
    assert_eq!(flow.identity.address, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(&*flow.identity.build, "fleet");
    let seen = origin.seen();
    assert!(!seen[0].headers.contains_key("proxy-authorization"), "{:?}", seen[0].headers);
    let counts = gate.counts();
    assert_eq!((counts.missing, counts.wrong, counts.checked), (1, 1, 1));
}

#[tokio::test]
async fn connect_logs_in_once_for_all_that_is_inside() {
    let mut bed = Bed::new(|_| {}).await;
    let (_gate, listener) = open(&bed, rules(true));
    let connect =
        |more: &str| format!("CONNECT other.example.org:443 HTTP/1.1\r\nHost: other.example.org:443\r\n{more}\r\n");
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    client.write_all(connect("").as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 407 "), "{head}");
    assert_eq!(bed.flow().await.method, "CONNECT");
    let mut client = TcpStream::connect(listener.local_addr()).await.unwrap();
    client.write_all(connect(&credentials("s3cret")).as_bytes()).await.unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut inside = bed.tls(client, "other.example.org", &[b"http/1.1"]).await.unwrap();
    // Inside, it is the origin that is spoken to; this one does not exist, which is enough to see who asked.
    inside.write_all(b"GET / HTTP/1.1\r\nHost: other.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    read_all(&mut inside).await;
    let flow = bed.flow().await;
    assert_eq!((flow.identity.user.as_deref(), flow.intercepted), (Some("ci"), true));
}

#[tokio::test]
async fn a_client_with_too_many_is_told_when_to_come_back_and_the_rest_goes_on() {
    let origin = RawOrigin::start().await;
    let bed = Bed::new(|_| {}).await;
    let (gate, listener) = open(&bed, Admission { per_client: 20, ..rules(false) });
    let addr = origin.addr;
    // One of them is at work.
    let mut first = TcpStream::connect(listener.local_addr()).await.unwrap();
    first
        .write_all(format!("GET http://{addr}/x HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let (mut upstream, _) = origin.accept().await;
    let mut idle = Vec::new();
    while gate.counts().open < 20 {
        idle.push(TcpStream::connect(listener.local_addr()).await.unwrap());
        tokio::task::yield_now().await;
    }
    // A thousand more, at once.
    let mut told = 0;
    for _ in 0..1000 {
        let Ok(mut client) = TcpStream::connect(listener.local_addr()).await else { continue };
        let _ =
            client.write_all(b"CONNECT other.example.org:443 HTTP/1.1\r\nHost: other.example.org:443\r\n\r\n").await;
        let mut bytes = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut client, &mut bytes).await;
        let answer = String::from_utf8_lossy(&bytes);
        if answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: ") {
            told += 1;
        } else {
            assert!(answer.is_empty(), "{answer}");
        }
    }
    assert!(told > 900, "{told}");
    assert_eq!(gate.counts().open, 20);
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    assert!(read_all(&mut first).await.ends_with("hello"));
    drop(idle);
    while gate.counts().open > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn new_settings_hold_for_the_next_request_and_not_for_one_under_way() {
    let (held, origin) = (RawOrigin::start().await, Origin::hello().await);
    let bed = Bed::new(|_| {}).await;
    let ask = |addr| format!("GET http://{addr}/x HTTP/1.1\r\nHost: {addr}\r\n\r\n");
    let mut kept = TcpStream::connect(bed.addr()).await.unwrap();
    kept.write_all(ask(held.addr).as_bytes()).await.unwrap();
    let (mut upstream, _) = held.accept().await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("ca"));
    config.deny.push("127.0.0.1".parse().unwrap());
    bed.proxy.reload(config).unwrap();
    // What is under way is not concerned.
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    let head = read_head(&mut kept).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let mut body = [0; 5];
    tokio::io::AsyncReadExt::read_exact(&mut kept, &mut body).await.unwrap();
    // The next on the same connection is.
    kept.write_all(ask(origin.addr).as_bytes()).await.unwrap();
    let head = read_head(&mut kept).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let other = dir.path().join("other");
    bed.proxy.reload(Config::new(other)).unwrap();
    assert!(bed.get(&format!("http://{}/x", origin.addr)).await.ends_with("hello"));
}

#[tokio::test]
async fn where_others_may_come_a_loopback_address_opens_nothing_of_the_machine() {
    let origin = Origin::hello().await;
    let mut bed = Bed::new(|_| {}).await;
    let network = Network { range: "127.0.0.0/8".parse().unwrap(), label: None };
    let get = format!("GET http://{0}/x HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\n\r\n", origin.addr);
    // A tunnel of ssh, or another proxy in front, ends on the loopback as who sits here does.
    let (_gate, listed) = open(&bed, Admission { networks: vec![network], ..Admission::default() });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let users = Gate::new(Admission { either: false, ..rules(true) });
    let _unix = bed.proxy.listen_unix(socket, Client::host("fleet"), &users).unwrap();
    let mut tcp = TcpStream::connect(listed.local_addr()).await.unwrap();
    tcp.write_all(get.as_bytes()).await.unwrap();
    let answer = read_all(&mut tcp).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("loopback"), "{answer}");
    let mut unix = tokio::net::UnixStream::connect(&path).await.unwrap();
    let logged_in = get.replace("Connection: close", &format!("{}Connection: close", credentials("s3cret")));
    unix.write_all(logged_in.as_bytes()).await.unwrap();
    let answer = read_all(&mut unix).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("loopback"), "{answer}");
    assert!(origin.seen().is_empty());
    for _ in 0..2 {
        assert_eq!(bed.flow().await.outcome, Outcome::Denied);
    }
    // A proxy for nobody else is its user's own.
    let (_gate, own) = open(&bed, Admission::default());
    let mut tcp = TcpStream::connect(own.local_addr()).await.unwrap();
    tcp.write_all(get.as_bytes()).await.unwrap();
    assert!(read_all(&mut tcp).await.ends_with("hello"));
}
