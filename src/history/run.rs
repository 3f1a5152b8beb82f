//! A run as it is kept: plain data. What is serialized here is the JSON of `larder history`.

use std::path::PathBuf;

use jiff::Timestamp;
use larder_proxy::flow::Class;
use larder_proxy::stats::{Sums, Totals};
use serde::Serialize;

use crate::event::{Ending, Mark};

/// A run of `larder build`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its id, as in `larder ps` and in paths of logs.
    pub id: String,
    /// Its UUID, as in manifests.
    pub uuid: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took; none while it runs, and if Larder was killed.
    pub seconds: Option<f64>,
    /// The template, an absolute path; `-` for standard input.
    pub template: String,
    /// SHA-256, in hex, of the files of the template and of variables.
    pub template_digest: String,
    /// Where answers might come from: `cache` or `offline`.
    pub net: String,
    /// Version of Larder.
    pub version: String,
    /// How it ended: failed if any build did; none as with `seconds`.
    pub ending: Option<Ending>,
    /// Why it was cancelled.
    pub cancelled: Option<String>,
    /// The exit code of `larder build`; none as with `seconds`, and if an older Larder recorded it.
    pub exit_code: Option<u8>,
    /// Its builds, in the order of the plan.
    pub builds: Vec<Build>,
}

/// A build of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Build {
    /// Its name.
    pub name: String,
    /// Type of its builder; none if it was not begun.
    pub builder_type: Option<String>,
    /// Its log file, if it was begun.
    pub log: Option<PathBuf>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The exit code that it asked for, as in the event `build-finished`.
    pub exit_code: Option<u8>,
    /// In what it was not made as its template says, by answers to questions.
    pub marks: Vec<Mark>,
    /// Its steps, in the order begun; one that was begun again is there again.
    pub steps: Vec<Step>,
    /// What it downloaded between steps.
    pub between: Downloads,
    /// What it made and kept.
    pub artifacts: Vec<Artifact>,
    /// What was answered when it asked.
    pub answers: Vec<Answered>,
}

/// A step of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Its place within its build, from 0.
    pub index: usize,
    /// Which of its starts, from 1.
    pub attempt: u32,
    /// Its name.
    pub name: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took; none while it runs, and if Larder was killed.
    pub seconds: Option<f64>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// What was downloaded in it, in all its starts; told with the last of them.
    pub downloads: Downloads,
}

/// Requests through the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Downloads(pub Totals);

impl Downloads {
    /// All of them together.
    pub fn all(&self) -> &Sums {
        &self.0.all
    }

    /// Adds the sums of a class.
    pub fn add(&mut self, class: Class, sums: &Sums) {
        join(&mut self.0.all, sums);
        join(self.0.classes.entry(class).or_default(), sums);
    }

    /// Adds others.
    pub fn join(&mut self, other: &Self) {
        for (class, sums) in &other.0.classes {
            self.add(*class, sums);
        }
    }

    /// The part of requests that upstream did not have to send a body for, from 0 to 1; none without requests.
    #[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let sums = self.all();
        let hits = sums.hits + sums.stale + sums.revalidated;
        (sums.requests > 0).then(|| hits as f64 / sums.requests as f64)
    }

    /// Whether most of its bytes had to come from upstream.
    pub fn is_cold(&self) -> bool {
        self.all().bytes_upstream > self.all().bytes_cache
    }
}

fn join(into: &mut Sums, sums: &Sums) {
    into.requests += sums.requests;
    into.hits += sums.hits;
    into.revalidated += sums.revalidated;
    into.stale += sums.stale;
    into.misses += sums.misses;
    into.failed += sums.failed;
    into.bytes_sent += sums.bytes_sent;
    into.bytes_cache += sums.bytes_cache;
    into.bytes_upstream += sums.bytes_upstream;
}

/// Something a build made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Artifact {
    /// Id of the component that made it.
    pub builder_id: String,
    /// Its id.
    pub id: String,
    /// It in a line.
    pub description: String,
    /// Its files, as the template names them.
    pub files: Vec<PathBuf>,
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// When.
    pub time: Timestamp,
    /// The step it was about, by its place.
    pub step: usize,
    /// Why it was asked.
    pub question: String,
    /// What was answered.
    pub answer: String,
    /// Who answered.
    pub by: String,
}

impl Build {
    /// All it downloaded.
    pub fn downloads(&self) -> Downloads {
        let mut all = self.between.clone();
        self.steps.iter().for_each(|step| all.join(&step.downloads));
        all
    }
}

impl Run {
    /// All its builds downloaded.
    pub fn downloads(&self) -> Downloads {
        let mut all = Downloads::default();
        self.builds.iter().for_each(|build| all.join(&build.downloads()));
        all
    }

    /// The file name of its template, and of the directory if that is what it was.
    pub fn template_name(&self) -> &str {
        self.template.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.template)
    }
}
