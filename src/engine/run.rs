//! All builds of a run, side by side.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::build_run::{BuildOutcome, Place, run_build};
use super::control::Control;
use super::job::{BuildJob, RunOptions};
use crate::error::Exit;
use crate::event::{Ending, EventKind, Events, SCHEMA_VERSION};

/// Runs the builds in the order given, as many at a time as `control` lets, and waits for all of them.
/// The caller emits `RunFinished` once the proxy, too, has ended.
pub async fn run(jobs: Vec<BuildJob>, options: RunOptions, control: Control, events: Events) -> Vec<BuildOutcome> {
    let names: Vec<Arc<str>> = jobs.iter().map(|job| job.name.clone()).collect();
    events.emit(
        None,
        EventKind::RunStarted {
            schema: SCHEMA_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: options.run.clone(),
            uuid: jobs.first().map(|job| job.context.run_uuid.clone()).unwrap_or_default(),
            builds: names.iter().map(ToString::to_string).collect(),
            net: options.net.clone(),
        },
    );
    let mut tasks = JoinSet::new();
    // All take their turns before the first runs: builds start in the order of the plan.
    let queue = jobs.into_iter().enumerate().map(|(place, job)| {
        let cancel = control.add_build(&job.name);
        (job, place, cancel, control.wait(true, place))
    });
    for (job, place, cancel, waiting) in queue.collect::<Vec<_>>() {
        let (options, control, events) = (options.clone(), control.clone(), events.clone());
        tasks.spawn(async move {
            let slot = tokio::select! {
                biased;
                () = cancel.token().cancelled() => return not_started(&events, job.name),
                slot = waiting.slot() => slot,
            };
            run_build(job, Place { control, cancel, number: place, slot }, &options, &events).await
        });
    }
    let mut outcomes = Vec::with_capacity(names.len());
    while let Some(outcome) = tasks.join_next().await {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    outcomes.sort_by_key(|outcome| names.iter().position(|name| *name == outcome.name));
    outcomes
}

/// A build that was cancelled before it had its turn.
fn not_started(events: &Events, name: Arc<str>) -> BuildOutcome {
    let ending = Ending::Cancelled;
    events.emit(
        Some(&name),
        EventKind::BuildFinished {
            ending,
            seconds: 0.0,
            failure: None,
            artifacts: Vec::new(),
            left: Vec::new(),
            marks: Vec::new(),
            exit_code: Exit::Failure as u8,
        },
    );
    BuildOutcome { name, ending, exit: Exit::Failure, marks: Vec::new(), kept: false }
}
