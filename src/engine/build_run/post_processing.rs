//! The post-processors, each a step of the build.

use super::deciding::{Failed, Verdict};
use super::{BuildRun, cancelled};
use crate::engine::artifact::Artifact;
use crate::engine::component::{Context, PostProcessed, Replaced};
use crate::engine::job::PostProcessorJob;
use crate::engine::post_process::{Ran, RunPostProcessor, post_process};
use crate::engine::provision::stoppable;
use crate::error::{Error, Result, chain};
use crate::event::Mark;

impl BuildRun<'_> {
    pub(super) async fn post_process(&mut self, artifact: Artifact) -> Result<Vec<Artifact>, (Error, Vec<Artifact>)> {
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
    async fn run(&mut self, job: &PostProcessorJob, input: &Artifact) -> Result<Ran> {
        let name = format!("post-processor {}", job.label);
        let index = self.tracker.next();
        loop {
            if self.cancel.is_cancelled() {
                return Err(cancelled(&self.cancel));
            }
            (self.job.on_step)(Some(&name));
            let step = self.tracker.start(index, &name);
            let context = self.step_context(&step);
            let work = work(job, input, &context, self.replaced(&step));
            let result = stoppable(work, &self.cancel, &name, &context.ui).await.map_err(|error| {
                Error::new(format!("post-processor {} failed", job.label)).exit(error.exit_code()).caused_by(error)
            });
            self.tracker.finish(&step, self.ending(&result));
            let error = match result {
                Ok(processed) => return Ok(Ran::Done(processed)),
                Err(error) => error,
            };
            let generated = &context.generated;
            let scripts = || (job.make)(generated).and_then(|post_processor| post_processor.scripts());
            let scripts = if self.asks() { self.copies(&step, scripts) } else { Vec::new() };
            let failed = Failed { skip: true, keep: false, scripts, ..Failed::step(&step, &error, Vec::new()) };
            match self.decide(failed).await {
                Verdict::Retry => {}
                Verdict::Skip => {
                    self.marks.push(Mark::Skipped { step_index: step.index, step: step.name.clone() });
                    return Ok(Ran::Skipped);
                }
                Verdict::From(_) | Verdict::Fail => return Err(error),
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.decided.is_some()
    }
}

async fn work(
    job: &PostProcessorJob,
    input: &Artifact,
    context: &Context,
    replaced: Replaced,
) -> Result<PostProcessed> {
    let mut post_processor = (job.make)(&context.generated)?;
    post_processor.replace_scripts(replaced);
    post_processor.post_process(context, input).await
}
