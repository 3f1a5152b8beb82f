//! The rows of a run, and of two side by side, in the order they are shown.

use super::{Compared, Order};
use crate::history::run::{Build, Run, Step};

/// A row of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Row<'a> {
    /// A build, with those below it.
    Build(&'a Build),
    /// A step of it.
    Step(&'a Build, &'a Step),
    /// Why it failed.
    Failure(&'a Build, &'a str),
    /// What was asked and answered in it.
    Answer(&'a Build, String),
    /// In what it was not made as its template says.
    Mark(&'a Build, String),
    /// What it made.
    Artifact(&'a Build, String),
}

impl<'a> Row<'a> {
    /// The build it is about.
    pub const fn build(&self) -> &'a Build {
        match self {
            Self::Build(build)
            | Self::Step(build, _)
            | Self::Failure(build, _)
            | Self::Answer(build, _)
            | Self::Mark(build, _)
            | Self::Artifact(build, _) => build,
        }
    }

    /// What searches look at, and what is copied.
    pub fn text(&self) -> String {
        match self {
            Self::Build(build) => build.name.clone(),
            Self::Step(_, step) => step.name.clone(),
            Self::Failure(_, text) => (*text).to_owned(),
            Self::Answer(_, text) | Self::Mark(_, text) | Self::Artifact(_, text) => text.clone(),
        }
    }
}

/// The rows of a run.
pub fn of_run(run: &Run, order: Order) -> Vec<Row<'_>> {
    run.builds.iter().flat_map(|build| of_build(build, order)).collect()
}

fn of_build(build: &Build, order: Order) -> Vec<Row<'_>> {
    let mut steps: Vec<&Step> = build.steps.iter().collect();
    match order {
        Order::Begun => {}
        // What did not end took longest.
        Order::Time => steps.sort_by(|a, b| {
            let seconds = |step: &Step| step.seconds.unwrap_or(f64::INFINITY);
            seconds(b).total_cmp(&seconds(a))
        }),
        Order::Bytes => steps.sort_by_key(|step| std::cmp::Reverse(step.downloads.all().bytes_upstream)),
    }
    let mut rows = vec![Row::Build(build)];
    rows.extend(build.failure.iter().flat_map(|text| text.lines()).map(|line| Row::Failure(build, line)));
    rows.extend(steps.into_iter().map(|step| Row::Step(build, step)));
    rows.extend(
        build.answers.iter().map(|answer| {
            Row::Answer(build, format!("step {}: {}: {}", answer.step + 1, answer.question, answer.answer))
        }),
    );
    rows.extend(build.marks.iter().map(|mark| Row::Mark(build, mark.to_string())));
    for artifact in &build.artifacts {
        let files = artifact.files.iter().map(|file| file.display().to_string());
        rows.extend(files.map(|file| Row::Artifact(build, file)));
        if artifact.files.is_empty() {
            rows.push(Row::Artifact(build, artifact.description.clone()));
        }
    }
    rows.dedup();
    rows
}

/// A row of two runs side by side: a place in the builds, and in the steps of one.
pub fn of_two(compared: &Compared) -> Vec<(usize, Option<usize>)> {
    let steps = |(place, pair): (usize, &crate::history::compare::BuildPair)| {
        std::iter::once((place, None)).chain((0..pair.steps.len()).map(move |step| (place, Some(step))))
    };
    compared.builds.iter().enumerate().flat_map(steps).collect()
}
