//! `larder completion` and `larder man`: what is installed beside the program.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `larder completion`
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// The shell: bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    pub shell: Shell,
}

/// `larder man`
#[derive(Args, Clone, Debug)]
pub struct ManArgs {
    /// The command whose page to print, as in `build` or `cache ls`; without it the page of larder
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write all pages to this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}
