//! Making room: by size, by age, and by what is free on the disk.

use std::collections::{HashMap, HashSet};
use std::slice;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{OptionalExtension as _, TransactionBehavior};

use crate::store::{Digest, GAP, HOLD, Store, StoreError, digest_at, millis, remove_unused_blobs};

/// Bodies whose rows are removed before their files are: the rows are made durable in between.
const FILES: usize = 2000;

/// What [`Store::gc`] is to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of blobs.
    pub max_bytes: Option<u64>,
    /// Least bytes that are to stay free on the file system.
    pub min_free: Option<u64>,
    /// Longest time without use.
    pub max_age: Option<Duration>,
    /// What was used since then stays, whatever the limits say.
    pub keep_since: Option<SystemTime>,
    /// Count only.
    pub dry_run: bool,
}

/// What [`Store::gc`] removed, or would have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Responses.
    pub entries: u64,
    /// Bytes of blobs no longer needed.
    pub bytes: u64,
}

impl Store {
    /// Removes what was not used for long, and then what was not used for longest until the rest fits, and the
    /// blobs that killed processes left. Pinned entries stay.
    pub fn gc(&self, limits: &Limits, now: SystemTime) -> Result<Removed, StoreError> {
        let removed = self.make_room(limits, now)?;
        if !limits.dry_run {
            self.collect_strays()?;
        }
        Ok(removed)
    }

    /// The same, without looking for what the index does not name.
    pub fn make_room(&self, limits: &Limits, now: SystemTime) -> Result<Removed, StoreError> {
        self.make_room_around(&HashSet::new(), limits, now)
    }

    /// The same, and bodies that are being read stay as well: they would only keep their room until their last reader
    /// has gone, and be fetched again.
    pub(crate) fn make_room_around(
        &self,
        in_use: &HashSet<Digest>,
        limits: &Limits,
        now: SystemTime,
    ) -> Result<Removed, StoreError> {
        let (mut removed, planned) = self.plan(in_use, limits, now)?;
        if !limits.dry_run {
            removed.bytes = self.remove_entries(&planned)?.bytes;
        }
        Ok(removed)
    }

    /// Bytes free on the cache's file system.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let found = rustix::fs::statvfs(self.root());
        let found = found.map_err(|error| StoreError::io("examine", self.root(), error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// Which entries have to go, and what that frees.
    fn plan(
        &self,
        in_use: &HashSet<Digest>,
        limits: &Limits,
        now: SystemTime,
    ) -> Result<(Removed, Vec<i64>), StoreError> {
        let mut removed = Removed::default();
        let oldest = limits.max_age.map(|age| millis(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)));
        let kept = limits.keep_since.map_or(i64::MAX, millis);
        // A connection of its own: it takes long, and requests are looked up meanwhile.
        let index = self.reader()?;
        // Not by the sum that is kept, which may have been damaged: nothing goes without need.
        let total: i64 = index.query_row("SELECT coalesce(sum(size), 0) FROM blob", [], |row| row.get(0))?;
        let total = total.cast_unsigned();
        let free = limits.min_free.map(|_| self.free_bytes()).transpose()?.unwrap_or(u64::MAX);
        let lacking = limits.min_free.map_or(0, |wanted| wanted.saturating_sub(free));
        let most = limits.max_bytes.unwrap_or(u64::MAX).min(total.saturating_sub(lacking));
        let mut planned = Vec::new();
        let mut left = HashMap::new();
        let mut statement = index.prepare(
            "SELECT entry.id, entry.last_used, blob.id, blob.size, blob.digest, \
             (SELECT count(*) FROM entry AS other WHERE other.blob = blob.id) \
             FROM entry JOIN blob ON blob.id = entry.blob WHERE entry.pinned = 0 ORDER BY entry.last_used",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let last_used: i64 = row.get(1)?;
            let too_old = oldest.is_some_and(|oldest| last_used < oldest);
            let too_much = total.saturating_sub(removed.bytes) > most;
            if last_used >= kept || (!too_old && !too_much) {
                break;
            }
            if !in_use.is_empty() && in_use.contains(&digest_at(row, 4)?) {
                continue;
            }
            planned.push(row.get(0)?);
            removed.entries += 1;
            // A blob is free once the last entry that names it is.
            let left = left.entry(row.get::<_, i64>(2)?).or_insert(row.get::<_, i64>(5)?);
            *left -= 1;
            if *left == 0 {
                removed.bytes += row.get::<_, i64>(3)?.cast_unsigned();
            }
        }
        Ok((removed, planned))
    }

    /// Removes entries that are not pinned, and the blobs that only they named.
    pub(super) fn remove_entries(&self, ids: &[i64]) -> Result<Removed, StoreError> {
        let _session = self.writing().ok();
        let mut removed = Removed::default();
        let mut left = ids.iter();
        while !left.as_slice().is_empty() {
            let mut files = Vec::new();
            let mut done = Ok(());
            while done.is_ok() && files.len() < FILES && !left.as_slice().is_empty() {
                done = self.remove_rows(&mut left, &mut removed, &mut files);
                thread::sleep(GAP);
            }
            self.unlink_unreferenced(&files)?;
            done?;
        }
        Ok(removed)
    }

    /// Removes the rows of as many entries as it gets to, and tells whose files may go.
    fn remove_rows(
        &self,
        ids: &mut slice::Iter<'_, i64>,
        removed: &mut Removed,
        files: &mut Vec<Digest>,
    ) -> Result<(), StoreError> {
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let begun = Instant::now();
        let mut blobs = Vec::new();
        while begun.elapsed() < HOLD
            && let Some(id) = ids.next()
        {
            let blob: Option<i64> = transaction
                .prepare_cached("DELETE FROM entry WHERE id = ?1 AND pinned = 0 RETURNING blob")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            blobs.extend(blob);
        }
        let (freed, unused) = remove_unused_blobs(&transaction, &blobs)?;
        transaction.commit()?;
        removed.entries += blobs.len() as u64;
        removed.bytes += freed;
        files.extend(unused);
        Ok(())
    }
}
