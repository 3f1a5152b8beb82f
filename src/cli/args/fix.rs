//! The arguments of `larder fix`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

pub(super) const EXAMPLES: &str = "\
Only legacy JSON is fixed: HCL2 has never had what the fixers repair. The template \
itself stays as it is.

Examples:
  larder fix image.json >image-fixed.json
  larder fix -validate=false - <image.json
  larder fix --list

Exit codes: 0 fixed; 1 it could not be fixed, or the fixed template is not valid.";

/// `larder fix`
#[derive(Args, Clone, Debug)]
pub struct FixArgs {
    /// A template in legacy JSON; - for standard input
    #[arg(value_name = "TEMPLATE", required_unless_present = "list")]
    pub template: Option<PathBuf>,
    /// Check the fixed template; -validate=false does not
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub validate: bool,
    /// List the fixers, in the order they run
    #[arg(long)]
    pub list: bool,
}
