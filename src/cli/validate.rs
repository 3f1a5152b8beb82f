//! `larder validate`

use super::Env;
use super::args::ValidateArgs;
use super::console::Console;
use super::settings::Settings;
use super::template::Reading;
use crate::error::{Context as _, Result};

/// Checks a template; says so if it is valid.
pub(super) fn run(args: &ValidateArgs, settings: &Settings, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading {
        args: &args.template,
        env,
        cwd: &cwd,
        warn_on_undeclared: !args.no_warn_undeclared_var,
        settings: Some(settings),
    };
    if args.syntax_only {
        reading.syntax(console)?;
        return console.line("Syntax-only check passed. Everything looks okay.");
    }
    reading.ready(console)?;
    console.line("The configuration is valid.")
}
