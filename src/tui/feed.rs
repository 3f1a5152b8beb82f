//! What leads from the event stream to the UI: everything but lines of output, which stay in the log's file.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use larder_proxy::stats::Totals;

use super::msg::Msg;
use crate::event::summary::Summary;
use crate::event::{Event, EventKind};
use crate::output::renderer::Renderer;

/// Flows and progress waiting for the UI above which more are left out: it shows them to nobody in time.
const WAITING: usize = 2000;

/// Counts kept by the feed, so that they are right whatever is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Live {
    /// The proxy's totals.
    pub totals: Totals,
    /// Flows that the UI did not get.
    pub flows_left_out: u64,
}

/// What the feed and the UI's thread share.
#[derive(Default)]
pub(super) struct Shared {
    /// Whether the plain stream is shown in place of the UI: as in `stream`, to be looked at without waiting.
    streaming: AtomicBool,
    stream: Mutex<Stream>,
    /// Whether the UI has been told that something goes on, and has not looked yet.
    told: AtomicBool,
    /// Whether logs have been written since the UI last looked.
    written: AtomicBool,
    /// Flows and progress that the UI has not taken yet.
    waiting: AtomicUsize,
    live: Mutex<Live>,
}

/// The plain stream. Locked while a line is written, so that none is written across the screen.
#[derive(Default)]
struct Stream {
    on: bool,
    plain: Option<Box<dyn Renderer>>,
}

impl Stream {
    /// Has the renderer do something; one whose output fails is not used again.
    fn show(&mut self, show: impl FnOnce(&mut dyn Renderer) -> io::Result<()>) {
        if self.plain.as_deref_mut().is_some_and(|plain| show(plain).is_err()) {
            self.plain = None;
        }
    }
}

impl Shared {
    /// Shows the plain stream from the next event on, or no longer: then what was written is shown, and nothing more is
    /// written once this returns.
    pub(super) fn stream(&self, on: bool) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if !on {
            stream.show(|plain| plain.flush());
        }
        stream.on = on;
        self.streaming.store(on, Ordering::Relaxed);
    }

    /// Whether the plain stream is shown.
    pub(super) fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// To be called for every message taken.
    pub(super) fn took(&self, msg: &Msg) {
        match msg {
            Msg::Event(event) if may_be_left_out(event) => {
                self.waiting.fetch_sub(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Lets the feed say again that something goes on. To be called once a frame. Returns the counts if logs have been
    /// written since the last time: what the UI read of them before may lack the last lines.
    pub(super) fn looked(&self) -> Option<Live> {
        self.told.store(false, Ordering::Release);
        let written = self.written.swap(false, Ordering::AcqRel);
        written.then(|| self.live.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn may_be_left_out(event: &Event) -> bool {
    matches!(event.kind, EventKind::Flow { .. } | EventKind::Progress { .. })
}

/// Feeds the UI; shows the plain stream while the person has asked for that.
pub struct Feed {
    sender: Sender<Msg>,
    shared: Arc<Shared>,
    /// Whether an event has come since the last flush.
    since: bool,
}

impl Feed {
    pub(super) fn new(sender: Sender<Msg>, shared: Arc<Shared>, plain: Box<dyn Renderer>) -> Self {
        shared.stream.lock().unwrap_or_else(PoisonError::into_inner).plain = Some(plain);
        Self { sender, shared, since: false }
    }

    /// Says that something goes on, once for each time the UI looks.
    fn say(&self) {
        if !self.shared.told.swap(true, Ordering::AcqRel) {
            let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let _ = self.sender.send(Msg::Live(live));
        }
    }

    fn tell(&self, event: &Event) {
        if may_be_left_out(event) {
            let full = self.shared.waiting.load(Ordering::Relaxed) >= WAITING;
            if let EventKind::Flow { flow } = &event.kind {
                let mut live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
                live.totals.add(flow);
                live.flows_left_out += u64::from(full);
            }
            if full {
                return;
            }
            self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        }
        // Without a UI there is nobody to tell.
        let _ = self.sender.send(Msg::Event(Box::new(event.clone())));
    }

    fn show(&self, always: bool, show: impl FnOnce(&mut dyn Renderer) -> io::Result<()>) {
        if always || self.shared.is_streaming() {
            let mut stream = self.shared.stream.lock().unwrap_or_else(PoisonError::into_inner);
            if always || stream.on {
                stream.show(show);
            }
        }
    }
}

impl Renderer for Feed {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let begins = matches!(event.kind, EventKind::RunStarted { .. });
        if begins {
            *self.shared.live.lock().unwrap_or_else(PoisonError::into_inner) = Live::default();
        }
        match event.kind {
            EventKind::Stdout { .. } | EventKind::Stderr { .. } | EventKind::Message { .. } => {}
            _ => self.tell(event),
        }
        self.since = true;
        self.say();
        // The beginning tells the plain form which builds there are; it writes nothing of it.
        self.show(begins, |plain| plain.event(event));
        Ok(())
    }

    /// No event waits, and the log files, which come before the UI, are written.
    fn flush(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.since) {
            self.shared.written.store(true, Ordering::Release);
            self.say();
        }
        self.show(false, |plain| plain.flush());
        Ok(())
    }

    /// The report is shown by whoever started the UI, once it has left.
    fn finish(&mut self, _summary: &Summary) -> io::Result<()> {
        self.show(false, |plain| plain.flush());
        let live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let _ = self.sender.send(Msg::Live(live));
        Ok(())
    }
}
