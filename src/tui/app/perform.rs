//! Carries effects out: the one place where the UI acts on the outside.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;
use std::thread;

use super::{App, hand_over};
use crate::engine::cancel::Cause;
use crate::error::chain;
use crate::output::terminal::program::Program;
use crate::tui::effect::{BuildRequest, Done, Effect, Steer};
use crate::tui::msg::Msg;
use crate::tui::terminal::{self, Mode};

pub(super) fn perform(app: &mut App<'_>, effect: Effect) -> io::Result<()> {
    match effect {
        Effect::Leave(leave) => app.left = Some(leave),
        Effect::Redraw => app.screen.clear()?,
        Effect::Suspend => hand_over::suspend(app)?,
        Effect::Bell => {
            app.screen.backend_mut().write_all(b"\x07")?;
            app.screen.backend_mut().flush()?;
        }
        Effect::Copy(text) => copy(app, &text)?,
        Effect::Stream(on) => stream(app, on)?,
        Effect::Control(steer) => control(app, steer),
        Effect::StartBuild(request) => start(app, request),
        Effect::Shell { question } => hand_over::shell(app, question)?,
        Effect::Edit(file) => hand_over::open(app, Program::Editor, &file)?,
        Effect::Page(file) => hand_over::open(app, Program::Pager, &file)?,
        Effect::Work(work) => app.workers.send(work),
    }
    Ok(())
}

fn copy(app: &mut App<'_>, text: &str) -> io::Result<()> {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    write!(app.screen.backend_mut(), "\x1b]52;c;{encoded}\x07")?;
    app.screen.backend_mut().flush()
}

fn stream(app: &mut App<'_>, on: bool) -> io::Result<()> {
    app.state.streaming = on;
    app.parts.shared.streaming.store(on, Ordering::Relaxed);
    let mode = if on { Mode::Stream } else { Mode::Screen { mouse: app.parts.mouse } };
    terminal::take(mode, app.parts.aside.as_fd())?;
    if !on {
        app.screen.clear()?;
    }
    Ok(())
}

fn control(app: &mut App<'_>, steer: Steer) {
    let Some(run) = app.parts.outside.run() else {
        app.state.error("nothing is under way");
        return;
    };
    match steer {
        Steer::CancelAll => run.control.cancel(Cause::Interrupt),
        Steer::CancelBuild { build, keep } => {
            run.control.cancel_build(&build, keep);
        }
        Steer::Answer { id, answer } => {
            if let Err(error) = run.control.answer(id, answer) {
                app.state.error(chain(&error));
            }
        }
        Steer::Limit(limit) => run.control.set_limit(limit),
        Steer::Pause(paused) => run.control.set_paused(paused),
    }
}

fn start(app: &mut App<'_>, request: BuildRequest) {
    // What is built again is built like this.
    app.state.request = Some(request.clone());
    let (outside, messages) = (app.parts.outside.clone(), app.parts.sender.clone());
    // Reading a template may take a while.
    let work = move || {
        if let Err(error) = (outside.start)(request) {
            let _ = messages.send(Msg::Done(Done::Told { error: true, text: chain(&error) }));
        }
    };
    if thread::Builder::new().name("ui-start".into()).spawn(work).is_err() {
        let _ = app.parts.sender.send(Msg::Done(Done::Told { error: true, text: "cannot start a thread".to_owned() }));
    }
}
