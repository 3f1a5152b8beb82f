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
        console.line(&format!("Larder v{VERSION}"))
    }
}
