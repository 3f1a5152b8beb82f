//! The thread of the UI: takes messages, updates the state, carries out effects, draws.

mod aside;
pub mod clipboard;
mod hand_over;
mod perform;
mod stop;

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::crossterm::queue;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::Size;
use tokio::signal::unix::{SignalKind, signal};

use super::effect::worker::{Outside, Workers};
use super::effect::{Effect, Leave};
use super::feed::{Feed, Shared};
use super::input::Input;
use super::msg::Msg;
use super::state::State;
use super::terminal::{self, Mode, Screen};
use super::{update, view};
use crate::output::renderer::Renderer;
use aside::Aside;
use clipboard::Clipboard;

/// Time between frames while things happen by themselves.
const FRAME: Duration = Duration::from_millis(100);

/// Time between frames while the person does something.
const FRAME_OF_KEYS: Duration = Duration::from_millis(33);

/// How long the UI may take to end once it was asked to: it may be drawing on a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the UI is started with.
pub struct Options {
    /// The first state: where it opens, how it looks, the keys.
    pub state: State,
    /// What workers reach.
    pub outside: Outside,
    /// Whether the mouse is the UI's.
    pub mouse: bool,
    /// How text is put on the clipboard.
    pub clipboard: Clipboard,
    /// Told what was last asked for when the UI ends: called from its thread.
    pub left: Box<dyn Fn(Leave) + Send>,
}

/// The UI, on a thread of its own. Dropping it ends it and gives the terminal back.
pub struct Ui {
    sender: Sender<Msg>,
    shared: Arc<Shared>,
    aside: Aside,
    /// Told when the thread has ended.
    ended: Receiver<Leave>,
}

impl Ui {
    /// Takes the terminal and starts.
    pub fn start(options: Options) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let shared = Arc::<Shared>::default();
        let aside = Aside::start(sender.clone(), shared.clone())?;
        terminal::take(Mode::Screen { mouse: options.mouse }, aside.fd())?;
        keep_panics();
        watch_signals(&options.outside, &sender);
        let (ending, ended) = channel();
        let parts = Parts {
            outside: options.outside,
            mouse: options.mouse,
            clipboard: options.clipboard,
            aside: aside.clone(),
            receiver,
            sender: sender.clone(),
            shared: shared.clone(),
        };
        let (state, left) = (options.state, options.left);
        let run = move || {
            let leave = run(state, parts);
            let _ = ending.send(leave);
            left(leave);
        };
        if let Err(error) = thread::Builder::new().name("ui".into()).spawn(run) {
            terminal::restore();
            aside.finish();
            return Err(error);
        }
        Ok(Self { sender, shared, aside, ended })
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

    /// Ends the UI if the person has not left it by now, gives the terminal back, and shows on standard error what was
    /// written there meanwhile. Does not wait for a terminal that takes nothing.
    pub fn join(self) -> Leave {
        self.end()
    }

    fn end(&self) -> Leave {
        self.leave();
        let left = self.ended.recv_timeout(PATIENCE);
        terminal::restore();
        self.aside.finish();
        left.unwrap_or(Leave::Plain)
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.end();
    }
}

/// What panics say is written aside, and shown when the terminal is given back. A panic of the UI's own thread ends the
/// UI, and the builds go on as plain lines; one of another thread is shown as a message.
fn keep_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            if terminal::is_taken() {
                let _ = writeln!(io::stderr(), "This is a bug in Larder: please report it with these lines.");
            }
        }));
    });
}

/// Tells of new sizes of the terminal, of being asked to stop, and of going on after that.
fn watch_signals(outside: &Outside, messages: &Sender<Msg>) {
    let _guard = outside.runtime.enter();
    if let Ok(mut resized) = signal(SignalKind::window_change()) {
        let messages = messages.clone();
        outside.runtime.spawn(async move {
            while resized.recv().await.is_some() {
                let Ok((width, height)) = ratatui::crossterm::terminal::size() else { continue };
                if messages.send(Msg::Resize(width, height)).is_err() {
                    return;
                }
            }
        });
    }
    if let Ok(mut continued) = signal(SignalKind::from_raw(nix::libc::SIGCONT)) {
        let messages = messages.clone();
        outside
            .runtime
            .spawn(async move { while continued.recv().await.is_some() && messages.send(Msg::Continued).is_ok() {} });
    }
    stop::watch(&outside.runtime, messages.clone());
}

fn run(state: State, parts: Parts) -> Leave {
    let (aside, shared) = (parts.aside.clone(), parts.shared.clone());
    let outcome = catch_unwind(AssertUnwindSafe(|| App::start(state, parts)?.serve()));
    terminal::restore();
    // What a panic wrote is among it.
    aside.finish();
    match outcome {
        Ok(Ok(leave)) => {
            shared.stream(leave == Leave::Plain);
            leave
        }
        // The terminal is gone, or there was a panic: the builds go on as plain lines.
        Ok(Err(_)) | Err(_) => {
            shared.stream(true);
            Leave::Plain
        }
    }
}

/// What the UI's thread is connected with.
struct Parts {
    outside: Outside,
    /// Whether the mouse is the UI's.
    mouse: bool,
    clipboard: Clipboard,
    /// What takes the place of standard error.
    aside: Aside,
    receiver: Receiver<Msg>,
    sender: Sender<Msg>,
    shared: Arc<Shared>,
}

/// The UI's thread.
struct App {
    state: State,
    screen: Screen,
    input: Input,
    workers: Workers,
    parts: Parts,
    /// The terminal's title, as last set.
    title: String,
    /// Whether the screen no longer shows the state.
    dirty: bool,
    /// Whether that is so since a key was pressed.
    hasty: bool,
    drawn: Instant,
    left: Option<Leave>,
}

impl App {
    fn start(mut state: State, parts: Parts) -> io::Result<Self> {
        let screen = terminal::screen()?;
        state.size = screen.size()?;
        state.now = Timestamp::now();
        let workers = Workers::new(parts.outside.clone(), parts.sender.clone());
        let input = Input::start(parts.sender.clone())?;
        let (title, drawn) = (String::new(), Instant::now());
        let mut app = Self { state, screen, input, workers, parts, title, dirty: true, hasty: true, drawn, left: None };
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
        if let Msg::Aside(_) = msg {
            self.parts.aside.took();
        }
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
        self.retitle()?;
        queue!(self.screen.backend_mut(), BeginSynchronizedUpdate)?;
        let state = &mut self.state;
        self.screen.draw(|frame| {
            let area = frame.area();
            state.size = Size::new(area.width, area.height);
            view::view(state, frame);
        })?;
        queue!(self.screen.backend_mut(), EndSynchronizedUpdate)?;
        self.screen.backend_mut().flush()
    }
    /// Sets the terminal's title, if it is another now.
    fn retitle(&mut self) -> io::Result<()> {
        // The console has none, and shows part of what would set it.
        let titled = self.parts.outside.places.env.get("TERM").is_none_or(|term| term != "linux");
        let title = view::title(&self.state);
        if titled && title != self.title {
            self.screen.backend_mut().write_all(&terminal::title(&title))?;
            self.title = title;
        }
        Ok(())
    }
}
