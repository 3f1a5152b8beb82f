//! After a crash: files and index are brought together again.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rusqlite::TransactionBehavior;

use super::row::digest_at;
use super::session::remove;
use super::{Digest, Store, StoreError};

/// Files removed in one transaction: whoever wants to store something waits for it.
const BATCH: usize = 100;

/// What [`Store::recover`] found and put right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bodies that the index named and that were not there, or not of their size.
    pub missing: u64,
    /// Bodies that the index did not name.
    pub unreferenced: u64,
}

impl Store {
    /// Compares the index with the bodies by name and size, after a process was killed or the power was cut: bodies
    /// that no row names go, rows without a body go, and the sums are taken anew. Takes seconds for a million bodies,
    /// while requests are served.
    pub fn recover(&self) -> Result<Recovered, StoreError> {
        // Who dies from here on leaves a mark of its own.
        let dead = self.dead_sessions()?;
        let recovered = self.collect_strays()?;
        for path in dead {
            remove(&path)?;
        }
        if recovered != Recovered::default() {
            let Recovered { missing, unreferenced } = recovered;
            tracing::info!(missing, unreferenced, "put the cache in order after a process had died");
        }
        Ok(recovered)
    }

    /// The same, whoever died or not.
    pub(crate) fn collect_strays(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        for first in 0..=255_u8 {
            let files = files_of(&self.root().join("content-v2/sha256").join(hex::encode([first])));
            let rows = self.blobs_beginning(first)?;
            let stray: Vec<Digest> = files.keys().filter(|digest| !rows.contains_key(*digest)).copied().collect();
            for batch in stray.chunks(BATCH) {
                recovered.unreferenced += self.unlink_unreferenced(batch)?;
            }
            for (digest, size) in rows {
                // It may have come, or gone, since the lists were made.
                if files.get(&digest) != Some(&size)
                    && self.names_blob(&digest)?
                    && fs::metadata(self.blob_path(&digest)).map_or(0, |found| found.len()) != size
                {
                    self.forget_blob(&digest)?;
                    recovered.missing += 1;
                }
            }
        }
        self.mend_sums()?;
        Ok(recovered)
    }

    /// The blobs of the index whose digest begins so, with their sizes.
    fn blobs_beginning(&self, first: u8) -> Result<HashMap<Digest, u64>, StoreError> {
        let index = self.reader()?;
        // A blob is greater than any that it goes on from.
        let mut statement =
            index.prepare("SELECT digest, size FROM blob WHERE digest >= ?1 AND (?2 IS NULL OR digest < ?2)")?;
        let next = first.checked_add(1).map(|next| vec![next]);
        let rows = statement.query_map(rusqlite::params![vec![first], next], |row| {
            Ok((digest_at(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes the sums anew, and removes blobs that no entry names and damaged rows.
    fn mend_sums(&self) -> Result<(), StoreError> {
        let _session = self.writing().ok();
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let files: Vec<Digest> = transaction
            .prepare("DELETE FROM blob WHERE NOT EXISTS (SELECT 1 FROM entry WHERE blob = blob.id) RETURNING digest")?
            .query_map([], |row| Ok(digest_at(row, 0).ok()))?
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        transaction.execute(
            "INSERT OR REPLACE INTO total (id, entries, blobs, bytes) SELECT 1, (SELECT count(*) FROM entry), \
             (SELECT count(*) FROM blob), (SELECT coalesce(sum(size), 0) FROM blob)",
            [],
        )?;
        transaction.commit()?;
        drop(index);
        self.unlink_unreferenced(&files)?;
        Ok(())
    }
}

/// The blobs below one directory of the first level, with their sizes.
fn files_of(dir: &Path) -> HashMap<Digest, u64> {
    let below = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found = HashMap::new();
    for second in below(dir) {
        for file in below(&second.path()) {
            let Some(digest) = Digest::of_path(&file.path()) else { continue };
            if let Ok(metadata) = file.metadata()
                && metadata.is_file()
            {
                found.insert(digest, metadata.len());
            }
        }
    }
    found
}
