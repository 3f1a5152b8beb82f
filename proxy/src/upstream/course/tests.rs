//! When the next way is taken, and when not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::body;
use crate::config::Config;
use crate::identity::Client;
use crate::proxy::Proxy;
use crate::upstream::auth::{Password, ProxyLogin};
use crate::upstream::choice::Upstream;

const PATIENCE: Duration = Duration::from_secs(1);

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The next request's head.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(bytes).unwrap())
}

async fn say(stream: &mut TcpStream, head: &str, body: &str) {
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.unwrap();
}

/// A proxy that asks for nothing, and answers everything itself.
async fn other() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while head(&mut stream).await.is_some() {
                    say(&mut stream, "200 OK", "the other way").await;
                }
            });
        }
    });
    address
}

/// The body that is got by these ways, with this password for the proxy at `of`.
async fn get(ways: &str, of: SocketAddr, password: Password) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path().join("ca"));
    config.upstream = Upstream::of_text(ways, "", "test").unwrap();
    config.timeouts.patience = PATIENCE;
    config.proxy_logins = vec![ProxyLogin {
        host: of.ip().to_string(),
        port: Some(of.port()),
        user: Some("user".to_owned()),
        password: Some(password),
        schemes: None,
        service: None,
        place: "the test".to_owned(),
    }];
    let proxy = Proxy::start(config, Arc::new(|_| {})).await.unwrap();
    let request = Request::get("http://example.org/").body(body::empty()).unwrap();
    let answer = proxy.request(request, &Client::host("test")).await;
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn waiting_for_a_password_of_our_own_says_nothing_against_a_way() {
    let (listener, asking) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Some(head) = head(&mut stream).await {
                    match (head.starts_with("CONNECT "), head.contains("Proxy-Authorization: ")) {
                        (true, false) => {
                            let asked = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"";
                            say(&mut stream, asked, "").await;
                        }
                        // From here on it plays the second of the chain.
                        (true, true) => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap(),
                        (false, _) => say(&mut stream, "200 OK", "the first way").await,
                    }
                }
            });
        }
    });
    let ways = format!("http://{asking} > http://192.0.2.1:3128, http://{}", other().await);
    // Longer than a way may take.
    let command = format!("sleep {}; echo secret", PATIENCE.as_secs_f32() * 1.5);
    assert_eq!(get(&ways, asking, Password::Command(command)).await, "the first way");
}

#[tokio::test]
async fn a_proxy_of_ntlm_that_is_gone_is_passed_over() {
    let (listener, asking) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(listener);
        while head(&mut stream).await.is_some() {
            say(&mut stream, "407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM", "").await;
        }
    });
    let ways = format!("http://{asking}, http://{}", other().await);
    assert_eq!(get(&ways, asking, Password::Known("secret".to_owned())).await, "the other way");
}
