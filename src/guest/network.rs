//! Enforced egress: a gateway whose sockets the proxy serves.

use larder_proxy::identity::Client;
use larder_proxy::listener::{ListenerHandle, Role};
use larder_proxy::proxy::Proxy;

use super::gateway::{Gateway, GatewaySpec};
use super::netlink::Netlink;
use crate::error::{Context as _, Error, Result};

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

/// The network of one build (or one `exec`): its ways out end at the proxy. Ends when dropped.
pub struct Network {
    gateway: Gateway,
    client: Client,
    _served: Vec<ListenerHandle>,
}

impl Network {
    /// Makes the gateway and lets `proxy` serve it; flows are attributed to `client`.
    pub async fn enforced(proxy: &Proxy, client: Client) -> Result<Self> {
        let mut gateway = Gateway::create(GatewaySpec::default()).await?;
        let listeners =
            gateway.listeners().ok_or_else(|| Error::new("the gateway's sockets have been handed out before"))?;
        let served = [(listeners.proxy, Role::Proxy), (listeners.http, Role::Http), (listeners.https, Role::Https)]
            .into_iter()
            .map(|(listener, role)| proxy.listen(listener, role, client.clone()))
            .chain([proxy.listen_dns(listeners.dns_udp, Some(listeners.dns_tcp), &client)])
            .collect::<Result<Vec<_>, _>>()
            .context(|| "the proxy cannot serve the build's network".to_owned())?;
        Ok(Self { gateway, client, _served: served })
    }

    /// The namespaces, for guests and commands to run in.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Whom flows are attributed to.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
