//! `larder hcl2_upgrade`: a legacy template in HCL2.

use std::path::{Path, PathBuf};

use super::args::UpgradeArgs;
use super::console::Console;
use super::fix::{read_legacy, tell};
use crate::error::{Context as _, Error, Result};
use crate::template::json::upgrade::{Dialect, upgrade};

/// Writes the template, and says where.
pub(super) fn run(args: &UpgradeArgs, console: &Console) -> Result<()> {
    let output = match &args.output_file {
        Some(path) => path.clone(),
        None if args.template == Path::new("-") => {
            return Err(Error::new("a template on standard input has no name").hint("give one: -output-file=FILE"));
        }
        None => PathBuf::from(format!("{}.pkr.hcl", args.template.display())),
    };
    let (name, text) = read_legacy(&args.template)?;
    let upgraded = upgrade(&name, &text, Dialect::Whole, args.with_annotations);
    tell(&upgraded.diagnostics, &upgraded.sources, console);
    let Some(text) = upgraded.text else { return Err(Error::new(format!("{name} cannot be upgraded"))) };
    if let Some(directory) = output.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).context(|| format!("cannot make {}", directory.display()))?;
    }
    std::fs::write(&output, text).context(|| format!("cannot write {}", output.display()))?;
    match upgraded.left {
        0 => {}
        1 => console.warning("1 block needs a look: a comment above it says why"),
        left => console.warning(&format!("{left} blocks need a look: a comment above each says why")),
    }
    console.line(&format!("Successfully created {}", output.display()))
}
