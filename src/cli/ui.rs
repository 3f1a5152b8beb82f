//! The terminal UI: `larder` alone, and `larder build` where a person sits at a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use clap::Parser as _;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::args::{BuildArgs, Cli, Command, OnErrorArg};
use super::ask::Prompts;
use super::build::{self, Front, Outside};
use super::console::Console;
use super::environment::is_unattended;
use super::new;
use super::proxy_config;
use super::settings::Settings;
use super::template::Ready;
use super::{Env, settings::Ui as Form};
use crate::engine::cancel::Cause;
use crate::error::{Context as _, Error, Exit, Result};
use crate::event::summary::Summary;
use crate::guest::mapping::Inside;
use crate::output::held::Held;
use crate::output::plain::{Look as PlainLook, Plain};
use crate::output::report;
use crate::tui::app::{Options, Ui};
use crate::tui::effect::worker::{Outside as Reach, Places, Start};
use crate::tui::effect::{BuildRequest, Leave};
use crate::tui::keymap;
use crate::tui::state::{Look, Screen, State, Stay};
use crate::tui::theme::Theme;

/// Whether a person sits at a terminal that can show the UI.
pub(super) fn is_possible(env: &Env) -> bool {
    let dumb = env.get("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb
        && !is_unattended(env)
        && io::stdin().is_terminal()
        && io::stdout().is_terminal()
        && io::stderr().is_terminal()
}

/// Whether a build is to be shown in the UI.
pub(super) fn is_wanted(settings: &Settings, env: &Env, debug: bool) -> bool {
    match settings.ui.value {
        Form::Tui => true,
        Form::Auto => is_possible(env) && !debug,
        _ => false,
    }
}

/// A build asked for in the UI, and the way to say whether it has begun.
type Request = (BuildRequest, mpsc::Sender<Result<()>>);

/// The UI with what is around it.
struct Desk<'a> {
    ui: Ui,
    reach: Reach,
    settings: &'a Settings,
    env: &'a Env,
    console: &'a Console,
    outside: Outside,
    requests: UnboundedReceiver<Request>,
    left: UnboundedReceiver<Leave>,
    at_once: Arc<Notify>,
    /// Told when the UI has left the terminal to plain lines.
    plain: Arc<Notify>,
    /// What the last run came to.
    last: Option<(Exit, Summary)>,
}

/// Opens the UI on the templates of the working directory.
pub(super) async fn open(settings: &Settings, env: &Env, console: &Console, inside: Option<Inside>) -> Result<Exit> {
    if !is_possible(env) {
        return Err(Error::new("the terminal UI needs a terminal")
            .hint("`larder --help` lists the commands; `larder build --ui=plain` builds without a terminal"));
    }
    let state = State { screen: Screen::Templates, ..State::default() };
    let mut desk = Desk::open(state, settings, env, console, inside)?;
    desk.serve().await?;
    desk.close()
}

/// Builds what was read, in the UI.
pub(super) async fn build(
    args: &BuildArgs,
    settings: &Settings,
    env: &Env,
    console: &Console,
    inside: Option<Inside>,
    ready: Ready,
) -> Result<Exit> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::new("--ui=tui needs a terminal for standard input and standard error")
            .hint("leave it out, or use --ui=plain"));
    }
    // Whoever looks at the UI can answer; elsewhere Packer's default holds.
    let args = BuildArgs { on_error: Some(args.on_error.unwrap_or(OnErrorArg::Ask)), ..args.clone() };
    let state = State {
        stay: Stay::UntilDone,
        template: Some(args.template.template.clone()),
        request: Some(request(&args)),
        ..State::default()
    };
    let mut desk = Desk::open(state, settings, env, console, inside)?;
    desk.run(&args, &ready).await?;
    desk.serve().await?;
    desk.close()
}

/// Gives the UI its looks and keys.
fn dress(state: &mut State, settings: &Settings, env: &Env, console: &Console) {
    let tui = &settings.tui;
    // No colour is no colour: a theme asked for in the same breath changes nothing about it.
    let background = env.get("COLORFGBG").map(String::as_str);
    let theme = if console.colour_err { tui.theme.value.on(background) } else { Theme::Mono };
    state.look = Look {
        theme,
        symbols: tui.symbols.value.symbols(env),
        animation: tui.animation.value,
        zone: jiff::tz::TimeZone::system(),
        ..Look::default()
    };
    let file = settings.files.user.with_file_name("keymap.toml");
    let (keymap, errors) = keymap::file::read(&file);
    state.keymap = keymap;
    for error in errors {
        state.error(error);
    }
}

impl<'a> Desk<'a> {
    fn open(
        mut state: State,
        settings: &'a Settings,
        env: &'a Env,
        console: &'a Console,
        inside: Option<Inside>,
    ) -> Result<Self> {
        state.look.zone = jiff::tz::TimeZone::system();
        let outside = Outside::of(inside)?;
        dress(&mut state, settings, env, console);
        let (sender, requests) = unbounded_channel::<Request>();
        let start: Start = Arc::new(move |request| {
            let (answer, begun) = mpsc::channel();
            let gone = || Error::new("the program is about to end");
            sender.send((request, answer)).map_err(|_| gone())?;
            begun.recv().map_err(|_| gone())?
        });
        let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
        let around = new::around(env, &cwd);
        let places = Places {
            cwd,
            cache: settings.cache_dir.value.clone(),
            state: settings.state_dir.value.clone(),
            config: settings.files.user.parent().map(PathBuf::from).unwrap_or_default(),
            env: env.clone(),
        };
        let mut reach = Reach::new(places, tokio::runtime::Handle::current(), start);
        reach.host = Some(outside.commands.clone());
        reach.around = Some(Arc::new(around));
        reach.rules = proxy_config::rules(settings)?;
        let (leaving, left) = unbounded_channel();
        let at_once = Arc::new(Notify::new());
        let asked = at_once.clone();
        let plain = Arc::new(Notify::new());
        let in_lines = plain.clone();
        let options = Options {
            state,
            outside: reach.clone(),
            mouse: settings.tui.mouse.value,
            clipboard: settings.tui.clipboard.value,
            left: Box::new(move |leave| {
                if leave == Leave::AtOnce {
                    asked.notify_one();
                }
                if leave == Leave::Plain {
                    in_lines.notify_one();
                }
                let _ = leaving.send(leave);
            }),
        };
        let ui = Ui::start(options).context(|| "cannot take over the terminal".to_owned())?;
        Ok(Self { ui, reach, settings, env, console, outside, requests, left, at_once, plain, last: None })
    }

    /// Runs builds as they are asked for, until the person leaves.
    async fn serve(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                _ = self.left.recv() => return Ok(()),
                _ = self.outside.signals.next() => {
                    self.ui.leave();
                    return Ok(());
                }
                request = self.requests.recv() => match request {
                    Some((request, answer)) => self.requested(request, &answer).await,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Reads the template asked for, and runs it.
    async fn requested(&mut self, request: BuildRequest, answer: &mpsc::Sender<Result<()>>) {
        let read = arguments(&request)
            .and_then(|args| build::read(&args, self.settings, self.env, self.console).map(|ready| (args, ready)));
        match read {
            Err(error) => {
                let _ = answer.send(Err(error));
            }
            Ok((args, ready)) => {
                let _ = answer.send(Ok(()));
                if let Err(error) = self.run(&args, &ready).await {
                    self.console.error(&error);
                }
            }
        }
    }

    async fn run(&mut self, args: &BuildArgs, ready: &Ready) -> Result<()> {
        #[cfg(debug_assertions)]
        fall_over(self.env).await;
        let look = PlainLook { colour: self.console.colour_out, timestamps: args.timestamp_ui };
        let output = Held::new(io::stdout());
        let plain = Plain::new(io::BufWriter::new(output.clone()), look);
        // Once the UI has left, or is gone, questions are put in lines.
        let (prompts, ears) = Prompts::new(output, self.env, self.outside.commands.clone())?;
        let reach = self.reach.clone();
        let front = Front {
            shown: vec![self.ui.feed(Box::new(plain)), Box::new(ears)],
            started: &move |running| reach.set_run(Some(running)),
            at_once: Some(&self.at_once),
            attended: true,
            prompts: Some(prompts.once(self.plain.clone())),
        };
        let built = build::build(args, self.settings, self.env, self.console, ready, &mut self.outside, front).await;
        self.reach.set_run(None);
        match built {
            Ok((exit, summary)) => {
                self.ui.run_ended(exit as u8);
                if summary.cancelled == Some(Cause::Terminate.to_string()) {
                    // What was asked to end was the program.
                    self.ui.leave();
                }
                self.last = Some((exit, summary));
                Ok(())
            }
            Err(error) => {
                self.ui.run_ended(error.exit_code() as u8);
                Err(error)
            }
        }
    }

    /// Gives the terminal back, and shows the report of the last run.
    fn close(self) -> Result<Exit> {
        self.ui.join();
        let Some((exit, summary)) = self.last else { return Ok(Exit::Success) };
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(report::render(&summary).as_bytes()).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context(|| "cannot write the report".to_owned())
            }
            _ => Ok(exit),
        }
    }
}

/// For tests of how the terminal is left: panics where the environment asks for it.
#[cfg(debug_assertions)]
async fn fall_over(env: &Env) {
    match env.get("LARDER_TEST_PANIC").map(String::as_str) {
        Some("run") => panic!("asked to panic"),
        Some("task") => drop(tokio::spawn(async { panic!("asked to panic") }).await),
        _ => {}
    }
}

/// What `larder build` was given, for building something of it again.
fn request(args: &BuildArgs) -> BuildRequest {
    let vars = args.template.var.iter().filter_map(|var| var.split_once('='));
    BuildRequest {
        template: args.template.template.clone(),
        vars: vars.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        var_files: args.template.var_file.clone(),
        only: args.template.only.clone(),
        force: args.force,
    }
}

/// The arguments of `larder build` for what was asked for.
fn arguments(request: &BuildRequest) -> Result<BuildArgs> {
    let template: PathBuf = request.template.clone();
    let words = ["larder".into(), "build".into(), template.into_os_string()];
    let parsed = Cli::try_parse_from(words).context(|| "cannot read the name of the template".to_owned())?;
    let Command::Build(mut args) = parsed.command else {
        return Err(Error::new("cannot read the name of the template"));
    };
    args.template.var = request.vars.iter().map(|(name, value)| format!("{name}={value}")).collect();
    args.template.var_file.clone_from(&request.var_files);
    args.template.only.clone_from(&request.only);
    args.force = request.force;
    // There is somebody who can decide.
    args.on_error = Some(OnErrorArg::Ask);
    tracing::debug!(template = %args.template.template.display(), "a build was asked for");
    Ok(*args)
}
