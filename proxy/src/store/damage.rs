//! Damage found, counted by kind: a disk that goes bad shows here.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::row::{from_millis, millis};
use super::{Store, StoreError};

/// What was damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// A stored body: not what its digest says, or not there.
    Body,
    /// A row of the index.
    Row,
    /// The index as a whole.
    Index,
}

impl Damage {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Row => "row",
            Self::Index => "index",
        }
    }

    const ALL: [Self; 3] = [Self::Body, Self::Row, Self::Index];
}

pub(super) fn count(index: &Connection, damage: Damage, times: usize) -> rusqlite::Result<()> {
    if times == 0 {
        return Ok(());
    }
    index
        .prepare_cached(
            "INSERT INTO damage (kind, count, last) VALUES (?1, ?2, ?3) \
             ON CONFLICT (kind) DO UPDATE SET count = count + ?2, last = ?3",
        )?
        .execute(params![damage.as_str(), i64::try_from(times).unwrap_or(i64::MAX), millis(SystemTime::now())])?;
    Ok(())
}

/// Takes the counts of an index over into the one that takes its place, as far as they can be read.
pub(super) fn inherit(old: &Connection, new: &Connection) {
    for damage in Damage::ALL {
        if let Ok((times, last)) = read(old, damage) {
            let sql = "INSERT OR REPLACE INTO damage (kind, count, last) VALUES (?1, ?2, ?3)";
            let _ = new.execute(sql, params![damage.as_str(), times, last]);
        }
    }
}

fn read(index: &Connection, damage: Damage) -> rusqlite::Result<(i64, i64)> {
    let sql = "SELECT count, last FROM damage WHERE kind = ?1";
    index.query_row(sql, [damage.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
}

impl Store {
    /// What was found damaged since the cache was made: how often, and when last. All of it was healed.
    pub fn damage(&self) -> Result<Vec<(Damage, u64, SystemTime)>, StoreError> {
        let index = self.read_index();
        let mut found = Vec::new();
        for damage in Damage::ALL {
            if let Some((times, last)) = read(&index, damage).optional()? {
                found.push((damage, times.cast_unsigned(), from_millis(last)));
            }
        }
        Ok(found)
    }
}
