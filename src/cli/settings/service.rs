//! Settings of `larder proxy` as a service.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Layers, Source, Sourced, key};

/// Where it listens where nothing is said.
const LISTEN: &str = "127.0.0.1:3142";
/// Connections of all clients where nothing is said.
const CONNECTIONS: usize = 4096;
/// Connections of one client: a runner with several builds, each with some tools that open many.
const PER_CLIENT: usize = 512;
/// How long requests may take to finish where nothing is said.
const DRAIN: Duration = Duration::from_mins(1);

/// What `larder proxy` listens on, and who may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Addresses it listens on.
    pub listen: Sourced<Vec<String>>,
    /// Networks of clients, some with a label.
    pub clients: Sourced<Vec<String>>,
    /// File of users and hashes.
    pub users_file: Sourced<Option<PathBuf>>,
    /// Whether a network or a login is enough.
    pub either: Sourced<bool>,
    /// Patterns of the only hosts that may be asked.
    pub allow: Sourced<Vec<String>>,
    /// Patterns of hosts that may not be asked.
    pub deny: Sourced<Vec<String>>,
    /// Ports that CONNECT may name; empty for the proxy's own choice.
    pub connect_ports: Sourced<Vec<String>>,
    /// Most connections.
    pub connections: Sourced<usize>,
    /// Most connections of one client.
    pub per_client: Sourced<usize>,
    /// Addresses for metrics and health.
    pub admin: Sourced<Vec<String>>,
    /// Networks that may ask there.
    pub admin_clients: Sourced<Vec<String>>,
    /// Names by which it may be asked.
    pub admin_hosts: Sourced<Vec<String>>,
    /// File of the access log.
    pub access_log: Sourced<Option<PathBuf>>,
    /// How long requests may take to finish.
    pub drain: Sourced<Duration>,
}

impl Service {
    pub(super) fn of(layers: &mut Layers) -> Self {
        let path = |value: key::Value| Some(PathBuf::from(value.text())).filter(|path| !path.as_os_str().is_empty());
        let count = |value: key::Value| usize::try_from(value.number()).unwrap_or(usize::MAX).max(1);
        let list = key::Value::into_list;
        Self {
            listen: layers.get("proxy.listen", vec![LISTEN.to_owned()], list),
            clients: layers.get("proxy.clients", Vec::new(), list),
            users_file: layers.get("proxy.users_file", None, path),
            either: layers.get("proxy.satisfy", false, |value| value.text() == "any"),
            allow: layers.get("proxy.allow", Vec::new(), list),
            deny: layers.get("proxy.deny", Vec::new(), list),
            connect_ports: layers.get("proxy.connect_ports", Vec::new(), list),
            connections: layers.get("proxy.connections", CONNECTIONS, count),
            per_client: layers.get("proxy.connections_per_client", PER_CLIENT, count),
            admin: layers.get("proxy.admin", Vec::new(), list),
            admin_clients: layers.get("proxy.admin_clients", Vec::new(), list),
            admin_hosts: layers.get("proxy.admin_hosts", Vec::new(), list),
            access_log: layers.get("proxy.access_log", None, path),
            drain: layers.get("proxy.drain", DRAIN, |value| Duration::from_secs(value.number())),
        }
    }

    /// The value of one as shown, and where it came from.
    pub(super) fn shown(&self, name: &str) -> Option<(Value, &Source)> {
        let path = |path: &Sourced<Option<PathBuf>>| json!(path.value.as_ref().map(|path| path.to_string_lossy()));
        Some(match name {
            "proxy.listen" => (json!(self.listen.value), &self.listen.source),
            "proxy.clients" => (json!(self.clients.value), &self.clients.source),
            "proxy.users_file" => (path(&self.users_file), &self.users_file.source),
            "proxy.satisfy" => (json!(if self.either.value { "any" } else { "all" }), &self.either.source),
            "proxy.allow" => (json!(self.allow.value), &self.allow.source),
            "proxy.deny" => (json!(self.deny.value), &self.deny.source),
            "proxy.connect_ports" => (json!(self.connect_ports.value), &self.connect_ports.source),
            "proxy.connections" => (json!(self.connections.value), &self.connections.source),
            "proxy.connections_per_client" => (json!(self.per_client.value), &self.per_client.source),
            "proxy.admin" => (json!(self.admin.value), &self.admin.source),
            "proxy.admin_clients" => (json!(self.admin_clients.value), &self.admin_clients.source),
            "proxy.admin_hosts" => (json!(self.admin_hosts.value), &self.admin_hosts.source),
            "proxy.access_log" => (path(&self.access_log), &self.access_log.source),
            "proxy.drain" => (json!(self.drain.value.as_secs()), &self.drain.source),
            _ => return None,
        })
    }
}
