//! The terminal in other hands: a shell in a guest, the person's editor and pager, the shell that started Larder.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::App;
use crate::engine::control::Control;
use crate::error::{Error, Result, chain};
use crate::event::question::Question;
use crate::guest::stop::{Whom, stop};
use crate::output::terminal::Terminal;
use crate::output::terminal::guest_shell::{self, Banner, Surroundings};
use crate::output::terminal::program::Program;
use crate::tui::effect::worker::Outside;
use crate::tui::msg::Msg;
use crate::tui::terminal::{self, Mode};

/// How the terminal is to be now.
fn mode(app: &App) -> Mode {
    if app.state.streaming { Mode::Stream } else { Mode::Screen { mouse: app.parts.mouse } }
}

/// Takes the terminal anew, in the mode that the state asks for.
pub(super) fn retake(app: &mut App) -> io::Result<()> {
    terminal::take(mode(app), app.parts.aside.fd())?;
    app.title.clear();
    if !app.state.streaming {
        app.screen = terminal::screen()?;
    }
    Ok(())
}

/// Runs `work` with the terminal as it was before the UI, and takes it again.
fn hand_over<T>(app: &mut App, work: impl FnOnce(&Outside) -> T) -> io::Result<T> {
    // No line of the stream is written across somebody else's screen.
    let streaming = app.parts.shared.is_streaming();
    if streaming {
        app.parts.shared.stream(false);
    }
    app.input.hold();
    terminal::restore();
    let done = work(&app.parts.outside);
    retake(app)?;
    app.input.go_on();
    if streaming {
        app.parts.shared.stream(true);
    }
    let _ = app.parts.sender.send(Msg::Returned);
    Ok(done)
}

/// Stops, with the terminal as it was before the UI; goes on when the person brings Larder back.
pub(super) fn suspend(app: &mut App, whom: Whom) -> io::Result<()> {
    hand_over(app, |outside| outside.runtime.block_on(stop(whom)))?
}

/// Opens a shell in the guest of the build that waits with a question, until it ends.
pub(super) fn shell(app: &mut App, question: u64) -> io::Result<()> {
    match hand_over(app, |outside| sit_at(outside, question))? {
        Ok(0) => {}
        Ok(status) => app.state.notice(format!("The shell ended with status {status}")),
        Err(error) => app.state.error(chain(&error)),
    }
    Ok(())
}

fn sit_at(outside: &Outside, question: u64) -> Result<i32> {
    let gone = || Error::new("the question has been answered already, or its deadline has passed");
    let control = outside.run().ok_or_else(gone)?.control;
    // While somebody attends to it, it has no deadline.
    let asked = control.questions().into_iter().find(|asked| asked.id == question).ok_or_else(gone)?;
    let _attending = control.attend(question);
    let guest = control.guest(question).ok_or_else(|| Error::new("the guest of this question is gone"))?;
    let surroundings = Surroundings::of(&outside.places.env);
    outside.runtime.block_on(async {
        let terminal = Terminal::open()?;
        let cancel = CancellationToken::new();
        let banner = Banner::of(&asked);
        let shell = guest_shell::run(guest.as_ref(), &banner, &terminal, &surroundings, &cancel);
        tokio::select! {
            ended = shell => ended,
            never = end_with(&control, question, &cancel) => never,
        }
    })
}

/// How often a shell's question is looked at.
const WATCH: Duration = Duration::from_millis(500);

/// Ends the shell when its question is no longer asked: the guest is about to be changed or to go.
async fn end_with(control: &Control, question: u64, cancel: &CancellationToken) -> Result<i32> {
    while control.questions().iter().any(|asked| asked.id == question) {
        tokio::time::sleep(WATCH).await;
    }
    cancel.cancel();
    std::future::pending().await
}

/// Opens a file in the person's editor or pager, until it is closed.
pub(super) fn open(app: &mut App, program: Program, file: &Path) -> io::Result<()> {
    let closed = hand_over(app, |outside| {
        // Whoever edits the script of a step that failed is at work on its question.
        let _attending = outside.run().and_then(|run| {
            let asks = |question: &Question| question.scripts.iter().any(|script| script.path == file);
            run.control.attend(run.control.questions().into_iter().find(asks)?.id)
        });
        let host = outside.host.clone().ok_or_else(|| Error::new("programs cannot be started from here"))?;
        outside.runtime.block_on(program.open(file, &outside.places.env, host.as_ref()))
    })?;
    if let Err(error) = closed {
        app.state.error(chain(&error));
    }
    Ok(())
}
