//! One body under many URLs: entries for what is stored already.

use std::sync::Arc;

use rusqlite::{OptionalExtension as _, TransactionBehavior};

use super::index::{insert_entry, limit_variants, remove_unused_blobs};
use super::parts::remove_superseded;
use super::row::{ENTRY_COLUMNS, intact};
use super::{Digest, Draft, Entry, Store, StoreError};

impl Store {
    /// The entries whose whole body is the blob, the last used first; not more than a few.
    pub fn holders(&self, digest: &Digest) -> Result<Vec<Entry>, StoreError> {
        let index = self.read_index();
        let mut statement = index.prepare_cached(&format!(
            "SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE blob.digest = ?1 AND entry.status = 200 AND entry.part_from IS NULL \
             ORDER BY entry.last_used DESC LIMIT 32"
        ))?;
        let rows = statement.query_map([&digest.0[..]], |row| Ok(intact(row)))?;
        let found: Vec<Option<Entry>> = rows.collect::<Result<_, _>>()?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Makes a stored blob the answer of one more URL, or for one more variant; `None` when it is no longer stored.
    pub fn adopt(&self, digest: &Digest, draft: Draft) -> Result<Option<Entry>, StoreError> {
        let _session = self.writing()?;
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let blob: Option<(i64, i64)> = transaction
            .prepare_cached("SELECT id, size FROM blob WHERE digest = ?1")?
            .query_row([&digest.0[..]], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((blob, size)) = blob else { return Ok(None) };
        let (id, replaced) = insert_entry(&transaction, &draft, blob, *digest, size.cast_unsigned())?;
        let mut unused: Vec<i64> = replaced.into_iter().filter(|&old| old != blob).collect();
        unused.extend(remove_superseded(&transaction, (id, blob), &draft, size.cast_unsigned())?);
        unused.extend(limit_variants(&transaction, &draft.key)?);
        let (_, files) = remove_unused_blobs(&transaction, &unused)?;
        transaction.commit()?;
        drop(index);
        self.unlink_unreferenced(&files)?;
        let (last_used, draft) = (draft.responded, Arc::new(draft));
        Ok(Some(Entry { id, draft, digest: *digest, size: size.cast_unsigned(), last_used, uses: 0, pinned: false }))
    }
}
