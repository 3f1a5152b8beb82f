//! The thread of the UI: takes messages, updates the state, carries out effects, draws.

mod hand_over;
mod perform;

use std::backtrace::Backtrace;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::Size;

use super::effect::worker::{Outside, Workers};
use super::effect::{Effect, Leave};
use super::feed::{Feed, Shared};
use super::input::Input;
use super::msg::Msg;
use super::state::State;
use super::terminal::{self, Mode, Screen};
use super::{update, view};
use crate::output::renderer::Renderer;

/// Time between frames while things happen by themselves.
const FRAME: Duration = Duration::from_millis(100);

/// Time between frames while the person does something.
const FRAME_OF_KEYS: Duration = Duration::from_millis(33);

/// What the UI is started with.
pub struct Options {
    /// The first state: where it opens, how it looks, the keys.
    pub state: State,
    /// What workers reach.
    pub outside: Outside,
    /// Whether the mouse is the UI's.
    pub mouse: bool,
    /// Told what was last asked for when the UI ends: called from its thread.
    pub left: Box<dyn Fn(Leave) + Send>,
}

/// The UI, on a thread of its own. Dropping it gives the terminal back.
pub struct Ui {
    thread: Option<JoinHandle<Leave>>,
    sender: Sender<Msg>,
    shared: Arc<Shared>,
    asides: Arc<Mutex<Vec<String>>>,
}

impl Ui {
    /// Takes the terminal and starts.
    pub fn start(options: Options) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let asides = Arc::<Mutex<Vec<String>>>::default();
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        terminal::take(Mode::Screen { mouse: options.mouse }, write.as_fd())?;
        relay_asides(read, sender.clone(), asides.clone());
        keep_panics(sender.clone(), asides.clone());
        watch_size(&options.outside, sender.clone());
        let shared = Arc::<Shared>::default();
        let (messages, theirs, kept) = (sender.clone(), shared.clone(), asides.clone());
        let thread = thread::Builder::new().name("ui".into()).spawn(move || {
            let leave = run(options, write, receiver, messages, &theirs);
            // Where it ended by itself, the reason is among them.
            tell(&kept);
            leave
        });
        match thread {
            Ok(thread) => Ok(Self { thread: Some(thread), sender, shared, asides }),
            Err(error) => {
                terminal::restore();
                Err(error)
            }
        }
    }

    /// Feeds the events of a run to the UI; `plain` shows them while the person has asked for the stream.
    pub fn feed(&self, plain: Box<dyn Renderer>) -> Box<dyn Renderer> {
        Box::new(Feed::new(self.sender.clone(), self.shared.clone(), plain))
    }

    /// Says that the run has ended.
    pub fn run_ended(&self, exit: u8) {
        let _ = self.sender.send(Msg::RunEnded(exit));
    }

    /// Asks the UI to end.
    pub fn leave(&self) {
        let _ = self.sender.send(Msg::Leave);
    }

    /// Waits until the person has left, gives the terminal back, and shows on standard error what was written there
    /// meanwhile.
    pub fn join(mut self) -> Leave {
        let left = self.thread.take().map(JoinHandle::join);
        left.and_then(Result::ok).unwrap_or(Leave::Plain)
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        terminal::restore();
        tell(&self.asides);
    }
}

/// Shows on standard error what was written there while the UI had the terminal.
fn tell(asides: &Mutex<Vec<String>>) {
    let lines = std::mem::take(&mut *asides.lock().unwrap_or_else(PoisonError::into_inner));
    let mut stderr = io::stderr().lock();
    for line in lines {
        let _ = writeln!(stderr, "{line}");
    }
}

/// Keeps what panics say until the terminal is given back. A panic of the UI's own thread ends the UI, and the builds
/// go on as plain lines; one of another thread is shown as a message.
fn keep_panics(messages: Sender<Msg>, kept: Arc<Mutex<Vec<String>>>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !terminal::is_taken() {
            return before(info);
        }
        let thread = thread::current();
        let text = format!("thread '{}' {info}\n{}", thread.name().unwrap_or("<unnamed>"), Backtrace::capture());
        let Ok(mut kept) = kept.try_lock() else { return };
        for line in text.lines().chain(["This is a bug in Larder: please report it with these lines."]) {
            kept.push(line.to_owned());
            let _ = messages.send(Msg::Aside(line.to_owned()));
        }
    }));
}

/// Turns what is written to standard error into messages.
fn relay_asides(read: OwnedFd, messages: Sender<Msg>, kept: Arc<Mutex<Vec<String>>>) {
    let relay = move || {
        for line in BufReader::new(std::fs::File::from(read)).lines().map_while(Result::ok) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            let _ = messages.send(Msg::Aside(line));
        }
    };
    // Without the thread what is written there is not shown, and nothing else is lost.
    let _ = thread::Builder::new().name("ui-aside".into()).spawn(relay);
}

/// Tells of new sizes of the terminal.
fn watch_size(outside: &Outside, messages: Sender<Msg>) {
    let _guard = outside.runtime.enter();
    let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change()) else { return };
    outside.runtime.spawn(async move {
        while signal.recv().await.is_some() {
            let Ok((width, height)) = ratatui::crossterm::terminal::size() else { continue };
            if messages.send(Msg::Resize(width, height)).is_err() {
                return;
            }
        }
    });
}

fn run(options: Options, aside: OwnedFd, receiver: Receiver<Msg>, sender: Sender<Msg>, shared: &Shared) -> Leave {
    let left = options.left;
    let (outside, mouse) = (options.outside, options.mouse);
    let parts = Parts { outside, mouse, aside, receiver, sender, shared };
    let outcome = catch_unwind(AssertUnwindSafe(|| App::start(options.state, parts)?.serve()));
    terminal::restore();
    let leave = match outcome {
        Ok(Ok(leave)) => leave,
        // The terminal is gone, or there was a panic: the builds go on.
        Ok(Err(_)) | Err(_) => {
            shared.streaming.store(true, Ordering::Relaxed);
            Leave::Plain
        }
    };
    left(leave);
    leave
}

/// What the UI's thread is connected with.
struct Parts<'a> {
    outside: Outside,
    /// Whether the mouse is the UI's.
    mouse: bool,
    /// What takes the place of standard error.
    aside: OwnedFd,
    receiver: Receiver<Msg>,
    sender: Sender<Msg>,
    shared: &'a Shared,
}

/// The UI's thread.
struct App<'a> {
    state: State,
    screen: Screen,
    input: Input,
    workers: Workers,
    parts: Parts<'a>,
    /// Whether the screen no longer shows the state.
    dirty: bool,
    /// Whether that is so since a key was pressed.
    hasty: bool,
    drawn: Instant,
    left: Option<Leave>,
}

impl<'a> App<'a> {
    fn start(mut state: State, parts: Parts<'a>) -> io::Result<Self> {
        let screen = terminal::screen()?;
        state.size = screen.size()?;
        state.now = Timestamp::now();
        let workers = Workers::new(parts.outside.clone(), parts.sender.clone());
        let input = Input::start(parts.sender.clone())?;
        let mut app =
            Self { state, screen, input, workers, parts, dirty: true, hasty: true, drawn: Instant::now(), left: None };
        let effects = update::opened(&mut app.state);
        app.perform(effects)?;
        app.draw()?;
        Ok(app)
    }

    fn serve(mut self) -> io::Result<Leave> {
        loop {
            match self.next() {
                Ok(msg) => self.take(msg)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(Leave::Plain),
            }
            // What has arrived by now is shown in one frame.
            let until = Instant::now() + FRAME_OF_KEYS;
            while let Ok(msg) = self.parts.receiver.try_recv() {
                self.take(msg)?;
                if Instant::now() > until {
                    break;
                }
            }
            if let Some(leave) = self.left {
                return Ok(leave);
            }
            self.tick()?;
            if self.dirty && self.drawn.elapsed() >= self.frame() {
                self.draw()?;
            }
        }
    }

    fn frame(&self) -> Duration {
        if self.hasty { FRAME_OF_KEYS } else { FRAME }
    }

    /// The next message; waits without end where nothing has to be drawn and no clock is shown.
    fn next(&self) -> Result<Msg, RecvTimeoutError> {
        let frame = self.dirty.then(|| self.frame().saturating_sub(self.drawn.elapsed()));
        let clock = update::has_clock(&self.state).then(|| {
            let into = Duration::from_nanos(u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs()));
            Duration::from_secs(1).saturating_sub(into)
        });
        match frame.into_iter().chain(clock).min() {
            Some(wait) => self.parts.receiver.recv_timeout(wait),
            None => self.parts.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, msg: Msg) -> io::Result<()> {
        #[cfg(debug_assertions)]
        if let Msg::Key(key) = &msg {
            self.fall_over(key.code);
        }
        self.parts.shared.took(&msg);
        self.hasty |= matches!(msg, Msg::Key(_) | Msg::Mouse(_) | Msg::Paste(_) | Msg::Resize(..));
        self.dirty = true;
        self.state.now = Timestamp::now();
        if let (Msg::Tick(_) | Msg::Live(_), Some(run)) = (&msg, self.parts.outside.run()) {
            self.state.slots = run.control.slots();
        }
        let effects = update::update(&mut self.state, msg);
        self.perform(effects)
    }

    /// For tests of how the terminal is left: F12 panics where the environment asks for it.
    #[cfg(debug_assertions)]
    fn fall_over(&self, key: ratatui::crossterm::event::KeyCode) {
        let asked = self.parts.outside.places.env.get("LARDER_TEST_PANIC").is_some_and(|what| what == "ui");
        assert!(!asked || key != ratatui::crossterm::event::KeyCode::F(12), "asked to panic");
    }

    fn perform(&mut self, effects: Vec<Effect>) -> io::Result<()> {
        effects.into_iter().try_for_each(|effect| perform::perform(self, effect))
    }

    /// Moves the clock on, once a second.
    fn tick(&mut self) -> io::Result<()> {
        let now = Timestamp::now();
        if update::has_clock(&self.state) && now.as_second() != self.state.now.as_second() {
            self.take(Msg::Tick(now))?;
        }
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        (self.dirty, self.hasty, self.drawn) = (false, false, Instant::now());
        if let Some(live) = self.parts.shared.looked() {
            self.take(Msg::Live(live))?;
        }
        if self.state.streaming {
            return Ok(());
        }
        let (state, screen) = (&mut self.state, &mut self.screen);
        terminal::draw(|| {
            queue!(screen.backend_mut(), BeginSynchronizedUpdate)?;
            screen.draw(|frame| {
                let area = frame.area();
                state.size = Size::new(area.width, area.height);
                view::view(state, frame);
            })?;
            queue!(screen.backend_mut(), EndSynchronizedUpdate)?;
            screen.backend_mut().flush()
        })
    }
}
