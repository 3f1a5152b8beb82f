use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // Before anything starts a thread.
    if let Some(code) = larder::guest::reexec::reexec_main(&arguments) {
        return code;
    }
    ExitCode::SUCCESS
}
