//! Settings, from files, environment and flags, each with where it came from.
//!
//! From lowest to highest: defaults, the user's `config.toml`, the project's `larder.toml`, `LARDER_*`, flags. What
//! came with a clone must not choose where bytes come from or who is trusted: of a project's file that the user has
//! not trusted (see [`trust`]) only harmless keys are taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder_proxy::upstream::host_tls::HostTls;

use crate::error::{Context as _, Error, Result};
use crate::guest::network::Egress;
use crate::template::diagnostic::did_you_mean;

mod file;
mod key;
pub mod mirrors;
pub mod proxy_login;
pub mod report;
pub mod service;
#[cfg(test)]
mod tests;
pub mod trust;
pub mod tui;
pub mod upstream;

pub use key::{KEYS, Key, Kind, seconds as parse_seconds, size as parse_bytes};
use mirrors::Mirrors;
use proxy_login::ProxyLoginSetting;
use trust::Trust;
use upstream::UpstreamRule;

/// What `PACKER_LOG` logs: everything of Larder's own, and what its libraries find worth telling.
const PACKER_LOG: &str = "info,larder=debug,larder_proxy=debug";

/// Runs whose history is kept where nothing is said.
const HISTORY_KEPT: usize = 200;

/// How long a build waits for an answer by default.
const ASK_TIMEOUT: Duration = Duration::from_mins(30);

/// Name of a project's settings file.
pub const PROJECT_FILE: &str = "larder.toml";

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Built in.
    Default,
    /// The user's file.
    User(PathBuf),
    /// The project's file.
    Project(PathBuf),
    /// A variable of the environment.
    Env(String),
    /// A flag of the command line.
    Flag(String),
}

impl Source {
    /// How near it is to the user; the nearer wins.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::User(_) => 1,
            Self::Project(_) => 2,
            Self::Env(_) => 3,
            Self::Flag(_) => 4,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::User(path) | Self::Project(path) => write!(f, "{}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A setting and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The setting.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Net {
    /// What the cache does not hold is fetched.
    #[default]
    Cache,
    /// What the cache does not hold is an error.
    Offline,
}

impl Net {
    /// The word of the option.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Offline => "offline",
        }
    }
}

/// How to show what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ui {
    /// By what standard output is.
    #[default]
    Auto,
    /// The terminal UI.
    Tui,
    /// Lines for people.
    Plain,
    /// A JSON object a line.
    Json,
    /// Packer's lines for programs.
    Machine,
    /// Errors only.
    Quiet,
}

/// All settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Directory of the cache. Default: `$XDG_CACHE_HOME/larder`.
    pub cache_dir: Sourced<PathBuf>,
    /// Directory of history, logs, CA and trust. Default: `$XDG_STATE_HOME/larder`.
    pub state_dir: Sourced<PathBuf>,
    /// Whether the network may be used.
    pub net: Sourced<Net>,
    /// Proxy to reach origins through, as a URL. It may hold a password: not to be shown.
    pub upstream_proxy: Sourced<Option<String>>,
    /// Script that says which proxy to take: a path, a URL (which may hold a password), or `wpad`.
    pub upstream_pac: Sourced<Option<String>>,
    /// Whether to go without a proxy where that script gives no route.
    pub upstream_pac_direct: Sourced<bool>,
    /// Which way leads to which host, port and path.
    pub upstream: Sourced<Vec<UpstreamRule>>,
    /// Client certificates and pinned keys for single hosts.
    pub upstream_tls: Sourced<Vec<HostTls>>,
    /// Hosts reached without the upstream proxy.
    pub no_proxy: Sourced<Vec<String>>,
    /// Whether requests upstream are made to tell less of who asks.
    pub anonymize: Sourced<bool>,
    /// The User-Agent that they then have; `None` for the client's own.
    pub anonymize_user_agent: Sourced<Option<String>>,
    /// Who Larder is to which upstream proxy.
    pub proxy_login: Sourced<Vec<ProxyLoginSetting>>,
    /// Files of CA certificates trusted of origins, besides the system's.
    pub ca_files: Sourced<Vec<PathBuf>>,
    /// Public names or URL prefixes, and the mirrors to fetch them from.
    pub mirrors: Sourced<Mirrors>,
    /// Regular expressions on paths, and what lies at those: before Larder's own rules.
    pub rules: Sourced<BTreeMap<String, String>>,
    /// How long to wait for an origin that sends nothing; `None` for the proxy's own choice.
    pub upstream_timeout: Sourced<Option<Duration>>,
    /// Bytes a second that a body has to bring; 0 for any.
    pub upstream_min_rate: Sourced<u64>,
    /// Patterns of hosts whose TLS is passed on unread.
    pub tunnel: Sourced<Vec<String>>,
    /// How guests are held to the proxy.
    pub egress: Sourced<Egress>,
    /// Most builds at a time; 0 for no limit.
    pub parallel_builds: Sourced<usize>,
    /// How long a build waits for an answer; `None` for without end.
    pub ask_timeout: Sourced<Option<Duration>>,
    /// How to show what happens.
    pub ui: Sourced<Ui>,
    /// What to log, as in `info` or `larder_proxy=debug`.
    pub log: Sourced<String>,
    /// Most bytes the cache may hold; `None` for no limit.
    pub cache_max_size: Sourced<Option<u64>>,
    /// How long what is not used stays in the cache; `None` for no limit.
    pub cache_max_age: Sourced<Option<Duration>>,
    /// Least bytes that the cache is to leave free on its disk.
    pub cache_min_free: Sourced<Option<u64>>,
    /// Largest object of which a range fetches the whole; `None` for no limit.
    pub cache_whole_for_range: Sourced<Option<u64>>,
    /// Public keys, or files of them, that bundles have to be signed with; empty where they need not be signed.
    pub bundle_public_keys: Sourced<Vec<String>>,
    /// Runs whose history and logs are kept; 0 for all.
    pub history_keep: Sourced<usize>,
    /// How the terminal UI looks and what it reacts to.
    pub tui: tui::Tui,
    /// What `larder proxy` listens on, and who may use it.
    pub service: service::Service,
    /// The files looked at.
    pub files: Files,
    /// Things to tell the user: settings that were not taken, and why.
    pub warnings: Vec<String>,
}

/// The settings files of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Where the user's is, or would be.
    pub user: PathBuf,
    /// Whether it is there.
    pub user_exists: bool,
    /// The project's, if there is one.
    pub project: Option<ProjectFile>,
}

/// A project's settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    /// Where it is.
    pub path: PathBuf,
    /// How it stands with the user.
    pub trust: Trust,
    /// Keys of it that were not taken because it is not trusted, and their values as shown.
    pub not_taken: Vec<(&'static str, serde_json::Value)>,
}

/// Where settings come from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The environment.
    pub env: &'a BTreeMap<String, String>,
    /// Directory larder runs in; a project's file is looked for in it and above it.
    pub cwd: &'a Path,
    /// Settings given by flags, as text: name of the [`Key`] and value.
    pub flags: &'a [(&'a str, String)],
    /// Home directory of the user database, for when `HOME` is not set.
    pub home: Option<&'a Path>,
}

/// Finds, reads and merges all settings.
///
/// # Errors
/// A file that cannot be read, and a key or value that makes no sense, with its file, line and column or its variable.
pub fn load(inputs: Inputs<'_>) -> Result<Settings> {
    let base = BaseDirs::of(inputs.env, inputs.home)?;
    let mut layers = Layers::default();
    if let Some(directory) = inputs.env.get("PACKER_CACHE_DIR").filter(|directory| !directory.is_empty()) {
        // Below its files, which mean Larder in particular.
        let directory = inputs.cwd.join(directory).join("larder");
        let value = key::Value::Text(directory.to_string_lossy().into_owned());
        layers.set("cache_dir", value, Source::Env("PACKER_CACHE_DIR".to_owned()));
    }
    let user = base.config.join("config.toml");
    let mut files = Files { user: user.clone(), ..Files::default() };
    if let Some(text) = read(&user)? {
        files.user_exists = true;
        layers.add(file::parse(&user, &text, &base.home)?, &Source::User(user.clone()));
    }
    let mut above = Layers::default();
    env_layer(inputs.env, &mut above)?;
    for (name, text) in inputs.flags {
        let key = Key::named(name).ok_or_else(|| Error::new(format!("there is no setting {name}")))?;
        let value = key.parse(text).map_err(|why| Error::new(format!("cannot use --{}: {why}", key.flag())))?;
        above.set(key.name, value, Source::Flag(key.flag()));
    }
    if let Some((path, text)) = project_file(inputs.cwd)? {
        // The project's file cannot choose the directory that says whether it is trusted.
        let state_dir = above.path("state_dir").or(layers.path("state_dir")).unwrap_or_else(|| base.state.clone());
        let standing = trust::standing(&state_dir, &path, text.as_bytes())?;
        let mut settings = file::parse(&path, &text, &base.home)?;
        let mut not_taken = Vec::new();
        if standing != Trust::Trusted {
            not_taken = drop_unsafe(&mut settings);
            layers.warnings.extend(untrusted(&path, standing, &not_taken));
        }
        layers.add(settings, &Source::Project(path.clone()));
        files.project = Some(ProjectFile { path, trust: standing, not_taken });
    }
    layers.over(above);
    let mut settings = layers.finish(&base);
    settings.files = files;
    Ok(settings)
}

/// Takes out what only a trusted file may set.
fn drop_unsafe(settings: &mut BTreeMap<&'static str, key::Value>) -> Vec<(&'static str, serde_json::Value)> {
    let unsafe_key = |name: &str| Key::named(name).is_some_and(|key| !key.harmless);
    let (refused, kept) = std::mem::take(settings).into_iter().partition(|(name, _)| unsafe_key(name));
    *settings = kept;
    let refused: BTreeMap<&'static str, key::Value> = refused;
    refused.into_iter().map(|(name, value)| (name, report::of_value(&value))).collect()
}

/// What is said of a project's file that is not trusted.
fn untrusted(path: &Path, trust: Trust, not_taken: &[(&'static str, serde_json::Value)]) -> Option<String> {
    let names: Vec<&str> = not_taken.iter().map(|(name, _)| *name).collect();
    if names.is_empty() {
        return None;
    }
    let why = match trust {
        Trust::Changed => "it has changed since it was trusted",
        _ => "it is not trusted",
    };
    Some(format!(
        "{} sets {}, which is not taken: {why}. Read the file; if you agree with it, run `larder config trust {}`",
        path.display(),
        names.join(", "),
        path.display(),
    ))
}

/// The nearest project file in a directory or above it.
fn project_file(cwd: &Path) -> Result<Option<(PathBuf, String)>> {
    for directory in cwd.ancestors() {
        let path = directory.join(PROJECT_FILE);
        if let Some(text) = read(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error).context(|| format!("cannot read the settings in {}", path.display())),
    }
}

fn env_layer(env: &BTreeMap<String, String>, layer: &mut Layers) -> Result<()> {
    if super::environment::is_on(env, "PACKER_LOG") {
        layer.set("log", key::Value::Text(PACKER_LOG.to_owned()), Source::Env("PACKER_LOG".to_owned()));
    }
    let variables = || KEYS.iter().map(Key::variable);
    for (name, text) in env.iter().filter(|(name, _)| name.starts_with("LARDER_")) {
        let Some(key) = KEYS.iter().find(|key| key.variable() == *name) else {
            let known: Vec<String> = variables().collect();
            let near = did_you_mean(name, known.iter().map(String::as_str));
            if let Some(near) = near {
                layer.warnings.push(format!("the variable {name} is not known; did you mean {near}?"));
            }
            continue;
        };
        if text.is_empty() {
            continue;
        }
        let value = key.parse(text).map_err(|why| Error::new(format!("cannot use the variable {name}: {why}")))?;
        layer.set(key.name, value, Source::Env(name.clone()));
    }
    Ok(())
}

/// The directories of the XDG Base Directory specification, `larder` added.
#[derive(Clone, Debug)]
struct BaseDirs {
    home: PathBuf,
    config: PathBuf,
    cache: PathBuf,
    state: PathBuf,
}

impl BaseDirs {
    /// Relative paths are invalid, and ignored.
    fn of(env: &BTreeMap<String, String>, user_home: Option<&Path>) -> Result<Self> {
        let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let user_home = || user_home.filter(|path| path.is_absolute()).map(Path::to_owned);
        let home = absolute("HOME").or_else(user_home).or_else(|| {
            ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"]
                .iter()
                .all(|name| absolute(name).is_some())
                .then(|| PathBuf::from("/"))
        });
        let home = home.ok_or_else(|| {
            Error::new("there is no home directory: HOME is not set to an absolute path")
                .hint("set HOME, or XDG_CONFIG_HOME, XDG_CACHE_HOME and XDG_STATE_HOME")
        })?;
        let of = |name: &str, default: &str| absolute(name).unwrap_or_else(|| home.join(default)).join("larder");
        Ok(Self {
            config: of("XDG_CONFIG_HOME", ".config"),
            cache: of("XDG_CACHE_HOME", ".cache"),
            state: of("XDG_STATE_HOME", ".local/state"),
            home,
        })
    }
}

/// Settings of several sources, a later one replacing an earlier.
#[derive(Debug, Default)]
struct Layers {
    values: BTreeMap<&'static str, (key::Value, Source)>,
    warnings: Vec<String>,
}

impl Layers {
    fn set(&mut self, name: &'static str, value: key::Value, source: Source) {
        self.values.insert(name, (value, source));
    }

    fn add(&mut self, values: BTreeMap<&'static str, key::Value>, source: &Source) {
        for (name, value) in values {
            self.set(name, value, source.clone());
        }
    }

    fn over(&mut self, other: Self) {
        self.values.extend(other.values);
        self.warnings.extend(other.warnings);
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).map(|(value, _)| PathBuf::from(value.text()))
    }

    fn get<T>(&mut self, name: &str, default: T, convert: impl FnOnce(key::Value) -> T) -> Sourced<T> {
        match self.values.remove(name) {
            Some((value, source)) => Sourced { value: convert(value), source },
            None => Sourced { value: default, source: Source::Default },
        }
    }

    fn finish(mut self, base: &BaseDirs) -> Settings {
        let path = |value: key::Value| PathBuf::from(value.text());
        let text = |value: key::Value| value.text().to_owned();
        let settings = Settings {
            cache_dir: self.get("cache_dir", base.cache.clone(), path),
            state_dir: self.get("state_dir", base.state.clone(), path),
            net: self.get("net", Net::Cache, |value| if value.text() == "offline" { Net::Offline } else { Net::Cache }),
            upstream_proxy: self.get("upstream_proxy", None, |value| Some(text(value)).filter(|url| !url.is_empty())),
            upstream_pac: self.get("upstream_pac", None, |value| Some(text(value)).filter(|place| !place.is_empty())),
            upstream_pac_direct: self.get("upstream_pac_failure", false, |value| value.text() == "direct"),
            upstream: self.get("upstream", Vec::new(), key::Value::into_rules),
            upstream_tls: self.get("upstream_tls", Vec::new(), key::Value::into_tls),
            no_proxy: self.get("no_proxy", Vec::new(), key::Value::into_list),
            anonymize: self.get("anonymize", false, |value| value.text() == "true"),
            anonymize_user_agent: self
                .get("anonymize_user_agent", None, |value| Some(text(value)).filter(|agent| !agent.is_empty())),
            proxy_login: self.get("proxy_login", Vec::new(), key::Value::into_proxy_logins),
            ca_files: self
                .get("ca_files", Vec::new(), |value| value.into_list().into_iter().map(PathBuf::from).collect()),
            mirrors: self.get("mirrors", Mirrors::new(), key::Value::into_mirrors),
            rules: self.get("rules", BTreeMap::new(), key::Value::into_map),
            upstream_min_rate: self.get("upstream_min_rate", larder_proxy::config::MIN_RATE, |value| value.number()),
            upstream_timeout: self.get("upstream_timeout", None, |value| {
                Some(Duration::from_secs(value.number())).filter(|limit| !limit.is_zero())
            }),
            tunnel: self.get("tunnel", Vec::new(), key::Value::into_list),
            egress: self.get("egress", Egress::Best, |value| match value.text() {
                "enforced" => Egress::Enforced,
                "observed" => Egress::Observed,
                _ => Egress::Best,
            }),
            parallel_builds: self
                .get("parallel_builds", 0, |value| usize::try_from(value.number()).unwrap_or(usize::MAX)),
            ask_timeout: self.get("ask_timeout", Some(ASK_TIMEOUT), |value| {
                Some(Duration::from_secs(value.number())).filter(|limit| !limit.is_zero())
            }),
            ui: self.get("ui", Ui::Auto, |value| match value.text() {
                "tui" => Ui::Tui,
                "plain" => Ui::Plain,
                "json" => Ui::Json,
                "machine" => Ui::Machine,
                "quiet" => Ui::Quiet,
                _ => Ui::Auto,
            }),
            log: self.get("log", "warn".to_owned(), text),
            cache_max_size: self.get("cache.max_size", None, |value| Some(value.number()).filter(|size| *size > 0)),
            cache_max_age: self.get("cache.max_age", None, |value| {
                Some(Duration::from_secs(value.number())).filter(|limit| !limit.is_zero())
            }),
            cache_min_free: self.get("cache.min_free", None, |value| Some(value.number()).filter(|size| *size > 0)),
            cache_whole_for_range: self.get(
                "cache.whole_for_range",
                Some(larder_proxy::cache::WHOLE_FOR_RANGE),
                |value| Some(value.number()).filter(|size| *size > 0),
            ),
            bundle_public_keys: self.get("bundle.public_keys", Vec::new(), key::Value::into_list),
            history_keep: self
                .get("history.keep", HISTORY_KEPT, |value| usize::try_from(value.number()).unwrap_or(usize::MAX)),
            tui: tui::Tui::of(&mut self),
            service: service::Service::of(&mut self),
            files: Files::default(),
            warnings: std::mem::take(&mut self.warnings),
        };
        debug_assert!(self.values.is_empty(), "a key has no place in Settings: {:?}", self.values.keys());
        settings
    }
}
