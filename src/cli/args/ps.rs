//! The arguments of `larder ps` and `larder cleanup`.

use clap::Args;

use super::JsonArgs;

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
