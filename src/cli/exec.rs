//! `larder exec`: a command of the host whose every download goes through the proxy.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use larder_proxy::flow::{Flow, FlowSink, Outcome};
use larder_proxy::identity::Client;
use larder_proxy::listener::{ListenerHandle, Role};
use larder_proxy::stats::Totals;
use uuid::Uuid;

use super::Env;
use super::args::ExecArgs;
use super::console::Console;
use super::missing::{Misses, Way, quoted};
use super::record;
use super::session::Session;
use super::settings::Settings;
use crate::error::{Context as _, Error, Result, chain};
use crate::event::redact::Redactor;
use crate::guest::exec::{ExecSpec, run as run_command};
use crate::guest::network::{Network, raise_loopback};
use crate::guest::record::Record;
use crate::guest::tools;
use crate::history::record::Egress;
use crate::history::record::keeper::Keeper;
use crate::history::run_store::keep_last_unlisted;
use crate::output::missing::render as render_missing;
use crate::output::report;

/// The files that tools of the host are pointed to, removed when dropped.
struct HostFiles {
    directory: PathBuf,
    record: Arc<Record>,
}

impl Drop for HostFiles {
    fn drop(&mut self) {
        if let Err(error) = self.record.remove_tree(&self.directory) {
            tracing::warn!("{}", chain(&error));
        }
    }
}

impl HostFiles {
    fn write(session: &Session) -> Result<Self> {
        let directory = std::env::temp_dir().join(format!("larder-{}", Uuid::new_v4().simple()));
        session.record.make_tree(&directory).context(|| "cannot make a directory for certificates".to_owned())?;
        let files = Self { directory, record: session.record.clone() };
        let path = files.directory.as_path();
        // Commands may change their user; what is in here is no secret.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
            .context(|| format!("cannot open {} to others", path.display()))?;
        let text = path.to_string_lossy().into_owned();
        let settings = tools::Settings { directory: &text, proxy: None, no_proxy: &[], java: true };
        let wgetrc = std::fs::read("/etc/wgetrc").unwrap_or_default();
        let sources =
            tools::Sources { ca: session.proxy.ca_certificate_pem(), bundle: &session.host_bundle, wgetrc: &wgetrc };
        for file in tools::files(&settings, &sources) {
            let path = path.join(file.name);
            std::fs::write(&path, &file.content).context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(files)
    }

    fn environment(&self, proxy: Option<&str>, no_proxy: &[String]) -> BTreeMap<String, String> {
        let directory = self.directory.to_string_lossy().into_owned();
        tools::environment(&tools::Settings { directory: &directory, proxy, no_proxy, java: true })
    }
}

/// The proxy on a port of the loopback, for what a build runs on the host (`shell-local`).
pub(super) struct HostProxy {
    files: HostFiles,
    url: String,
    no_proxy: Vec<String>,
    _served: ListenerHandle,
}

impl HostProxy {
    /// Listens on a free port; flows are attributed to `client`.
    pub(super) fn serve(session: &Session, client: Client, settings: &Settings) -> Result<Self> {
        raise_loopback();
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).context(|| "cannot listen for commands of the host".to_owned())?;
        let address = listener.local_addr().context(|| "cannot listen for commands of the host".to_owned())?;
        let served = session
            .proxy
            .listen(listener, Role::Proxy, client)
            .context(|| "the proxy cannot serve commands of the host".to_owned())?;
        Ok(Self {
            files: HostFiles::write(session)?,
            url: format!("http://{address}"),
            no_proxy: settings.no_proxy.value.clone(),
            _served: served,
        })
    }

    /// The environment that leads a command of the host through the proxy.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        self.files.environment(Some(&self.url), &self.no_proxy)
    }

    /// What of it a command of the host could write into an image: the proxy's address, and the directory of the files.
    pub(super) fn traces(&self) -> (String, String) {
        let address = self.url.trim_start_matches("http://").to_owned();
        (address, format!("{}/", self.files.directory.display()))
    }
}

/// What a command downloaded.
#[derive(Default)]
struct Downloads {
    totals: Mutex<Totals>,
    refused: Mutex<Vec<String>>,
    misses: Misses,
    keeper: Keeper,
}

impl FlowSink for Downloads {
    fn flow(&self, flow: Flow) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).add(&flow);
        self.keeper.flow(&flow);
        self.misses.flow(&flow);
        if matches!(flow.outcome, Outcome::Denied | Outcome::Error) {
            let line = format!("{} {} {}: {}", flow.outcome, flow.method, flow.url, flow.why);
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }
}

/// Runs the command, and returns its exit status.
pub(super) async fn run(args: &ExecArgs, settings: &Settings, env: &Env, console: &Console) -> Result<i32> {
    let command = args
        .command
        .iter()
        .map(|word| {
            word.to_str().map(str::to_owned).ok_or_else(|| Error::new(format!("{} is not valid UTF-8", word.display())))
        })
        .collect::<Result<Vec<_>>>()?;
    let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    let downloads = Arc::new(Downloads::default());
    let what = format!("exec {}", command.first().map(String::as_str).unwrap_or_default());
    let session = Session::open(settings, env, &what, downloads.clone()).await?;
    session.proxy.cache().begin_run();
    let mut egress = Egress::Enforced;
    let status = in_cage(command, &session, settings, console, &mut egress).await;
    session.drain().await;
    let cut_short = match &status {
        Ok(0) => Vec::new(),
        Ok(code) => vec![format!("the command ended with {code}")],
        Err(error) => vec![format!("the command could not be run: {error}")],
    };
    let id = session.id.clone();
    record::write(&downloads.keeper, record::about(settings, &id, egress, None, cut_short), settings, console);
    if let Err(error) = keep_last_unlisted(&settings.state_dir.value, settings.history_keep.value) {
        tracing::warn!("records of older commands stay: {}", chain(&error));
    }
    let way = Way {
        again: format!("larder exec -- {}", words.join(" ")),
        export: "RUN",
        list: &session.dirs.logs.join(&id).join("missing.txt"),
    };
    let store = session.proxy.cache().store();
    let missing =
        tokio::task::block_in_place(|| downloads.misses.table(store.as_ref(), None, &way, &Redactor::default()));
    session.finish()?;
    if !args.quiet {
        let totals = downloads.totals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for line in downloads.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            console.note(line);
        }
        if let Some(missing) = &missing {
            console.note(render_missing(missing).trim());
        }
        console.note(report::totals_table(&totals).trim_end());
        console.note(&format!("What it fetched: larder history record {id}"));
    }
    status
}

async fn in_cage(
    argv: Vec<String>,
    session: &Session,
    settings: &Settings,
    console: &Console,
    egress: &mut Egress,
) -> Result<i32> {
    let network = Network::of(settings.egress.value, &session.proxy, Client::guest("exec")).await?;
    if let Some(why) = network.why_observed() {
        *egress = Egress::Observed;
        console.warning(&format!(
            "Egress is observed: the command has this machine's network, and is led to the proxy by settings that a \
             program may ignore; {why}"
        ));
    }
    let files = HostFiles::write(session)?;
    let env = files.environment(network.proxy_url().as_deref(), &[]);
    let spec = ExecSpec { program: this_program(), argv, env };
    run_command(network.gateway(), spec).await
}

fn this_program() -> PathBuf {
    crate::guest::reexec::this_program()
}
