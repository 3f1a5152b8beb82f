//! The steps of the build that is shown: those begun, as they stand, and those that earlier runs let expect.

use super::State;
use super::builds::standing;
use super::run::{Build, Condition, Step};

/// A step as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// Its number, from 1.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// How it is.
    pub condition: Condition,
    /// How long it took, or has taken; none before it begins.
    pub seconds: Option<f64>,
    /// How long it will still take, if earlier runs tell.
    pub left: Option<f64>,
    /// Requests, and those answered from the cache.
    pub requests: (u64, u64),
    /// Bytes from the cache, and from upstream.
    pub bytes: (u64, u64),
}

impl State {
    /// The build whose log and steps are shown; none if it is one of an earlier run.
    pub fn shown_build(&self) -> Option<&Build> {
        if self.log.earlier {
            return None;
        }
        self.run.build(self.builds.selected()?)
    }

    /// Its steps.
    pub fn step_rows(&self) -> Vec<StepRow> {
        match self.shown_build() {
            Some(build) => self.rows_of(build),
            None if self.log.earlier && !self.log.earlier_steps.is_empty() => self.log.earlier_steps.clone(),
            None => self.log.seen.steps.iter().map(|step| named(step.index, &step.name)).collect(),
        }
    }

    fn rows_of(&self, build: &Build) -> Vec<StepRow> {
        let past = self.builds.past.get(&build.name);
        let standing = standing(build, self.now);
        let mut seen: Vec<&str> = Vec::new();
        let mut rows: Vec<StepRow> = Vec::new();
        for step in &build.steps {
            let occurrence = seen.iter().filter(|name| **name == &*step.name).count();
            seen.push(&step.name);
            let elapsed = step.elapsed(self.now);
            let expected = past.and_then(|past| past.step(&step.name, occurrence));
            let left = expected.filter(|_| step.condition.is_open()).map(|taken| (taken - elapsed).max(0.0));
            rows.push(begun(step, elapsed, left));
        }
        if build.condition.is_open()
            && let Some(past) = past
        {
            let first = build.steps.iter().map(|step| step.index + 1).max().unwrap_or(0);
            let to_come = past.to_come(&standing).into_iter().enumerate();
            rows.extend(to_come.map(|(place, step)| StepRow {
                left: Some(step.seconds),
                condition: Condition::Queued,
                ..named(first + place, &step.name)
            }));
        }
        rows
    }
}

impl StepRow {
    /// A step as it was recorded, of a run that is under way or not.
    pub fn recorded(step: &crate::history::run::Step, live: bool) -> Self {
        let sums = step.downloads.all();
        Self {
            number: step.index + 1,
            name: with_attempt(&step.name, step.attempt),
            condition: super::history::standing(step.ending, live).0,
            seconds: step.seconds,
            left: None,
            requests: (sums.requests, sums.hits + sums.revalidated + sums.stale),
            bytes: (sums.bytes_cache, sums.bytes_upstream),
        }
    }
}

fn with_attempt(name: &str, attempt: u32) -> String {
    if attempt > 1 { format!("{name} (attempt {attempt})") } else { name.to_owned() }
}

fn named(index: usize, name: &str) -> StepRow {
    StepRow {
        number: index + 1,
        name: name.to_owned(),
        condition: Condition::Done,
        seconds: None,
        left: None,
        requests: (0, 0),
        bytes: (0, 0),
    }
}

fn begun(step: &Step, elapsed: f64, left: Option<f64>) -> StepRow {
    StepRow {
        number: step.index + 1,
        name: with_attempt(&step.name, step.attempt),
        condition: step.condition,
        seconds: Some(elapsed),
        left,
        requests: step.requests,
        bytes: step.bytes,
    }
}
