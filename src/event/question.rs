//! Questions that builds wait with, as data: asked as events, answered from wherever somebody is.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::Failure;

/// What a build waits for somebody to decide.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Question {
    /// Number of the question, unique within the run.
    pub id: u64,
    /// Name of the build that waits.
    pub build: Arc<str>,
    /// Name of the step it is about.
    pub step: Arc<str>,
    /// Place of that step within its build, from 0.
    pub step_index: usize,
    /// Why it is asked.
    pub reason: Reason,
    /// What may be chosen, in the order shown.
    pub choices: Vec<Choice>,
    /// What holds when nobody answers: the deadline has passed, or the terminal is gone.
    pub default: Choice,
    /// When the default takes effect: RFC 3339, in UTC; absent if it is waited for without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("format" = "date-time")))]
    pub deadline: Option<jiff::Timestamp>,
    /// Earlier steps that can be begun again (`retry-from`), in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resume_from: Vec<ResumePoint>,
    /// Copies of the step's scripts, to be edited before `retry`; what is changed in them is what runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scripts: Vec<Script>,
}

/// Why a question is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// The step failed, and `-on-error=ask` is in force.
    Failed {
        /// Which attempt it was, from 1.
        attempt: u32,
        /// What went wrong.
        failure: Failure,
        /// The last lines that the step wrote.
        lines: Vec<String>,
    },
    /// A breakpoint, or `-debug`: the build pauses until somebody says to go on.
    Pause {
        /// What to say, in one line.
        note: String,
    },
}

/// A step that a build can go back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ResumePoint {
    /// Its place within its build, as of its last start.
    pub step_index: usize,
    /// Its name.
    pub step: Arc<str>,
}

/// A copy of a script, for editing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Script {
    /// What it is a copy of: a path as in the template, or `inline`.
    pub name: String,
    /// Where the copy is.
    pub path: PathBuf,
}

/// Something that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Run the step again; the guest stays as it is.
    Retry,
    /// Go back to an earlier step: what it and those after it did in the guest is undone first.
    RetryFrom,
    /// Edit the step's script, then run it again.
    Edit,
    /// Open a shell in the guest; its end comes back to the question.
    Shell,
    /// Go on after a pause.
    Continue,
    /// Go on as if the step had succeeded; the artifact is marked.
    Skip,
    /// Undo everything and end the build.
    Cleanup,
    /// End the build and leave the guest's files as they are.
    Keep,
}

/// An answer. Editing and a shell are not among them: they are done before a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "choice", rename_all = "kebab-case")]
pub enum Answer {
    /// Run the step again, with what was edited; the guest stays as it is.
    Retry,
    /// Go back to an earlier step, or run this one afresh.
    RetryFrom {
        /// One of the question's `resume_from`.
        step_index: usize,
    },
    /// Go on after a pause.
    Continue,
    /// Go on as if the step had succeeded; the artifact is marked.
    Skip,
    /// Undo everything and end the build.
    Cleanup,
    /// End the build and leave the guest's files as they are.
    Keep,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AnsweredBy {
    /// A person.
    Person,
    /// The deadline passed.
    Deadline,
    /// The terminal was closed, so that nobody is left to ask.
    TerminalLost,
    /// The build was cancelled.
    Cancelled,
}

impl Choice {
    /// The letter that chooses it, in prompts and in the terminal UI.
    pub const fn key(self) -> char {
        match self {
            Self::Retry => 'r',
            Self::RetryFrom => 'R',
            Self::Edit => 'e',
            Self::Shell => 's',
            Self::Continue => 'g',
            Self::Skip => 'k',
            Self::Cleanup => 'c',
            Self::Keep => 'A',
        }
    }

    /// What it does, in a few words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Retry => "retry this step; the guest stays as it is",
            Self::RetryFrom => "retry from an earlier step",
            Self::Edit => "edit the script, then retry",
            Self::Shell => "shell into the guest; exit comes back to this question",
            Self::Continue => "go on",
            Self::Skip => "skip this step and go on; the artifact is marked",
            Self::Cleanup => "clean up and stop this build",
            Self::Keep => "stop this build and keep what the guest has",
        }
    }
}

impl Answer {
    /// The choice that it is.
    pub const fn choice(self) -> Choice {
        match self {
            Self::Retry => Choice::Retry,
            Self::RetryFrom { .. } => Choice::RetryFrom,
            Self::Continue => Choice::Continue,
            Self::Skip => Choice::Skip,
            Self::Cleanup => Choice::Cleanup,
            Self::Keep => Choice::Keep,
        }
    }

    /// It in a word or two.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::RetryFrom { .. } => "retry from an earlier step",
            Self::Continue => "go on",
            Self::Skip => "skip",
            Self::Cleanup => "clean up",
            Self::Keep => "keep",
        }
    }
}

impl AnsweredBy {
    /// Who it was, in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "answered",
            Self::Deadline => "unanswered by its deadline",
            Self::TerminalLost => "the terminal is gone",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Question {
    /// Whether it offers the answer.
    pub fn offers(&self, answer: Answer) -> bool {
        let known = |step_index| self.resume_from.iter().any(|point| point.step_index == step_index);
        let from = if let Answer::RetryFrom { step_index } = answer { known(step_index) } else { true };
        from && self.choices.contains(&answer.choice())
    }

    /// What holds when nobody answers.
    pub fn default_answer(&self) -> Answer {
        if self.default == Choice::Continue { Answer::Continue } else { Answer::Cleanup }
    }

    /// Why it is asked, in one line.
    pub fn summary(&self) -> String {
        match &self.reason {
            Reason::Failed { failure, .. } => failure.message.lines().next().unwrap_or_default().to_owned(),
            Reason::Pause { note } => note.clone(),
        }
    }
}
