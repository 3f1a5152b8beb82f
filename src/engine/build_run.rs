//! One build from its first step to its artifacts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::artifact::Artifact;
use super::asker::{Asker, Pause};
use super::cancel::Cancel;
use super::component::{Context, Step};
use super::control::{Control, Slot};
use super::edits::Edits;
use super::job::{BuildJob, ProvisionerJob, RunOptions};
use super::on_error::OnError;
use super::provision::{Opened, Provisioning, cancelled, closing};
use super::tracker::{Tracked, Tracker};
use super::ui::duration;
use crate::error::{Error, Exit, Result, chain};
use crate::event::{ArtifactLine, Ending, EventKind, Events, Failure, Mark};

mod deciding;
mod machine;
mod post_processing;

/// How a build ended.
#[derive(Debug)]
pub struct BuildOutcome {
    /// Name of the build.
    pub name: Arc<str>,
    /// How it ended.
    pub ending: Ending,
    /// Exit code its failure asks for.
    pub exit: Exit,
    /// In what it was not made as its template says.
    pub marks: Vec<Mark>,
    /// Whether something was left on the machine on purpose.
    pub kept: bool,
}

/// What a build has to do with the run it is part of.
pub(super) struct Place {
    /// Steers the run.
    pub(super) control: Control,
    /// Ends this build.
    pub(super) cancel: Cancel,
    /// Its number in the plan.
    pub(super) number: usize,
    /// Its place among those that run.
    pub(super) slot: Slot,
}

/// Runs the build to its end, whatever happens, and says how it ended.
pub(super) async fn run_build(job: BuildJob, place: Place, options: &RunOptions, events: &Events) -> BuildOutcome {
    let name = job.name.clone();
    let began = Instant::now();
    events.emit(
        Some(&name),
        EventKind::BuildStarted { builder_type: job.context.builder_type.clone(), log: job.log.clone() },
    );
    let Place { control, cancel, number, slot } = place;
    let asker = Asker::new(control.clone(), events.clone(), name.clone(), number, cancel.clone(), slot);
    let tracker = Tracker::new(events.clone(), name.clone(), job.context.ui.clone());
    let mut run = BuildRun {
        job,
        control,
        cancel,
        options,
        tracker,
        asker,
        started: Vec::new(),
        opened: None,
        unclosed: false,
        decided: None,
        edits: BTreeMap::new(),
        marks: Vec::new(),
        left: Vec::new(),
    };
    let result = run.run().await;
    let (ending, failure, artifacts, exit) = match result {
        Ok(artifacts) => (Ending::Succeeded, None, artifacts, Exit::Success),
        Err((error, artifacts)) => {
            let ending = if run.cancel.is_cancelled() { Ending::Cancelled } else { Ending::Failed };
            (ending, Some(failure(&error)), artifacts, error.exit_code())
        }
    };
    let (left, marks) = (run.left, run.marks);
    let kept = !left.is_empty();
    events.emit(
        Some(&name),
        EventKind::BuildFinished {
            ending,
            seconds: began.elapsed().as_secs_f64(),
            failure,
            artifacts: artifacts.iter().map(artifact_line).collect(),
            left,
            marks: marks.clone(),
            exit_code: exit_code(exit, &marks),
        },
    );
    BuildOutcome { name, ending, exit, marks, kept }
}

/// The exit code that a build asks for. One with a step that failed and was skipped is not what was asked for.
fn exit_code(exit: Exit, marks: &[Mark]) -> u8 {
    let skipped = marks.iter().any(|mark| matches!(mark, Mark::Skipped { .. }));
    if exit == Exit::Success && skipped { Exit::Failure as u8 } else { exit as u8 }
}

fn failure(error: &Error) -> Failure {
    Failure { message: chain(error), hints: error.hints().to_vec() }
}

fn artifact_line(artifact: &Artifact) -> ArtifactLine {
    ArtifactLine {
        builder_id: artifact.builder_id.clone(),
        id: artifact.id.clone(),
        description: artifact.description.clone(),
        files: artifact.files.clone(),
    }
}

struct BuildRun<'a> {
    job: BuildJob,
    control: Control,
    cancel: Cancel,
    options: &'a RunOptions,
    tracker: Tracker,
    asker: Asker,
    /// Steps whose `run` was called, in order.
    started: Vec<Box<dyn Step>>,
    /// The guest of the provisioner under way, or of one that failed.
    opened: Option<Opened>,
    /// Whether a provisioner has failed, and what it had opened is not closed.
    unclosed: bool,
    /// What a person has said of a failure, in the place of `-on-error`.
    decided: Option<OnError>,
    /// Copies of scripts, by the place of their step.
    edits: BTreeMap<usize, Edits>,
    marks: Vec<Mark>,
    /// What was left on the machine on purpose.
    left: Vec<String>,
}

impl BuildRun<'_> {
    /// The artifacts, also those made before a failure.
    async fn run(&mut self) -> Result<Vec<Artifact>, (Error, Vec<Artifact>)> {
        let made = self.make().await;
        match &made {
            Ok(()) => self.undo_steps().await,
            Err(error) => {
                self.job.context.ui.warn(&chain(error));
                self.after_failure().await;
            }
        }
        (self.job.on_step)(None);
        match made {
            Err(error) => Err((error, Vec::new())),
            Ok(()) => match self.job.builder.artifact() {
                None => Ok(Vec::new()),
                Some(artifact) => self.post_process(artifact).await,
            },
        }
    }

    fn ending<T>(&self, result: &Result<T>) -> Ending {
        match result {
            Ok(_) => Ending::Succeeded,
            Err(_) if self.cancel.is_cancelled() => Ending::Cancelled,
            Err(_) => Ending::Failed,
        }
    }

    fn context(&self, cancel: CancellationToken) -> Context {
        Context { cancel, marks: self.marks.clone(), ..self.job.context.clone() }
    }

    /// What the work of a step is given.
    fn step_context(&self, step: &Tracked) -> Context {
        let pause = Pause::new(self.asker.clone(), step.name.clone(), step.index);
        let pause = self.options.attended.then_some(pause);
        Context { pause, ..self.context(self.cancel.token().clone()) }
    }

    /// With `-debug`, waits for the person after each step.
    async fn pause(&self, step: &Tracked) -> Result<()> {
        match self.step_context(step).pause {
            Some(pause) if self.job.context.debug => {
                pause.wait(&format!("Pausing after run of step '{}'.", step.name)).await
            }
            _ => Ok(()),
        }
    }

    /// The error-cleanup-provisioner and the undoing of steps, as `-on-error` or a person has it.
    async fn after_failure(&mut self) {
        let on_error = match (self.cancel.is_cancelled(), self.decided) {
            (true, _) if self.control.keeps(&self.job.name) => OnError::Abort,
            (true, _) => OnError::Cleanup,
            (false, Some(decided)) => decided,
            (false, None) => self.options.on_error,
        };
        let error_cleanup = self.job.error_cleanup.clone();
        if let (true, false, Some(job)) = (on_error.runs_provisioner(), self.started.is_empty(), error_cleanup) {
            self.close_failed().await;
            self.run_error_cleanup(&job).await;
        }
        if on_error.cleans_up() {
            self.close_failed().await;
            self.undo_steps().await;
        } else {
            self.leave().await;
        }
    }

    /// Throws away what the provisioner that failed wrote.
    async fn close_failed(&mut self) {
        self.opened = None;
        if !std::mem::take(&mut self.unclosed) {
            return;
        }
        let context = closing(&self.job.context);
        if let Err(error) = self.job.builder.close(false, &context).await {
            context.ui.warn(&chain(&error));
        }
    }

    /// Undoes nothing, and says what there is to look at.
    async fn leave(&mut self) {
        let context = closing(&self.job.context);
        for step in &self.started {
            context.ui.say(&format!("aborted: skipping cleanup of step {:?}", step.name()));
        }
        for line in self.job.builder.leave(&context).await {
            context.ui.say(&line);
        }
        (self.opened, self.unclosed) = (None, false);
        self.left = (self.job.leftovers)();
    }

    async fn run_error_cleanup(&mut self, job: &ProvisionerJob) {
        self.job.context.ui.say("Running the error-cleanup-provisioner");
        let name = format!("error-cleanup: {}", job.label);
        (self.job.on_step)(Some(&name));
        let step = self.tracker.start(self.tracker.next(), &name);
        // A token of its own: clean-up runs also when the build was cancelled, but not for ever.
        let cancel = Cancel::root();
        let context = self.context(cancel.token().clone());
        let limit = job.timeout.unwrap_or(self.options.cleanup_limit);
        let job = ProvisionerJob { timeout: Some(limit), ..job.clone() };
        let index = self.job.provisioners.len();
        let provisioning = Provisioning { job: &job, index, context: &context, cancel: &cancel, replaced: Vec::new() };
        let result = provisioning.run(&mut *self.job.builder, &mut self.opened).await;
        if let Err(error) = &result {
            context.ui.warn(&format!("the error-cleanup-provisioner failed: {}", chain(error)));
            self.unclosed = true;
            self.close_failed().await;
        }
        let ending = if result.is_ok() { Ending::Succeeded } else { Ending::Failed };
        self.tracker.finish(&step, ending);
    }

    /// Undoes every started step, the last first, under a token of its own with a limit.
    async fn undo_steps(&mut self) {
        let limit = self.options.cleanup_limit;
        let token = CancellationToken::new();
        let context = self.context(token.clone());
        let undo = async {
            self.job.builder.abandon(&context).await;
            while let Some(mut step) = self.started.pop() {
                step.cleanup(&context).await;
            }
        };
        tokio::pin!(undo);
        tokio::select! {
            () = &mut undo => {}
            () = tokio::time::sleep(limit) => {
                token.cancel();
                context.ui.warn(&format!(
                    "clean-up did not end within {}; `larder ps` lists what is left, `larder cleanup` removes it",
                    duration(limit)
                ));
            }
        }
    }
}
