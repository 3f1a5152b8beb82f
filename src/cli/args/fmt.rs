//! The arguments of `larder fmt`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

pub(super) const EXAMPLES: &str = "\
Blanks change, and nothing else. The names of files that change are printed. Of a \
directory, .pkr.hcl and .pkrvars.hcl files are taken; JSON has no canonical form.

Exit codes: 0 all are, or were put, in canonical form; 1 an error, in a template or \
otherwise; 3 -check, and a file is not in canonical form.

Examples:
  larder fmt .
  larder fmt -check -diff -recursive templates
  larder fmt - <image.pkr.hcl";

/// `larder fmt`
#[derive(Args, Clone, Debug)]
pub struct FmtArgs {
    /// A template or variable file (.pkr.hcl, .pkrvars.hcl), a directory, or - for standard input
    #[arg(value_name = "TEMPLATE", required = true)]
    pub templates: Vec<PathBuf>,
    /// Write nothing, and end with 3 if a file is not in canonical form
    #[arg(long)]
    pub check: bool,
    /// Show what changes
    #[arg(long)]
    pub diff: bool,
    /// Write the files; -write=false only names those that would change
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub write: bool,
    /// Also take the files of the directories below
    #[arg(long)]
    pub recursive: bool,
}
