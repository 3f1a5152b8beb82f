//! All builds of a run, side by side.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::build_run::{BuildOutcome, run_build};
use super::cancel::Cancel;
use super::job::{BuildJob, RunOptions};
use crate::event::{Ending, EventKind, Events, SCHEMA_VERSION};

/// Runs the builds, at most `options.parallel` at a time, in the order given, and waits for all of them.
/// The caller emits `RunFinished` once the proxy, too, has ended.
pub async fn run(jobs: Vec<BuildJob>, options: RunOptions, cancel: Cancel, events: Events) -> Vec<BuildOutcome> {
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
    let slots = Arc::new(Semaphore::new(if options.parallel == 0 { Semaphore::MAX_PERMITS } else { options.parallel }));
    let mut tasks = JoinSet::new();
    for job in jobs {
        let (slots, options, cancel, events) = (slots.clone(), options.clone(), cancel.child(), events.clone());
        let name = job.name.clone();
        // Taken in the order of the plan, so that `-parallel-builds=1` runs the builds as listed.
        let permit = tokio::select! {
            permit = slots.acquire_owned() => permit.ok(),
            () = cancel.token().cancelled() => None,
        };
        if permit.is_none() {
            not_started(&events, &name);
            continue;
        }
        tasks.spawn(async move {
            let outcome = run_build(job, cancel, &options, &events).await;
            drop(permit);
            outcome
        });
    }
    let mut outcomes = Vec::with_capacity(names.len());
    while let Some(outcome) = tasks.join_next().await {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    for name in names {
        if !outcomes.iter().any(|outcome| outcome.name == name) {
            outcomes.push(BuildOutcome { name, ending: Ending::Cancelled, exit: crate::error::Exit::Failure });
        }
    }
    outcomes
}

fn not_started(events: &Events, name: &Arc<str>) {
    events.emit(
        Some(name),
        EventKind::BuildFinished {
            ending: Ending::Cancelled,
            seconds: Instant::now().elapsed().as_secs_f64(),
            failure: None,
            artifacts: Vec::new(),
            left: Vec::new(),
        },
    );
}
