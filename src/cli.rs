//! The commands: arguments and settings in, a run of the engine out.

pub mod args;
pub mod argv;
mod ask;
mod build;
mod cache;
mod components;
mod config;
mod console;
mod doctor;
mod exec;
mod inspect;
mod proxy_config;
mod ps;
mod serve;
mod session;
pub mod settings;
mod signals;
mod template;
mod validate;
mod version;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Color, Command, Global, ProxyArgs};
use argv::FlagTable;
use console::Console;
use session::StateDirs;
use settings::Settings;

use crate::error::{Context as _, Error, Exit, Result};

/// The environment, as it was when the program started.
pub type Env = BTreeMap<String, String>;

/// Runs the command line, and returns the program's exit code.
pub fn main(arguments: Vec<OsString>, env: &Env) -> ExitCode {
    let console = Console::new(Color::Auto, env);
    let table = FlagTable::of(&Cli::command());
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_else(|| "larder".into());
    let normalised = match argv::normalise(arguments, &table) {
        Ok(normalised) => std::iter::once(program).chain(normalised),
        Err(error) => {
            console.error(&error);
            return ExitCode::from(Exit::Failure as u8);
        }
    };
    match Cli::try_parse_from(normalised) {
        Ok(cli) => dispatch(&cli, env, console),
        Err(error) => usage(&error),
    }
}

/// Shows what clap has to say, with Packer's exit codes: 0 for help and version, 127 for no or an unknown command,
/// 1 for anything else.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let _ = error.print();
    let exit = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success,
        ErrorKind::InvalidSubcommand
        | ErrorKind::MissingSubcommand
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Exit::Usage,
        _ => Exit::Failure,
    };
    ExitCode::from(exit as u8)
}

fn dispatch(cli: &Cli, env: &Env, console: Console) -> ExitCode {
    let console = match &cli.command {
        Command::Build(args) => Console::new(args.color.unwrap_or_default(), env),
        _ => console,
    };
    match run(cli, env, &console) {
        Ok(code) => code,
        Err(error) => {
            if error.exit_code() != Exit::ClosedPipe {
                console.error(&error);
            }
            ExitCode::from(error.exit_code() as u8)
        }
    }
}

fn run(cli: &Cli, env: &Env, console: &Console) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    if cli.global.machine_readable {
        return Err(Error::new("Packer's -machine-readable output is not supported yet")
            .hint("`larder build --ui=json` prints each event of a run as a JSON object on a line"));
    }
    match &cli.command {
        Command::Version(args) => return version::run(args, console).map(done),
        Command::Validate(args) => return validate::run(args, env, console).map(done),
        Command::Inspect(args) => return inspect::run(args, env, console).map(done),
        _ => {}
    }
    let settings = settings(cli, env)?;
    // Whoever is just about to trust a file need not be told that it is not trusted.
    let trusting = matches!(cli.command, Command::Config(_));
    for warning in settings.warnings.iter().filter(|_| !trusting) {
        console.warning(warning);
    }
    log(&settings, cli.global.verbose);
    match &cli.command {
        Command::Build(args) => {
            runtime()?.block_on(build::run(args, &settings, env, console)).map(|exit| ExitCode::from(exit as u8))
        }
        Command::Exec(args) => {
            let status = runtime()?.block_on(exec::run(args, &settings, env, console))?;
            Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
        }
        Command::Proxy(args) => runtime()?.block_on(serve::run(args, &settings, env, console)).map(done),
        Command::Doctor(args) => runtime()?.block_on(doctor::run(args, &settings, env, console)),
        Command::Cache(command) => cache::run(command, &settings, console).map(done),
        Command::Ps(args) => ps::ps(args, &StateDirs::of(&settings).runs, console).map(done),
        Command::Cleanup(args) => ps::cleanup(args, &StateDirs::of(&settings).runs, console).map(done),
        Command::Config(command) => config::run(command, &settings, console).map(done),
        Command::Version(_) | Command::Validate(_) | Command::Inspect(_) => Ok(ExitCode::SUCCESS),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context(|| "cannot start the runtime".to_owned())
}

/// What is to be said of the inner workings, on standard error.
fn log(settings: &Settings, verbose: u8) {
    let filter = match verbose {
        0 => settings.log.value.clone(),
        1 => "info".to_owned(),
        _ => "debug".to_owned(),
    };
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// The settings in force for a command.
fn settings(cli: &Cli, env: &Env) -> Result<Settings> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let mut flags = Vec::new();
    global_flags(&cli.global, &mut flags)?;
    match &cli.command {
        Command::Build(args) => {
            proxy_flags(&args.proxy, &mut flags)?;
            flags.extend(args.parallel_builds.map(|count| ("parallel_builds", count.to_string())));
            flags.extend(args.ui.map(|ui| ("ui", word(&ui))));
        }
        Command::Exec(args) => proxy_flags(&args.proxy, &mut flags)?,
        Command::Proxy(args) => proxy_flags(&args.proxy, &mut flags)?,
        Command::Doctor(args) => proxy_flags(&args.proxy, &mut flags)?,
        _ => {}
    }
    settings::load(settings::Inputs { env, cwd: &cwd, flags: &flags })
}

fn global_flags(args: &Global, flags: &mut Vec<(&'static str, String)>) -> Result<()> {
    flags.extend(args.cache_dir.as_deref().map(|path| path_text(path).map(|text| ("cache_dir", text))).transpose()?);
    flags.extend(args.state_dir.as_deref().map(|path| path_text(path).map(|text| ("state_dir", text))).transpose()?);
    Ok(())
}

fn proxy_flags(args: &ProxyArgs, flags: &mut Vec<(&'static str, String)>) -> Result<()> {
    flags.extend(args.net.map(|net| ("net", word(&net))));
    flags.extend(args.upstream_proxy.clone().map(|url| ("upstream_proxy", url)));
    flags.extend(args.no_proxy.clone().map(|hosts| ("no_proxy", hosts)));
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

fn word(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// A path as text; relative ones are made absolute, so that they mean the same wherever they are used.
fn path_text(path: &std::path::Path) -> Result<String> {
    let path = std::path::absolute(path).context(|| format!("cannot name {}", path.display()))?;
    path.to_str().map(str::to_owned).ok_or_else(|| Error::new(format!("{} is not valid UTF-8", path.display())))
}
