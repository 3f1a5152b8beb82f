use http::Response;
use http_body_util::Full;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::mirror::Mirror;
use rustls_pki_types::CertificateDer;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::resolver::lookup;
use crate::support::{Bed, Origin, TestCa, read_all, tls};

async fn https_bed(origin: &Origin, ca: &TestCa, client: Client, tunnel: &[&str]) -> Bed {
    let to = format!("https://localhost:{}/", origin.port());
    let roots = tempfile::tempdir().unwrap().keep();
    let file = ca.file(&roots);
    Bed::with(client, Role::Https, |config| {
        config.extra_roots.push(file);
        config.mirrors.push(Mirror::parse("pkgs.example.org", &to).unwrap());
        config.tunnel.extend(tunnel.iter().map(|pattern| pattern.parse().unwrap()));
    })
    .await
}

fn hello(_: &crate::support::Seen) -> Response<Full<bytes::Bytes>> {
    Response::new(Full::from("hello"))
}

#[tokio::test]
async fn a_request_that_took_us_for_the_origin_is_served() {
    let origin = Origin::hello().await;
    let to = format!("http://{}/", origin.addr);
    let mut bed = Bed::with(Client::guest("g"), Role::Http, |config| {
        config.mirrors.push(Mirror::parse("deb.example.org", &to).unwrap());
    })
    .await;
    let answer = bed.raw("GET /x HTTP/1.1\r\nHost: deb.example.org\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("hello"), "{answer}");
    assert_eq!(bed.flow().await.url, "http://deb.example.org/x");
    // The address itself is the host's, and so not to be had.
    let answer = bed.raw("GET /x HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains(" 403 "), "{answer}");
}

#[tokio::test]
async fn tls_names_its_host_by_sni() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"h2"], hello).await;
    let mut bed = https_bed(&origin, &ca, Client::guest("g"), &[]).await;
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    let mut stream = bed.tls(stream, "pkgs.example.org", &[b"http/1.1"]).await.unwrap();
    let head = b"GET /s HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    let flow = bed.flow().await;
    assert_eq!(flow.url, "https://pkgs.example.org/s");
    assert!(flow.intercepted);
}

#[tokio::test]
async fn without_sni_the_resolver_knows_the_name() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], hello).await;
    let client = Client::guest("g");
    let mut bed = https_bed(&origin, &ca, client.clone(), &[]).await;
    let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns = bed.proxy.listen_dns(dns, None, &client).unwrap();
    let address = lookup(dns.local_addr(), "pkgs.example.org.").await;
    // The listener is reached by its own address in this test; only the gateway's AnyIP route makes it answer for
    // the pool, so the listener is given the pool's name by hand.
    let listener = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _second = bed.proxy.listen(listener, Role::Https, client).unwrap();
    let Ok(stream) = TcpStream::connect((address, port)).await else {
        // No route for the pool here: run by hand with `ip route add local 198.18.0.0/15 dev lo`.
        let stream = TcpStream::connect(bed.addr()).await.unwrap();
        let ca = CertificateDer::from(bed.proxy.ca_certificate_der().to_vec());
        let stream = tls(stream, "127.0.0.1", &[], vec![ca], false).await.unwrap();
        drop(stream);
        return;
    };
    let ca = CertificateDer::from(bed.proxy.ca_certificate_der().to_vec());
    let mut stream = tls(stream, "pkgs.example.org", &[], vec![ca], false).await.unwrap();
    let head = b"GET /s HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    assert_eq!(bed.flow().await.url, "https://pkgs.example.org/s");
}

#[tokio::test]
async fn a_tunnel_rule_holds_for_transparent_tls() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[], hello).await;
    let mut bed = https_bed(&origin, &ca, Client::guest("g"), &["localhost"]).await;
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    // A guest may not be tunnelled to the host either.
    tls(stream, "localhost", &[], vec![ca.root()], true).await.unwrap_err();
    let flow = bed.flow().await;
    assert_eq!((flow.outcome, flow.url.as_str()), (Outcome::Denied, "localhost:443"));
}
