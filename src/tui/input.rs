//! Reads keys on a thread of its own, which can be held while somebody else has the terminal.

mod decode;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use ratatui::crossterm::event::Event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::msg::Msg;
use decode::{Decoder, Open};

/// How long the rest of a key may take to come: after that, Esc was Esc.
const KEY: Timespec = Timespec { tv_sec: 0, tv_nsec: 30_000_000 };

/// How long the rest of pasted text may take.
const PASTE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The thread that reads keys.
pub(super) struct Input {
    shared: Arc<Shared>,
    wake: OwnedFd,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Hold>,
    changed: Condvar,
}

#[derive(Default)]
struct Hold {
    wanted: bool,
    held: bool,
    ended: bool,
}

/// Why reading has ended.
enum End {
    /// Nobody listens any more.
    Unwanted,
    /// The terminal is gone.
    Lost,
}

impl Input {
    /// Starts it.
    pub(super) fn start(messages: Sender<Msg>) -> io::Result<Self> {
        let (read, wake) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        thread::Builder::new().name("ui-keys".into()).spawn(move || {
            if let End::Lost = serve(&theirs, &read, &messages) {
                let _ = messages.send(Msg::Lost);
            }
            let mut state = theirs.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.held, state.ended) = (true, true);
            theirs.changed.notify_all();
        })?;
        Ok(Self { shared, wake })
    }

    /// Leaves the terminal alone until [`Input::go_on`]; returns once that is so.
    pub(super) fn hold(&self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = true;
        let _ = rustix::io::write(&self.wake, &[0]);
        while !state.held {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reads keys again.
    pub(super) fn go_on(&self) {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = false;
        if !state.ended {
            state.held = false;
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Input {
    /// The thread ends when the other end of its pipe does, also if it is held at that time.
    fn drop(&mut self) {
        self.go_on();
    }
}

fn serve(shared: &Shared, woken: &OwnedFd, messages: &Sender<Msg>) -> End {
    let stdin = io::stdin();
    let mut decoder = Decoder::default();
    loop {
        if wait_while_held(shared) {
            // What was begun has gone on elsewhere.
            decoder = Decoder::default();
        }
        let limit = decoder.open().map(|open| if open == Open::Key { KEY } else { PASTE });
        let mut fds = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
        let events = match poll(&mut fds, limit.as_ref()) {
            Ok(0) => decoder.close().into_iter().collect(),
            Ok(_) => {
                let [terminal, wake] = [fds[0].revents(), fds[1].revents()];
                if !wake.is_empty() {
                    let mut byte = [0; 16];
                    match rustix::io::read(woken, &mut byte) {
                        // The other end is gone: the UI has ended.
                        Ok(0) | Err(_) => return End::Unwanted,
                        Ok(_) => continue,
                    }
                }
                match read(stdin.as_fd(), terminal) {
                    Ok(bytes) => decoder.feed(&bytes),
                    Err(end) => return end,
                }
            }
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return End::Lost,
        };
        if events.into_iter().filter_map(message).any(|msg| messages.send(msg).is_err()) {
            return End::Unwanted;
        }
    }
}

/// What the terminal has, of which this is said.
fn read(terminal: BorrowedFd<'_>, said: PollFlags) -> Result<Vec<u8>, End> {
    // One that has hung up can be read without end, too.
    if said.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(End::Lost);
    }
    let mut bytes = vec![0; 4096];
    match rustix::io::read(terminal, &mut bytes) {
        Ok(0) => Err(End::Lost),
        Ok(length) => {
            bytes.truncate(length);
            Ok(bytes)
        }
        // Somebody who shares it may have made it so that reading does not wait.
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(Vec::new()),
        Err(_) => Err(End::Lost),
    }
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => Some(Msg::Key(key)),
        Event::Mouse(mouse) => Some(Msg::Mouse(mouse)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        _ => None,
    }
}

/// Waits while the terminal is somebody else's; whether it was.
fn wait_while_held(shared: &Shared) -> bool {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    let held = state.wanted;
    while state.wanted {
        state.held = true;
        shared.changed.notify_all();
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.held = false;
    held
}
