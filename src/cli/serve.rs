//! `larder proxy`: the proxy as a server for other tools, on a desk or for a fleet.

mod address;
mod admin;
pub mod catalogue;
mod exposition;
mod health;
mod log;
mod metrics;
mod notify;
pub(super) mod passwd;
mod rules;
mod signals;
pub(super) mod unit;
mod usage;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use larder_proxy::ListenerHandle;
use larder_proxy::admission::Gate;
use larder_proxy::flow::Flow;
use larder_proxy::identity::Client;
use larder_proxy::mirror::Mirror;
use larder_proxy::proxy::Proxy;

use self::address::{Address, Inherited, Socket};
use self::log::{Form, Log, Place};
use self::metrics::Meter;
use self::notify::Notify;
use self::rules::{AdminRules, Rules};
use self::signals::{Event, Events};
use super::Env;
use super::args::ServeArgs;
use super::console::Console;
use super::session::Session;
use super::settings::Settings;
use crate::error::{Context as _, Result, chain};
use crate::guest::network::raise_loopback;
use crate::output::text::printable;

/// What is known of a service at work.
struct Service {
    proxy: Proxy,
    gate: Arc<Gate>,
    meter: Arc<Meter>,
    admin: Mutex<Arc<AdminRules>>,
    access_log: Arc<log::State>,
    cache_dir: PathBuf,
    max_bytes: AtomicU64,
    users: AtomicU64,
    cache_tried: Mutex<Option<(Instant, Option<String>)>>,
    reloads: Mutex<Reloads>,
    stopping: AtomicBool,
    started: SystemTime,
}

/// What came of reading the settings anew.
#[derive(Clone, Debug, Default)]
struct Reloads {
    taken: u64,
    refused: u64,
    /// Why the last were refused.
    why: Option<String>,
}

impl Service {
    fn reloads(&self) -> Reloads {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn admin_rules(&self) -> Arc<AdminRules> {
        self.admin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a client may ask for metrics and health.
    fn may_ask(&self, address: std::net::IpAddr) -> bool {
        let rules = self.admin_rules();
        if rules.clients.is_empty() {
            address.is_loopback()
        } else {
            rules.clients.iter().any(|range| range.contains(&address))
        }
    }

    /// Puts rules in force.
    fn note(&self, rules: Rules, settings: &Settings) {
        self.users.store(rules.admission.users.as_ref().map_or(0, |users| users.count() as u64), Ordering::Relaxed);
        self.max_bytes.store(settings.cache_max_size.value.unwrap_or(0), Ordering::Relaxed);
        self.gate.set(rules.admission);
        *self.admin.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules.admin);
    }
}

/// The sockets of a service, and where they are.
struct Sockets {
    clients: Vec<Socket>,
    client_addresses: Vec<Address>,
    admin: Vec<Socket>,
    admin_addresses: Vec<Address>,
}

impl Sockets {
    /// Those handed over, else those of the settings. Nothing is bound before the rules allow it.
    fn open(settings: &Settings, env: &Env, rules: &Rules) -> Result<Self> {
        let inherited = Inherited::take(env)?;
        let wanted = |name, list, inherited: &[Socket]| {
            if inherited.is_empty() {
                rules::addresses(name, list)
            } else {
                inherited.iter().map(Socket::address).collect()
            }
        };
        let listen = wanted("proxy.listen", &settings.service.listen, &inherited.clients)?;
        let admin = wanted("proxy.admin", &settings.service.admin, &inherited.admin)?;
        rules.check(&listen, &admin)?;
        let bind = |inherited: Vec<Socket>, wanted: &[Address]| {
            if inherited.is_empty() { wanted.iter().map(Socket::bind).collect::<Result<_>>() } else { Ok(inherited) }
        };
        let (clients, admin) = (bind(inherited.clients, &listen)?, bind(inherited.admin, &admin)?);
        // Port 0 is known only now.
        let client_addresses = clients.iter().map(Socket::address).collect::<Result<_>>()?;
        let admin_addresses = admin.iter().map(Socket::address).collect::<Result<_>>()?;
        Ok(Self { clients, client_addresses, admin, admin_addresses })
    }
}

/// What takes each flow.
struct Outputs {
    lines: Option<Log>,
    access_log: Log,
    meter: Arc<Meter>,
}

impl Outputs {
    fn open(args: &ServeArgs, settings: &Settings) -> Result<Self> {
        let form = if args.json { Form::Json } else { Form::Plain };
        // A service's standard output is the journal, which need not have what the access log has.
        let lines = if args.quiet { None } else { Some(Log::standard(form)?) };
        let access_log = Log::access(access_log(settings)?)?;
        Ok(Self { lines, access_log, meter: Arc::default() })
    }

    fn sink(&self) -> impl Fn(Flow) + Send + Sync + 'static {
        let sinks: Vec<_> = self.lines.iter().chain([&self.access_log]).map(Log::sink).collect();
        let meter = self.meter.clone();
        move |flow| {
            meter.add(&flow);
            for sink in &sinks {
                sink(&flow);
            }
        }
    }

    fn finish(self, console: &Console) {
        if let Some(lines) = self.lines {
            lines.finish();
        }
        let lost = self.access_log.finish();
        if lost > 0 {
            console.warning(&format!(
                "{lost} lines of the access log are missing: it could not be written fast enough, or at all"
            ));
        }
    }
}

/// Serves until it is told to stop. `reread` reads the settings anew.
pub(super) async fn run(
    args: &ServeArgs,
    settings: Settings,
    reread: &dyn Fn() -> Result<Settings>,
    env: &Env,
    console: &Console,
) -> Result<()> {
    keep_memory_private();
    let notify = Notify::of(env);
    let rules = Rules::of(&settings, env)?;
    raise_loopback();
    let sockets = Sockets::open(&settings, env, &rules)?;
    raise_descriptors(settings.service.connections.value, console);
    let outputs = Outputs::open(args, &settings)?;
    let shown: Vec<String> = sockets.client_addresses.iter().map(Address::to_string).collect();
    let what = format!("proxy {}", shown.join(", "));
    let session = Session::with(rules.config.clone(), &settings, env, &what, Arc::new(outputs.sink())).await?;
    let service = Arc::new(Service {
        proxy: session.proxy.clone(),
        gate: Gate::new(rules.admission.clone()),
        meter: outputs.meter.clone(),
        admin: Mutex::default(),
        access_log: outputs.access_log.state(),
        cache_dir: settings.cache_dir.value.clone(),
        max_bytes: AtomicU64::default(),
        users: AtomicU64::default(),
        cache_tried: Mutex::default(),
        reloads: Mutex::default(),
        stopping: AtomicBool::new(false),
        started: SystemTime::now(),
    });
    let log_in = rules.admission.users.is_some();
    service.note(rules, &settings);
    let mut events = Events::listen(io::stderr().is_terminal())?;
    // No run begins here: it would not end, and within a run an index is asked for once.
    let listeners = listen(sockets.clients, &service)?;
    for socket in sockets.admin {
        admin::serve(socket, &service)?;
    }
    let directory = usage::certificates(&session, &settings)?;
    for line in usage::lines(&sockets.client_addresses, &sockets.admin_addresses, &directory, log_in) {
        console.note(&line);
    }
    notify.ready(&format!("Listening on {}", shown.join(", ")));
    let places = (sockets.client_addresses, sockets.admin_addresses);
    let serving = serve(&service, &mut events, &notify, console, || reload(&service, &places, reread, env));
    tokio::select! {
        () = serving => {}
        () = notify.keep_alive() => {}
    }
    stop(&service, listeners, &settings, &notify, &mut events, console).await;
    session.finish()?;
    outputs.finish(console);
    Ok(())
}

fn listen(sockets: Vec<Socket>, service: &Service) -> Result<Vec<(ListenerHandle, Option<address::Bound>)>> {
    let one = |socket| {
        let client = Client::host("proxy");
        match socket {
            Socket::Tcp(listener) => {
                service.proxy.listen_gated(listener, client, &service.gate).map(|handle| (handle, None))
            }
            Socket::Unix(listener, bound) => {
                service.proxy.listen_unix(listener, client, &service.gate).map(|handle| (handle, Some(bound)))
            }
        }
    };
    sockets.into_iter().map(one).collect::<Result<_, _>>().context(|| "the proxy cannot listen".to_owned())
}

/// Heeds signals until one says to stop.
async fn serve(
    service: &Service,
    events: &mut Events,
    notify: &Notify,
    console: &Console,
    reload: impl Fn() -> Result<Vec<String>>,
) {
    loop {
        match events.next().await {
            Event::Stop => return,
            Event::Reopen => service.access_log.reopen(),
            Event::Reload => {
                notify.reloading();
                let result = reload();
                let mut reloads = service.reloads.lock().unwrap_or_else(PoisonError::into_inner);
                match result {
                    Ok(notes) => {
                        reloads.taken += 1;
                        reloads.why = None;
                        console.note("The settings were read anew, and are in force.");
                        for note in &notes {
                            console.note(note);
                        }
                        notify.ready("Serving with the settings read last");
                    }
                    Err(error) => {
                        // The file that is there has been renamed, perhaps.
                        service.access_log.reopen();
                        reloads.refused += 1;
                        reloads.why = Some(chain(&error));
                        console.warning("the settings cannot be used; those from before stay in force");
                        console.error(&error);
                        notify.ready("Serving with settings from before: those read last cannot be used");
                    }
                }
            }
        }
    }
}

/// Reads the settings anew, and puts them in force if all of them can be used. Says what of them needs a new start.
fn reload(
    service: &Service,
    (clients, admin): &(Vec<Address>, Vec<Address>),
    reread: &dyn Fn() -> Result<Settings>,
    env: &Env,
) -> Result<Vec<String>> {
    let settings = reread()?;
    let rules = Rules::of(&settings, env)?;
    rules.check(clients, admin)?;
    let mut notes = settings.warnings.clone();
    for (name, wanted, now) in
        [("proxy.listen", &settings.service.listen, clients), ("proxy.admin", &settings.service.admin, admin)]
    {
        let wanted = rules::addresses(name, wanted)?;
        let differs =
            wanted.len() != now.len() || wanted.iter().zip(now).any(|(wanted, now)| !wanted.is_served_by(now));
        if differs {
            notes.push(format!("{name} is another now; that needs a new start."));
        }
    }
    if settings.cache_dir.value != service.cache_dir {
        notes.push("cache_dir is another now; that needs a new start.".to_owned());
    }
    let access_log = access_log(&settings)?;
    service.proxy.reload(rules.config.clone()).context(|| "the proxy cannot use the settings".to_owned())?;
    service.access_log.change(access_log);
    service.note(rules, &settings);
    Ok(notes)
}

/// The file of the settings for the access log, opened, where there is one.
fn access_log(settings: &Settings) -> Result<Option<Place>> {
    settings.service.access_log.value.as_deref().map(Place::open).transpose()
}

async fn stop(
    service: &Service,
    listeners: Vec<(ListenerHandle, Option<address::Bound>)>,
    settings: &Settings,
    notify: &Notify,
    events: &mut Events,
    console: &Console,
) {
    let limit = settings.service.drain.value;
    service.stopping.store(true, Ordering::Relaxed);
    notify.stopping(limit);
    console.note("Letting what is under way finish; Ctrl-C again leaves at once.");
    drop(listeners);
    let ended = async {
        service.proxy.shutdown(limit).await;
    };
    tokio::select! {
        () = ended => {}
        () = events.stop() => {}
        // An old process is as alive as one that serves.
        () = notify.keep_alive() => {}
    }
    for line in service.proxy.mirrors().iter().flat_map(learnt) {
        console.note(&line);
    }
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

/// The CA's key and passwords are in memory: no core of it is written, whatever the limits say, and other processes of
/// the user do not read it.
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "a core of this process could be written, with the CA's key in it");
    }
}

/// Allows as many descriptors as may be had: a connection takes two and more, and shells give 1024.
fn raise_descriptors(connections: usize, console: &Console) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // A client's own, one to its origin, one of the cache.
    if limit / 3 < connections as u64 {
        console.warning(&format!(
            "this process may have {limit} file descriptors, which is enough for about {} connections at work, and \
             proxy.connections is {connections} (hint: raise the limit: LimitNOFILE in a systemd unit, or ulimit -Hn)",
            limit / 3
        ));
    }
}
