//! The variables of the environment that Packer's users and terminals know, and what becomes of each.
//!
//! `docs/reference/environment.md` and the manual are made from the table. The settings' own `LARDER_*` variables are in
//! `settings::KEYS`.

use std::fs::File;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::Env;
use super::settings::report::line;
use super::settings::{KEYS, Settings, Source};
use super::version::{PACKER_VERSION, VERSION};
use crate::error::{Context as _, Result};

/// What becomes of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is heeded.
    Heeded,
    /// It is Packer's, and has nothing to act on here. `-v` says so when it is set.
    Ignored,
    /// Larder sets it for what it runs; its value in Larder's own environment is of no interest.
    Set,
}

/// A variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name; several with the same meaning are separated by `, `, and `NAME` stands for any name.
    pub name: &'static str,
    /// What becomes of it.
    pub usage: Use,
    /// How it is heeded, or why it is not.
    pub meaning: &'static str,
}

const fn heeded(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, usage: Use::Heeded, meaning }
}

const fn ignored(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, usage: Use::Ignored, meaning }
}

/// All of them: the template's, Packer's, the system's.
pub static VARIABLES: &[Variable] = &[
    heeded("PKR_VAR_NAME", "Value of the template's variable NAME; -var and -var-file go before it."),
    heeded("PACKER_LOG", "Any value but 0: log what Larder does on standard error, as -vv. LARDER_LOG goes before it."),
    heeded(
        "PACKER_LOG_PATH",
        "File for the log instead of standard error, begun anew by each command. As with Packer, it \
         does not switch the log on: PACKER_LOG, LARDER_LOG, `log` in a settings file or -v does.",
    ),
    heeded("PACKER_NO_COLOR", "Any value but 0: no colour."),
    heeded(
        "PACKER_CACHE_DIR",
        "The cache is in the directory `larder` below it, unless LARDER_CACHE_DIR, --cache-dir or a \
         settings file names another: downloads are where they were meant to be, beside Packer's own.",
    ),
    Variable {
        name: "PACKER_RUN_UUID",
        usage: Use::Set,
        meaning: "The run's UUID, anew for each run, in the environment \
         of what shell and shell-local run.",
    },
    ignored("PACKER_CONFIG", "Its settings are about plugins and update checks; Larder's are in config.toml."),
    ignored("PACKER_CONFIG_DIR", "Directory of Packer's plugins; Larder's files follow XDG_CONFIG_HOME."),
    ignored("PACKER_PLUGIN_PATH", "Larder has no plugins yet: its components are built in."),
    ignored("PACKER_PLUGIN_MIN_PORT, PACKER_PLUGIN_MAX_PORT", "Larder has no plugins yet."),
    ignored("PACKER_GITHUB_API_TOKEN", "Larder has no plugins to install yet."),
    ignored("PACKER_KEY_INTERVAL", "No builder of Larder's types into a console yet."),
    ignored(
        "PACKER_GETTER_READ_TIMEOUT",
        "A download may take as long as it goes on; LARDER_UPSTREAM_TIMEOUT ends one \
         that has stopped.",
    ),
    ignored("PACKER_FORCE_GOB", "It is about the protocol of plugins."),
    ignored("CHECKPOINT_DISABLE", "Larder never looks for updates, and tells nobody of its use."),
    ignored("HCP_CLIENT_ID, HCP_CLIENT_SECRET, HCP_PACKER_REGISTRY", "Larder does not talk to HCP."),
    heeded(
        "http_proxy, HTTP_PROXY, https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY, no_proxy, NO_PROXY",
        "The proxy upstream, where the setting \
         upstream_proxy or upstream_pac is not given. HTTP_PROXY is \
         not heeded beside REQUEST_METHOD, which a web server sets. What a guest sees of a proxy is Larder's own.",
    ),
    heeded("SSL_CERT_FILE, SSL_CERT_DIR", "The host's certificates, trusted upstream."),
    heeded(
        "VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_AGENT_ADDR",
        "Where `vault` asks, and as whom. Without an address, https://127.0.0.1:8200; without a token it fails.",
    ),
    heeded(
        "VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT, VAULT_CLIENT_KEY",
        "Roots and client certificate of Vault. Its certificate is always checked, also where VAULT_SKIP_VERIFY is set.",
    ),
    heeded(
        "CONSUL_HTTP_ADDR, CONSUL_HTTP_SSL, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_AUTH, CONSUL_NAMESPACE",
        "Where `consul_key` asks, and as whom. Without an address, 127.0.0.1:8500.",
    ),
    heeded(
        "CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY",
        "Roots and client certificate of Consul. Its certificate is always checked, also where CONSUL_HTTP_SSL_VERIFY says otherwise.",
    ),
    heeded(
        "AWS_REGION, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE",
        "Where `aws_secretsmanager` asks, and as whom. Credentials of single sign-on, roles, instances and programs are not read.",
    ),
    heeded(
        "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_SECRETS_MANAGER, AWS_CA_BUNDLE",
        "Another server in place of AWS Secrets Manager, and its roots.",
    ),
    heeded("NO_COLOR", "Any value: no colour, whatever else is set, but for the option --color."),
    heeded("CLICOLOR_FORCE", "Any value but 0: colour, also where output is no terminal."),
    heeded("CLICOLOR", "0: no colour."),
    heeded("TERM", "dumb: no colour. linux: the terminal UI draws with ASCII and sets no title."),
    heeded(
        "VISUAL, EDITOR",
        "The editor that scripts and files are opened in from the terminal UI and from questions.",
    ),
    heeded("PAGER", "The pager that logs are opened in from the terminal UI."),
    heeded(
        "COLORFGBG",
        "The background that the terminal UI chooses its colours for, where the setting tui.theme is auto.",
    ),
    heeded(
        "LC_ALL, LC_CTYPE, LANG",
        "Whether the terminal UI draws with Unicode, where the setting tui.symbols is auto.",
    ),
    heeded(
        "WAYLAND_DISPLAY, DISPLAY, TMUX, SSH_TTY, SSH_CONNECTION",
        "By what the terminal UI copies, where the setting tui.clipboard is auto.",
    ),
    heeded("CI", "Any value but 0 and false: nobody is asked. -debug and breakpoints do not wait, even on a terminal."),
    heeded("COLUMNS", "Width of help and of the frames around a template's lines; by default the terminal's."),
    heeded(
        "HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME",
        "Where Larder's files are. Without HOME, the home \
         directory of the user database.",
    ),
    heeded(
        "TMPDIR",
        "Directory for the few small files that commands of the host are pointed to; by default /tmp. Scratch \
         files of builds, which are large, are below the setting state_dir.",
    ),
];

/// Whether a switch is set: to anything but nothing and `0`.
pub(super) fn is_on(env: &Env, name: &str) -> bool {
    env.get(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Whether nobody is there to answer, as `CI` tells.
pub(super) fn is_unattended(env: &Env) -> bool {
    is_on(env, "CI") && env.get("CI").is_some_and(|value| value != "false")
}

/// Begins the log, on standard error or in the file that `PACKER_LOG_PATH` names, and says which variables are ignored;
/// or goes on with one that another process of this command has begun and may still write to.
pub(super) fn start_log(settings: &Settings, verbose: u8, env: &Env, goes_on: bool) -> Result<()> {
    let filter = match verbose {
        0 => settings.log.value.clone(),
        1 => "info".to_owned(),
        _ => "debug".to_owned(),
    };
    let asked_for = verbose > 0 || settings.log.source != Source::Default;
    let path = env.get("PACKER_LOG_PATH").filter(|path| asked_for && !path.is_empty());
    let writer = match path {
        Some(path) => {
            let begun = if goes_on { Ok(()) } else { File::create(path).map(drop) };
            let file = begun.and_then(|()| File::options().append(true).create(true).open(path));
            BoxMakeWriter::new(Mutex::new(
                file.context(|| format!("cannot write the log to {path} (PACKER_LOG_PATH)"))?,
            ))
        }
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(writer);
    let _ = log.with_ansi(false).try_init();
    if goes_on {
        return Ok(());
    }
    tracing::info!("Larder {VERSION}, for templates of Packer {PACKER_VERSION}");
    for key in KEYS {
        let (value, source) = settings.shown(key);
        tracing::debug!("{} is {} ({source})", key.name, line(&value));
    }
    for (name, variable) in ignored_and_set(env) {
        tracing::info!("{name} is set, and ignored: {}", variable.meaning);
    }
    Ok(())
}

/// Variables that are set though Larder ignores them.
pub(super) fn ignored_and_set(env: &Env) -> impl Iterator<Item = (&'static str, &'static Variable)> {
    let names = |variable: &'static Variable| variable.name.split(", ").map(move |name| (name, variable));
    let ignored = VARIABLES.iter().filter(|variable| variable.usage == Use::Ignored);
    ignored.flat_map(names).filter(|(name, _)| env.get(*name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_variables_are_told_of_only_when_set() {
        let env = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Env>()
        };
        let names = |env: &Env| ignored_and_set(env).map(|(name, _)| name).collect::<Vec<_>>();
        assert!(names(&env(&[("PACKER_LOG", "1"), ("PACKER_PLUGIN_PATH", "")])).is_empty());
        let set = env(&[("PACKER_PLUGIN_MAX_PORT", "1"), ("PACKER_PLUGIN_PATH", "/p")]);
        assert_eq!(names(&set), ["PACKER_PLUGIN_PATH", "PACKER_PLUGIN_MAX_PORT"]);
    }

    #[test]
    fn switches_are_read_as_packer_and_terminals_do() {
        for (value, on, unattended) in
            [("", false, false), ("0", false, false), ("1", true, true), ("false", true, false)]
        {
            let env = Env::from([("CI".to_owned(), value.to_owned())]);
            assert_eq!((is_on(&env, "CI"), is_unattended(&env)), (on, unattended), "{value}");
        }
    }
}
