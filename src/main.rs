//! The `larder` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Before anything starts a thread: namespaces are entered by re-execution.
    if let Some(code) = larder::guest::reexec::reexec_main(&arguments) {
        return code;
    }
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    larder::cli::main(arguments, &env.collect())
}
