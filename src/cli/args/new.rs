//! The arguments of `larder new`.

use std::path::PathBuf;

use clap::Args;

use super::JsonArgs;

pub(super) const EXAMPLES: &str = "\
Without TEMPLATE, lists the templates there are. `larder` alone shows them with a \
form for their variables. At a terminal, asks for the values of variables.

Examples:
  larder new
  larder new debian-rootfs
  larder new -var suite=bookworm debian-oci web && larder build web";

/// `larder new`
#[derive(Args, Clone, Debug)]
pub struct NewArgs {
    /// The template, by its name
    #[arg(value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Directory to write it to; by default one of the template's name
    #[arg(value_name = "DIRECTORY")]
    pub directory: Option<PathBuf>,
    /// Set a variable, in a file beside the template; may be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "template")]
    pub var: Vec<String>,
    /// Ask nothing: leave variables at their defaults
    #[arg(long, requires = "template")]
    pub defaults: bool,
    /// Replace files that are there
    #[arg(long, short, requires = "template")]
    pub force: bool,
    #[command(flatten)]
    pub json: JsonArgs,
}
