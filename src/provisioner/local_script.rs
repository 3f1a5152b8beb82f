//! Runs scripts on the host: what the `shell-local` provisioner and post-processor share.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{environment, lines, shell};
use crate::engine::component::{Context, Output, ScriptText};
use crate::engine::host::{HostCommand, HostEnd, HostProcess};
use crate::error::{Context as _, Error, Result};
use crate::template::config::Decoded;
use crate::template::diagnostic::Diagnostics;
use crate::template::go::engine::{self, InterpolateContext};

/// How long a cancelled script has to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// How long output is awaited from what a script left running.
const LEFT_RUNNING: Duration = Duration::from_secs(2);

/// More than a pipe can hold of what was written before the script ended.
const PIPE_LIMIT: usize = 1 << 20;

/// Names of systems, as Go has them.
const SYSTEMS: &[&str] = &["darwin", "freebsd", "linux", "openbsd", "solaris", "windows"];

crate::config! {
    /// Runs scripts on the host.
    pub struct LocalScriptConfig {
        /// Commands, joined by newlines into one script. One of `inline`, `command`, `script` and `scripts` must be
        /// set.
        #[conflicts("command", "script", "scripts")]
        inline: Vec<String>,
        /// A command.
        #[conflicts("script", "scripts")]
        command: String,
        /// A script; it must be executable.
        #[conflicts("scripts")]
        script: String,
        /// Scripts, run in this order.
        scripts: Vec<String>,
        /// First line of the script made of `inline` or `command`. Default: `/bin/sh -e`.
        inline_shebang: Option<String>,
        /// Variables for the scripts, each `NAME=VALUE`.
        environment_vars: Vec<String>,
        /// Variables for the scripts.
        env: BTreeMap<String, String>,
        /// How a variable is written on the command line: name and value take the place of `%s`.
        env_var_format: String = "%s='%s' ".to_owned(),
        /// How a script is run: a program and its arguments. `{{.Script}}` is the script, `{{.Vars}}` the variables,
        /// `{{.Command}}` the command.
        execute_command: Vec<String> as raw =
            ["/bin/sh", "-c", "{{.Vars}} {{.Script}}"].map(str::to_owned).to_vec(),
        /// Systems to run on, such as `linux`; elsewhere nothing is done. Default: all.
        only_on: Vec<String>,
        /// What the name of the script made of `inline` ends with, such as `.py`.
        tempfile_extension: String,
        /// For Windows; has no effect here.
        use_linux_pathing: bool,
        /// Exit statuses that are success.
        valid_exit_codes: Vec<i64> = vec![0],
    }
}

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<LocalScriptConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    let sources = [
        ("inline", !config.inline.is_empty()),
        ("command", !config.command.is_empty()),
        ("script", !config.script.is_empty()),
        ("scripts", !config.scripts.is_empty()),
    ];
    shell::check_sources(decoded, &sources, &mut diagnostics);
    shell::check_scripts(decoded, &config.script, &config.scripts, &mut diagnostics);
    shell::check_environment(decoded, &config.environment_vars, Some(&config.env_var_format), &mut diagnostics);
    shell::check_execute_command(decoded, config.execute_command.iter().map(String::as_str), &mut diagnostics);
    if config.execute_command.is_empty() {
        diagnostics.push(decoded.error("execute_command", "`execute_command` names no program"));
    }
    for system in config.only_on.iter().filter(|system| !SYSTEMS.contains(&system.as_str())) {
        diagnostics.push(
            decoded
                .error("only_on", format!("unknown system `{system}`"))
                .hint(format!("systems are: {}", SYSTEMS.join(", "))),
        );
    }
    diagnostics
}

/// The scripts, for editing.
pub fn scripts(config: &LocalScriptConfig) -> Result<Vec<ScriptText>> {
    if let Some(commands) = commands(config) {
        let text = shell::inline(&commands, config.inline_shebang.as_deref()).into_bytes();
        return Ok(vec![ScriptText { name: format!("inline{}", config.tempfile_extension), text }]);
    }
    let read = |path: &String| {
        let text = std::fs::read(path).context(|| format!("cannot read the script {path}"))?;
        Ok(ScriptText { name: path.clone(), text })
    };
    files(config).map(read).collect()
}

/// Runs the scripts on the host, one after the other; those that are `replaced` are not run themselves.
pub async fn run(
    config: &LocalScriptConfig,
    interpolate: &InterpolateContext,
    replaced: &[Option<PathBuf>],
    context: &Context,
) -> Result<()> {
    if !config.only_on.is_empty() && !config.only_on.iter().any(|system| system == this_system()) {
        context.ui.say("Skipping shell-local due to runtime OS");
        return Ok(());
    }
    let variables = environment::variables(context, &config.environment_vars, &config.env);
    let variables = environment::flatten(&variables, &config.env_var_format)
        .context(|| "cannot use `env_var_format`".to_owned())?;
    // Removed when dropped.
    let made = made_script(config, &context.scratch)?;
    let mut scripts: Vec<PathBuf> = match &made {
        Some(made) => vec![made.to_path_buf()],
        None => files(config).map(PathBuf::from).collect(),
    };
    for (script, replaced) in scripts.iter_mut().zip(replaced) {
        if let Some(replaced) = replaced {
            script.clone_from(replaced);
        }
    }
    for script in scripts {
        context.ui.say(&format!("Running local shell script: {}", script.display()));
        let mut with = interpolate.clone();
        with.data.extend(context.generated.clone());
        let path = std::path::absolute(&script).context(|| format!("cannot find {}", script.display()))?;
        with.data.insert("Script".to_owned(), path.to_string_lossy().into_owned());
        with.data.insert("Vars".to_owned(), variables.clone());
        with.data.insert("Command".to_owned(), config.command.clone());
        let words = config.execute_command.iter().map(|word| engine::render(word, &with));
        let words: Vec<String> = words
            .collect::<Result<_, _>>()
            .map_err(|error| Error::new(format!("cannot render `execute_command`: {error}")).hint(error.hint()))?;
        let status = run_program(&words, context).await?;
        if !config.valid_exit_codes.contains(&i64::from(status)) {
            return Err(shell::bad_exit(status, &config.valid_exit_codes));
        }
    }
    Ok(())
}

fn this_system() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

/// The scripts that are files.
fn files(config: &LocalScriptConfig) -> impl Iterator<Item = &String> {
    std::iter::once(&config.script).chain(&config.scripts).filter(|path| !path.is_empty())
}

/// The commands that a script is made of.
fn commands(config: &LocalScriptConfig) -> Option<Vec<String>> {
    match (&config.inline[..], config.command.as_str()) {
        ([], "") => None,
        ([], command) => Some(vec![command.to_owned()]),
        (inline, _) => Some(inline.to_vec()),
    }
}

/// The script made of `inline` or `command`, if that is what is to be run.
fn made_script(config: &LocalScriptConfig, scratch: &Path) -> Result<Option<tempfile::TempPath>> {
    let Some(commands) = commands(config) else { return Ok(None) };
    let write = || -> std::io::Result<tempfile::TempPath> {
        let mut file = tempfile::Builder::new()
            .prefix("shell-local-")
            .suffix(&config.tempfile_extension)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempfile_in(scratch)?;
        let shebang = config.inline_shebang.as_deref();
        file.write_all(shell::inline(&commands, shebang).as_bytes())?;
        // The writing descriptor is closed: a file open for writing cannot be executed.
        Ok(file.into_temp_path())
    };
    write().context(|| format!("cannot write a script into {}", scratch.display())).map(Some)
}

/// Runs a program in a process group of its own, relays what it writes, and ends it when the build is cancelled.
async fn run_program(words: &[String], context: &Context) -> Result<i32> {
    let program = words.first().ok_or_else(|| Error::new("`execute_command` names no program"))?;
    let mut env = context.host_env.clone();
    env.insert("PACKER_RUN_UUID".to_owned(), context.run_uuid.clone());
    let HostProcess { stdout, stderr, mut end } = context.host.start(HostCommand { argv: words.to_vec(), env }).await?;
    let (sender, receiver) = mpsc::channel(64);
    let exited = CancellationToken::new();
    let stdout = read(stdout, Output::Stdout, sender.clone(), exited.clone());
    let stderr = read(stderr, Output::Stderr, sender, exited.clone());
    let waiting = async {
        let status = tokio::select! {
            status = end.wait() => Some(status),
            () = context.cancel.cancelled() => None,
        };
        if status.is_none() {
            stop(&mut *end).await;
        }
        exited.cancel();
        status
    };
    let reading = async { tokio::join!(stdout, stderr) };
    let (status, ends, ()) = tokio::join!(waiting, reading, lines::relay(receiver, &*context.ui));
    let Some(status) = status else {
        return Err(Error::new(format!("cancelled while running {program}")));
    };
    if ends.0 == PipeEnd::HeldOpen || ends.1 == PipeEnd::HeldOpen {
        context.ui.warn("the script left a program running in the background; its further output is not shown");
    }
    status
}

/// How a pipe was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PipeEnd {
    /// All who wrote to it are gone.
    Closed,
    /// The script has ended, but something it left running holds the pipe.
    HeldOpen,
}

/// Sends what comes from a pipe, until it ends. Once the program has exited, what was left running in the background
/// may hold the pipe for ever: then it is read until nothing comes for a while, or far more than a pipe holds has.
async fn read(
    mut pipe: impl AsyncRead + Unpin,
    wrap: fn(Vec<u8>) -> Output,
    sender: mpsc::Sender<Output>,
    exited: CancellationToken,
) -> PipeEnd {
    let mut buffer = vec![0; 16 * 1024];
    let mut after_exit = 0;
    loop {
        let idle = async {
            exited.cancelled().await;
            tokio::time::sleep(LEFT_RUNNING).await;
        };
        let count = tokio::select! {
            read = pipe.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return PipeEnd::Closed,
                Ok(count) => count,
            },
            () = idle => return PipeEnd::HeldOpen,
        };
        if exited.is_cancelled() {
            after_exit += count;
        }
        if after_exit > PIPE_LIMIT {
            return PipeEnd::HeldOpen;
        }
        if sender.send(wrap(buffer[..count].to_vec())).await.is_err() {
            return PipeEnd::Closed;
        }
    }
}

/// Asks a command and its process group to end, then makes them.
async fn stop(end: &mut dyn HostEnd) {
    end.signal(Signal::TERM).await;
    let _ = tokio::time::timeout(GRACE, end.wait()).await;
    end.signal(Signal::KILL).await;
    let _ = end.wait().await;
}
