//! Writes a run's history while it goes on. Whatever goes wrong here, the run goes on: one warning is all.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use larder_proxy::stats::Totals;
use sha2::{Digest as _, Sha256};

use super::run_store::{Change, RunStore};
use crate::error::{Result, chain};
use crate::event::summary::Summary;
use crate::event::{Ending, Event, EventKind};
use crate::output::renderer::Renderer;

/// Where a run's history goes, and what of the run its events do not tell.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The state directory.
    pub state: PathBuf,
    /// The template, an absolute path.
    pub template: String,
    /// See [`digest`].
    pub template_digest: String,
    /// Runs kept, this one among them; 0 for all.
    pub keep: usize,
}

/// SHA-256, in hex, over files in an order of their own: names and texts.
pub fn digest<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut hash = Sha256::new();
    for (name, text) in files {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex::encode(hash.finalize())
}

/// Consumes the events of a run. The database is written by a thread of its own, so that a slow disk or another process
/// holds up neither the log files nor the screen.
pub struct Recorder {
    recording: Recording,
    changes: Option<Sender<Change>>,
    writer: Option<JoinHandle<()>>,
    /// What was downloaded in each step, and whether that has changed since it was written.
    downloads: BTreeMap<(Arc<str>, Option<usize>), (Totals, bool)>,
    /// Questions without an answer: the build, the step, and why they are asked.
    questions: BTreeMap<u64, (Arc<str>, usize, String)>,
    endings: Vec<Ending>,
    /// Whether the run has ended, and not only its recording.
    ended: bool,
}

impl Recorder {
    /// A recorder that has not begun: the first event starts it.
    pub fn new(recording: Recording) -> Self {
        Self {
            recording,
            changes: None,
            writer: None,
            downloads: BTreeMap::new(),
            questions: BTreeMap::new(),
            endings: Vec::new(),
            ended: false,
        }
    }

    fn begin(&mut self, run: &str) -> io::Result<()> {
        let (sender, receiver) = channel();
        let (recording, run) = (self.recording.clone(), run.to_owned());
        let work = move || {
            if let Err(error) = write(&recording, &run, &receiver) {
                tracing::warn!(error = chain(&error), "the history of this run is not complete");
            }
        };
        self.writer = Some(Builder::new().name("history".into()).spawn(work)?);
        self.changes = Some(sender);
        Ok(())
    }

    fn send(&mut self, change: Change) {
        // The thread has ended if something failed; it has said so.
        if self.changes.as_ref().is_some_and(|changes| changes.send(change).is_err()) {
            self.changes = None;
        }
    }

    /// Sends what was downloaded in a build since it was last sent.
    fn send_downloads(&mut self, of: Option<&Arc<str>>) {
        let mut unsent = Vec::new();
        for ((build, step), (totals, changed)) in &mut self.downloads {
            if of.is_none_or(|of| build == of) && std::mem::take(changed) {
                unsent.push(Change::Downloads { build: build.clone(), step: *step, totals: totals.clone() });
            }
        }
        for change in unsent {
            self.send(change);
        }
    }

    fn run_event(&mut self, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::RunStarted { version, run, uuid, builds, net, .. } => {
                self.begin(run)?;
                self.send(Change::RunStarted {
                    uuid: uuid.clone(),
                    started: event.time,
                    template: self.recording.template.clone(),
                    template_digest: self.recording.template_digest.clone(),
                    net: net.clone(),
                    version: version.clone(),
                    builds: builds.clone(),
                });
            }
            EventKind::RunFinished { seconds, cancelled, .. } => {
                self.ended = true;
                self.send_downloads(None);
                let worst = [Ending::Failed, Ending::Cancelled].into_iter().find(|one| self.endings.contains(one));
                let ending = if cancelled.is_some() { Ending::Cancelled } else { worst.unwrap_or(Ending::Succeeded) };
                self.send(Change::RunFinished { seconds: *seconds, ending, cancelled: cancelled.clone() });
            }
            EventKind::Flow { flow } => {
                let key = (flow.identity.build.clone(), event.step_index);
                let (totals, changed) = self.downloads.entry(key).or_default();
                totals.add(flow);
                *changed = true;
            }
            EventKind::Question { question } => {
                let asked = (question.build.clone(), question.step_index, question.summary());
                self.questions.insert(question.id, asked);
            }
            EventKind::Answered { id, answer, by } => {
                if let Some((build, step, reason)) = self.questions.remove(id) {
                    let (answer, by) = (answer.as_str().to_owned(), by.as_str().to_owned());
                    self.send(Change::Answered { build, question: *id, step, time: event.time, reason, answer, by });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn build_event(&mut self, build: &Arc<str>, event: &Event) {
        let (build, started) = (build.clone(), event.time);
        match &event.kind {
            EventKind::BuildStarted { builder_type, log } => {
                let (builder_type, log) = (builder_type.clone(), log.clone());
                self.send(Change::BuildStarted { build, started, builder_type, log });
            }
            EventKind::StepStarted { index, name, attempt } => {
                let (step, attempt) = (*index, *attempt);
                self.send(Change::StepStarted { build, step, attempt, name: name.clone(), started });
            }
            EventKind::StepFinished { index, ending, seconds, attempt, .. } => {
                self.send_downloads(Some(&build));
                let (step, attempt, seconds, ending) = (*index, *attempt, *seconds, *ending);
                self.send(Change::StepFinished { build, step, attempt, seconds, ending });
            }
            EventKind::BuildFinished { ending, seconds, failure, artifacts, marks, exit_code, .. } => {
                self.send_downloads(Some(&build));
                self.endings.push(*ending);
                let failure = failure.as_ref().map(|failure| failure.message.clone());
                let (seconds, ending, exit_code) = (*seconds, *ending, *exit_code);
                let (artifacts, marks) = (artifacts.clone(), marks.clone());
                self.send(Change::BuildFinished { build, seconds, ending, failure, artifacts, marks, exit_code });
            }
            _ => {}
        }
    }
}

impl Renderer for Recorder {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Some(build) = &event.build {
            self.build_event(build, event);
        }
        self.run_event(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until all is written.
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        if self.ended {
            self.send(Change::RunExited { exit_code: summary.exit() as u8 });
        }
        self.changes = None;
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::warn!("the history of this run is not complete: its writer ended early");
        }
        Ok(())
    }
}

fn write(recording: &Recording, run: &str, changes: &Receiver<Change>) -> Result<()> {
    let mut store = RunStore::open(&recording.state)?;
    while let Ok(first) = changes.recv() {
        let batch: Vec<Change> = std::iter::once(first).chain(changes.try_iter()).collect();
        store.write(run, &batch)?;
    }
    if recording.keep > 0 {
        store.keep_last(recording.keep, &recording.state.join("runs"), &recording.state.join("logs"))?;
    }
    Ok(())
}
