//! A line for each flow: on standard output, or in a file. Written by a thread of its own, so that neither a slow reader
//! nor a full disk holds up a request; what it cannot take is left out, counted and told.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use larder_proxy::flow::Flow;
use serde::Serialize;

use crate::error::{Context as _, Result};
use crate::event::flow_record::FlowRecord;
use crate::output::text::{bytes, printable};

/// Flows that may wait to be written.
const WAITING: usize = 16 * 1024;
/// How long what waits may take to be written when the proxy ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// Flows written at once.
const BATCH: usize = 256;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Plain,
    /// A JSON object, as `larder proxy --json` always had it.
    Json,
    /// The same with who asked.
    Access,
}

/// Lines for flows.
pub(super) struct Log {
    sender: SyncSender<Option<Flow>>,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

/// How the writing goes.
#[derive(Debug, Default)]
pub(super) struct State {
    written: AtomicU64,
    lost: AtomicU64,
    /// Whether there is anywhere to write to.
    active: AtomicBool,
    reopen: AtomicBool,
    /// What is written to from the next line on, instead of what was.
    next: Mutex<Option<Place>>,
    failing: Mutex<Option<String>>,
}

impl State {
    /// Lines written, and lines left out.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }

    /// Why lines cannot be written at present.
    pub(super) fn failing(&self) -> Option<String> {
        if !self.active.load(Ordering::Relaxed) {
            return None;
        }
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the file anew before the next line: somebody has renamed it.
    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Writes to another file from the next line on, or to none.
    pub(super) fn change(&self, place: Option<Place>) {
        let is_active = place.is_some();
        // What waits still goes where it was meant to go.
        if let Some(place) = place {
            *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
            self.reopen();
        }
        // Last: a line that comes from here on finds the file.
        self.active.store(is_active, Ordering::Release);
    }
}

/// A file for the access log, open at its end.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: File,
}

impl Place {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = open(path).context(|| format!("cannot write the access log {}", path.display()))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

/// Where lines go.
enum Target {
    Standard,
    /// A file, closed where it could not be opened.
    File(PathBuf, Option<File>),
    Nowhere,
}

impl Log {
    /// Lines on standard output.
    pub(super) fn standard(form: Form) -> Result<Self> {
        Self::spawn(Target::Standard, form)
    }

    /// The access log: lines at the end of a file, where there is one.
    pub(super) fn access(place: Option<Place>) -> Result<Self> {
        Self::spawn(place.map_or(Target::Nowhere, Target::from), Form::Access)
    }

    fn spawn(mut target: Target, form: Form) -> Result<Self> {
        let (sender, flows) = sync_channel::<Option<Flow>>(WAITING);
        let active = AtomicBool::new(!matches!(target, Target::Nowhere));
        let state = Arc::new(State { active, ..State::default() });
        let shared = state.clone();
        let write = move || write_all(&flows, &mut target, form, &shared);
        let thread = std::thread::Builder::new().name("flows".to_owned()).spawn(write);
        Ok(Self { sender, state, thread: thread.context(|| "cannot start the thread for output".to_owned())? })
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.state.clone()
    }

    /// What takes flows. Does not block.
    pub(super) fn sink(&self) -> impl Fn(&Flow) + Send + Sync + 'static {
        let (sender, state) = (self.sender.clone(), self.state.clone());
        move |flow| {
            if !state.active.load(Ordering::Relaxed) {
                return;
            }
            if sender.try_send(Some(flow.clone())).is_err() {
                state.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until all is written, unless nobody reads or the disk hangs; returns how many lines were left out.
    pub(super) fn finish(self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        while self.sender.try_send(None).is_err() {
            if Instant::now() > deadline {
                return self.state.counts().1 + WAITING as u64;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        while !self.thread.is_finished() && Instant::now() <= deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.state.counts().1
    }
}

fn write_all(flows: &Receiver<Option<Flow>>, target: &mut Target, form: Form, state: &State) {
    let (mut text, mut ended) = (Vec::new(), false);
    while let (false, Ok(Some(flow))) = (ended, flows.recv()) {
        text.clear();
        let mut lines = 1;
        line(&flow, form, &mut text);
        for next in flows.try_iter().take(BATCH) {
            let Some(flow) = next else {
                ended = true;
                break;
            };
            line(&flow, form, &mut text);
            lines += 1;
        }
        if state.reopen.swap(false, Ordering::Relaxed) {
            match state.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(place) => *target = place.into(),
                None => target.reopen(),
            }
        }
        let failure = target.write(&text).err();
        let counter = if failure.is_some() { &state.lost } else { &state.written };
        counter.fetch_add(lines, Ordering::Relaxed);
        let failure = failure.map(|error| format!("{target}: {error}"));
        let mut failing = state.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*failing, &failure) {
            (None, Some(why)) => tracing::warn!("the log of requests is not written: {why}; requests go on"),
            (Some(_), None) => {
                let lost = state.lost.load(Ordering::Relaxed);
                tracing::warn!("the log of requests is written again; {lost} lines are missing in all");
            }
            _ => {}
        }
        *failing = failure;
    }
}

impl From<Place> for Target {
    fn from(place: Place) -> Self {
        Self::File(place.path, Some(place.file))
    }
}

impl Target {
    fn reopen(&mut self) {
        if let Self::File(_, file) = self {
            *file = None;
        }
    }

    /// Writes all of it, or nothing: a line that is cut off would spoil the next.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let (path, opened) = match self {
            Self::File(path, opened) => (path, opened),
            Self::Nowhere => return Ok(()),
            Self::Standard => {
                let mut out = io::stdout().lock();
                return out.write_all(text).and_then(|()| out.flush());
            }
        };
        let file = match opened {
            Some(file) => file,
            None => opened.insert(open(path)?),
        };
        let before = file.metadata()?;
        let result = file.write_all(text);
        if result.is_err() && before.is_file() {
            file.set_len(before.len())?;
        }
        result
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Standard => f.write_str("standard output"),
            Self::Nowhere => f.write_str("nowhere"),
            Self::File(path, _) => write!(f, "{}", path.display()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// A flow as the access log has it: with who asked.
#[derive(Serialize)]
struct Access<'a> {
    #[serde(flatten)]
    flow: FlowRecord,
    client: Option<IpAddr>,
    network: &'a str,
    user: Option<&'a str>,
    bytes_received: u64,
}

fn line(flow: &Flow, form: Form, text: &mut Vec<u8>) {
    match form {
        Form::Plain => {
            let words = format!(
                "{:<11} {} {} {} {} ({})",
                flow.outcome,
                flow.status,
                flow.method,
                printable(&flow.url),
                bytes(flow.bytes_sent),
                printable(&flow.why)
            );
            text.extend_from_slice(words.as_bytes());
        }
        Form::Json => {
            // Nothing in it fails to be JSON.
            let _ = serde_json::to_writer(&mut *text, &FlowRecord::from(flow));
        }
        Form::Access => {
            let access = Access {
                flow: flow.into(),
                client: flow.identity.address,
                network: &flow.identity.build,
                user: flow.identity.user.as_deref(),
                bytes_received: flow.bytes_received,
            };
            let _ = serde_json::to_writer(&mut *text, &access);
        }
    }
    text.push(b'\n');
}
