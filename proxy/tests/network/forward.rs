use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use larder_proxy::body;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::mirror::Mirror;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{Bed, Origin};

#[tokio::test]
async fn a_plain_request_is_passed_on_and_recorded() {
    let origin = Origin::hello().await;
    let mut bed = Bed::new(|_| {}).await;
    let url = format!("http://{}/a?token=secret&x=1", origin.addr);
    let answer = bed.get(&url).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("hello"), "{answer}");
    let seen = &origin.seen()[0];
    assert_eq!(seen.uri.to_string(), "/a?token=secret&x=1");
    assert_eq!(seen.headers["host"], origin.addr.to_string());
    assert!(seen.headers["via"].to_str().unwrap().starts_with("1.1 larder-"));
    let flow = bed.flow().await;
    assert_eq!((flow.status, flow.upstream_status, flow.bytes_sent), (200, Some(200), 5));
    assert_eq!((flow.route.as_str(), &*flow.version), ("direct", "HTTP/1.1"));
    assert_eq!(flow.url, format!("http://{}/a?x=1", origin.addr));
    assert!(!flow.aborted && !flow.intercepted);
    assert_eq!(&*flow.identity.build, "test");
}

#[tokio::test]
async fn hop_by_hop_fields_stop_here_both_ways() {
    let origin = Origin::http(|_| {
        Response::builder()
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("x-end", "2")
            .header("proxy-authenticate", "Basic")
            .body(Full::from("hello"))
            .unwrap()
    })
    .await;
    let bed = Bed::new(|_| {}).await;
    let answer = bed
        .raw(&format!(
            "GET http://{0}/ HTTP/1.1\r\nHost: {0}\r\nConnection: close, x-private\r\nX-Private: 1\r\n\
             Proxy-Authorization: Basic x\r\nTE: gzip;q=0.5, trailers\r\nX-Forwarded-Host: evil\r\nX-End: kept\r\n\r\n",
            origin.addr
        ))
        .await;
    assert!(!answer.contains("x-hop") && answer.contains("x-end: 2") && !answer.contains("proxy-authenticate"));
    let headers = &origin.seen()[0].headers;
    for name in ["x-private", "proxy-authorization", "x-forwarded-host"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    assert_eq!(headers["x-end"], "kept");
    // Said anew for the next hop, which is ours: that trailers are taken, and nothing else.
    assert_eq!((&headers["te"], &headers["connection"]), (&"trailers".parse().unwrap(), &"te".parse().unwrap()));
}

#[tokio::test]
async fn larders_own_request_takes_the_same_way() {
    let origin = Origin::hello().await;
    let mut bed = Bed::new(|_| {}).await;
    let request = Request::get(format!("http://{}/own", origin.addr)).body(body::empty()).unwrap();
    let response = bed.proxy.request(request, &Client::host("download")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(&*bed.flow().await.identity.build, "download");
}

#[tokio::test]
async fn a_guest_cannot_reach_the_host_but_a_mirror_may_be_there() {
    let origin = Origin::hello().await;
    let to = format!("http://{}/mirror/", origin.addr);
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
        config.mirrors.push(Mirror::parse("deb.example.org", &to).unwrap());
    })
    .await;
    let answer = bed.get("http://deb.example.org/dists/x").await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(origin.seen()[0].uri.path(), "/mirror/dists/x");
    let flow = bed.flow().await;
    assert_eq!(flow.url, "http://deb.example.org/dists/x");
    assert_eq!(flow.route, format!("mirror {to}"));
    // Also over the connection that is already in the pool.
    for target in
        [origin.addr.to_string(), format!("localhost:{}", origin.port()), format!("2130706433:{}", origin.port())]
    {
        let answer = bed.get(&format!("http://{target}/")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
        assert!(
            answer.contains("proxy-status: larder; error=destination_ip_prohibited") || answer.contains("loopback")
        );
        assert_eq!(bed.flow().await.outcome, Outcome::Denied, "{target}");
    }
    assert_eq!(origin.seen().len(), 1);
}

#[tokio::test]
async fn a_mirrors_redirects_keep_the_public_name() {
    let origin = Origin::http(|seen| {
        let location = if seen.uri.path() == "/m/a" { "/m/b" } else { "https://cdn.example.net/x" };
        Response::builder().status(302).header("location", location).body(Full::default()).unwrap()
    })
    .await;
    let to = format!("http://{}/m", origin.addr);
    let bed = Bed::new(|config| config.mirrors.push(Mirror::parse("a.example.org", &to).unwrap())).await;
    assert!(bed.get("http://a.example.org/a").await.contains("location: http://a.example.org/b\r\n"));
    assert!(bed.get("http://a.example.org/c").await.contains("location: https://cdn.example.net/x\r\n"));
}

#[tokio::test]
async fn what_cannot_be_reached_is_said() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut bed = Bed::new(|_| {}).await;
    let answer = bed.get(&format!("http://{closed}/")).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("cannot connect to 127.0.0.1"), "{answer}");
    let flow = bed.flow().await;
    assert_eq!((flow.outcome, flow.status), (Outcome::Error, 502));
    let answer = bed.get(&format!("http://{}/", bed.addr())).await;
    assert!(answer.contains("this proxy itself"), "{answer}");
}

#[tokio::test]
async fn a_stalled_origin_ends_in_an_error_that_names_the_url() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
        stream
    });
    let mut bed = Bed::new(|config| config.timeouts.idle = std::time::Duration::from_millis(200)).await;
    let answer = bed.get(&format!("http://{addr}/stall")).await;
    assert!(answer.ends_with("abc"), "{answer}");
    let flow = bed.flow().await;
    assert!(flow.aborted && flow.why.contains("/stall sent nothing"), "{}", flow.why);
    drop(peer.await);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_an_aborted_flow() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut bed = Bed::new(|_| {}).await;
    let mut client = TcpStream::connect(bed.addr()).await.unwrap();
    client.write_all(format!("GET http://{addr}/ HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let (_held, _) = listener.accept().await.unwrap();
    drop(client);
    let flow = bed.flow().await;
    assert!(flow.aborted);
    assert_eq!(flow.status, 0);
}

#[tokio::test]
async fn rules_about_hosts_hold() {
    let origin = Origin::hello().await;
    let mut bed = Bed::new(|config| {
        config.allow.push("127.0.0.1".parse().unwrap());
        config.deny.push("*.example.org".parse().unwrap());
    })
    .await;
    assert!(bed.get(&format!("http://{}/", origin.addr)).await.ends_with("hello"));
    bed.flow().await;
    for host in ["a.example.org", "other.example.net"] {
        assert!(bed.get(&format!("http://{host}/")).await.starts_with("HTTP/1.1 403 "));
        assert_eq!(bed.flow().await.outcome, Outcome::Denied);
    }
    let answer =
        bed.raw("CONNECT a.example.org:443 HTTP/1.1\r\nHost: a.example.org:443\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}
