//! What a user of the proxy needs to know, and the certificates for clients.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::address::Address;
use crate::cli::session::Session;
use crate::cli::settings::Settings;
use crate::error::{Context as _, Result};

/// Names of the files that clients are pointed to.
const CA: &str = "ca.pem";
const BUNDLE: &str = "ca-bundle.pem";

/// Writes the CA's certificate, and the host's with it, where clients of every user can read them. The name stays
/// the same as long as the CA does, so that shells may be set up for it.
pub(super) fn certificates(session: &Session, settings: &Settings) -> Result<PathBuf> {
    let digest = hex::encode(Sha256::digest(session.proxy.ca_certificate_der()));
    let directory = settings.state_dir.value.join("proxy").join(&digest[..16]);
    std::fs::create_dir_all(&directory).context(|| format!("cannot make {}", directory.display()))?;
    let ca = session.proxy.ca_certificate_pem();
    let mut bundle = session.host_bundle.to_vec();
    bundle.push(b'\n');
    bundle.extend_from_slice(ca.as_bytes());
    for (name, content) in [(CA, ca.as_bytes()), (BUNDLE, &bundle)] {
        let path = directory.join(name);
        std::fs::write(&path, content).context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(directory)
}

/// What a user needs to know; a line for each address is for programs too.
pub(super) fn lines(clients: &[Address], admin: &[Address], directory: &Path, log_in: bool) -> Vec<String> {
    let quoted = |name: &str| format!("'{}'", directory.join(name).display().to_string().replace('\'', "'\\''"));
    let listening = clients.iter().map(|address| match address {
        Address::Tcp(address) => format!("Listening on http://{address}"),
        Address::Unix(_) => format!("Listening on {address}"),
    });
    let admin = admin.iter().map(|address| match address {
        Address::Tcp(address) => format!("Metrics and health at http://{address}"),
        Address::Unix(_) => format!("Metrics and health at {address}"),
    });
    let url = clients.iter().find_map(|address| match address {
        Address::Tcp(address) => {
            let user = if log_in { "USER:PASSWORD@" } else { "" };
            let host = if address.ip().is_unspecified() {
                format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), address.port())
            } else {
                address.to_string()
            };
            Some(format!("http://{user}{host}"))
        }
        Address::Unix(_) => None,
    });
    let mut lines: Vec<String> = listening.chain(admin).collect();
    lines.push(
        "HTTPS is looked into, so clients need Larder's CA. For curl, pip, npm, git, cargo and others:".to_owned(),
    );
    lines.extend(url.map(|url| format!("  export http_proxy={url} https_proxy={url}")));
    lines.push(format!(
        "  CA={}; export SSL_CERT_FILE=$CA CURL_CA_BUNDLE=$CA PIP_CERT=$CA REQUESTS_CA_BUNDLE=$CA",
        quoted(BUNDLE)
    ));
    lines.push(format!("  export GIT_SSL_CAINFO=$CA CARGO_HTTP_CAINFO=$CA NODE_EXTRA_CA_CERTS={}", quoted(CA)));
    lines
}
