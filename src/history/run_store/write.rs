//! Writing down what happens in a run.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use larder_proxy::stats::{Sums, Totals};
use rusqlite::{Transaction, TransactionBehavior, params};

use super::{RunStore, number};
use crate::error::{Context as _, Result};
use crate::event::{ArtifactLine, Ending, Mark};

/// Something to write down of a run. Each can be written again.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The run began.
    RunStarted {
        /// Its UUID.
        uuid: String,
        /// When.
        started: Timestamp,
        /// Its template, an absolute path.
        template: String,
        /// SHA-256 of the template's files.
        template_digest: String,
        /// Where answers may come from.
        net: String,
        /// Version of Larder.
        version: String,
        /// Names of its builds.
        builds: Vec<String>,
    },
    /// A build began.
    BuildStarted {
        /// Its name.
        build: Arc<str>,
        /// When.
        started: Timestamp,
        /// Type of its builder.
        builder_type: String,
        /// Its log.
        log: PathBuf,
    },
    /// A step began.
    StepStarted {
        /// Name of its build.
        build: Arc<str>,
        /// Its place.
        step: usize,
        /// Which of its starts it is.
        attempt: u32,
        /// Its name.
        name: Arc<str>,
        /// When.
        started: Timestamp,
    },
    /// A step ended.
    StepFinished {
        /// Name of its build.
        build: Arc<str>,
        /// Its place.
        step: usize,
        /// Which of its starts has ended.
        attempt: u32,
        /// How long it took.
        seconds: f64,
        /// How it ended.
        ending: Ending,
    },
    /// What was downloaded in a step so far.
    Downloads {
        /// Name of its build.
        build: Arc<str>,
        /// Its place; none between steps.
        step: Option<usize>,
        /// All requests in it.
        totals: Totals,
    },
    /// A build ended.
    BuildFinished {
        /// Its name.
        build: Arc<str>,
        /// How long it took.
        seconds: f64,
        /// How it ended.
        ending: Ending,
        /// Why it failed.
        failure: Option<String>,
        /// What it made.
        artifacts: Vec<ArtifactLine>,
        /// In what it was not made as its template says.
        marks: Vec<Mark>,
        /// The exit code that it asks for.
        exit_code: u8,
    },
    /// A question was answered.
    Answered {
        /// Name of the build that asked.
        build: Arc<str>,
        /// Number of the question.
        question: u64,
        /// Place of the step it was about.
        step: usize,
        /// When.
        time: Timestamp,
        /// Why it was asked.
        reason: String,
        /// The answer.
        answer: String,
        /// Who gave it.
        by: String,
    },
    /// Larder ends with this code.
    RunExited {
        /// The code.
        exit_code: u8,
    },
    /// The run ended.
    RunFinished {
        /// How long it took.
        seconds: f64,
        /// How it ended.
        ending: Ending,
        /// Why it was cancelled.
        cancelled: Option<String>,
    },
}

impl RunStore {
    /// Writes down what happened in the run `run`, all or nothing.
    pub fn write(&mut self, run: &str, changes: &[Change]) -> Result<()> {
        let path = self.failed("write");
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for change in changes {
                apply(&transaction, run, change)?;
            }
            transaction.commit()
        };
        write().context(|| path)
    }
}

fn apply(to: &Transaction<'_>, run: &str, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::RunStarted { uuid, started, template, template_digest, net, version, builds } => {
            to.execute(
                "INSERT OR REPLACE INTO run (id, uuid, started, template, template_digest, net, version) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![run, uuid, started.as_millisecond(), template, template_digest, net, version],
            )?;
            for (place, name) in builds.iter().enumerate() {
                to.execute(
                    "INSERT INTO build (run, name, place) VALUES (?1, ?2, ?3)",
                    params![run, name, number(place)],
                )?;
            }
        }
        Change::BuildStarted { build, started, builder_type, log } => {
            to.execute(
                "UPDATE build SET started = ?3, builder_type = ?4, log = ?5 WHERE run = ?1 AND name = ?2",
                params![run, build, started.as_millisecond(), builder_type, log.to_string_lossy()],
            )?;
        }
        Change::StepStarted { build, step, attempt, name, started } => {
            to.execute(
                "INSERT OR REPLACE INTO step (run, build, step, attempt, name, started) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![run, build, number(*step), attempt, name, started.as_millisecond()],
            )?;
        }
        Change::StepFinished { build, step, attempt, seconds, ending } => {
            to.execute(
                "UPDATE step SET seconds = ?5, ending = ?6 WHERE run = ?1 AND build = ?2 AND step = ?3 AND attempt = ?4",
                params![run, build, number(*step), attempt, seconds, ending.as_str()],
            )?;
        }
        Change::Downloads { build, step, totals } => {
            for (class, sums) in &totals.classes {
                download(to, run, build, *step, class.as_str(), sums)?;
            }
        }
        Change::BuildFinished { build, seconds, ending, failure, artifacts, marks, exit_code } => {
            to.execute(
                "UPDATE build SET seconds = ?3, ending = ?4, failure = ?5, exit_code = ?6 WHERE run = ?1 AND name = ?2",
                params![run, build, seconds, ending.as_str(), failure, exit_code],
            )?;
            for (place, mark) in marks.iter().enumerate() {
                insert_mark(to, run, build, place, mark)?;
            }
            for (place, artifact) in artifacts.iter().enumerate() {
                insert_artifact(to, run, build, place, artifact)?;
            }
        }
        Change::Answered { build, question, step, time, reason, answer, by } => {
            to.execute(
                "INSERT OR REPLACE INTO answer VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![run, build, question.cast_signed(), number(*step), time.as_millisecond(), reason, answer, by],
            )?;
        }
        Change::RunExited { exit_code } => {
            to.execute("UPDATE run SET exit_code = ?2 WHERE id = ?1", params![run, exit_code])?;
        }
        Change::RunFinished { seconds, ending, cancelled } => {
            to.execute(
                "UPDATE run SET seconds = ?2, ending = ?3, cancelled = ?4 WHERE id = ?1",
                params![run, seconds, ending.as_str(), cancelled],
            )?;
        }
    }
    Ok(())
}

fn download(
    to: &Transaction<'_>,
    run: &str,
    build: &str,
    step: Option<usize>,
    class: &str,
    sums: &Sums,
) -> rusqlite::Result<()> {
    let step = step.map_or(-1, number);
    let count = u64::cast_signed;
    to.execute(
        "INSERT OR REPLACE INTO download VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            run,
            build,
            step,
            class,
            count(sums.requests),
            count(sums.hits),
            count(sums.revalidated),
            count(sums.stale),
            count(sums.misses),
            count(sums.failed),
            count(sums.bytes_sent),
            count(sums.bytes_cache),
            count(sums.bytes_upstream),
        ],
    )?;
    Ok(())
}

fn insert_mark(to: &Transaction<'_>, run: &str, build: &str, place: usize, mark: &Mark) -> rusqlite::Result<()> {
    let (kind, step_index, step, edited) = match mark {
        Mark::Skipped { step_index, step } => ("skipped", step_index, step, None),
        Mark::Edited { step_index, step, script, path } => ("edited", step_index, step, Some((script, path))),
    };
    let (script, path) = edited.map(|(script, path)| (script, path.to_string_lossy())).unzip();
    to.execute(
        "INSERT OR REPLACE INTO mark VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![run, build, number(place), kind, number(*step_index), step, script, path],
    )?;
    Ok(())
}

fn insert_artifact(
    to: &Transaction<'_>,
    run: &str,
    build: &str,
    place: usize,
    artifact: &ArtifactLine,
) -> rusqlite::Result<()> {
    let files: Vec<_> = artifact.files.iter().map(|file| file.to_string_lossy()).collect();
    let files = serde_json::Value::from(files.iter().map(AsRef::as_ref).collect::<Vec<&str>>()).to_string();
    to.execute(
        "INSERT OR REPLACE INTO artifact VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![run, build, number(place), artifact.builder_id, artifact.id, artifact.description, files],
    )?;
    Ok(())
}
