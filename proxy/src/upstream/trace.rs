//! What whoever wants to know is told while a connection is made, step by step.

use std::net::SocketAddr;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

/// Told of each step when it is over.
pub trait Trace: Send + Sync {
    /// Takes note.
    fn step(&self, step: Step);
}

/// One step of a connection through a route.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which proxy of the route it concerns, from 0; their number for the origin.
    pub hop: usize,
    /// What was done.
    pub what: What,
    /// How long it took.
    pub took: Duration,
    /// What came of it. The error is for people.
    pub outcome: Result<(), String>,
}

/// What is done in a step.
#[derive(Clone, Debug)]
pub enum What {
    /// A TCP connection to a host, with the address that answered.
    Dial {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// Whom the connection is to.
        address: Option<SocketAddr>,
    },
    /// A TLS handshake.
    Tls(Handshake),
    /// The proxy was asked for a connection to somewhere, by CONNECT or SOCKS.
    Tunnel {
        /// `host:port` of what it was asked for.
        to: String,
        /// The address, where it was found here rather than by the proxy.
        address: Option<SocketAddr>,
    },
}

/// A TLS handshake.
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    /// The name that the certificate is to be for.
    pub name: String,
    /// Version and cipher suite, as in `TLSv1.3 TLS13_AES_256_GCM_SHA384`.
    pub protocol: Option<String>,
    /// The protocol agreed on for what follows, as in `h2`.
    pub alpn: Option<String>,
    /// What the peer showed, its own first; also where it was not taken.
    pub certificates: Vec<CertificateDer<'static>>,
}
