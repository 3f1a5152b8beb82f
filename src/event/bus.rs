//! The way events take from whoever emits them to the one consumer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::redact::Redactor;
use super::{Event, EventKind};

/// Events waiting above which [`Events::ready`] holds back those who relay much output.
const HIGH_WATER: usize = 8192;

/// The emitting end. Cheap to clone; the stream ends when [`Events::close`] is called.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    /// Numbering and sending under one lock, so that events arrive in the order of their numbers.
    sender: Mutex<Sender>,
    pending: AtomicUsize,
    drained: Notify,
    redactor: Redactor,
}

struct Sender {
    next: u64,
    /// The steps each build has begun, and whether the last is under way.
    steps: HashMap<Arc<str>, Steps>,
    channel: Option<mpsc::UnboundedSender<Event>>,
}

#[derive(Default)]
struct Steps {
    begun: Vec<(usize, Arc<str>)>,
    under_way: bool,
}

impl Sender {
    /// The step an event belongs to, with its place.
    fn step(&mut self, build: Option<&Arc<str>>, kind: &EventKind) -> Option<(Option<usize>, Arc<str>)> {
        if let EventKind::Flow { flow } = kind {
            // It may have outlived the step it began in.
            let name = flow.identity.step.clone()?;
            let begun = self.steps.get(&flow.identity.build).map(|steps| &steps.begun);
            let index = begun.and_then(|begun| begun.iter().rev().find(|(_, known)| *known == name));
            return Some((index.map(|(index, _)| *index), name));
        }
        let build = build?;
        if let EventKind::StepStarted { index, name, .. } = kind {
            let steps = self.steps.entry(build.clone()).or_default();
            steps.begun.push((*index, name.clone()));
            steps.under_way = true;
        }
        let steps = self.steps.get_mut(build)?;
        let last = steps.begun.last().filter(|_| steps.under_way)?.clone();
        if let EventKind::StepFinished { .. } = kind {
            steps.under_way = false;
        }
        Some((Some(last.0), last.1))
    }
}

/// The consuming end.
pub struct EventReceiver {
    channel: mpsc::UnboundedReceiver<Event>,
    shared: Arc<Shared>,
}

/// A new stream whose texts pass through `redactor`.
pub fn stream(redactor: Redactor) -> (Events, EventReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        sender: Mutex::new(Sender { next: 1, steps: HashMap::new(), channel: Some(sender) }),
        pending: AtomicUsize::new(0),
        drained: Notify::new(),
        redactor,
    });
    (Events { shared: shared.clone() }, EventReceiver { channel: receiver, shared })
}

impl Events {
    /// Numbers, stamps and redacts the event, and passes it on. After [`Events::close`] it is dropped.
    pub fn emit(&self, build: Option<&Arc<str>>, kind: EventKind) {
        let kind = self.shared.redactor.event(kind);
        let mut sender = self.shared.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let step = sender.step(build, &kind);
        let Some(channel) = &sender.channel else { return };
        let (step_index, step) = step.map_or((None, None), |(index, name)| (index, Some(name)));
        let event =
            Event { seq: sender.next, time: jiff::Timestamp::now(), build: build.cloned(), step, step_index, kind };
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        if channel.send(event).is_ok() {
            sender.next += 1;
        }
    }

    /// Waits while the consumer is far behind.
    pub async fn ready(&self) {
        while self.shared.pending.load(Ordering::Relaxed) > HIGH_WATER {
            let drained = self.shared.drained.notified();
            if self.shared.pending.load(Ordering::Relaxed) <= HIGH_WATER {
                return;
            }
            drained.await;
        }
    }

    /// Ends the stream: the consumer gets what was emitted before, then the end.
    pub fn close(&self) {
        self.shared.sender.lock().unwrap_or_else(PoisonError::into_inner).channel = None;
    }

    /// The redactor texts pass through; secrets are registered with it.
    pub fn redactor(&self) -> &Redactor {
        &self.shared.redactor
    }
}

impl EventReceiver {
    /// The next event, waiting for it; `None` at the end. Must not be called from within a runtime.
    pub fn next_blocking(&mut self) -> Option<Event> {
        let event = self.channel.blocking_recv();
        self.took(event)
    }

    /// The next event if one is waiting.
    pub fn next_waiting(&mut self) -> Option<Event> {
        let event = self.channel.try_recv().ok();
        self.took(event)
    }

    fn took(&self, event: Option<Event>) -> Option<Event> {
        if event.is_some() && self.shared.pending.fetch_sub(1, Ordering::Relaxed) == HIGH_WATER / 2 {
            self.shared.drained.notify_waiters();
        }
        event
    }
}

impl Drop for EventReceiver {
    /// Nobody listens any more: whoever waits for room must not wait for ever.
    fn drop(&mut self) {
        self.shared.pending.store(0, Ordering::Relaxed);
        self.shared.sender.lock().unwrap_or_else(PoisonError::into_inner).channel = None;
        self.shared.drained.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Ending;

    fn message(text: &str) -> EventKind {
        EventKind::Message { text: text.to_owned() }
    }

    #[test]
    fn events_are_numbered_in_order_and_end_at_close() {
        let (events, mut receiver) = stream(Redactor::default());
        events.emit(None, message("a"));
        events.emit(Some(&"b".into()), message("b"));
        events.close();
        events.emit(None, message("late"));
        let first = receiver.next_blocking().unwrap();
        let second = receiver.next_blocking().unwrap();
        assert_eq!((first.seq, second.seq), (1, 2));
        assert!(receiver.next_blocking().is_none());
    }

    #[test]
    fn events_tell_the_step_they_belong_to() {
        let (events, mut receiver) = stream(Redactor::default());
        let build: Arc<str> = "b".into();
        let mut told = |kind: EventKind| {
            events.emit(Some(&build), kind);
            let event = receiver.next_blocking().unwrap();
            (event.step_index, event.step.map(|step| step.to_string()))
        };
        let started = |index| EventKind::StepStarted { index, name: "shell".into(), attempt: 1 };
        let finished = |index| EventKind::StepFinished {
            index,
            name: "shell".into(),
            ending: Ending::Succeeded,
            seconds: 0.0,
            attempt: 1,
        };
        assert_eq!(told(message("before")), (None, None));
        for index in 0..2 {
            let step = (Some(index), Some("shell".to_owned()));
            assert_eq!(told(started(index)), step);
            assert_eq!(told(message("within")), step);
            assert_eq!(told(finished(index)), step);
            assert_eq!(told(message("between")), (None, None));
        }
        events.emit(None, message("the run's own"));
        assert_eq!(receiver.next_blocking().unwrap().step, None);
    }

    #[tokio::test]
    async fn whoever_relays_much_waits_for_a_slow_consumer() {
        let (events, mut receiver) = stream(Redactor::default());
        for _ in 0..=HIGH_WATER {
            events.emit(None, message("x"));
        }
        let waiting = tokio::spawn({
            let events = events.clone();
            async move { events.ready().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        while receiver.next_waiting().is_some() {}
        waiting.await.unwrap();
    }
}
