//! Numbers, times and announces the steps of a build.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::component::Ui;
use crate::event::{Ending, EventKind, Events};

/// The steps of a build. One keeps its place however often it is begun.
pub(super) struct Tracker {
    events: Events,
    build: Arc<str>,
    ui: Ui,
    /// How often each has been begun.
    attempts: BTreeMap<usize, u32>,
}

/// A step under way.
pub(super) struct Tracked {
    /// Its place within its build.
    pub(super) index: usize,
    /// Which of its starts it is, from 1.
    pub(super) attempt: u32,
    /// Its name.
    pub(super) name: Arc<str>,
    began: Instant,
}

impl Tracker {
    pub(super) fn new(events: Events, build: Arc<str>, ui: Ui) -> Self {
        Self { events, build, ui, attempts: BTreeMap::new() }
    }

    /// The place after all that have been begun.
    pub(super) fn next(&self) -> usize {
        self.attempts.last_key_value().map_or(0, |(index, _)| index + 1)
    }

    /// Begins the step in this place.
    pub(super) fn start(&mut self, index: usize, name: &str) -> Tracked {
        let attempt = self.attempts.entry(index).or_default();
        *attempt += 1;
        let tracked = Tracked { index, attempt: *attempt, name: name.into(), began: Instant::now() };
        self.ui.step_begins();
        let (name, attempt) = (tracked.name.clone(), tracked.attempt);
        self.events.emit(Some(&self.build), EventKind::StepStarted { index, name, attempt });
        tracked
    }

    /// Ends it.
    pub(super) fn finish(&self, step: &Tracked, ending: Ending) {
        let seconds = step.began.elapsed().as_secs_f64();
        let (index, name, attempt) = (step.index, step.name.clone(), step.attempt);
        self.events.emit(Some(&self.build), EventKind::StepFinished { index, name, ending, seconds, attempt });
    }
}
