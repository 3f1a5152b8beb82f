//! Files and servers that change, fail and come back.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::pac::{Directive, Pac, System};

const AT_ONCE: Intervals = Intervals { file: Duration::ZERO, url: Duration::ZERO, failed: Duration::ZERO };

fn reader(source: Source) -> Pac {
    let limits = Limits { time: Duration::from_secs(20), script: 4096, ..Limits::default() };
    Pac::with(source, Vec::new(), limits, AT_ONCE, Arc::new(System))
}

async fn answer(pac: &Pac) -> Result<String, String> {
    let url = Url::parse("http://a.example.org/").unwrap();
    let found = pac.directives(&url).await.map_err(|error| error.to_string())?;
    Ok(found.iter().map(Directive::to_string).collect::<Vec<_>>().join("; "))
}

fn script(proxy: &str) -> String {
    format!("function FindProxyForURL(u, h) {{ return 'PROXY {proxy}:1'; }}")
}

/// A server that answers each request with what the test says at the time, and keeps the requests.
struct Server {
    url: Url,
    answer: Arc<Mutex<Vec<u8>>>,
    heads: Arc<Mutex<Vec<String>>>,
    count: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://user:geheim@{}/proxy.pac?a=b", listener.local_addr().unwrap())).unwrap();
        let server = Self { url, answer: Arc::default(), heads: Arc::default(), count: Arc::default() };
        let (answer, heads, count) = (server.answer.clone(), server.heads.clone(), server.count.clone());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                heads.lock().unwrap().push(String::from_utf8(head).unwrap());
                count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.lock().unwrap().clone();
                let _ = stream.write_all(&answer).await;
            }
        });
        server
    }

    fn answers(&self, status: &str, headers: &str, body: &str) {
        let text =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len());
        *self.answer.lock().unwrap() = text.into_bytes();
    }

    fn last(&self) -> String {
        self.heads.lock().unwrap().last().cloned().unwrap()
    }
}

#[test]
fn sources_are_read() {
    let table = [
        ("wpad", "of WPAD"),
        ("WPAD", "of WPAD"),
        ("/etc/proxy.pac", "/etc/proxy.pac"),
        ("proxy.pac", "proxy.pac"),
        ("file:///etc/a%20b.pac", "/etc/a b.pac"),
        ("http://u:geheim@example.org/p.pac", "http://example.org/p.pac"),
        ("https://example.org/", "https://example.org/"),
    ];
    for (text, expected) in table {
        let source = Source::parse(text).unwrap();
        assert_eq!(source.to_string(), expected);
        assert!(!format!("{source:?}").contains("geheim"));
    }
    for text in ["", "ftp://example.org/p.pac", "http://", "file://other.example.org/x"] {
        assert!(Source::parse(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.pac");
    let pac = reader(Source::File(path.clone()));
    let missing = answer(&pac).await.unwrap_err();
    assert!(missing.contains(path.to_str().unwrap()) && missing.contains("No such file"), "{missing}");
    std::fs::write(&path, script("one")).unwrap();
    assert_eq!(answer(&pac).await.unwrap(), "PROXY one:1");
    std::fs::write(&path, script("another")).unwrap();
    assert_eq!(answer(&pac).await.unwrap(), "PROXY another:1");
    // What is no script does not take the place of one that is.
    for (bytes, why) in [("<html>", "HTML"), ("", "empty"), (&*"x".repeat(5000), "longer than 4096")] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(answer(&pac).await.unwrap(), "PROXY another:1", "{why}");
        let fresh = reader(Source::File(path.clone()));
        let said = answer(&fresh).await.unwrap_err();
        assert!(said.contains(why), "{said}");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(answer(&pac).await.unwrap(), "PROXY another:1");
    let folder = answer(&reader(Source::File(directory.path().to_owned()))).await.unwrap_err();
    assert!(folder.contains("not a file"), "{folder}");
}

#[tokio::test]
async fn a_url_is_kept_fresh_and_its_last_good_script_kept() {
    let server = Server::start().await;
    let pac = reader(Source::Url(server.url.clone()));
    server.answers("503 Busy", "", "later");
    let said = answer(&pac).await.unwrap_err();
    assert!(said.contains("503") && !said.contains("geheim") && !said.contains("user"), "{said}");

    let stamps = "ETag: \"1\"\r\nLast-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\n";
    server.answers("200 OK", stamps, &script("one"));
    assert_eq!(answer(&pac).await.unwrap(), "PROXY one:1");
    let head = server.last().to_lowercase();
    assert!(head.starts_with("get /proxy.pac?a=b http/1.1") && head.contains("basic dxnlcjpnzwhlaw0="), "{head}");
    assert!(!head.contains("if-none-match"), "{head}");

    server.answers("304 Not Modified", "", "");
    assert_eq!(answer(&pac).await.unwrap(), "PROXY one:1");
    let head = server.last().to_lowercase();
    assert!(head.contains("if-none-match: \"1\"") && head.contains("if-modified-since: mon, 23 nov 2026"), "{head}");

    for (status, body) in [("500 Oops", "x"), ("200 OK", "<html>Sign in</html>"), ("404 Not Found", "")] {
        server.answers(status, "", body);
        assert_eq!(answer(&pac).await.unwrap(), "PROXY one:1", "{status}");
    }
    server.answers("200 OK", "", &script("two"));
    assert_eq!(answer(&pac).await.unwrap(), "PROXY two:1");
}

#[tokio::test]
async fn a_server_that_means_ill_is_bounded() {
    let server = Server::start().await;
    let table = [
        ("200 OK", String::new(), "x".repeat(5000), "longer than 4096 bytes"),
        ("302 Found", format!("Location: {}\r\n", server.url), String::new(), "redirects more than 5 times"),
        ("302 Found", "Location: file:///etc/passwd\r\n".to_owned(), String::new(), "only http and https"),
        ("302 Found", "Location: ftp://127.0.0.1/\r\n".to_owned(), String::new(), "only http and https"),
        ("302 Found", "Location: http://\r\n".to_owned(), String::new(), "no URL"),
        ("407 Proxy Authentication Required", String::new(), String::new(), "407"),
    ];
    for (status, headers, body, expected) in table {
        server.answers(status, &headers, &body);
        let said = answer(&reader(Source::Url(server.url.clone()))).await.unwrap_err();
        assert!(said.contains(expected), "{status} {headers}: {said}");
    }
    *server.answer.lock().unwrap() = b"SSH-2.0-x\r\n".to_vec();
    let said = answer(&reader(Source::Url(server.url.clone()))).await.unwrap_err();
    assert!(said.contains("no proper answer"), "{said}");
    *server.answer.lock().unwrap() = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfunction".to_vec();
    let said = answer(&reader(Source::Url(server.url.clone()))).await.unwrap_err();
    assert!(said.contains("did not arrive whole"), "{said}");
}

#[tokio::test]
async fn many_at_once_fetch_once() {
    let server = Server::start().await;
    server.answers("200 OK", "Cache-Control: max-age=60\r\n", &script("one"));
    let intervals = Intervals::default();
    let pac = Pac::with(Source::Url(server.url.clone()), Vec::new(), Limits::default(), intervals, Arc::new(System));
    let all = futures_util::future::join_all((0..20).map(|_| answer(&pac))).await;
    assert!(all.iter().all(|answer| answer.as_deref() == Ok("PROXY one:1")), "{all:?}");
    assert_eq!(server.count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_happens_without_a_route_is_for_the_user_to_say() {
    let url = Url::parse("https://a.example.org/").unwrap();
    let missing = || reader(Source::File("/nonexistent/proxy.pac".into()));
    assert!(missing().routes(&url).await.is_err());
    let direct = missing().fallback(crate::pac::Fallback::Direct).routes(&url).await.unwrap();
    assert!(direct.len() == 1 && direct[0].is_direct());
}
