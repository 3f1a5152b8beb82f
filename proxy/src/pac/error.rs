//! Why a PAC script gives no route: what, of which script, and what next.

use std::fmt::Write as _;
use std::time::Duration;

/// What went wrong inside a script, or with what it answered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// It ran for too long, or names did.
    #[error("it did not answer within {}{}", seconds(*limit), waiting(*waited, late))]
    Time {
        /// The limit.
        limit: Duration,
        /// How much of it went to waiting for names.
        waited: Duration,
        /// Names without an answer.
        late: Vec<String>,
    },
    /// It wanted more memory than it may have.
    #[error("it wanted more than the {} MiB of memory it may have", limit >> 20)]
    Memory {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Calls or brackets nested too deep.
    #[error("its calls or brackets are nested too deep{}", at(*line))]
    Stack {
        /// Line of the script.
        line: Option<u32>,
    },
    /// It is no script, or fails before it is asked anything.
    #[error("it cannot be loaded: {message}{}", at(*line))]
    Loading {
        /// What the engine said.
        message: String,
        /// Line of the script.
        line: Option<u32>,
    },
    /// It failed when asked.
    #[error("it failed: {message}{}", at(*line))]
    Threw {
        /// What was thrown.
        message: String,
        /// Line of the script.
        line: Option<u32>,
    },
    /// It has no function to ask.
    #[error("it has no function FindProxyForURL")]
    NoFunction,
    /// The answer is no text.
    #[error("it answered with a value of type {kind} instead of a text")]
    NotText {
        /// JavaScript's word for it.
        kind: String,
    },
    /// The answer is too long.
    #[error("it answered with {length} characters, where {longest} are the most that are read")]
    TooLong {
        /// Characters of it.
        length: f64,
        /// The limit.
        longest: usize,
    },
    /// Nothing in the answer can be used.
    #[error("nothing of its answer can be used: {}", notes.join("; "))]
    NoDirective {
        /// Why, for each entry.
        notes: Vec<String>,
    },
    /// It does not stop even when told to.
    #[error("it does not stop even when told to, and is not asked again until it changes")]
    Stuck,
    /// Too many wait for it.
    #[error("it is busy with other questions, and was not free within {}", seconds(*waited))]
    Busy {
        /// How long was waited.
        waited: Duration,
    },
    /// The engine itself.
    #[error("the script engine could not work: {0}")]
    Engine(String),
}

/// Why there is no route by a PAC script.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PacError {
    /// The script could not be had.
    #[error("the PAC script {place} cannot be used: {reason}; correct upstream_pac, or what it names")]
    Source {
        /// Its file or URL, without a password.
        place: String,
        /// What happened, and what to do.
        reason: String,
    },
    /// The script was had, and gave no usable answer.
    #[error(
        "the PAC script {place} gives no route for {host}: {failure}; correct the script, or name a proxy with upstream_proxy instead"
    )]
    Script {
        /// Its file or URL, without a password.
        place: String,
        /// The host asked about.
        host: String,
        /// What happened.
        failure: Failure,
    },
}

fn seconds(length: Duration) -> String {
    if length.subsec_millis() == 0 { format!("{} s", length.as_secs()) } else { format!("{} ms", length.as_millis()) }
}

fn at(line: Option<u32>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

fn waiting(waited: Duration, late: &[String]) -> String {
    let mut text = String::new();
    if !late.is_empty() {
        let shown: Vec<&str> = late.iter().take(3).map(String::as_str).collect();
        let _ = write!(text, ": {} ms of it waiting for the addresses of {}", waited.as_millis(), shown.join(", "));
        if late.len() > shown.len() {
            let _ = write!(text, " and {} more", late.len() - shown.len());
        }
    }
    text
}
