//! The proxy as its users see it: start, listen, ask, stop.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, Admitted, Exchanged};
use crate::admission::Gate;
use crate::body::{self, Body};
use crate::cache::{Cache, Mode, Opened, Refetch};
use crate::config::Config;
use crate::current::Current;
use crate::error::{CaError, ProxyError};
use crate::flow::FlowSink;
use crate::forward::Scope;
use crate::fronts::Fronts;
use crate::guard::{Guard, is_in_own_namespace};
use crate::hop_by_hop::Via;
use crate::identity::Client;
use crate::in_flight::{Flows, InFlight};
use crate::intercept::ca::Ca;
use crate::intercept::leaf::Leaves;
use crate::listener::{self, Listener, ListenerHandle, Role, Socket};
use crate::mirror::Mirror;
use crate::resolver::server as resolver;
use crate::rules::Rules;
use crate::service::{self, Line};
use crate::shared::Shared;
use crate::upstream::client::NetworkOrigin;
use crate::upstream::figures::Figures;

/// A running proxy. Cheap to clone; all clones are the same proxy.
#[derive(Clone)]
pub struct Proxy {
    current: Arc<Current<Shared>>,
    cache: Cache,
    /// Where the cache asks.
    exchanged: Arc<Exchanged>,
    ca: Arc<Ca>,
    runtime: Handle,
}

impl Proxy {
    /// Opens the cache and the CA. Must be called on a tokio runtime, which then does all that no thread of
    /// [`Config::fronts`] does.
    ///
    /// `sink` is given each flow when it ends.
    pub async fn start(config: Config, sink: Arc<dyn FlowSink>) -> Result<Self, ProxyError> {
        let (ca_dir, cache_dir) = (config.ca_dir.clone(), config.cache_dir.clone());
        let offline = config.mode == Mode::Offline;
        let opened = tokio::task::spawn_blocking(move || -> Result<_, ProxyError> {
            let ca = Ca::load_or_create(&ca_dir, Shared::now())?;
            let opened = match cache_dir {
                Some(dir) => Opened::open(&dir, offline).map_err(|error| ProxyError::Cache { dir, source: error })?,
                None => Opened::default(),
            };
            Ok((Arc::new(ca), opened))
        });
        let (ca, opened) = opened.await.map_err(|error| ProxyError::Listen(io::Error::other(error)))??;
        let guard = Arc::new(Guard::default());
        let origin = Arc::new(NetworkOrigin::new(&config, &guard));
        let access = Access { allow: config.allow.clone(), deny: config.deny.clone() };
        let admitted = Admitted { access: access.clone(), origin: origin.clone() };
        let exchanged = Arc::new(Exchanged(Current::new(admitted)));
        let cache = opened.cache(exchanged.clone(), config.mode, Rules::new(&config.rules)?);
        cache.keep(config.cache_keep);
        let shared = Shared {
            access,
            cache: cache.clone(),
            origin,
            guard,
            leaves: Arc::new(Leaves::new(ca.clone())?),
            flows: Flows::new(sink),
            fronts: Arc::new(Fronts::start(config.fronts).map_err(ProxyError::Listen)?),
            via: via_name()?,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            pools: Arc::default(),
            config,
        };
        Ok(Self { current: Arc::new(Current::new(shared)), cache, exchanged, ca, runtime: Handle::current() })
    }

    /// Works by other settings from the next request on, that of a connection already open included. What is under way
    /// goes on as it began. The cache's and the CA's folders stay what they are, and so do the listeners.
    ///
    /// An error leaves everything as it was.
    pub fn reload(&self, config: Config) -> Result<(), ProxyError> {
        let before = self.shared();
        let rules = Rules::new(&config.rules)?;
        let _runtime = self.runtime.enter();
        let origin = Arc::new(NetworkOrigin::new(&config, &before.guard));
        let access = Access { allow: config.allow.clone(), deny: config.deny.clone() };
        self.cache.set_rules(rules);
        self.cache.set_mode(config.mode);
        self.cache.keep(config.cache_keep);
        self.exchanged.0.set(Admitted { access: access.clone(), origin: origin.clone() });
        self.current.set(Shared { access, config, origin, ..(*before).clone() });
        Ok(())
    }

    /// What holds for one connection of a client.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn session(&self, client: Client, scope: Scope, stop: CancellationToken) -> crate::server::Session {
        crate::server::Session {
            shared: self.shared(),
            current: self.current.clone(),
            gate: None,
            client,
            scope,
            stop,
            held: Arc::default(),
            line: Line::default(),
        }
    }

    /// Its name in `Via`.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn via(&self) -> String {
        self.shared().via.name().to_owned()
    }

    /// What holds now.
    fn shared(&self) -> Arc<Shared> {
        self.current.get()
    }

    /// Serves a listening socket for one client, until the handle is dropped or the proxy stops.
    pub fn listen(&self, listener: TcpListener, role: Role, client: Client) -> Result<ListenerHandle, ProxyError> {
        self.listen_tcp(listener, role, client, None)
    }

    /// Serves a listening socket for those whom `gate` lets in. Who comes over the network is refused what a guest is;
    /// `client` is who they are in flows.
    pub fn listen_gated(
        &self,
        listener: TcpListener,
        client: Client,
        gate: &Arc<Gate>,
    ) -> Result<ListenerHandle, ProxyError> {
        self.listen_tcp(listener, Role::Proxy, client, Some(gate.clone()))
    }

    /// The same for a Unix socket, whose file's mode says who may connect.
    pub fn listen_unix(
        &self,
        listener: UnixListener,
        client: Client,
        gate: &Arc<Gate>,
    ) -> Result<ListenerHandle, ProxyError> {
        let _runtime = self.runtime.enter();
        let stop = self.child()?;
        listener.set_nonblocking(true).map_err(ProxyError::Listen)?;
        let socket = Socket::Unix(tokio::net::UnixListener::from_std(listener).map_err(ProxyError::Listen)?);
        let (current, token) = (self.current.clone(), stop.clone());
        let listener = Listener { role: Role::Proxy, client, gate: Some(gate.clone()), current, stop: token };
        self.shared().tasks.spawn(listener::run(socket, listener));
        Ok(ListenerHandle { address: (Ipv4Addr::UNSPECIFIED, 0).into(), stop })
    }

    fn listen_tcp(
        &self,
        listener: TcpListener,
        role: Role,
        client: Client,
        gate: Option<Arc<Gate>>,
    ) -> Result<ListenerHandle, ProxyError> {
        let _runtime = self.runtime.enter();
        let stop = self.child()?;
        listener.set_nonblocking(true).map_err(ProxyError::Listen)?;
        let address = listener.local_addr().map_err(ProxyError::Listen)?;
        let reachable = is_in_own_namespace(&listener);
        let socket = Socket::Tcp(tokio::net::TcpListener::from_std(listener).map_err(ProxyError::Listen)?);
        let shared = self.shared();
        if reachable {
            shared.guard.add_listener(address);
        }
        let guard = shared.guard.clone();
        let listener = Listener { role, client, gate, current: self.current.clone(), stop: stop.clone() };
        shared.tasks.spawn(async move {
            listener::run(socket, listener).await;
            if reachable {
                guard.remove_listener(address);
            }
        });
        Ok(ListenerHandle { address, stop })
    }

    /// Serves the gateway's resolver for one client: UDP, and TCP where a socket for it is given.
    pub fn listen_dns(
        &self,
        udp: UdpSocket,
        tcp: Option<TcpListener>,
        client: &Client,
    ) -> Result<ListenerHandle, ProxyError> {
        let _runtime = self.runtime.enter();
        let stop = self.child()?;
        resolver::prepare(&udp).map_err(ProxyError::Listen)?;
        let address = udp.local_addr().map_err(ProxyError::Listen)?;
        let udp = tokio::net::UdpSocket::from_std(udp).map_err(ProxyError::Listen)?;
        let shared = self.shared();
        let pool = shared.pool(client);
        if let Some(tcp) = tcp {
            tcp.set_nonblocking(true).map_err(ProxyError::Listen)?;
            let tcp = tokio::net::TcpListener::from_std(tcp).map_err(ProxyError::Listen)?;
            shared.tasks.spawn(resolver::serve_tcp(tcp, pool.clone(), stop.clone()));
        }
        shared.tasks.spawn(resolver::serve_udp(udp, pool, stop.clone()));
        Ok(ListenerHandle { address, stop })
    }

    /// Larder's own request, through the same cache, rules and routes. The URI must be absolute; failures are
    /// answers of the proxy's own, as for any client.
    pub async fn request(&self, request: Request<Body>, client: &Client) -> Response<Body> {
        service::respond(&self.shared(), client, &Scope::Own, &Line::default(), request).await
    }

    /// The interception CA's certificate, in PEM.
    pub fn ca_certificate_pem(&self) -> &str {
        self.ca.pem()
    }

    /// The interception CA's certificate, in DER.
    pub fn ca_certificate_der(&self) -> &[u8] {
        self.ca.der()
    }

    /// A string in the CA's subject that is found nowhere else: what a scan of a finished image looks for.
    pub fn ca_canary(&self) -> &str {
        self.ca.canary()
    }

    /// The requests under way, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.shared().flows.in_flight()
    }

    /// Asks upstream for a URL now, whatever is stored and however fresh: what it confirms or sends anew is the
    /// answer from then on. Returns the status of the answer once all of it has been read.
    pub async fn refetch(&self, url: Uri, client: &Client) -> io::Result<StatusCode> {
        let mut request = Request::new(body::empty());
        *request.uri_mut() = url;
        request.extensions_mut().insert(Refetch);
        let response = self.request(request, client).await;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(status)
    }

    /// The mirrors of the settings, and by them how each does.
    pub fn mirrors(&self) -> Vec<Mirror> {
        self.shared().config.mirrors.clone()
    }

    /// The proxies on the ways upstream, and how each does since the settings were read.
    pub fn upstream(&self) -> BTreeMap<String, Figures> {
        self.shared().origin.figures(std::time::Instant::now())
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Accepts no more, lets requests under way and what is being stored finish for `grace`, then ends the rest.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let shared = self.shared();
        shared.stop.cancel();
        shared.tasks.close();
        let _ = timeout_at(deadline, shared.tasks.wait()).await;
        self.cache.drain(deadline.saturating_duration_since(Instant::now())).await;
        shared.abort.cancel();
        // Every task watches `abort`, so this takes no time; the limit keeps a fault from becoming a hang.
        let _ = timeout_at(Instant::now() + Duration::from_secs(2), shared.tasks.wait()).await;
    }

    fn child(&self) -> Result<CancellationToken, ProxyError> {
        let shared = self.shared();
        if shared.stop.is_cancelled() {
            return Err(ProxyError::Stopping);
        }
        Ok(shared.stop.child_token())
    }
}

fn via_name() -> Result<Via, CaError> {
    let mut random = [0; 8];
    let name = SystemRandom::new().fill(&mut random).ok().map(|()| format!("larder-{}", hex::encode(random)));
    name.and_then(Via::new).ok_or_else(|| CaError::Certificate {
        action: "name the proxy",
        message: "the system has no random numbers".to_owned(),
    })
}
