//! The commands: arguments and settings in, a run of the engine out.

mod apt_proxy;
pub mod args;
pub mod argv;
mod ask;
mod build;
mod bundle;
mod cache;
mod completion;
mod components;
mod config;
mod console;
mod diff;
pub mod docs;
mod doctor;
pub mod environment;
mod exec;
pub mod exit_codes;
mod fix;
mod fmt;
mod hcl2_upgrade;
mod history;
mod holdings;
mod inspect;
mod man;
mod mapped;
mod mirrors;
mod missing;
mod new;
mod pac;
mod plan;
mod proxy_check;
mod proxy_config;
mod proxy_login;
mod ps;
mod record;
mod remote;
mod repl;
pub mod serve;
mod session;
pub mod settings;
mod signals;
mod template;
mod ui;
mod unseen;
mod validate;
mod version;
mod wrap;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{
    BundleCommand, Cli, Color, Command, Global, InspectArgs, LookArgs, MirrorsCommand, ProxyArgs, ProxyCommand,
    ServeArgs, Ui, ValidateArgs,
};
use argv::FlagTable;
use console::Console;
use session::StateDirs;
use settings::Settings;

use crate::error::{Context as _, Error, Exit, Result};
use crate::guest::mapping::Inside;

/// The environment, as it was when the program started.
pub type Env = BTreeMap<String, String>;

/// How the program was called.
struct Call {
    /// Arguments after the program's name.
    arguments: Vec<OsString>,
    /// The mapping of ids this process is root of, if there is one.
    inside: Option<Inside>,
}

/// Runs the command line, and returns the program's exit code. `inside` is the mapping of ids that this process is root
/// of, where Larder has run itself again.
pub fn main(arguments: Vec<OsString>, env: &Env, inside: Option<Inside>) -> ExitCode {
    let console = Console::new(Color::Auto, env);
    if environment::is_on(env, "PACKER_NO_COLOR") {
        // clap's own output, which knows the other variables.
        anstream::ColorChoice::Never.write_global();
    }
    let table = FlagTable::of(&Cli::command());
    let call = Call { arguments: arguments.iter().skip(1).cloned().collect(), inside };
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| "larder".into());
    let normalised = match argv::normalise(arguments, &table) {
        Ok(normalised) => std::iter::once(program).chain(normalised),
        Err(error) => {
            console.error(&error);
            return ExitCode::from(Exit::Failure as u8);
        }
    };
    let mut normalised: Vec<OsString> = normalised.collect();
    if normalised.len() == 1 && ui::is_possible(env) {
        // A person who gives no command sees what there is.
        normalised.push("ui".into());
    }
    let failure = match normalised.iter().skip(1).find(|word| !word.as_encoded_bytes().starts_with(b"-")) {
        // 1 means that images differ.
        Some(command) if command == "diff" => Exit::Trouble,
        _ => Exit::Failure,
    };
    match Cli::try_parse_from(normalised) {
        Ok(cli) => dispatch(&cli, call, env, console),
        Err(error) => usage(&error, failure),
    }
}

/// Shows what clap has to say, with Packer's exit codes: 0 for help and version, 127 for no or an unknown command,
/// `failure` for anything else, which is 1 for all but `diff`.
fn usage(error: &clap::Error, failure: Exit) -> ExitCode {
    use clap::error::ErrorKind;
    let _ = error.print();
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success,
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Usage,
        _ => failure,
    };
    ExitCode::from(exit as u8)
}

fn dispatch(cli: &Cli, call: Call, env: &Env, console: Console) -> ExitCode {
    let console = match &cli.command {
        Command::Build(args) => {
            let asked = args
                .ui
                .or_else(|| (env.get("LARDER_UI").map(String::as_str) == Some("machine")).then_some(Ui::Machine));
            Console::new(args.color.unwrap_or_default(), env).machine(asked == Some(Ui::Machine))
        }
        Command::Ui(args) => Console::new(args.color.unwrap_or_default(), env),
        _ => console,
    };
    let console = if cli.global.machine_readable { console.machine(true) } else { console };
    match run(cli, call, env, &console) {
        Ok(code) => code,
        Err(error) => {
            if error.exit_code() != Exit::ClosedPipe {
                console.error(&error);
            }
            ExitCode::from(error.exit_code() as u8)
        }
    }
}

fn run(cli: &Cli, call: Call, env: &Env, console: &Console) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    machine_readable(cli)?;
    // What needs no settings, and so works also where they are broken.
    match &cli.command {
        Command::Version(args) => return version::run(args, console).map(done),
        Command::Completion(args) => return completion::run(args, console).map(done),
        Command::Man(args) => return man::run(args, console).map(done),
        Command::Diff(args) => return diff::run(args, console),
        Command::Fmt(args) => return fmt::run(args, console),
        Command::Docs(args) => return docs::run(args, console).map(done),
        Command::New(args) => return new::run(args, env, console).map(done),
        Command::Fix(args) => return fix::run(args, console).map(done),
        Command::Hcl2Upgrade(args) => return hcl2_upgrade::run(args, console).map(done),
        _ => {}
    }
    let settings = settings(cli, call.inside.as_ref(), env)?;
    // `config` tells of files that are not trusted in its own way, and the process outside of a mapping has told.
    let told = call.inside.is_some() || matches!(cli.command, Command::Config(_));
    for warning in settings.warnings.iter().filter(|_| !told) {
        console.warning(warning);
    }
    environment::start_log(&settings, cli.global.verbose, env, call.inside.is_some())?;
    match &cli.command {
        Command::Build(args) => {
            if mapped::is_needed_to_build(args, &call, env)? {
                return mapped::run(call, env);
            }
            runtime()?
                .block_on(build::run(args, &settings, env, console, call.inside))
                .map(|exit| ExitCode::from(exit as u8))
        }
        Command::Ui(_) => {
            if mapped::is_useful_to_build(&call, env) {
                return mapped::run(call, env);
            }
            runtime()?.block_on(ui::open(&settings, env, console, call.inside)).map(|exit| ExitCode::from(exit as u8))
        }
        Command::Validate(args) => validate::run(args, &settings, env, console).map(|exit| ExitCode::from(exit as u8)),
        Command::Plan(args) => {
            runtime()?.block_on(plan::run(args, &settings, env, console)).map(|exit| ExitCode::from(exit as u8))
        }
        Command::Inspect(args) => inspect::run(args, &settings, env, console).map(done),
        Command::Console(args) => repl::run(args, &settings, env, console).map(|exit| ExitCode::from(exit as u8)),
        Command::Exec(args) => {
            let status = runtime()?.block_on(exec::run(args, &settings, env, console))?;
            Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
        }
        Command::Proxy(args) => match &args.command {
            Some(ProxyCommand::Check(args)) => runtime()?.block_on(proxy_check::run(args, &settings, env, console)),
            Some(ProxyCommand::Passwd(args)) => serve::passwd::run(args, console).map(done),
            Some(ProxyCommand::Unit(args)) => serve::unit::run(args, &settings, console).map(done),
            None => {
                let reread = || self::settings(cli, call.inside.as_ref(), env);
                runtime()?.block_on(serve::run(&args.serve, settings, &reread, env, console)).map(done)
            }
        },
        Command::Doctor(args) => runtime()?.block_on(doctor::run(args, &settings, env, console)),
        Command::Mirrors(args) => runtime()?.block_on(mirrors::run(args, &settings, env, console)),
        Command::Bundle(command) => runtime()?.block_on(bundle::run(command, &settings, env, console)).map(done),
        Command::Cache(command) => cache::run(command, &settings, console).map(done),
        Command::Ps(args) => ps::ps(args, &StateDirs::of(&settings).runs, console).map(done),
        Command::Cleanup(_) if mapped::is_needed_to_clean(&call, &StateDirs::of(&settings).runs, env, console) => {
            mapped::run(call, env)
        }
        Command::Cleanup(args) => ps::cleanup(args, &StateDirs::of(&settings).runs, console).map(done),
        Command::History(args) => history::run(args, &settings, console).map(done),
        Command::Config(args) => config::run(args, &settings, env, console).map(done),
        Command::Version(_)
        | Command::Completion(_)
        | Command::Man(_)
        | Command::Diff(_)
        | Command::Fmt(_)
        | Command::Docs(_)
        | Command::New(_)
        | Command::Fix(_)
        | Command::Hcl2Upgrade(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Says so where `-machine-readable` has no meaning: it is a promise about the form of output.
fn machine_readable(cli: &Cli) -> Result<()> {
    if !cli.global.machine_readable {
        return Ok(());
    }
    match &cli.command {
        Command::Build(args) if args.debug => {
            Err(Error::new("-debug waits for a person, and -machine-readable is for programs")
                .hint("leave one of them out"))
        }
        Command::Build(args) if args.ui.is_some_and(|ui| ui != Ui::Machine) => {
            Err(Error::new("-machine-readable and --ui ask for different forms of output")
                .hint("leave one of them out"))
        }
        Command::Validate(ValidateArgs { json, .. }) | Command::Inspect(InspectArgs { json, .. }) if json.json => {
            Err(Error::new("-machine-readable and --json ask for different forms of output")
                .hint("leave one of them out"))
        }
        Command::Build(_) | Command::Validate(_) | Command::Inspect(_) | Command::Version(_) => Ok(()),
        _ => Err(Error::new("-machine-readable is for build, validate, inspect and version")
            .hint("other commands print JSON with --json where they have something to tell programs")),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context(|| "cannot start the runtime".to_owned())
}

/// The settings in force for a command.
fn settings(cli: &Cli, inside: Option<&Inside>, env: &Env) -> Result<Settings> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let mut flags = Vec::new();
    global_flags(&cli.global, &mut flags)?;
    match &cli.command {
        Command::Build(args) => {
            proxy_flags(&args.proxy, &mut flags)?;
            flags.extend(args.parallel_builds.map(|count| ("parallel_builds", count.to_string())));
            flags.extend(args.egress.map(|egress| ("egress", word(&egress))));
            flags.extend(args.ask_timeout.clone().map(|limit| ("ask_timeout", limit)));
            let ui = if cli.global.machine_readable { Some(Ui::Machine) } else { args.ui };
            flags.extend(ui.map(|ui| ("ui", word(&ui))));
            look_flags(&args.look, &mut flags);
        }
        Command::Exec(args) => {
            proxy_flags(&args.proxy, &mut flags)?;
            flags.extend(args.egress.map(|egress| ("egress", word(&egress))));
        }
        Command::Proxy(args) => {
            let proxy = match &args.command {
                Some(ProxyCommand::Check(check)) => &check.proxy,
                _ => &args.serve.proxy,
            };
            proxy_flags(proxy, &mut flags)?;
            service_flags(&args.serve, &mut flags)?;
        }
        Command::Plan(args) => proxy_flags(&args.proxy, &mut flags)?,
        Command::Ui(args) => {
            proxy_flags(&args.proxy, &mut flags)?;
            flags.push(("ui", word(&Ui::Tui)));
            look_flags(&args.look, &mut flags);
        }
        Command::Bundle(BundleCommand::Serve(args)) => {
            proxy_flags(&args.serve.proxy, &mut flags)?;
            service_flags(&args.serve, &mut flags)?;
        }
        Command::Doctor(args) => proxy_flags(&args.proxy, &mut flags)?,
        Command::Mirrors(args) => {
            if let Some(MirrorsCommand::Check(args)) = &args.command {
                proxy_flags(&args.proxy, &mut flags)?;
            }
        }
        _ => {}
    }
    let user = inside.and_then(Inside::user).map_or_else(nix::unistd::geteuid, nix::unistd::Uid::from_raw);
    let home = nix::unistd::User::from_uid(user).ok().flatten().map(|user| user.dir);
    settings::load(settings::Inputs { env, cwd: &cwd, flags: &flags, home: home.as_deref() })
}

fn look_flags(args: &LookArgs, flags: &mut Vec<(&'static str, String)>) {
    flags.extend(args.theme.clone().map(|theme| ("tui.theme", theme)));
    flags.extend(args.symbols.clone().map(|symbols| ("tui.symbols", symbols)));
    flags.extend(args.no_mouse.then(|| ("tui.mouse", "false".to_owned())));
    flags.extend(args.no_animation.then(|| ("tui.animation", "false".to_owned())));
}

fn global_flags(args: &Global, flags: &mut Vec<(&'static str, String)>) -> Result<()> {
    flags.extend(args.cache_dir.as_deref().map(|path| path_text(path).map(|text| ("cache_dir", text))).transpose()?);
    flags.extend(args.state_dir.as_deref().map(|path| path_text(path).map(|text| ("state_dir", text))).transpose()?);
    Ok(())
}

fn proxy_flags(args: &ProxyArgs, flags: &mut Vec<(&'static str, String)>) -> Result<()> {
    flags.extend(args.net.map(|net| ("net", word(&net))));
    flags.extend(args.upstream_proxy.clone().map(|url| ("upstream_proxy", url)));
    flags.extend(args.upstream_pac.clone().map(|place| ("upstream_pac", place)));
    flags.extend(args.no_proxy.clone().map(|hosts| ("no_proxy", hosts)));
    flags.extend(args.anonymize.then(|| ("anonymize", "true".to_owned())));
    if !args.ca_file.is_empty() {
        let files = args.ca_file.iter().map(|path| path_text(path)).collect::<Result<Vec<_>>>()?;
        flags.push(("ca_files", files.join(":")));
    }
    if !args.mirror.is_empty() {
        flags.push(("mirrors", args.mirror.join(",")));
    }
    if !args.tunnel.is_empty() {
        flags.push(("tunnel", args.tunnel.join(",")));
    }
    Ok(())
}

fn service_flags(args: &ServeArgs, flags: &mut Vec<(&'static str, String)>) -> Result<()> {
    for (name, list) in [("proxy.listen", &args.listen), ("proxy.clients", &args.client), ("proxy.admin", &args.admin)]
    {
        flags.extend((!list.is_empty()).then(|| (name, list.join(","))));
    }
    for (name, path) in [("proxy.users_file", &args.users_file), ("proxy.access_log", &args.access_log)] {
        flags.extend(path.as_deref().map(|path| path_text(path).map(|text| (name, text))).transpose()?);
    }
    Ok(())
}

fn word(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A path as text; relative ones are made absolute, so that they mean the same wherever they are used.
fn path_text(path: &std::path::Path) -> Result<String> {
    let path = std::path::absolute(path).context(|| format!("cannot name {}", path.display()))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Error::new(format!("{} is not valid UTF-8", path.display())))
}
