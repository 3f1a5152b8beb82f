//! The terminal in other hands: a shell in a guest, the person's editor and pager, the shell that started Larder.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::error::{Error, Result, chain};
use crate::output::terminal::guest_shell::{self, Banner, Surroundings};
use crate::output::terminal::program::Program;
use crate::tui::effect::worker::Outside;
use crate::tui::msg::Msg;
use crate::tui::terminal::{self, Mode};

/// Runs `work` with the terminal as it was before the UI, and takes it again.
fn hand_over<T>(app: &mut App<'_>, work: impl FnOnce(&Outside) -> T) -> io::Result<T> {
    app.input.hold();
    terminal::restore();
    let done = work(&app.parts.outside);
    terminal::take(Mode::Screen { mouse: app.parts.mouse }, app.parts.aside.as_fd())?;
    app.input.go_on();
    app.screen = terminal::screen()?;
    app.screen.clear()?;
    let _ = app.parts.sender.send(Msg::Returned);
    Ok(done)
}

/// How long the process group may take to stop. In one that nobody would bring back, stopping is ignored.
const STOPPING: Duration = Duration::from_millis(300);

/// Stops the process group, as the terminal does at Ctrl-Z; goes on when the person brings it back.
pub(super) fn suspend(app: &mut App<'_>) -> io::Result<()> {
    hand_over(app, |outside| {
        outside.runtime.block_on(async {
            let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
            kill(Pid::from_raw(0), Signal::SIGTSTP)?;
            // This thread may run on for a moment, and must not take the terminal in it.
            let _ = tokio::time::timeout(STOPPING, continued.recv()).await;
            Ok(())
        })
    })?
}

/// Opens a shell in the guest of the build that waits with a question, until it ends.
pub(super) fn shell(app: &mut App<'_>, question: u64) -> io::Result<()> {
    let ended = hand_over(app, |outside| sit_at(outside, question))?;
    if let Err(error) = ended {
        app.state.error(chain(&error));
    }
    Ok(())
}

fn sit_at(outside: &Outside, question: u64) -> Result<()> {
    let gone = || Error::new("the question has been answered already");
    let control = outside.run().ok_or_else(gone)?.control;
    let _attending = control.attend(question);
    let guest = control.guest(question).ok_or_else(|| Error::new("the guest of this question is gone"))?;
    let asked = control.questions().into_iter().find(|asked| asked.id == question).ok_or_else(gone)?;
    let surroundings = Surroundings::of(&outside.places.env);
    outside.runtime.block_on(async {
        let terminal = crate::output::terminal::Terminal::open()?;
        // The guest's end ends the shell: nothing else has to.
        let never = CancellationToken::new();
        guest_shell::run(guest.as_ref(), &Banner::of(&asked), &terminal, &surroundings, &never).await
    })?;
    Ok(())
}

/// Opens a file in the person's editor or pager, until it is closed.
pub(super) fn open(app: &mut App<'_>, program: Program, file: &Path) -> io::Result<()> {
    let closed = hand_over(app, |outside| {
        let host = outside.host.clone().ok_or_else(|| Error::new("programs cannot be started from here"))?;
        outside.runtime.block_on(program.open(file, &outside.places.env, host.as_ref()))
    })?;
    if let Err(error) = closed {
        app.state.error(chain(&error));
    }
    Ok(())
}
