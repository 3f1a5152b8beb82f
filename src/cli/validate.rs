//! `larder validate`

use super::Env;
use super::args::ValidateArgs;
use super::console::Console;
use super::template::Reading;
use crate::error::{Context as _, Exit, Result};

/// Checks a template; says so if it is valid.
pub(super) fn run(args: &ValidateArgs, env: &Env, console: &Console) -> Result<Exit> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: !args.no_warn_undeclared_var };
    if args.json.json {
        let report = reading.report(args.syntax_only)?;
        console.json(&report)?;
        return Ok(if report.valid { Exit::Success } else { Exit::Failure });
    }
    if args.syntax_only {
        reading.syntax(console)?;
        console.line("Syntax-only check passed. Everything looks okay.")?;
    } else {
        reading.ready(console)?;
        console.line("The configuration is valid.")?;
    }
    Ok(Exit::Success)
}
