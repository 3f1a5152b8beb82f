//! One provisioner with its pause, timeout and retries.

use std::sync::Arc;

use super::cancel::{Cancel, Cause};
use super::component::{Builder, Communicator, Context};
use super::job::ProvisionerJob;
use super::ui::duration;
use crate::error::{Error, Result, chain};

/// Runs the provisioner in place `index`, again up to `max_retries` times while it fails. Of several failures
/// the first is returned, as Packer does.
pub(super) async fn provision(
    builder: &mut dyn Builder,
    job: &ProvisionerJob,
    index: usize,
    context: &Context,
    cancel: &Cancel,
) -> Result<()> {
    let mut first = None;
    for left in (0..=job.max_retries).rev() {
        if !job.pause_before.is_zero() {
            context.ui.say(&format!("Pausing {} before the provisioner {}", duration(job.pause_before), job.label));
            tokio::select! {
                () = tokio::time::sleep(job.pause_before) => {}
                () = cancel.token().cancelled() => {}
            }
        }
        if cancel.is_cancelled() {
            return Err(first.unwrap_or_else(|| cancelled(cancel)));
        }
        let error = match attempt(builder, job, index, context, cancel).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let again = left > 0 && !cancel.is_cancelled();
        if again {
            context.ui.warn(&format!("Provisioner failed with {:?}, retrying with {left} trie(s) left", chain(&error)));
        } else if job.max_retries > 0 && !cancel.is_cancelled() {
            context.ui.warn("retry limit reached.");
        }
        first.get_or_insert(error);
        if !again {
            break;
        }
    }
    Err(first.unwrap_or_else(|| cancelled(cancel)))
}

async fn attempt(
    builder: &mut dyn Builder,
    job: &ProvisionerJob,
    index: usize,
    context: &Context,
    cancel: &Cancel,
) -> Result<()> {
    let cancel = cancel.child();
    let mut context = Context { cancel: cancel.token().clone(), ..context.clone() };
    let communicator = builder.open(index, &job.label, &context).await?;
    let worked = work(job, &mut context, communicator, &cancel).await;
    // The machine is closed under the build's own token: what the provisioner did up to its end is kept or
    // dropped in order also when it timed out.
    let closing = Context { cancel: tokio_util::sync::CancellationToken::new(), ..context };
    let closed = builder.close(worked.is_ok(), &closing).await;
    worked.and(closed)
}

async fn work(
    job: &ProvisionerJob,
    context: &mut Context,
    communicator: Option<Arc<dyn Communicator>>,
    cancel: &Cancel,
) -> Result<()> {
    if let Some(communicator) = &communicator {
        context.generated.extend(communicator.generated_data());
    }
    let provisioner = (job.make)(&context.generated)?;
    let run = provisioner.provision(context, communicator.as_deref());
    let result = match job.timeout {
        None => run.await,
        Some(limit) => {
            tokio::pin!(run);
            tokio::select! {
                result = &mut run => result,
                () = tokio::time::sleep(limit) => {
                    cancel.cancel(Cause::Timeout(limit));
                    run.await
                }
            }
        }
    };
    match (result, cancel.cause()) {
        (_, Some(Cause::Timeout(limit))) => Err(Error::new(format!(
            "the provisioner {} did not end within its timeout of {}",
            job.label,
            duration(limit)
        ))
        .hint("raise `timeout`, or look in the build's log for what it waited for")),
        (Err(_), Some(_)) => Err(cancelled(cancel)),
        (result, _) => result,
    }
}

/// The error of work that was cancelled.
pub(super) fn cancelled(cancel: &Cancel) -> Error {
    Error::new(cancel.cause().map_or_else(|| "cancelled".to_owned(), |cause| cause.to_string()))
}
