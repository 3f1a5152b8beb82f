//! The chains of post-processors, by Packer's rules for what is kept (`packer/build.go`).

use super::artifact::Artifact;
use super::component::{Context, PostProcessed};
use super::job::{PostProcessorJob, Remove};
use crate::error::{Error, Result, chain};

/// What the chains came to.
pub(super) struct Processed {
    /// The artifacts that stay, the builder's own first.
    pub(super) artifacts: Vec<Artifact>,
    /// The failures of chains; the other chains ran all the same.
    pub(super) errors: Vec<Error>,
}

/// What became of a post-processor.
pub(super) enum Ran {
    /// What it made, with whether its input stays.
    Done(PostProcessed),
    /// It failed, and a person has said that its chain ends before it.
    Skipped,
}

/// Runs one post-processor as a step of the build.
pub(super) trait RunPostProcessor {
    /// Does so.
    async fn run(&mut self, job: &PostProcessorJob, input: &Artifact) -> Result<Ran>;

    /// Whether a person has said that the build is to stop.
    fn is_stopped(&self) -> bool;
}

/// Runs every chain on the builder's artifact.
pub(super) async fn post_process(
    chains: &[Vec<PostProcessorJob>],
    builder_artifact: Artifact,
    context: &Context,
    remove: &Remove,
    runner: &mut impl RunPostProcessor,
) -> Processed {
    let mut artifacts = Vec::new();
    let mut errors = Vec::new();
    let mut keep_original = chains.is_empty();
    for chain_jobs in chains {
        if context.cancel.is_cancelled() || runner.is_stopped() {
            keep_original = true;
            break;
        }
        match run_chain(chain_jobs, &builder_artifact, context, remove, runner).await {
            Ok(chain) => {
                keep_original |= chain.keep_original;
                artifacts.extend(chain.artifacts);
                errors.extend(chain.error);
            }
            Err(error) => errors.push(error),
        }
    }
    // Unlike Packer, a failed chain never costs the builder's artifact: nothing is lost.
    if keep_original || !errors.is_empty() {
        artifacts.insert(0, builder_artifact);
    } else {
        destroy(&builder_artifact, &artifacts, context, remove);
    }
    Processed { artifacts, errors }
}

struct Chain {
    keep_original: bool,
    artifacts: Vec<Artifact>,
    error: Option<Error>,
}

async fn run_chain(
    jobs: &[PostProcessorJob],
    builder_artifact: &Artifact,
    context: &Context,
    remove: &Remove,
    runner: &mut impl RunPostProcessor,
) -> Result<Chain> {
    let mut kept = Chain { keep_original: false, artifacts: Vec::new(), error: None };
    let mut prior: Option<Artifact> = None;
    for job in jobs {
        let input = prior.as_ref().unwrap_or(builder_artifact);
        let processed = match runner.run(job, input).await {
            Ok(Ran::Done(processed)) => processed,
            Ok(Ran::Skipped) => {
                kept.keep_original |= prior.is_none();
                break;
            }
            Err(error) => {
                kept.error = Some(error);
                break;
            }
        };
        let Some(artifact) = processed.artifact else { break };
        let keep = match job.keep_input {
            Some(false) if processed.force_keep => {
                context.ui.warn(&format!(
                    "{}: keep_input_artifact = false is ignored, since what it makes depends on its input",
                    job.label
                ));
                true
            }
            Some(keep) => keep,
            None => processed.keep_input,
        };
        match prior.take() {
            None => kept.keep_original |= keep,
            Some(before) if keep => kept.artifacts.push(before),
            Some(before) => destroy(&before, std::slice::from_ref(&artifact), context, remove),
        }
        prior = Some(artifact);
    }
    kept.artifacts.extend(prior);
    Ok(kept)
}

/// Removes the files of an artifact that none of those kept has.
fn destroy(artifact: &Artifact, kept: &[Artifact], context: &Context, remove: &Remove) {
    for file in artifact.files.iter().filter(|file| !kept.iter().any(|kept| kept.files.contains(file))) {
        if let Err(error) = remove(file) {
            context.ui.warn(&format!("cannot remove {}: {}", file.display(), chain(&error)));
        }
    }
}
