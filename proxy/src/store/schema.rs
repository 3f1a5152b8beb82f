//! The tables of the index, and how an older index becomes one of today.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock};

use super::row::{ENTRY_COLUMNS, decode_entry};
use super::{StoreError, seal};

/// Version 1: entries and blobs. Version 2: parts of objects, provenance, promised digests. Version 3: a check
/// sum for each row, and a count of damage.
const VERSION: i64 = 3;

/// Added to the version, it is the file's application id: so a version that is only a damaged byte is told from that
/// of a newer Larder.
const MAGIC: i64 = 0x4c61_7200;

/// Longest wait for another process that writes.
const BUSY: Duration = Duration::from_secs(20);

const TABLES: &str = "
CREATE TABLE blob (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    stored INTEGER NOT NULL
);
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    variant BLOB NOT NULL,
    url TEXT NOT NULL,
    status INTEGER NOT NULL,
    headers BLOB NOT NULL,
    vary TEXT NOT NULL,
    blob INTEGER NOT NULL REFERENCES blob(id),
    requested INTEGER NOT NULL,
    responded INTEGER NOT NULL,
    class TEXT NOT NULL,
    last_used INTEGER NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    UNIQUE (key, variant)
);
CREATE INDEX entry_blob ON entry (blob);
CREATE INDEX entry_used ON entry (last_used);
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT NOT NULL
);
CREATE TABLE total (id INTEGER PRIMARY KEY CHECK (id = 1), entries INTEGER NOT NULL, blobs INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO total VALUES (1, 0, 0, 0);
CREATE TRIGGER entry_in AFTER INSERT ON entry BEGIN UPDATE total SET entries = entries + 1; END;
CREATE TRIGGER entry_out AFTER DELETE ON entry BEGIN UPDATE total SET entries = entries - 1; END;
CREATE TRIGGER blob_in AFTER INSERT ON blob BEGIN UPDATE total SET blobs = blobs + 1, bytes = bytes + NEW.size; END;
CREATE TRIGGER blob_out AFTER DELETE ON blob BEGIN UPDATE total SET blobs = blobs - 1, bytes = bytes - OLD.size; END;
CREATE INDEX entry_url ON entry (url);
";

/// A part is bytes `part_from` to `part_from` + blob.size of an object of `part_total`. `source` is an index that
/// named digests of others: the hash of its URL, and the URL.
const SINCE_2: &str = "
ALTER TABLE entry ADD COLUMN part_from INTEGER;
ALTER TABLE entry ADD COLUMN part_total INTEGER;
ALTER TABLE entry ADD COLUMN run INTEGER;
ALTER TABLE entry ADD COLUMN build TEXT;
ALTER TABLE entry ADD COLUMN step TEXT;
ALTER TABLE entry ADD COLUMN route TEXT;
ALTER TABLE entry ADD COLUMN source TEXT;
ALTER TABLE entry ADD COLUMN rule TEXT;
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    url TEXT NOT NULL,
    learnt INTEGER NOT NULL
);
CREATE TABLE promise (
    key BLOB NOT NULL,
    algorithm TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER,
    source INTEGER NOT NULL REFERENCES source(id),
    PRIMARY KEY (key, algorithm)
) WITHOUT ROWID;
CREATE INDEX promise_source ON promise (source);
";

const SINCE_3: &str = "
ALTER TABLE entry ADD COLUMN seal INTEGER;
ALTER TABLE promise ADD COLUMN seal INTEGER;
CREATE TABLE damage (kind TEXT PRIMARY KEY, count INTEGER NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID;
";

pub(super) fn open(path: &Path, dir: &Path) -> Result<Connection, StoreError> {
    // Of two that turn a new file into one with a write-ahead log at once, SQLite lets one fail without waiting.
    let root = path.parent().unwrap_or(dir);
    let _alone = File::open(root)
        .and_then(|root| flock(&root, FlockOperation::LockExclusive).map(|()| root).map_err(Into::into))
        .map_err(|error| StoreError::io("lock", root, error))?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.set_prepared_statement_cache_capacity(32);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    migrate(&transaction, dir)?;
    transaction.commit()?;
    Ok(connection)
}

fn migrate(transaction: &Transaction<'_>, dir: &Path) -> Result<(), StoreError> {
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let magic: i64 = transaction.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if found > VERSION && magic == MAGIC + found {
        return Err(StoreError::Newer { path: dir.to_owned(), found, known: VERSION });
    }
    if !(0..=VERSION).contains(&found) || (found == VERSION && magic != MAGIC + found) {
        return Err(StoreError::Damaged(format!("it says to be of version {found}")));
    }
    if found < 1 {
        transaction.execute_batch(TABLES)?;
    }
    if found == 1 {
        // The first builds of version 1 had no such index.
        transaction.execute_batch("CREATE INDEX IF NOT EXISTS entry_url ON entry (url)")?;
    }
    if found < 2 {
        transaction.execute_batch(SINCE_2)?;
    }
    if found < 3 {
        transaction.execute_batch(SINCE_3)?;
        seal_all(transaction)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.pragma_update(None, "application_id", MAGIC + VERSION)?;
    }
    Ok(())
}

/// Makes the tables.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    [TABLES, SINCE_2, SINCE_3].into_iter().try_for_each(|tables| connection.execute_batch(tables))
}

/// Gives the rows of older versions their check sums; what cannot be read gets none. Promises are learnt anew.
fn seal_all(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut rows = transaction
        .prepare(&format!("SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob"))?
        .query_map([], |row| Ok(decode_entry(row).ok()))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut update = transaction.prepare("UPDATE entry SET seal = ?2 WHERE id = ?1")?;
    for entry in rows.drain(..).flatten() {
        update.execute(params![entry.id, seal::of_entry(&entry.draft, &entry.digest, entry.size)])?;
    }
    Ok(())
}

pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
