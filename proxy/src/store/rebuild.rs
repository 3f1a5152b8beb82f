//! A damaged index is set aside, and what can be read of it goes into a new one.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rustix::fs::{FlockOperation, flock};

use super::blob::sync_dir;
use super::damage::{self, Damage};
use super::index::take_over;
use super::row::{ENTRY_COLUMNS, intact};
use super::session::remove;
use super::{Entry, FORMAT, Store, StoreError, make_directories, schema};

/// Where the damaged one is kept, until the next.
const ASIDE: &str = "index.sqlite.damaged";

/// Rows that cannot be read, one after the other, before the rest is given up.
const PATIENCE: u32 = 64;

pub(super) fn path_in(root: &Path) -> PathBuf {
    root.join("index.sqlite")
}

/// What identifies the file of an index.
pub(super) fn inode(root: &Path) -> Option<u64> {
    fs::metadata(path_in(root)).ok().map(|found| found.ino())
}

/// The file system that a path lies on, where it is there.
pub(super) fn device(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.dev())
}

impl Store {
    /// Opens the cache as [`Store::open`] does; where its index is damaged, a new one takes its place, and the damage
    /// is told.
    pub fn open_mending(dir: &Path) -> Result<(Self, Option<StoreError>), StoreError> {
        match Self::open(dir) {
            Err(error) if error.is_damaged_index() => {
                replace(dir, None)?;
                Ok((Self::open(dir)?, Some(error)))
            }
            other => Ok((other?, None)),
        }
    }

    /// Puts a new index in place of that of the cache in `dir`, made of what can be read of it.
    pub(crate) fn replace_index(dir: &Path) -> Result<(), StoreError> {
        replace(dir, None)
    }

    /// What tells the index in use from one that takes its place.
    pub fn index_id(&self) -> Option<u64> {
        self.inode()
    }

    /// Puts a new index in place of the one that was found damaged, and goes on with it. Does nothing where that has
    /// been done meanwhile, here or by another process.
    pub fn mend(&self, damaged: Option<u64>) -> Result<(), StoreError> {
        let mut writer = self.write_index();
        let mut reader = self.read_index();
        if self.inode() != damaged {
            return Ok(());
        }
        let dir = self.root().parent().unwrap_or(self.root()).to_owned();
        replace(&dir, damaged)?;
        *writer = schema::open(&path_in(self.root()), &dir)?;
        *reader = schema::open(&path_in(self.root()), &dir)?;
        self.set_inode();
        Ok(())
    }

    /// Goes on with another index where another process has put one in place, or where somebody removed the directory
    /// while it was in use; says whether it has.
    pub(crate) fn follow_replaced_index(&self) -> Result<bool, StoreError> {
        if inode(self.root()) == self.inode() {
            return Ok(false);
        }
        let mut writer = self.write_index();
        let mut reader = self.read_index();
        let _alone = if inode(self.root()).is_none() { Some(self.make_anew()?) } else { None };
        let dir = self.root().parent().unwrap_or(self.root()).to_owned();
        *writer = schema::open(&path_in(self.root()), &dir)?;
        *reader = schema::open(&path_in(self.root()), &dir)?;
        self.set_inode();
        Ok(true)
    }

    /// Makes a directory that was removed anew. While somebody mends the index there is none, too: the lock that is
    /// returned keeps them apart, and it is to be held until the index is there.
    fn make_anew(&self) -> Result<File, StoreError> {
        // Where its file system went away, another must not be filled in its place.
        if self.root().ancestors().find_map(device) != self.inner.device {
            return Err(StoreError::io("find", self.root(), std::io::ErrorKind::NotFound.into()));
        }
        make_directories(self.root())?;
        let alone = lock_tmp(self.root())?;
        if inode(self.root()).is_none() {
            if self.root().join("content-v2/sha256").exists() {
                // Only the index was removed: somebody has to look at the bodies.
                super::session::leave_mark(&self.root().join("tmp"))?;
            }
            let dir = self.root().parent().unwrap_or(self.root());
            tracing::warn!(path = %dir.display(), "the cache directory was removed while it was in use, and is made anew");
            super::write_tag(dir)?;
            // Its mark went with the directory.
            if let Ok(mut session) = self.session().try_write() {
                *session = None;
            }
        }
        Ok(alone)
    }
}

/// Another lock than that under which an index is opened.
fn lock_tmp(root: &Path) -> Result<File, StoreError> {
    let failed = |error| StoreError::io("lock", &root.join("tmp"), error);
    let lock = File::open(root.join("tmp")).map_err(failed)?;
    flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    Ok(lock)
}

/// Sets the index aside, unless it is another than the one that was found damaged, and makes a new one of what can be
/// read of it.
fn replace(dir: &Path, damaged: Option<u64>) -> Result<(), StoreError> {
    let root = dir.join(FORMAT);
    let _alone = lock_tmp(&root)?;
    if damaged.is_some() && inode(&root) != damaged {
        return Ok(());
    }
    let path = path_in(&root);
    // First what goes with it, by its old name: its log belongs to it, and the new one must not find it.
    for (name, aside) in [("index.sqlite", ASIDE), ("index.sqlite-wal", "index.sqlite.damaged-wal")] {
        match fs::rename(root.join(name), root.join(aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("rename", &root.join(name), error));
            }
            _ => {}
        }
    }
    for name in ["index.sqlite-shm", "index.sqlite.damaged-shm"] {
        remove(&root.join(name))?;
    }
    sync_dir(&root)?;
    // Killed from here on, the new index has fewer entries than it could, and the bodies of the others are collected.
    super::session::leave_mark(&root.join("tmp"))?;
    let mut new = schema::open(&path, dir)?;
    let transaction = new.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Ok(old) = open_aside(&root.join(ASIDE)) {
        damage::inherit(&old, &transaction);
        let taken = salvage(&old, &transaction, &root);
        tracing::debug!(entries = taken, "took over what could be read of the damaged index");
    }
    damage::count(&transaction, Damage::Index, 1)?;
    transaction.commit()?;
    Ok(())
}

fn open_aside(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// Takes over every entry that is as it was written and whose body is there. Rows are read in the table's order, past
/// those that cannot be read.
fn salvage(old: &Connection, new: &Connection, root: &Path) -> u64 {
    let (mut after, mut step, mut failures, mut taken) = (0_i64, 1_i64, 0, 0);
    while failures < PATIENCE {
        let mut last = after;
        let outcome = each_after(old, after, |id, entry| {
            last = id;
            let Some(entry) = entry else { return Ok(()) };
            let there = fs::metadata(entry.digest.path(root)).is_ok_and(|found| found.len() == entry.size);
            if there {
                take_over(new, &entry)?;
                taken += 1;
            }
            Ok(())
        });
        match outcome {
            Ok(()) => break,
            Err(_) => {
                // Somewhere behind the last row lies a page that cannot be read: ever wider steps lead past it.
                step = if last > after { 1 } else { step.saturating_mul(2) };
                after = last.max(after).saturating_add(step);
                failures += 1;
            }
        }
    }
    taken
}

fn each_after(
    old: &Connection,
    after: i64,
    mut work: impl FnMut(i64, Option<Entry>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = old.prepare(&format!(
        "SELECT {ENTRY_COLUMNS} FROM entry NOT INDEXED LEFT JOIN blob ON blob.id = entry.blob \
         WHERE entry.id > ?1 ORDER BY entry.id"
    ))?;
    let mut rows = statement.query([after])?;
    while let Some(row) = rows.next()? {
        work(row.get(0)?, intact(row))?;
    }
    Ok(())
}
