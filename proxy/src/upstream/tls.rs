//! TLS towards origins and HTTPS proxies: whom to trust, who to be, and which keys to insist on. Files are read on
//! first use.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::host_tls::HostTls;
use super::observe::{Event, note};
use super::verify::Verify;
use super::witness::Witness;
use crate::mirror::MirrorMap;
use crate::origin::{Phase, UpstreamError};

/// Makes TLS connections.
#[derive(Debug)]
pub(crate) struct OriginTls {
    /// Hosts with roots of their own beside those of all; the last holds for the rest.
    roots: Vec<Roots>,
    hosts: Vec<HostTls>,
    /// By index of both.
    made: Mutex<HashMap<Indices, Arc<ClientConfig>>>,
    handshake_timeout: Duration,
}

/// Which roots, and which of the settings by host.
type Indices = (usize, Option<usize>);

/// What is trusted of one host and port, or of all.
#[derive(Debug)]
struct Roots {
    of: Option<(String, u16)>,
    files: Vec<PathBuf>,
    store: OnceCell<Arc<RootCertStore>>,
}

impl OriginTls {
    pub(crate) fn new(
        extra_roots: Vec<PathBuf>,
        mirrors: &MirrorMap,
        hosts: Vec<HostTls>,
        handshake_timeout: Duration,
    ) -> Self {
        let mut roots: Vec<Roots> = mirrors
            .with_roots()
            .map(|(host, port, own)| {
                let files = extra_roots.iter().cloned().chain(own).collect();
                Roots { of: Some((host, port)), files, store: OnceCell::new() }
            })
            .collect();
        roots.push(Roots { of: None, files: extra_roots, store: OnceCell::new() });
        Self { roots, hosts, made: Mutex::default(), handshake_timeout }
    }

    /// Shakes hands as a client of `host` (an IPv6 address without brackets).
    pub(crate) async fn handshake<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        port: u16,
        stream: T,
        alpn: &[&[u8]],
    ) -> Result<TlsStream<T>, UpstreamError> {
        let config = self.config(host, port).await;
        let config = config.map_err(|message| UpstreamError { phase: Phase::Tls, message, retryable: false })?;
        let fail = |phase, cause: String, retryable| UpstreamError {
            phase,
            message: format!("no TLS connection to {host}: {cause}"),
            retryable,
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| fail(Phase::Tls, "it is not a name a certificate can hold".to_owned(), false))?;
        let protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let connecting = TlsConnector::from(config).with_alpn(protocols).connect(name, stream);
        match timeout(self.handshake_timeout, connecting).await {
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

    /// Which roots, and which of the settings by host, are for this one.
    fn indices(&self, host: &str, port: u16) -> (usize, Option<usize>) {
        let is_own =
            |roots: &Roots| roots.of.as_ref().is_none_or(|(own, at)| *at == port && own.eq_ignore_ascii_case(host));
        let roots = self.roots.iter().position(is_own).unwrap_or(self.roots.len() - 1);
        (roots, self.hosts.iter().position(|own| own.matches(host, port)))
    }

    async fn config(&self, host: &str, port: u16) -> Result<Arc<ClientConfig>, String> {
        let indices = self.indices(host, port);
        let known = || self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&indices).cloned();
        if let Some(config) = known() {
            return Ok(config);
        }
        let config = Arc::new(self.make(indices).await?);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        // Another may have been quicker; its sessions are the ones to resume.
        Ok(made.entry(indices).or_insert(config).clone())
    }

    async fn make(&self, (roots, own): (usize, Option<usize>)) -> Result<ClientConfig, String> {
        let roots = &self.roots[roots];
        let store = roots.store.get_or_try_init(|| async {
            let files = roots.files.clone();
            blocking(move || read_roots(&files)).await.map(Arc::new)
        });
        let store = store.await?.clone();
        let own = own.map(|index| self.hosts[index].clone());
        blocking(move || client_config(store, own.as_ref())).await
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

fn read_roots(files: &[PathBuf]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a root certificate of the system cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    for path in files {
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
    Ok(roots)
}

fn client_config(roots: Arc<RootCertStore>, own: Option<&HostTls>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
    let inner = inner.map_err(|error| error.to_string())?;
    let pins = own.map(|own| own.pins.clone()).unwrap_or_default();
    let verifier: Arc<dyn ServerCertVerifier> = if pins.is_empty() { inner } else { Arc::new(Verify { inner, pins }) };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Witness(verifier)));
    match own.and_then(|own| own.identity.as_ref()) {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = identity.read()?;
            builder.with_client_auth_cert(chain, key).map_err(|error| identity.refused(&error.to_string()))
        }
    }
}

fn phase_of(error: &std::io::Error) -> Phase {
    match inner(error) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => Phase::Tls,
        Some(rustls::Error::AlertReceived(alert)) => Phase::TlsAlert((*alert).into()),
        Some(_) => Phase::TlsHandshake,
        None => Phase::Terminated,
    }
}

fn inner(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

/// The cause, and for a certificate what the user may do.
fn explain(error: &std::io::Error) -> String {
    match inner(error) {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            "its certificate comes from an authority that is not trusted here; if a proxy of your network inspects \
             TLS, add its root certificate to the system's or to Larder's extra roots"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(own))) => own.0.to_string(),
        Some(rustls::Error::InvalidCertificate(certificate)) => format!("its certificate is not valid: {certificate}"),
        _ => client_certificate(error).unwrap_or_else(|| error.to_string()),
    }
}

/// What to say where the peer wants another client certificate, or one at all. With TLS 1.3 it says so only after the
/// handshake, in place of an answer.
pub(super) fn client_certificate(error: &std::io::Error) -> Option<String> {
    use rustls::AlertDescription as Alert;
    match inner(error) {
        Some(rustls::Error::AlertReceived(Alert::CertificateRequired)) => {
            Some("it asks for a client certificate; name one for this host in `upstream_tls`".to_owned())
        }
        Some(rustls::Error::AlertReceived(
            alert @ (Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        )) => Some(format!("it does not take the client certificate ({alert:?})")),
        _ => None,
    }
}
