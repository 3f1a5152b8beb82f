//! The origin and all peers, each with a folder of its own.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::arguments::Arguments;
use crate::origin::Origin;
use crate::peer::Peer;
use crate::wire::{Connection, Target};
use crate::{Result, apt_cacher_ng, larder, squid, traffic_server};

/// In the order in which they are measured.
pub(crate) const SERVERS: [&str; 5] = ["nginx", "larder", "trafficserver", "squid", "apt-cacher-ng"];

pub(crate) struct Bed {
    /// Ended first to last: the proxies before the origin.
    pub(crate) peers: Vec<Peer>,
    pub(crate) origin: Origin,
}

impl Bed {
    /// The origin, and the servers that are measured.
    pub(crate) async fn start(folder: &Path, arguments: &Arguments) -> Result<Self> {
        let below = |name: &str| -> Result<_> {
            let path = folder.join(name);
            fs::create_dir(&path)?;
            Ok(path)
        };
        let origin = Origin::start(&below("origin")?).await?;
        fs::write(origin.www.join("1k_1.0_all.deb"), random(1 << 10)?)?;
        fs::write(origin.www.join("64k_1.0_all.deb"), random(64 << 10)?)?;
        let settings = [
            ("LARDER_CA_FILES", origin.ca_file.display().to_string()),
            ("LARDER_PROXY_CONNECT_PORTS", origin.tls.to_string()),
        ];
        let mut peers = Vec::new();
        let wanted = |name: &str| arguments.servers.is_empty() || arguments.servers.iter().any(|one| one == name);
        for name in SERVERS.into_iter().filter(|name| wanted(name)) {
            peers.push(match name {
                "nginx" => Peer::direct(&origin),
                "larder" => {
                    let (running, port) = larder::start(&below(name)?, &settings).await?;
                    Peer::proxy("larder", running, port, true)
                }
                "trafficserver" => traffic_server::start(&below(name)?).await?,
                "squid" => squid::start(&below(name)?, &origin).await?,
                _ => apt_cacher_ng::start(&below(name)?).await?,
            });
        }
        Ok(Self { peers, origin })
    }

    /// How many requests the origin has had.
    pub(crate) async fn origin_requests(&self) -> Result<u64> {
        let request = b"GET /requests HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let address = ([127, 0, 0, 1], self.origin.plain).into();
        let target = Target { address, source: None, tunnel: None, tls: None, request: Arc::from(&request[..]) };
        let mut said = Vec::new();
        Connection::open(&target).await?.ask_into(request, |piece| said.extend_from_slice(piece)).await?;
        let said = String::from_utf8_lossy(&said);
        let count = said
            .lines()
            .nth(2)
            .and_then(|line| line.split_ascii_whitespace().nth(2))
            .and_then(|text| text.parse().ok());
        Ok(count.ok_or_else(|| format!("nginx's status is not understood: {said}"))?)
    }
}

pub(crate) fn random(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| "no random bytes")?;
    Ok(bytes)
}
