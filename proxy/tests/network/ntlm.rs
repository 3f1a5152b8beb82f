//! A parent proxy that wants NTLM, and checks it: it knows the hash of the password, and reckons for itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac as _};
use larder_proxy::upstream::route::Upstream;
use md5::Md5;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Bed, Origin, TestCa, read_all, read_head};

/// MD4 of `password` in UTF-16, as every list of such hashes has it.
const HASH: &str = "8846f7eaee8fb117ad06bdd830b7586c";
const CHALLENGE: [u8; 8] = *b"nonce123";
const PAGE: &str = "<html>who are you?</html>";

#[derive(Clone, Copy, Default)]
struct Manners {
    /// Whether its challenge has a timestamp, so that a MIC is wanted.
    timestamp: bool,
    /// Whether it closes the connection with the first 407, as some do.
    closes: bool,
}

struct NtlmProxy {
    url: String,
    /// What was asked on which connection, and how it was answered.
    log: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<usize>>>,
}

impl NtlmProxy {
    async fn start(manners: Manners, password: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://CORP%5CJane:{password}@{}", listener.local_addr().unwrap());
        let log = Arc::<Mutex<Vec<String>>>::default();
        let bodies = Arc::<Mutex<Vec<usize>>>::default();
        let (record, taken) = (log.clone(), bodies.clone());
        let count = AtomicUsize::new(0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let id = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, manners, id, record.clone(), taken.clone()));
            }
        });
        Self { url, log, bodies }
    }

    fn count(&self, word: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.ends_with(word)).count()
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    async fn bed(&self) -> Bed {
        let upstream = Upstream::all(&self.url, "").unwrap();
        Bed::new(|config| config.upstream = upstream).await
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(own, _)| own.eq_ignore_ascii_case(name))).map(|it| it.1)
}

async fn converse(
    mut stream: TcpStream,
    manners: Manners,
    id: usize,
    log: Arc<Mutex<Vec<String>>>,
    bodies: Arc<Mutex<Vec<usize>>>,
) {
    let mut known = false;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let line = head.lines().next().unwrap().to_owned();
        let note = |what: &str| log.lock().unwrap().push(format!("{id} {line} {what}"));
        let token = field(&head, "proxy-authorization").and_then(|value| value.strip_prefix("NTLM "));
        let token = token.map(|token| BASE64_STANDARD.decode(token).unwrap());
        let mut challenge = "NTLM".to_owned();
        match &token {
            Some(message) if message[8] == 1 => {
                first.clone_from(message);
                second = type_2(manners.timestamp);
                challenge = format!("NTLM {}", BASE64_STANDARD.encode(&second));
                note("challenged");
            }
            Some(message) => {
                known = holds(&first, &second, message, manners.timestamp);
                note(if known { "known" } else { "wrong" });
            }
            None if known => note("passes"),
            None => note("407"),
        }
        if !known {
            let close = if manners.closes && token.is_none() { "Connection: close\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 407 Who\r\nProxy-Authenticate: {challenge}\r\n{close}Content-Length: {}\r\n\r\n{PAGE}",
                PAGE.len()
            );
            // Nobody answers a HEAD with a page.
            let answer = if line.starts_with("HEAD") { answer.strip_suffix(PAGE).unwrap() } else { &answer };
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !close.is_empty() {
                return;
            }
            continue;
        }
        if let Some(rest) = line.strip_prefix("CONNECT ") {
            let mut origin = TcpStream::connect(rest.split(' ').next().unwrap()).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
            return;
        }
        let mut body = vec![0; field(&head, "content-length").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await.unwrap();
        bodies.lock().unwrap().extend((!body.is_empty()).then_some(body.len()));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfrom-parent").await.unwrap();
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Its challenge: Unicode, extended security, and what it says of itself.
fn type_2(timestamp: bool) -> Vec<u8> {
    let mut info = [&[2, 0, 8, 0], utf16("CORP").as_slice()].concat();
    if timestamp {
        info.extend([7, 0, 8, 0]);
        info.extend(133_000_000_000_000_000u64.to_le_bytes());
    }
    info.extend([0; 4]);
    let length = u16::try_from(info.len()).unwrap().to_le_bytes();
    let flags = 0x0088_0201u32.to_le_bytes();
    let head =
        [b"NTLMSSP\0".as_slice(), &[2, 0, 0, 0], &[0, 0, 0, 0, 56, 0, 0, 0], &flags, &CHALLENGE, &[0; 8]].concat();
    [head.as_slice(), &length, &length, &[56, 0, 0, 0], &[0; 8], &info].concat()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Whether the third message proves that the password is known (MS-NLMP section 3.2.5.1.2).
fn holds(first: &[u8], second: &[u8], third: &[u8], mic: bool) -> bool {
    let text = |at: usize| {
        let length = usize::from(u16::from_le_bytes([third[at], third[at + 1]]));
        let start = u32::from_le_bytes(third[at + 4..at + 8].try_into().unwrap()) as usize;
        &third[start..start + length]
    };
    assert_eq!((text(28), text(36)), (utf16("CORP").as_slice(), utf16("Jane").as_slice()));
    let key = hmac(&hex::decode(HASH).unwrap(), &[&utf16("JANE"), &utf16("CORP")]);
    let (proof, covered) = text(20).split_at(16);
    let mut whole = third.to_vec();
    whole[72..88].fill(0);
    let expected = hmac(&hmac(&key, &[proof]), &[first, second, &whole]);
    let mic_holds = !mic || third[72..88] == expected[..];
    let proves = proof == hmac(&key, &[&CHALLENGE, covered]);
    assert_eq!(proves, mic_holds, "the proof and the MIC are of one key");
    proves
}

#[tokio::test]
async fn one_handshake_serves_the_plain_requests_of_a_connection() {
    for manners in [Manners { timestamp: true, closes: false }, Manners { timestamp: false, closes: true }] {
        let parent = NtlmProxy::start(manners, "password").await;
        let bed = parent.bed().await;
        for number in 0..6 {
            let answer = bed.get(&format!("http://pkgs.example.org/{number}")).await;
            assert!(answer.ends_with("from-parent"), "{answer}");
        }
        let log = parent.log();
        assert_eq!(parent.count("407"), 1, "{log:?}");
        assert_eq!((parent.count("challenged"), parent.count("known"), parent.count("passes")), (1, 1, 5), "{log:?}");
    }
}

#[tokio::test]
async fn many_at_once_share_few_connections_and_one_question() {
    let parent = NtlmProxy::start(Manners { timestamp: true, closes: false }, "password").await;
    let bed = parent.bed().await;
    let urls: Vec<_> = (0..12).map(|number| format!("http://pkgs.example.org/{number}")).collect();
    let answers = futures_util::future::join_all(urls.iter().map(|url| bed.get(url))).await;
    assert!(answers.iter().all(|answer| answer.ends_with("from-parent")), "{answers:?}");
    let log = parent.log();
    assert_eq!(parent.count("407"), 1, "{log:?}");
    assert_eq!(parent.count("known") + parent.count("passes"), 12, "{log:?}");
    assert_eq!(parent.count("challenged"), parent.count("known"), "{log:?}");
}

#[tokio::test]
async fn each_tunnel_has_a_handshake_and_only_the_first_a_question() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[], |_| http::Response::new(http_body_util::Full::from("hello"))).await;
    let roots = tempfile::tempdir().unwrap();
    let file = ca.file(roots.path());
    for closes in [false, true] {
        let parent = NtlmProxy::start(Manners { timestamp: true, closes }, "password").await;
        let upstream = Upstream::all(&parent.url, "").unwrap();
        let bed = Bed::new(|config| {
            config.upstream = upstream;
            config.extra_roots.push(file.clone());
            config.connect_ports.push(origin.port());
            config.tunnel.push("localhost".parse().unwrap());
        })
        .await;
        for _ in 0..3 {
            let stream = bed.connect(&format!("localhost:{}", origin.port())).await;
            let mut stream = crate::support::tls(stream, "localhost", &[], vec![ca.root()], true).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            assert!(read_all(&mut stream).await.ends_with("hello"));
        }
        let log = parent.log();
        assert_eq!((parent.count("407"), parent.count("challenged"), parent.count("known")), (1, 3, 3), "{log:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_shown_once() {
    let parent = NtlmProxy::start(Manners { timestamp: true, closes: false }, "Password").await;
    let bed = parent.bed().await;
    for number in 0..4 {
        let answer = bed.get(&format!("http://pkgs.example.org/{number}")).await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("password in its URL is wrong"), "{answer}");
        assert!(answer.contains("offers NTLM") && !answer.contains("Password@"), "{answer}");
    }
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut stream).await.contains("is wrong"));
    assert_eq!(parent.count("wrong"), 1, "{:?}", parent.log());
}

#[tokio::test]
async fn a_body_is_sent_once_and_whole() {
    const LENGTH: usize = 300_000;
    for known_before in [false, true] {
        let parent = NtlmProxy::start(Manners { timestamp: true, closes: false }, "password").await;
        let bed = parent.bed().await;
        if known_before {
            bed.get("http://pkgs.example.org/").await;
        }
        for _ in 0..2 {
            let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
            let head = format!(
                "POST http://pkgs.example.org/up HTTP/1.1\r\nHost: pkgs.example.org\r\nContent-Length: {LENGTH}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&vec![b'x'; LENGTH]).await.unwrap();
            let answer = read_head(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}: {:?}", parent.log());
        }
        assert_eq!(*parent.bodies.lock().unwrap(), [LENGTH, LENGTH], "{:?}", parent.log());
    }
}
