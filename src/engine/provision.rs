//! One provisioner with its pause, timeout and retries.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, Cause};
use super::component::{Builder, Communicator, Context, Replaced, Ui};
use super::job::ProvisionerJob;
use super::ui::duration;
use crate::error::{Error, Result, chain};

/// How long work that was cancelled has to stop, before it is given up.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The guest of a provisioner. It stays open after a failure, until it is decided what becomes of it.
pub(super) struct Opened {
    /// The way to reach it; `None` where the builder has no machine.
    pub(super) communicator: Option<Arc<dyn Communicator>>,
}

/// What a provisioner is run with.
pub(super) struct Provisioning<'a> {
    /// What is run.
    pub(super) job: &'a ProvisionerJob,
    /// Its place.
    pub(super) index: usize,
    /// What it is given.
    pub(super) context: &'a Context,
    /// Ends it.
    pub(super) cancel: &'a Cancel,
    /// What runs in the place of its scripts.
    pub(super) replaced: Replaced,
}

impl Provisioning<'_> {
    /// Runs the provisioner, again up to `max_retries` times while it fails, in the guest that is open or in a new
    /// one. Of several failures the first is returned, as Packer does. After a failure the guest is `opened`.
    pub(super) async fn run(&self, builder: &mut dyn Builder, opened: &mut Option<Opened>) -> Result<()> {
        let Self { job, context, cancel, .. } = self;
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
            let error = match self.attempt(builder, opened).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let again = left > 0 && !cancel.is_cancelled();
            if again {
                let error = chain(&error);
                context.ui.warn(&format!("Provisioner failed with {error:?}, retrying with {left} trie(s) left"));
                *opened = None;
                builder.close(false, &closing(context)).await?;
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

    async fn attempt(&self, builder: &mut dyn Builder, opened: &mut Option<Opened>) -> Result<()> {
        let cancel = self.cancel.child();
        let mut context = Context { cancel: cancel.token().clone(), ..self.context.clone() };
        let communicator = if let Some(opened) = &*opened {
            opened.communicator.clone()
        } else {
            let opening = builder.open(self.index, &self.job.label, &context);
            let communicator = stoppable(opening, &cancel, "opening the guest", &context.ui).await?;
            *opened = Some(Opened { communicator: communicator.clone() });
            communicator
        };
        self.work(&mut context, communicator, &cancel).await?;
        *opened = None;
        builder.close(true, &closing(&context)).await
    }

    async fn work(
        &self,
        context: &mut Context,
        communicator: Option<Arc<dyn Communicator>>,
        cancel: &Cancel,
    ) -> Result<()> {
        let job = self.job;
        if let Some(communicator) = &communicator {
            context.generated.extend(communicator.generated_data());
        }
        context.pause = context.pause.take().map(|pause| pause.with_guest(communicator.clone()));
        let mut provisioner = (job.make)(&context.generated)?;
        provisioner.replace_scripts(self.replaced.clone());
        let run = stoppable(provisioner.provision(context, communicator.as_deref()), cancel, &job.label, &context.ui);
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
}

/// The context of closing a machine, which has a token of its own: what the provisioner did up to its end is kept or
/// dropped in order also when it timed out or was cancelled.
pub(super) fn closing(context: &Context) -> Context {
    Context { cancel: CancellationToken::new(), ..context.clone() }
}

/// Waits for work that ends soon once `cancel` has fired; if it does not, gives it up.
pub(super) async fn stoppable<T>(
    work: impl Future<Output = Result<T>>,
    cancel: &Cancel,
    name: &str,
    ui: &Ui,
) -> Result<T> {
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return result,
        () = cancel.token().cancelled() => {}
    }
    tokio::select! {
        result = &mut work => result,
        () = tokio::time::sleep(STOP_LIMIT) => {
            ui.warn(&format!("{name} did not stop within {}, and is given up", duration(STOP_LIMIT)));
            Err(cancelled(cancel))
        }
    }
}

/// The error of work that was cancelled.
pub(super) fn cancelled(cancel: &Cancel) -> Error {
    Error::new(cancel.cause().map_or_else(|| "cancelled".to_owned(), |cause| cause.to_string()))
}
