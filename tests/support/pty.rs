//! Larder in a terminal of the test's making: what is typed, what is seen, and how the terminal is left.

#![allow(dead_code, unreachable_pub, reason = "each test target uses its own part")]
#![allow(clippy::allow_attributes, reason = "an unfulfilled `expect` would fail in the targets that use all of it")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use tempfile::TempDir;

/// How long something may take to show.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Runs the command as the terminal's only job, and stays when it has ended, as a user's shell does: the kernel resets
/// a terminal whose session has ended, and nothing would be learnt of how it was left. `$0` is the directory for notes.
const SESSION: &str = "
    trap : INT TERM HUP QUIT
    sh -c 'echo $$ > \"$0/pid\"; exec \"$@\"' \"$0\" \"$@\"
    echo $? > \"$0/status.new\"; mv \"$0/status.new\" \"$0/status\"
    exec cat > /dev/null
";

/// A program in a terminal.
pub struct Pty {
    session: Child,
    /// `None` once the terminal has gone.
    master: Option<OwnedFd>,
    /// The other side, so that the terminal is there for as long as this is.
    slave: Option<OwnedFd>,
    seen: Arc<Seen>,
    reader: Option<JoinHandle<()>>,
    /// Closed to end the reader.
    stop: Option<OwnedFd>,
    before: String,
    notes: TempDir,
    size: (u16, u16),
}

/// What the terminal has shown.
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    terminal: vt100::Parser,
    /// Everything that was written to it.
    bytes: Vec<u8>,
    closed: bool,
}

impl Pty {
    /// Starts a command in a terminal of this many columns and rows.
    #[track_caller]
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let (master, slave) = open(columns, rows);
        let before = attributes(&master);
        let notes = tempfile::tempdir().unwrap();
        let mut session = Command::new("setsid");
        // The surroundings are the command's own; what it does not set is not there.
        session.env_clear();
        session.args(["--ctty", "sh", "-c", SESSION]).arg(notes.path());
        session.arg(command.get_program()).args(command.get_args());
        session.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        session.env("TERM", command_term(command));
        if let Some(directory) = command.get_current_dir() {
            session.current_dir(directory);
        }
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let session = session.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        let seen = Arc::new(Seen {
            state: Mutex::new(State {
                terminal: vt100::Parser::new(rows, columns, 0),
                bytes: Vec::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        let (from, to) = (File::from(master.try_clone().unwrap()), seen.clone());
        let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let reader = std::thread::spawn(move || follow(from, &stopped, &to));
        Self {
            session,
            master: Some(master),
            slave: Some(slave),
            seen,
            reader: Some(reader),
            stop: Some(stop),
            before,
            notes,
            size: (columns, rows),
        }
    }

    /// The process id of the program.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let path = self.notes.path().join("pid");
        let deadline = Instant::now() + LIMIT;
        loop {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            if let Some(pid) = pid.and_then(Pid::from_raw) {
                return pid;
            }
            assert!(Instant::now() < deadline, "the program did not start");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Types.
    #[track_caller]
    pub fn keys(&self, keys: &str) {
        let master = self.master.as_ref().expect("the terminal is there").try_clone().unwrap();
        File::from(master).write_all(keys.as_bytes()).unwrap();
    }

    /// Types, and waits for a moment until something is drawn: Esc with a key right behind it is another key.
    #[track_caller]
    pub fn keys_alone(&self, keys: &str) {
        let before = self.seen.lock().bytes.len();
        self.keys(keys);
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut state = self.seen.lock();
        while state.bytes.len() == before && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Sends the program, not its terminal's other processes, a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Gives the terminal another size.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        let begun = {
            let mut state = self.seen.lock();
            state.terminal.screen_mut().set_size(rows, columns);
            state.bytes.len()
        };
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(self.master.as_ref().expect("the terminal is there"), size).unwrap();
        if self.is_alternate() {
            // Every size has something in its last row.
            let last_row = format!("\x1b[{rows};");
            self.wait_bytes(&last_row, |bytes| contains(&bytes[begun..], last_row.as_bytes()) && is_whole(bytes));
        }
    }

    /// Gives the terminal another size, and does not wait for anything to be drawn. What the test sees keeps its size:
    /// the last size given has to be that again.
    #[track_caller]
    pub fn resize_at_once(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(self.master.as_ref().expect("the terminal is there"), size).unwrap();
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Takes the terminal away, as closing its window does.
    pub fn lose(&mut self) {
        let pid = self.pid();
        self.stop = None;
        self.reader.take().expect("a terminal is lost once").join().unwrap();
        self.slave = None;
        self.master = None;
        // As a shell does with its jobs.
        if !self.has_ended() {
            let _ = kill_process(pid, Signal::HUP);
        }
    }

    /// What is on the screen: a line each, without spaces at their ends.
    pub fn screen(&self) -> String {
        text(&self.seen.lock().terminal)
    }

    /// Whether the alternate screen is on.
    pub fn is_alternate(&self) -> bool {
        self.seen.lock().terminal.screen().alternate_screen()
    }

    /// Waits until keys make signals again, which a program in raw mode has turned off.
    #[track_caller]
    pub fn wait_signals(&self) {
        let master = self.master.as_ref().expect("the terminal is there");
        let modes = || rustix::termios::tcgetattr(master).unwrap().local_modes;
        let made = self.try_wait_until(LIMIT, |_| modes().contains(rustix::termios::LocalModes::ISIG));
        made.expect("keys make signals");
    }

    /// Waits until the alternate screen is on, or off.
    #[track_caller]
    pub fn wait_alternate(&self, on: bool) {
        let deadline = Instant::now() + LIMIT;
        let mut state = self.seen.lock();
        while state.terminal.screen().alternate_screen() != on {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for the other screen; there is:\n{}", text(&state.terminal));
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// What is on the screen, with its colours, as escape sequences; a line each.
    pub fn styled(&self) -> String {
        let state = self.seen.lock();
        let (_, columns) = state.terminal.screen().size();
        let rows = state.terminal.screen().rows_formatted(0, columns);
        rows.map(|row| String::from_utf8_lossy(&row).into_owned() + "\x1b[m\n").collect()
    }

    /// Everything that was written to the terminal, as it was written.
    pub fn written(&self) -> Vec<u8> {
        self.seen.lock().bytes.clone()
    }

    /// Waits for a text on the screen.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("{text:?} on the screen"), |screen| screen.contains(text));
    }

    /// Waits until a text is no longer on the screen.
    #[track_caller]
    pub fn wait_gone(&self, text: &str) {
        self.wait_until(&format!("no {text:?} on the screen"), |screen| !screen.contains(text));
    }

    /// Waits until the screen is as it should be; `what` says how.
    #[track_caller]
    pub fn wait_until(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        if let Err(screen) = self.try_wait_until(LIMIT, is_there) {
            panic!("waited for {what}; there is:\n{screen}");
        }
    }

    /// Waits until the screen is as it should be, so long; returns the screen if it did not become so.
    pub fn try_wait_until(&self, limit: Duration, is_there: impl Fn(&str) -> bool) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut state = self.seen.lock();
        loop {
            let screen = text(&state.terminal);
            if is_whole(&state.bytes) && is_there(&screen) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
                return Err(screen);
            }
            // The condition may be about more than the screen.
            state = self.seen.changed.wait_timeout(state, left.min(Duration::from_millis(20))).unwrap().0;
        }
    }

    /// Waits until a text has been written, wherever it is by now.
    #[track_caller]
    pub fn wait_written(&self, text: &str) {
        self.wait_bytes(text, |bytes| contains(bytes, text.as_bytes()));
    }

    #[track_caller]
    fn wait_bytes(&self, what: &str, is_so: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + LIMIT;
        let mut state = self.seen.lock();
        while !is_so(&state.bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited for {what:?}; written:\n{}", String::from_utf8_lossy(&state.bytes));
            state = self.seen.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits until no frame is half drawn.
    #[track_caller]
    pub fn wait_whole(&self) {
        self.wait_bytes("the end of a frame", is_whole);
    }

    fn status_path(&self) -> PathBuf {
        self.notes.path().join("status")
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.status_path().exists()
    }

    /// Waits for the program's end: its exit status, or 128 + signal.
    #[track_caller]
    pub fn end(&self) -> i32 {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Ok(status) = fs::read_to_string(self.status_path()) {
                if self.slave.is_some() {
                    // What it wrote last may still be on its way through the reading thread.
                    self.settle();
                }
                return status.trim().parse().unwrap();
            }
            assert!(Instant::now() < deadline, "the program does not end; there is:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Fails the test unless the terminal is as it was before the program: its settings, the normal screen, a visible
    /// cursor, no mouse, no bracketed paste, plain keys.
    #[track_caller]
    pub fn assert_restored(&self) {
        let master = self.master.as_ref().expect("the terminal is there");
        assert_eq!(attributes(master), self.before, "the terminal's settings");
        self.settle();
        let state = self.seen.lock();
        let screen = state.terminal.screen();
        let left = [
            ("the alternate screen is on", screen.alternate_screen()),
            ("the cursor is hidden", screen.hide_cursor()),
            ("bracketed paste is on", screen.bracketed_paste()),
            ("the mouse is reported", screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None),
            ("cursor keys are the application's", screen.application_cursor()),
            ("the keypad is the application's", screen.application_keypad()),
            ("focus is reported", focus_reported(&state.bytes)),
        ];
        let left: Vec<_> = left.into_iter().filter(|(_, is_so)| *is_so).map(|(what, _)| what).collect();
        assert!(left.is_empty(), "left behind: {left:?}; the screen:\n{}", text(&state.terminal));
    }

    /// Waits until the terminal has shown all that was written to it so far.
    fn settle(&self) {
        let slave = self.slave.as_ref().expect("the terminal is there");
        // Beyond what any program draws, and seen in the bytes only.
        let mark = format!("\x1b]0;seen {}\x07", self.seen.lock().bytes.len());
        File::from(slave.try_clone().unwrap()).write_all(mark.as_bytes()).unwrap();
        self.wait_written(&mark);
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !self.has_ended()
            && let Some(pid) = fs::read_to_string(self.notes.path().join("pid")).ok()
            && let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

fn follow(mut from: File, stopped: &OwnedFd, seen: &Seen) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut waiting = [PollFd::new(&from, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut waiting, None)).unwrap();
        if !waiting[1].revents().is_empty() {
            break;
        }
        // EIO: nobody has the other side open.
        let Ok(length @ 1..) = from.read(&mut buffer) else { break };
        let mut state = seen.lock();
        state.terminal.process(&buffer[..length]);
        state.bytes.extend(&buffer[..length]);
        seen.changed.notify_all();
    }
    seen.lock().closed = true;
    seen.changed.notify_all();
}

fn open(columns: u16, rows: u16) -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    (master, slave)
}

fn command_term(command: &Command) -> String {
    let set = command.get_envs().find(|(name, _)| *name == "TERM").and_then(|(_, value)| value);
    set.map_or_else(|| "xterm-256color".to_owned(), |term| term.to_string_lossy().into_owned())
}

/// The settings of the terminal, to be compared.
fn attributes(master: &OwnedFd) -> String {
    format!("{:?}", rustix::termios::tcgetattr(master).unwrap())
}

fn text(terminal: &vt100::Parser) -> String {
    let (_, columns) = terminal.screen().size();
    let rows: Vec<String> = terminal.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect();
    rows.join("\n").trim_end().to_owned() + "\n"
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(bytes, text).is_some()
}

/// Whether no frame is half drawn: synchronised updates say where each begins and ends.
fn is_whole(bytes: &[u8]) -> bool {
    let last = |text: &[u8]| memchr::memmem::rfind(bytes, text);
    last(b"\x1b[?2026h") <= last(b"\x1b[?2026l")
}

/// Whether the last word on reports of focus was to send them; the terminal of the test does not know of them.
fn focus_reported(bytes: &[u8]) -> bool {
    let last = |text: &[u8]| memchr::memmem::rfind(bytes, text);
    last(b"\x1b[?1004h") > last(b"\x1b[?1004l")
}
