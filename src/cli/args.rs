//! The command line: what may be typed, and the help for it. What it means is in `settings` and the commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

mod bundle;
mod cache;
mod config;
mod console;
mod diff;
mod docs;
mod examples;
mod fix;
mod fmt;
mod history;
mod look;
mod mirrors;
mod new;
mod plan;
mod proxy;
mod ps;
mod serve;
mod shipped;
mod upgrade;

use examples::{
    BUILD_EXAMPLES, CACHE_EXAMPLES, CLEANUP_EXAMPLES, COMPLETION_EXAMPLES, CONFIG_EXAMPLES, DOCTOR_EXAMPLES,
    EXEC_EXAMPLES, INSPECT_EXAMPLES, MAN_EXAMPLES, VALIDATE_EXAMPLES,
};

pub use bundle::{
    BundleCommand, BundleExportArgs, BundleImportArgs, BundleInspectArgs, BundleLimitArgs, BundleServeArgs,
    BundleSignatureArgs, BundleVerifyArgs,
};
pub use cache::{CacheChosenArgs, CacheExplainArgs, CachePinArgs, CacheRmArgs};
pub use config::{ConfigArgs, ConfigCommand, ConfigGetArgs, TrustArgs};
pub use console::{ConfigType, ConsoleArgs};
pub use diff::DiffArgs;
pub use docs::DocsArgs;
pub use fix::FixArgs;
pub use fmt::FmtArgs;
pub use history::{HistoryArgs, HistoryCommand, HistoryDiffArgs, HistoryRecordArgs, StepOrder};
pub use look::{LookArgs, UiArgs};
pub use mirrors::{MirrorsArgs, MirrorsCheckArgs, MirrorsCommand, MirrorsInitArgs};
pub use new::NewArgs;
pub use plan::PlanArgs;
pub use proxy::{ProxyCheckArgs, ProxyCommand, ProxyPasswdArgs, ProxyUnitArgs};
pub use ps::{CleanupArgs, PsArgs};
pub use serve::{ProxyServerArgs, ServeArgs};
pub use shipped::{CompletionArgs, ManArgs};
pub use upgrade::UpgradeArgs;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Options may be written -option, --option, -option=value or -option value, as with \
Packer, before or after the template. `larder help COMMAND` describes a command.

  larder validate templates/debian-rootfs
  larder build templates/debian-rootfs
  larder build --force --net offline templates/debian-rootfs
  larder exec -- pip download requests";

/// Build machine and container images from Packer templates, through a caching proxy
#[derive(Debug, Parser)]
#[command(
    name = "larder",
    bin_name = "larder",
    version,
    styles = STYLES,
    max_term_width = 100,
    after_help = AFTER_HELP
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
    /// Say more on standard error; twice for even more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Directory of the cache
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Directory of logs, run records and the CA
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Packer's form of output for programs: of build (where it is `--ui=machine`), validate, inspect and version.
    #[arg(long, global = true, hide = true)]
    pub machine_readable: bool,
}

/// Options of the proxy, for every command that starts it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Proxy options")]
pub struct ProxyArgs {
    /// cache: fetch what the cache lacks (the default); offline: refuse and list it
    #[arg(long, value_name = "MODE", value_enum, hide_possible_values = true)]
    pub net: Option<Net>,
    /// Send requests through this proxy, http://[user:password@]host:port
    #[arg(long, value_name = "URL")]
    pub upstream_proxy: Option<String>,
    /// Let this script say which proxy to take (a PAC file: path, URL, or wpad)
    #[arg(long, value_name = "PAC")]
    pub upstream_pac: Option<String>,
    /// Reach these hosts without it (names, separated by commas)
    #[arg(long, value_name = "HOSTS")]
    pub no_proxy: Option<String>,
    /// Tell nothing upstream of who asks: no Via, Referer or cookies, and names are resolved by the proxy upstream
    #[arg(long)]
    pub anonymize: bool,
    /// Trust these certificates (PEM) upstream, beside the system's; may be repeated
    #[arg(long, value_name = "FILE")]
    pub ca_file: Vec<PathBuf>,
    /// Fetch what is at FROM, a host or URL prefix, from TO; may be repeated, also for one FROM
    #[arg(long, value_name = "FROM=TO")]
    pub mirror: Vec<String>,
    /// Do not look into TLS to this host (also *.example.org); may be repeated
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

/// How guests are held to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Egress {
    /// They reach nothing else, or the build fails.
    Enforced,
    /// They share the host's network, and are led to the proxy by settings.
    Observed,
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Ui {
    /// The terminal UI where a person sits at a terminal, else plain.
    #[default]
    Auto,
    /// The terminal UI.
    Tui,
    /// Lines of text.
    Plain,
    /// One JSON object a line for each event.
    Json,
    /// Packer's form of output for programs.
    Machine,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnErrorArg {
    /// Undo the steps in reverse.
    Cleanup,
    /// Undo nothing, and list what is left.
    Abort,
    /// Run the error-cleanup-provisioner, then undo nothing.
    RunCleanupProvisioner,
    /// Ask on the terminal; without one, as `cleanup`.
    Ask,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build images from a template
    #[command(after_help = BUILD_EXAMPLES)]
    Build(Box<BuildArgs>),
    /// Open the terminal UI, as `larder` alone does in a terminal
    Ui(UiArgs),
    /// Check that a template is valid
    #[command(after_help = VALIDATE_EXAMPLES)]
    Validate(ValidateArgs),
    /// Show what a build would fetch, and what of it the cache has
    #[command(after_help = plan::EXAMPLES)]
    Plan(PlanArgs),
    /// Show what a template consists of
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(InspectArgs),
    /// Try expressions with what a template declares
    #[command(after_help = console::EXAMPLES)]
    Console(ConsoleArgs),
    /// Rewrite templates in canonical form
    #[command(after_help = fmt::EXAMPLES)]
    Fmt(FmtArgs),
    /// Bring a legacy JSON template up to date
    #[command(after_help = fix::EXAMPLES)]
    Fix(FixArgs),
    /// Write a legacy JSON template in HCL2
    #[command(name = "hcl2_upgrade", after_help = upgrade::EXAMPLES)]
    Hcl2Upgrade(UpgradeArgs),
    /// Tell what components there are, and what options they take
    #[command(after_help = docs::EXAMPLES)]
    Docs(DocsArgs),
    /// List the templates that come with Larder, or write one
    #[command(after_help = new::EXAMPLES)]
    New(NewArgs),
    /// Compare two images, file by file
    #[command(after_help = diff::EXAMPLES)]
    Diff(DiffArgs),
    /// Run a command whose every download goes through the proxy
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArgs),
    /// Serve the proxy to other tools
    #[command(after_help = serve::EXAMPLES)]
    Proxy(ProxyServerArgs),
    /// Look at the cache, check it, and make room
    #[command(subcommand, after_help = CACHE_EXAMPLES)]
    Cache(CacheCommand),
    /// Carry what builds fetched to a machine without a network
    #[command(subcommand, after_help = bundle::EXAMPLES)]
    Bundle(BundleCommand),
    /// List mirrors, check them, and propose some from what this machine's tools are set to
    #[command(after_help = mirrors::EXAMPLES)]
    Mirrors(MirrorsArgs),
    /// Look at what this machine lets Larder do, with a remedy for what it does not
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Show earlier runs, their steps and what they downloaded
    #[command(after_help = history::EXAMPLES)]
    History(HistoryArgs),
    /// List builds under way, and what dead ones left behind
    Ps(PsArgs),
    /// Remove what dead runs left behind
    #[command(after_help = CLEANUP_EXAMPLES)]
    Cleanup(CleanupArgs),
    /// Show settings and where they come from, and trust a project's
    #[command(after_help = CONFIG_EXAMPLES)]
    Config(ConfigArgs),
    /// Print what makes a shell complete larder's commands and options
    #[command(after_help = COMPLETION_EXAMPLES)]
    Completion(CompletionArgs),
    /// Print manual pages
    #[command(after_help = MAN_EXAMPLES)]
    Man(ManArgs),
    /// Print the version
    Version(VersionArgs),
}

/// A template, and the values for it.
#[derive(Args, Clone, Debug)]
pub struct TemplateArgs {
    /// A template (.pkr.hcl, .pkr.json; else legacy JSON), or a directory
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,
    /// Set a variable of the template; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub var: Vec<String>,
    /// Read variables from a file (.pkrvars.hcl, .json); may be repeated
    #[arg(long, value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    /// Take only these builds (names or globs, separated by commas)
    #[arg(long, value_name = "BUILDS", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out these builds and post-processors (likewise)
    #[arg(long, value_name = "BUILDS", value_delimiter = ',')]
    pub except: Vec<String>,
    /// Packer's way of evaluating locals in order; the result is the same.
    #[arg(long, hide = true)]
    pub use_sequential_evaluation: bool,
    /// Concerns Packer's plugins, of which Larder has none.
    #[arg(long, hide = true)]
    pub ignore_prerelease_plugins: bool,
}

fn whole_number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "a whole number is needed, 0 or more".to_owned())
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
    /// When a step fails: cleanup (the default) undoes the steps, ask (the default in the terminal UI) lets you retry,
    /// edit, skip and more, abort leaves all as it is and lists it, run-cleanup-provisioner runs the
    /// error-cleanup-provisioner and leaves the rest
    #[arg(long, value_name = "WHAT", value_enum, hide_possible_values = true)]
    pub on_error: Option<OnErrorArg>,
    /// With -on-error=ask, clean up when nobody answers for so long: 30m (the default), 1h30m; 0 for no limit
    #[arg(long, value_name = "DURATION")]
    pub ask_timeout: Option<String>,
    /// Run at most N builds at a time; 0, the default, for no limit
    #[arg(long, value_name = "N", value_parser = whole_number)]
    pub parallel_builds: Option<usize>,
    /// Show the run as: auto (the default), tui, plain, json (an event a line), machine (also -machine-readable) or quiet
    #[arg(long, value_name = "FORM", value_enum, hide_possible_values = true)]
    pub ui: Option<Ui>,
    /// Use colour: auto (the default), always or never; -color=false as with Packer
    #[arg(long, value_name = "WHEN", value_enum, hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    pub color: Option<Color>,
    /// Begin each line with its time
    #[arg(long)]
    pub timestamp_ui: bool,
    /// Warn of values in variable files for undeclared variables
    #[arg(long)]
    pub warn_on_undeclared_var: bool,
    /// Hold guests to the proxy: enforced fails where they cannot be cut off from all else, observed does not try
    #[arg(long, value_name = "HOW", value_enum, hide_possible_values = true)]
    pub egress: Option<Egress>,
    /// Offline, go on after a miss where that brings further ones to light, and list all of them at the end
    #[arg(long)]
    pub keep_going: bool,
    /// Accept a trace of the proxy at this path (or glob) of the image; may be repeated
    #[arg(long, value_name = "PATH")]
    pub allow_trace: Vec<String>,
    #[command(flatten)]
    pub look: LookArgs,
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
    /// Do not warn of values in variable files for undeclared variables
    #[arg(long)]
    pub no_warn_undeclared_var: bool,
    #[command(flatten)]
    pub json: JsonArgs,
    /// Read the data sources, and check with what they give
    #[arg(long)]
    pub evaluate_datasources: bool,
}

/// `larder inspect`
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub json: JsonArgs,
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
    /// Hold the command to the proxy: enforced fails where it cannot be cut off from all else, observed does not try
    #[arg(long, value_name = "HOW", value_enum, hide_possible_values = true)]
    pub egress: Option<Egress>,
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
    /// Remove stored answers by URL
    Rm(CacheRmArgs),
    /// Keep stored answers, whatever the limits say
    Pin(CachePinArgs),
    /// Let stored answers go again when room is needed
    Unpin(CachePinArgs),
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
    /// Sum up by host and path
    #[arg(long)]
    pub tree: bool,
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
    /// Only these
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
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
    /// Remove the least recently used until so much is free on the disk (`10G`)
    #[arg(long, value_name = "SIZE")]
    pub min_free: Option<String>,
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder doctor`
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub json: JsonArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// `larder version`
#[derive(Args, Clone, Debug)]
pub struct VersionArgs {
    #[command(flatten)]
    pub json: JsonArgs,
}
