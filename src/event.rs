//! The event stream: everything a run says, as numbered, timestamped, redacted plain data.
//!
//! Components emit; log files and renderers consume. Nothing else leads from a build to the outside.

pub mod bus;
pub mod flow_record;
pub mod missing;
pub mod question;
pub mod redact;
#[cfg(test)]
mod schema;
pub mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use larder_proxy::flow::Flow;
use larder_proxy::stats::Totals;
use serde::Serialize;

pub use bus::{EventReceiver, Events};
use missing::Missing;
use question::{Answer, AnsweredBy, Question};

/// Version of the JSON form. Fields and types of events may be added within a version; nothing is renamed, removed or
/// given another meaning. The doc comments of these types are the promise: `docs/reference/events.md` and
/// `events.schema.json` are made from them.
pub const SCHEMA_VERSION: u32 = 1;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Number of the event within the run: 1, 2, 3, without gaps.
    pub seq: u64,
    /// When it happened: RFC 3339, in UTC.
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub time: jiff::Timestamp,
    /// Name of the build it belongs to; absent from what concerns the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Arc<str>>,
    /// Name of the build's step that was under way, for a `flow` when its request arrived; absent between steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Arc<str>>,
    /// Place of that step within its build, from 0: several steps may have one name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_index: Option<usize>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// How a step or build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failure {
    /// The message and its causes on one line.
    pub message: String,
    /// What to do next; absent if there is nothing to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// Something about a build that its artifact does not show: it was not made as its template says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Mark {
    /// A step failed and was skipped. Larder then ends with an exit code other than 0.
    Skipped {
        /// Place of the step within its build, from 0.
        step_index: usize,
        /// Its name.
        step: Arc<str>,
    },
    /// A step ran an edited copy of a script.
    Edited {
        /// Place of the step within its build, from 0.
        step_index: usize,
        /// Its name.
        step: Arc<str>,
        /// What was edited: a path as in the template, or `inline`.
        script: String,
        /// The copy that ran.
        path: PathBuf,
    },
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skipped { step_index, step } => {
                write!(f, "step {} [{step}] failed and was skipped", step_index + 1)
            }
            Self::Edited { step_index, step, script, path } => {
                write!(f, "step {} [{step}] ran an edited copy of {script}: {}", step_index + 1, path.display())
            }
        }
    }
}

/// An artifact as shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Artifact"))]
pub struct ArtifactLine {
    /// Id of the component that made it, such as `packer.file` or `larder.rootfs`.
    pub builder_id: String,
    /// Id within that component's realm.
    pub id: String,
    /// One line for people.
    pub description: String,
    /// Its files, as the template names them: relative ones from the working directory.
    pub files: Vec<PathBuf>,
}

/// A trace of the proxy in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Trace"))]
pub struct TraceLine {
    /// Path in the image.
    pub path: PathBuf,
    /// What was found there, and where in the file, in one line for people.
    pub description: String,
    /// Whether `--allow-trace` accepts it.
    pub accepted: bool,
}

/// What happened. In JSON the `type` field names the variant.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run begins. Always the first event.
    RunStarted {
        /// Version of this schema.
        schema: u32,
        /// Version of Larder.
        version: String,
        /// Id of the run, as in `larder ps` and in names of log files.
        run: String,
        /// UUID of the run: `PACKER_RUN_UUID`, `packer_run_uuid` of manifests.
        uuid: String,
        /// Names of the builds, in the order they start.
        builds: Vec<String>,
        /// Where answers may come from: `cache` (and upstream) or `offline`.
        net: String,
    },
    /// A build begins.
    BuildStarted {
        /// Type of its builder, such as `rootfs`.
        builder_type: String,
        /// File its whole log is written to.
        log: PathBuf,
    },
    /// A step begins: a part of the builder's work, a provisioner or a post-processor. One at a time in a build.
    StepStarted {
        /// Its place within its build; in JSON the event's own `step_index`.
        #[serde(skip)]
        index: usize,
        /// Its name; in JSON the event's own `step`.
        #[serde(skip)]
        name: Arc<str>,
        /// Which of its starts this is, from 1: a step may be begun again after somebody was asked.
        attempt: u32,
    },
    /// A step ended.
    StepFinished {
        /// Its place within its build; in JSON the event's own `step_index`.
        #[serde(skip)]
        index: usize,
        /// Its name; in JSON the event's own `step`.
        #[serde(skip)]
        name: Arc<str>,
        /// How it ended.
        ending: Ending,
        /// How long it took, in seconds.
        seconds: f64,
        /// Which of its starts has ended, from 1.
        attempt: u32,
    },
    /// A message of Larder's own, in plain words that may change.
    Message {
        /// The text, one or more lines.
        text: String,
    },
    /// A line that a guest or a program on the host wrote to standard output.
    Stdout {
        /// The line without its end. It may hold escape sequences.
        line: String,
    },
    /// A line that a guest or a program on the host wrote to standard error.
    Stderr {
        /// The line without its end. It may hold escape sequences.
        line: String,
    },
    /// Something to look at that does not fail the build by itself.
    Warning {
        /// The text, one or more lines.
        text: String,
    },
    /// How far something long has come; at most four times a second. Not kept in logs.
    Progress {
        /// What it is: `packages`, `copied`, `unpacked`, `written`.
        what: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all; null where that is not known.
        total: Option<u64>,
    },
    /// A request through the proxy ended.
    Flow {
        /// The record of it.
        #[serde(serialize_with = "flow_record::serialize")]
        #[cfg_attr(test, schemars(with = "flow_record::FlowRecord"))]
        flow: Box<Flow>,
    },
    /// The finished tree was searched for traces of the proxy, before the image is written.
    Scan {
        /// Files, directories, links and devices seen.
        entries: u64,
        /// Bytes read, with what is packed in them unpacked.
        bytes: u64,
        /// How long it took, in seconds.
        seconds: f64,
        /// The traces found; one that is not accepted fails the build, with exit code 5.
        traces: Vec<TraceLine>,
        /// What could not be read into, each with why, in one line for people.
        skipped: Vec<String>,
    },
    /// A build waits for somebody to decide. The other builds go on.
    Question {
        /// What is asked.
        question: Box<Question>,
    },
    /// The deadline of a question is another now.
    Deadline {
        /// Number of the question.
        id: u64,
        /// The deadline: RFC 3339, in UTC. Absent while somebody is at work on the question, in a shell or an editor: it is
        /// suspended. When they have ended, the time begins anew.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, schemars(with = "Option<String>", extend("format" = "date-time")))]
        deadline: Option<jiff::Timestamp>,
    },
    /// A question was answered, or answers itself.
    Answered {
        /// Number of the question.
        id: u64,
        /// The answer.
        answer: Answer,
        /// Who gave it.
        by: AnsweredBy,
    },
    /// A build ended, or was cancelled before it began.
    BuildFinished {
        /// How it ended.
        ending: Ending,
        /// How long it took, in seconds.
        seconds: f64,
        /// Why it failed; absent if it did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What it made and kept, in the order made.
        artifacts: Vec<ArtifactLine>,
        /// What was left on the machine on purpose (`-on-error=abort`); absent if nothing.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        left: Vec<String>,
        /// In what it was not made as its template says, by answers to questions; absent if in nothing.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        marks: Vec<Mark>,
        /// The exit code that Larder would end with if this were its only build: 0, 1, or 5 for a trace of the proxy. That
        /// an offline run missed something (4) is told by its flows.
        exit_code: u8,
    },
    /// The run ended. Always the last event.
    RunFinished {
        /// How long it took, in seconds.
        seconds: f64,
        /// Why it was cancelled, such as `interrupted`; absent if it was not.
        #[serde(skip_serializing_if = "Option::is_none")]
        cancelled: Option<String>,
        /// The proxy's totals.
        #[cfg_attr(test, schemars(with = "schema::TotalsRecord"))]
        totals: Totals,
        /// What it asked for offline and did not get; absent if nothing was missed.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing: Option<Box<Missing>>,
    },
}
