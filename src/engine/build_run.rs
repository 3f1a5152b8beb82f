//! One build from its first step to its artifacts.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::artifact::Artifact;
use super::cancel::Cancel;
use super::component::{Context, PostProcessed, Step};
use super::job::{BuildJob, PostProcessorJob, RunOptions};
use super::post_process::{RunPostProcessor, post_process};
use super::provision::{cancelled, provision};
use super::ui::duration;
use crate::error::{Error, Exit, Result, chain};
use crate::event::{ArtifactLine, Ending, EventKind, Events, Failure};

/// How a build ended.
#[derive(Debug)]
pub struct BuildOutcome {
    /// Name of the build.
    pub name: Arc<str>,
    /// How it ended.
    pub ending: Ending,
    /// Exit code its failure asks for.
    pub exit: Exit,
}

/// Runs the build to its end, whatever happens, and says how it ended.
pub async fn run_build(job: BuildJob, cancel: Cancel, options: &RunOptions, events: &Events) -> BuildOutcome {
    let name = job.name.clone();
    let began = Instant::now();
    events.emit(
        Some(&name),
        EventKind::BuildStarted { builder_type: job.context.builder_type.clone(), log: job.log.clone() },
    );
    let mut run =
        BuildRun { job, cancel, options, tracker: StepTracker::new(events.clone(), name.clone()), started: Vec::new() };
    let (result, left) = run.run().await;
    let (ending, failure, artifacts, exit) = match result {
        Ok(artifacts) => (Ending::Succeeded, None, artifacts, Exit::Success),
        Err((error, artifacts)) => {
            let ending = if run.cancel.is_cancelled() { Ending::Cancelled } else { Ending::Failed };
            let failure = Failure { message: chain(&error), hints: error.hints().to_vec() };
            (ending, Some(failure), artifacts, error.exit_code())
        }
    };
    events.emit(
        Some(&name),
        EventKind::BuildFinished {
            ending,
            seconds: began.elapsed().as_secs_f64(),
            failure,
            artifacts: artifacts.iter().map(artifact_line).collect(),
            left,
        },
    );
    BuildOutcome { name, ending, exit }
}

fn artifact_line(artifact: &Artifact) -> ArtifactLine {
    ArtifactLine {
        builder_id: artifact.builder_id.clone(),
        id: artifact.id.clone(),
        description: artifact.description.clone(),
        files: artifact.files.clone(),
    }
}

/// Numbers, times and announces steps.
struct StepTracker {
    events: Events,
    build: Arc<str>,
    next: usize,
}

impl StepTracker {
    fn new(events: Events, build: Arc<str>) -> Self {
        Self { events, build, next: 0 }
    }

    fn start(&mut self, name: &str) -> (usize, Instant) {
        let index = self.next;
        self.next += 1;
        self.events.emit(Some(&self.build), EventKind::StepStarted { index, name: name.into() });
        (index, Instant::now())
    }

    fn finish(&self, (index, began): (usize, Instant), name: &str, ending: Ending) {
        let seconds = began.elapsed().as_secs_f64();
        self.events.emit(Some(&self.build), EventKind::StepFinished { index, name: name.into(), ending, seconds });
    }
}

struct BuildRun<'a> {
    job: BuildJob,
    cancel: Cancel,
    options: &'a RunOptions,
    tracker: StepTracker,
    /// Steps whose `run` was called, in order.
    started: Vec<Box<dyn Step>>,
}

impl BuildRun<'_> {
    /// The artifacts (also those made before a failure), and what was left on purpose.
    async fn run(&mut self) -> (Result<Vec<Artifact>, (Error, Vec<Artifact>)>, Vec<String>) {
        let made = self.make().await;
        let mut left = Vec::new();
        match &made {
            Ok(()) => self.undo_steps().await,
            Err(error) => {
                self.job.context.ui.warn(&chain(error));
                left = self.after_failure().await;
            }
        }
        (self.job.on_step)(None);
        let result = match made {
            Err(error) => Err((error, Vec::new())),
            Ok(()) => match self.job.builder.artifact() {
                None => Ok(Vec::new()),
                Some(artifact) => self.post_process(artifact).await,
            },
        };
        (result, left)
    }

    async fn make(&mut self) -> Result<()> {
        let steps = self.job.builder.start_steps();
        self.run_steps(steps).await?;
        for index in 0..self.job.provisioners.len() {
            let job = self.job.provisioners[index].clone();
            self.run_provisioner(&job, index).await?;
        }
        let steps = self.job.builder.finish_steps();
        self.run_steps(steps).await
    }

    async fn run_steps(&mut self, steps: Vec<Box<dyn Step>>) -> Result<()> {
        for mut step in steps {
            let name = step.name();
            if self.cancel.is_cancelled() {
                return Err(cancelled(&self.cancel));
            }
            (self.job.on_step)(Some(&name));
            let began = self.tracker.start(&name);
            let context = self.context(self.cancel.token().clone());
            let result = step.run(&context).await;
            self.started.push(step);
            self.ended(began, &name, &result);
            result?;
            self.pause(&name).await;
        }
        Ok(())
    }

    async fn run_provisioner(&mut self, job: &super::job::ProvisionerJob, index: usize) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled(&self.cancel));
        }
        (self.job.on_step)(Some(&job.label));
        let began = self.tracker.start(&job.label);
        let context = self.context(self.cancel.token().clone());
        let result = provision(&mut *self.job.builder, job, index, &context, &self.cancel).await;
        self.ended(began, &job.label, &result);
        if let (Err(error), true, false) = (&result, job.continue_on_error, self.cancel.is_cancelled()) {
            context.ui.warn(&format!("continue_on_error: going on after {}", chain(error)));
            return Ok(());
        }
        if result.is_ok() {
            self.pause(&job.label).await;
        }
        result
    }

    fn ended(&self, began: (usize, Instant), name: &str, result: &Result<()>) {
        let ending = match result {
            Ok(()) => Ending::Succeeded,
            Err(_) if self.cancel.is_cancelled() => Ending::Cancelled,
            Err(_) => Ending::Failed,
        };
        self.tracker.finish(began, name, ending);
    }

    fn context(&self, cancel: CancellationToken) -> Context {
        Context { cancel, ..self.job.context.clone() }
    }

    /// With `-debug`, waits for the person after each step.
    async fn pause(&self, step: &str) {
        let context = &self.job.context;
        if let (true, Some(ask)) = (context.debug, &context.ask) {
            let prompt = format!("Pausing after run of step '{step}'. Press enter to continue.");
            tokio::select! {
                _ = ask.ask(&prompt) => {}
                () = self.cancel.token().cancelled() => {}
            }
        }
    }

    /// The error-cleanup-provisioner and the undoing of steps, as `-on-error` has it. Returns what is left.
    async fn after_failure(&mut self) -> Vec<String> {
        let on_error =
            if self.cancel.is_cancelled() { super::on_error::OnError::Cleanup } else { self.options.on_error };
        if let (true, Some(job)) =
            (on_error.runs_provisioner() && !self.started.is_empty(), self.job.error_cleanup.clone())
        {
            self.run_error_cleanup(&job).await;
        }
        if on_error.cleans_up() {
            self.undo_steps().await;
            return Vec::new();
        }
        for step in &self.started {
            self.job.context.ui.say(&format!("aborted: skipping cleanup of step {:?}", step.name()));
        }
        (self.job.leftovers)()
    }

    async fn run_error_cleanup(&mut self, job: &super::job::ProvisionerJob) {
        self.job.context.ui.say("Running the error-cleanup-provisioner");
        let name = format!("error-cleanup: {}", job.label);
        (self.job.on_step)(Some(&name));
        let began = self.tracker.start(&name);
        // A token of its own: clean-up runs also when the build was cancelled, but not for ever.
        let cancel = Cancel::root();
        let context = self.context(cancel.token().clone());
        let limit = job.timeout.unwrap_or(self.options.cleanup_limit);
        let job = super::job::ProvisionerJob { timeout: Some(limit), ..job.clone() };
        let index = self.job.provisioners.len();
        let result = provision(&mut *self.job.builder, &job, index, &context, &cancel).await;
        if let Err(error) = &result {
            context.ui.warn(&format!("the error-cleanup-provisioner failed: {}", chain(error)));
        }
        let ending = if result.is_ok() { Ending::Succeeded } else { Ending::Failed };
        self.tracker.finish(began, &name, ending);
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

    async fn post_process(&mut self, artifact: Artifact) -> Result<Vec<Artifact>, (Error, Vec<Artifact>)> {
        let context = self.context(self.cancel.token().clone());
        let chains = std::mem::take(&mut self.job.post_processors);
        let remove = self.options.remove.clone();
        let processed = post_process(&chains, artifact, &context, &remove, self).await;
        let mut errors = processed.errors.into_iter();
        match errors.next() {
            None if self.cancel.is_cancelled() => Err((cancelled(&self.cancel), processed.artifacts)),
            None => Ok(processed.artifacts),
            Some(first) => {
                for error in errors {
                    context.ui.warn(&chain(&error));
                }
                Err((first, processed.artifacts))
            }
        }
    }
}

impl RunPostProcessor for BuildRun<'_> {
    async fn run(&mut self, job: &PostProcessorJob, input: &Artifact) -> Result<PostProcessed> {
        if self.cancel.is_cancelled() {
            return Err(cancelled(&self.cancel));
        }
        let name = format!("post-processor {}", job.label);
        (self.job.on_step)(Some(&name));
        let began = self.tracker.start(&name);
        let context = self.context(self.cancel.token().clone());
        let result = async {
            let post_processor = (job.make)(&context.generated)?;
            post_processor.post_process(&context, input).await
        }
        .await
        .map_err(|error| {
            Error::new(format!("post-processor {} failed", job.label)).exit(error.exit_code()).caused_by(error)
        });
        let ending = if result.is_ok() { Ending::Succeeded } else { Ending::Failed };
        self.tracker.finish(began, &name, ending);
        result
    }
}
