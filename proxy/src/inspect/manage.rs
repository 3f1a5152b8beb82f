//! Entries chosen by hand: removed, pinned, checked.

use std::time::SystemTime;

use http::Uri;
use rusqlite::params;

use super::{Removed, Variant, explain_entry};
use crate::cache::{Key, promise_key};
use crate::rules::Rules;
use crate::store::{Digest, ENTRY_COLUMNS, Entry, Store, StoreError, intact};

/// Entries pinned in one transaction.
const PINNED: usize = 200;

/// Which entries are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every variant of a URL, in the spelling of the index.
    Url(String),
    /// Every URL that is this one or goes on below it: in `http://example.org/a` lies `/a/b` and not `/ab`.
    Below(String),
    /// Rows of the index.
    Ids(Vec<i64>),
}

impl Target {
    /// A URL, as a user writes it, and with `below` what lies below it; `None` when it is not an absolute http or
    /// https URL.
    pub fn parse(url: &str, below: bool) -> Option<Self> {
        let key = Key::of(&url.parse::<Uri>().ok()?)?;
        Some(if below { Self::Below(key.url) } else { Self::Url(key.url) })
    }
}

/// What [`Store::remove`] did, or would have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// What went.
    pub removed: Removed,
    /// Entries that stay because they are pinned.
    pub pinned: u64,
}

/// What reading a stored body showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Soundness {
    /// It is what its digest says.
    Sound,
    /// It is not.
    Damaged,
    /// It is not there.
    Missing,
}

impl Store {
    /// The entries meant, by URL.
    pub fn find(&self, target: &Target) -> Result<Vec<Entry>, StoreError> {
        let index = self.reader()?;
        let select = |condition: &str| {
            format!("SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob WHERE {condition}")
        };
        let mut found = Vec::new();
        match target {
            Target::Url(url) => {
                let mut statement = index.prepare(&select("entry.url = ?1 ORDER BY entry.responded DESC"))?;
                found.extend(
                    statement.query_map([url], |row| Ok(intact(row)))?.filter_map(Result::transpose).collect::<Result<
                        Vec<_>,
                        _,
                    >>(
                    )?,
                );
            }
            Target::Below(prefix) => {
                let sql = select("entry.url >= ?1 AND entry.url < ?2 ORDER BY entry.url");
                let mut statement = index.prepare(&sql)?;
                let rows = statement.query_map(params![prefix, after(prefix)], |row| Ok(intact(row)))?;
                for entry in rows.filter_map(Result::transpose) {
                    let entry = entry?;
                    if is_below(&entry.draft.url, prefix) {
                        found.push(entry);
                    }
                }
            }
            Target::Ids(ids) => {
                let mut statement = index.prepare(&select("entry.id = ?1"))?;
                for id in ids {
                    found.extend(
                        statement
                            .query_map([id], |row| Ok(intact(row)))?
                            .filter_map(Result::transpose)
                            .collect::<Result<Vec<_>, _>>()?,
                    );
                }
            }
        }
        Ok(found)
    }

    /// Removes the entries meant, but for pinned ones, and the bodies that nothing names any more; with `dry_run`
    /// counts them only. Whoever is being served one of them gets it to the end.
    pub fn remove(&self, target: &Target, dry_run: bool) -> Result<Dropped, StoreError> {
        let (pinned, free): (Vec<Entry>, Vec<Entry>) = self.find(target)?.into_iter().partition(|entry| entry.pinned);
        let mut dropped = Dropped { pinned: pinned.len() as u64, ..Dropped::default() };
        dropped.removed.entries = free.len() as u64;
        let ids: Vec<i64> = free.iter().map(|entry| entry.id).collect();
        if dry_run {
            dropped.removed.bytes = self.freed_by(&ids)?;
            return Ok(dropped);
        }
        dropped.removed = self.remove_entries(&ids)?;
        Ok(dropped)
    }

    /// Bytes of the bodies that only these entries name.
    fn freed_by(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let index = self.reader()?;
        let mut statement = index.prepare(
            "SELECT blob.id, blob.size, (SELECT count(*) FROM entry AS other WHERE other.blob = blob.id) \
             FROM entry JOIN blob ON blob.id = entry.blob WHERE entry.id = ?1",
        )?;
        let mut left = std::collections::HashMap::new();
        let mut freed = 0;
        for id in ids {
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                let count = left.entry(row.get::<_, i64>(0)?).or_insert(row.get::<_, i64>(2)?);
                *count -= 1;
                if *count == 0 {
                    freed += row.get::<_, i64>(1)?.cast_unsigned();
                }
            }
        }
        Ok(freed)
    }

    /// Pins the entries meant, or takes the pin out. A pinned entry stays whatever the limits say, until upstream
    /// sends another body for it or says that it is gone. Returns how many entries were meant.
    pub fn set_pinned(&self, target: &Target, pinned: bool) -> Result<u64, StoreError> {
        let entries = self.find(target)?;
        for batch in entries.chunks(PINNED) {
            let mut index = self.write_index();
            let transaction = index.transaction()?;
            for entry in batch {
                // The row may have gone since, and its number been given to another.
                transaction
                    .prepare_cached("UPDATE entry SET pinned = ?3 WHERE id = ?1 AND key = ?2")?
                    .execute(params![entry.id, &entry.draft.key[..], pinned])?;
            }
            transaction.commit()?;
        }
        Ok(entries.len() as u64)
    }

    /// What would come of a request for this entry at `now`.
    pub fn judged(&self, entry: Entry, rules: &Rules, now: SystemTime) -> Result<Variant, StoreError> {
        let uri = entry.draft.url.parse::<Uri>().unwrap_or_default();
        let learnt = match Key::of(&uri) {
            Some(key) => self.promised(&promise_key(&key))?,
            None => None,
        };
        Ok(explain_entry(entry, &rules.classify(uri.path(), None), learnt.as_ref(), now))
    }

    /// Reads the body of an entry, and compares it with its digest.
    pub fn check(&self, entry: &Entry) -> Result<Soundness, StoreError> {
        let path = self.blob_path(&entry.digest);
        match self.open_blob(&entry.digest, entry.size).and_then(|file| Digest::of_file(&file)) {
            Ok(found) if found == entry.digest => Ok(Soundness::Sound),
            Ok(_) => Ok(Soundness::Damaged),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Soundness::Missing),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Soundness::Damaged),
            Err(error) => Err(StoreError::io("read", &path, error)),
        }
    }
}

/// The least text greater than all that begin with `prefix`: nothing in a URL is greater than `~` but for what is
/// not ASCII, and a URL of the index has none of that.
pub(super) fn after(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

fn is_below(url: &str, prefix: &str) -> bool {
    let Some(rest) = url.strip_prefix(prefix) else { return false };
    rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?'])
}

#[cfg(test)]
mod tests;
