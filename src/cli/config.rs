//! `larder config`

use super::args::ConfigCommand;
use super::console::Console;
use super::settings::{Settings, trust};
use crate::error::Result;

/// Runs a subcommand.
pub(super) fn run(command: &ConfigCommand, settings: &Settings, console: &Console) -> Result<()> {
    match command {
        ConfigCommand::Trust(args) => {
            trust::trust(&settings.state_dir.value, &args.path)?;
            console.line(&format!("{} is trusted as it is now", args.path.display()))
        }
    }
}
