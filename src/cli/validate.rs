//! `larder validate`

use super::Env;
use super::args::ValidateArgs;
use super::components::Purpose;
use super::console::Console;
use super::settings::Settings;
use super::template::{CHECKED, READ, Reading};
use crate::error::{Context as _, Exit, Result};

/// Checks a template; says so if it is valid.
pub(super) fn run(args: &ValidateArgs, settings: &Settings, env: &Env, console: &Console) -> Result<Exit> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading {
        args: &args.template,
        env,
        cwd: &cwd,
        warn_on_undeclared: !args.no_warn_undeclared_var,
        settings: Some(settings),
    };
    let data = if args.evaluate_datasources { READ } else { CHECKED };
    if args.json.json {
        let report = reading.report(args.syntax_only, data)?;
        console.json(&report)?;
        return Ok(if report.valid { Exit::Success } else { Exit::Failure });
    }
    if args.syntax_only {
        reading.syntax(console)?;
        console.line("Syntax-only check passed. Everything looks okay.")?;
    } else {
        reading.ready(Purpose::Look, data, console)?;
        console.line("The configuration is valid.")?;
    }
    Ok(Exit::Success)
}
