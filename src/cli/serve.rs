//! `larder proxy`: the proxy as a server for other tools.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use larder_proxy::flow::{Flow, FlowSink};
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;
use larder_proxy::mirror::Mirror;
use sha2::{Digest as _, Sha256};

use super::Env;
use super::args::ServeArgs;
use super::console::Console;
use super::session::Session;
use super::settings::Settings;
use super::signals::Signals;
use crate::error::{Context as _, Error, Result};
use crate::event::flow_record::FlowRecord;
use crate::guest::network::raise_loopback;
use crate::output::text::{bytes, printable};

/// Flows that may wait to be written.
const WAITING: usize = 16 * 1024;
/// Names of the files that clients are pointed to.
const CA: &str = "ca.pem";
const BUNDLE: &str = "ca-bundle.pem";

/// Serves until it is interrupted.
pub(super) async fn run(args: &ServeArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    if !args.listen.ip().is_loopback() {
        return Err(Error::new(format!(
            "{} can be reached from other machines, and there is no access control yet",
            args.listen
        ))
        .hint("listen on 127.0.0.1 or ::1"));
    }
    let lines = if args.quiet { None } else { Some(Lines::spawn(args.json)?) };
    let sink: Arc<dyn FlowSink> = match &lines {
        Some(lines) => Arc::new(lines.sink()),
        None => Arc::new(|_| {}),
    };
    raise_loopback();
    let listener = TcpListener::bind(args.listen).context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr().context(|| "cannot tell the address listened on".to_owned())?;
    let session = Session::open(settings, env, &format!("proxy {address}"), sink).await?;
    // No run begins here: it would not end, and within a run an index is asked for once.
    let served = session
        .proxy
        .listen(listener, Role::Proxy, Client::host("proxy"))
        .context(|| format!("the proxy cannot serve {address}"))?;
    let directory = certificates(&session, settings)?;
    let mut signals = Signals::listen()?;
    for line in usage(address, &directory) {
        console.note(&line);
    }
    signals.next().await;
    console.note("Letting what is under way finish; Ctrl-C again leaves at once.");
    drop(served);
    tokio::select! {
        () = session.proxy.shutdown(Duration::from_mins(1)) => {}
        _ = signals.next() => {}
    }
    for line in session.proxy.mirrors().iter().flat_map(learnt) {
        console.note(&line);
    }
    session.finish()?;
    if let Some(lines) = lines {
        lines.finish();
    }
    Ok(())
}

/// What was learnt of the mirrors of a name, where they were asked.
fn learnt(mirror: &Mirror) -> Vec<String> {
    let asked = mirror.targets().iter().filter_map(|target| {
        let health = target.health();
        let (answered, failed) = health.counts();
        let why = health.last_failure().map(|(_, why)| format!(", the last: {}", printable(why))).unwrap_or_default();
        (answered + failed > 0).then(|| format!("Mirror {target}: {answered} answers, {failed} failures{why}"))
    });
    asked.collect()
}

/// Writes a line for each flow, from a thread of its own: neither a slow reader nor a stopped one holds up a request.
struct Lines {
    sender: SyncSender<Option<Flow>>,
    thread: JoinHandle<()>,
}

impl Lines {
    fn spawn(json: bool) -> Result<Self> {
        let (sender, flows) = sync_channel::<Option<Flow>>(WAITING);
        let write = move || {
            let mut out = io::BufWriter::new(io::stdout());
            while let Ok(Some(flow)) = flows.recv() {
                // Best effort: a reader that has gone does not stop the proxy.
                let _ = writeln!(out, "{}", line(&flow, json));
                for next in flows.try_iter().take(WAITING) {
                    let Some(flow) = next else { return };
                    let _ = writeln!(out, "{}", line(&flow, json));
                }
                let _ = out.flush();
            }
        };
        let thread = std::thread::Builder::new().name("flows".to_owned()).spawn(write);
        Ok(Self { sender, thread: thread.context(|| "cannot start the thread for output".to_owned())? })
    }

    fn sink(&self) -> impl Fn(Flow) + Send + Sync + 'static {
        let sender = self.sender.clone();
        move |flow| {
            // Full: the reader is too slow, and this line is left out.
            let _ = sender.try_send(Some(flow));
        }
    }

    /// Waits until all is written, unless nobody reads.
    fn finish(self) {
        if self.sender.try_send(None).is_ok() {
            let _ = self.thread.join();
        }
    }
}

/// Writes the CA's certificate, and the host's with it, where clients of every user can read them. The name stays
/// the same as long as the CA does, so that shells may be set up for it.
fn certificates(session: &Session, settings: &Settings) -> Result<PathBuf> {
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

/// What a user needs to know; the first line is for programs too.
fn usage(address: SocketAddr, directory: &Path) -> [String; 5] {
    let quoted = |name: &str| format!("'{}'", directory.join(name).display().to_string().replace('\'', "'\\''"));
    [
        format!("Listening on http://{address}"),
        "HTTPS is looked into, so clients need Larder's CA. For curl, pip, npm, git, cargo and others:".to_owned(),
        format!("  export http_proxy=http://{address} https_proxy=http://{address}"),
        format!(
            "  CA={}; export SSL_CERT_FILE=$CA CURL_CA_BUNDLE=$CA PIP_CERT=$CA REQUESTS_CA_BUNDLE=$CA",
            quoted(BUNDLE)
        ),
        format!("  export GIT_SSL_CAINFO=$CA CARGO_HTTP_CAINFO=$CA NODE_EXTRA_CA_CERTS={}", quoted(CA)),
    ]
}

fn line(flow: &Flow, json: bool) -> String {
    if json {
        return serde_json::to_string(&FlowRecord::from(flow)).unwrap_or_default();
    }
    format!(
        "{:<11} {} {} {} {} ({})",
        flow.outcome,
        flow.status,
        flow.method,
        printable(&flow.url),
        bytes(flow.bytes_sent),
        printable(&flow.why)
    )
}
