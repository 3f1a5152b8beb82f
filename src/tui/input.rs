//! Reads keys on a thread of its own, which can be held while somebody else has the terminal.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, poll};

use super::msg::Msg;

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
    loop {
        wait_while_held(shared);
        let ready = {
            let mut fds = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return End::Lost,
            }
            [fds[0].revents(), fds[1].revents()]
        };
        if !ready[1].is_empty() {
            let mut byte = [0; 16];
            match rustix::io::read(woken, &mut byte) {
                // The other end is gone: the UI has ended.
                Ok(0) | Err(_) => return End::Unwanted,
                Ok(_) => continue,
            }
        }
        // One that has hung up can be read without end, too.
        if ready[0].intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
            return End::Lost;
        }
        if ready[0].contains(PollFlags::IN)
            && let Some(end) = relay(messages)
        {
            return end;
        }
    }
}

/// Waits while the terminal is somebody else's.
fn wait_while_held(shared: &Shared) {
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    while state.wanted {
        state.held = true;
        shared.changed.notify_all();
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    state.held = false;
}

/// Passes on what has been typed.
fn relay(messages: &Sender<Msg>) -> Option<End> {
    loop {
        match event::poll(Duration::ZERO) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => return Some(End::Lost),
        }
        let msg = match event::read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Msg::Key(key),
            Ok(Event::Mouse(mouse)) => Msg::Mouse(mouse),
            Ok(Event::Paste(text)) => Msg::Paste(text),
            Ok(_) => continue,
            Err(_) => return Some(End::Lost),
        };
        if messages.send(msg).is_err() {
            return Some(End::Unwanted);
        }
    }
}
