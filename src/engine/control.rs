//! The way back into a run: cancelling, answering, and how many builds run at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, Cause};
use super::component::Communicator;
use crate::error::{Error, Result};
use crate::event::question::{Answer, AnsweredBy, Question};

/// Steers a run. Cheap to clone; used by the terminal UI and by prompts.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    run: Cancel,
    state: Mutex<State>,
    slots_changed: Notify,
}

#[derive(Default)]
struct State {
    builds: BTreeMap<Arc<str>, BuildControl>,
    open: BTreeMap<u64, Open>,
    next_question: u64,
    slots: Slots,
    /// Builds that wait for a slot: those that go on after a question first, then the others in the order of the plan.
    waiting: BTreeSet<Turn>,
}

/// A build's turn among those that wait for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    /// Whether it has not started.
    queued: bool,
    /// Its place in the plan.
    place: usize,
}

#[derive(Default)]
struct BuildControl {
    cancel: Cancel,
    /// Whether its guest is to be kept when it is cancelled.
    keep: bool,
}

/// A question without an answer yet.
struct Open {
    question: Question,
    answer: oneshot::Sender<(Answer, AnsweredBy)>,
    communicator: Option<Arc<dyn Communicator>>,
    /// How many programs somebody has open for it.
    attended: watch::Sender<usize>,
}

/// What who asks is told of a question that is open.
pub(super) struct Opened {
    /// The answer.
    pub(super) answer: oneshot::Receiver<(Answer, AnsweredBy)>,
    /// How many programs somebody has open for it.
    pub(super) attended: watch::Receiver<usize>,
}

/// Somebody is at work on a question, in a shell or an editor: until this is dropped, its deadline does not hold.
#[derive(Debug)]
pub struct Attending {
    control: Control,
    id: u64,
}

impl Drop for Attending {
    fn drop(&mut self) {
        if let Some(open) = self.control.lock().open.get_mut(&self.id) {
            open.attended.send_modify(|count| *count -= 1);
        }
    }
}

/// How many builds run at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// At most so many; 0 for no limit.
    pub limit: usize,
    /// Builds that have one: running, and not waiting with a question.
    pub taken: usize,
    /// Whether queued builds are held back.
    pub paused: bool,
}

impl Slots {
    /// Whether a build may start or go on. Those that have started are not held back by a pause.
    fn is_free(&self, queued: bool) -> bool {
        !(queued && self.paused) && (self.limit == 0 || self.taken < self.limit)
    }
}

/// A build's wait for a slot. It has its turn from when this is made until it is dropped.
pub(super) struct Waiting {
    control: Control,
    turn: Turn,
}

impl Waiting {
    /// Waits for a place among the builds that run.
    pub(super) async fn slot(self) -> Slot {
        loop {
            let changed = self.control.shared.slots_changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.try_take() {
                return Slot { control: self.control.clone() };
            }
            changed.await;
        }
    }

    fn try_take(&self) -> bool {
        let mut state = self.control.lock();
        // Of those before it, builds that are held back do not count.
        let first = state.waiting.iter().find(|turn| state.slots.is_free(turn.queued)).copied();
        if first != Some(self.turn) {
            return false;
        }
        state.slots.taken += 1;
        state.waiting.remove(&self.turn);
        true
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.control.lock().waiting.remove(&self.turn);
        self.control.shared.slots_changed.notify_waiters();
    }
}

/// A place among the builds that run; given back when dropped.
pub struct Slot {
    control: Control,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.control.lock().slots.taken -= 1;
        self.control.shared.slots_changed.notify_waiters();
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

impl Control {
    /// Control over a run that `run` cancels, of which at most `limit` builds run at a time (0 for no limit).
    pub fn new(run: Cancel, limit: usize) -> Self {
        let state = State { slots: Slots { limit, ..Slots::default() }, next_question: 1, ..State::default() };
        Self { shared: Arc::new(Shared { run, state: Mutex::new(state), slots_changed: Notify::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancels all builds; each cleans up.
    pub fn cancel(&self, cause: Cause) {
        self.shared.run.cancel(cause);
    }

    /// Fires when all builds are cancelled.
    pub fn cancelled(&self) -> CancellationToken {
        self.shared.run.token().clone()
    }

    /// Cancels one build, which cleans up unless `keep`. Returns whether there is such a build.
    pub fn cancel_build(&self, build: &str, keep: bool) -> bool {
        let mut state = self.lock();
        let Some(found) = state.builds.get_mut(build) else { return false };
        found.keep |= keep;
        let cancel = found.cancel.clone();
        drop(state);
        cancel.cancel(Cause::User);
        true
    }

    /// Whether the build's guest is to be kept though it was cancelled.
    pub(super) fn keeps(&self, build: &str) -> bool {
        self.lock().builds.get(build).is_some_and(|build| build.keep)
    }

    /// Makes a build known, and returns its node of the tree of cancellation.
    pub(super) fn add_build(&self, build: &Arc<str>) -> Cancel {
        let cancel = self.shared.run.child();
        self.lock().builds.insert(build.clone(), BuildControl { cancel: cancel.clone(), keep: false });
        cancel
    }

    /// How many builds run, and may.
    pub fn slots(&self) -> Slots {
        self.lock().slots
    }

    /// Lets at most `limit` builds run at a time (0 for no limit). Those that run go on.
    pub fn set_limit(&self, limit: usize) {
        self.lock().slots.limit = limit;
        self.shared.slots_changed.notify_waiters();
    }

    /// Holds back builds that have not started, or lets them start.
    pub fn set_paused(&self, paused: bool) {
        self.lock().slots.paused = paused;
        self.shared.slots_changed.notify_waiters();
    }

    /// Makes the build in this place of the plan wait for a slot. One that is `queued` has not started yet.
    pub(super) fn wait(&self, queued: bool, place: usize) -> Waiting {
        let turn = Turn { queued, place };
        self.lock().waiting.insert(turn);
        Waiting { control: self.clone(), turn }
    }

    /// The number for the next question.
    pub(super) fn question_number(&self) -> u64 {
        let mut state = self.lock();
        state.next_question += 1;
        state.next_question - 1
    }

    /// Opens a question. `communicator` reaches the guest of the build, if there is one.
    pub(super) fn open(&self, question: Question, communicator: Option<Arc<dyn Communicator>>) -> Opened {
        let (answer, answered) = oneshot::channel();
        let (attended, attending) = watch::channel(0);
        self.lock().open.insert(question.id, Open { question, answer, communicator, attended });
        Opened { answer: answered, attended: attending }
    }

    /// The questions without an answer, the oldest first.
    pub fn questions(&self) -> Vec<Question> {
        self.lock().open.values().map(|open| open.question.clone()).collect()
    }

    /// Holds a question's deadline off while somebody is at work on it. `None` if it is no longer open.
    pub fn attend(&self, id: u64) -> Option<Attending> {
        self.lock().open.get(&id)?.attended.send_modify(|count| *count += 1);
        Some(Attending { control: self.clone(), id })
    }

    /// Gives a question another deadline.
    pub(super) fn set_deadline(&self, id: u64, deadline: Option<jiff::Timestamp>) {
        if let Some(open) = self.lock().open.get_mut(&id) {
            open.question.deadline = deadline;
        }
    }

    /// The way into the guest of the build that waits with this question.
    pub fn guest(&self, id: u64) -> Option<Arc<dyn Communicator>> {
        self.lock().open.get(&id).and_then(|open| open.communicator.clone())
    }

    /// Answers a question. Fails if it is no longer open, or does not offer the answer.
    pub fn answer(&self, id: u64, answer: Answer) -> Result<()> {
        self.settle(id, |question| {
            let offered = question.offers(answer).then_some((answer, AnsweredBy::Person));
            offered.ok_or_else(|| Error::new("the question does not offer that answer"))
        })
    }

    /// Answers a question by its default: the terminal that it was shown on is gone.
    pub fn terminal_lost(&self, id: u64) -> Result<()> {
        self.settle(id, |question| Ok((question.default_answer(), AnsweredBy::TerminalLost)))
    }

    /// Answers a question in the place of a person who has not. Returns `None`, for the answer to be awaited: a person
    /// may have been first.
    pub(super) fn resolve<T>(&self, id: u64, by: AnsweredBy) -> Option<T> {
        let _ = self.settle(id, |question| Ok((question.default_answer(), by)));
        None
    }

    fn settle(&self, id: u64, with: impl FnOnce(&Question) -> Result<(Answer, AnsweredBy)>) -> Result<()> {
        let mut state = self.lock();
        let Some(open) = state.open.get(&id) else {
            return Err(Error::new("the question has been answered already, or its deadline has passed"));
        };
        let answer = with(&open.question)?;
        if let Some(open) = state.open.remove(&id) {
            let _ = open.answer.send(answer);
        }
        Ok(())
    }
}
