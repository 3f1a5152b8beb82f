//! Bytes of a client, through the server that listeners have, to a proxy upstream that takes down what arrives there.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::wire::{self, Read, Request};
use crate::config::Config;
use crate::flow::{Flow, Outcome};
use crate::forward::Scope;
use crate::identity;
use crate::proxy::Proxy;
use crate::redact;
use crate::server::{self, Protocol};
use crate::upstream::choice::Upstream;

/// Without a step for so long, nothing more comes of the bytes sent.
const QUIET: Duration = Duration::from_millis(2);
/// A connection whose client has hung up ends within this.
const END: Duration = Duration::from_secs(5);

/// Requests given up that are waited for.
const MOST_GIVEN_UP: usize = 64;

/// What arrived upstream: a request, or why it is none, with its bytes.
type Arrived = Result<Request, String>;

/// A proxy, what is upstream of it, and what both have noted.
struct World {
    runtime: Runtime,
    proxy: Proxy,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    flows: Arc<Mutex<Vec<Flow>>>,
    /// Of inputs before: what a client gave up may still be on its way upstream.
    given_up: Vec<Flow>,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// The first byte says whom the client believes to speak to, and in what pieces its bytes come; the rest are the bytes.
pub fn heads(data: &[u8]) {
    let Some((&first, input)) = data.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        let world = world.get_or_insert_with(World::new);
        world.run(first, input);
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new() -> Self {
        // Of one thread, with a stack that holds the futures of a build that is not optimised.
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_stack_size(16 << 20).enable_all().build().expect("a runtime");
        let (arrived, flows) = (Arc::default(), Arc::default());
        let proxy = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the loopback");
            let address = listener.local_addr().expect("its address");
            tokio::spawn(upstream(listener, Arc::clone(&arrived)));
            start(address, Arc::clone(&flows)).await
        });
        Self { runtime, proxy, arrived, flows, given_up: Vec::new() }
    }

    fn run(&mut self, first: u8, input: &[u8]) {
        let scope = match first & 3 {
            0 => Scope::Transparent { fallback: "192.0.2.1".to_owned() },
            1 => Scope::Inside { tls: false, host: "example.org".to_owned(), port: 80 },
            _ => Scope::Proxy,
        };
        let piece = [usize::MAX, 1, 7, 100][usize::from(first >> 2 & 3)];
        let (client, wire) = Client::new(input.to_vec(), piece);
        let session = self.proxy.session(identity::Client::host("fuzz"), scope.clone(), CancellationToken::new());
        self.runtime.block_on(async {
            let served = tokio::spawn(server::serve(wire, Protocol::Http1, session));
            drive(&self.proxy, &client).await;
            if let Err(error) = served.await {
                assert!(!error.is_panic(), "the server panicked");
            }
            while !self.proxy.in_flight().is_empty() {
                tokio::task::yield_now().await;
            }
            // There is one worker: once it comes to this, what it was at has been noted.
            let _ = tokio::spawn(async {}).await;
            if lock(&self.flows).iter().any(|flow| flow.aborted) {
                // What was given up gets no further than it is.
                tokio::time::sleep(QUIET).await;
            }
        });
        let arrived = std::mem::take(&mut *lock(&self.arrived));
        let flows = std::mem::take(&mut *lock(&self.flows));
        let mut known = std::mem::take(&mut self.given_up);
        let before = known.len();
        known.extend(flows.iter().cloned());
        // Whether all that arrived is of this input.
        let mut is_alone = arrived.len() == 1 && flows.iter().all(|flow| !flow.aborted);
        for one in &arrived {
            is_alone &= self.judge(one, &mut known) >= before;
        }
        if scope == Scope::Proxy {
            compare(input, &flows, arrived.first().filter(|_| is_alone));
        }
        let answers = client.answers();
        assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&answers));
        // What the proxy answered itself while it was being sent may arrive later, too.
        let broken_off = |flow: &Flow| flow.aborted || (flow.status >= 400 && !flow.route.is_empty());
        self.given_up = known.into_iter().filter(broken_off).collect();
        self.given_up.drain(..self.given_up.len().saturating_sub(MOST_GIVEN_UP));
    }

    /// What arrived upstream is what one of the requests was, as the proxy noted it, and nothing more. Which one.
    fn judge(&self, arrived: &Arrived, known: &mut Vec<Flow>) -> usize {
        let request = match arrived {
            Ok(request) => request,
            Err(why) => panic!("sent upstream, and no request: {why}"),
        };
        let is_connect = request.method == "CONNECT";
        let at = known.iter().position(|flow| {
            let url = flow.url.trim_end_matches('/');
            let shown = redact::url(&request.target);
            let same =
                if is_connect { of_tunnel(&flow.url) == request.target } else { shown.trim_end_matches('/') == url };
            flow.outcome != Outcome::Denied && same && (is_connect || flow.method == request.method)
        });
        assert!(at.is_some(), "{} {} went upstream, and was no client's: {known:?}", request.method, request.target);
        let at = at.unwrap_or_default();
        known.remove(at);
        for name in ["keep-alive", "proxy-connection", "proxy-authorization", "http2-settings", "forwarded"] {
            assert_eq!(request.all(name).count(), 0, "{name} went upstream: {request:?}");
        }
        assert!(!request.fields.iter().any(|(name, _)| name.starts_with("x-forwarded-") || name == "x-real-ip"));
        let connection = request.list("connection");
        let of_connection: Vec<&str> =
            ["upgrade", "te"].into_iter().filter(|name| request.all(name).count() > 0).collect();
        assert_eq!(connection, of_connection, "{request:?}");
        assert!(request.list("te").iter().all(|coding| coding == "trailers"), "{request:?}");
        assert!(request.list("expect").iter().all(|wish| wish == "100-continue"), "{request:?}");
        assert_eq!(request.all("host").count(), 1, "{request:?}");
        let host = request.list("host").join(",");
        if is_connect {
            assert_eq!(request.head, request.end.unwrap_or(0), "a CONNECT with a body: {request:?}");
        } else {
            let authority = request.target.split("://").nth(1).unwrap_or_default();
            assert_eq!(authority.split(['/', '?']).next(), Some(host.as_str()), "{request:?}");
            let via = request.list("via");
            assert!(via.last().is_some_and(|last| last.contains(&self.proxy.via())), "{request:?}");
        }
        at
    }
}

async fn start(address: SocketAddr, flows: Arc<Mutex<Vec<Flow>>>) -> Proxy {
    let dir = tempfile::tempdir().expect("a folder for the CA");
    let mut config = Config::new(dir.path().join("ca"));
    config.upstream = Upstream::all(&format!("http://{address}"), "").expect("the URL of a proxy");
    let sink = Arc::new(move |flow: Flow| lock(&flows).push(flow));
    // The folder goes with the end of this: the CA has been read.
    Proxy::start(config, sink).await.expect("a proxy")
}

/// Waits until all is done that the client's bytes bring about, and then until the connection is over.
async fn drive(proxy: &Proxy, client: &Client) {
    while !client.is_ended() {
        let is_idle = client.is_drained() && proxy.in_flight().is_empty();
        if is_idle || timeout(QUIET, client.progress.notified()).await.is_err() && client.is_drained() {
            break;
        }
    }
    client.hang_up();
    let end = async {
        while !client.is_ended() {
            client.progress.notified().await;
        }
    };
    assert!(timeout(END, end).await.is_ok(), "the connection does not end though its client has hung up");
}

/// A proxy that takes down what it is asked.
async fn upstream(listener: TcpListener, arrived: Arc<Mutex<Vec<Arrived>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take_down(stream, Arc::clone(&arrived)));
    }
}

async fn take_down(mut stream: TcpStream, arrived: Arc<Mutex<Vec<Arrived>>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut bytes, mut noted) = (Vec::new(), false);
    loop {
        match wire::read(&bytes) {
            Read::Bad(why) => {
                lock(&arrived).push(Err(format!("{why}: {:?}", String::from_utf8_lossy(&bytes))));
                return Ok(());
            }
            Read::Request(request) => {
                if !noted {
                    lock(&arrived).push(Ok(request.clone()));
                    noted = true;
                    if request.all("expect").count() > 0 {
                        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    }
                }
                if let Some(end) = request.end {
                    bytes.drain(..end);
                    noted = false;
                    let answer: &[u8] = match request.method.as_str() {
                        "HEAD" => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
                        "CONNECT" => b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
                        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                    };
                    stream.write_all(answer).await?;
                    continue;
                }
            }
            Read::Unfinished => {}
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// Host and port of a URL, as CONNECT names them.
fn of_tunnel(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let named = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if scheme == "https" { 443 } else { 80 };
    if named { authority.to_owned() } else { format!("{authority}:{port}") }
}

/// Where the bytes are plainly nothing but requests, the proxy has seen no other and no more than those.
fn compare(input: &[u8], flows: &[Flow], arrived: Option<&Arrived>) {
    let (mut plain, mut rest) = (Vec::new(), input);
    while !rest.is_empty() {
        let Read::Request(request) = wire::read(rest) else { return };
        let Some(end) = request.end else { return };
        if request.method == "CONNECT" || !request.target.starts_with("http://") || request.all("upgrade").count() > 0 {
            return;
        }
        plain.push(request);
        rest = &rest[end..];
    }
    assert!(flows.len() <= plain.len(), "{} requests became {}: {flows:?}", plain.len(), flows.len());
    for (flow, request) in flows.iter().zip(&plain) {
        assert_eq!(flow.method, request.method);
    }
    let (Some(first), Some(Ok(sent))) = (plain.first(), arrived) else { return };
    if flows.len() != 1 || sent.method == "CONNECT" {
        return;
    }
    let path = |target: &str| {
        let rest = target.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]).split('#').next().unwrap_or_default();
        if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
    };
    if !first.target.contains('"') && first.target.is_ascii() {
        assert_eq!(path(&first.target), path(&sent.target), "{first:?}");
    }
    let kept = ["via", "host", "content-length", "transfer-encoding", "te", "trailer", "connection", "expect"];
    for name in first.list("connection").iter().filter(|name| !kept.contains(&name.as_str())) {
        assert_eq!(sent.all(name).count(), 0, "{name} was named in Connection: {sent:?}");
    }
}
