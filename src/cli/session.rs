//! What a command that uses the proxy has while it runs: the proxy, a record on disk, and the host's own bundle.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use larder_proxy::config::Config;
use larder_proxy::error::ProxyError;
use larder_proxy::flow::FlowSink;
use larder_proxy::identity::Client;
use larder_proxy::origin::BoxFuture;
use larder_proxy::proxy::Proxy;
use larder_proxy::upstream::auth::Secrets;
use uuid::Uuid;

use super::Env;
use super::proxy_config;
use super::settings::Settings;
use crate::download::{Downloader, Transport};
use crate::engine::clamp::{self, Clamp};
use crate::error::{Context as _, Error, Result};
use crate::guest::reap;
use crate::guest::record::Record;

/// How long the proxy may take to finish what is under way.
const DRAIN: Duration = Duration::from_secs(30);

/// Where the host keeps its certificates, in the order tried.
const HOST_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The directories below the state directory.
pub(super) struct StateDirs {
    /// Records of runs.
    pub runs: PathBuf,
    /// Scratch trees of builds.
    pub scratch: PathBuf,
    /// Logs, a directory a run.
    pub logs: PathBuf,
}

impl StateDirs {
    /// Those of these settings.
    pub(super) fn of(settings: &Settings) -> Self {
        let state = &settings.state_dir.value;
        Self { runs: state.join("runs"), scratch: state.join("scratch"), logs: state.join("logs") }
    }
}

/// A run of a command.
pub(super) struct Session {
    /// Name of the run: when it began, and some digits of its UUID.
    pub id: String,
    /// UUID of the run.
    pub uuid: String,
    /// The proxy.
    pub proxy: Proxy,
    /// What the run has on the machine.
    pub record: Arc<Record>,
    /// Where things are.
    pub dirs: StateDirs,
    /// The host's own certificates.
    pub host_bundle: Arc<Vec<u8>>,
    /// Set where a guest's network turns out to be held to the proxy by settings alone.
    pub observed: Arc<AtomicBool>,
    /// The latest time that images hold.
    pub clamp: Clamp,
}

impl Session {
    /// Starts the proxy and the record. `what` is shown by `larder ps`.
    pub(super) async fn open(settings: &Settings, env: &Env, what: &str, sink: Arc<dyn FlowSink>) -> Result<Self> {
        Self::telling(settings, env, what, sink, Secrets::default()).await
    }

    /// The same; `secrets` is told the passwords that are read for proxies.
    pub(super) async fn telling(
        settings: &Settings,
        env: &Env,
        what: &str,
        sink: Arc<dyn FlowSink>,
        secrets: Secrets,
    ) -> Result<Self> {
        let project = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
        let config = Config { secrets, ..proxy_config::config(settings, env, &project)? };
        Self::with(config, settings, env, what, sink).await
    }

    /// The same with a configuration of the proxy's that is made already.
    pub(super) async fn with(
        config: Config,
        settings: &Settings,
        env: &Env,
        what: &str,
        sink: Arc<dyn FlowSink>,
    ) -> Result<Self> {
        let clamp = Clamp::parse(env.get(clamp::VARIABLE).map(String::as_str))?;
        let proxy = Proxy::start(config, sink).await.map_err(|error| {
            let hint = if let ProxyError::Cache { source, .. } = &error { source.hint() } else { "" };
            let shown = Error::new("the proxy cannot start").caused_by(error);
            if hint.is_empty() { shown } else { shown.hint(hint) }
        })?;
        let uuid = Uuid::new_v4();
        let now = jiff::Timestamp::now();
        let id = format!("{}-{}", now.strftime("%Y%m%dT%H%M%S"), &uuid.simple().to_string()[..6]);
        let dirs = StateDirs::of(settings);
        let record = Record::create(&dirs.runs, &id, what, SystemTime::now())?;
        std::fs::create_dir_all(&dirs.scratch).context(|| format!("cannot make {}", dirs.scratch.display()))?;
        Ok(Self {
            id,
            uuid: uuid.to_string(),
            proxy,
            record: Arc::new(record),
            dirs,
            host_bundle: Arc::new(host_bundle(env)),
            observed: Arc::default(),
            clamp,
        })
    }

    /// Downloads of Larder itself, attributed to `client`.
    pub(super) fn downloader(&self, client: &Client) -> Downloader {
        Downloader::new(Arc::new(InProcess { proxy: self.proxy.clone(), client: client.clone() }))
    }

    /// The tree for scratch files of what builds run on the host.
    pub(super) fn host_scratch(&self) -> PathBuf {
        self.dirs.scratch.join(format!("{}-host", self.id))
    }

    /// Lets what is under way finish, then ends the proxy.
    pub(super) async fn drain(&self) {
        self.proxy.shutdown(DRAIN).await;
    }

    /// Ends the record, if everything it names is gone.
    pub(super) fn finish(self) -> Result<()> {
        match Arc::try_unwrap(self.record) {
            Ok(record) => record.finish(),
            Err(_) => Err(Error::new("the run's record is still in use")),
        }
    }

    /// What the run still has on the machine.
    pub(super) fn leftovers(runs: &std::path::Path, id: &str) -> Vec<String> {
        let found = reap::list(runs).unwrap_or_default();
        let Some(run) = found.into_iter().find(|run| run.id == id) else { return Vec::new() };
        let processes = run.processes.iter().map(|(pid, role)| format!("{role} (process {pid})"));
        processes.chain(run.trees.iter().map(|tree| tree.display().to_string())).collect()
    }
}

fn host_bundle(env: &Env) -> Vec<u8> {
    let named = env.get("SSL_CERT_FILE").map(String::as_str);
    named.into_iter().chain(HOST_BUNDLES).find_map(|path| std::fs::read(path).ok()).unwrap_or_default()
}

/// The way of Larder's own requests: straight into the proxy, without a socket.
struct InProcess {
    proxy: Proxy,
    client: Client,
}

impl Transport for InProcess {
    fn request(
        &self,
        request: http::Request<larder_proxy::body::Body>,
    ) -> BoxFuture<'_, http::Response<larder_proxy::body::Body>> {
        Box::pin(self.proxy.request(request, &self.client))
    }
}
