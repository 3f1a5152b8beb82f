//! The arguments of what is below `larder proxy`.

use clap::{Args, Subcommand};

use super::{JsonArgs, ProxyArgs};

const CHECK_EXAMPLES: &str = "\
Examples:
  larder proxy check https://example.org/
  larder proxy check https://example.org/ --upstream-proxy http://proxy.example.net:3128
  larder proxy check --json https://example.org/ | jq .[].failed

Exit codes: 0 every URL was answered; 1 one was not, or an error.";

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum ProxyCommand {
    /// Show the way to a URL hop by hop, as Larder takes it, and where it fails
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ProxyCheckArgs),
}

/// `larder proxy check`
#[derive(Args, Clone, Debug)]
pub struct ProxyCheckArgs {
    /// What to ask for; a name alone stands for `https://NAME/`
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    #[command(flatten)]
    pub json: JsonArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}
