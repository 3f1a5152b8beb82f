//! How a build's traffic is held to the proxy: by a gateway whose sockets the proxy serves, or, where no network
//! namespace can be had, by proxy settings alone.

use std::net::TcpListener;

use larder_proxy::identity::Client;
use larder_proxy::listener::{ListenerHandle, Role};
use larder_proxy::proxy::Proxy;

use super::gateway::{GATEWAY_V4, Gateway, GatewaySpec, PROXY_PORT};
use super::host::cause::{Cause, Facts};
use super::netlink::Netlink;
use crate::error::{Context as _, Error, Result};

/// What a user asks of a guest's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Egress {
    /// Enforced where it can be had, else observed.
    #[default]
    Best,
    /// Enforced, or nothing.
    Enforced,
    /// Observed, also where more could be had.
    Observed,
}

/// Brings the loopback up where it is down, as it is in a network namespace just made (`unshare --net`), and where
/// that is allowed: commands of the host reach the proxy over it. Best effort: they say themselves what they cannot reach.
pub fn raise_loopback() {
    let up = nix::ifaddrs::getifaddrs().is_ok_and(|mut all| {
        all.any(|one| one.interface_name == "lo" && one.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP))
    });
    if !up && let Err(error) = Netlink::open().and_then(|netlink| netlink.set_up("lo")) {
        tracing::warn!(%error, "the loopback interface is down, and cannot be brought up");
    }
}

/// The network of one build (or one `exec`). Ends when dropped.
pub struct Network {
    way: Way,
    client: Client,
    _served: Vec<ListenerHandle>,
}

enum Way {
    /// All ways out end at the proxy.
    Gateway(Gateway),
    /// The host's network, with the proxy on a port of its loopback.
    Host { address: String, why: String },
}

impl Network {
    /// The network that `egress` asks for; flows are attributed to `client`.
    pub async fn of(egress: Egress, proxy: &Proxy, client: Client) -> Result<Self> {
        if egress == Egress::Observed {
            return Self::observed(proxy, client, "it was asked for".to_owned());
        }
        match Gateway::create(GatewaySpec::default()).await {
            Ok(gateway) => Self::enforced(gateway, proxy, client),
            Err(refused) if egress == Egress::Enforced => Err(Error::from(refused).hint(
                "with `--egress observed` guests share this machine's network, and are led to the proxy by settings",
            )),
            Err(refused) => {
                let cause = refused.cause(&Facts::read());
                let mend = cause.remedies().first().map(|remedy| format!(" (mend: {remedy})")).unwrap_or_default();
                let why = match cause {
                    Cause::Unknown(_) => format!("cannot {}: {}", refused.what, refused.error),
                    cause => cause.finding(),
                };
                Self::observed(proxy, client, format!("{why}{mend}"))
            }
        }
    }

    /// Lets `proxy` serve the gateway.
    fn enforced(mut gateway: Gateway, proxy: &Proxy, client: Client) -> Result<Self> {
        let listeners =
            gateway.listeners().ok_or_else(|| Error::new("the gateway's sockets have been handed out before"))?;
        let served = [(listeners.proxy, Role::Proxy), (listeners.http, Role::Http), (listeners.https, Role::Https)]
            .into_iter()
            .map(|(listener, role)| proxy.listen(listener, role, client.clone()))
            .chain([proxy.listen_dns(listeners.dns_udp, Some(listeners.dns_tcp), &client)])
            .collect::<Result<Vec<_>, _>>()
            .context(|| "the proxy cannot serve the build's network".to_owned())?;
        Ok(Self { way: Way::Gateway(gateway), client, _served: served })
    }

    /// A listener of this client's own on the loopback.
    fn observed(proxy: &Proxy, client: Client, why: String) -> Result<Self> {
        raise_loopback();
        let cannot = || "cannot listen for the build's guests".to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).context(cannot)?;
        let address = listener.local_addr().context(cannot)?.to_string();
        let served = proxy.listen(listener, Role::Proxy, client.clone()).context(cannot)?;
        Ok(Self { way: Way::Host { address, why }, client, _served: vec![served] })
    }

    /// The namespaces, for guests and commands to run in; `None` where they share the host's network.
    pub fn gateway(&self) -> Option<&Gateway> {
        match &self.way {
            Way::Gateway(gateway) => Some(gateway),
            Way::Host { .. } => None,
        }
    }

    /// The proxy's URL for programs that have to be told of it; `None` where connections reach it by themselves.
    pub fn proxy_url(&self) -> Option<String> {
        match &self.way {
            Way::Gateway(_) => None,
            Way::Host { address, .. } => Some(format!("http://{address}")),
        }
    }

    /// `host:port` of the proxy as a guest sees it, which must not be in its image.
    pub fn address(&self) -> String {
        match &self.way {
            Way::Gateway(_) => format!("{GATEWAY_V4}:{PROXY_PORT}"),
            Way::Host { address, .. } => address.clone(),
        }
    }

    /// Why egress is only observed.
    pub fn why_observed(&self) -> Option<&str> {
        match &self.way {
            Way::Gateway(_) => None,
            Way::Host { why, .. } => Some(why),
        }
    }

    /// Whom flows are attributed to.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
