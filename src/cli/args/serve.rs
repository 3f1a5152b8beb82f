//! The arguments of `larder proxy`.

use std::path::PathBuf;

use clap::Args;

use super::{ProxyArgs, ProxyCommand};

pub(super) const EXAMPLES: &str = "\
Examples:
  larder proxy --listen 127.0.0.1:0 --json
  larder proxy --listen 10.20.0.5:3142 --client 10.20.0.0/16 --admin 127.0.0.1:9142

SIGTERM lets requests finish, SIGHUP reads the settings anew, SIGUSR1 opens the access log anew.";

/// `larder proxy`
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ProxyServerArgs {
    #[command(subcommand)]
    pub command: Option<ProxyCommand>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What is served, and to whom.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Listen on ADDRESS:PORT (port 0 takes a free one) or unix:PATH; may be repeated [default: 127.0.0.1:3142]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Vec<String>,
    /// Let clients of this network in, as in 10.20.0.0/16; may be repeated
    #[arg(long, value_name = "NETWORK")]
    pub client: Vec<String>,
    /// Let clients in that log in as one of these users (see `larder proxy passwd`)
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,
    /// Serve /metrics and /healthz here
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Vec<String>,
    /// Append a JSON object for each request to a file
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    /// Write one JSON object a line for each request
    #[arg(long)]
    pub json: bool,
    /// Write nothing for requests
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}
