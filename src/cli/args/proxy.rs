//! The arguments of what is below `larder proxy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{JsonArgs, ProxyArgs};

const CHECK_EXAMPLES: &str = "\
Examples:
  larder proxy check https://example.org/
  larder proxy check https://example.org/ --upstream-proxy http://proxy.example.net:3128
  larder proxy check --json https://example.org/ | jq .[].failed

Exit codes: 0 every URL was answered; 1 one was not, or an error.";

const PASSWD_EXAMPLES: &str = "\
Examples:
  larder proxy passwd /etc/larder/users ci
  printf '%s\\n' \"$PASSWORD\" | larder proxy passwd /etc/larder/users ci
  larder proxy passwd --delete /etc/larder/users ci

The file is one of `htpasswd -B`. A proxy at work takes it up at SIGHUP.";

const UNIT_EXAMPLES: &str = "\
Examples:
  larder proxy unit > /etc/systemd/system/larder-proxy.service
  larder proxy unit --socket > /etc/systemd/system/larder-proxy.socket";

/// What to do instead of serving.
#[derive(Clone, Debug, Subcommand)]
pub enum ProxyCommand {
    /// Show the way to a URL hop by hop, as Larder takes it, and where it fails
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ProxyCheckArgs),
    /// Add a user to a file of users, set a password anew, or take a user out
    #[command(after_help = PASSWD_EXAMPLES)]
    Passwd(ProxyPasswdArgs),
    /// Print a unit of systemd that runs the proxy in a sandbox
    #[command(after_help = UNIT_EXAMPLES)]
    Unit(ProxyUnitArgs),
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

/// `larder proxy passwd`
#[derive(Args, Clone, Debug)]
pub struct ProxyPasswdArgs {
    /// The file, made where it is missing
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The user; the password is asked for, or read from standard input
    #[arg(value_name = "NAME")]
    pub user: String,
    /// Take the user out
    #[arg(long)]
    pub delete: bool,
}

/// `larder proxy unit`
#[derive(Args, Clone, Debug)]
pub struct ProxyUnitArgs {
    /// Print the socket unit, which listens for the service before and while it starts anew
    #[arg(long)]
    pub socket: bool,
}
