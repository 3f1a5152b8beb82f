//! From settings to the rules of the service: who may use it, and what it may ask.

use std::sync::Arc;

use ipnet::IpNet;
use larder_proxy::admission::{Admission, Network};
use larder_proxy::config::Config;
use larder_proxy::host_pattern::HostPattern;
use larder_proxy::login::Users;

use super::address::Address;
use crate::cli::settings::{Settings, Sourced};
use crate::cli::{Env, proxy_config};
use crate::error::{Context as _, Error, Result};

/// What is made of the settings, all of it checked: now, and at each reload.
pub(super) struct Rules {
    pub(super) config: Config,
    pub(super) admission: Admission,
    pub(super) admin: AdminRules,
}

/// Who may ask for metrics and health.
#[derive(Clone, Debug, Default)]
pub(super) struct AdminRules {
    /// Networks of clients; empty: the loopback.
    pub(super) clients: Vec<IpNet>,
    /// Names by which it may be asked.
    pub(super) hosts: Vec<String>,
}

impl Rules {
    pub(super) fn of(settings: &Settings, env: &Env) -> Result<Self> {
        let service = &settings.service;
        let project = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
        let mut config = proxy_config::config(settings, env, &project)?;
        config.allow = hosts("proxy.allow", &service.allow)?;
        config.deny = hosts("proxy.deny", &service.deny)?;
        if !service.connect_ports.value.is_empty() {
            let port = |port: &String| {
                port.parse()
                    .map_err(|_| wrong("proxy.connect_ports", &service.connect_ports, &format!("{port} is no port")))
            };
            config.connect_ports = service.connect_ports.value.iter().map(port).collect::<Result<_>>()?;
        }
        let networks = service.clients.value.iter().map(|text| network(text));
        let networks = networks.collect::<std::result::Result<_, _>>();
        let admission = Admission {
            networks: networks.map_err(|why| wrong("proxy.clients", &service.clients, &why))?,
            users: users(settings)?.map(Arc::new),
            either: service.either.value,
            per_client: service.per_client.value,
            connections: service.connections.value,
        };
        let admin_clients = service.admin_clients.value.iter().map(|text| range(text));
        let admin = AdminRules {
            clients: admin_clients
                .collect::<std::result::Result<_, _>>()
                .map_err(|why| wrong("proxy.admin_clients", &service.admin_clients, &why))?,
            hosts: service.admin_hosts.value.iter().map(|host| host.to_ascii_lowercase()).collect(),
        };
        Ok(Self { config, admission, admin })
    }

    /// Refuses what would be an open proxy.
    pub(super) fn check(&self, clients: &[Address], admin: &[Address]) -> Result<()> {
        if let Some(address) = clients.iter().find(|address| address.is_reachable()) {
            if !self.admission.has_rules() {
                return Err(Error::new(format!(
                    "{address} can be reached from other machines, and nothing says who may use the proxy there"
                ))
                .hint("name the networks of its clients, as in `--client 10.20.0.0/16` or `[proxy] clients = [\"10.20.0.0/16\"]`")
                .hint("or let them log in, by `--users-file FILE` or `[proxy] users_file = \"FILE\"`; `larder proxy passwd FILE NAME` makes one")
                .hint("or listen on 127.0.0.1"));
            }
            if self.admission.is_open() {
                return Err(Error::new(format!(
                    "on {address}, `proxy.clients` lets the whole internet in, and nobody has to log in: an open proxy"
                ))
                .hint(
                    "name the networks of its clients alone, or let them log in by `[proxy] users_file = \"FILE\"`",
                ));
            }
        }
        let exposed = admin.iter().find(|address| address.is_reachable());
        if let Some(address) = exposed.filter(|_| self.admin.clients.is_empty()) {
            return Err(Error::new(format!(
                "{address} can be reached from other machines, and nothing says who may ask for metrics there"
            ))
            .hint("name them, as in `[proxy] admin_clients = [\"10.20.0.9/32\"]`, or use 127.0.0.1 for `admin`"));
        }
        Ok(())
    }
}

/// Reads a list of addresses.
pub(super) fn addresses(name: &str, list: &Sourced<Vec<String>>) -> Result<Vec<Address>> {
    list.value.iter().map(|text| text.parse().map_err(|why: String| wrong(name, list, &why))).collect()
}

fn users(settings: &Settings) -> Result<Option<Users>> {
    let setting = &settings.service.users_file;
    let Some(path) = &setting.value else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .context(|| format!("cannot read the users in {} (proxy.users_file, {})", path.display(), setting.source))?;
    Users::parse(&text).map(Some).map_err(|error| {
        Error::new(format!("cannot use the users in {}", path.display()))
            .caused_by(error)
            .hint(format!("`larder proxy passwd {} NAME` adds a user or sets a password anew", path.display()))
    })
}

fn hosts(name: &str, list: &Sourced<Vec<String>>) -> Result<Vec<HostPattern>> {
    list.value.iter().map(|text| text.parse().map_err(|error| wrong(name, list, "").caused_by(error))).collect()
}

/// `10.0.0.0/8`, `10.0.0.9`, or either behind `LABEL=`.
fn network(text: &str) -> std::result::Result<Network, String> {
    let (label, text) = match text.split_once('=') {
        Some((label, _)) if label.trim().is_empty() => return Err(format!("{text} has no name before the `=`")),
        Some((label, range)) => (Some(Arc::from(label.trim())), range.trim()),
        None => (None, text),
    };
    Ok(Network { range: range(text)?, label })
}

fn range(text: &str) -> std::result::Result<IpNet, String> {
    let one = text.parse().map(|address: std::net::IpAddr| IpNet::from(address.to_canonical()));
    let range = text
        .parse::<IpNet>()
        .or(one)
        .map_err(|_| format!("{text} is no network: write 10.20.0.0/16, 2001:db8:7::/48, or one address"))?;
    if range.trunc() != range {
        return Err(format!("{text} has bits behind its prefix; do you mean {}?", range.trunc()));
    }
    Ok(range)
}

fn wrong<T>(name: &str, setting: &Sourced<T>, why: &str) -> Error {
    let colon = if why.is_empty() { "" } else { ": " };
    Error::new(format!("cannot use {name} ({}){colon}{why}", setting.source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        for (text, range, label) in [
            ("10.20.0.0/16", "10.20.0.0/16", None),
            ("ci=10.20.0.0/16", "10.20.0.0/16", Some("ci")),
            ("192.0.2.7", "192.0.2.7/32", None),
            ("lab = 2001:db8::/32", "2001:db8::/32", Some("lab")),
            ("::1", "::1/128", None),
        ] {
            let found = network(text).unwrap();
            assert_eq!((found.range.to_string().as_str(), found.label.as_deref()), (range, label), "{text}");
        }
        for (text, part) in [
            ("10.20.0.1/16", "do you mean 10.20.0.0/16?"),
            ("10.20/16", "is no network"),
            ("=10.0.0.0/8", "no name"),
            ("ci=", "is no network"),
            ("ci.example.org", "is no network"),
        ] {
            let why = network(text).unwrap_err();
            assert!(why.contains(part), "{text}: {why}");
        }
    }
}
