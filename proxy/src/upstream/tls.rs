//! TLS towards the origin: roots of the system and of the user's files, read on first use.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::observe::{Event, note};
use super::witness::Witness;
use crate::mirror::MirrorMap;
use crate::origin::{Phase, UpstreamError};

/// Makes TLS connections to origins.
#[derive(Debug)]
pub(crate) struct OriginTls {
    extra_roots: Vec<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
    /// Hosts with roots of their own beside those.
    own: Vec<OwnRoots>,
    handshake_timeout: Duration,
}

/// What is trusted of one host and port only.
#[derive(Debug)]
struct OwnRoots {
    host: String,
    port: u16,
    roots: Vec<PathBuf>,
    config: OnceCell<Arc<ClientConfig>>,
}

impl OriginTls {
    pub(crate) fn new(extra_roots: Vec<PathBuf>, mirrors: &MirrorMap, handshake_timeout: Duration) -> Self {
        let own = mirrors.with_roots().map(|(host, port, own)| {
            let roots = extra_roots.iter().cloned().chain(own).collect();
            OwnRoots { host, port, roots, config: OnceCell::new() }
        });
        Self { own: own.collect(), extra_roots, config: OnceCell::new(), handshake_timeout }
    }

    /// Shakes hands as a client of `host` (an IPv6 address without brackets).
    pub(crate) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        port: u16,
        stream: T,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<T>, UpstreamError> {
        let fail = |phase, cause: String, retryable| UpstreamError {
            phase,
            message: format!("no TLS connection to {host}: {cause}"),
            retryable,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| fail(Phase::Tls, "it is not a name a certificate can hold".to_owned(), false))?;
        let connector = TlsConnector::from(self.config(host, port).await?);
        let protocols = alpn.iter().map(|name| name.to_vec()).collect();
        match timeout(self.handshake_timeout, connector.with_alpn(protocols).connect(name, stream)).await {
            Ok(Ok(stream)) => {
                tell(host, stream.get_ref().1);
                Ok(stream)
            }
            Ok(Err(error)) => Err(fail(phase_of(&error), explain(&error), false)),
            Err(_) => Err(fail(
                Phase::ConnectTimeout,
                format!("no answer within {} s", self.handshake_timeout.as_secs()),
                true,
            )),
        }
    }

    async fn config(&self, host: &str, port: u16) -> Result<Arc<ClientConfig>, UpstreamError> {
        let own = self.own.iter().find(|own| own.port == port && own.host.eq_ignore_ascii_case(host));
        let (cell, files) = own.map_or((&self.config, &self.extra_roots), |own| (&own.config, &own.roots));
        let made = cell.get_or_try_init(|| async {
            let files = files.clone();
            tokio::task::spawn_blocking(move || client_config(&files))
                .await
                .unwrap_or_else(|error| Err(error.to_string()))
                .map(Arc::new)
        });
        let config = made.await.map_err(|message| UpstreamError { phase: Phase::Tls, message, retryable: false })?;
        Ok(config.clone())
    }
}

/// Tells who looks on what was agreed.
fn tell(host: &str, connection: &ClientConnection) {
    note(|| Event::Tls {
        host: host.to_owned(),
        version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
        cipher: connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default(),
        alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
    });
}

fn client_config(extra_roots: &[PathBuf]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a root certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    for path in extra_roots {
        let refuse = |what: String| format!("the root certificates in {} cannot be used: {what}", path.display());
        let found: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?.collect();
        let found = found.map_err(|error| refuse(error.to_string()))?;
        let (added, _) = roots.add_parsable_certificates(found);
        if added == 0 {
            return Err(refuse("there is no certificate in PEM form".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err("there are no root certificates: install the system's (package ca-certificates) or name a PEM \
                    file with your own"
            .to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Witness(verifier)))
        .with_no_client_auth();
    Ok(config)
}

fn phase_of(error: &std::io::Error) -> Phase {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => Phase::Tls,
        Some(rustls::Error::AlertReceived(alert)) => Phase::TlsAlert((*alert).into()),
        Some(_) => Phase::TlsHandshake,
        None => Phase::Terminated,
    }
}

/// The cause, and for a certificate what the user may do.
fn explain(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            "its certificate comes from an authority that is not trusted here; if a proxy of your network inspects \
             TLS, add its root certificate to the system's or to Larder's extra roots"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(certificate)) => format!("its certificate is not valid: {certificate}"),
        _ => error.to_string(),
    }
}
