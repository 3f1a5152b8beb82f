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

/// Runs in a network namespace of its own, with the gateway's AnyIP routes for the resolver's pool.
#[test]
fn without_sni_the_resolver_knows_the_name() {
    if std::env::var_os("LARDER_TEST_GATEWAY").is_some() {
        tokio::runtime::Runtime::new().unwrap().block_on(serve_by_pool_name());
        return;
    }
    let script = "ip link set lo up && ip route add local 198.18.0.0/15 dev lo \
                  && ip -6 route add local fd4c:6172:6465:7200::/64 dev lo || exit 77; exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "transparent::without_sni_the_resolver_knows_the_name"])
        .env("LARDER_TEST_GATEWAY", "1")
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
        _ => println!("skipped: network namespaces are not to be had here"),
    }
}

async fn serve_by_pool_name() {
    let ca = TestCa::new();
    let origin = Origin::https(&ca, &[b"http/1.1"], hello).await;
    let client = Client::guest("g");
    let mut bed = https_bed(&origin, &ca, client.clone(), &[]).await;
    let dns = bed.proxy.listen_dns(std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), None, &client).unwrap();
    let address = lookup(dns.local_addr(), "pkgs.example.org.").await;
    let listener = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _anywhere = bed.proxy.listen(listener, Role::Https, client.clone()).unwrap();
    let trusted = || vec![CertificateDer::from(bed.proxy.ca_certificate_der().to_vec())];
    let stream = TcpStream::connect((address, port)).await.unwrap();
    let mut stream = tls(stream, "pkgs.example.org", &[], trusted(), false).await.unwrap();
    stream.write_all(b"GET /s HTTP/1.1\r\nHost: pkgs.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    assert_eq!(bed.flow().await.url, "https://pkgs.example.org/s");

    // Without Host, too, the name is the one the resolver gave the address for.
    let listener = std::net::TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _plain = bed.proxy.listen(listener, Role::Http, client).unwrap();
    let mut stream = TcpStream::connect((address, port)).await.unwrap();
    stream.write_all(b"GET /old HTTP/1.0\r\n\r\n").await.unwrap();
    read_all(&mut stream).await;
    assert_eq!(bed.flow().await.url, "http://pkgs.example.org/old");
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
