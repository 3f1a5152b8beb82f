//! The threads that do the work of areas, each in the order asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use larder_proxy::proxy::Proxy;
use larder_proxy::rules::Rules;

use super::{BuildRequest, Done, Work, cache, guests, history, log, proxy, templates};
use crate::catalogue::Around;
use crate::engine::control::Control;
use crate::engine::host::Host;
use crate::error::Result;
use crate::event::redact::Redactor;
use crate::tui::msg::Msg;

/// Where things are, and how the program is called.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Working directory.
    pub cwd: PathBuf,
    /// Directory of the cache.
    pub cache: PathBuf,
    /// Directory of history, logs and records.
    pub state: PathBuf,
    /// Directory of the user's configuration.
    pub config: PathBuf,
    /// The environment.
    pub env: BTreeMap<String, String>,
}

/// Starts a build; called from a worker.
pub type Start = Arc<dyn Fn(BuildRequest) -> Result<()> + Send + Sync>;

/// What workers reach of the program around the UI. Cheap to clone.
#[derive(Clone)]
pub struct Outside {
    /// Where things are.
    pub places: Arc<Places>,
    /// The program's runtime, for what is async.
    pub runtime: tokio::runtime::Handle,
    /// Starts a build.
    pub start: Start,
    /// What reading templates depends on; none where they cannot be.
    pub around: Option<Arc<Around>>,
    /// Starts programs of the host, as the person.
    pub host: Option<Arc<dyn Host>>,
    /// What URLs are judged by: the person's own rules and the built-in ones.
    pub rules: Rules,
    run: Arc<Mutex<Option<Run>>>,
}

/// What there is of a run under way.
#[derive(Clone)]
pub struct Run {
    /// Steers it.
    pub control: Control,
    /// Its proxy.
    pub proxy: Proxy,
    /// Takes secrets out of what comes from the proxy past the event stream.
    pub redactor: Redactor,
}

impl Outside {
    /// An outside without a run.
    pub fn new(places: Places, runtime: tokio::runtime::Handle, start: Start) -> Self {
        Self {
            places: Arc::new(places),
            runtime,
            start,
            around: None,
            host: None,
            rules: Rules::default(),
            run: Arc::default(),
        }
    }

    /// The run under way, if there is one.
    pub fn run(&self) -> Option<Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what runs, or that nothing does.
    pub fn set_run(&self, run: Option<Run>) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run;
    }
}

/// The workers; their threads start when they are first needed and end when this is dropped.
pub(in crate::tui) struct Workers {
    outside: Outside,
    messages: Sender<Msg>,
    threads: [Option<Sender<Work>>; 6],
}

fn place(work: &Work) -> usize {
    match work {
        Work::Log(_) => 0,
        Work::Proxy(_) => 1,
        Work::Cache(_) => 2,
        Work::Templates(_) => 3,
        Work::History(_) => 4,
        Work::Guests(_) => 5,
    }
}

impl Workers {
    pub(in crate::tui) fn new(outside: Outside, messages: Sender<Msg>) -> Self {
        Self { outside, messages, threads: Default::default() }
    }

    /// Has the work done.
    pub(in crate::tui) fn send(&mut self, work: Work) {
        let place = place(&work);
        let thread = self.threads[place].get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let (outside, messages) = (self.outside.clone(), self.messages.clone());
            // Without a thread nothing comes back; the UI stays usable.
            let _ = thread::Builder::new().name("ui-work".into()).spawn(move || serve(&receiver, &outside, &messages));
            sender
        });
        let _ = thread.send(work);
    }
}

fn serve(receiver: &Receiver<Work>, outside: &Outside, messages: &Sender<Msg>) {
    let (mut log, mut proxy, mut cache) =
        (log::Worker::new(messages.clone()), proxy::Worker::default(), cache::Worker::default());
    let (mut templates, mut history, mut guests) =
        (templates::Worker::default(), history::Worker::default(), guests::Worker::default());
    while let Ok(work) = receiver.recv() {
        let done = match work {
            Work::Log(op) => log.perform(op, outside),
            Work::Proxy(op) => proxy.perform(op, outside).map(Done::Proxy),
            Work::Cache(op) => cache.perform(op, outside).map(Done::Cache),
            Work::Templates(op) => templates.perform(op, outside).map(Done::Templates),
            Work::History(op) => history.perform(op, outside).map(Done::History),
            Work::Guests(op) => guests.perform(op, outside).map(Done::Guests),
        };
        if let Some(done) = done
            && messages.send(Msg::Done(done)).is_err()
        {
            return;
        }
    }
}
