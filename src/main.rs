//! The `larder` program.

use std::process::ExitCode;

use larder::guest::reexec::{self, Start};

fn main() -> ExitCode {
    // Before anything starts a thread: namespaces are entered by re-execution.
    let (arguments, inside) = match reexec::start(std::env::args_os().collect()) {
        Start::End(code) => return code,
        Start::Command(arguments, inside) => (arguments, inside),
    };
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    larder::cli::main(arguments, &env.collect(), inside)
}
