//! What the UI asks of the outside. Work that takes time is done by a worker of its area, so that no area waits for
//! another, and comes back as [`Done`].

pub mod cache;
pub mod guests;
pub mod history;
pub mod log;
pub mod proxy;
mod store;
pub mod templates;
pub mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::event::question::Answer;

/// Something to be done outside of the state.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and none is kept")]
pub enum Effect {
    /// Leave the UI.
    Leave(Leave),
    /// Clear the screen and draw it anew.
    Redraw,
    /// Stop everything in the foreground until it is continued.
    Suspend,
    /// Stop this process until it is continued: somebody has asked it to.
    Stop,
    /// Ring the bell.
    Bell,
    /// Put text on the clipboard, by whatever way there is.
    Copy(String),
    /// Ask the terminal to put text on its clipboard (OSC 52).
    CopyByTerminal(String),
    /// Take the terminal anew: somebody may have changed its settings.
    Retake,
    /// Write a line for the person on the normal screen, while the plain stream is shown.
    Say(String),
    /// Show the plain stream on the normal screen, or the UI again.
    Stream(bool),
    /// Steer the run.
    Control(Steer),
    /// Start a build.
    StartBuild(BuildRequest),
    /// Hand the terminal to a shell in the guest that waits with this question.
    Shell {
        /// The question.
        question: u64,
    },
    /// Hand the terminal to the person's editor.
    Edit(PathBuf),
    /// Hand the terminal to the person's pager.
    Page(PathBuf),
    /// Work for an area.
    Work(Work),
}

/// How to leave the UI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nothing runs, or what runs is cancelled first: end the program.
    Quit,
    /// Go on as plain lines.
    Plain,
    /// End at once, without cleaning up.
    AtOnce,
}

/// What is asked of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Cancel everything; builds clean up.
    CancelAll,
    /// Cancel one build, and keep its guest if asked to.
    CancelBuild {
        /// Its name.
        build: String,
        /// Whether its guest is kept.
        keep: bool,
    },
    /// Answer a question.
    Answer {
        /// Its number.
        id: u64,
        /// The answer.
        answer: Answer,
    },
    /// Let so many builds run at a time; 0 for no limit.
    Limit(usize),
    /// Hold back queued builds, or let them start.
    Pause(bool),
}

/// A build to start: what `larder build` would be given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildRequest {
    /// Template file or directory.
    pub template: PathBuf,
    /// Values of variables, as for `-var`. They may be secret.
    pub vars: BTreeMap<String, String>,
    /// Files of values, as for `-var-file`.
    pub var_files: Vec<PathBuf>,
    /// Builds to select, as for `-only`; all if empty.
    pub only: Vec<String>,
    /// Whether existing output is replaced (`-force`).
    pub force: bool,
}

/// Work for the worker of an area.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Reading logs.
    Log(log::Op),
    /// The live proxy.
    Proxy(proxy::Op),
    /// The cache.
    Cache(cache::Op),
    /// Templates.
    Templates(templates::Op),
    /// Earlier runs.
    History(history::Op),
    /// Guests left behind.
    Guests(guests::Op),
}

/// What a worker came to.
#[derive(Debug)]
pub enum Done {
    /// Reading logs.
    Log(log::Done),
    /// The live proxy.
    Proxy(proxy::Done),
    /// The cache.
    Cache(cache::Done),
    /// Templates.
    Templates(templates::Done),
    /// Earlier runs.
    History(history::Done),
    /// Guests left behind.
    Guests(guests::Done),
    /// Something went wrong (or well) that is worth a line: shown, and kept among the messages.
    Told {
        /// Whether it is an error.
        error: bool,
        /// The text.
        text: String,
    },
}
