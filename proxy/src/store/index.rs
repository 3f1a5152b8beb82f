//! The index: which blob answers which URL, and under which conditions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::blob::SealedBlob;
use super::damage::{self, Damage};
use super::row::{ENTRY_COLUMNS, digest_at, encode_vary, intact, millis, variant};
use super::{Digest, Draft, Entry, Store, StoreError, Touch, headers, parts, seal};

/// Variants kept for one URL.
const MAX_VARIANTS: i64 = 16;
/// Parts of objects kept for one URL.
const MAX_PARTS: i64 = 64;
/// Bytes from which on the removal of a file takes long.
const LARGE: u64 = 4 * 1024 * 1024;
/// How long the index is held at a time by who has much to write: others wait meanwhile.
pub(crate) const HOLD: Duration = Duration::from_millis(20);
/// And how long it is not: other processes only look from time to time whether it is free.
pub(crate) const GAP: Duration = Duration::from_millis(5);
/// Outcomes kept for `explain`.
const MAX_OUTCOMES: i64 = 50_000;

impl Store {
    /// The stored responses of a URL, the newest first; of one moment those that are for fewer requests.
    pub fn lookup(&self, key: &[u8; 16]) -> Result<Vec<Entry>, StoreError> {
        let index = self.read_index();
        let mut statement = index.prepare_cached(&format!(
            "SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE entry.key = ?1 ORDER BY entry.responded DESC, length(entry.vary) DESC, entry.id DESC"
        ))?;
        let rows = statement.query_map([&key[..]], |row| Ok(intact(row)))?;
        let found: Vec<Option<Entry>> = rows.collect::<Result<_, _>>()?;
        drop(statement);
        drop(index);
        if found.iter().any(|entry| entry.as_ref().is_none_or(|entry| entry.draft.key != *key)) {
            let damaged = damaged_rows(&self.read_index(), "entry.key = ?1", [&key[..]])?;
            self.drop_damaged(&damaged)?;
        }
        Ok(found.into_iter().flatten().filter(|entry| entry.draft.key == *key).collect())
    }

    /// Removes rows that are not as they were written, and counts them.
    pub(crate) fn drop_damaged(&self, rows: &[i64]) -> Result<(), StoreError> {
        let _session = self.writing().ok();
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let files = drop_rows(&transaction, rows)?;
        transaction.commit()?;
        drop(index);
        self.unlink_unreferenced(&files)?;
        Ok(())
    }

    /// A number that changes when another process (or the other connection) has written.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        Ok(self.read_index().pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Bytes of all blobs.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = self.read_index().query_row("SELECT bytes FROM total", [], |row| row.get(0))?;
        Ok(bytes.cast_unsigned())
    }

    /// Puts the blob in place and makes it the answer of its URL and variant.
    #[expect(clippy::needless_pass_by_value, reason = "what is stored is given away")]
    pub fn commit(&self, mut blob: SealedBlob, draft: Draft) -> Result<Entry, StoreError> {
        self.enter(&mut blob, &draft)
    }

    /// The same; where it fails, it may be tried again.
    pub(crate) fn enter(&self, blob: &mut SealedBlob, draft: &Draft) -> Result<Entry, StoreError> {
        let digest = blob.digest();
        self.place_and_enter(blob, draft).inspect_err(|_| {
            // The index had no room, say: then the blob must not keep what is left.
            let _ = self.unlink_unreferenced(&[digest]);
        })
    }

    fn place_and_enter(&self, blob: &mut SealedBlob, draft: &Draft) -> Result<Entry, StoreError> {
        let _session = self.writing()?;
        blob.place(self.root())?;
        let line = self.line();
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        blob.keep_in_place(self.root())?;
        let blob_id = insert_blob(&transaction, blob.digest(), blob.size(), millis(draft.responded))?;
        let (id, replaced) = insert_entry(&transaction, draft, blob_id, blob.digest(), blob.size())?;
        let mut unused: Vec<i64> = replaced.into_iter().filter(|&old| old != blob_id).collect();
        unused.extend(parts::remove_superseded(&transaction, (id, blob_id), draft, blob.size())?);
        unused.extend(limit_variants(&transaction, &draft.key)?);
        let (_, files) = remove_unused_blobs(&transaction, &unused)?;
        transaction.commit()?;
        drop((index, line));
        blob.entered();
        self.unlink_unreferenced(&files)?;
        let (draft, last_used) = (Arc::new(draft.clone()), draft.responded);
        Ok(Entry { id, draft, digest: blob.digest(), size: blob.size(), last_used, uses: 0, pinned: false })
    }

    /// Notes that upstream confirmed an entry (RFC 9111 section 4.3.4): fields and times change, the body does not.
    /// Where the entry is gone by now nothing is noted, also where its row's number has been given to another.
    pub fn refresh(&self, entry: &Entry) -> Result<(), StoreError> {
        let draft = &entry.draft;
        self.write_index()
            .prepare_cached(
                "UPDATE entry SET headers = ?2, requested = ?3, responded = ?4, seal = ?7 WHERE id = ?1 AND key = ?5 \
                 AND blob = (SELECT id FROM blob WHERE digest = ?6)",
            )?
            .execute(params![
                entry.id,
                headers::encode(&draft.headers),
                millis(draft.requested),
                millis(draft.responded),
                &draft.key[..],
                &entry.digest.0[..],
                seal::of_entry(draft, &entry.digest, entry.size),
            ])?;
        Ok(())
    }

    /// Removes every entry of a URL.
    pub fn invalidate(&self, key: &[u8; 16]) -> Result<usize, StoreError> {
        let _session = self.writing().ok();
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let blobs = ids(&transaction, "SELECT blob FROM entry WHERE key = ?1", key)?;
        let count = transaction.execute("DELETE FROM entry WHERE key = ?1", [&key[..]])?;
        let (_, files) = remove_unused_blobs(&transaction, &blobs)?;
        transaction.commit()?;
        drop(index);
        self.unlink_unreferenced(&files)?;
        Ok(count)
    }

    /// Removes a blob that is missing or damaged, and every entry that names it.
    pub fn forget_blob(&self, digest: &Digest) -> Result<usize, StoreError> {
        let _session = self.writing().ok();
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "DELETE FROM entry WHERE blob IN (SELECT id FROM blob WHERE digest = ?1)";
        let count = transaction.execute(sql, [&digest.0[..]])?;
        let blobs = transaction.execute("DELETE FROM blob WHERE digest = ?1", [&digest.0[..]])?;
        damage::count(&transaction, Damage::Body, blobs)?;
        transaction.commit()?;
        drop(index);
        self.unlink_unreferenced(&[*digest])?;
        Ok(count)
    }

    /// Notes uses and outcomes, many at a time.
    pub fn touch(&self, touches: &[Touch]) -> Result<(), StoreError> {
        let mut index = self.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for touch in touches {
            let at = millis(touch.at);
            if let Some(id) = touch.entry {
                transaction
                    .prepare_cached(
                        "UPDATE entry SET last_used = max(last_used, ?2), uses = uses + ?3 WHERE id = ?1 AND key = ?4",
                    )?
                    .execute(params![id, at, touch.uses.cast_signed(), &touch.key[..]])?;
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO outcome (key, at, outcome, why) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![&touch.key[..], at, touch.outcome.as_str(), touch.why])?;
        }
        // Replacing a row gives it a new id, so the lowest ids are the oldest.
        transaction.execute("DELETE FROM outcome WHERE id <= (SELECT max(id) FROM outcome) - ?1", [MAX_OUTCOMES])?;
        transaction.commit()?;
        Ok(())
    }

    /// Removes the files of blobs that the index does not name any more. The rows must be gone and committed, and are
    /// made durable first: killed in between, or without power, a file too many is left, not one too few. Writers look
    /// within a write transaction whether their blob is in its place, so within ours none can come back into use.
    pub(crate) fn unlink_unreferenced(&self, digests: &[Digest]) -> Result<u64, StoreError> {
        if digests.is_empty() {
            return Ok(0);
        }
        self.sync_index()?;
        let mut removed = 0;
        let mut left = digests.iter();
        while !left.as_slice().is_empty() {
            let mut aside = Vec::new();
            let mut index = self.write_index();
            let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let begun = Instant::now();
            while begun.elapsed() < HOLD
                && let Some(digest) = left.next()
            {
                let named = transaction
                    .prepare_cached("SELECT 1 FROM blob WHERE digest = ?1")?
                    .query_row([&digest.0[..]], |_| Ok(()))
                    .optional()?
                    .is_some();
                if !named && self.unlink(digest, &mut aside) {
                    removed += 1;
                }
            }
            drop(transaction);
            drop(index);
            for path in aside {
                let _ = std::fs::remove_file(path);
            }
            if !left.as_slice().is_empty() {
                std::thread::sleep(GAP);
            }
        }
        Ok(removed)
    }

    /// Takes a blob's file from its place. A large one only gets another name, to be removed when nobody waits: the
    /// system takes its time to free what is in memory of it. Killed in between, it is a file in `tmp` that nobody holds.
    fn unlink(&self, digest: &Digest, aside: &mut Vec<std::path::PathBuf>) -> bool {
        let path = self.blob_path(digest);
        if std::fs::symlink_metadata(&path).is_ok_and(|found| found.len() > LARGE) {
            let name = self.root().join("tmp").join(format!("{}-{digest}-gone", std::process::id()));
            if std::fs::rename(&path, &name).is_ok() {
                aside.push(name);
                return true;
            }
        }
        std::fs::remove_file(&path).is_ok()
    }

    pub(crate) fn names_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM blob WHERE digest = ?1";
        Ok(self.read_index().prepare_cached(sql)?.query_row([&digest.0[..]], |_| Ok(())).optional()?.is_some())
    }
}

pub(super) fn insert_blob(transaction: &Connection, digest: Digest, size: u64, stored: i64) -> rusqlite::Result<i64> {
    let known: Option<(i64, i64)> = transaction
        .prepare_cached("SELECT id, size FROM blob WHERE digest = ?1")?
        .query_row([&digest.0[..]], |row| Ok((row.get(0)?, row.get(1).unwrap_or(0))))
        .optional()?;
    if let Some((id, noted)) = known {
        if noted != size.cast_signed() {
            // The row was damaged.
            transaction.execute("UPDATE blob SET size = ?2 WHERE id = ?1", params![id, size.cast_signed()])?;
            transaction.execute("UPDATE total SET bytes = bytes + ?1", [size.cast_signed().saturating_sub(noted)])?;
        }
        return Ok(id);
    }
    transaction.prepare_cached("INSERT INTO blob (digest, size, stored) VALUES (?1, ?2, ?3)")?.execute(params![
        &digest.0[..],
        size.cast_signed(),
        stored
    ])?;
    Ok(transaction.last_insert_rowid())
}

/// The row's id, and the blob it named before.
pub(super) fn insert_entry(
    transaction: &Connection,
    draft: &Draft,
    blob: i64,
    digest: Digest,
    size: u64,
) -> rusqlite::Result<(i64, Option<i64>)> {
    let vary = encode_vary(&draft.vary);
    let variant = variant(&draft.vary, draft.part);
    let old = transaction
        .prepare_cached("SELECT blob FROM entry WHERE key = ?1 AND variant = ?2")?
        .query_row(params![&draft.key[..], &variant[..]], |row| row.get(0))
        .optional()?;
    let responded = millis(draft.responded);
    let provenance = &draft.provenance;
    let id = transaction
        .prepare_cached(
            "INSERT INTO entry (key, variant, url, status, headers, vary, blob, requested, responded, class, last_used,
                 part_from, part_total, run, build, step, route, source, rule, seal)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?9, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
             ON CONFLICT (key, variant) DO UPDATE SET status = ?4, headers = ?5, vary = ?6, blob = ?7, requested = ?8,
                 responded = ?9, class = ?10, last_used = ?9, part_from = ?11, part_total = ?12, run = ?13,
                 build = ?14, step = ?15, route = ?16, source = ?17, rule = ?18, seal = ?19 RETURNING id",
        )?
        .query_row(
            params![
                &draft.key[..],
                &variant[..],
                draft.url,
                draft.status,
                headers::encode(&draft.headers),
                vary,
                blob,
                millis(draft.requested),
                responded,
                draft.class.as_str(),
                draft.part.map(|part| part.from.cast_signed()),
                draft.part.map(|part| part.total.cast_signed()),
                provenance.run.map(millis),
                provenance.build,
                provenance.step,
                provenance.route,
                provenance.source,
                provenance.rule,
                seal::of_entry(draft, &digest, size),
            ],
            |row| row.get(0),
        )?;
    Ok((id, old))
}

/// Puts an entry of another index into this one, with what was noted of its use.
pub(super) fn take_over(index: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    let blob = insert_blob(index, entry.digest, entry.size, millis(entry.draft.responded))?;
    let (id, _) = insert_entry(index, &entry.draft, blob, entry.digest, entry.size)?;
    index.prepare_cached("UPDATE entry SET last_used = ?2, uses = ?3, pinned = ?4 WHERE id = ?1")?.execute(params![
        id,
        millis(entry.last_used),
        entry.uses.cast_signed(),
        entry.pinned
    ])?;
    Ok(())
}

/// Removes the oldest variants and the oldest parts beyond their limits, but for pinned ones; returns the blobs they
/// named.
pub(super) fn limit_variants(transaction: &Transaction<'_>, key: &[u8; 16]) -> rusqlite::Result<Vec<i64>> {
    let mut blobs = Vec::new();
    for (what, limit) in [("part_from IS NULL", MAX_VARIANTS), ("part_from IS NOT NULL", MAX_PARTS)] {
        let those = format!("FROM entry WHERE key = ?1 AND pinned = 0 AND {what}");
        let count: i64 =
            transaction.prepare_cached(&format!("SELECT count(*) {those}"))?.query_row([&key[..]], |row| row.get(0))?;
        if count > limit {
            let excess = format!("{those} ORDER BY responded LIMIT {}", count - limit);
            blobs.extend(ids(transaction, &format!("SELECT blob {excess}"), key)?);
            transaction.execute(&format!("DELETE FROM entry WHERE id IN (SELECT id {excess})"), [&key[..]])?;
        }
    }
    Ok(blobs)
}

fn ids(transaction: &Transaction<'_>, sql: &str, key: &[u8; 16]) -> rusqlite::Result<Vec<i64>> {
    transaction.prepare(sql)?.query_map([&key[..]], |row| row.get(0))?.collect()
}

/// Removes the rows of those blobs that no entry names any more. Returns the bytes freed, and the files to remove
/// after the commit.
pub(crate) fn remove_unused_blobs(
    transaction: &Transaction<'_>,
    blobs: &[i64],
) -> Result<(u64, Vec<Digest>), StoreError> {
    let mut freed = 0;
    let mut digests = Vec::new();
    for id in blobs {
        let removed = transaction
            .prepare_cached(
                "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM entry WHERE blob = ?1) \
                 RETURNING digest, size",
            )?
            .query_row([id], |row| Ok((digest_at(row, 0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        if let Some((digest, size)) = removed {
            digests.push(digest);
            freed += size.cast_unsigned();
        }
    }
    Ok((freed, digests))
}

/// Enters a draft, and reads it back.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn kept(
    transaction: &Transaction<'_>,
    draft: &Draft,
    digest: Digest,
    size: u64,
) -> rusqlite::Result<Option<Entry>> {
    let blob = insert_blob(transaction, digest, size, 0)?;
    let (id, _) = insert_entry(transaction, draft, blob, digest, size)?;
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob WHERE entry.id = ?1");
    transaction.prepare_cached(&sql)?.query_row([id], |row| Ok(intact(row)))
}

/// Removes damaged rows, counts them, and returns the files that nothing names any more.
fn drop_rows(transaction: &Transaction<'_>, ids: &[i64]) -> Result<Vec<Digest>, StoreError> {
    let mut blobs = Vec::new();
    for id in ids {
        let blob = transaction
            .prepare_cached("DELETE FROM entry WHERE id = ?1 RETURNING blob")?
            .query_row([id], |row| Ok(row.get::<_, i64>(0).ok()))
            .optional()?;
        blobs.extend(blob.flatten());
    }
    damage::count(transaction, Damage::Row, ids.len())?;
    Ok(remove_unused_blobs(transaction, &blobs)?.1)
}

/// The rows, of those that meet a condition, that are not as they were written.
pub(crate) fn damaged_rows(
    index: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<i64>> {
    // A row whose blob is not in the index is damaged as well.
    let mut statement = index.prepare(&format!(
        "SELECT {ENTRY_COLUMNS} FROM entry LEFT JOIN blob ON blob.id = entry.blob WHERE {condition}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        if intact(row).is_none() {
            damaged.push(row.get(0)?);
        }
    }
    Ok(damaged)
}
