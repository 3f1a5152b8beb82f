//! `larder config`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::JsonArgs;

/// `larder config`
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
}

/// What to do with settings; without a word, `show`.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting, its value and where it comes from (the default)
    Show(JsonArgs),
    /// Print the value of one setting
    Get(ConfigGetArgs),
    /// Show which settings files are read
    Path(JsonArgs),
    /// Trust a project's `larder.toml` as it is now
    Trust(TrustArgs),
    /// Take that back
    Distrust(TrustArgs),
}

/// `larder config get`
#[derive(Args, Clone, Debug)]
pub struct ConfigGetArgs {
    /// The setting, as in `cache_dir` or `cache.max_size`
    #[arg(value_name = "KEY")]
    pub key: String,
    #[command(flatten)]
    pub json: JsonArgs,
}

/// `larder config trust`
#[derive(Args, Clone, Debug)]
pub struct TrustArgs {
    /// The project's `larder.toml`; without it the one in this directory or the nearest above it
    #[arg(value_name = "FILE")]
    pub path: Option<PathBuf>,
}
