//! Reading what was written down.

use std::collections::BTreeMap;

use jiff::Timestamp;
use larder_proxy::flow::Class;
use larder_proxy::stats::Sums;
use rusqlite::{Row, params};

use super::{RunStore, number};
use crate::error::{Context as _, Error, Result};
use crate::event::{Ending, Mark};
use crate::history::estimate::{Past, Sample};
use crate::history::run::{Answered, Artifact, Build, Downloads, Run, Step};

/// Runs that estimates are made of.
const SAMPLES: usize = 10;

const RUN: &str =
    "SELECT id, uuid, started, seconds, template, template_digest, net, version, ending, cancelled, exit_code FROM run";

impl RunStore {
    /// The last `count` runs, the newest first; with `template`, of templates whose path contains it.
    pub fn runs(&self, template: Option<&str>, count: usize) -> Result<Vec<Run>> {
        let read = || -> rusqlite::Result<Vec<Run>> {
            let wanted = "(?1 IS NULL OR instr(template, ?1) > 0)";
            let mut statement = self
                .connection
                .prepare_cached(&format!("{RUN} WHERE {wanted} ORDER BY started DESC, id DESC LIMIT ?2"))?;
            let runs: Vec<Run> =
                statement.query_map(params![template, number(count)], run)?.collect::<Result<_, _>>()?;
            runs.into_iter().map(|run| self.filled(run)).collect()
        };
        read().context(|| self.failed("read"))
    }

    /// The run of this id: a beginning or an end that is of one run alone is enough; `last` is the newest.
    pub fn run(&self, id: &str) -> Result<Run> {
        let read = || -> rusqlite::Result<Vec<Run>> {
            let wanted = "?1 = 'last' OR substr(id, 1, length(?1)) = ?1 OR substr(id, -length(?1)) = ?1";
            let mut statement =
                self.connection.prepare_cached(&format!("{RUN} WHERE {wanted} ORDER BY started DESC LIMIT 2"))?;
            statement.query_map([id], run)?.collect()
        };
        let mut found = read().context(|| self.failed("read"))?;
        if let Some(exact) = found.iter().position(|run| run.id == id || id == "last") {
            found.swap(0, exact);
            found.truncate(1);
        }
        match found.len() {
            0 => Err(Error::new(format!("there is no run {id}")).hint("`larder history` lists them")),
            1 => self.filled(found.remove(0)).context(|| self.failed("read")),
            _ => Err(Error::new(format!("several runs are called {id}: {} is one", found[0].id))
                .hint("give more of its id; `larder history` lists them")),
        }
    }

    /// A run with all that belongs to it.
    fn filled(&self, mut run: Run) -> rusqlite::Result<Run> {
        let mut downloads = self.downloads(&run.id)?;
        let mut statement = self.connection.prepare_cached(
            "SELECT name, builder_type, log, started, seconds, ending, failure, exit_code FROM build WHERE run = ?1 ORDER BY place",
        )?;
        run.builds = statement.query_map([&run.id], build)?.collect::<Result<_, _>>()?;
        for build in &mut run.builds {
            build.steps = self.steps(&run.id, &build.name)?;
            for place in 0..build.steps.len() {
                let index = build.steps[place].index;
                // The last start of a step has what was downloaded in all of them.
                if build.steps[place + 1..].iter().all(|later| later.index != index) {
                    let key = (build.name.clone(), number(index));
                    build.steps[place].downloads = downloads.remove(&key).unwrap_or_default();
                }
            }
            build.between = downloads.remove(&(build.name.clone(), -1)).unwrap_or_default();
            build.artifacts = self.artifacts(&run.id, &build.name)?;
            build.answers = self.answers(&run.id, &build.name)?;
            build.marks = self.marks(&run.id, &build.name)?;
        }
        Ok(run)
    }

    fn steps(&self, run: &str, build: &str) -> rusqlite::Result<Vec<Step>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT step, attempt, name, started, seconds, ending FROM step WHERE run = ?1 AND build = ?2 \
             ORDER BY started, step, attempt",
        )?;
        let rows = statement.query_map([run, build], |row| {
            Ok(Step {
                index: place(row, 0)?,
                attempt: row.get(1)?,
                name: row.get(2)?,
                started: time(row, 3)?.unwrap_or_default(),
                seconds: row.get(4)?,
                ending: ending(row, 5)?,
                downloads: Downloads::default(),
            })
        })?;
        rows.collect()
    }

    fn downloads(&self, run: &str) -> rusqlite::Result<BTreeMap<(String, i64), Downloads>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT build, step, class, requests, hits, revalidated, stale, misses, failed, bytes_sent, bytes_cache, \
             bytes_upstream FROM download WHERE run = ?1",
        )?;
        let mut found: BTreeMap<_, Downloads> = BTreeMap::new();
        let mut rows = statement.query([run])?;
        while let Some(row) = rows.next()? {
            let sums = sums(row, 3)?;
            found.entry((row.get(0)?, row.get(1)?)).or_default().add(class(&row.get::<_, String>(2)?), &sums);
        }
        Ok(found)
    }

    fn artifacts(&self, run: &str, build: &str) -> rusqlite::Result<Vec<Artifact>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT builder_id, id, description, files FROM artifact WHERE run = ?1 AND build = ?2 ORDER BY place",
        )?;
        let rows = statement.query_map([run, build], |row| {
            let files: String = row.get(3)?;
            Ok(Artifact {
                builder_id: row.get(0)?,
                id: row.get(1)?,
                description: row.get(2)?,
                files: serde_json::from_str(&files).unwrap_or_default(),
            })
        })?;
        rows.collect()
    }

    fn answers(&self, run: &str, build: &str) -> rusqlite::Result<Vec<Answered>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT time, step, reason, answer, by FROM answer WHERE run = ?1 AND build = ?2 ORDER BY question",
        )?;
        let rows = statement.query_map([run, build], |row| {
            Ok(Answered {
                time: time(row, 0)?.unwrap_or_default(),
                step: place(row, 1)?,
                question: row.get(2)?,
                answer: row.get(3)?,
                by: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    fn marks(&self, run: &str, build: &str) -> rusqlite::Result<Vec<Mark>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT kind, step, name, script, path FROM mark WHERE run = ?1 AND build = ?2 ORDER BY place",
        )?;
        let rows = statement.query_map([run, build], |row| {
            let (step_index, step) = (place(row, 1)?, row.get::<_, String>(2)?.into());
            if row.get::<_, String>(0)? == "skipped" {
                return Ok(Mark::Skipped { step_index, step });
            }
            let path: Option<String> = row.get(4)?;
            let script = row.get::<_, Option<String>>(3)?.unwrap_or_default();
            Ok(Mark::Edited { step_index, step, script, path: path.unwrap_or_default().into() })
        })?;
        rows.collect()
    }

    /// What estimates of the build of this template can be made of: its last successes.
    pub fn past(&self, template: &str, build: &str) -> Result<Past> {
        let read = || -> rusqlite::Result<Past> {
            let mut statement = self.connection.prepare_cached(
                "SELECT run.id FROM run JOIN build ON build.run = run.id \
                 WHERE run.template = ?1 AND build.name = ?2 AND build.ending = 'succeeded' \
                 ORDER BY run.started DESC LIMIT ?3",
            )?;
            let runs: Vec<String> = statement
                .query_map(params![template, build, number(SAMPLES)], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut past = Past::default();
            for run in runs {
                let mut downloads = self.downloads(&run)?;
                let done = self.steps(&run, build)?.into_iter().filter(|step| step.ending == Some(Ending::Succeeded));
                let mut done: Vec<Step> = done.collect();
                done.sort_by_key(|step| step.index);
                past.add(done.into_iter().map(|step| {
                    let key = (build.to_owned(), number(step.index));
                    let cold = downloads.remove(&key).is_some_and(|downloads| downloads.is_cold());
                    (step.name, Sample { seconds: step.seconds.unwrap_or_default(), cold })
                }));
            }
            Ok(past)
        };
        read().context(|| self.failed("read"))
    }
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: row.get(0)?,
        uuid: row.get(1)?,
        started: time(row, 2)?.unwrap_or_default(),
        seconds: row.get(3)?,
        template: row.get(4)?,
        template_digest: row.get(5)?,
        net: row.get(6)?,
        version: row.get(7)?,
        ending: ending(row, 8)?,
        cancelled: row.get(9)?,
        exit_code: row.get(10)?,
        builds: Vec::new(),
    })
}

fn build(row: &Row<'_>) -> rusqlite::Result<Build> {
    let log: Option<String> = row.get(2)?;
    Ok(Build {
        name: row.get(0)?,
        builder_type: row.get(1)?,
        log: log.map(Into::into),
        started: time(row, 3)?,
        seconds: row.get(4)?,
        ending: ending(row, 5)?,
        failure: row.get(6)?,
        exit_code: row.get(7)?,
        marks: Vec::new(),
        steps: Vec::new(),
        between: Downloads::default(),
        artifacts: Vec::new(),
        answers: Vec::new(),
    })
}

fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    row.get::<_, i64>(column).map(|place| usize::try_from(place).unwrap_or_default())
}

/// A time in milliseconds.
fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let millis: Option<i64> = row.get(column)?;
    Ok(millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()))
}

fn ending(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Ending>> {
    let word: Option<String> = row.get(column)?;
    let all = [Ending::Succeeded, Ending::Failed, Ending::Cancelled];
    Ok(word.and_then(|word| all.into_iter().find(|ending| ending.as_str() == word)))
}

fn class(word: &str) -> Class {
    let all = [Class::Package, Class::Index, Class::Image];
    all.into_iter().find(|class| class.as_str() == word).unwrap_or_default()
}

/// Nine numbers from a column on.
fn sums(row: &Row<'_>, first: usize) -> rusqlite::Result<Sums> {
    let count = |place: usize| row.get::<_, i64>(first + place).map(i64::cast_unsigned);
    Ok(Sums {
        requests: count(0)?,
        hits: count(1)?,
        revalidated: count(2)?,
        stale: count(3)?,
        misses: count(4)?,
        failed: count(5)?,
        bytes_sent: count(6)?,
        bytes_cache: count(7)?,
        bytes_upstream: count(8)?,
    })
}
