//! What is written to standard error while the UI has the terminal: shown among the messages, and again on the normal
//! screen when the UI ends.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::tui::feed;
use crate::tui::msg::Msg;
use crate::tui::terminal;

/// Most lines kept, and most that wait to be taken in by the UI.
const LINES: usize = 1000;

/// Most bytes of a line; a longer one is broken.
const LINE: u64 = 16 * 1024;

/// Written by the UI itself, to learn that everything before has been read.
const MARK: &str = "\0ui-mark";

/// How long what is on its way is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pipe that takes the place of standard error. Cheap to clone.
#[derive(Clone)]
pub(super) struct Aside {
    write: Arc<OwnedFd>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    changed: Condvar,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<String>,
    left_out: usize,
    marks: usize,
    /// Whether the UI has ended, so that lines go straight on.
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Aside {
    /// A pipe, and a thread that reads it.
    pub(super) fn start(messages: Sender<Msg>, feed: Arc<feed::Shared>) -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        thread::Builder::new().name("ui-aside".into()).spawn(move || relay(read, &theirs, &messages, &feed))?;
        Ok(Self { write: Arc::new(write), shared })
    }

    /// What takes the place of standard error.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// To be called for every line that the UI has taken in.
    pub(super) fn took(&self) {
        self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Shows everything written so far, and lets what is written from now on straight through. To be called when the
    /// terminal has been given back; does nothing the second time.
    pub(super) fn finish(&self) {
        self.catch_up();
        let mut kept = self.shared.lock();
        if std::mem::replace(&mut kept.over, true) {
            return;
        }
        if kept.left_out > 0 {
            terminal::tell(&format!("({} lines before these are left out)", kept.left_out));
        }
        for line in kept.lines.drain(..) {
            terminal::tell(&line);
        }
    }

    /// Waits until what was written has been read.
    fn catch_up(&self) {
        let marks = self.shared.lock().marks;
        let mut room = [PollFd::new(&*self.write, PollFlags::OUT)];
        if !poll(&mut room, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            return;
        }
        if rustix::io::write(&*self.write, format!("\n{MARK}\n").as_bytes()).is_ok() {
            let kept = self.shared.lock();
            drop(self.shared.changed.wait_timeout_while(kept, PATIENCE, |kept| kept.marks == marks));
        }
    }
}

fn relay(read: OwnedFd, shared: &Shared, messages: &Sender<Msg>, feed: &feed::Shared) {
    let mut reader = BufReader::new(std::fs::File::from(read));
    loop {
        let mut bytes = Vec::new();
        match reader.by_ref().take(LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if line == MARK {
            shared.lock().marks += 1;
            shared.changed.notify_all();
        } else if !line.is_empty() {
            take(line, shared, messages, feed);
        }
    }
}

fn take(line: String, shared: &Shared, messages: &Sender<Msg>, feed: &feed::Shared) {
    let mut kept = shared.lock();
    if kept.over || feed.is_streaming() {
        terminal::tell(&line);
    } else {
        if kept.lines.len() == LINES {
            kept.lines.pop_front();
            kept.left_out += 1;
        }
        kept.lines.push_back(line.clone());
    }
    drop(kept);
    if shared.waiting.load(Ordering::Relaxed) < LINES {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        let _ = messages.send(Msg::Aside(line));
    }
}
