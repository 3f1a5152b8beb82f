//! The proxy as its users see it: start, listen, ask, stop.

use std::collections::HashMap;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::{Access, Admitted};
use crate::body::{self, Body};
use crate::cache::{Cache, Mode, Opened, Refetch};
use crate::config::Config;
use crate::error::{CaError, ProxyError};
use crate::flow::FlowSink;
use crate::forward::Scope;
use crate::guard::{Guard, is_in_own_namespace};
use crate::identity::Client;
use crate::in_flight::{Flows, InFlight};
use crate::intercept::ca::Ca;
use crate::intercept::leaf::Leaves;
use crate::listener::{self, ListenerHandle, Role};
use crate::mirror::Mirror;
use crate::resolver::server as resolver;
use crate::rules::Rules;
use crate::service;
use crate::shared::Shared;
use crate::upstream::client::NetworkOrigin;

/// A running proxy. Cheap to clone; all clones are the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    runtime: Handle,
}

impl Proxy {
    /// Opens the cache and the CA. Must be called on a tokio runtime, which then serves every connection.
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
        let admitted = Arc::new(Admitted { access: access.clone(), origin: origin.clone() });
        let cache = opened.cache(admitted, config.mode, Rules::new(&config.rules)?);
        cache.keep(config.cache_keep);
        let shared = Shared {
            access,
            cache,
            origin,
            guard,
            leaves: Leaves::new(ca.clone())?,
            ca,
            flows: Flows::new(sink),
            via: via_name()?,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            pools: Mutex::new(HashMap::new()),
            config,
        };
        Ok(Self { shared: Arc::new(shared), runtime: Handle::current() })
    }

    /// Serves a listening socket for one client, until the handle is dropped or the proxy stops.
    pub fn listen(&self, listener: TcpListener, role: Role, client: Client) -> Result<ListenerHandle, ProxyError> {
        let _runtime = self.runtime.enter();
        let stop = self.child()?;
        listener.set_nonblocking(true).map_err(ProxyError::Listen)?;
        let address = listener.local_addr().map_err(ProxyError::Listen)?;
        let reachable = is_in_own_namespace(&listener);
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ProxyError::Listen)?;
        if reachable {
            self.shared.guard.add_listener(address);
        }
        let shared = self.shared.clone();
        let token = stop.clone();
        self.shared.tasks.spawn(async move {
            listener::run(listener, role, client, shared.clone(), token).await;
            if reachable {
                shared.guard.remove_listener(address);
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
        let pool = self.shared.pool(client);
        if let Some(tcp) = tcp {
            tcp.set_nonblocking(true).map_err(ProxyError::Listen)?;
            let tcp = tokio::net::TcpListener::from_std(tcp).map_err(ProxyError::Listen)?;
            self.shared.tasks.spawn(resolver::serve_tcp(tcp, pool.clone(), stop.clone()));
        }
        self.shared.tasks.spawn(resolver::serve_udp(udp, pool, stop.clone()));
        Ok(ListenerHandle { address, stop })
    }

    /// Larder's own request, through the same cache, rules and routes. The URI must be absolute; failures are
    /// answers of the proxy's own, as for any client.
    pub async fn request(&self, request: Request<Body>, client: &Client) -> Response<Body> {
        service::respond(&self.shared, client, &Scope::Own, request).await
    }

    /// The interception CA's certificate, in PEM.
    pub fn ca_certificate_pem(&self) -> &str {
        self.shared.ca.pem()
    }

    /// The interception CA's certificate, in DER.
    pub fn ca_certificate_der(&self) -> &[u8] {
        self.shared.ca.der()
    }

    /// A string in the CA's subject that is found nowhere else: what a scan of a finished image looks for.
    pub fn ca_canary(&self) -> &str {
        self.shared.ca.canary()
    }

    /// The requests under way, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.shared.flows.in_flight()
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
    pub fn mirrors(&self) -> &[Mirror] {
        &self.shared.config.mirrors
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.shared.cache
    }

    /// Accepts no more, lets requests under way and what is being stored finish for `grace`, then ends the rest.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let _ = timeout_at(deadline, self.shared.tasks.wait()).await;
        self.shared.cache.drain(deadline.saturating_duration_since(Instant::now())).await;
        self.shared.abort.cancel();
        // Every task watches `abort`, so this takes no time; the limit keeps a fault from becoming a hang.
        let _ = timeout_at(Instant::now() + Duration::from_secs(2), self.shared.tasks.wait()).await;
    }

    fn child(&self) -> Result<CancellationToken, ProxyError> {
        if self.shared.stop.is_cancelled() {
            return Err(ProxyError::Stopping);
        }
        Ok(self.shared.stop.child_token())
    }
}

fn via_name() -> Result<String, CaError> {
    let mut random = [0; 8];
    SystemRandom::new().fill(&mut random).map_err(|_| CaError::Certificate {
        action: "name the proxy",
        message: "the system has no random numbers".to_owned(),
    })?;
    Ok(format!("larder-{}", hex::encode(random)))
}
