//! What a proxy is told when it starts. All of it comes from the user, never from a guest or a template.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::ConfigError;
use crate::host_pattern::HostPattern;
use crate::mirror::Mirror;
use crate::rules::UserRule;
use crate::upstream::anonymize::Anonymize;
use crate::upstream::auth::{ProxyLogin, Secrets};
use crate::upstream::host_tls::HostTls;
use crate::upstream::route::Upstream;

/// Settings of a [`crate::proxy::Proxy`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder of the cache; `None` keeps nothing.
    pub cache_dir: Option<PathBuf>,
    /// What the cache is kept within.
    pub cache_keep: crate::cache::Keep,
    /// Folder of the interception CA, made with mode 0700 where it is missing.
    pub ca_dir: PathBuf,
    /// Whether upstream may be asked.
    pub mode: crate::cache::Mode,
    /// Proxies of the user's own network, and the hosts reached without them.
    pub upstream: Upstream,
    /// Whether requests upstream are made to tell less of who asks, and how.
    pub anonymize: Option<Anonymize>,
    /// Who Larder is to which of those proxies, where their URLs do not say.
    pub proxy_logins: Vec<ProxyLogin>,
    /// Is told every password that is read for them.
    pub secrets: Secrets,
    /// PEM files with roots trusted beside the system's.
    pub extra_roots: Vec<PathBuf>,
    /// TLS with single hosts: client certificates and pinned keys. The first that covers a host holds.
    pub host_tls: Vec<HostTls>,
    /// Names and URL prefixes fetched from elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Rules about paths, before the built-in ones.
    pub rules: Vec<UserRule>,
    /// Hosts whose TLS is passed on unseen.
    pub tunnel: Vec<HostPattern>,
    /// Where it is not empty: the only hosts that may be asked.
    pub allow: Vec<HostPattern>,
    /// Hosts that may not be asked.
    pub deny: Vec<HostPattern>,
    /// Ports that CONNECT may name, beside those of `tunnel` patterns.
    pub connect_ports: Vec<u16>,
    /// How long to wait for peers.
    pub timeouts: Timeouts,
    /// Threads that serve connections, each with a runtime of its own. With 0 the runtime on which the proxy is started
    /// serves them.
    pub fronts: usize,
}

impl Config {
    /// A proxy that keeps nothing and goes straight to the origin, with its CA in `ca_dir`.
    pub fn new(ca_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: None,
            cache_keep: crate::cache::Keep::default(),
            ca_dir: ca_dir.into(),
            mode: crate::cache::Mode::Cache,
            upstream: Upstream::default(),
            anonymize: None,
            proxy_logins: Vec::new(),
            secrets: Secrets::default(),
            extra_roots: Vec::new(),
            host_tls: Vec::new(),
            mirrors: Vec::new(),
            rules: Vec::new(),
            tunnel: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            connect_ports: vec![80, 443],
            timeouts: Timeouts::default(),
            fronts: 0,
        }
    }

    /// Adds a mirror; see [`Mirror::parse`].
    pub fn mirror(mut self, from: &str, to: &str) -> Result<Self, ConfigError> {
        self.mirrors.push(Mirror::parse(from, to)?);
        Ok(self)
    }
}

/// How long the proxy waits for its peers.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For one address to accept a connection, and for the TLS handshake after it.
    pub connect: Duration,
    /// For a way to an origin to be open, where another can be tried; three times that for the head of an answer.
    pub patience: Duration,
    /// For the answer's head, once the request is sent.
    pub head: Duration,
    /// Between two pieces of a body.
    pub idle: Duration,
    /// Bytes a second that a body of a known length has to bring, an origin's or a client's, over five minutes of waiting
    /// for it; 0 for any number. What has no length, as a stream of events, may take its time.
    pub min_rate: u64,
    /// For a client's request head or TLS hello.
    pub client: Duration,
    /// For a client to take something of an answer that waits for it. Long: what a client unpacks as it comes may
    /// keep it busy.
    pub send: Duration,
    /// Without a byte either way, for connections passed on unseen. Long: a WebSocket or an attached terminal may
    /// be silent while a build works.
    pub tunnel: Duration,
}

/// The slowest that a body may be, in bytes a second, where nothing else is set. A modem was faster; a body of a few
/// bytes at a time, each just in time, would keep a build waiting for days.
pub const MIN_RATE: u64 = 100;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            patience: Duration::from_secs(3),
            head: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            min_rate: MIN_RATE,
            client: Duration::from_secs(30),
            send: Duration::from_mins(5),
            tunnel: Duration::from_mins(30),
        }
    }
}
