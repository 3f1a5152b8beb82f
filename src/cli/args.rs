//! The command line: what may be typed, and the help for it. What it means is in `settings` and the commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Build machine and container images from Packer templates, through a caching proxy
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    version,
    styles = STYLES,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Options may be written -option, --option, -option=value or -option value, as with Packer."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command. Each is also a `LARDER_*` variable and a key of the configuration files.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Say more of what Larder does, on standard error; twice for even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Directory of the cache
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Directory of logs, run records and the CA
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Options of the proxy, for every command that starts it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Proxy options")]
pub struct ProxyArgs {
    /// Where answers may come from: the cache and upstream, or the cache alone
    #[arg(long, value_name = "MODE", value_enum)]
    pub net: Option<Net>,
    /// Send requests through this proxy (http://[user:password@]host:port)
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<String>,
    /// Hosts reached without the upstream proxy, separated by commas
    #[arg(long, value_name = "HOSTS")]
    pub no_proxy: Option<String>,
    /// Trust the certificates of this PEM file upstream, beside the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ca_file: Vec<PathBuf>,
    /// Fetch what begins with FROM (a host, or a URL prefix) from TO instead; may be repeated
    #[arg(long, value_name = "FROM=TO")]
    pub mirror: Vec<String>,
    /// Pass TLS to this host through without looking into it (`example.org`, `*.example.org`); may be repeated
    #[arg(long, value_name = "HOST")]
    pub tunnel: Vec<String>,
}

/// Where answers may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Net {
    /// The cache, and upstream for what it lacks.
    Cache,
    /// The cache alone; what it lacks is refused and listed.
    Offline,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ui {
    /// What fits the terminal (today: plain).
    #[default]
    Auto,
    /// Lines of text.
    Plain,
    /// One JSON object a line for each event.
    Json,
    /// Only failures, and the files made.
    Quiet,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// In a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always (also `-color`).
    #[value(alias = "true")]
    Always,
    /// Never (also `-color=false`).
    #[value(alias = "false")]
    Never,
}

/// What happens when a step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnErrorArg {
    /// Undo the steps in reverse.
    #[default]
    Cleanup,
    /// Undo nothing, and list what is left.
    Abort,
    /// Run the error-cleanup-provisioner, then undo nothing.
    RunCleanupProvisioner,
    /// Not there yet: works as `cleanup`, with a warning.
    Ask,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build images from a template
    Build(Box<BuildArgs>),
    /// Check that a template is valid
    Validate(ValidateArgs),
    /// Show what a template consists of
    Inspect(InspectArgs),
    /// Run a command whose every download goes through the proxy
    Exec(ExecArgs),
    /// Serve the proxy to other tools
    Proxy(ServeArgs),
    /// Look at the cache, check it, and make room
    #[command(subcommand)]
    Cache(CacheCommand),
    /// List builds under way, and what dead ones left behind
    Ps(PsArgs),
    /// Remove what dead runs left behind
    Cleanup(CleanupArgs),
    /// Say which settings are in force, and trust a project's
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the version
    Version(VersionArgs),
}

/// A template, and the values for it.
#[derive(Args, Clone, Debug)]
pub struct TemplateArgs {
    /// Template file (`.pkr.hcl`) or a directory of them
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,
    /// Set a variable; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Read variables from a file; may be repeated
    #[arg(long, value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    /// Only these builds (names or globs, separated by commas)
    #[arg(long, value_name = "BUILDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// All but these builds and post-processors (names or globs, separated by commas)
    #[arg(long, value_name = "BUILDS", value_delimiter = ',')]
    pub except: Vec<String>,
}

/// `larder build`
#[derive(Args, Clone, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Replace existing output
    #[arg(long, short)]
    pub force: bool,
    /// Pause between steps, and build one at a time
    #[arg(long)]
    pub debug: bool,
    /// What happens when a step fails
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub on_error: OnErrorArg,
    /// How many builds run at a time; 0 for no limit
    #[arg(long, value_name = "N")]
    pub parallel_builds: Option<usize>,
    /// How the run is shown
    #[arg(long, value_name = "FORM", value_enum)]
    pub ui: Option<Ui>,
    /// When to use colour
    #[arg(long, value_name = "WHEN", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub color: Option<Color>,
    /// Begin each line with its time
    #[arg(long)]
    pub timestamp_ui: bool,
    /// Warn of values for variables the template does not declare
    #[arg(long)]
    pub warn_on_undeclared_var: bool,
    /// Accept an image although the scan found this trace in it (a path or glob); may be repeated
    #[arg(long, value_name = "PATH")]
    pub allow_trace: Vec<String>,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// `larder validate`
#[derive(Args, Clone, Debug)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Check the syntax alone
    #[arg(long)]
    pub syntax_only: bool,
    /// Do not warn of values for variables the template does not declare
    #[arg(long)]
    pub no_warn_undeclared_var: bool,
}

/// `larder inspect`
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
}

/// `larder exec`
#[derive(Args, Clone, Debug)]
pub struct ExecArgs {
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
    /// Do not print what was downloaded at the end
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// `larder proxy`
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3142")]
    pub listen: std::net::SocketAddr,
    /// Write one JSON object a line for each request
    #[arg(long)]
    pub json: bool,
    /// Write nothing for requests
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// `larder cache`
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// List what is stored
    Ls(CacheLsArgs),
    /// Show how much is stored, by class of content
    Stats(JsonArgs),
    /// Read every stored body and compare it with its digest
    Verify(CacheVerifyArgs),
    /// Remove what is over a size, or has not been used for some time
    Gc(CacheGcArgs),
    /// Say how a URL is cached, and why its last request was answered as it was
    Explain(CacheExplainArgs),
}

/// `larder cache ls`
#[derive(Args, Clone, Debug)]
pub struct CacheLsArgs {
    /// Only URLs that contain this
    #[arg(value_name = "TEXT")]
    pub filter: Option<String>,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// Whether to print JSON.
#[derive(Args, Clone, Debug)]
pub struct JsonArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `larder cache verify`
#[derive(Args, Clone, Debug)]
pub struct CacheVerifyArgs {
    /// Remove what is not sound
    #[arg(long)]
    pub repair: bool,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder cache gc`
#[derive(Args, Clone, Debug)]
pub struct CacheGcArgs {
    /// Remove the least recently used until no more than this is stored (`20G`, `500M`)
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Remove what has not been used for this long (`30d`, `12h`)
    #[arg(long, value_name = "AGE")]
    pub max_age: Option<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder cache explain`
#[derive(Args, Clone, Debug)]
pub struct CacheExplainArgs {
    /// The URL
    #[arg(value_name = "URL")]
    pub url: String,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder ps`
#[derive(Args, Clone, Debug)]
pub struct PsArgs {
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder cleanup`
#[derive(Args, Clone, Debug)]
pub struct CleanupArgs {
    /// Only these runs (ids that `larder ps` prints)
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// `larder config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Trust a project's `larder.toml` as it is now
    Trust(TrustArgs),
}

/// `larder config trust`
#[derive(Args, Clone, Debug)]
pub struct TrustArgs {
    /// The project's `larder.toml`
    #[arg(value_name = "FILE", default_value = "larder.toml")]
    pub path: PathBuf,
}

/// `larder version`
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {
    #[command(flatten)]
    pub json: JsonArgs,
}
