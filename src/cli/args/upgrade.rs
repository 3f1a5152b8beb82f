//! The arguments of `larder hcl2_upgrade`.

use std::path::PathBuf;

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Blocks whose Go templates cannot be upgraded stay as they are, below a comment that \
says why.

Examples:
  larder hcl2_upgrade image.json
  larder hcl2_upgrade -output-file=image.pkr.hcl -with-annotations image.json";

/// `larder hcl2_upgrade`
#[derive(Args, Clone, Debug)]
pub struct UpgradeArgs {
    /// A template in legacy JSON; - for standard input
    #[arg(value_name = "TEMPLATE")]
    pub template: PathBuf,
    /// Write to this file; TEMPLATE.pkr.hcl unless given
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Write comments for those who are new to HCL2
    #[arg(long)]
    pub with_annotations: bool,
}
