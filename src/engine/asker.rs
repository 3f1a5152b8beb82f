//! A build's questions: asked, waited with, answered.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::cancel::{Cancel, Cause};
use super::component::Communicator;
use super::control::{Control, Opened, Slot};
use crate::error::{Error, Result};
use crate::event::question::{Answer, AnsweredBy, Choice, Question, Reason, ResumePoint, Script};
use crate::event::{EventKind, Events};

/// Puts the questions of one build. While one waits, the build gives its place among those that run to another.
#[derive(Clone)]
pub(super) struct Asker {
    control: Control,
    events: Events,
    build: Arc<str>,
    /// Place of the build in the plan.
    place: usize,
    cancel: Cancel,
    slot: Arc<Mutex<Option<Slot>>>,
}

/// What is to be asked.
pub(super) struct Draft {
    pub(super) step: Arc<str>,
    pub(super) step_index: usize,
    pub(super) reason: Reason,
    pub(super) choices: Vec<Choice>,
    /// After this the default holds; `None` waits without end.
    pub(super) timeout: Option<Duration>,
    pub(super) resume_from: Vec<ResumePoint>,
    pub(super) scripts: Vec<Script>,
}

impl Asker {
    /// For the build in this place of the plan, which has a slot.
    pub(super) fn new(
        control: Control,
        events: Events,
        build: Arc<str>,
        place: usize,
        cancel: Cancel,
        slot: Slot,
    ) -> Self {
        Self { control, events, build, place, cancel, slot: Arc::new(Mutex::new(Some(slot))) }
    }

    fn set_slot(&self, slot: Option<Slot>) {
        let before = std::mem::replace(&mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner), slot);
        drop(before);
    }

    /// Asks, and waits for the answer. If it is to go on, waits for a place among the builds that run, too.
    pub(super) async fn ask(&self, draft: Draft, communicator: Option<Arc<dyn Communicator>>) -> Answer {
        let timeout = draft.timeout;
        let question = self.question(draft);
        let id = question.id;
        let Opened { mut answer, attended } = self.control.open(question.clone(), communicator);
        self.events.emit(Some(&self.build), EventKind::Question { question: Box::new(question) });
        self.set_slot(None);
        let answered = tokio::select! {
            biased;
            answered = &mut answer => Some(answered),
            () = self.cancel.token().cancelled() => self.control.resolve(id, AnsweredBy::Cancelled),
            () = self.deadline(id, timeout, attended) => self.control.resolve(id, AnsweredBy::Deadline),
        };
        // Whoever was first has settled it.
        let answered = match answered {
            Some(answered) => answered,
            None => answer.await,
        };
        let (answer, by) = answered.unwrap_or((Answer::Cleanup, AnsweredBy::Cancelled));
        self.events.emit(Some(&self.build), EventKind::Answered { id, answer, by });
        if !matches!(answer, Answer::Cleanup | Answer::Keep) {
            let waiting = self.control.wait(false, self.place);
            tokio::select! {
                slot = waiting.slot() => self.set_slot(Some(slot)),
                () = self.cancel.token().cancelled() => {}
            }
        }
        answer
    }

    /// Ends at the question's deadline. Whoever is in a shell has not gone: it is suspended, and the time then begins anew.
    async fn deadline(&self, id: u64, limit: Option<Duration>, mut attended: watch::Receiver<usize>) {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            tokio::select! {
                () = tokio::time::sleep(limit) => return,
                Ok(_) = attended.wait_for(|count| *count > 0) => {}
            }
            self.set_deadline(id, None);
            if attended.wait_for(|count| *count == 0).await.is_err() {
                // It has been answered.
                return std::future::pending().await;
            }
            self.set_deadline(id, deadline(limit));
        }
    }

    fn set_deadline(&self, id: u64, deadline: Option<jiff::Timestamp>) {
        self.control.set_deadline(id, deadline);
        self.events.emit(Some(&self.build), EventKind::Deadline { id, deadline });
    }

    fn question(&self, draft: Draft) -> Question {
        let deadline = draft.timeout.and_then(deadline);
        let question = Question {
            id: self.control.question_number(),
            build: self.build.clone(),
            step: draft.step,
            step_index: draft.step_index,
            reason: draft.reason,
            choices: draft.choices,
            default: Choice::Cleanup,
            deadline,
            resume_from: draft.resume_from,
            scripts: draft.scripts,
        };
        self.events.redactor().question(question)
    }
}

fn deadline(limit: Duration) -> Option<jiff::Timestamp> {
    jiff::Timestamp::now().checked_add(limit).ok()
}

/// Holds a build until somebody says that it goes on.
#[derive(Clone)]
pub struct Pause {
    asker: Asker,
    step: Arc<str>,
    step_index: usize,
    communicator: Option<Arc<dyn Communicator>>,
}

impl fmt::Debug for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pause").field("step", &self.step).finish_non_exhaustive()
    }
}

impl Pause {
    /// In this step.
    pub(super) fn new(asker: Asker, step: Arc<str>, step_index: usize) -> Self {
        Self { asker, step, step_index, communicator: None }
    }

    /// With a guest that can be looked into meanwhile.
    #[must_use]
    pub(super) fn with_guest(mut self, communicator: Option<Arc<dyn Communicator>>) -> Self {
        self.communicator = communicator;
        self
    }

    /// Waits, without end, for somebody to go on. Fails, with the build cancelled, when it is not to go on.
    pub async fn wait(&self, note: &str) -> Result<()> {
        let shell = self.communicator.is_some().then_some(Choice::Shell);
        let draft = Draft {
            step: self.step.clone(),
            step_index: self.step_index,
            reason: Reason::Pause { note: note.to_owned() },
            choices: [Choice::Continue].into_iter().chain(shell).chain([Choice::Cleanup]).collect(),
            timeout: None,
            resume_from: Vec::new(),
            scripts: Vec::new(),
        };
        if self.asker.ask(draft, self.communicator.clone()).await == Answer::Continue {
            return Ok(());
        }
        self.asker.cancel.cancel(Cause::User);
        Err(Error::new("stopped at a pause"))
    }
}
