//! `larder validate`

use super::Env;
use super::args::ValidateArgs;
use super::components::Purpose;
use super::console::Console;
use super::template::Reading;
use crate::error::{Context as _, Result};

/// Checks a template; says so if it is valid.
pub(super) fn run(args: &ValidateArgs, env: &Env, console: &Console) -> Result<()> {
    let cwd = std::env::current_dir().context(|| "cannot tell the working directory".to_owned())?;
    let reading = Reading { args: &args.template, env, cwd: &cwd, warn_on_undeclared: !args.no_warn_undeclared_var };
    if args.syntax_only {
        reading.syntax(console)?;
        return console.line("Syntax-only check passed. Everything looks okay.");
    }
    reading.ready(Purpose::Look, console)?;
    console.line("The configuration is valid.")
}
