//! What the user sees of a failure: what happened, where, what to do next, and the exit code.

use std::fmt;

/// Exit codes. Packer's own commands use Packer's; the rest are Larder's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    /// Everything went well.
    Success = 0,
    /// Any error: build, template, option, interruption.
    #[default]
    Failure = 1,
    /// `diff` could not compare (1 means that there are differences).
    Trouble = 2,
    /// `fmt -check` found a file that is not in canonical form.
    Unformatted = 3,
    /// An offline run asked for something the cache does not hold.
    OfflineMiss = 4,
    /// The finished image holds a trace of the proxy, or a verification failed.
    Trace = 5,
    /// No command, or an unknown one.
    Usage = 127,
    /// Whoever read standard output has left; nothing is said of it. The shell's code for SIGPIPE.
    ClosedPipe = 141,
}

/// An error with its causes and hints, ready to be shown.
#[derive(Debug)]
pub struct Error {
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    exit: Exit,
}

/// A result whose error is for the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says what happened, and where.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), source: None, exit: Exit::Failure }
    }

    /// Adds what to do next. May be called more than once.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What to do next, in the order given.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The exit code this error ends the program with.
    pub fn exit_code(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

/// Adds a message to a failed result, keeping the failure as its cause.
pub trait Context<T> {
    /// Says what was being done, and on what, when it failed.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::new(message()).caused_by(error))
    }
}

/// The message followed by each cause, on one line: `what: cause: cause of the cause`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
