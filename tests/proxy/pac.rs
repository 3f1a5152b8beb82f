//! `larder proxy` with a script that says which proxy to take.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::larder::Larder;
use crate::server::Server;

/// A server that gives every request the same answer, and tells the first line of each; and its address.
fn peer(answer: String) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.find(String::is_empty);
            // Who only looks whether somebody listens says nothing.
            if !first.is_empty() {
                let _ = tell.send(first);
                let _ = stream.write_all(answer.as_bytes());
            }
        }
    });
    (address, told)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn a_script_says_which_proxy_is_taken() {
    let (first, first_told) = peer(ok("by the first"));
    let (second, second_told) = peer(ok("by the second"));
    // Nobody listens there any more.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let script = format!(
        "function FindProxyForURL(url, host) {{
           if (dnsDomainIs(host, '.first.example.org')) return 'PROXY {first}';
           if (shExpMatch(url, 'http://*/pub/*')) return 'QUIC {first}; PROXY {second}';
           if (host == 'loop.example.org') throw new Error('no idea');
           return 'PROXY {dead}; PROXY {first}';
         }}"
    );
    let larder = Larder::new();
    let path = larder.write("proxy.pac", &script);
    let (served, fetched) = peer(ok(&script));
    for place in [path.to_str().unwrap().to_owned(), format!("http://u:geheim@{served}/proxy.pac")] {
        let server = Server::start(Larder::new(), &["--upstream-pac", &place]);
        let table = [
            ("http://a.first.example.org/x", "by the first", &first_told),
            ("http://b.example.org/pub/x", "by the second", &second_told),
            ("http://b.example.org/x", "by the first", &first_told),
        ];
        for (url, body, told) in table {
            let answer = server.curl(&[url]);
            assert_eq!((answer.exit, answer.status), (0, 200), "{url}: {answer:?}");
            assert!(answer.body.contains(body), "{url}: {answer:?}");
            assert_eq!(told.recv().unwrap(), format!("GET {url} HTTP/1.1"));
            assert!(!server.flow().to_string().contains("geheim"));
        }
        let answer = server.curl(&["http://loop.example.org/"]);
        assert_eq!(answer.status, 502, "{answer:?}");
        for part in ["proxy.pac", "no idea", "line 4", "upstream_proxy"] {
            assert!(answer.body.contains(part), "{part}: {answer:?}");
        }
        assert!(!answer.body.contains("geheim"), "{answer:?}");
    }
    assert_eq!(fetched.try_iter().count(), 1, "the script is fetched once, and not by way of itself");
}

#[test]
fn without_a_script_requests_fail_or_go_directly_as_the_user_says() {
    let (origin, _told) = peer(ok("from the origin"));
    let url = format!("http://{origin}/x");
    let server = Server::start(Larder::new(), &["--upstream-pac", "/nonexistent/proxy.pac"]);
    let answer = server.curl(&[&url]);
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.body.contains("/nonexistent/proxy.pac") && answer.body.contains("upstream_pac"), "{answer:?}");
    drop(server);
    let server = Server::with(Larder::new(), &["--upstream-pac", "/nonexistent/proxy.pac"], |command| {
        command.env("LARDER_UPSTREAM_PAC_FAILURE", "direct");
    });
    assert!(server.curl(&[&url]).body.contains("from the origin"));
    drop(server);
    let server =
        Server::start(Larder::new(), &["--upstream-pac", "/nonexistent/proxy.pac", "--no-proxy", "127.0.0.0/8"]);
    assert!(server.curl(&[&url]).body.contains("from the origin"), "NO_PROXY comes before the script");
}
