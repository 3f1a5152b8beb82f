//! Fake peers: origins, a proxy upstream, and a client that can be as rude as it likes.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use larder_proxy::config::{Config, Timeouts};
use larder_proxy::flow::Flow;
use larder_proxy::identity::Client;
use larder_proxy::listener::{ListenerHandle, Role};
use larder_proxy::proxy::Proxy;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const LIMIT: Duration = Duration::from_secs(20);

/// A proxy with its folders, and the flows it reported.
pub(crate) struct Bed {
    pub(crate) proxy: Proxy,
    pub(crate) listener: ListenerHandle,
    _dir: tempfile::TempDir,
    flows: mpsc::UnboundedReceiver<Flow>,
}

impl Bed {
    /// For the host's own client, with settings changed by `change`.
    pub(crate) async fn new(change: impl FnOnce(&mut Config)) -> Self {
        Self::with(Client::host("test"), Role::Proxy, change).await
    }

    pub(crate) async fn with(client: Client, role: Role, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path().join("ca"));
        config.timeouts = Timeouts {
            connect: Duration::from_secs(5),
            patience: Duration::from_secs(2),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(5),
            client: Duration::from_secs(5),
            send: Duration::from_secs(20),
            tunnel: Duration::from_secs(5),
            ..Timeouts::default()
        };
        change(&mut config);
        let (sender, flows) = mpsc::unbounded_channel();
        let sink = Arc::new(move |flow| drop(sender.send(flow)));
        let proxy = Proxy::start(config, sink).await.unwrap();
        let listener = proxy.listen(TcpListener::bind("127.0.0.1:0").unwrap(), role, client).unwrap();
        Self { proxy, listener, _dir: dir, flows }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The next flow to end.
    pub(crate) async fn flow(&mut self) -> Flow {
        timeout(LIMIT, self.flows.recv()).await.expect("no flow ended").unwrap()
    }

    /// A flow that has ended already.
    pub(crate) fn ended(&mut self) -> Option<Flow> {
        self.flows.try_recv().ok()
    }

    /// Sends text on a new connection and reads until the proxy closes it.
    pub(crate) async fn raw(&self, text: &str) -> String {
        let mut stream = TcpStream::connect(self.addr()).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    /// `GET` with an absolute URL, closing after it.
    pub(crate) async fn get(&self, url: &str) -> String {
        let host = url.split('/').nth(2).unwrap();
        self.raw(&format!("GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    }

    /// Opens a CONNECT tunnel; the stream is what follows the proxy's 200.
    pub(crate) async fn connect(&self, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr()).await.unwrap();
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: curl/8\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        stream
    }

    /// Shakes hands over `stream`, trusting the proxy's CA only.
    pub(crate) async fn tls(
        &self,
        stream: TcpStream,
        name: &str,
        alpn: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let ca = CertificateDer::from(self.proxy.ca_certificate_der().to_vec());
        tls(stream, name, alpn, vec![ca], true).await
    }
}

/// A TLS client with these roots; with `sni` false it names no host.
pub(crate) async fn tls(
    stream: TcpStream,
    name: &str,
    alpn: &[&[u8]],
    trusted: Vec<CertificateDer<'static>>,
    sni: bool,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.enable_sni = sni;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    timeout(LIMIT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

pub(crate) async fn read_all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A peer that closes TLS without saying so is no concern of the tests.
    let _ = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    String::from_utf8(bytes).unwrap()
}

pub(crate) async fn read_head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(timeout(LIMIT, stream.read_u8()).await.expect("no head").unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

/// What an origin was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
}

type Handler = dyn Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync;

/// An origin on loopback.
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections accepted.
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers `hello` to everything.
    pub(crate) async fn hello() -> Self {
        Self::http(|_| Response::new(Full::from("hello"))).await
    }

    pub(crate) async fn http(handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self::start(None, handler).await
    }

    /// Speaks TLS with a certificate of `ca` for `localhost`, and the given ALPN protocols.
    pub(crate) async fn https(
        ca: &TestCa,
        alpn: &[&[u8]],
        handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(ca.acceptor("localhost", alpn)), handler).await
    }

    /// With TLS of the test's own.
    pub(crate) async fn with(
        acceptor: TlsAcceptor,
        handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor), handler).await
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn start(
        acceptor: Option<TlsAcceptor>,
        handler: impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = seen.clone();
        let connections: Arc<AtomicUsize> = Arc::default();
        let count = connections.clone();
        let handler: Arc<Handler> = Arc::new(handler);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (handler, record, acceptor) = (handler.clone(), record.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                converse(stream, handler, record).await;
                            }
                        }
                        None => converse(stream, handler, record).await,
                    }
                });
            }
        });
        Self { addr, seen, connections }
    }
}

async fn converse<T>(stream: T, handler: Arc<Handler>, record: Arc<Mutex<Vec<Seen>>>)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let seen = Seen { uri: parts.uri, version: parts.version, headers: parts.headers };
        record.lock().unwrap().push(seen.clone());
        let handler = handler.clone();
        async move {
            let _ = body.collect().await;
            Ok::<_, Infallible>(handler(&seen))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// An origin whose connections are played by the test, byte by byte.
pub(crate) struct RawOrigin {
    pub(crate) addr: SocketAddr,
    listener: tokio::net::TcpListener,
}

impl RawOrigin {
    pub(crate) async fn start() -> Self {
        Self::at(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn at(address: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        Self { addr: listener.local_addr().unwrap(), listener }
    }

    /// The next connection, and the head of the request on it.
    pub(crate) async fn accept(&self) -> (TcpStream, String) {
        let (mut stream, _) = timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap();
        let head = read_head(&mut stream).await;
        (stream, head)
    }

    /// The next connection, of which nothing has been read.
    pub(crate) async fn accept_unread(&self) -> TcpStream {
        timeout(LIMIT, self.listener.accept()).await.expect("nobody connects").unwrap().0
    }

    /// Gives the same answer on each connection, after the head of a request, and notes the heads.
    pub(crate) fn always(self, answer: impl Into<Vec<u8>>) -> Arc<Mutex<Vec<String>>> {
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = heads.clone();
        let answer = answer.into();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = self.listener.accept().await {
                let (record, answer) = (record.clone(), answer.clone());
                tokio::spawn(async move {
                    let head = read_head(&mut stream).await;
                    record.lock().unwrap().push(head);
                    let _ = stream.write_all(&answer).await;
                    // Whatever else is sent is noted too.
                    let rest = read_all(&mut stream).await;
                    record.lock().unwrap().extend((!rest.is_empty()).then_some(rest));
                });
            }
        });
        heads
    }
}

/// An authority the fake origins' certificates come from.
pub(crate) struct TestCa {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub(crate) pem: String,
}

impl TestCa {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// One of another name than all others have.
    pub(crate) fn named(name: &str) -> Self {
        Self::with(|params| params.distinguished_name.push(rcgen::DnType::CommonName, name))
    }

    fn with(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        change(&mut params);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// The certificate in a file of `dir`.
    pub(crate) fn file(&self, dir: &std::path::Path) -> PathBuf {
        let path = dir.join("roots.pem");
        std::fs::write(&path, &self.pem).unwrap();
        path
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    /// A certificate for `localhost` and its key, in files of `dir`.
    pub(crate) fn identity(&self, dir: &std::path::Path) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let paths = (dir.join("leaf.pem"), dir.join("leaf.key"));
        std::fs::write(&paths.0, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }

    pub(crate) fn acceptor(&self, name: &str, alpn: &[&[u8]]) -> TlsAcceptor {
        let builder = server_config().with_no_client_auth();
        let (leaf, key) = self.leaf(name);
        let mut config = builder.with_single_cert(vec![leaf], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// One whose certificate was changed before it was signed: by this authority, or by its own key.
    pub(crate) fn acceptor_with(
        &self,
        name: &str,
        own: bool,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> TlsAcceptor {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let leaf = if own { params.self_signed(&key) } else { params.signed_by(&key, &self.issuer) }.unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = server_config().with_no_client_auth().with_single_cert(vec![leaf.into()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// One that wants a client certificate of this authority.
    pub(crate) fn strict_acceptor(&self, name: &str) -> TlsAcceptor {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.root()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let (leaf, key) = self.leaf(name);
        let builder = server_config().with_client_cert_verifier(verifier.build().unwrap());
        TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![leaf], key).unwrap()))
    }

    /// One, and the certificate it shows.
    pub(crate) fn pinned_acceptor(&self, name: &str) -> (TlsAcceptor, CertificateDer<'static>) {
        let (leaf, key) = self.leaf(name);
        let config = server_config().with_no_client_auth().with_single_cert(vec![leaf.clone()], key).unwrap();
        (TlsAcceptor::from(Arc::new(config)), leaf)
    }

    fn leaf(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        (leaf.into(), PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
    }
}

fn server_config() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

/// A proxy upstream: asks for `Basic dTpw` when told to, makes tunnels, answers absolute-form requests itself.
pub(crate) struct FakeProxy {
    pub(crate) addr: SocketAddr,
    /// Heads of the requests it got.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl FakeProxy {
    pub(crate) async fn start(demand_authorization: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let record = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Self::converse(stream, record.clone(), demand_authorization));
            }
        });
        Self { addr, heads }
    }

    async fn converse(mut stream: TcpStream, record: Arc<Mutex<Vec<String>>>, demand: bool) {
        let head = read_head(&mut stream).await;
        record.lock().unwrap().push(head.clone());
        let authorized = head.to_ascii_lowercase().contains("proxy-authorization: basic dtpw\r\n");
        if demand && !authorized {
            let answer = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
            return;
        }
        if let Some(rest) = head.strip_prefix("CONNECT ") {
            let mut origin = TcpStream::connect(rest.split(' ').next().unwrap()).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut origin).await;
        } else {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\nfrom-parent";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}
