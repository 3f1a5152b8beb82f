//! `larder proxy`: the proxy as a server for other tools.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use larder_proxy::flow::{Flow, FlowSink};
use larder_proxy::identity::Client;
use larder_proxy::listener::Role;

use super::Env;
use super::args::ServeArgs;
use super::console::Console;
use super::session::Session;
use super::settings::Settings;
use super::signals;
use crate::engine::cancel::Cancel;
use crate::error::{Context as _, Error, Result};
use crate::output::text::{bytes, printable};

/// Flows that may wait to be written.
const WAITING: usize = 16 * 1024;

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
    let listener = TcpListener::bind(args.listen).context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr().context(|| "cannot tell the address listened on".to_owned())?;
    let session = Session::open(settings, env, &format!("proxy {address}"), sink).await?;
    let served = session
        .proxy
        .listen(listener, Role::Proxy, Client::host("proxy"))
        .context(|| format!("the proxy cannot serve {address}"))?;
    let ca = settings.state_dir.value.join("proxy-ca.pem");
    std::fs::write(&ca, session.proxy.ca_certificate_pem()).context(|| format!("cannot write {}", ca.display()))?;
    console.note(&format!("Listening on http://{address}"));
    console.note(&format!("HTTPS is looked into: clients need to trust {}", ca.display()));
    let cancel = Cancel::root();
    signals::watch_once(&cancel).await?;
    console.note("Letting what is under way finish; Ctrl-C again leaves at once.");
    drop(served);
    tokio::select! {
        () = session.proxy.shutdown(Duration::from_mins(1)) => {}
        result = signals::watch_once(&cancel) => result?,
    }
    session.finish()?;
    if let Some(lines) = lines {
        lines.finish();
    }
    Ok(())
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

fn line(flow: &Flow, json: bool) -> String {
    if json {
        return serde_json::to_string(flow).unwrap_or_default();
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
