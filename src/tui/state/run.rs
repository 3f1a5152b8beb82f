//! A run, as its events told it.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use larder_proxy::flow::Flow;

use crate::event::question::{Question, Reason};
use crate::event::{ArtifactLine, Ending, Event, EventKind, Failure, Mark};
use crate::tui::feed::Live;

/// How a build or step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Condition {
    /// It has not begun.
    #[default]
    Queued,
    /// It goes on.
    Running,
    /// It waits for an answer.
    Asking,
    /// It did what it should.
    Done,
    /// It failed.
    Failed,
    /// It was skipped.
    Skipped,
    /// It was cancelled.
    Cancelled,
}

impl Condition {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Asking => "asks",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it can still change.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Asking)
    }
}

impl From<Ending> for Condition {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Succeeded => Self::Done,
            Ending::Failed => Self::Failed,
            Ending::Cancelled => Self::Cancelled,
        }
    }
}

/// How far something long has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is.
    pub what: String,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, where known.
    pub total: Option<u64>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its place within its build; the same again when it is retried.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// How it is.
    pub condition: Condition,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, once ended.
    pub seconds: Option<f64>,
    /// Requests, and those answered from the cache.
    pub requests: (u64, u64),
    /// Bytes from the cache, and from upstream.
    pub bytes: (u64, u64),
}

impl Step {
    /// How long it took, or has taken so far, in seconds.
    pub fn elapsed(&self, now: Timestamp) -> f64 {
        self.seconds.unwrap_or_else(|| (now - self.started).total(jiff::Unit::Second).unwrap_or(0.0).max(0.0))
    }
}

/// A build.
#[derive(Clone, Debug)]
pub struct Build {
    /// Its name.
    pub name: Arc<str>,
    /// Type of its builder; empty until it starts.
    pub builder_type: String,
    /// How it is.
    pub condition: Condition,
    /// Its steps so far.
    pub steps: Vec<Step>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How long it took, once ended.
    pub seconds: Option<f64>,
    /// How far the running step has come.
    pub progress: Option<Progress>,
    /// Its log.
    pub log: Option<PathBuf>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What it made.
    pub artifacts: Vec<ArtifactLine>,
    /// What it left on the machine.
    pub left: Vec<String>,
    /// What its artifacts are marked with: steps skipped, scripts edited.
    pub marks: Vec<Mark>,
}

impl Build {
    fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            builder_type: String::new(),
            condition: Condition::Queued,
            steps: Vec::new(),
            started: None,
            seconds: None,
            progress: None,
            log: None,
            failure: None,
            artifacts: Vec::new(),
            left: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// The step under way, or the last.
    pub fn step(&self) -> Option<&Step> {
        self.steps.last()
    }

    /// How long it has taken, in seconds; none before it begins.
    pub fn elapsed(&self, now: Timestamp) -> Option<f64> {
        self.seconds.or_else(|| Some((now - self.started?).total(jiff::Unit::Second).unwrap_or(0.0).max(0.0)))
    }
}

/// How grave a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know.
    Info,
    /// Something to look at.
    Warning,
    /// Something that went wrong.
    Error,
}

impl Severity {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A message worth keeping: errors and warnings are what `!` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When.
    pub time: Timestamp,
    /// How grave.
    pub severity: Severity,
    /// The build, where it is about one.
    pub build: Option<Arc<str>>,
    /// The text.
    pub text: String,
}

/// Most messages kept.
const MESSAGES: usize = 1000;

/// Most flows kept; all are in the logs.
pub const FLOWS: usize = 10_000;

/// A run.
#[derive(Debug, Default)]
pub struct RunModel {
    /// Its id; empty before there is one.
    pub id: String,
    /// Where answers may come from: `cache` or `offline`.
    pub net: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How long it took, once ended.
    pub seconds: Option<f64>,
    /// Why it was cancelled.
    pub cancelled: Option<String>,
    /// Its exit code, once everything has ended.
    pub exit: Option<u8>,
    /// Its builds, in the order they start.
    pub builds: Vec<Build>,
    /// Questions that wait, the oldest first.
    pub questions: Vec<Question>,
    /// Those of them whose deadline is suspended: somebody is at work on them.
    pub suspended: BTreeSet<u64>,
    /// Messages, the oldest first.
    pub messages: VecDeque<Message>,
    /// Flows that ended, the oldest first.
    pub flows: VecDeque<Box<Flow>>,
    /// Counts that the feed keeps.
    pub live: Live,
}

impl RunModel {
    /// Whether something is under way.
    pub fn is_live(&self) -> bool {
        self.started.is_some() && self.exit.is_none()
    }

    /// A build by name.
    pub fn build(&self, name: &str) -> Option<&Build> {
        self.builds.iter().find(|build| &*build.name == name)
    }

    /// Keeps a message.
    pub fn note(&mut self, time: Timestamp, severity: Severity, build: Option<Arc<str>>, text: String) {
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(Message { time, severity, build, text });
    }

    /// Errors and warnings, the oldest first.
    pub fn troubles(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().filter(|message| message.severity >= Severity::Warning)
    }

    /// Takes a question in; the build waits.
    pub fn asked(&mut self, question: Question) {
        self.set_condition(&question.build, Condition::Running, Condition::Asking);
        self.questions.retain(|known| known.id != question.id);
        self.questions.push(question);
    }

    /// The deadline of a question is another; none while it is suspended.
    fn postponed(&mut self, id: u64, deadline: Option<Timestamp>) {
        match deadline {
            Some(_) => self.suspended.remove(&id),
            None => self.suspended.insert(id),
        };
        if let Some(question) = self.questions.iter_mut().find(|question| question.id == id) {
            question.deadline = deadline;
        }
    }

    /// A question is no longer open.
    pub fn answered(&mut self, id: u64, build: Option<&str>) {
        self.suspended.remove(&id);
        self.questions.retain(|question| question.id != id);
        let waits = |build: &str| self.questions.iter().any(|question| &*question.build == build);
        if let Some(build) = build.filter(|build| !waits(build)) {
            self.set_condition(build, Condition::Asking, Condition::Running);
        }
    }

    fn set_condition(&mut self, build: &str, from: Condition, to: Condition) {
        if let Some(build) = self.builds.iter_mut().find(|known| &*known.name == build)
            && build.condition == from
        {
            build.condition = to;
        }
    }

    /// Numbers of the questions about the same failure of the same step, with the same choices; this one among them.
    pub fn same_questions(&self, id: u64) -> Vec<u64> {
        let Some(one) = self.questions.iter().find(|question| question.id == id) else { return Vec::new() };
        let failure = |question: &Question| match &question.reason {
            Reason::Failed { failure, .. } => Some(failure.message.clone()),
            Reason::Pause { .. } => None,
        };
        let same = |other: &&Question| {
            other.id == id
                || (other.step == one.step
                    && other.choices == one.choices
                    && other.resume_from == one.resume_from
                    && failure(other).is_some()
                    && failure(other) == failure(one))
        };
        self.questions.iter().filter(same).map(|question| question.id).collect()
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { run, builds, net, .. } => {
                let messages = std::mem::take(&mut self.messages);
                *self = Self {
                    id: run.clone(),
                    net: net.clone(),
                    started: Some(event.time),
                    builds: builds.iter().map(|name| Build::new(name)).collect(),
                    messages,
                    ..Self::default()
                };
            }
            EventKind::RunFinished { seconds, cancelled, .. } => {
                self.seconds = Some(*seconds);
                self.cancelled.clone_from(cancelled);
            }
            EventKind::Question { question } => self.asked((**question).clone()),
            EventKind::Deadline { id, deadline } => self.postponed(*id, *deadline),
            EventKind::Answered { id, .. } => self.answered(*id, event.build.as_deref()),
            EventKind::Flow { flow } => self.flow(flow, event.step_index),
            EventKind::Warning { text } => self.note(event.time, Severity::Warning, event.build.clone(), text.clone()),
            EventKind::Message { .. }
            | EventKind::Stdout { .. }
            | EventKind::Stderr { .. }
            | EventKind::Scan { .. } => {}
            kind => self.build_event(event, kind),
        }
    }

    fn build_event(&mut self, event: &Event, kind: &EventKind) {
        let Some(name) = &event.build else { return };
        let Some(build) = self.builds.iter_mut().find(|build| build.name == *name) else { return };
        match kind {
            EventKind::BuildStarted { builder_type, log } => {
                build.builder_type.clone_from(builder_type);
                build.log = Some(log.clone());
                build.condition = Condition::Running;
                build.started = Some(event.time);
            }
            EventKind::StepStarted { index, name, attempt } => {
                build.progress = None;
                build.condition = Condition::Running;
                build.steps.push(Step {
                    index: *index,
                    name: name.clone(),
                    attempt: *attempt,
                    condition: Condition::Running,
                    started: event.time,
                    seconds: None,
                    requests: (0, 0),
                    bytes: (0, 0),
                });
            }
            EventKind::StepFinished { index, ending, seconds, .. } => {
                build.progress = None;
                if let Some(step) = build.steps.iter_mut().rev().find(|step| step.index == *index) {
                    step.condition = (*ending).into();
                    step.seconds = Some(*seconds);
                }
            }
            EventKind::Progress { what, done, total } => {
                build.progress = Some(Progress { what: what.clone(), done: *done, total: *total });
            }
            EventKind::BuildFinished { ending, seconds, failure, artifacts, left, marks, .. } => {
                build.condition = (*ending).into();
                build.seconds = Some(*seconds);
                build.progress = None;
                build.failure.clone_from(failure);
                build.artifacts.clone_from(artifacts);
                build.left.clone_from(left);
                build.marks.clone_from(marks);
                self.finished(event, name, failure.as_ref());
            }
            _ => {}
        }
    }

    fn finished(&mut self, event: &Event, build: &Arc<str>, failure: Option<&Failure>) {
        self.questions.retain(|question| question.build != *build);
        let (severity, text) = match failure {
            None => (Severity::Info, "done".to_owned()),
            Some(failure) => (Severity::Error, failure.message.clone()),
        };
        self.note(event.time, severity, Some(build.clone()), text);
    }

    fn flow(&mut self, flow: &Flow, step: Option<usize>) {
        use larder_proxy::flow::Outcome;
        let build = self.builds.iter_mut().find(|build| build.name == flow.identity.build);
        let step = build.and_then(|build| build.steps.iter_mut().rev().find(|known| Some(known.index) == step));
        if let Some(step) = step {
            let hit = matches!(flow.outcome, Outcome::Hit | Outcome::Coalesced | Outcome::Revalidated | Outcome::Stale);
            step.requests.0 += 1;
            step.requests.1 += u64::from(hit);
            step.bytes.0 += flow.bytes_cache;
            step.bytes.1 += flow.bytes_upstream;
        }
        if self.flows.len() == FLOWS {
            self.flows.pop_front();
        }
        self.flows.push_back(Box::new(flow.clone()));
    }
}
