//! What the program ends with, for the manual and `docs/reference/exit-codes.md`.

use crate::error::Exit;

/// A code, the commands that end with it, and what it means.
#[derive(Debug)]
pub struct ExitCode {
    /// The code.
    pub code: Exit,
    /// The commands.
    pub commands: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

const fn code(code: Exit, commands: &'static str, meaning: &'static str) -> ExitCode {
    ExitCode { code, commands, meaning }
}

/// All of them.
pub static EXIT_CODES: &[ExitCode] = &[
    code(Exit::Success, "all", "everything went well"),
    code(
        Exit::Failure,
        "all",
        "an error in the template, an option, a setting or a build; a step that was skipped after it had failed; also after Ctrl-C",
    ),
    code(Exit::Failure, "`diff`", "the images differ"),
    code(
        Exit::Trouble,
        "`diff`",
        "the images could not be compared: one is absent, damaged or of another form; or the options are wrong",
    ),
    code(Exit::Unformatted, "`fmt`", "`-check`, and a file is not in canonical form"),
    code(
        Exit::OfflineMiss,
        "`build`, `plan`",
        "`--net offline`, and something that was asked for was not in the cache",
    ),
    code(
        Exit::Trace,
        "`build`, `cache verify`, `bundle`",
        "the image holds a trace of the proxy; a stored body is not sound; a bundle is not what it should be",
    ),
    code(Exit::Usage, "`larder`", "no command, or one that does not exist"),
    code(Exit::ClosedPipe, "all", "standard output was closed, as by `larder inspect TEMPLATE | head -1`"),
];
