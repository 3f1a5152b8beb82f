//! Where clients may go, whatever they call it, and what they get of what others fetched.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use http::Response;
use http_body_util::Full;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::{ListenerHandle, Role};
use larder_proxy::mirror::Mirror;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, Origin, RawOrigin, read_all, read_head};

/// A path that is a package's, and so is kept for ever.
const DEB: &str = "/debian/pool/main/t/tiny/tiny_1.0_all.deb";

async fn ask(address: SocketAddr, url: &str) -> String {
    let host = url.split('/').nth(2).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_all(&mut stream).await
}

/// A listener for guests on the same proxy.
fn guests(bed: &Bed) -> ListenerHandle {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bed.proxy.listen(socket, Role::Proxy, Client::guest("g")).unwrap()
}

#[tokio::test]
async fn connect_is_for_the_ports_of_the_web() {
    let mut bed = Bed::new(|config| config.tunnel.push("ssh.example.org:22".parse().unwrap())).await;
    for (target, status) in [
        ("pkgs.example.org:22", "403"),
        ("pkgs.example.org:25", "403"),
        ("pkgs.example.org:6379", "403"),
        ("pkgs.example.org:8443", "403"),
        ("pkgs.example.org:65535", "403"),
        ("192.0.2.9:22", "403"),
        ("[2001:db8::1]:22", "403"),
        // By the user's rule; there is no such host.
        ("ssh.example.org:22", "502"),
    ] {
        let answer =
            bed.raw(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {answer}");
        let flow = bed.flow().await;
        assert_eq!(flow.outcome == Outcome::Denied, status == "403", "{target}: {}", flow.why);
    }
}

/// What leads to the loopback, or to no place at all, in whatever reads it.
const SPELLINGS: [&str; 30] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.8.9.1",
    "2130706433",
    "0x7f000001",
    "0x7F.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.0x1",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "LocalHost.",
    "a.localhost",
    "0.0.0.0",
    "0",
    "0x0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0.0.0.0]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::1]",
];

#[tokio::test]
async fn no_spelling_of_the_host_is_reached_by_a_guest() {
    let origin = Origin::hello().await;
    let port = origin.port();
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
        config.connect_ports.push(port);
        config.tunnel.push(format!("127.0.0.1:{port}").parse().unwrap());
    })
    .await;
    // 403; 400 where it is no host; and 502 for a name that the system's resolver does not know.
    let is_refused = |answer: &str, spelling: &str| {
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            ["403", "400"].contains(&status) || (spelling == "a.localhost" && status == "502"),
            "{spelling}: {answer}"
        );
    };
    for spelling in SPELLINGS {
        is_refused(&bed.get(&format!("http://{spelling}:{port}/")).await, spelling);
        bed.flow().await;
        let target = format!("{spelling}:{port}");
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        if head.starts_with("HTTP/1.1 200 ") {
            let inside = format!("GET / HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n");
            stream.write_all(inside.as_bytes()).await.unwrap();
            is_refused(&read_all(&mut stream).await, spelling);
        } else {
            is_refused(&head, spelling);
        }
        drop(stream);
        bed.flow().await;
    }
    assert!(origin.seen().is_empty());
    for elsewhere in ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[fe80::1]", "224.0.0.1", "[ff02::1]"] {
        let answer = bed.get(&format!("http://{elsewhere}/latest/meta-data/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{elsewhere}: {answer}");
    }
}

#[tokio::test]
async fn nobody_reaches_the_proxy_through_itself() {
    let bed = Bed::new(|_| {}).await;
    let port = bed.addr().port();
    for host in ["127.0.0.1", "localhost", "localhost.", "2130706433", "[::ffff:127.0.0.1]"] {
        let answer = bed.get(&format!("http://{host}:{port}/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("this proxy itself"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_redirect_leads_a_guest_nowhere_it_could_not_go() {
    let secret = Origin::hello().await;
    let elsewhere = format!("http://{}{DEB}", secret.addr);
    let location = elsewhere.clone();
    let origin = Origin::http(move |_| {
        Response::builder().status(302).header("location", &location).body(Full::default()).unwrap()
    })
    .await;
    let to = format!("http://{}/", origin.addr);
    let cache = tempfile::tempdir().unwrap();
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
        config.cache_dir = Some(cache.path().join("cache"));
        config.mirrors.push(Mirror::parse("deb.example.org", &to).unwrap());
    })
    .await;
    // The proxy follows it for a package.
    let answer = bed.get(&format!("http://deb.example.org{DEB}")).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(bed.flow().await.outcome, Outcome::Denied);
    // The client does for what is none.
    let answer = bed.get("http://deb.example.org/page").await;
    assert!(answer.starts_with("HTTP/1.1 302 ") && answer.contains(&format!("location: {elsewhere}")), "{answer}");
    let answer = bed.get(&elsewhere).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(secret.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_not_into_the_clear() {
    let origin = Origin::http(|seen| {
        let (directory, name) = seen.uri.path().rsplit_once('/').unwrap();
        let number: u32 = name.trim_start_matches("tiny_").split('.').next().unwrap().parse().unwrap();
        let location = format!("{directory}/tiny_{}.0_all.deb", number + 1);
        Response::builder().status(302).header("location", location).body(Full::default()).unwrap()
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let bed = Bed::new(|config| config.cache_dir = Some(cache.path().join("cache"))).await;
    let answer = bed.get(&format!("http://{}{DEB}", origin.addr)).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("more than 10 redirects"), "{answer}");
    assert_eq!(origin.seen().len(), 11);
}

#[tokio::test]
async fn a_guest_gets_nothing_that_the_host_fetched_from_itself() {
    let origin = Origin::hello().await;
    let to = format!("http://{}/", origin.addr);
    let cache = tempfile::tempdir().unwrap();
    let mut bed = Bed::new(|config| {
        config.cache_dir = Some(cache.path().join("cache"));
        config.mirrors.push(Mirror::parse("deb.example.org", &to).unwrap());
    })
    .await;
    let guests = guests(&bed);
    for host in [origin.addr.to_string(), format!("localhost:{}", origin.port())] {
        let url = format!("http://{host}{DEB}");
        assert!(bed.get(&url).await.ends_with("hello"));
        assert_eq!(bed.flow().await.outcome, Outcome::Miss);
        let answer = ask(guests.local_addr(), &url).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("hello"), "{host}: {answer}");
        assert_eq!(bed.flow().await.outcome, Outcome::Denied);
        bed.proxy.cache().drain(Duration::from_secs(20)).await;
        assert!(bed.get(&url).await.ends_with("hello"));
        let flow = bed.flow().await;
        assert_eq!(flow.outcome, Outcome::Hit, "{}", flow.why);
    }
    // What the user's settings put in place of a public name is for all.
    let url = format!("http://deb.example.org{DEB}");
    assert!(bed.get(&url).await.ends_with("hello"));
    bed.flow().await;
    bed.proxy.cache().drain(Duration::from_secs(20)).await;
    assert!(ask(guests.local_addr(), &url).await.ends_with("hello"));
    let flow = bed.flow().await;
    assert_eq!(flow.outcome, Outcome::Hit, "{}", flow.why);
}

/// Runs a test in a network of its own, where 203.0.113.0/24 is here, though no interface has an address of it, and where
/// names are asked of the test.
fn in_a_network(test: &str, run: impl Future<Output = ()>) {
    if std::env::var_os("LARDER_TEST_NETWORK").is_some() {
        tokio::runtime::Runtime::new().unwrap().block_on(run);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:5 attempts:1\n").unwrap();
    std::fs::write(dir.path().join("nsswitch.conf"), "hosts: dns\n").unwrap();
    let script = "set -e; ip link set lo up; ip route add local 203.0.113.0/24 dev lo
        mount --bind \"$0/resolv.conf\" /etc/resolv.conf; mount --bind \"$0/nsswitch.conf\" /etc/nsswitch.conf; exec \"$@\"";
    // The mounts are in a namespace of their own, and so private.
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount", "--propagation", "private", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("LARDER_TEST_NETWORK", "1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A name service: the addresses of a name at each question for IPv4, the last for all that follow.
struct Names {
    asked: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn start(answers: impl Fn(&str, usize) -> Vec<[u8; 4]> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = asked.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let mut answer = question.clone();
                answer.metadata.message_type = MessageType::Response;
                answer.additionals.clear();
                let query = &question.queries[0];
                if query.query_type() == RecordType::A {
                    let name = query.name().to_ascii();
                    let before = record.lock().unwrap().iter().filter(|other| **other == name).count();
                    for address in answers(&name, before) {
                        answer.answers.push(Record::from_rdata(query.name().clone(), 0, RData::A(A(address.into()))));
                    }
                    record.lock().unwrap().push(name);
                }
                socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
            }
        });
        Self { asked }
    }

    fn count(&self, name: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|other| *other == name).count()
    }
}

const PUBLIC: [u8; 4] = [203, 0, 113, 9];
const OWN: [u8; 4] = [127, 0, 0, 1];

#[test]
fn an_address_that_was_judged_is_the_one_dialled() {
    in_a_network("reach::an_address_that_was_judged_is_the_one_dialled", async {
        let names = Names::start(|name, before| match (name, before) {
            ("both.example.org.", _) => vec![OWN, PUBLIC],
            (_, 0) => vec![PUBLIC],
            // As with "DNS rebinding": the name that was well a moment ago.
            _ => vec![OWN],
        });
        let own = RawOrigin::start().await;
        let port = own.addr.port();
        let own = own.always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nown");
        let public = RawOrigin::at((PUBLIC, port).into()).await;
        let public = public.always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\npublic");
        let bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
            config.connect_ports.push(port);
            config.tunnel.push(format!("tunnelled.example.org:{port}").parse().unwrap());
        })
        .await;
        let answer = bed.get(&format!("http://rebound.example.org:{port}/")).await;
        assert!(answer.ends_with("public"), "{answer}");
        assert_eq!(names.count("rebound.example.org."), 1, "it is asked for once, judged and dialled");
        let answer = bed.get(&format!("http://rebound.example.org:{port}/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("loopback"), "{answer}");
        let answer = bed.get(&format!("http://both.example.org:{port}/")).await;
        assert!(answer.ends_with("public"), "{answer}");
        let target = format!("tunnelled.example.org:{port}");
        let mut tunnel = bed.connect(&target).await;
        tunnel.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        tunnel.shutdown().await.unwrap();
        assert!(read_all(&mut tunnel).await.ends_with("public"));
        assert_eq!(names.count("tunnelled.example.org."), 1);
        let answer =
            bed.raw(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!((own.lock().unwrap().len(), public.lock().unwrap().len()), (0, 3));
    });
}

#[test]
fn what_a_name_led_the_host_to_is_not_for_guests() {
    in_a_network("reach::what_a_name_led_the_host_to_is_not_for_guests", async {
        let _names = Names::start(|name, _| vec![if name.starts_with("own") { OWN } else { PUBLIC }]);
        let origin = RawOrigin::at(([0, 0, 0, 0], 0).into()).await;
        let port = origin.addr.port();
        let cache = tempfile::tempdir().unwrap();
        let mut bed = Bed::new(|config| config.cache_dir = Some(cache.path().join("cache"))).await;
        let guests = guests(&bed);
        let url = format!("http://own.example.org:{port}{DEB}");
        // It is under way: nobody joins who could not have begun it.
        let mut host = TcpStream::connect(bed.addr()).await.unwrap();
        let head = format!("GET {url} HTTP/1.1\r\nHost: own.example.org:{port}\r\nConnection: close\r\n\r\n");
        host.write_all(head.as_bytes()).await.unwrap();
        let (mut upstream, _) = origin.accept().await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsec").await.unwrap();
        let begun = read_head(&mut host).await;
        assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
        let answer = ask(guests.local_addr(), &url).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert_eq!(bed.flow().await.outcome, Outcome::Denied);
        upstream.write_all(b"ret").await.unwrap();
        assert_eq!(read_all(&mut host).await, "secret");
        assert_eq!(bed.flow().await.outcome, Outcome::Miss);
        bed.proxy.cache().drain(Duration::from_secs(20)).await;
        let _ = origin.always("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\npublic");
        assert!(bed.get(&url).await.ends_with("secret"));
        assert_eq!(bed.flow().await.outcome, Outcome::Hit);
        let answer = ask(guests.local_addr(), &url).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("secret"), "{answer}");
        assert_eq!(bed.flow().await.outcome, Outcome::Denied);
        // Of another place it is for all, and fetched once.
        let url = format!("http://public.example.org:{port}{DEB}");
        assert!(bed.get(&url).await.ends_with("public"));
        bed.flow().await;
        bed.proxy.cache().drain(Duration::from_secs(20)).await;
        assert!(ask(guests.local_addr(), &url).await.ends_with("public"));
        assert_eq!(bed.flow().await.outcome, Outcome::Hit);
    });
}
