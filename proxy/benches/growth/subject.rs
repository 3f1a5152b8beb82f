//! The proxy that is measured, its origin, and what asks it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;

use crate::origin::Origin;
use crate::process::{Running, Usage, usage};
use crate::wire::Target;
use crate::{Result, larder};

/// A `larder proxy` with a folder of its own.
pub(crate) struct Subject {
    pub(crate) running: Running,
    pub(crate) port: u16,
    /// Of its cache.
    pub(crate) cache: PathBuf,
}

impl Subject {
    /// Starts one below a folder, which may have a cache in it already.
    pub(crate) async fn start(folder: &Path, origin: &Origin, more: &[(&'static str, String)]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut settings = vec![
            ("LARDER_CA_FILES", origin.ca_file.display().to_string()),
            ("LARDER_PROXY_CONNECT_PORTS", origin.tls.to_string()),
        ];
        settings.extend_from_slice(more);
        let (running, port) = larder::start(folder, &settings).await?;
        Ok(Self { running, port, cache: folder.join("cache") })
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.running.pid())
    }

    /// What asks for a path, in the clear.
    pub(crate) fn target(&self, origin: &Origin, path: &str) -> Target {
        let request = request(origin, path).into_bytes().into();
        Target { address: ([127, 0, 0, 1], self.port).into(), source: None, tunnel: None, tls: None, request }
    }

    /// What asks for a path through a CONNECT, from an address of its own.
    pub(crate) fn tunnel(&self, origin: &Origin, path: &str, tls: Arc<ClientConfig>, source: Ipv4Addr) -> Target {
        let authority = format!("localhost:{}", origin.tls);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes().into();
        let address = ([127, 0, 0, 1], self.port).into();
        Target { address, source: Some(source), tunnel: Some(authority), tls: Some(tls), request }
    }
}

pub(crate) fn url(origin: &Origin, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", origin.plain)
}

pub(crate) fn request(origin: &Origin, path: &str) -> String {
    format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", url(origin, path), origin.plain)
}

/// Bytes that a folder has on the disk.
pub(crate) fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => found.blocks() * 512 + on_disk(&entry.path()),
        Ok(found) => found.blocks() * 512,
        // It has gone meanwhile.
        Err(_) => 0,
    };
    entries.map(size).sum()
}
