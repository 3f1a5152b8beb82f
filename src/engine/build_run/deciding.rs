//! What becomes of a step that failed: asked, where `-on-error=ask` says so.

use std::path::PathBuf;
use std::sync::Arc;

use super::{BuildRun, failure};
use crate::engine::asker::Draft;
use crate::engine::component::{Communicator, Replaced, ScriptText};
use crate::engine::edits::Edits;
use crate::engine::on_error::OnError;
use crate::engine::tracker::Tracked;
use crate::error::{Error, Result, chain};
use crate::event::Mark;
use crate::event::question::{Answer, Choice, Reason, ResumePoint, Script};

/// A step that failed, and what can be done about it besides running it again.
pub(super) struct Failed<'a> {
    pub(super) step: &'a Tracked,
    pub(super) error: &'a Error,
    /// Provisioners to go back to: their places among provisioners, and as steps.
    pub(super) resume_from: Vec<(usize, ResumePoint)>,
    /// Whether the build can do without it.
    pub(super) skip: bool,
    /// Whether what there is can be left as it is.
    pub(super) keep: bool,
    pub(super) scripts: Vec<Script>,
    /// The guest, which is open.
    pub(super) communicator: Option<Arc<dyn Communicator>>,
}

impl<'a> Failed<'a> {
    /// A step that cannot be skipped, and has no guest or scripts.
    pub(super) fn step(step: &'a Tracked, error: &'a Error, resume_from: Vec<(usize, ResumePoint)>) -> Self {
        Self { step, error, resume_from, skip: false, keep: true, scripts: Vec::new(), communicator: None }
    }

    fn choices(&self, keep: bool) -> Vec<Choice> {
        let offered = [
            (Choice::Retry, true),
            (Choice::RetryFrom, !self.resume_from.is_empty()),
            (Choice::Edit, !self.scripts.is_empty()),
            (Choice::Shell, self.communicator.is_some()),
            (Choice::Skip, self.skip),
            (Choice::Cleanup, true),
            (Choice::Keep, keep),
        ];
        offered.into_iter().filter_map(|(choice, offered)| offered.then_some(choice)).collect()
    }
}

/// What becomes of it.
pub(super) enum Verdict {
    /// It runs again.
    Retry,
    /// The build goes back to the provisioner in this place.
    From(usize),
    /// The build goes on without it.
    Skip,
    /// The build ends.
    Fail,
}

impl BuildRun<'_> {
    /// Whether the failure of a step is a question.
    pub(super) fn asks(&self) -> bool {
        self.options.on_error == OnError::Ask && !self.cancel.is_cancelled()
    }

    pub(super) async fn decide(&mut self, failed: Failed<'_>) -> Verdict {
        if !self.asks() {
            return Verdict::Fail;
        }
        let ui = &self.job.context.ui;
        let lines = ui.last_lines();
        let keep = failed.keep && self.job.builder.can_leave() && !self.started.is_empty();
        let attempt = failed.step.attempt;
        let draft = Draft {
            step: failed.step.name.clone(),
            step_index: failed.step.index,
            reason: Reason::Failed { attempt, failure: failure(failed.error), lines },
            choices: failed.choices(keep),
            timeout: self.options.ask_timeout,
            resume_from: failed.resume_from.iter().map(|(_, point)| point.clone()).collect(),
            scripts: failed.scripts,
        };
        let answer = self.asker.ask(draft, failed.communicator).await;
        if matches!(answer, Answer::Retry | Answer::RetryFrom { .. }) {
            (self.options.before_retry)();
        }
        match answer {
            _ if self.cancel.is_cancelled() => Verdict::Fail,
            Answer::Retry => Verdict::Retry,
            Answer::RetryFrom { step_index } => {
                let found = failed.resume_from.iter().find(|(_, point)| point.step_index == step_index);
                found.map_or(Verdict::Fail, |(place, _)| Verdict::From(*place))
            }
            Answer::Skip => Verdict::Skip,
            Answer::Keep => {
                self.decided = Some(OnError::Abort);
                Verdict::Fail
            }
            Answer::Continue | Answer::Cleanup => {
                self.decided = Some(OnError::Cleanup);
                Verdict::Fail
            }
        }
    }

    /// The provisioners before place `last`, where `first` is the first one's place among all steps.
    pub(super) fn resume_points(&self, first: Option<usize>, last: usize) -> Vec<(usize, ResumePoint)> {
        let Some(first) = first else { return Vec::new() };
        let point = |(place, label): (usize, &String)| {
            (place, ResumePoint { step_index: first + place, step: label.as_str().into() })
        };
        self.job.provisioners.iter().map(|job| &job.label).enumerate().take(last).map(point).collect()
    }

    /// Copies of the step's scripts, written the first time that it fails.
    pub(super) fn copies(&mut self, step: &Tracked, scripts: impl FnOnce() -> Result<Vec<ScriptText>>) -> Vec<Script> {
        if !self.edits.contains_key(&step.index) {
            match scripts().and_then(|scripts| Edits::write(scripts, &self.copies_directory(), step.index)) {
                Ok(edits) => drop(self.edits.insert(step.index, edits)),
                Err(error) => self.job.context.ui.warn(&chain(&error)),
            }
        }
        self.edits.get(&step.index).map(Edits::scripts).unwrap_or_default()
    }

    /// Beside the build's log.
    fn copies_directory(&self) -> PathBuf {
        self.job.log.with_extension("scripts")
    }

    /// What runs in the place of the step's scripts; said and marked.
    pub(super) fn replaced(&mut self, step: &Tracked) -> Replaced {
        let Some(edits) = self.edits.get(&step.index) else { return Vec::new() };
        for Script { name, path } in edits.edited() {
            self.job.context.ui.say(&format!("Running an edited copy of {name}: {}", path.display()));
            let (step_index, step) = (step.index, step.name.clone());
            let mark = Mark::Edited { step_index, step, script: name, path };
            if !self.marks.contains(&mark) {
                self.marks.push(mark);
            }
        }
        edits.replaced()
    }
}
