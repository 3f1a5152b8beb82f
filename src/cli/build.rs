//! `larder build`

use std::io::{self, IsTerminal as _, Stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use larder_proxy::flow::{Flow, FlowSink};
use larder_proxy::identity::Client;
use larder_proxy::stats::Totals;
use larder_proxy::upstream::auth::Secrets;
use tokio_util::sync::CancellationToken;

use super::args::{BuildArgs, OnErrorArg};
use super::components::Purpose;
use super::console::Console;
use super::holdings::Holdings;
use super::missing::{self, Misses};
use super::record;
use super::session::Session;
use super::settings::{Settings, Ui};
use super::signals::{self, Signals};
use super::template::{READ, Reading, Ready};
use super::{Env, ask, components, doctor, exec, history, proxy_config, ui};
use crate::builder::Surroundings;
use crate::builder::rootfs::{self, Services};
use crate::communicator::local::Here;
use crate::engine::build_run::BuildOutcome;
use crate::engine::cancel::{Cancel, Cause};
use crate::engine::component::Context;
use crate::engine::control::Control;
use crate::engine::host::Host;
use crate::engine::job::{BuildJob, RunOptions};
use crate::engine::on_error::OnError;
use crate::engine::run::run as run_jobs;
use crate::engine::ui::BuildUi;
use crate::error::{Context as _, Error, Exit, Result, chain};
use crate::event::missing::Missing;
use crate::event::redact::Redactor;
use crate::event::summary::Summary;
use crate::event::{EventKind, Events, bus};
use crate::guest::mapping::Inside;
use crate::guest::reap;
use crate::guest::record::Entry;
use crate::history::record::Egress;
use crate::history::record::keeper::Keeper;
use crate::history::recorder::Recorder;
use crate::output::consumer;
use crate::output::held::Held;
use crate::output::json::Json;
use crate::output::log_file::LogFiles;
use crate::output::machine::Machine;
use crate::output::plain::{Look, Plain};
use crate::output::quiet::Quiet;
use crate::output::renderer::Renderer;
use crate::plan::BuildPlan;
use crate::tui::effect::worker::Run as Running;
use crate::tui::terminal;

/// How long undoing the steps of one build may take.
const CLEANUP_LIMIT: Duration = Duration::from_mins(5);

/// Builds what is selected of a template. Returns the exit code; failures of builds have been shown by then.
pub(super) async fn run(
    args: &BuildArgs,
    settings: &Settings,
    env: &Env,
    console: &Console,
    inside: Option<Inside>,
) -> Result<Exit> {
    let console = &console.machine(settings.ui.value == Ui::Machine);
    let ready = read(args, settings, env, console)?;
    if ui::is_wanted(settings, env, args.debug) {
        return ui::build(args, settings, env, console, inside, ready).await;
    }
    let mut outside = Outside::of(inside)?;
    let look = Look { colour: console.colour_out, timestamps: args.timestamp_ui };
    let output = Held::new(io::stdout());
    let shown = shown(settings, look, output.clone());
    let (shown, prompts): (Vec<Box<dyn Renderer>>, _) = if ask::is_there(settings.ui.value, env) {
        let (prompts, ears) = ask::Prompts::new(output, env, outside.commands.clone())?;
        (vec![shown, Box::new(ears)], Some(prompts))
    } else {
        if args.on_error == Some(OnErrorArg::Ask) {
            console.warning("-on-error=ask: there is nobody to ask; steps are undone, as with -on-error=cleanup");
        }
        (vec![shown], None)
    };
    let attended = prompts.is_some();
    let front = Front { shown, started: &|_| {}, at_once: None, attended, prompts };
    build(args, settings, env, console, &ready, &mut outside, front).await.map(|(exit, _)| exit)
}

/// Reads the template, and checks that this machine can build it.
pub(super) fn read(args: &BuildArgs, settings: &Settings, env: &Env, console: &Console) -> Result<Ready> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading {
        args: &args.template,
        env,
        cwd: &cwd,
        warn_on_undeclared: args.warn_on_undeclared_var,
        settings: Some(settings),
    };
    let ready = reading.ready(Purpose::Run, READ, console)?;
    if ready.plan.builds.iter().any(|build| build.source.builder_type == rootfs::KIND) {
        doctor::before_build(settings)?;
    }
    Ok(ready)
}

/// Who looks at a run.
pub(super) struct Front<'a> {
    /// Shows it.
    pub shown: Vec<Box<dyn Renderer>>,
    /// Told when there is something to steer.
    pub started: &'a (dyn Fn(Running) + Sync),
    /// Says that everything is to be left at once.
    pub at_once: Option<&'a tokio::sync::Notify>,
    /// Whether somebody answers questions.
    pub attended: bool,
    /// Puts questions on the terminal, if nothing else does.
    pub prompts: Option<ask::Prompts>,
}

/// Runs what was read. Returns the exit code, and what the run came to.
pub(super) async fn build(
    args: &BuildArgs,
    settings: &Settings,
    env: &Env,
    console: &Console,
    ready: &Ready,
    outside: &mut Outside,
    front: Front<'_>,
) -> Result<(Exit, Summary)> {
    let redactor = Redactor::default();
    // Also of those that are met only when a component's options are evaluated again.
    let register = redactor.clone();
    ready.secrets.tell(move |secret| register.register(secret));
    let (events, receiver) = bus::stream(redactor);
    let recorder = Recorder::new(history::recording(settings, &args.template.template, ready));
    let mut renderers: Vec<Box<dyn Renderer>> = vec![Box::new(LogFiles::default()), Box::new(recorder)];
    renderers.extend(front.shown);
    let consumer = consumer::spawn(receiver, renderers).context(|| "cannot start the thread for output".to_owned())?;
    let Front { started, at_once, attended, prompts, .. } = front;
    let surroundings = Surrounding { args, settings, env, ready, started, at_once, attended };
    // What is said beside the events goes to standard error, where it splits no line of theirs.
    let result = run_builds(&surroundings, &events, &console.machine(false), outside, prompts).await;
    events.close();
    let summary = tokio::task::spawn_blocking(move || consumer.join())
        .await
        .context(|| "the output was given up".to_owned())?
        .map_err(|_| Error::new("the output ended early"))?;
    result.map(|_| (summary.exit(), summary))
}

fn shown(settings: &Settings, look: Look, output: Held<Stdout>) -> Box<dyn Renderer> {
    match settings.ui.value {
        Ui::Auto | Ui::Plain | Ui::Tui => Box::new(Plain::new(io::BufWriter::new(output), look)),
        Ui::Json => Box::new(Json::new(io::BufWriter::new(io::stdout()))),
        Ui::Machine => Box::new(Machine::new(io::BufWriter::new(io::stdout()))),
        Ui::Quiet => Box::new(Quiet::new(io::stdout(), io::stderr())),
    }
}

/// What is around the builds: who runs commands of the host, and who passes signals on.
pub(super) struct Outside {
    pub(super) commands: Arc<dyn Host>,
    pub(super) signals: Signals,
    /// The process to signal, where it is not this one.
    pid: Option<u32>,
}

impl Outside {
    /// This process; inside a mapping of ids, the one outside. To be called in the runtime.
    pub(super) fn of(inside: Option<Inside>) -> Result<Self> {
        let signals = Signals::listen()?;
        let Some(inside) = inside else { return Ok(Self { commands: Arc::new(Here), signals, pid: None }) };
        let pid = Some(inside.outside());
        let (outside, passed_on) = inside.listen()?;
        Ok(Self { commands: Arc::new(outside), signals: signals.from(Some(passed_on)), pid })
    }
}

/// Puts flows into the event stream, and counts them.
struct Flows {
    events: Events,
    totals: std::sync::Mutex<Totals>,
    keeper: Keeper,
    misses: Misses,
}

impl FlowSink for Flows {
    fn flow(&self, flow: Flow) {
        self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&flow);
        self.keeper.flow(&flow);
        self.misses.flow(&flow);
        let build = flow.identity.build.clone();
        self.events.emit(Some(&build), EventKind::Flow { flow: Box::new(flow) });
    }
}

/// What a run is made of.
struct Surrounding<'a> {
    args: &'a BuildArgs,
    settings: &'a Settings,
    env: &'a Env,
    ready: &'a Ready,
    started: &'a (dyn Fn(Running) + Sync),
    at_once: Option<&'a tokio::sync::Notify>,
    attended: bool,
}

async fn run_builds(
    surrounding: &Surrounding<'_>,
    events: &Events,
    console: &Console,
    outside: &mut Outside,
    prompts: Option<ask::Prompts>,
) -> Result<Vec<BuildOutcome>> {
    let &Surrounding { args, settings, env, ready, started, at_once, attended } = surrounding;
    let began = Instant::now();
    let keeper = Keeper::new(events.redactor().clone());
    let flows = Arc::new(Flows {
        events: events.clone(),
        totals: std::sync::Mutex::default(),
        keeper,
        misses: Misses::default(),
    });
    let what = format!("build {}", args.template.template.display());
    let redactor = events.redactor().clone();
    let secrets = Secrets::new(move |secret| redactor.register(secret));
    let session = Session::telling(settings, env, &what, flows.clone(), secrets).await?;
    if let Some(pid) = outside.pid {
        session.record.add(&Entry::Run { started: SystemTime::now(), pid, what })?;
    }
    session.proxy.cache().begin_run();
    if session.clamp.seconds().is_some_and(|latest| i64::from(latest) > jiff::Timestamp::now().as_second()) {
        console.warning("SOURCE_DATE_EPOCH is later than now: the times of this build stay as they are, and differ");
    }
    let job = |build| job(build, args, settings, ready, &session, events, outside);
    let kept = |cut_short: Vec<String>| {
        let by_settings = session.observed.load(Ordering::Relaxed) || record::has_host_commands(&ready.plan);
        let egress = if by_settings { Egress::Observed } else { Egress::Enforced };
        let about = record::about(settings, &session.id, egress, Some(&ready.sources), cut_short);
        record::write(&flows.keeper, about, settings, console);
    };
    // The listeners for commands of the host live as long as the builds.
    let host_scratch = session.host_scratch();
    let jobs: Result<(Vec<_>, Vec<_>)> =
        session.record.make_tree(&host_scratch).and_then(|()| ready.plan.builds.iter().map(job).collect());
    let (jobs, served) = jobs.map_or_else(|error| (Err(error), Vec::new()), |(jobs, served)| (Ok(jobs), served));
    let cancel = Cancel::root();
    let outcomes = match jobs {
        Ok(jobs) => {
            let on_error = args.on_error.unwrap_or(OnErrorArg::Cleanup);
            let options = options(on_error, settings, &session, attended);
            let limit = if args.debug { 1 } else { settings.parallel_builds.value };
            let control = Control::new(cancel.clone(), limit);
            let redactor = events.redactor().clone();
            started(Running { control: control.clone(), proxy: session.proxy.clone(), redactor });
            let asking = answer(prompts, control.clone());
            let leave = || {
                kept(vec!["the run was left at once".to_owned()]);
                leave(&session.dirs.runs, &session.id, console);
            };
            let told = |cause: &Cause| tell_cancel(console, &cause.to_string());
            let left = async {
                match at_once {
                    Some(asked) => asked.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                outcomes = run_jobs(jobs, options, control, events.clone()) => Ok(outcomes),
                () = asking => Err(Error::new("the prompt ended early")),
                () = signals::watch(&mut outside.signals, cancel.clone(), told, leave) => {
                    Err(Error::new("left at once"))
                }
                () = left => {
                    leave();
                    Err(Error::new("left at once"))
                }
            }
        }
        Err(error) => Err(error),
    };
    drop(served);
    session.drain().await;
    if let Err(error) = session.record.remove_tree(&host_scratch) {
        console.warning(&chain(&error));
    }
    kept(record::cut_short(&outcomes, cancel.cause().as_ref()));
    let totals = flows.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let cancelled = cancel.cause().map(|cause| cause.to_string());
    let missing = tokio::task::block_in_place(|| missing(&flows.misses, surrounding, &session, events));
    let seconds = began.elapsed().as_secs_f64();
    events.emit(None, EventKind::RunFinished { seconds, cancelled, totals, missing: missing.map(Box::new) });
    let left = outcomes.as_ref().is_ok_and(|outcomes| outcomes.iter().any(|outcome| outcome.kept));
    if let (Err(error), false) = (session.finish(), left) {
        console.error(&error);
    }
    outcomes
}

/// What was missed, with what comes near; with `--keep-going` also what an earlier run has fetched and this one lacks.
fn missing(misses: &Misses, surrounding: &Surrounding<'_>, session: &Session, events: &Events) -> Option<Missing> {
    let &Surrounding { args, settings, ready, .. } = surrounding;
    let template = history::recording(settings, &args.template.template, ready).template;
    let store = session.proxy.cache().store();
    let recorded = if args.keep_going && misses.any() {
        let holdings = Holdings::new(store.clone(), proxy_config::rules(settings).ok()?);
        let builds: Vec<&str> = ready.plan.builds.iter().map(|build| build.id.as_str()).collect();
        missing::last_record(&settings.state_dir.value, &template, Some(&session.id))
            .map(|record| (record.run.clone(), missing::lacking(&record, &builds, &holdings)))
    } else {
        None
    };
    let way = missing::Way {
        again: super::plan::build_again(&args.template.template),
        export: "last",
        list: &session.dirs.logs.join(&session.id).join("missing.txt"),
    };
    misses.table(store.as_ref(), recorded, &way, events.redactor())
}

fn tell_cancel(console: &Console, cause: &str) {
    // A terminal shows ^C where the cursor is.
    let start = if io::stderr().is_terminal() { "\n" } else { "" };
    console.note(&format!(
        "{start}Cancelling build after being {cause}; cleaning up. Press Ctrl-C again to leave at once, without cleaning up."
    ));
}

/// The second signal: leaves at once, and lists what is left.
#[expect(clippy::exit, reason = "leaving without waiting for anything is what was asked for")]
fn leave(runs: &Path, id: &str, console: &Console) {
    terminal::restore();
    console.note("Leaving at once. What is left:");
    for left in Session::leftovers(runs, id) {
        console.note(&format!("  {left}"));
    }
    console.note("hint: `larder cleanup` removes it");
    std::process::exit(1)
}

/// Puts the questions of a run on the terminal, if there is one. Does not end by itself.
async fn answer(prompts: Option<ask::Prompts>, control: Control) {
    match prompts {
        Some(prompts) => prompts.run(control).await,
        None => std::future::pending().await,
    }
}

fn options(on_error: OnErrorArg, settings: &Settings, session: &Session, attended: bool) -> RunOptions {
    RunOptions {
        run: session.id.clone(),
        on_error: match on_error {
            OnErrorArg::Ask if attended => OnError::Ask,
            OnErrorArg::Cleanup | OnErrorArg::Ask => OnError::Cleanup,
            OnErrorArg::Abort => OnError::Abort,
            OnErrorArg::RunCleanupProvisioner => OnError::RunCleanupProvisioner,
        },
        attended,
        ask_timeout: settings.ask_timeout.value,
        net: settings.net.value.as_str().to_owned(),
        remove: Arc::new(|path| match path.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => reap::remove_tree(path),
            Ok(_) => std::fs::remove_file(path).context(|| format!("cannot remove {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).context(|| format!("cannot look at {}", path.display())),
        }),
        before_retry: {
            let proxy = session.proxy.clone();
            Arc::new(move || proxy.cache().look_anew())
        },
        cleanup_limit: CLEANUP_LIMIT,
    }
}

fn job(
    build: &BuildPlan,
    args: &BuildArgs,
    settings: &Settings,
    ready: &Ready,
    session: &Session,
    events: &Events,
    outside: &Outside,
) -> Result<(BuildJob, exec::HostProxy)> {
    let name: Arc<str> = build.id.as_str().into();
    let client = Client::guest(&name);
    let own = Client::host(&name);
    let host = exec::HostProxy::serve(session, own.clone(), settings)?;
    let file_name = build.id.replace(['/', '#'], "_");
    let scratch = session.dirs.scratch.join(format!("{}-{file_name}", session.id));
    let (host_address, host_directory) = host.traces();
    let services = Services {
        proxy: session.proxy.clone(),
        client: client.clone(),
        downloader: session.downloader(&own),
        record: session.record.clone(),
        host_bundle: session.host_bundle.clone(),
        egress: settings.egress.value,
        keep_going: args.keep_going,
        observed: session.observed.clone(),
        allow_trace: args.allow_trace.clone(),
        host_address,
        host_directory,
    };
    let around = Surroundings { build_name: build.source.local_name.clone(), force: args.force, scratch, services };
    let context = Context {
        ui: Arc::new(BuildUi::new(events.clone(), name.clone())),
        cancel: CancellationToken::new(),
        build_name: build.source.name.clone(),
        builder_type: build.source.builder_type.clone(),
        run_uuid: session.uuid.clone(),
        force: args.force,
        debug: args.debug,
        pause: None,
        host: outside.commands.clone(),
        host_env: host.environment().into_iter().chain(session.clamp.variable()).collect(),
        generated: [("PackerRunUUID".to_owned(), session.uuid.clone())].into(),
        clamp: session.clamp,
        marks: Vec::new(),
        scratch: session.host_scratch(),
    };
    let (runs, id) = (session.dirs.runs.clone(), session.id.clone());
    let job = BuildJob {
        builder: components::builder(build, &ready.sources)?.build(around)?,
        provisioners: build
            .provisioners
            .iter()
            .map(|block| components::provisioner(block, build, &ready.sources))
            .collect(),
        error_cleanup: build.error_cleanup.as_ref().map(|block| components::provisioner(block, build, &ready.sources)),
        post_processors: build
            .post_processors
            .iter()
            .map(|chain| chain.iter().map(|block| components::post_processor(block, build, &ready.sources)).collect())
            .collect(),
        context,
        on_step: Arc::new(move |step| {
            client.set_step(step);
            own.set_step(step);
        }),
        log: session.dirs.logs.join(&session.id).join(format!("{file_name}.log")),
        leftovers: Arc::new(move || Session::leftovers(&runs, &id)),
        name,
    };
    Ok((job, host))
}
