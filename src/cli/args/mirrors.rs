//! The arguments of `larder mirrors`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{JsonArgs, ProxyArgs};
use crate::cli::mirrors::PublicName;

pub(super) const EXAMPLES: &str = "\
Examples:
  larder mirrors
  larder mirrors check
  larder mirrors init
  larder mirrors init --public pypi=pypi.example.org
  larder mirrors init --write && larder mirrors check

Exit codes: 0 all is well; 1 an error, or `check` found a mirror that does not answer.";

/// `larder mirrors`
#[derive(Args, Clone, Debug)]
pub struct MirrorsArgs {
    #[command(subcommand)]
    pub command: Option<MirrorsCommand>,
}

/// What to do with mirrors; without a word, `list`.
#[derive(Clone, Debug, Subcommand)]
pub enum MirrorsCommand {
    /// List public names and their mirrors, in the order they are asked (the default)
    List(JsonArgs),
    /// Ask each mirror once: does it answer, is its certificate trusted, does it take the credentials
    Check(MirrorsCheckArgs),
    /// Propose mirrors from what apt, pip, uv, npm, cargo, Maven, Go, Docker, containerd and Podman are set to here
    Init(MirrorsInitArgs),
}

/// `larder mirrors check`
#[derive(Args, Clone, Debug)]
pub struct MirrorsCheckArgs {
    /// Only these public names
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub json: JsonArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// `larder mirrors init`
#[derive(Args, Clone, Debug)]
pub struct MirrorsInitArgs {
    /// Add what is proposed to your settings file, and keep what is there
    #[arg(long)]
    pub write: bool,
    /// The public name that guests ask for packages of ECOSYSTEM: debian, debian-security, ubuntu, ubuntu-security,
    /// ubuntu-ports, pypi, npm, cargo (the index), crates, go, maven or docker; may be repeated, also for one ecosystem.
    /// Without it, what the cache was asked for counts, where that is one name
    #[arg(long, value_name = "ECOSYSTEM=HOST[/PATH/]")]
    pub public: Vec<PublicName>,
    /// Read the configuration of the system below this directory instead
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub root: PathBuf,
    #[command(flatten)]
    pub json: JsonArgs,
}
