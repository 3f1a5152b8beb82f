//! Two runs side by side: their builds, and the steps of each, paired by name.

use std::collections::BTreeMap;

use serde::Serialize;
use similar::{Algorithm, ChangeTag, capture_diff_slices};

use super::run::{Build, Run};
use crate::event::Ending;

/// A build of either run, or of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BuildPair {
    /// Its name.
    pub name: String,
    /// How it was in the first run; none where it was not in it.
    pub a: Option<Facts>,
    /// How it was in the second.
    pub b: Option<Facts>,
    /// Its steps, in an order that is that of both.
    pub steps: Vec<StepPair>,
}

/// A step of either run, or of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepPair {
    /// Its name.
    pub name: String,
    /// How it was in the first run; none where it was not in it.
    pub a: Option<Facts>,
    /// How it was in the second.
    pub b: Option<Facts>,
}

/// What is compared of a build or a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Facts {
    /// How long it took, all its starts together; none where one did not end.
    pub seconds: Option<f64>,
    /// How it ended, the last time.
    pub ending: Option<Ending>,
    /// How often it was begun.
    pub attempts: u32,
    /// Requests through the proxy.
    pub requests: u64,
    /// Bytes from the cache.
    pub bytes_cache: u64,
    /// Bytes from upstream.
    pub bytes_upstream: u64,
}

impl StepPair {
    /// How much longer it took in the second run; none where it is not in both, or did not end.
    pub fn longer(&self) -> Option<f64> {
        Some(self.b?.seconds? - self.a?.seconds?)
    }
}

/// Pairs the builds of two runs: those of the first in their order, then those only the second has.
pub fn compare(a: &Run, b: &Run) -> Vec<BuildPair> {
    let only_b = b.builds.iter().filter(|build| !a.builds.iter().any(|other| other.name == build.name));
    let names = a.builds.iter().chain(only_b).map(|build| build.name.as_str());
    let of = |run: &Run, name: &str| run.builds.iter().find(|build| build.name == name).cloned();
    names.map(|name| pair(name, of(a, name).as_ref(), of(b, name).as_ref())).collect()
}

fn pair(name: &str, a: Option<&Build>, b: Option<&Build>) -> BuildPair {
    let steps = |build: Option<&Build>| build.map(once).unwrap_or_default();
    let (steps_a, steps_b) = (steps(a), steps(b));
    let keys = |steps: &[(String, Facts)]| {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut key = |name: &String| {
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            (name.clone(), *count)
        };
        steps.iter().map(|(name, _)| key(name)).collect::<Vec<_>>()
    };
    let (keys_a, keys_b) = (keys(&steps_a), keys(&steps_b));
    let mut pairs = Vec::new();
    for change in capture_diff_slices(Algorithm::Myers, &keys_a, &keys_b)
        .iter()
        .flat_map(|op| op.iter_changes(&keys_a, &keys_b).collect::<Vec<_>>())
    {
        let a = change.old_index().map(|at| steps_a[at].1);
        let b = change.new_index().map(|at| steps_b[at].1);
        debug_assert_eq!(change.tag() == ChangeTag::Equal, a.is_some() && b.is_some());
        pairs.push(StepPair { name: change.value().0, a, b });
    }
    BuildPair { name: name.to_owned(), a: a.map(whole), b: b.map(whole), steps: pairs }
}

fn whole(build: &Build) -> Facts {
    let downloads = build.downloads();
    let sums = downloads.all();
    Facts {
        seconds: build.seconds,
        ending: build.ending,
        attempts: 1,
        requests: sums.requests,
        bytes_cache: sums.bytes_cache,
        bytes_upstream: sums.bytes_upstream,
    }
}

/// The steps of a build, each once, however often it was begun.
pub fn once(build: &Build) -> Vec<(String, Facts)> {
    let mut steps: BTreeMap<usize, (String, Facts)> = BTreeMap::new();
    for step in &build.steps {
        let zero = Facts { seconds: Some(0.0), ..Facts::default() };
        let (_, facts) = steps.entry(step.index).or_insert_with(|| (step.name.clone(), zero));
        let sums = step.downloads.all();
        facts.seconds = facts.seconds.zip(step.seconds).map(|(before, now)| before + now);
        facts.ending = step.ending;
        facts.attempts += 1;
        facts.requests += sums.requests;
        facts.bytes_cache += sums.bytes_cache;
        facts.bytes_upstream += sums.bytes_upstream;
    }
    steps.into_values().collect()
}

#[cfg(test)]
mod tests {
    use larder_proxy::flow::Outcome;

    use super::*;
    use crate::history::run_store::RunStore;
    use crate::history::testing::{Script, recording};

    #[test]
    fn steps_are_paired_by_name_and_in_order() {
        let state = tempfile::tempdir().unwrap();
        let mut first = Script::new(recording(state.path(), 0));
        first.start("a", &["x"]).build("x");
        for (index, (name, seconds)) in [("boot", 1.0), ("shell", 2.0), ("shell", 3.0)].into_iter().enumerate() {
            first.step("x", index, name, seconds, (Outcome::Miss, 100));
        }
        first.built("x", 6.0, Ending::Succeeded).end(6.0, None);
        let mut second = Script::new(recording(state.path(), 0));
        second.start("b", &["x", "y"]).build("x");
        for (index, (name, seconds)) in [("boot", 1.5), ("file", 9.0), ("shell", 4.0)].into_iter().enumerate() {
            second.step("x", index, name, seconds, (Outcome::Hit, 100));
        }
        second.step_ends("x", (2, 2), "shell", 1.0, (Outcome::Hit, 1), Ending::Failed);
        second.end(20.0, None);
        let store = RunStore::open(state.path()).unwrap();
        let pairs = compare(&store.run("a").unwrap(), &store.run("b").unwrap());
        let steps: Vec<_> = pairs[0].steps.iter().map(|pair| (pair.name.as_str(), pair.longer())).collect();
        assert_eq!(steps, [("boot", Some(0.5)), ("file", None), ("shell", Some(3.0)), ("shell", None)]);
        let shell = pairs[0].steps[2].b.unwrap();
        assert_eq!((shell.attempts, shell.seconds, shell.ending), (2, Some(5.0), Some(Ending::Failed)));
        assert_eq!(
            (pairs[0].steps[0].a.unwrap().bytes_upstream, pairs[0].steps[0].b.unwrap().bytes_upstream),
            (100, 0)
        );
        assert_eq!((pairs[1].name.as_str(), pairs[1].a), ("y", None));
    }
}
