//! Runs shell scripts in the guest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::sleep::show;
use super::{ProvisionerType, environment, lines};
use crate::engine::component::{
    Communicator, Content, Context, EXIT_DISCONNECTED, Provisioner, Replaced, ScriptText, needs_communicator,
};
use crate::engine::registry::Prepared;
use crate::error::{Context as _, Error, Result};
use crate::template::config::{Config, Decoded};
use crate::template::diagnostic::{Diagnostic, Diagnostics};
use crate::template::go::engine::{self, InterpolateContext};

#[cfg(test)]
mod tests;

/// Time between two attempts at a machine that does not answer.
const RETRY_PAUSE: Duration = if cfg!(test) { Duration::from_millis(5) } else { Duration::from_secs(2) };

/// Connections that are there or not: trying again brings nothing.
const LOCAL_CONNECTIONS: &[&str] = &["rootfs", "docker", "local", "none"];

crate::config! {
    /// Runs shell scripts in the guest.
    pub struct ShellConfig {
        /// Commands, joined by newlines into one script. One of `inline`, `script` and `scripts` must be set.
        #[conflicts("script", "scripts")]
        inline: Vec<String>,
        /// First line of the script made of `inline`. Default: `/bin/sh -e`, unless `inline` starts with `#!`.
        inline_shebang: Option<String>,
        /// A script of the host.
        #[conflicts("scripts")]
        script: String,
        /// Scripts of the host, run in this order.
        scripts: Vec<String>,
        /// Variables for the scripts, each `NAME=VALUE`.
        environment_vars: Vec<String>,
        /// Variables for the scripts.
        env: BTreeMap<String, String>,
        /// How a variable is written on the command line: name and value take the place of `%s`.
        /// Default: `%s='%s' `, and with `use_env_var_file` `export %s='%s'` and a newline.
        env_var_format: Option<String>,
        /// Pass the variables in a file that the shell reads, rather than on the command line.
        use_env_var_file: bool,
        /// How a script is run. `{{.Path}}` is the script, `{{.Vars}}` the variables, `{{.EnvVarFile}}` the file of
        /// variables.
        /// Default: `chmod +x {{.Path}}; {{.Vars}} {{.Path}}`, and with `use_env_var_file`
        /// `chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}`.
        execute_command: Option<String> as raw,
        /// Directory of the guest that scripts are put in.
        remote_folder: String = "/tmp".to_owned(),
        /// Name a script gets in the guest. Default: `script_NNNN.sh`.
        remote_file: Option<String>,
        /// Full path a script gets in the guest. Default: `remote_folder/remote_file`.
        remote_path: Option<String>,
        /// Leave the script in the guest.
        skip_clean: bool,
        /// How long to try to start a script, such as while the guest restarts.
        start_retry_timeout: Duration = Duration::from_mins(5),
        /// Go on if the connection is lost while the script runs, such as by a restart.
        expect_disconnect: bool,
        /// Exit statuses that are success.
        valid_exit_codes: Vec<i64> = vec![0],
        /// Upload scripts as they are, without making CR LF into LF.
        binary: bool,
        /// How long to wait once the scripts have run.
        pause_after: Duration,
    }
}

pub(super) const TYPE: ProvisionerType = ProvisionerType {
    kind: "shell",
    schema: ShellConfig::schema,
    prepare: |body, context| {
        let interpolate = context.interpolate.clone();
        Prepared::<dyn Provisioner>::new(body, context, validate, |config| {
            Box::new(Shell { config, interpolate, replaced: Vec::new() })
        })
    },
};

/// Checks options that depend on each other or on the host's files.
pub fn validate(decoded: &Decoded<ShellConfig>) -> Diagnostics {
    let config = &decoded.config;
    let mut diagnostics = Diagnostics::default();
    check_what_runs(decoded, &config.inline, &config.script, &config.scripts, &mut diagnostics);
    check_environment(decoded, &config.environment_vars, config.env_var_format.as_deref(), &mut diagnostics);
    check_execute_command(decoded, config.execute_command.as_deref().into_iter(), &mut diagnostics);
    if decoded.is_set("remote_path") && decoded.is_set("remote_file") {
        diagnostics.push(
            Diagnostic::warning("`remote_file` has no effect")
                .at(decoded.span("remote_file"))
                .see(decoded.span("remote_path"), "this is the whole path"),
        );
    }
    diagnostics
}

/// There is something to run, and scripts are files that can be read.
pub(super) fn check_what_runs<C>(
    decoded: &Decoded<C>,
    inline: &[String],
    script: &str,
    scripts: &[String],
    diagnostics: &mut Diagnostics,
) {
    let sources = [("inline", !inline.is_empty()), ("script", !script.is_empty()), ("scripts", !scripts.is_empty())];
    check_sources(decoded, &sources, diagnostics);
    check_scripts(decoded, script, scripts, diagnostics);
}

/// One of the options that say what to run must be set.
pub(super) fn check_sources<C>(decoded: &Decoded<C>, sources: &[(&str, bool)], diagnostics: &mut Diagnostics) {
    if sources.iter().any(|(name, set)| *set || decoded.is_unknown(name)) {
        return;
    }
    let names = sources.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    diagnostics.push(
        decoded
            .error("", "there is nothing to run")
            .detail(format!("none of {names} is set"))
            .hint("add inline = [\"a command\"], or script = \"a file\""),
    );
}

/// Scripts must be files that can be read.
pub(super) fn check_scripts<C>(decoded: &Decoded<C>, script: &str, scripts: &[String], diagnostics: &mut Diagnostics) {
    let single = (!script.is_empty()).then_some(("script", script));
    for (option, path) in single.into_iter().chain(scripts.iter().map(|path| ("scripts", path.as_str()))) {
        if let Err(why) = readable(path) {
            diagnostics.push(
                decoded
                    .error(option, format!("cannot read the script `{path}`"))
                    .detail(why)
                    .hint("paths are relative to the directory larder runs in; ${path.root} is the template's"),
            );
        }
    }
}

/// Why a file cannot be read, as text.
pub(super) fn readable(path: &str) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    std::fs::File::open(path).map(drop).map_err(|error| error.to_string())
}

/// `environment_vars` are pairs, and the format of variables is one.
pub(super) fn check_environment<C>(
    decoded: &Decoded<C>,
    listed: &[String],
    format: Option<&str>,
    diagnostics: &mut Diagnostics,
) {
    for pair in listed.iter().filter(|pair| environment::split(pair).is_none()) {
        let name: String = pair.chars().take_while(|letter| *letter != '=').collect();
        diagnostics.push(
            decoded
                .error("environment_vars", "an environment variable is not of the form NAME=VALUE")
                .detail(if name.is_empty() { "it has no name".to_owned() } else { format!("`{name}` has no `=`") })
                .hint("write environment_vars = [\"NAME=VALUE\"], or env = { NAME = \"VALUE\" }"),
        );
    }
    if let Some(Err(error)) = format.map(environment::check) {
        diagnostics.push(decoded.error("env_var_format", "cannot use `env_var_format`").detail(error.to_string()));
    }
}

/// `execute_command` is a template.
pub(super) fn check_execute_command<'a, C>(
    decoded: &Decoded<C>,
    texts: impl Iterator<Item = &'a str>,
    diagnostics: &mut Diagnostics,
) {
    for text in texts {
        let rendered = engine::render(text, &InterpolateContext::default());
        if let Err(error) = rendered
            && error.is_syntax()
        {
            let hint = error.hint();
            diagnostics.push(
                decoded
                    .error("execute_command", "cannot render the template in `execute_command`")
                    .detail(error.to_string())
                    .hint(hint),
            );
        }
    }
}

/// The shell provisioner.
#[derive(Debug)]
pub struct Shell {
    config: ShellConfig,
    interpolate: InterpolateContext,
    replaced: Replaced,
}

/// Where things are in the guest.
struct Remote {
    script: String,
    variables: Option<String>,
}

/// What is tried again while the machine does not answer.
enum Attempt<'a> {
    /// Upload a script and run it.
    Start { remote: &'a Remote, variables: &'a str, script: &'a [u8], command: &'a str },
    /// Remove what was uploaded.
    Clean { command: &'a str },
}

impl Attempt<'_> {
    async fn run(&self, context: &Context, communicator: &dyn Communicator) -> Result<i32> {
        let command = match self {
            Self::Start { remote, variables, script, command } => {
                if let Some(path) = &remote.variables {
                    let upload = communicator.upload(Content::Bytes(variables.as_bytes()), path, 0o600).await;
                    upload.context(|| "cannot upload the file of variables".to_owned())?;
                }
                let upload = communicator.upload(Content::Bytes(script), &remote.script, 0o755).await;
                upload.context(|| format!("cannot upload the script to {}", remote.script))?;
                command
            }
            Self::Clean { command } => command,
        };
        let status = lines::run(communicator, command, &*context.ui, &context.cancel).await?;
        // A script may end the connection on purpose; nothing else does.
        if status == EXIT_DISCONNECTED && matches!(self, Self::Clean { .. }) {
            return Err(Error::new("the connection was lost"));
        }
        Ok(status)
    }
}

#[async_trait]
impl Provisioner for Shell {
    fn scripts(&self) -> Result<Vec<ScriptText>> {
        self.scripts_to_run()
    }

    fn replace_scripts(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }

    async fn provision(&self, context: &Context, communicator: Option<&dyn Communicator>) -> Result<()> {
        let communicator = communicator.ok_or_else(|| needs_communicator("shell"))?;
        let remote = self.remote();
        let variables = self.variables(context)?;
        for ScriptText { name, text } in self.scripts_to_run()? {
            context.ui.say(&format!("Provisioning with shell script: {name}"));
            let outcome = self.run_script(context, communicator, &remote, &variables, &text).await;
            let clean = self.clean(context, communicator, &remote, outcome.is_ok()).await;
            outcome?;
            clean?;
        }
        if !self.config.pause_after.is_zero() {
            context.ui.say(&format!("Pausing {} after this provisioner...", show(self.config.pause_after)));
            if !lines::sleep(self.config.pause_after, &context.cancel).await {
                return Err(Error::new("cancelled while pausing after the shell provisioner"));
            }
        }
        Ok(())
    }
}

impl Shell {
    /// What to run, and what it is called.
    fn scripts_to_run(&self) -> Result<Vec<ScriptText>> {
        let config = &self.config;
        let mut scripts = Vec::new();
        if !config.inline.is_empty() {
            let text = inline(&config.inline, config.inline_shebang.as_deref()).into_bytes();
            scripts.push(ScriptText { name: "inline".to_owned(), text });
        }
        let single = (!config.script.is_empty()).then_some(&config.script);
        for path in single.into_iter().chain(&config.scripts) {
            scripts.push(ScriptText { name: path.clone(), text: self.read(path.as_ref())? });
        }
        for (script, replaced) in scripts.iter_mut().zip(&self.replaced) {
            if let Some(path) = replaced {
                script.text = self.read(path)?;
            }
        }
        Ok(scripts)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let content = std::fs::read(path).context(|| format!("cannot read the script {}", path.display()))?;
        Ok(if self.config.binary { content } else { unix_lines(&content) })
    }

    fn remote(&self) -> Remote {
        let config = &self.config;
        let number = uuid::Uuid::new_v4().as_u128() % 10_000;
        let folder = config.remote_folder.trim_end_matches('/');
        let file = config.remote_file.clone().unwrap_or_else(|| format!("script_{number}.sh"));
        let script = config.remote_path.clone().unwrap_or_else(|| format!("{folder}/{file}"));
        Remote { script, variables: config.use_env_var_file.then(|| format!("{folder}/varfile_{number}.sh")) }
    }

    fn variables(&self, context: &Context) -> Result<String> {
        let config = &self.config;
        let default = if config.use_env_var_file { "export %s='%s'\n" } else { "%s='%s' " };
        let format = config.env_var_format.as_deref().unwrap_or(default);
        let variables = environment::variables(context, &config.environment_vars, &config.env);
        environment::flatten(&variables, format).context(|| "cannot use `env_var_format`".to_owned())
    }

    fn command(&self, context: &Context, remote: &Remote, variables: &str) -> Result<String> {
        let default = if remote.variables.is_some() {
            "chmod +x {{.Path}}; . {{.EnvVarFile}} && {{.Path}}"
        } else {
            "chmod +x {{.Path}}; {{.Vars}} {{.Path}}"
        };
        let mut with = self.interpolate.clone();
        with.data.extend(context.generated.clone());
        with.data.insert("Path".to_owned(), remote.script.clone());
        with.data.insert("Vars".to_owned(), variables.to_owned());
        with.data.insert("EnvVarFile".to_owned(), remote.variables.clone().unwrap_or_default());
        engine::render(self.config.execute_command.as_deref().unwrap_or(default), &with)
            .map_err(|error| Error::new(format!("cannot render `execute_command`: {error}")).hint(error.hint()))
    }

    async fn run_script(
        &self,
        context: &Context,
        communicator: &dyn Communicator,
        remote: &Remote,
        variables: &str,
        script: &[u8],
    ) -> Result<()> {
        let command = self.command(context, remote, variables)?;
        let attempt = Attempt::Start { remote, variables, script, command: &command };
        let status = self.retry(context, communicator, &attempt).await?;
        self.judge(status)
    }

    fn judge(&self, status: i32) -> Result<()> {
        let valid = &self.config.valid_exit_codes;
        if valid.contains(&i64::from(status)) || (status == EXIT_DISCONNECTED && self.config.expect_disconnect) {
            return Ok(());
        }
        if status == EXIT_DISCONNECTED {
            return Err(Error::new("the connection was lost while the script ran")
                .hint("if the script restarts the machine, add expect_disconnect = true"));
        }
        Err(bad_exit(status, valid))
    }

    /// Takes scripts and variables out of the guest. After a failure, as well as the guest lets us.
    async fn clean(
        &self,
        context: &Context,
        communicator: &dyn Communicator,
        remote: &Remote,
        succeeded: bool,
    ) -> Result<()> {
        if self.config.skip_clean || context.cancel.is_cancelled() {
            return Ok(());
        }
        let paths: Vec<&str> = std::iter::once(&remote.script).chain(&remote.variables).map(String::as_str).collect();
        let command = format!("rm -f {}", paths.join(" "));
        let attempt = Attempt::Clean { command: &command };
        let outcome = if succeeded {
            self.retry(context, communicator, &attempt).await
        } else {
            attempt.run(context, communicator).await
        };
        match outcome {
            _ if !succeeded => Ok(()),
            Ok(0) => Ok(()),
            Ok(status) => {
                Err(Error::new(format!("cannot remove {} from the guest: rm ended with {status}", paths.join(", ")))
                    .hint("add skip_clean = true to leave it there"))
            }
            Err(error) => Err(Error::new(format!("cannot remove {} from the guest", paths.join(", ")))
                .caused_by(error)
                .hint("add skip_clean = true if the machine is gone when the script ends")),
        }
    }

    /// Tries until it works, `start_retry_timeout` is over or the build is cancelled.
    async fn retry(&self, context: &Context, communicator: &dyn Communicator, attempt: &Attempt<'_>) -> Result<i32> {
        let local = communicator
            .generated_data()
            .get("ConnType")
            .is_some_and(|connection| LOCAL_CONNECTIONS.contains(&connection.as_str()));
        let deadline = Instant::now() + self.config.start_retry_timeout;
        let mut said = false;
        loop {
            let error = match attempt.run(context, communicator).await {
                Ok(status) => return Ok(status),
                Err(error) => error,
            };
            if local || context.cancel.is_cancelled() || Instant::now() + RETRY_PAUSE > deadline {
                return Err(error);
            }
            if !std::mem::replace(&mut said, true) {
                context.ui.warn(&format!(
                    "{}; trying again for up to {}",
                    crate::error::chain(&error),
                    show(self.config.start_retry_timeout)
                ));
            }
            if !lines::sleep(RETRY_PAUSE, &context.cancel).await {
                return Err(error);
            }
        }
    }
}

/// The error of a script whose exit status is not among those wanted.
pub(super) fn bad_exit(status: i32, valid: &[i64]) -> Error {
    let allowed = valid.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
    let error =
        Error::new(format!("Script exited with non-zero exit status: {status}. Allowed exit codes are: [{allowed}]"));
    match status {
        126 => error.hint(
            "126: the script, or a command in it, cannot be executed; is its first line right, is it executable?",
        ),
        127 => error.hint("127: a command, or the interpreter of the first line, was not found"),
        129..=192 => error.hint(format!("{status}: it was ended by signal {}", status - 128)),
        _ => error,
    }
}

/// The script made of `inline`.
pub(super) fn inline(commands: &[String], shebang: Option<&str>) -> String {
    let body = commands.join("\n");
    match shebang {
        None if body.starts_with("#!") => format!("{body}\n"),
        Some("") => format!("{body}\n"),
        shebang => format!("#!{}\n{body}\n", shebang.unwrap_or("/bin/sh -e")),
    }
}

/// CR LF made LF.
fn unix_lines(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    for (at, byte) in content.iter().enumerate() {
        if *byte != b'\r' || content.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

/// The last part of a path of either side.
pub(super) fn base_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}
