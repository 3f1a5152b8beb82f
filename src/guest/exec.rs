//! `larder exec`.

use std::ffi::OsString;
use std::process::ExitCode;

/// Hidden subcommand.
pub(super) fn exec_main(_arguments: &[OsString]) -> ExitCode {
    ExitCode::FAILURE
}
