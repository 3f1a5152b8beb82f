//! The event stream: everything a run says, as numbered, timestamped, redacted plain data.
//!
//! Components emit; log files and renderers consume. Nothing else leads from a build to the outside.

pub mod bus;
pub mod redact;
pub mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use larder_proxy::flow::Flow;
use serde::Serialize;

pub use bus::{EventReceiver, Events};

/// Version of the JSON form. Fields may be added within a version; nothing is renamed or removed.
pub const SCHEMA_VERSION: u32 = 1;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Number within the run, from 1, without gaps.
    pub seq: u64,
    /// When it happened.
    pub time: jiff::Timestamp,
    /// The build it belongs to; none for what concerns the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Arc<str>>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// How a step or build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// It did what it should.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled before it could end.
    Cancelled,
}

impl Ending {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A failure as shown: message with its causes, and hints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The message and its causes on one line.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// An artifact as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtifactLine {
    /// Id of the component that made it.
    pub builder_id: String,
    /// Id within that component's realm.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// Its files.
    pub files: Vec<PathBuf>,
}

/// What happened. In JSON the `type` field names the variant.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run begins.
    RunStarted {
        /// Version of this schema.
        schema: u32,
        /// Id of the run.
        run: String,
        /// Names of the builds, in the order they start.
        builds: Vec<String>,
        /// `cache` or `offline`.
        net: String,
    },
    /// A build begins.
    BuildStarted {
        /// Where its whole log is written.
        log: PathBuf,
    },
    /// A step begins.
    StepStarted {
        /// Place of the step within its build, from 0.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A step ended.
    StepFinished {
        /// Place of the step within its build, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// How it ended.
        ending: Ending,
        /// How long it took.
        seconds: f64,
    },
    /// A message of Larder's own.
    Message {
        /// The text, one or more lines.
        text: String,
    },
    /// A line of standard output of a guest or child process.
    Stdout {
        /// The line without its end.
        line: String,
    },
    /// A line of standard error of a guest or child process.
    Stderr {
        /// The line without its end.
        line: String,
    },
    /// Something to look at that does not fail the build.
    Warning {
        /// The text.
        text: String,
    },
    /// How far something long has come. Not kept in logs.
    Progress {
        /// What it is.
        what: String,
        /// Bytes or items done.
        done: u64,
        /// Bytes or items in all, where known.
        total: Option<u64>,
    },
    /// A request through the proxy ended.
    Flow {
        /// The record of it.
        flow: Box<Flow>,
    },
    /// A build ended.
    BuildFinished {
        /// How it ended.
        ending: Ending,
        /// How long it took.
        seconds: f64,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What it made.
        artifacts: Vec<ArtifactLine>,
        /// What was left on the machine on purpose (`-on-error=abort`).
        #[serde(skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
    },
    /// The run ended; the last event.
    RunFinished {
        /// How long it took.
        seconds: f64,
        /// Whether it was cancelled, and why.
        #[serde(skip_serializing_if = "Option::is_none")]
        cancelled: Option<String>,
        /// The proxy's totals.
        totals: summary::Totals,
    },
}
