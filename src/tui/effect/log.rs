//! Reading logs: windows of them, searches, steps; and how long steps took before.

mod open;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use jiff::Timestamp;

use self::open::Open;
use super::Done as AnyDone;
use super::worker::Outside;
use crate::error::{Context as _, Result, chain};
use crate::history::estimate::Past;
use crate::history::log_store::{Source, StepBegin};
use crate::history::run_store::RunStore;
use crate::output::ansi::Piece;
use crate::tui::msg::Msg;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Read a part of a log.
    Look(Look),
    /// Write all lines that a filter takes to a file.
    Save {
        /// The log.
        path: PathBuf,
        /// The filter; all lines without.
        filter: Option<String>,
        /// The name of the new file, in the working directory.
        name: String,
    },
    /// Say how long the builds of a template took before.
    Past {
        /// The template, as named by the person.
        template: PathBuf,
        /// The builds.
        builds: Vec<Arc<str>>,
    },
}

/// A part of a log that is to be read. Rows are those that the filter takes, numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The log.
    pub path: PathBuf,
    /// Rows wanted.
    pub rows: Range<usize>,
    /// Whether the last rows are wanted, as many as in `rows`.
    pub end: bool,
    /// The row one is at, for counting what was found before it.
    pub cursor: usize,
    /// The filter; all lines without.
    pub filter: Option<String>,
    /// What is searched for.
    pub find: Option<String>,
    /// Where to go: the rows wanted are then those around that place.
    pub goto: Option<Goto>,
}

/// A place to go to. Lines are those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goto {
    /// A line; the next one that is shown.
    Line(usize),
    /// What is searched for, after (or before) a row.
    Found {
        /// The row.
        from: usize,
        /// Whether before it.
        back: bool,
    },
    /// An error or warning, after (or before) a row.
    Problem {
        /// The row.
        from: usize,
        /// Whether before it.
        back: bool,
    },
    /// The beginning of a step, after (or before) a row.
    Step {
        /// The row.
        from: usize,
        /// Whether before it.
        back: bool,
    },
    /// The beginning of the step with this index.
    StepAt(usize),
}

/// How long the steps of builds took before, by the names of the builds.
pub type Pasts = Vec<(Arc<str>, Past)>;

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// The part of the log.
    Seen(Box<Seen>),
    /// A search has found more, or the log has been read further.
    More,
    /// How long builds took before.
    Past(Pasts),
}

/// A part of a log.
#[derive(Debug, Default)]
pub struct Seen {
    /// What was asked for.
    pub look: Look,
    /// Lines of the log.
    pub lines: usize,
    /// Rows: lines that the filter takes.
    pub len: usize,
    /// Number of the first of `rows`.
    pub first: usize,
    /// The rows.
    pub rows: Vec<Row>,
    /// Where steps begin.
    pub steps: Vec<StepBegin>,
    /// Where it went.
    pub arrived: Arrived,
    /// What was found of what is searched for.
    pub found: Option<Found>,
    /// Whether the filter has not looked at everything yet.
    pub filtering: bool,
    /// When the first line was written.
    pub begun: Option<Timestamp>,
    /// Whether there is more of the log to be taken in now.
    pub more: bool,
    /// What went wrong.
    pub problem: Option<String>,
}

/// Whether one got where one wanted to go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrived {
    /// Nothing was asked.
    #[default]
    Nowhere,
    /// A search has not come so far yet.
    NotYet,
    /// There is no such place.
    Never,
    /// At a row.
    At(usize),
}

/// A line of a log as shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number in the file, from 0.
    pub number: usize,
    /// When it was written.
    pub time: Option<Timestamp>,
    /// Where it comes from.
    pub source: Source,
    /// Its text.
    pub pieces: Vec<Piece>,
    /// Where in the text what is searched for is: ranges of bytes.
    pub hits: Vec<Range<usize>>,
    /// Bytes that it is longer by.
    pub left_out: u64,
}

impl Row {
    /// Its text alone.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.text.as_str()).collect()
    }
}

/// What was found of what is searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Lines that have it.
    pub count: usize,
    /// How many of them are before the row one is at.
    pub before: usize,
    /// Whether the search goes on.
    pub running: bool,
}

/// Most logs kept open.
const KEPT: usize = 8;

/// Keeps the logs that were read last.
pub struct Worker {
    open: Vec<Open>,
    tell: Arc<dyn Fn() + Send + Sync>,
    told: Arc<AtomicBool>,
}

impl Worker {
    /// A worker that says in `messages` when a search has found more.
    pub fn new(messages: Sender<Msg>) -> Self {
        let told = Arc::new(AtomicBool::new(false));
        let theirs = told.clone();
        let tell = move || {
            if !theirs.swap(true, Ordering::AcqRel) {
                let _ = messages.send(Msg::Done(AnyDone::Log(Done::More)));
            }
        };
        Self { open: Vec::new(), tell: Arc::new(tell), told }
    }

    /// Does it. May take its time: each area has a thread of its own.
    pub fn perform(&mut self, op: Op, outside: &Outside) -> Option<AnyDone> {
        match op {
            Op::Look(look) => Some(AnyDone::Log(Done::Seen(Box::new(self.look(look))))),
            Op::Save { path, filter, name } => {
                let target = outside.places.cwd.join(&name);
                Some(match self.save(&path, filter.as_deref(), &target) {
                    Ok(lines) => told(false, format!("{lines} lines written to {}", target.display())),
                    Err(error) => told(true, chain(&error)),
                })
            }
            Op::Past { template, builds } => {
                let template = outside.places.cwd.join(template);
                let past = past(&outside.places.state, &template, builds);
                // Without a history there are no estimates; that is not worth a word.
                past.ok().flatten().map(|past| AnyDone::Log(Done::Past(past)))
            }
        }
    }

    /// Reads a part of a log.
    pub(in crate::tui) fn look(&mut self, look: Look) -> Seen {
        // What is found from here on is worth saying again.
        self.told.store(false, Ordering::Release);
        let tell = self.tell.clone();
        self.opened(&look.path).look(look, &tell)
    }

    /// The log, opened; the one used last is the last.
    fn opened(&mut self, path: &Path) -> &mut Open {
        let known = self.open.iter().position(|open| open.path() == path);
        let open = known.map_or_else(|| Open::new(path), |place| self.open.remove(place));
        if self.open.len() == KEPT {
            self.open.remove(0);
        }
        self.open.push(open);
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn save(&mut self, path: &Path, filter: Option<&str>, target: &Path) -> Result<usize> {
        let open = self.opened(path);
        let mut file = std::fs::File::create_new(target).context(|| format!("cannot make {}", target.display()))?;
        open.write(filter, &mut file).context(|| format!("cannot write {}", target.display()))
    }
}

fn told(error: bool, text: String) -> AnyDone {
    AnyDone::Told { error, text }
}

fn past(state: &Path, template: &Path, builds: Vec<Arc<str>>) -> Result<Option<Pasts>> {
    let Some(store) = RunStore::open_to_read(state)? else { return Ok(None) };
    let template = template.canonicalize().unwrap_or_else(|_| template.to_owned());
    let template = template.to_string_lossy();
    let past = builds.into_iter().map(|build| Ok((build.clone(), store.past(&template, &build)?)));
    past.collect::<Result<_>>().map(Some)
}
