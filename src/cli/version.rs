//! `larder version`

use super::args::VersionArgs;
use super::console::Console;
use crate::error::Result;

/// Version of Larder.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The Packer version templates see as `packer.version` and check with `required_version`.
pub(super) const PACKER_VERSION: &str = "1.16.0";

/// Prints the version.
pub(super) fn run(args: &VersionArgs, console: &Console) -> Result<()> {
    if args.json.json {
        console.json(&serde_json::json!({ "version": VERSION, "packer_version": PACKER_VERSION }))
    } else {
        if console.machine {
            // Packer's categories, its misspelling included; the version of Packer that templates are told is one more.
            console.machine_line("version", &[VERSION])?;
            console.machine_line("version-prelease", &[""])?;
            console.machine_line("version-commit", &[""])?;
            console.machine_line("packer-version", &[PACKER_VERSION])?;
        }
        console.line(&format!("Larder v{VERSION}"))
    }
}
