//! Clients that lie about where their messages end, or never end them: in the clear, and inside an intercepted CONNECT.
//! What counts is what the origin is sent.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::leg::{LEGS, Leg, OK, one_request};
use crate::support::read_all;

/// Follows what must not be taken for whole.
const SMUGGLED: &str = "GET {}/smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n";

/// The body that the origin is sent, or `None` where it must be sent nothing at all.
type Expected = Option<&'static str>;

/// Has each request sent, followed by a smuggled one. At most the first may arrive, whole and framed anew.
async fn check(requests: &[(&str, Expected)]) {
    for (request, expected) in requests {
        for inside in LEGS {
            let leg = Leg::new(inside, OK).await;
            let answer = leg.say(&format!("{request}{SMUGGLED}")).await;
            let carried = leg.over().await;
            let what = format!("{request:?}, inside: {inside}: {answer}");
            assert!(!carried.iter().any(|one| one.starts_with("GET /smuggled")), "{what}: {carried:?}");
            match expected {
                Some(body) => {
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{what}");
                    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}");
                    assert_eq!(carried.len(), 1, "{what}: {carried:?}");
                    let (line, _, sent) = one_request(&carried[0]);
                    assert!(line.ends_with(" /a"), "{what}: {line}");
                    let sent = sent.trim_start_matches("5\r\n").trim_end_matches("0\r\n\r\n").trim_end();
                    assert_eq!(sent, *body, "{what}");
                }
                None => {
                    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}");
                    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{what}");
                    assert_eq!(carried, [""; 0], "{what}");
                }
            }
        }
    }
}

macro_rules! post {
    ($fields:literal, $body:literal) => {
        concat!("POST {}/a HTTP/1.1\r\nHost: {host}\r\n", $fields, "\r\n\r\n", $body)
    };
}

/// hyper goes by the chunks, as the standard demands, and closes: what follows them is read by nobody.
#[tokio::test]
async fn a_length_beside_chunks_is_one_request_and_the_last() {
    check(&[
        (post!("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), Some("")),
        (post!("Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n"), Some("")),
        (post!("Transfer-Encoding: chunked\r\nContent-Length: 100", "5\r\nhello\r\n0\r\n\r\n"), Some("hello")),
    ])
    .await;
}

#[tokio::test]
async fn lengths_are_one_or_equal() {
    check(&[
        (post!("Content-Length: 5\r\nContent-Length: 5\r\nConnection: close", "hello"), Some("hello")),
        (post!("Content-Length: 5\r\nContent-Length: 6", "hello"), None),
        (post!("Content-Length: 6\r\nContent-Length: 5", "hello"), None),
        (post!("Content-Length: 5, 5", "hello"), None),
        (post!("Content-Length: +5", "hello"), None),
        (post!("Content-Length: -5", "hello"), None),
        (post!("Content-Length: 0x5", "hello"), None),
        (post!("Content-Length: 5 5", "hello"), None),
        (post!("Content-Length: 99999999999999999999", "hello"), None),
    ])
    .await;
}

#[tokio::test]
async fn the_only_transfer_coding_is_chunked() {
    check(&[
        (post!("Transfer-Encoding: CHUNKED\r\nConnection: close", "5\r\nhello\r\n0\r\n\r\n"), Some("hello")),
        (post!("Transfer-Encoding:  chunked \r\nConnection: close", "5\r\nhello\r\n0\r\n\r\n"), Some("hello")),
        (post!("Transfer-Encoding: chunked, chunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: identity, chunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: chunked, identity", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: gzip, chunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: chunked;q=1", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: xchunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: \x0bchunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: \"chunked\"", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding:", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        ("POST {}/a HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", None),
    ])
    .await;
}

/// Line ends without CR are read as what they can only mean (RFC 9112 section 2.2); nothing else is.
#[tokio::test]
async fn signs_that_do_not_belong_into_a_head_end_it() {
    check(&[
        ("GET {}/a HTTP/1.1\nHost: {host}\nConnection: close\n\n", Some("")),
        (post!("X-A: b\rTransfer-Encoding: chunked", ""), None),
        (post!("X-A: b\0c", ""), None),
        (post!("X-A: b\r\n folded", ""), None),
        (post!(" X-A: b", ""), None),
        (post!("X-A : b", ""), None),
        (post!("Content-Length : 5", "hello"), None),
        (post!("Transfer-Encoding : chunked", "5\r\nhello\r\n0\r\n\r\n"), None),
        (post!("X A: b", ""), None),
        (post!(": b", ""), None),
        (post!("X-A", ""), None),
        ("GET {}/a\tb HTTP/1.1\r\nHost: {host}\r\n\r\n", None),
        ("GET {}/a b HTTP/1.1\r\nHost: {host}\r\n\r\n", None),
        ("GET  {}/a HTTP/1.1\r\nHost: {host}\r\n\r\n", None),
        ("GET\0 {}/a HTTP/1.1\r\nHost: {host}\r\n\r\n", None),
    ])
    .await;
}

/// Of chunks that cannot be read the head has gone to the origin by then, and maybe some data; never an end, so that it
/// cannot be taken for whole.
#[tokio::test]
async fn chunks_that_cannot_be_read_end_both_connections() {
    for body in [
        "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\rX\r\n",
    ] {
        for inside in LEGS {
            let leg = Leg::new(inside, OK).await;
            let head = "POST {}/a HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n";
            let answer = leg.say(&format!("{head}{body}{SMUGGLED}")).await;
            let carried = leg.over().await;
            assert!(!answer.contains(" 200 "), "{body:?}: {answer}");
            assert!(carried.len() <= 1, "{body:?}: {carried:?}");
            for sent in carried {
                assert!(sent.starts_with("POST /a "), "{body:?}: {sent:?}");
                let rest = sent.split_once("\r\n\r\n").unwrap().1;
                assert!(!rest.ends_with("0\r\n\r\n") && !rest.contains("smuggled"), "{body:?}: {sent:?}");
            }
        }
    }
}

/// What follows the head of a refused request is its body, however long, and never a request.
#[tokio::test]
async fn a_body_that_is_not_read_is_no_request() {
    for inside in LEGS {
        for size in [200, 60_000, 70_000, 1_000_000] {
            for (target, status) in [("Host: elsewhere.example.org", "4"), ("Host: a\r\nHost: b", "400")] {
                let leg = Leg::with(inside, OK, |config| {
                    config.deny.push("elsewhere.example.org".parse().unwrap());
                })
                .await;
                let before = if inside { "" } else { "http://elsewhere.example.org" };
                let smuggled = leg.text(SMUGGLED);
                let body = smuggled.repeat(size / smuggled.len() + 1);
                for framing in [
                    format!("Content-Length: {}\r\n\r\n{body}", body.len()),
                    format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                ] {
                    let text = format!("POST {before}/ HTTP/1.1\r\n{target}\r\n{framing}");
                    let next = "GET {}/next HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n";
                    let answer = leg.say(&format!("{text}{next}")).await;
                    // A reset may take the answer with it; it is never another's.
                    assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
                }
                for carried in leg.over().await {
                    assert_eq!(one_request(&carried).0, "GET /next");
                }
            }
        }
    }
}

/// A CONNECT has no meaning inside another, and what follows it none either.
#[tokio::test]
async fn a_connect_inside_a_connect_ends_the_connection() {
    let leg = Leg::new(true, OK).await;
    for framing in ["", "Content-Length: 5\r\n", "Transfer-Encoding: chunked, chunked\r\n"] {
        let text =
            format!("CONNECT {{host}} HTTP/1.1\r\nHost: {{host}}\r\n{framing}\r\n5\r\nhello\r\n0\r\n\r\n{SMUGGLED}");
        let answer = leg.say(&text).await;
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.matches("HTTP/1.1 ").count() == 1, "{answer}");
    }
    assert_eq!(leg.over().await, [""; 0]);
}

/// A body that nobody wants is not read on: the connection ends.
#[tokio::test]
async fn a_refused_body_without_end_is_cut_off() {
    /// The sockets' buffers on both sides, and some.
    const MOST: usize = 24 << 20;
    for inside in LEGS {
        let leg = Leg::new(inside, OK).await;
        let mut stream = leg.open().await;
        let before = if inside { "" } else { "http://h" };
        let head = format!("POST {before}/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut sent, chunk) = (0, vec![b'x'; 64 * 1024]);
        while timeout(Duration::from_secs(10), stream.write_all(&chunk)).await.expect("it is held open").is_ok() {
            sent += chunk.len();
            assert!(sent < MOST, "it reads on");
        }
        assert_eq!(leg.over().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_request_behind_an_upgrade_that_is_refused_is_not_sent_on() {
    for inside in LEGS {
        let leg = Leg::new(inside, OK).await;
        let asked = "GET {}/a HTTP/1.1\r\nHost: {host}\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n";
        let answer = leg.say(&format!("{asked}{SMUGGLED}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
        let carried = leg.over().await;
        assert_eq!(carried.len(), 1, "{carried:?}");
        assert_eq!(one_request(&carried[0]).0, "GET /a");
    }
}

/// A client that asks for leave and never sends the body holds its place no longer than any silent one.
#[tokio::test]
async fn leave_that_is_never_used_runs_out() {
    for inside in LEGS {
        let leg = Leg::with(inside, OK, |config| config.timeouts.idle = Duration::from_millis(300)).await;
        let asked = "POST {}/a HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        let mut streams = Vec::new();
        for _ in 0..20 {
            let mut stream = leg.open().await;
            stream.write_all(leg.text(asked).as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            streams.push(stream);
        }
        for mut stream in streams {
            let answer = read_all(&mut stream).await;
            let last = answer.rsplit("HTTP/1.1 ").next().unwrap();
            assert!(last.starts_with("408 "), "{answer}");
        }
        assert!(leg.bed.proxy.in_flight().is_empty());
        let next = leg.say("GET {}/next HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").await;
        assert!(next.ends_with("ok"), "{next}");
        for carried in leg.over().await {
            assert!(carried.starts_with("GET /next ") || carried.ends_with("\r\n\r\n"), "{carried:?}");
        }
    }
}

/// What is said of this connection, what could make an origin or a cache answer for another place, and who the client is
/// to this proxy: none of it goes on; what frames the message and names its target does, whatever `Connection` says.
#[tokio::test]
async fn fields_of_the_hop_and_claims_about_the_origin_stay_here() {
    const GONE: [&str; 25] = [
        "Proxy",
        "X-Secret",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "Upgrade",
        "HTTP2-Settings",
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-Prefix",
        "X-Forwarded-Path",
        "X-Forwarded-Scheme",
        "X-Original-URL",
        "X-Original-Host",
        "X-Rewrite-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Host",
        "X-Real-IP",
        "True-Client-IP",
    ];
    for inside in LEGS {
        for upgrade in [false, true] {
            let leg = Leg::new(inside, OK).await;
            let claims = GONE.iter().filter(|name| **name != "Upgrade").map(|name| format!("{name}: 1\r\n"));
            let claims = claims.collect::<Vec<_>>().concat();
            let switch = if upgrade { "Upgrade: foo\r\nConnection: upgrade\r\n" } else { "Upgrade: h2c\r\n" };
            let (method, length) = if upgrade { ("GET", "") } else { ("POST", "Content-Length: 5\r\n") };
            let text = format!(
                "{method} {{}}/a HTTP/1.1\r\nHost: {{host}}\r\n{length}Connection: close, X-Secret, content-length, host\r\n\
                 Connection: transfer-encoding\r\n{switch}TE: gzip\r\nX-End: kept\r\n{claims}\r\n{}",
                if upgrade { "" } else { "hello" }
            );
            let answer = leg.say(&text).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            let host = leg.authority.clone();
            let carried = leg.over().await;
            assert_eq!(carried.len(), 1, "{carried:?}");
            let (_, head, body) = one_request(&carried[0]);
            assert_eq!(body, if upgrade { "" } else { "hello" });
            assert!(head.contains(&format!("host: {host}\r\n")) && head.contains("x-end: kept"), "{head}");
            for name in GONE {
                let name = name.to_ascii_lowercase();
                let is_there = head.lines().any(|line| line.starts_with(&format!("{name}:")));
                assert_eq!(is_there, upgrade && name == "upgrade", "{name}: {head}");
            }
            assert!(!head.contains("te: gzip"), "{head}");
        }
    }
}

/// Other versions of HTTP are answered with 400, or not at all, at once.
#[tokio::test]
async fn other_versions_are_not_spoken() {
    for inside in LEGS {
        let leg = Leg::new(inside, OK).await;
        for text in [
            "GET {}/a\r\n",
            "GET {}/a\r\n\r\n",
            "GET {}/a HTTP/0.9\r\n\r\n",
            "GET {}/a HTTP/1.2\r\nHost: {host}\r\n\r\n",
            "GET {}/a HTTP/2.0\r\nHost: {host}\r\n\r\n",
            "GET {}/a HTTP/1.1x\r\nHost: {host}\r\n\r\n",
            "GET {}/a HTTP/11\r\nHost: {host}\r\n\r\n",
            "GET {}/a http/1.1\r\nHost: {host}\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        ] {
            let answer = leg.say(text).await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{text:?}: {answer}");
        }
        assert_eq!(leg.over().await, [""; 0]);
    }
}

#[tokio::test]
async fn a_client_of_http10_keeps_its_connection_only_where_it_asks_to() {
    for inside in LEGS {
        let leg = Leg::new(inside, OK).await;
        let kept = "GET {}/a HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n";
        let not = "GET {}/a HTTP/1.0\r\nHost: {host}\r\n\r\n";
        assert_eq!(leg.say(&format!("{kept}{not}{SMUGGLED}")).await.matches("\r\n\r\nok").count(), 2);
        let carried = leg.over().await;
        assert_eq!(carried.len(), 2, "{carried:?}");
        for one in &carried {
            assert_eq!(one_request(one).0, "GET /a");
        }
    }
}

/// A byte now and then does not keep a connection: the whole head has its time, and so has a TLS hello.
#[tokio::test]
async fn a_head_that_trickles_is_given_up() {
    let hello = [&[0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3][..], &[7; 200]].concat();
    let head = [b"GET http://example.org/ HTTP/1.1\r\nX-Long: ".as_slice(), &[b'a'; 200]].concat();
    for (inside, begun, bytes) in [(false, false, head.clone()), (true, true, head), (true, false, hello)] {
        let leg = Leg::with(inside, OK, |config| config.timeouts.client = Duration::from_millis(400)).await;
        let mut stream: Box<dyn crate::leg::Stream> =
            if inside && !begun { Box::new(leg.bed.connect(&leg.authority).await) } else { leg.open().await };
        let mut pace = tokio::time::interval(Duration::from_millis(25));
        let (mut buffer, mut sent) = ([0; 1024], 0);
        loop {
            tokio::select! {
                // Closed, with an answer or without.
                read = stream.read(&mut buffer) => match read {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                },
                _ = pace.tick() => {
                    let byte = *bytes.get(sent).expect("it may trickle for ever");
                    if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                        break;
                    }
                    sent += 1;
                }
            }
        }
        assert_eq!(leg.over().await, [""; 0]);
    }
}

/// Pipelined requests that are requests are each answered, in their order.
#[tokio::test]
async fn honest_pipelining_works() {
    for inside in LEGS {
        let leg = Leg::new(inside, OK).await;
        let one = "POST {}/a HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello";
        let last = "GET {}/b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n";
        let answer = leg.say(&format!("{one}{one}{last}")).await;
        assert_eq!(answer.matches("\r\n\r\nok").count(), 3, "{answer}");
        let lines: Vec<String> = leg.over().await.iter().map(|one| one_request(one).0).collect();
        assert_eq!(lines, ["POST /a", "POST /a", "GET /b"]);
    }
}

/// A head beyond the limits is refused, and read no further than they go.
#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    const MOST: usize = 24 << 20;
    for inside in LEGS {
        for (unit, begin) in [("a", "X: "), ("X-Many: y\r\n", ""), ("a", "{line}")] {
            let leg = Leg::new(inside, OK).await;
            let mut stream = leg.open().await;
            let head = if begin == "{line}" {
                leg.text("GET {}/")
            } else {
                leg.text("GET {}/a HTTP/1.1\r\nHost: {host}\r\n") + begin
            };
            stream.write_all(head.as_bytes()).await.unwrap();
            let (mut sent, chunk) = (0, unit.repeat(64 * 1024 / unit.len()));
            let written = async {
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    sent += chunk.len();
                    assert!(sent < MOST, "it reads on: {unit:?}");
                }
            };
            timeout(Duration::from_secs(10), written).await.expect("it is held open");
            assert_eq!(leg.over().await, [""; 0]);
        }
        // Just within the limits it is served.
        let leg = Leg::new(inside, OK).await;
        let fields = (0..90).map(|number| format!("X-{number}: {}\r\n", "a".repeat(500))).collect::<Vec<_>>().concat();
        let answer =
            leg.say(&format!("GET {{}}/a HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n{fields}\r\n")).await;
        assert!(answer.ends_with("ok"), "{answer}");
        leg.over().await;
    }
}

/// The key is the URL that the request is for, and so is the `Host` upstream; what the client's `Host` says is nothing.
#[tokio::test]
async fn a_lie_in_host_poisons_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = "HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: max-age=60\r\nContent-Length: 2\r\n\r\nok";
    let leg = Leg::with(false, fresh, |config| config.cache_dir = Some(dir.path().join("cache"))).await;
    let port = leg.authority.rsplit(':').next().unwrap().to_owned();
    let ask = async |target: String, host: String| {
        leg.say(&format!("GET http://{target}/x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    };
    let (good, evil) = (leg.authority.clone(), format!("localhost:{port}"));
    ask(good.clone(), evil.clone()).await;
    leg.bed.proxy.cache().drain(Duration::from_secs(5)).await;
    // The other name's own answer is fetched, the good one's is there.
    assert!(ask(evil.clone(), evil.clone()).await.contains("fwd=uri-miss"));
    leg.bed.proxy.cache().drain(Duration::from_secs(5)).await;
    assert!(ask(good.clone(), "third.example.org".to_owned()).await.contains("larder; hit"));
    let carried = leg.over().await;
    let hosts: Vec<bool> =
        carried.iter().map(|one| one_request(one).1.contains(&format!("host: {good}\r\n"))).collect();
    assert_eq!(hosts, [true, false], "{carried:?}");
}
