//! TLS with peers that are not as they should be: origins' certificates, clients' hellos.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Response;
use http_body_util::Full;
use larder_proxy::flow::Outcome;
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use rcgen::CertificateParams;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::support::{Bed, Origin, TestCa, read_all};

const DAY: Duration = Duration::from_hours(24);

fn lives(from: SystemTime, to: SystemTime) -> impl FnOnce(&mut CertificateParams) {
    move |params| (params.not_before, params.not_after) = (from.into(), to.into())
}

async fn origin(acceptor: TlsAcceptor) -> Origin {
    Origin::with(acceptor, |_| Response::new(Full::from("hello"))).await
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_an_error_with_its_reason() {
    let (ca, other, namesake) = (TestCa::new(), TestCa::named("Unheard of"), TestCa::new());
    let now = SystemTime::now();
    // Of a name of its own: one of the authority's would be taken for the authority's.
    let own_name = |params: &mut CertificateParams| params.distinguished_name.push(rcgen::DnType::CommonName, "own");
    let is_ca = |params: &mut CertificateParams| {
        own_name(params);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    };
    let roots = tempfile::tempdir().unwrap();
    for (what, acceptor, reason) in [
        ("expired", ca.acceptor_with("localhost", false, lives(now - 3 * DAY, now - DAY)), "expired"),
        ("of tomorrow", ca.acceptor_with("localhost", false, lives(now + DAY, now + 3 * DAY)), "not valid yet"),
        ("for another host", ca.acceptor("other.example.org", &[]), "not valid for name"),
        ("for a part of the name", ca.acceptor("*.localhost", &[]), "not valid for name"),
        ("self-signed", ca.acceptor_with("localhost", true, own_name), "not trusted here"),
        ("its own authority", ca.acceptor_with("localhost", true, is_ca), "CaUsedAsEndEntity"),
        ("of an unknown authority", other.acceptor("localhost", &[]), "not trusted here"),
        ("of an authority by the name of a known one", namesake.acceptor("localhost", &[]), "BadSignature"),
        ("for clients", ca.acceptor_with("localhost", false, for_clients), "certificate"),
    ] {
        let origin = origin(acceptor).await;
        let file = ca.file(roots.path());
        let mut bed = Bed::new(|config| {
            config.extra_roots.push(file);
            config.connect_ports.push(origin.port());
        })
        .await;
        let host = format!("localhost:{}", origin.port());
        let stream = bed.connect(&host).await;
        // The client's own connection is in order, and so what it is told is.
        let mut stream = bed.tls(stream, "localhost", &[]).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(reason), "{what}: {answer}");
        assert!(answer.contains("error=tls_certificate_error") && answer.contains("localhost"), "{what}: {answer}");
        let flow = bed.flow().await;
        assert!(flow.outcome == Outcome::Error && flow.why.contains(reason), "{what}: {}", flow.why);
        assert!(origin.seen().is_empty(), "{what}");
    }
}

/// The bytes of a TLS hello that asks for `name`.
fn hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn odd_names_are_served_or_refused_and_nothing_else() {
    let bed = Bed::with(Client::guest("g"), Role::Https, |_| {}).await;
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}.example.org", "a".repeat(49));
    assert_eq!(longest.len(), 253);
    for name in [longest.as_str(), "under_score.example.org", "xn--bcher-kva.example.org", "UPPER.example.org", "x"] {
        let stream = TcpStream::connect(bed.addr()).await.unwrap();
        bed.tls(stream, name, &[]).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    // An address stands in no hello; then it is the one that was dialled.
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    bed.tls(stream, "127.0.0.1", &[]).await.unwrap();
    let usual = "aaaaaaaaaaaaaaaa.example.org";
    let odd: [&[u8]; 10] = [
        b"aaaaaaa\0aaaaaaaa",
        b"\0aaaaaaaaaaaaaaa",
        b"*.aaaaaaaaaaaaaa",
        b"aaaaaaaa aaaaaaa",
        b"aaa/../../aaaaaa",
        b"aaaaaaa\r\naaaaaaa",
        b"aaaaaa..aaaaaaaa",
        b".aaaaaaaaaaaaaaa",
        b"-aaaaaaaaaaaaaa-",
        b"a\xc3\xa9\xff\xfe\x80aaaaaaaaaa",
    ];
    for name in odd {
        let mut bytes = hello(usual);
        let at = bytes.windows(16).position(|found| found == b"aaaaaaaaaaaaaaaa").unwrap();
        bytes[at..at + 16].copy_from_slice(name);
        let mut stream = TcpStream::connect(bed.addr()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        // A handshake, an alert, or nothing.
        assert!(matches!(answer.first(), None | Some(0x15 | 0x16)), "{name:?}: {answer:?}");
    }
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    bed.tls(stream, usual, &[]).await.expect("it serves as before");
}

#[tokio::test]
async fn a_client_of_old_tls_is_told_of_the_rule() {
    let mut bed = Bed::new(|_| {}).await;
    let mut client = Command::new("openssl")
        .args(["s_client", "-tls1", "-cipher", "ALL:@SECLEVEL=0", "-servername", "old.example.org"])
        .args(["-proxy", &bed.addr().to_string(), "-connect", "old.example.org:443"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let flow = bed.flow().await;
    assert_eq!((flow.outcome, flow.url.as_str()), (Outcome::Error, "old.example.org:443"));
    assert!(flow.why.contains("TLS before 1.2") && flow.why.contains("tunnel = [\"old.example.org\"]"), "{}", flow.why);
    assert!(!client.wait().unwrap().success());
}

#[tokio::test]
async fn a_leaf_is_for_the_host_of_connect_whatever_the_hello_says() {
    let bed = Bed::new(|_| {}).await;
    let stream = bed.connect("pkgs.example.org:443").await;
    bed.tls(stream, "other.example.org", &[]).await.expect_err("the certificate is for pkgs.example.org");
    // Inside, no other host is served.
    let stream = bed.connect("pkgs.example.org:443").await;
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: other.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("pkgs.example.org"), "{answer}");
    // Without CONNECT it is the hello that counts, and Host again no other.
    let bed = Bed::with(Client::guest("g"), Role::Https, |_| {}).await;
    let stream = TcpStream::connect(bed.addr()).await.unwrap();
    let mut stream = bed.tls(stream, "pkgs.example.org", &[]).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: other.example.org\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_all(&mut stream).await.starts_with("HTTP/1.1 421 "));
}
