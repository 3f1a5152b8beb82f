//! The machine: the builder's first steps, the provisioners, the builder's last steps.

use super::deciding::{Failed, Verdict};
use super::{BuildRun, Provisioning, cancelled, closing};
use crate::engine::component::{Context, Step};
use crate::engine::job::ProvisionerJob;
use crate::engine::provision::stoppable;
use crate::engine::tracker::Tracked;
use crate::error::{Error, Result, chain};
use crate::event::Mark;

/// Where a build goes from here.
enum Next {
    /// On.
    On,
    /// Back to the provisioner in this place.
    Back(usize),
}

impl BuildRun<'_> {
    pub(super) async fn make(&mut self) -> Result<()> {
        let steps = self.job.builder.start_steps();
        // Provisioners come after these.
        let first = steps.len();
        for (index, step) in steps.into_iter().enumerate() {
            self.run_step(step, index, None).await?;
        }
        let started = self.started.len();
        let mut next = 0;
        loop {
            while next < self.job.provisioners.len() {
                let job = self.job.provisioners[next].clone();
                next = match self.run_provisioner(&job, next, first).await? {
                    Next::On => next + 1,
                    Next::Back(to) => to,
                };
            }
            match self.finish(first).await? {
                Next::On => return Ok(()),
                Next::Back(to) => {
                    next = to;
                    self.undo_down_to(started).await;
                }
            }
        }
    }

    async fn finish(&mut self, first: usize) -> Result<Next> {
        let after = first + self.job.provisioners.len();
        for (index, step) in self.job.builder.finish_steps().into_iter().enumerate() {
            if let Next::Back(to) = self.run_step(step, after + index, Some(first)).await? {
                return Ok(Next::Back(to));
            }
        }
        Ok(Next::On)
    }

    /// Undoes the steps after the first `count` that were started.
    async fn undo_down_to(&mut self, count: usize) {
        let context = closing(&self.job.context);
        while self.started.len() > count {
            if let Some(mut step) = self.started.pop() {
                step.cleanup(&context).await;
            }
        }
    }

    /// Runs a step of the builder until it succeeds, or is not to run again. `first` is the place of the first
    /// provisioner, for those steps from which the build can go back to one.
    async fn run_step(&mut self, mut step: Box<dyn Step>, index: usize, first: Option<usize>) -> Result<Next> {
        let name = step.name();
        loop {
            if self.cancel.is_cancelled() {
                return Err(cancelled(&self.cancel));
            }
            (self.job.on_step)(Some(&name));
            let tracked = self.tracker.start(index, &name);
            let context = self.step_context(&tracked);
            let again = tracked.attempt > 1;
            let result = stoppable(run_again(&mut *step, again, &context), &self.cancel, &name, &context.ui).await;
            self.tracker.finish(&tracked, self.ending(&result));
            let Err(error) = result else {
                self.started.push(step);
                self.pause(&tracked).await?;
                return Ok(Next::On);
            };
            let verdict = self.decide(Failed::step(&tracked, &error, self.resume_points(first, usize::MAX))).await;
            match verdict {
                Verdict::Retry => {}
                Verdict::From(to) => {
                    self.started.push(step);
                    return self.rewind(to, first.unwrap_or_default()).await;
                }
                Verdict::Skip | Verdict::Fail => {
                    self.started.push(step);
                    return Err(error);
                }
            }
        }
    }

    async fn run_provisioner(&mut self, job: &ProvisionerJob, place: usize, first: usize) -> Result<Next> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(cancelled(&self.cancel));
            }
            (self.job.on_step)(Some(&job.label));
            let tracked = self.tracker.start(first + place, &job.label);
            let context = self.step_context(&tracked);
            let replaced = self.replaced(&tracked);
            let provisioning = Provisioning { job, index: place, context: &context, cancel: &self.cancel, replaced };
            let result = provisioning.run(&mut *self.job.builder, &mut self.opened).await;
            self.tracker.finish(&tracked, self.ending(&result));
            self.unclosed = result.is_err();
            let Err(error) = result else {
                self.pause(&tracked).await?;
                return Ok(Next::On);
            };
            if job.continue_on_error && !self.cancel.is_cancelled() {
                context.ui.warn(&format!("continue_on_error: going on after {}", chain(&error)));
                self.close_failed().await;
                return Ok(Next::On);
            }
            match self.decide_provisioner(&tracked, &error, job, place, first).await {
                // A guest that did not come up leaves nothing to go on with.
                Verdict::Retry if self.opened.is_none() => self.close_failed().await,
                Verdict::Retry => {}
                Verdict::From(to) => {
                    self.close_failed().await;
                    return self.rewind(to, first).await;
                }
                Verdict::Skip => {
                    self.skip(&tracked).await?;
                    return Ok(Next::On);
                }
                Verdict::Fail => return Err(error),
            }
        }
    }

    async fn decide_provisioner(
        &mut self,
        tracked: &Tracked,
        error: &Error,
        job: &ProvisionerJob,
        place: usize,
        first: usize,
    ) -> Verdict {
        let communicator = self.opened.as_ref().and_then(|opened| opened.communicator.clone());
        let mut generated = self.job.context.generated.clone();
        generated.extend(communicator.iter().flat_map(|communicator| communicator.generated_data()));
        let scripts = || (job.make)(&generated).and_then(|provisioner| provisioner.scripts());
        let scripts = if self.asks() { self.copies(tracked, scripts) } else { Vec::new() };
        // Afresh means something where there is a guest to throw away.
        let last = if communicator.is_some() { place + 1 } else { place };
        let resume_from = self.resume_points(Some(first), last);
        let failed = Failed { skip: true, scripts, communicator, ..Failed::step(tracked, error, resume_from) };
        self.decide(failed).await
    }

    /// Goes on as if the step had succeeded, with what it wrote so far.
    async fn skip(&mut self, tracked: &Tracked) -> Result<()> {
        (self.opened, self.unclosed) = (None, false);
        self.marks.push(Mark::Skipped { step_index: tracked.index, step: tracked.name.clone() });
        self.job.builder.close(true, &closing(&self.job.context)).await
    }

    async fn rewind(&mut self, to: usize, first: usize) -> Result<Next> {
        let target = first + to;
        self.marks.retain(|mark| match mark {
            Mark::Skipped { step_index, .. } | Mark::Edited { step_index, .. } => *step_index < target,
        });
        self.job.builder.rewind(to, &closing(&self.job.context)).await?;
        Ok(Next::Back(to))
    }
}

/// Runs a step; if it has run before, undoes first what stands in the way.
async fn run_again(step: &mut dyn Step, again: bool, context: &Context) -> Result<()> {
    if again {
        step.reset(context).await?;
    }
    step.run(context).await
}
