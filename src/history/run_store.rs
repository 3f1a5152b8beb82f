//! The record of runs: an SQLite database in the state directory, `history.sqlite`.
//!
//! Each run writes while it goes on, several at once; what it comes to is read by `larder history`, the terminal UI, and
//! estimates.

mod read;
mod retention;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

pub use retention::{Kept, keep_last_unlisted};
pub use write::Change;

use crate::error::{Context as _, Error, Result};

/// How long to wait for another process that writes. Its transactions are short.
const BUSY: Duration = Duration::from_secs(5);

/// The database, open.
pub struct RunStore {
    path: PathBuf,
    connection: Connection,
}

impl RunStore {
    /// The database of a state directory, made if it is not there.
    pub fn open(state: &Path) -> Result<Self> {
        let path = file(state);
        std::fs::create_dir_all(state).context(|| format!("cannot make {}", state.display()))?;
        let mut connection = Connection::open(&path).context(|| cannot("open", &path))?;
        Self::prepare(&mut connection, &path)?;
        Ok(Self { path, connection })
    }

    /// The database of a state directory, for reading; none if no run was recorded there. It may be one that this
    /// process cannot write.
    pub fn open_to_read(state: &Path) -> Result<Option<Self>> {
        let path = file(state);
        match path.try_exists() {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(error).context(|| cannot("read", &path)),
        }
        match Self::open(state) {
            Ok(store) => Ok(Some(store)),
            Err(error) => match Self::open_as_is(&path) {
                Ok(store) => Ok(Some(store)),
                Err(_) => Err(error),
            },
        }
    }

    /// Opens a database that cannot be written, nor can the files SQLite makes beside it.
    fn open_as_is(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let encoded = path.as_os_str().as_encoded_bytes().iter().map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
            byte => format!("%{byte:02x}"),
        });
        let uri = format!("file:{}?immutable=1", encoded.collect::<String>());
        let connection = Connection::open_with_flags(uri, flags).context(|| cannot("read", path))?;
        let found = schema::version(&connection).context(|| cannot("read", path))?;
        if !(1..=schema::VERSION).contains(&found) {
            return Err(newer(path, found));
        }
        schema::show_as_this(&connection, found).context(|| cannot("read", path))?;
        Ok(Self { path: path.to_owned(), connection })
    }

    fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
        let set = |connection: &Connection| -> rusqlite::Result<()> {
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.pragma_update(None, "foreign_keys", true)
        };
        set(connection).context(|| cannot("open", path))?;
        let found = schema::migrate(connection).context(|| cannot("open", path))?;
        if found > schema::VERSION {
            return Err(newer(path, found));
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> String {
        cannot(what, &self.path)
    }
}

/// A place or a count as SQLite has numbers.
fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn file(state: &Path) -> PathBuf {
    state.join("history.sqlite")
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} the history of runs, {}", path.display())
}

fn newer(path: &Path, found: i64) -> Error {
    Error::new(format!(
        "{} is of another version of Larder: its schema is {found}, this Larder knows {}",
        path.display(),
        schema::VERSION
    ))
    .hint("use the newer Larder, or move the file away: a new one is begun")
}
