//! A server that is measured: how it is reached, and which process it is.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::Result;
use crate::origin::Origin;
use crate::process::{Running, Usage, usage};
use crate::wire::Target;

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pid: u32,
    /// Ends it; the origin is ended with what it belongs to.
    _running: Option<Running>,
}

#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// The origin itself.
    Direct,
    Proxy {
        port: u16,
        /// Whether it opens TLS.
        intercepts: bool,
    },
}

impl Peer {
    pub(crate) fn direct(origin: &Origin) -> Self {
        Self { name: "nginx", way: Way::Direct, pid: origin.running.pid(), _running: None }
    }

    pub(crate) fn proxy(name: &'static str, running: Running, port: u16, intercepts: bool) -> Self {
        Self { name, way: Way::Proxy { port, intercepts }, pid: running.pid(), _running: Some(running) }
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.pid)
    }

    /// What asks for a path of the origin, in the clear or, given a configuration, by TLS; none if it cannot.
    pub(crate) fn target(&self, origin: &Origin, path: &str, tls: Option<Arc<ClientConfig>>) -> Option<Target> {
        let port = if tls.is_some() { origin.tls } else { origin.plain };
        let name = if tls.is_some() { "localhost" } else { "127.0.0.1" };
        let authority = format!("{name}:{port}");
        let (connect, tunnel, prefix) = match self.way {
            Way::Direct => (port, None, String::new()),
            Way::Proxy { intercepts: false, .. } if tls.is_some() => return None,
            Way::Proxy { port, .. } if tls.is_some() => (port, Some(authority.clone()), String::new()),
            Way::Proxy { port, .. } => (port, None, format!("http://{authority}")),
        };
        let request =
            format!("GET {prefix}{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
        let address = ([127, 0, 0, 1], connect).into();
        Some(Target { address, source: None, tunnel, tls, request: request.into_bytes().into() })
    }
}

/// Writes a file of lines `name value`, as most servers want them.
pub(crate) fn write_lines(path: &Path, lines: &[String]) -> Result<()> {
    std::fs::write(path, lines.join("\n") + "\n")?;
    Ok(())
}
