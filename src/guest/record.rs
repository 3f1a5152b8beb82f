//! What a run has on the machine, kept on disk so that it can be found when the run was killed.
//!
//! A run has a directory of its own below the state directory, with a lock that is held while the run lives and a file
//! of JSON lines. A line is written before the thing it names is made.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::reap;
use crate::error::{Context as _, Error, Result};

const LOCK: &str = "lock";
const LINES: &str = "record.jsonl";

/// One thing a run has made, or is about to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// The run itself.
    Run {
        /// When it began.
        started: SystemTime,
        /// Larder's process id.
        pid: u32,
        /// What it does, such as `build rootfs.debian`.
        what: String,
    },
    /// A process. Together, id and start time name it for as long as the machine is up.
    Process {
        /// Process id.
        pid: u32,
        /// Clock ticks since boot at which it started: field 22 of proc_pid_stat(5).
        start: u64,
        /// What it is, such as `guest` or `qemu`.
        role: String,
    },
    /// A tree of scratch files, removed at the end.
    Tree {
        /// Where it is; absolute.
        path: PathBuf,
    },
    /// Something no longer there: a tree that was removed or kept on purpose.
    Gone {
        /// The tree's path.
        path: PathBuf,
    },
    /// What a person is to know of what was left on purpose.
    Note {
        /// A line of text.
        text: String,
    },
}

impl Entry {
    /// A process that has just been started.
    pub fn process(pid: u32, role: &str) -> Self {
        Self::Process { pid, start: start_time(pid).unwrap_or_default(), role: role.to_owned() }
    }
}

/// When a process started, in clock ticks since boot; `None` if there is no such process.
pub(super) fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)
}

/// The process that a process would be collected by; `None` if there is no such process.
pub(super) fn parent(pid: u32) -> Option<u32> {
    stat_field(pid, 4)
}

/// A field of proc_pid_stat(5), by its number there, which is at least 3.
fn stat_field<T: std::str::FromStr>(pid: u32, number: usize) -> Option<T> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name, in parentheses, may hold anything; the fields behind it start with the third.
    stat.rsplit_once(") ")?.1.split(' ').nth(number - 3)?.parse().ok()
}

/// The record of a run that lives, held by it.
#[derive(Debug)]
pub struct Record {
    directory: PathBuf,
    lines: Mutex<File>,
    /// Locked for as long as this lives; the kernel lets go of it however the process ends.
    _lock: File,
}

impl Record {
    /// Begins the record of a run below `state` (made if missing), named by `id`.
    pub fn create(state: &Path, id: &str, what: &str, now: SystemTime) -> Result<Self> {
        let directory = state.join(id);
        let make = || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
            // The lock is taken under another name: a directory under its own is never without.
            let nascent = state.join(format!(".{id}"));
            fs::DirBuilder::new().mode(0o700).create(&nascent)?;
            let lock = File::create_new(nascent.join(LOCK))?;
            lock.lock()?;
            let lines = OpenOptions::new().append(true).create_new(true).open(nascent.join(LINES))?;
            fs::rename(&nascent, &directory)?;
            std::io::Result::Ok((lock, lines))
        };
        let (lock, lines) = make().context(|| format!("cannot begin the run's record in {}", directory.display()))?;
        let record = Self { directory, lines: Mutex::new(lines), _lock: lock };
        record.add(&Entry::Run { started: now, pid: std::process::id(), what: what.to_owned() })?;
        Ok(record)
    }

    /// Notes something that is about to be made.
    pub fn add(&self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).context(|| "cannot write the run's record".to_owned())?;
        line.push(b'\n');
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // One write, so that a kill leaves the line out or in, not half.
        lines.write_all(&line).context(|| format!("cannot write the run's record in {}", self.directory.display()))
    }

    /// Makes a scratch directory at `path` (its parents must exist), noted first, readable by its owner only.
    pub fn make_tree(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).context(|| format!("cannot name {}", path.display()))?;
        self.add(&Entry::Tree { path: path.clone() })?;
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.context(|| format!("cannot make {}", path.display()))
    }

    /// Removes a tree made by [`Record::make_tree`].
    pub fn remove_tree(&self, path: &Path) -> Result<()> {
        let path = std::path::absolute(path).context(|| format!("cannot name {}", path.display()))?;
        reap::remove_tree(&path)?;
        self.add(&Entry::Gone { path })
    }

    /// Ends the record of a run that has removed what it made. Fails, and keeps the record, if some of it is left.
    pub fn finish(self) -> Result<()> {
        let run = Run::read(&self.directory, true)?;
        if let Some(left) = run.trees.iter().find(|tree| tree.symlink_metadata().is_ok()) {
            return Err(Error::new(format!("{} has not been removed", left.display()))
                .hint("`larder cleanup` removes what runs have left behind"));
        }
        run.forget()
    }
}

/// A run as its record tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// Whether the Larder that made it still runs.
    pub live: bool,
    /// When it began; `None` for a record cut short.
    pub started: Option<SystemTime>,
    /// Larder's process id; 0 for a record cut short.
    pub pid: u32,
    /// What it does.
    pub what: String,
    /// Processes that still run, as `(process id, role)`.
    pub processes: Vec<(u32, String)>,
    /// Scratch trees not known to be removed.
    pub trees: Vec<PathBuf>,
    /// What is to be known of what was left on purpose, in lines of text.
    pub notes: Vec<String>,
    pub(super) directory: PathBuf,
}

impl Run {
    /// Reads the record in `directory`. Lines that cannot be read (the last, when it was being written) are passed over.
    pub(super) fn read(directory: &Path, live: bool) -> Result<Self> {
        let mut run = Self {
            id: directory.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            live,
            started: None,
            pid: 0,
            what: String::new(),
            processes: Vec::new(),
            trees: Vec::new(),
            notes: Vec::new(),
            directory: directory.to_owned(),
        };
        let path = directory.join(LINES);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(run),
            file => file.context(|| format!("cannot read {}", path.display()))?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let text = line.context(|| format!("cannot read {}", path.display()))?;
            match serde_json::from_slice(&text) {
                Ok(Entry::Run { started, pid, what }) => {
                    run.started = Some(started);
                    run.pid = pid;
                    run.what = what;
                }
                Ok(Entry::Process { pid, start, role }) if start_time(pid) == Some(start) => {
                    run.processes.push((pid, role));
                }
                Ok(Entry::Tree { path }) => run.trees.push(path),
                Ok(Entry::Gone { path }) => run.trees.retain(|tree| *tree != path),
                Ok(Entry::Note { text }) => run.notes.push(text),
                Ok(Entry::Process { .. }) | Err(_) => {}
            }
        }
        Ok(run)
    }

    /// Removes the record itself.
    pub(super) fn forget(&self) -> Result<()> {
        for file in [LINES, LOCK] {
            match fs::remove_file(self.directory.join(file)) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.context(|| format!("cannot remove the record {}", self.directory.display()))?,
            }
        }
        fs::remove_dir(&self.directory).context(|| format!("cannot remove the record {}", self.directory.display()))
    }
}

/// Takes the lock of a run whose Larder has ended; `None` if it still runs.
pub(super) fn lock_dead(directory: &Path) -> Result<Option<File>> {
    let path = directory.join(LOCK);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Killed between making the directory and the lock, or while forgetting.
            File::create(&path)
        }
        lock => lock,
    };
    let lock = lock.context(|| format!("cannot open {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context(|| format!("cannot lock {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: &Path) -> Record {
        Record::create(state, "run1", "build null.x", SystemTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn a_run_is_live_while_its_record_is_held_and_dead_after() {
        let state = tempfile::tempdir().unwrap();
        let held = record(state.path());
        let runs = reap::list(state.path()).unwrap();
        assert_eq!(runs.len(), 1);
        assert!(runs[0].live);
        assert_eq!((runs[0].pid, runs[0].what.as_str()), (std::process::id(), "build null.x"));
        drop(held);
        assert!(!reap::list(state.path()).unwrap()[0].live);
    }

    #[test]
    fn names_trees_that_were_not_removed_and_only_processes_that_are_the_same() {
        let state = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let held = record(state.path());
        let (kept, removed) = (scratch.path().join("kept"), scratch.path().join("removed"));
        held.make_tree(&kept).unwrap();
        held.make_tree(&removed).unwrap();
        held.remove_tree(&removed).unwrap();
        let me = std::process::id();
        held.add(&Entry::process(me, "me")).unwrap();
        held.add(&Entry::Process { pid: me, start: 1, role: "another of that id".into() }).unwrap();
        let run = reap::list(state.path()).unwrap().remove(0);
        assert_eq!(run.trees, [kept]);
        assert_eq!(run.processes, [(me, "me".to_owned())]);
        held.finish().unwrap_err();
    }

    #[test]
    fn a_finished_run_leaves_nothing() {
        let state = tempfile::tempdir().unwrap();
        record(state.path()).finish().unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_line_cut_short_is_passed_over() {
        let state = tempfile::tempdir().unwrap();
        drop(record(state.path()));
        let lines = state.path().join("run1").join(LINES);
        let mut file = OpenOptions::new().append(true).open(lines).unwrap();
        file.write_all(br#"{"kind":"tree","pa"#).unwrap();
        let run = reap::list(state.path()).unwrap().remove(0);
        assert_eq!((run.what.as_str(), run.trees.len()), ("build null.x", 0));
    }
}
