//! How long steps and builds will take, by how long they took. Pure: what is past is given.
//!
//! A step's estimate is the median of its last successes, in at most ten runs, found by its name and which of the steps of
//! that name it is. A step whose bytes mostly came from upstream was *cold*; where its newest success was not, the cold
//! ones are left out, since what has been fetched is in the cache now. There is none for what has never succeeded: nothing
//! is made up.

use std::collections::BTreeMap;

/// One success of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How long it took.
    pub seconds: f64,
    /// Whether most of its bytes came from upstream.
    pub cold: bool,
}

/// A step, wherever in its build it stands: its name, and which of those of that name it is, from 0.
type Key = (String, usize);

/// The successes of a build.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Steps of the newest success, in order.
    order: Vec<Key>,
    /// Of each step, the newest first.
    samples: BTreeMap<Key, Vec<Sample>>,
    runs: usize,
}

/// A step that is expected, and how long it will take.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// How long it will take.
    pub seconds: f64,
}

/// A step of a build under way, as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing<'a> {
    /// Its name.
    pub name: &'a str,
    /// How long it took, or has taken so far.
    pub seconds: f64,
    /// Whether it has ended.
    pub ended: bool,
}

/// How far a build is, by time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// How long it will still take, in seconds; to be shown with `~`.
    pub remaining: f64,
    /// How much of it is done, from 0 to 1.
    pub done: f64,
}

/// Numbers steps of one name.
fn keys<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Key> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    names
        .map(|name| {
            let count = seen.entry(name).or_default();
            *count += 1;
            (name.to_owned(), *count - 1)
        })
        .collect()
}

impl Past {
    /// Adds an earlier success: its steps, in order. The newest success is to be added first.
    pub fn add(&mut self, steps: impl Iterator<Item = (String, Sample)>) {
        let steps: Vec<(String, Sample)> = steps.collect();
        let found = keys(steps.iter().map(|(name, _)| name.as_str()));
        if self.runs == 0 {
            self.order.clone_from(&found);
        }
        self.runs += 1;
        for (key, (_, sample)) in found.into_iter().zip(steps) {
            self.samples.entry(key).or_default().push(sample);
        }
    }

    /// How many successes are known.
    pub fn runs(&self) -> usize {
        self.runs
    }

    fn of(&self, key: &Key) -> Option<f64> {
        let samples = self.samples.get(key)?;
        let warm_now = samples.first().is_some_and(|newest| !newest.cold);
        let taken = samples.iter().filter(|sample| !(warm_now && sample.cold)).map(|sample| sample.seconds);
        median(taken.collect())
    }

    /// How long the step takes that is the `occurrence`th, from 0, of this name.
    pub fn step(&self, name: &str, occurrence: usize) -> Option<f64> {
        self.of(&(name.to_owned(), occurrence))
    }

    /// The steps to come after those begun, with how long each will take. A step that is begun is one of `begun`, also when
    /// it was begun again.
    pub fn to_come(&self, begun: &[Standing<'_>]) -> Vec<Expected> {
        let begun = keys(begun.iter().map(|step| step.name));
        let after = self.order.iter().rposition(|key| begun.contains(key)).map_or(0, |place| place + 1);
        let left = self.order[after..].iter();
        left.filter_map(|key| Some(Expected { name: key.0.clone(), seconds: self.of(key)? })).collect()
    }

    /// How far a build is whose steps stand so, in their order; none where it never succeeded. A step that takes longer
    /// than ever counts as about to end.
    pub fn outlook(&self, steps: &[Standing<'_>]) -> Option<Outlook> {
        if self.runs == 0 {
            return None;
        }
        let found = keys(steps.iter().map(|step| step.name));
        let mut remaining: f64 = self.to_come(steps).iter().map(|step| step.seconds).sum();
        let mut done = 0.0;
        for (key, step) in found.iter().zip(steps) {
            done += step.seconds;
            if !step.ended {
                remaining += left(self.of(key).unwrap_or(step.seconds), step.seconds);
            }
        }
        let all = done + remaining;
        Some(Outlook { remaining, done: if all > 0.0 { done / all } else { 1.0 } })
    }
}

/// What is left of a step that takes `median` and has taken `elapsed`.
pub fn left(median: f64, elapsed: f64) -> f64 {
    (median - elapsed).max(0.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warm(seconds: f64) -> Sample {
        Sample { seconds, cold: false }
    }

    /// The newest first.
    fn past(runs: &[&[(&str, Sample)]]) -> Past {
        let mut past = Past::default();
        for run in runs {
            past.add(run.iter().map(|(name, sample)| ((*name).to_owned(), *sample)));
        }
        past
    }

    fn standing(steps: &[(&'static str, f64, bool)]) -> Vec<Standing<'static>> {
        steps.iter().map(|(name, seconds, ended)| Standing { name, seconds: *seconds, ended: *ended }).collect()
    }

    #[test]
    fn a_step_takes_the_median_of_what_it_took() {
        let past = past(&[&[("a", warm(3.0))], &[("a", warm(100.0))], &[("a", warm(5.0))]]);
        assert_eq!(past.step("a", 0), Some(5.0));
        assert_eq!(past.step("a", 1), None);
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn steps_of_one_name_are_told_apart() {
        let past = past(&[&[("shell", warm(1.0)), ("file", warm(2.0)), ("shell", warm(30.0))]]);
        assert_eq!((past.step("shell", 0), past.step("shell", 1)), (Some(1.0), Some(30.0)));
    }

    #[test]
    fn what_was_fetched_is_not_fetched_again() {
        let cold = Sample { seconds: 100.0, cold: true };
        assert_eq!(past(&[&[("a", warm(10.0))], &[("a", cold)], &[("a", cold)]]).step("a", 0), Some(10.0));
        assert_eq!(past(&[&[("a", cold)], &[("a", warm(10.0))]]).step("a", 0), Some(55.0), "it was just now cold");
    }

    #[test]
    fn nothing_is_made_up_for_the_first_run() {
        assert_eq!(Past::default().outlook(&standing(&[("a", 1.0, false)])), None);
    }

    #[test]
    fn progress_is_by_time() {
        let past = past(&[&[("a", warm(10.0)), ("b", warm(30.0)), ("c", warm(60.0))]]);
        let outlook = past.outlook(&standing(&[("a", 10.0, true), ("b", 10.0, false)])).unwrap();
        assert_eq!(outlook, Outlook { remaining: 80.0, done: 0.2 });
        let late = past.outlook(&standing(&[("a", 10.0, true), ("b", 50.0, false)])).unwrap();
        assert_eq!(late, Outlook { remaining: 60.0, ..late });
        let ended = past.outlook(&standing(&[("a", 1.0, true), ("b", 1.0, true), ("c", 1.0, true)])).unwrap();
        assert_eq!(ended, Outlook { remaining: 0.0, done: 1.0 });
        let new = past.outlook(&standing(&[("a", 10.0, true), ("new", 5.0, false)])).unwrap();
        assert_eq!(
            new,
            Outlook { remaining: 90.0, ..new },
            "of a step that is new nothing is known, of those after it is"
        );
    }

    #[test]
    fn steps_to_come_are_those_after_the_last_begun() {
        let past = past(&[&[("a", warm(1.0)), ("b", warm(2.0)), ("c", warm(3.0))]]);
        let names = |begun: &[(&'static str, f64, bool)]| {
            past.to_come(&standing(begun)).into_iter().map(|step| step.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["a", "b", "c"]);
        assert_eq!(names(&[("b", 0.0, false)]), ["c"]);
    }
}
