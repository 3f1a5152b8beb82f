//! One build's voice in the event stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::component::{Say, ScanResult};
use crate::event::{EventKind, Events};

/// At most so often is progress told: more than anybody can see would only fill logs of events.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// So many lines of a step are shown with the question that its failure asks.
const LAST_LINES: usize = 20;

/// Speaks for one build.
pub struct BuildUi {
    events: Events,
    build: Arc<str>,
    progress_told: Mutex<Option<Instant>>,
    last: Mutex<VecDeque<String>>,
}

impl BuildUi {
    /// The voice of `build`.
    pub fn new(events: Events, build: Arc<str>) -> Self {
        Self { events, build, progress_told: Mutex::new(None), last: Mutex::default() }
    }

    fn emit(&self, kind: EventKind) {
        self.events.emit(Some(&self.build), kind);
    }

    fn last(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, text: &str) -> String {
        let mut last = self.last();
        for line in text.lines() {
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line.to_owned());
        }
        text.to_owned()
    }
}

impl Say for BuildUi {
    fn say(&self, text: &str) {
        self.emit(EventKind::Message { text: self.remember(text) });
    }

    fn stdout(&self, line: &str) {
        self.emit(EventKind::Stdout { line: self.remember(line) });
    }

    fn stderr(&self, line: &str) {
        self.emit(EventKind::Stderr { line: self.remember(line) });
    }

    fn warn(&self, text: &str) {
        self.emit(EventKind::Warning { text: self.remember(text) });
    }

    fn progress(&self, what: &str, done: u64, total: Option<u64>) {
        let mut told = self.progress_told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        self.emit(EventKind::Progress { what: what.to_owned(), done, total });
    }

    fn scanned(&self, result: ScanResult) {
        let ScanResult { entries, bytes, duration, traces, skipped } = result;
        self.emit(EventKind::Scan { entries, bytes, seconds: duration.as_secs_f64(), traces, skipped });
    }

    fn step_begins(&self) {
        self.last().clear();
    }

    fn last_lines(&self) -> Vec<String> {
        self.last().iter().cloned().collect()
    }

    fn ready(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.events.ready())
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 05 s`, `1 h 02 min`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (millis, text) in
            [(0, "0.0 s"), (1440, "1.4 s"), (12_900, "12 s"), (185_000, "3 min 05 s"), (3_725_000, "1 h 02 min")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
