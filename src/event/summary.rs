//! What a run comes to, folded from its events.

use std::path::PathBuf;
use std::sync::Arc;

use larder_proxy::flow::{Flow, Outcome};
use larder_proxy::stats::Totals;
use serde::Serialize;

use super::missing::Missing;
use super::{ArtifactLine, Ending, Event, EventKind, Failure, Mark};
use crate::error::Exit;

/// A step that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSummary {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub seconds: f64,
    /// Which of its starts it was, from 1.
    pub attempt: u32,
}

/// A build that ended, or is under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildSummary {
    /// Its steps, in the order they ended.
    pub steps: Vec<StepSummary>,
    /// How it ended; none while it runs.
    pub ending: Option<Ending>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What it made.
    pub artifacts: Vec<ArtifactLine>,
    /// What was left on the machine on purpose.
    pub left: Vec<String>,
    /// In what it was not made as its template says.
    pub marks: Vec<Mark>,
    /// The exit code that it asks for.
    pub exit_code: u8,
    /// Where its log is.
    pub log: PathBuf,
}

/// A request an offline run could not answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OfflineMiss {
    /// The build that asked.
    pub build: Arc<str>,
    /// The step that asked.
    pub step: Option<Arc<str>>,
    /// Method of the request.
    pub method: String,
    /// What was asked for.
    pub url: String,
}

/// A run, as far as its events have told.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The builds, in the order they were planned.
    pub builds: Vec<(Arc<str>, BuildSummary)>,
    /// The proxy's totals.
    pub totals: Totals,
    /// Requests that an offline run could not answer, each once.
    pub offline_misses: Vec<OfflineMiss>,
    /// The same with what comes near and what to do, once the run has ended.
    pub missing: Option<Box<Missing>>,
    /// Flows that were refused or failed, and why; each URL once.
    pub refused: Vec<Flow>,
    /// How long the run took.
    pub seconds: f64,
    /// Why it was cancelled.
    pub cancelled: Option<String>,
}

/// How many refused flows are kept for the report.
const REFUSED_KEPT: usize = 50;

impl Summary {
    /// Packer's codes: 0 when all builds succeeded with all their steps, 1 otherwise; but 4 when an offline run missed
    /// something and 5 when a trace was found.
    pub fn exit(&self) -> Exit {
        let codes = || self.builds.iter().map(|(_, build)| build.exit_code);
        let failed =
            self.builds.iter().any(|(_, build)| build.ending.is_some_and(|ending| ending != Ending::Succeeded));
        if failed && self.cancelled.is_none() && !self.offline_misses.is_empty() {
            return Exit::OfflineMiss;
        }
        match codes().max() {
            None | Some(0) => Exit::Success,
            Some(_) if codes().any(|code| code == Exit::Trace as u8) => Exit::Trace,
            Some(_) => Exit::Failure,
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { builds, .. } => {
                self.builds = builds.iter().map(|name| (name.as_str().into(), BuildSummary::default())).collect();
            }
            EventKind::BuildStarted { log, .. } => self.with(event, |build| build.log.clone_from(log)),
            EventKind::StepFinished { name, ending, seconds, attempt, .. } => self.with(event, |build| {
                let (name, ending, seconds, attempt) = (name.to_string(), *ending, *seconds, *attempt);
                build.steps.push(StepSummary { name, ending, seconds, attempt });
            }),
            EventKind::BuildFinished { ending, seconds, failure, artifacts, left, marks, exit_code } => {
                self.with(event, |build| {
                    build.ending = Some(*ending);
                    build.seconds = *seconds;
                    build.failure.clone_from(failure);
                    build.artifacts.clone_from(artifacts);
                    build.left.clone_from(left);
                    build.marks.clone_from(marks);
                    build.exit_code = *exit_code;
                });
            }
            EventKind::Flow { flow } => self.flow(flow),
            EventKind::RunFinished { seconds, cancelled, missing, .. } => {
                self.missing.clone_from(missing);
                self.seconds = *seconds;
                self.cancelled.clone_from(cancelled);
            }
            EventKind::StepStarted { .. }
            | EventKind::Question { .. }
            | EventKind::Deadline { .. }
            | EventKind::Answered { .. }
            | EventKind::Message { .. }
            | EventKind::Stdout { .. }
            | EventKind::Stderr { .. }
            | EventKind::Warning { .. }
            | EventKind::Progress { .. }
            | EventKind::Scan { .. } => {}
        }
    }

    fn with(&mut self, event: &Event, change: impl FnOnce(&mut BuildSummary)) {
        let Some(name) = &event.build else { return };
        if let Some((_, build)) = self.builds.iter_mut().find(|(known, _)| known == name) {
            change(build);
        }
    }

    fn flow(&mut self, flow: &Flow) {
        self.totals.add(flow);
        if flow.offline_miss {
            let miss = OfflineMiss {
                build: flow.identity.build.clone(),
                step: flow.identity.step.clone(),
                method: flow.method.clone().into_owned(),
                url: flow.url.clone(),
            };
            if !self.offline_misses.contains(&miss) {
                self.offline_misses.push(miss);
            }
        } else if matches!(flow.outcome, Outcome::Denied | Outcome::Error)
            && self.refused.len() < REFUSED_KEPT
            && !self.refused.iter().any(|known| known.url == flow.url && known.why == flow.why)
        {
            self.refused.push(flow.clone());
        }
    }
}
