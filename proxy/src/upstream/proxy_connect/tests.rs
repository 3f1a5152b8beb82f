use tokio::io::DuplexStream;

use super::super::auth::{Auths, Secrets};
use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn proxy(user: &str) -> (ProxyUrl, Arc<ProxyAuth>) {
    let proxy = ProxyUrl::parse(&format!("http://{user}proxy.example.org:3128"), "test").unwrap();
    let auth = Auths::new(Vec::new(), Secrets::default()).of(&proxy);
    (proxy, auth)
}

async fn request(peer: &mut DuplexStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if peer.read_buf(&mut request).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(request).unwrap()
}

/// Gives these answers to one request each, then closes. Returns the requests, and what came of it.
async fn talk(
    answers: &[&'static [u8]],
    proxy: &ProxyUrl,
    auth: &Arc<ProxyAuth>,
) -> (Vec<String>, Result<Vec<u8>, UpstreamError>) {
    let (client, mut peer) = tokio::io::duplex(256 * 1024);
    let answers = answers.to_vec();
    let peer = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            requests.push(request(&mut peer).await);
            peer.write_all(answer).await.unwrap();
        }
        requests
    });
    let result = match connect(client, proxy, auth, "2001:db8::1", 443, LIMIT).await {
        Ok(mut stream) => {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            Ok(rest)
        }
        Err(error) => Err(error),
    };
    (peer.await.unwrap(), result)
}

const BASIC: &[u8] = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test]
async fn bytes_after_the_head_belong_to_the_tunnel() {
    for (answer, expected) in [
        (&[&b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhello"[..]][..], &b"hello"[..]),
        (&[b"HTTP/1.1 204\r\n\r\n"], b""),
        (&[b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx"], b"x"),
    ] {
        let (url, auth) = proxy("u:p@");
        let (requests, result) = talk(answer, &url, &auth).await;
        assert_eq!(result.unwrap(), expected);
        assert_eq!(requests, ["CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"]);
    }
}

#[tokio::test]
async fn credentials_go_on_the_same_connection_and_the_next_time_at_once() {
    const CHUNKED: &[u8] =
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nTransfer-Encoding: chunked\r\n\
        \r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    for challenge in [&[BASIC, b"HTTP/1.1 200 OK\r\n\r\nTLS"][..], &[CHUNKED, b"HTTP/1.1 200 OK\r\n\r\nTLS"]] {
        let (url, auth) = proxy("u:p@");
        let (requests, result) = talk(challenge, &url, &auth).await;
        assert_eq!(result.unwrap(), b"TLS");
        assert!(!requests[0].contains("Proxy-Authorization"), "not before it is asked for");
        assert!(requests[1].contains("\r\nProxy-Authorization: Basic dTpw\r\n"), "{requests:?}");
        let (requests, result) = talk(&[b"HTTP/1.1 200 OK\r\n\r\n"], &url, &auth).await;
        assert!(result.is_ok() && requests[0].contains("Basic dTpw"), "{requests:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_closes_is_asked_on_another_connection() {
    const CLOSES: [&[u8]; 4] = [
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\nsome page",
        // It says nothing of it, and closes.
        BASIC,
    ];
    for closes in &CLOSES {
        let (url, auth) = proxy("u:p@");
        let (_, result) = talk(std::slice::from_ref(closes), &url, &auth).await;
        assert!(is_asked_again(&result.unwrap_err()));
        let (requests, result) = talk(&[b"HTTP/1.1 200 OK\r\n\r\n"], &url, &auth).await;
        assert!(result.is_ok() && requests[0].contains("Basic dTpw"), "{requests:?}");
    }
}

#[tokio::test]
async fn a_refusal_says_why() {
    for (user, answers, expected) in [
        ("u:geheim@", &[BASIC, BASIC][..], "is wrong"),
        ("u:geheim@", &[BASIC, b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"], "is wrong"),
        ("", &[BASIC], "put user and password into its URL"),
        ("u:p@", &[b"HTTP/1.1 407 No\r\nProxy-Authenticate: Bearer\r\n\r\n"], "ask for another proxy"),
        ("u:p@", &[b"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n", NTLM_CLOSES], "middle"),
        ("", &[b"HTTP/1.1 502 Bad\x1b gateway\r\n\r\n"], "refused: HTTP/1.1 502 Bad gateway"),
        ("", &[b"<html>"], "without answering"),
        ("", &[b"SSH-2.0\r\n\r\n"], "not HTTP"),
    ] {
        let (url, auth) = proxy(user);
        let (_, result) = talk(answers, &url, &auth).await;
        let error = result.unwrap_err();
        assert!(matches!(error.phase, Phase::Proxy | Phase::ProxyAnswered(407 | 502)), "{:?}", error.phase);
        assert!(error.message.contains(expected), "{expected}: {}", error.message);
        assert!(!is_asked_again(&error) && !error.message.contains("geheim"), "{}", error.message);
    }
}

const NTLM_CLOSES: &[u8] = b"HTTP/1.1 407 No\r\nConnection: close\r\nContent-Length: 0\r\nProxy-Authenticate: NTLM \
    TlRMTVNTUAACAAAAAAAAADgAAAABAoAAASNFZ4mrze8AAAAAAAAAAAAAAAA4AAAAAAAAAAAAAAA=\r\n\r\n";

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let (url, auth) = proxy("");
    let (client, mut peer) = tokio::io::duplex(1024);
    let flood = tokio::spawn(async move { while peer.write_all(b"HTTP/1.1 200 OK\r\nX: yyyyyyyy").await.is_ok() {} });
    let error = connect(client, &url, &auth, "h", 443, LIMIT).await.unwrap_err();
    assert!(error.message.contains("no end"), "{}", error.message);
    flood.await.unwrap();
    let (client, mut peer) = tokio::io::duplex(1024);
    let flood = tokio::spawn(async move {
        let head = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.write_all(head).await.unwrap();
        while peer.write_all(b"3\r\nabc\r\n").await.is_ok() {}
    });
    let (url, auth) = proxy("u:p@");
    let error = connect(client, &url, &auth, "h", 443, LIMIT).await.unwrap_err();
    assert!(is_asked_again(&error), "{}", error.message);
    flood.await.unwrap();
}

#[tokio::test]
async fn a_silent_proxy_is_left_after_the_limit() {
    let (url, auth) = proxy("");
    let (client, _peer) = tokio::io::duplex(1024);
    let error = connect(client, &url, &auth, "h", 443, Duration::from_millis(20)).await.unwrap_err();
    assert!(error.message.contains("within 0 s"), "{}", error.message);
}
