//! Several mirrors for a name: order, health, credentials, roots, and what clients see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use http::{Response, StatusCode};
use http_body_util::Full;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::mirror::credentials::Credentials;
use larder_proxy::mirror::{Mirror, TargetConfig};
use tokio::io::AsyncWriteExt as _;

use crate::support::{Bed, Origin, TestCa};

fn plain(origin: &Origin) -> TargetConfig {
    TargetConfig::new(format!("http://{}/m/", origin.addr))
}

async fn bed(from: &str, targets: Vec<TargetConfig>) -> Bed {
    let mirror = Mirror::new(from, targets).unwrap();
    Bed::with(Client::guest("g"), Role::Proxy, |config| config.mirrors.push(mirror)).await
}

fn status(code: u16) -> Response<Full<bytes::Bytes>> {
    Response::builder().status(code).body(Full::from("failed")).unwrap()
}

/// An origin that answers with whatever status is set at the time.
async fn switched(code: u16) -> (Origin, Arc<AtomicU16>) {
    let now = Arc::new(AtomicU16::new(code));
    let shared = now.clone();
    let origin = Origin::http(move |_| {
        let code = StatusCode::from_u16(shared.load(Ordering::SeqCst)).unwrap();
        Response::builder().status(code).body(Full::from("switched")).unwrap()
    })
    .await;
    (origin, now)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn mirrors_are_asked_in_their_order_until_one_has_it() {
    let (first, _) = switched(404).await;
    let (second, _) = switched(502).await;
    let third = Origin::hello().await;
    let mut bed = bed("deb.example.org", vec![plain(&first), plain(&second), plain(&third)]).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.ends_with("hello"), "{answer}");
    let flow = bed.flow().await;
    assert_eq!(
        flow.route,
        format!(
            "mirror http://{}/m/ (not http://{}/m/: has it not (404 Not Found); http://{}/m/: answers 502 Bad Gateway)",
            third.addr, first.addr, second.addr
        )
    );
    assert_eq!((flow.status, flow.upstream_status), (200, Some(200)));
    assert_eq!((first.seen().len(), second.seen().len(), third.seen().len()), (1, 1, 1));
}

#[tokio::test]
async fn an_absence_is_the_answer_where_no_mirror_has_it() {
    let (first, _) = switched(502).await;
    let (second, _) = switched(404).await;
    let bed = bed("deb.example.org", vec![plain(&first), plain(&second)]).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn where_no_mirror_answers_each_one_is_named() {
    let closed = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let targets =
        vec![TargetConfig::new(format!("http://{}/", closed())), TargetConfig::new(format!("http://{}/", closed()))];
    let names: Vec<String> = targets.iter().map(|target| target.url.clone()).collect();
    let bed = bed("deb.example.org", targets).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("no mirror of deb.example.org"), "{answer}");
    assert!(names.iter().all(|name| answer.contains(name)), "{answer}");
}

#[tokio::test]
async fn a_mirror_that_is_down_is_passed_over_probed_and_taken_back() {
    let (first, now) = switched(503).await;
    let second = Origin::hello().await;
    let mirror = Mirror::new("deb.example.org", vec![plain(&first), plain(&second)]).unwrap();
    let targets = mirror.targets().to_vec();
    let bed = Bed::new(|config| config.mirrors.push(mirror)).await;
    for _ in 0..6 {
        assert!(bed.get("http://deb.example.org/x").await.ends_with("hello"));
    }
    assert_eq!(first.seen().len(), 3, "the third failure is enough");
    now.store(200, Ordering::SeqCst);
    let health = |targets: &[Arc<larder_proxy::mirror::Target>]| targets[0].health().standing(Instant::now());
    until("its time is up", || health(&targets) == larder_proxy::mirror::health::Standing::Doubtful).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.ends_with("hello"), "the probe is not the client's request: {answer}");
    until("the probe is answered", || health(&targets) == larder_proxy::mirror::health::Standing::Up).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.ends_with("switched"), "{answer}");
}

#[tokio::test]
async fn a_slow_mirror_costs_its_patience_once_and_is_waited_for_when_no_other_has_it() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = TargetConfig::new(format!("http://{}/", silent.local_addr().unwrap()));
    slow.patience = Duration::from_millis(300);
    let second = Origin::hello().await;
    let (lacking, _) = switched(404).await;
    let bed_one = bed("deb.example.org", vec![slow.clone(), plain(&second)]).await;
    let begun = Instant::now();
    for _ in 0..4 {
        assert!(bed_one.get("http://deb.example.org/x").await.ends_with("hello"));
    }
    assert!(begun.elapsed() < Duration::from_millis(1100), "{:?}", begun.elapsed());

    // Now it answers, but only the second time it is asked for this.
    let late = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    slow.url = format!("http://{}/", late.local_addr().unwrap());
    tokio::spawn(async move {
        let (_kept, _) = late.accept().await.unwrap();
        let (mut stream, _) = late.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate").await.unwrap();
        std::future::pending::<()>().await;
    });
    let bed = bed("deb.example.org", vec![slow, plain(&lacking)]).await;
    let answer = bed.get("http://deb.example.org/x").await;
    assert!(answer.ends_with("late"), "{answer}");
}

#[tokio::test]
async fn the_public_origin_may_be_the_last() {
    let origin = Origin::hello().await;
    let (first, _) = switched(404).await;
    let from = format!("http://{}/", origin.addr);
    let mirror = Mirror::new(&from, vec![plain(&first), TargetConfig::new("origin")]).unwrap();
    let mut bed = Bed::new(|config| config.mirrors.push(mirror)).await;
    let answer = bed
        .raw(&format!("GET {from}p HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\nConnection: close\r\n\r\n"))
        .await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert!(bed.flow().await.route.starts_with("direct (not http://"));
    assert_eq!(origin.seen()[0].headers["authorization"], "Basic eDp5", "the public name gets what is meant for it");
    assert!(!first.seen()[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_guest_does_not_reach_the_host_by_way_of_the_public_origin() {
    let origin = Origin::hello().await;
    let (first, _) = switched(502).await;
    let from = format!("http://{}/", origin.addr);
    let bed = bed(&from, vec![plain(&first), TargetConfig::new("origin")]).await;
    let answer = bed.get(&format!("{from}p")).await;
    assert!(!answer.contains("hello"), "{answer}");
    assert!(origin.seen().is_empty());
}

/// containerd#4950: a mirror gets neither another's credentials nor the client's.
#[tokio::test]
async fn credentials_go_where_they_belong_and_nowhere_else() {
    let (one, _) = switched(404).await;
    let two = Origin::hello().await;
    let mut with = plain(&one);
    with.credentials = Some(Credentials::basic("ci", "s3cret").unwrap());
    let mut bed = bed("deb.example.org", vec![with, plain(&two)]).await;
    let request = "GET http://deb.example.org/x HTTP/1.1\r\nHost: deb.example.org\r\nAuthorization: Bearer clients\r\n\
                   Cookie: a=b\r\nX-JFrog-Art-Api: key\r\nConnection: close\r\n\r\n";
    assert!(bed.raw(request).await.ends_with("hello"));
    assert_eq!(one.seen()[0].headers["authorization"], "Basic Y2k6czNjcmV0");
    for seen in [&one.seen()[0], &two.seen()[0]] {
        assert!(!seen.headers.contains_key("cookie") && !seen.headers.contains_key("x-jfrog-art-api"));
    }
    assert!(!two.seen()[0].headers.contains_key("authorization"));
    let flow = format!("{:?}", bed.flow().await);
    assert!(!flow.contains("s3cret") && !flow.contains("Y2k6") && !flow.contains("clients"), "{flow}");

    // Not for writing.
    let request = "PUT http://deb.example.org/x HTTP/1.1\r\nHost: deb.example.org\r\nContent-Length: 1\r\n\
                   Connection: close\r\n\r\nx";
    let _ = bed.raw(request).await;
    assert!(!one.seen()[1].headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_rule_may_pass_the_clients_credentials_on() {
    let one = Origin::hello().await;
    let mut target = plain(&one);
    target.client_credentials = true;
    target.credentials = Some(Credentials::basic("ci", "s3cret").unwrap());
    let bed = bed("deb.example.org", vec![target]).await;
    let request = "GET http://deb.example.org/x HTTP/1.1\r\nHost: deb.example.org\r\nAuthorization: Bearer clients\r\n\
                   Connection: close\r\n\r\n";
    assert!(bed.raw(request).await.ends_with("hello"));
    assert_eq!(one.seen()[0].headers["authorization"], "Bearer clients");
    assert!(bed.get("http://deb.example.org/x").await.ends_with("hello"));
    assert_eq!(one.seen()[1].headers["authorization"], "Basic Y2k6czNjcmV0");
}

#[tokio::test]
async fn refused_credentials_are_said_and_not_asked_of_the_client() {
    let one = Origin::http(|_| {
        Response::builder().status(401).header("www-authenticate", "Basic realm=\"x\"").body(Full::default()).unwrap()
    })
    .await;
    let mut target = plain(&one);
    target.credentials = Some(Credentials::basic("ci", "s3cret").unwrap());
    let bed_one = bed("deb.example.org", vec![target.clone()]).await;
    let answer = bed_one.get("http://deb.example.org/x").await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("does not take the credentials"), "{answer}");
    assert!(!answer.contains("www-authenticate") && !answer.contains("s3cret"), "{answer}");
    // Without any, the challenge is the client's.
    target.credentials = None;
    let bed = bed("deb.example.org", vec![target]).await;
    assert!(bed.get("http://deb.example.org/x").await.contains("www-authenticate: Basic"));
}

/// docker/for-linux#1031: the roots of a mirror are used, and for it alone.
#[tokio::test]
async fn roots_are_a_mirrors_own() {
    let ca = TestCa::new();
    let dir = tempfile::tempdir().unwrap();
    let mirror = Origin::https(&ca, &[b"h2", b"http/1.1"], |_| Response::new(Full::from("by tls"))).await;
    let elsewhere = Origin::https(&ca, &[], |_| Response::new(Full::from("elsewhere"))).await;
    let mut target = TargetConfig::new(format!("https://localhost:{}/m", mirror.port()));
    target.roots.push(ca.file(dir.path()));
    let rule = Mirror::new("deb.example.org", vec![target]).unwrap();
    let bed = Bed::new(|config| config.mirrors.push(rule)).await;
    assert!(bed.get("http://deb.example.org/x").await.ends_with("by tls"));
    let answer = bed.get(&format!("https://localhost:{}/", elsewhere.port())).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("error=tls_"), "{answer}");
}

/// A registry with tokens behind a path, as Artifactory has them.
async fn registry() -> Origin {
    Origin::http(|seen| {
        let host = seen.headers["host"].to_str().unwrap();
        let authorization = seen.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let json = |text: &str| {
            Response::builder().header("content-type", "application/json").body(Full::from(text.to_owned())).unwrap()
        };
        let path = seen.uri.path();
        if path == "/m/v2/token" {
            return match (authorization, seen.uri.query().unwrap_or_default()) {
                ("Basic Y2k6czNjcmV0", query) if query.contains("a%2Fb%3Apull") && !query.contains("push") => {
                    json(r#"{"token":"read-a-b","expires_in":300}"#)
                }
                ("Basic Y2k6czNjcmV0", _) => json(r#"{"token":"ping","expires_in":300}"#),
                _ => status(403),
            };
        }
        let wanted = if path == "/m/v2/" { "Bearer ping" } else { "Bearer read-a-b" };
        if authorization == wanted {
            return json("{}");
        }
        let scope = if path == "/m/v2/" { "" } else { ",scope=\"repository:a/b:pull,push\"" };
        let challenge = format!("Bearer realm=\"http://{host}/m/v2/token\",service=\"r\"{scope}");
        Response::builder().status(401).header("www-authenticate", challenge).body(Full::default()).unwrap()
    })
    .await
}

#[tokio::test]
async fn tokens_of_a_registry_are_fetched_for_the_guest() {
    let registry = registry().await;
    let mut target = plain(&registry);
    target.credentials = Some(Credentials::basic("ci", "s3cret").unwrap());
    let bed_one = bed("registry.example.org", vec![target]).await;
    for path in ["/v2/", "/v2/a/b/manifests/x", "/v2/a/b/manifests/y", "/v2/a/b/tags/list"] {
        let answer = bed_one.get(&format!("http://registry.example.org{path}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        assert!(!answer.contains("www-authenticate") && !answer.contains("read-a-b"), "{answer}");
    }
    let tokens = registry.seen().iter().filter(|seen| seen.uri.path().ends_with("/token")).count();
    assert_eq!(tokens, 2, "one for asking at all, one for the repository");
    // Without credentials, and none for anybody: the challenge is the client's, by the public name.
    let bed = bed("registry.example.org", vec![plain(&registry)]).await;
    let answer = bed.get("http://registry.example.org/v2/a/b/manifests/x").await;
    assert!(answer.contains("Bearer realm=\"http://registry.example.org/v2/token\""), "{answer}");
}

#[tokio::test]
async fn a_realm_elsewhere_gets_no_credentials() {
    let realm = Origin::http(|_| Response::new(Full::from(r#"{"token":"t"}"#))).await;
    let at = format!("http://{}/token", realm.addr);
    let registry = Origin::http(move |seen| {
        if seen.headers.get("authorization").is_some_and(|value| value == "Bearer t") {
            return Response::new(Full::from("pulled"));
        }
        let challenge = format!("Bearer realm=\"{at}\"");
        Response::builder().status(401).header("www-authenticate", challenge).body(Full::default()).unwrap()
    })
    .await;
    let mut target = plain(&registry);
    target.credentials = Some(Credentials::basic("ci", "s3cret").unwrap());
    let mirror = Mirror::new("registry.example.org", vec![target.clone()]).unwrap();
    let bed_one = Bed::new(|config| config.mirrors.push(mirror)).await;
    assert!(bed_one.get("http://registry.example.org/v2/a/manifests/x").await.ends_with("pulled"));
    assert!(!realm.seen()[0].headers.contains_key("authorization"));
    // And it opens no way to the host for a guest.
    let bed = bed("registry.example.org", vec![target]).await;
    let answer = bed.get("http://registry.example.org/v2/a/manifests/x").await;
    assert!(!answer.contains("pulled"), "{answer}");
    assert_eq!(realm.seen().len(), 1);
}

#[tokio::test]
async fn urls_of_the_manager_in_an_index_become_public_and_hold_either_way() {
    let manager = Origin::http(|seen| {
        let host = seen.headers["host"].to_str().unwrap();
        let own = format!("http://{host}/artifactory/api/npm/npm-remote");
        match seen.uri.path() {
            "/artifactory/api/npm/npm-remote/left-pad" => {
                assert!(seen.headers.get("accept-encoding").is_none_or(|value| value == "identity"));
                let text = format!(r#"{{"dist":{{"tarball":"{own}/left-pad/-/left-pad-1.0.0.tgz"}}}}"#);
                Response::builder()
                    .header("content-type", "application/json")
                    .header("set-cookie", "SESSION=users")
                    .body(Full::from(text))
                    .unwrap()
            }
            path => Response::new(Full::from(format!("tarball of {path}"))),
        }
    })
    .await;
    let to = format!("http://{}/artifactory/api/npm/npm-remote/", manager.addr);
    let mirror = Mirror::parse("https://npm.example.org/", &to).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let mut bed = Bed::with(Client::guest("g"), Role::Proxy, |config| {
        config.mirrors.push(mirror);
        config.cache_dir = Some(cache.path().join("cache"));
    })
    .await;
    let answer = bed
        .raw(
            // By HTTP/1.0, so that the body is not cut into chunks.
            "GET https://npm.example.org/left-pad HTTP/1.0\r\nHost: npm.example.org\r\nAccept-Encoding: gzip\r\n\
             \r\n",
        )
        .await;
    assert!(answer.contains(r#""tarball":"https://npm.example.org/left-pad/-/left-pad-1.0.0.tgz"}"#), "{answer}");
    assert!(!answer.contains("SESSION"), "{answer}");
    let _ = bed.flow().await;
    let tarball = bed.get("https://npm.example.org/left-pad/-/left-pad-1.0.0.tgz").await;
    assert!(tarball.contains("tarball of /artifactory/"), "{tarball}");
    let _ = bed.flow().await;
    bed.proxy.cache().drain(Duration::from_secs(10)).await;
    // By the manager's own URL it is the same thing, and comes from the cache; what else is there is out of reach.
    let own = bed.get(&format!("{to}left-pad/-/left-pad-1.0.0.tgz")).await;
    assert!(own.contains("tarball of /artifactory/"), "{own}");
    let flow = bed.flow().await;
    assert_eq!(
        (flow.outcome.as_str(), flow.url.as_str()),
        ("HIT", "https://npm.example.org/left-pad/-/left-pad-1.0.0.tgz")
    );
    let admin = bed.get(&format!("http://{}/artifactory/api/security/users", manager.addr)).await;
    assert!(admin.starts_with("HTTP/1.1 403 "), "{admin}");
}

#[tokio::test]
async fn a_body_is_sent_once() {
    let (first, _) = switched(502).await;
    let second = Origin::hello().await;
    let bed = bed("deb.example.org", vec![plain(&first), plain(&second)]).await;
    let request = "POST http://deb.example.org/x HTTP/1.1\r\nHost: deb.example.org\r\nContent-Length: 3\r\n\
                   Connection: close\r\n\r\nabc";
    assert!(bed.raw(request).await.starts_with("HTTP/1.1 502 "));
    assert!(second.seen().is_empty());
}

/// A mirror dies in the middle of a body: the rest comes from the next one, by the validator both have.
#[tokio::test]
async fn a_body_that_breaks_off_is_completed_by_the_next_mirror() {
    const WHOLE: &[u8] = &[b'x'; 300_000];
    let dying = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let first = TargetConfig::new(format!("http://{}/", dying.local_addr().unwrap()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = dying.accept().await {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"1\"\r\n\r\n", WHOLE.len());
            let _ = crate::support::read_head(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&WHOLE[..100_000]).await;
        }
    });
    let second = Origin::http(|seen| {
        let from = seen
            .headers
            .get("range")
            .and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = from.filter(|_| seen.headers.get("if-range").is_some_and(|tag| tag == "\"1\"")).unwrap_or(0);
        let answer = Response::builder().header("etag", "\"1\"");
        let range = format!("bytes {from}-{}/{}", WHOLE.len() - 1, WHOLE.len());
        let answer = if from > 0 { answer.status(206).header("content-range", range) } else { answer };
        answer.body(Full::from(WHOLE[from..].to_vec())).unwrap()
    })
    .await;
    let cache = tempfile::tempdir().unwrap();
    let mirror = Mirror::new("deb.example.org", vec![first, plain(&second)]).unwrap();
    let bed = Bed::new(|config| {
        config.mirrors.push(mirror);
        config.cache_dir = Some(cache.path().join("cache"));
    })
    .await;
    let answer = bed.get("http://deb.example.org/pool/x_1_all.deb").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), WHOLE.len());
    assert_eq!(second.seen()[0].headers["range"], "bytes=100000-");
    // The dead one has gone last for a while.
    assert!(bed.get("http://deb.example.org/pool/y_1_all.deb").await.ends_with("xxx"));
    assert!(!second.seen()[1].headers.contains_key("range"));
}
