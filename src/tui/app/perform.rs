//! Carries effects out: the one place where the UI acts on the outside.

use std::io::{self, Write as _};
use std::thread;

use super::{App, clipboard, hand_over};
use crate::engine::cancel::Cause;
use crate::error::chain;
use crate::guest::stop::Whom;
use crate::output::terminal::program::Program;
use crate::tui::effect::{BuildRequest, Done, Effect, Steer};
use crate::tui::keymap::{Command, global};
use crate::tui::msg::Msg;
use crate::tui::terminal;

pub(super) fn perform(app: &mut App, effect: Effect) -> io::Result<()> {
    match effect {
        Effect::Leave(leave) => app.left = Some(leave),
        Effect::Redraw => app.screen = terminal::screen()?,
        Effect::Retake => hand_over::retake(app)?,
        Effect::Suspend => hand_over::suspend(app, Whom::Group)?,
        Effect::Stop => hand_over::suspend(app, Whom::Oneself)?,
        Effect::Bell => write(app, b"\x07")?,
        Effect::Copy(text) => app.parts.clipboard.copy(text, &app.parts.outside.places.env, &app.parts.sender),
        Effect::CopyByTerminal(text) => copy_by_terminal(app, &text)?,
        Effect::Stream(on) => stream(app, on)?,
        Effect::Say(line) => terminal::tell(&line),
        Effect::Control(steer) => control(app, steer),
        Effect::StartBuild(request) => start(app, request),
        Effect::Shell { question } => hand_over::shell(app, question)?,
        Effect::Edit(path) => hand_over::open(app, Program::Editor, &path)?,
        Effect::Page(path) => hand_over::open(app, Program::Pager, &path)?,
        Effect::Work(work) => app.workers.send(work),
    }
    Ok(())
}

fn write(app: &mut App, bytes: &[u8]) -> io::Result<()> {
    app.screen.backend_mut().write_all(bytes)?;
    app.screen.backend_mut().flush()
}

fn copy_by_terminal(app: &mut App, text: &str) -> io::Result<()> {
    match clipboard::osc52(text) {
        Some(sequence) => {
            write(app, sequence.as_bytes())?;
            // Whether the terminal did it cannot be known.
            app.state.notice(clipboard::copied(text, "asking the terminal"));
        }
        None => app.state.error(format!(
            "Not copied: {} bytes are more than terminals take ({}); open the log in the pager instead",
            text.len(),
            clipboard::OSC52_BYTES
        )),
    }
    Ok(())
}

fn stream(app: &mut App, on: bool) -> io::Result<()> {
    app.state.streaming = on;
    if !on {
        // First the last line of the stream, then the screen over it.
        app.parts.shared.stream(false);
        return hand_over::retake(app);
    }
    hand_over::retake(app)?;
    let keys = app.state.keymap.shown(Command::Global(global::Action::Stream));
    terminal::tell(&format!("Plain lines from here. {keys} goes back to the screen."));
    app.parts.shared.stream(true);
    Ok(())
}

fn control(app: &mut App, steer: Steer) {
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

fn start(app: &mut App, request: BuildRequest) {
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
