//! The tables, and how older ones become them.

use rusqlite::{Connection, TransactionBehavior};

/// What is done to a database of each version to make it the next: the first makes it from nothing. None is ever
/// changed once released; what is new is added as a further one.
const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    uuid TEXT NOT NULL,
    started INTEGER NOT NULL,
    seconds REAL,
    template TEXT NOT NULL,
    template_digest TEXT NOT NULL,
    net TEXT NOT NULL,
    version TEXT NOT NULL,
    ending TEXT,
    cancelled TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX run_started ON run (started);
CREATE INDEX run_template ON run (template, started);
CREATE TABLE build (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    place INTEGER NOT NULL,
    builder_type TEXT,
    log TEXT,
    started INTEGER,
    seconds REAL,
    ending TEXT,
    failure TEXT,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE step (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    name TEXT NOT NULL,
    started INTEGER NOT NULL,
    seconds REAL,
    ending TEXT,
    PRIMARY KEY (run, build, step, attempt)
) STRICT, WITHOUT ROWID;
-- Step -1 is between steps.
CREATE TABLE download (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    step INTEGER NOT NULL,
    class TEXT NOT NULL,
    requests INTEGER NOT NULL,
    hits INTEGER NOT NULL,
    revalidated INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    misses INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    bytes_sent INTEGER NOT NULL,
    bytes_cache INTEGER NOT NULL,
    bytes_upstream INTEGER NOT NULL,
    PRIMARY KEY (run, build, step, class)
) STRICT, WITHOUT ROWID;
CREATE TABLE artifact (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    place INTEGER NOT NULL,
    builder_id TEXT NOT NULL,
    id TEXT NOT NULL,
    description TEXT NOT NULL,
    files TEXT NOT NULL,
    PRIMARY KEY (run, build, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE answer (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    question INTEGER NOT NULL,
    step INTEGER NOT NULL,
    time INTEGER NOT NULL,
    reason TEXT NOT NULL,
    answer TEXT NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (run, build, question)
) STRICT, WITHOUT ROWID;
",
    "
ALTER TABLE run ADD COLUMN exit_code INTEGER;
ALTER TABLE build ADD COLUMN exit_code INTEGER;
CREATE TABLE mark (
    run TEXT NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    build TEXT NOT NULL,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    script TEXT,
    path TEXT,
    PRIMARY KEY (run, build, place)
) STRICT, WITHOUT ROWID;
",
];

/// What shows a database of each version as one of the next, where it cannot be written: views and empty tables that the
/// connection alone has, and that come before those of the file.
const SHOWN_AS_NEXT: [&str; 1] = ["
CREATE TEMP VIEW run AS SELECT *, NULL AS exit_code FROM main.run;
CREATE TEMP VIEW build AS SELECT *, NULL AS exit_code FROM main.build;
CREATE TEMP TABLE mark (run, build, place, kind, step, name, script, path);
"];

/// The version this Larder writes: how many [`MIGRATIONS`] there are.
pub(super) const VERSION: i64 = 2;

/// The version of a database.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Shows a database of an older version, `found`, as one of this version, without writing it.
pub(super) fn show_as_this(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    let older = usize::try_from(found - 1).unwrap_or(0);
    SHOWN_AS_NEXT.iter().skip(older).try_for_each(|next| connection.execute_batch(next))
}

/// Brings a database to this version. Returns the version found; a newer one is left as it is.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let found = version(connection)?;
    if found >= VERSION {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited.
    let found = version(&transaction)?;
    debug_assert_eq!(usize::try_from(VERSION), Ok(MIGRATIONS.len()));
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(found)
}
