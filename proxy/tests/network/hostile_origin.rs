//! Origins that send what nobody could want: without an end, or in more than one piece of news. They are in the clear, and
//! behind an intercepted CONNECT with either version of HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::http2::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame, read_frame,
};
use crate::leg::{LEGS, Leg, Stream, one_request};
use crate::support::{Bed, RawOrigin, TestCa, read_all, read_head};

const LIMIT: Duration = Duration::from_secs(20);
/// What an origin may get rid of before it is cut off: the buffers of the sockets, and the limits of heads.
const MOST: usize = 24 << 20;
const ASK: &str = "GET {}/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n";

/// Answers that break off: the client sees it, and the store has nothing of them.
#[tokio::test]
async fn a_broken_answer_is_passed_on_broken_and_not_stored() {
    for body in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        "Transfer-Encoding: chunked\r\n\r\nA\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nFFFFFFFFFFFFFFFFF\r\nx",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0x1\r\nx\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
        // The coding counts, as it should.
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
    ] {
        for inside in LEGS {
            let dir = tempfile::tempdir().unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=60\r\n{body}");
            let mut leg = Leg::with(inside, answer, |config| config.cache_dir = Some(dir.path().join("cache"))).await;
            for _ in 0..2 {
                let got = leg.say(ASK).await;
                let whole = got.starts_with("HTTP/1.1 200 ") && got.ends_with("0\r\n\r\n");
                assert!(!whole && !got.contains("content-length: 5\r\n"), "{body:?}: {got}");
                let flow = leg.bed.flow().await;
                assert!(flow.aborted || flow.status == 502, "{body:?}: {flow:?}");
                leg.bed.proxy.cache().drain(Duration::from_secs(5)).await;
                assert_eq!(leg.bed.proxy.cache().store().unwrap().stats().unwrap().entries, 0, "{body:?}");
            }
            let carried = leg.over().await;
            assert_eq!(carried.len(), 2, "{body:?}: it was answered by the store");
        }
    }
}

/// The chunks are the body, and what is stored has their length.
#[tokio::test]
async fn a_length_of_an_origin_beside_chunks_says_nothing() {
    for length in [3, 5, 50] {
        for inside in LEGS {
            let dir = tempfile::tempdir().unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\
                 Content-Length: {length}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            );
            let leg = Leg::with(inside, answer, |config| config.cache_dir = Some(dir.path().join("cache"))).await;
            let first = leg.say(ASK).await;
            assert!(first.ends_with("5\r\nhello\r\n0\r\n\r\n") && !first.contains("content-length"), "{first}");
            leg.bed.proxy.cache().drain(Duration::from_secs(5)).await;
            let second = leg.say(ASK).await;
            assert!(second.contains("larder; hit") && second.contains("content-length: 5\r\n"), "{second}");
            assert!(second.ends_with("\r\n\r\nhello"), "{second}");
            assert_eq!(leg.over().await.len(), 1);
        }
    }
}

/// What follows an answer on its connection answers nobody.
#[tokio::test]
async fn an_answer_too_many_is_nobodys() {
    for first in ["Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"] {
        for inside in LEGS {
            let evil = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil";
            let leg = Leg::new(inside, format!("HTTP/1.1 200 OK\r\n{first}{evil}")).await;
            for _ in 0..2 {
                let got = leg.say(ASK).await;
                assert!(got.contains("ok") && !got.contains("evil"), "{got}");
            }
            assert_eq!(leg.over().await.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_value_cannot_become_two_fields() {
    for (field, status) in [
        ("X-A: b\rSet-Cookie: c", "502"),
        ("X-A: b\r\n Set-Cookie: c", "502"),
        ("X-A: b\0Set-Cookie: c", "502"),
        ("X-A: b\x0bSet-Cookie: c", "502"),
        ("X\rSet-Cookie: c", "502"),
        ("Location: /%0d%0aSet-Cookie:%20c", "302"),
    ] {
        for inside in LEGS {
            let head = format!("HTTP/1.1 302 Found\r\nConnection: close\r\n{field}\r\nContent-Length: 0\r\n\r\n");
            let leg = Leg::new(inside, head).await;
            let got = leg.say(ASK).await;
            assert!(got.starts_with(&format!("HTTP/1.1 {status} ")), "{field:?}: {got}");
            assert!(!got.to_ascii_lowercase().split(['\r', '\n']).any(|line| line.starts_with("set-cookie:")), "{got}");
            leg.over().await;
        }
    }
}

/// An origin that writes the same for ever, after a beginning; how much it got rid of.
async fn endless(inside: bool, begin: &'static str, unit: &'static str) -> (String, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ca, roots) = (TestCa::new(), tempfile::tempdir().unwrap());
    let (file, acceptor) = (ca.file(roots.path()), ca.acceptor("localhost", &[b"http/1.1"]));
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let origin = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream: Box<dyn Stream> =
            if inside { Box::new(acceptor.accept(stream).await.unwrap()) } else { Box::new(stream) };
        read_head(&mut stream).await;
        let chunk = unit.repeat(64 * 1024 / unit.len());
        if stream.write_all(begin.as_bytes()).await.is_err() {
            return;
        }
        while stream.write_all(chunk.as_bytes()).await.is_ok() {
            assert!(count.fetch_add(chunk.len(), Ordering::Relaxed) < MOST, "{begin:?} {unit:?} is taken without end");
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let bed = Bed::new(|config| {
        config.extra_roots.push(file);
        config.connect_ports.push(port);
        config.cache_dir = Some(dir.path().join("cache"));
    })
    .await;
    let answer = if inside {
        let stream = bed.connect(&format!("localhost:{port}")).await;
        let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
        let head = format!("GET /a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    } else {
        bed.get(&format!("http://127.0.0.1:{port}/a")).await
    };
    timeout(LIMIT, origin).await.expect("the origin may go on").unwrap();
    bed.proxy.cache().drain(Duration::from_secs(5)).await;
    assert_eq!(bed.proxy.cache().store().unwrap().stats().unwrap().entries, 0);
    (answer, written.load(Ordering::Relaxed))
}

#[tokio::test]
async fn what_has_no_end_before_the_body_is_cut_off() {
    for inside in LEGS {
        for (begin, unit) in [
            ("HTTP/1.1 200 OK\r\nX: ", "a"),
            ("HTTP/1.1 200 OK\r\n", "X-Many: y\r\n"),
            ("HTTP/1.1 200 OK\r\n", ": "),
            ("HTTP/1.1 200 ", "reason "),
            ("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
            ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            ("", "HTTP/1.1 102 Processing\r\n\r\n"),
        ] {
            let (answer, _) = endless(inside, begin, unit).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{begin:?} {unit:?}: {answer}");
        }
    }
}

macro_rules! chunked {
    ($body:literal) => {
        concat!("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n", $body)
    };
}

/// The parts of a chunked body that are not data have limits too.
#[tokio::test]
async fn what_has_no_end_between_chunks_is_cut_off() {
    for inside in LEGS {
        for (begin, unit) in [
            (chunked!("5;x="), "a"),
            (chunked!("5\r\nhello\r\n0\r\nX: "), "a"),
            (chunked!("5\r\nhello\r\n0\r\n"), "X-Many: y\r\n"),
        ] {
            let (answer, _) = endless(inside, begin, unit).await;
            assert!(!answer.ends_with("0\r\n\r\n"), "{begin:?} {unit:?}: {answer}");
        }
    }
}

/// A head that comes a byte at a time has its time as a whole.
#[tokio::test]
async fn an_answer_that_trickles_before_its_body_is_given_up() {
    let origin = RawOrigin::start().await;
    let addr = origin.addr;
    // To be connected counts, too.
    let bed = Bed::new(|config| {
        config.timeouts.head = Duration::from_millis(200);
        config.timeouts.connect = Duration::from_millis(50);
    })
    .await;
    let (cut, mut told) = tokio::sync::mpsc::unbounded_channel();
    let origin = tokio::spawn(async move {
        loop {
            let (mut stream, _) = origin.accept().await;
            let cut = cut.clone();
            tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_millis(25));
                let head = b"HTTP/1.1 200 OK\r\nX-Long: ".iter().chain(std::iter::repeat_n(&b'a', 200));
                for byte in head {
                    pace.tick().await;
                    if stream.write_all(&[*byte]).await.is_err() {
                        return cut.send(true);
                    }
                }
                cut.send(false)
            });
        }
    });
    let answer = bed.get(&format!("http://{addr}/a")).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(timeout(LIMIT, told.recv()).await.unwrap().unwrap(), "the connection is kept");
    origin.abort();
}

/// A field of HPACK without its tables.
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// An origin of HTTP/2 alone that answers each HEADERS with `begin`, for the stream it is given, and then with `unit` for
/// ever; what it got rid of in all.
struct Flood {
    port: u16,
    /// Requests that arrived.
    asked: Arc<AtomicUsize>,
    written: Arc<AtomicUsize>,
}

impl Flood {
    async fn start(ca: &TestCa, begin: fn(u32) -> Vec<u8>, unit: Option<fn(u32) -> Vec<u8>>) -> Self {
        Self::with(ca, &[], begin, unit).await
    }

    async fn with(
        ca: &TestCa,
        settings: &'static [u8],
        begin: fn(u32) -> Vec<u8>,
        unit: Option<fn(u32) -> Vec<u8>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = ca.acceptor("localhost", &[b"h2"]);
        let (asked, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (requests, count) = (asked.clone(), written.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, requests, count) = (acceptor.clone(), requests.clone(), count.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    let mut preface = [0; 24];
                    if stream.read_exact(&mut preface).await.is_err() {
                        return;
                    }
                    stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
                    while let Some(got) = read_frame(&mut stream).await {
                        if got.kind == SETTINGS && got.flags & ACK == 0 {
                            let _ = stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await;
                        }
                        if got.kind == HEADERS {
                            requests.fetch_add(1, Ordering::Relaxed);
                            let _ = stream.write_all(&begin(got.stream)).await;
                            // From here on nothing is read.
                            if let Some(unit) = unit {
                                let batch = unit(got.stream).repeat(100);
                                while stream.write_all(&batch).await.is_ok() {
                                    count.fetch_add(batch.len(), Ordering::Relaxed);
                                }
                                return;
                            }
                        }
                        let _ = stream.flush().await;
                    }
                });
            }
        });
        Self { port, asked, written }
    }

    async fn ask(&self, ca: &TestCa) -> (String, Bed) {
        let (mut stream, bed) = self.open(ca).await;
        let head = format!("GET /a HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", self.port);
        stream.write_all(head.as_bytes()).await.unwrap();
        (read_all(&mut stream).await, bed)
    }

    /// A connection to it, by a proxy that does not wait long.
    async fn open(&self, ca: &TestCa) -> (impl Stream + use<>, Bed) {
        let roots = tempfile::tempdir().unwrap();
        let file = ca.file(roots.path());
        // The roots are read on first use.
        std::mem::forget(roots);
        let bed = Bed::new(|config| {
            config.extra_roots.push(file);
            config.connect_ports.push(self.port);
            config.timeouts.head = Duration::from_millis(500);
            config.timeouts.connect = Duration::from_millis(500);
        })
        .await;
        let stream = bed.connect(&format!("localhost:{}", self.port)).await;
        (bed.tls(stream, "localhost", &[]).await.unwrap(), bed)
    }
}

/// Another origin is reached by the same proxy.
async fn still_serves(bed: &Bed) {
    let origin = crate::support::Origin::hello().await;
    assert!(bed.get(&format!("http://{}/", origin.addr)).await.ends_with("hello"));
}

/// Most memory that this process has had, in bytes.
fn memory_peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// The flood ends in an error for who asked, costs no more memory than buffers, and no other origin suffers. How much of
/// it was read is given back: what only the time for a head ends is a matter of the machine.
async fn check_flood(begin: fn(u32) -> Vec<u8>, unit: fn(u32) -> Vec<u8>) -> usize {
    let ca = TestCa::new();
    let flood = Flood::start(&ca, begin, Some(unit)).await;
    let before = memory_peak();
    let (answer, bed) = flood.ask(&ca).await;
    assert!(answer.starts_with("HTTP/1.1 50"), "{answer}");
    assert!(flood.asked.load(Ordering::Relaxed) > 0, "it was never asked: {answer}");
    let grown = memory_peak() - before;
    assert!(grown < MOST, "{grown} bytes of memory");
    still_serves(&bed).await;
    flood.written.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_settings_ends_in_an_error() {
    check_flood(|_| Vec::new(), |_| frame(SETTINGS, 0, 0, &[])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_ends_in_an_error() {
    check_flood(|_| Vec::new(), |_| frame(PING, 0, 0, &[7; 8])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_of_an_origin_without_end_ends_in_an_error() {
    check_flood(|id| frame(HEADERS, 0, id, &[0x88]), |id| frame(CONTINUATION, 0, id, &[])).await;
    let adds_up = |id| frame(CONTINUATION, 0, id, &field("a", "b").repeat(100));
    check_flood(|id| frame(HEADERS, 0, id, &[0x88]), adds_up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_informational_heads_ends_in_an_error() {
    check_flood(|_| Vec::new(), |id| frame(HEADERS, END_HEADERS, id, &field(":status", "103"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_and_windows_ends_in_an_error() {
    for read in [
        check_flood(|_| Vec::new(), |id| frame(RST_STREAM, 0, id, &8_u32.to_be_bytes())).await,
        check_flood(|_| Vec::new(), |_| frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes())).await,
    ] {
        assert!(read < 2 * MOST, "{read} bytes were taken");
    }
}

/// An origin that opens no window for an upload: the client is held back, and told when the time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_without_a_window_is_given_up() {
    let ca = TestCa::new();
    // INITIAL_WINDOW_SIZE is 0.
    let origin = Flood::with(&ca, &[0, 4, 0, 0, 0, 0], |_| Vec::new(), None).await;
    let (stream, bed) = origin.open(&ca).await;
    let (mut read, mut write) = tokio::io::split(stream);
    let head = format!("PUT /a HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: {}\r\n\r\n", origin.port, 1_u64 << 40);
    let writer = tokio::spawn(async move {
        let _ = write.write_all(head.as_bytes()).await;
        let (mut sent, chunk) = (0, vec![b'x'; 64 * 1024]);
        while write.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
            assert!(sent < MOST, "nothing holds it back");
        }
    });
    let answer = read_all(&mut read).await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
    assert!(origin.asked.load(Ordering::Relaxed) > 0);
    timeout(LIMIT, writer).await.expect("it may still write").unwrap();
    still_serves(&bed).await;
}

#[tokio::test]
async fn heads_of_http2_that_could_be_split_are_errors() {
    type Head = fn(u32) -> Vec<u8>;
    let cases: [(&str, Head); 8] = [
        ("a line end in a value", |id| answer(id, &field("x-a", "b\r\nset-cookie: c"))),
        ("a line feed in a value", |id| answer(id, &field("location", "/\nset-cookie: c"))),
        ("a line end in a name", |id| answer(id, &field("x\r\nset-cookie", "c"))),
        ("a colon in a name", |id| answer(id, &field("set-cookie: c\r\nx", "d"))),
        ("a name in capitals", |id| answer(id, &field("Set-Cookie", "c"))),
        ("a field of the connection", |id| answer(id, &field("transfer-encoding", "chunked"))),
        ("a length that is not so", |id| {
            let head = [vec![0x88], field("content-length", "5")].concat();
            [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, END_STREAM, id, b"ok")].concat()
        }),
        ("no status", |id| frame(HEADERS, END_HEADERS | END_STREAM, id, &field("x-a", "b"))),
    ];
    for (name, begin) in cases {
        let ca = TestCa::new();
        let origin = Flood::start(&ca, begin, None).await;
        let (answer, bed) = origin.ask(&ca).await;
        // Before the head has left, nothing is left of it.
        let is_short = answer.contains("content-length: 5") && answer.ends_with("ok");
        let broken = answer.is_empty() || answer.starts_with("HTTP/1.1 502 ") || is_short;
        assert!(broken, "{name}: {answer}");
        assert!(origin.asked.load(Ordering::Relaxed) > 0, "{name}: it was never asked");
        assert!(!answer.lines().any(|line| line.starts_with("set-cookie")), "{name}: {answer}");
        still_serves(&bed).await;
    }
}

fn answer(id: u32, fields: &[u8]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, id, &[&[0x88], fields].concat()), frame(DATA, END_STREAM, id, b"ok")].concat()
}

/// A client of HTTP/2 before an origin of HTTP/1.1: what would be two requests there never is.
#[tokio::test]
async fn requests_of_http2_are_one_request_of_http1() {
    let evil = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let path = |path: &str| [vec![0x83, 0x87], field(":path", path)].concat();
    let plain = || path("/a");
    let cases: Vec<(&str, Vec<u8>, String)> = vec![
        ("a length of none before a body", [plain(), field("content-length", "0")].concat(), evil.to_owned()),
        ("a length that is too small", [plain(), field("content-length", "5")].concat(), format!("hello{evil}")),
        ("a length that is too large", [plain(), field("content-length", "50")].concat(), "hello".to_owned()),
        (
            "two lengths",
            [plain(), field("content-length", "5"), field("content-length", "6")].concat(),
            "hello".to_owned(),
        ),
        ("chunks", [plain(), field("transfer-encoding", "chunked")].concat(), format!("0\r\n\r\n{evil}")),
        ("chunks by another name", [plain(), field("connection", "transfer-encoding")].concat(), String::new()),
        ("a line end in a value", [plain(), field("x-a", &format!("b\r\n\r\n{evil}"))].concat(), String::new()),
        ("a line end in a name", [plain(), field("x-a: b\r\ntransfer-encoding", "chunked")].concat(), String::new()),
        ("a line end in the path", path(&format!("/a HTTP/1.1\r\nHost: x\r\n\r\n{evil}")), String::new()),
        ("a space in the path", path("/a HTTP/1.1 x"), String::new()),
        ("a path that is a URL", path("http://elsewhere.example.org/a"), String::new()),
        (
            "a method of two words",
            [vec![0x87, 0x84], field(":method", "GET / HTTP/1.1\r\nx: y")].concat(),
            String::new(),
        ),
        ("another host", [plain(), field("host", "elsewhere.example.org")].concat(), String::new()),
        ("the word chunked as data", plain(), format!("0\r\n\r\n{evil}")),
    ];
    for (name, head, body) in cases {
        let leg = Leg::new(true, crate::leg::OK).await;
        let mut stream = leg.open_for(&[b"h2"]).await;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let head = [head, field(":authority", &leg.authority)].concat();
        // The authority belongs before the fields that are not the request's own.
        let head = order(&head);
        stream.write_all(&frame(HEADERS, END_HEADERS, 1, &head)).await.unwrap();
        stream.write_all(&frame(DATA, END_STREAM, 1, body.as_bytes())).await.unwrap();
        stream.flush().await.unwrap();
        let mut ended = false;
        while let Some(got) = read_frame(&mut stream).await {
            ended = ended
                || got.kind == GOAWAY
                || (got.stream == 1 && (got.kind == RST_STREAM || got.flags & END_STREAM != 0));
            if ended {
                break;
            }
        }
        drop(stream);
        let all = leg.over().await;
        // One that is honest arrives.
        assert!(name != "the word chunked as data" || all.len() == 1, "{all:?}");
        for carried in all {
            let is_cut = !carried.contains("smuggled") && !carried.ends_with("0\r\n\r\n");
            if name == "the word chunked as data" {
                assert!(one_request(&carried).2.contains("smuggled"), "{name}: {carried:?}");
            } else if name == "a path that is a URL" {
                assert!(one_request(&carried).1.contains("host: localhost"), "{name}: {carried:?}");
            } else {
                assert!(is_cut, "{name}: {carried:?}");
            }
        }
    }
}

/// Pseudo-fields first, in the order given.
fn order(head: &[u8]) -> Vec<u8> {
    let (mut first, mut rest, mut at) = (Vec::new(), Vec::new(), 0);
    while at < head.len() {
        if head[at] & 0x80 != 0 {
            first.push(head[at]);
            at += 1;
            continue;
        }
        let name = usize::from(head[at + 1]);
        let value = usize::from(head[at + 2 + name]);
        let end = at + 3 + name + value;
        let into = if head[at + 2] == b':' { &mut first } else { &mut rest };
        into.extend_from_slice(&head[at..end]);
        at = end;
    }
    [first, rest].concat()
}
