//! Parts of objects in the index: which of them a new answer makes superfluous.

use rusqlite::{Transaction, params};

use super::row::{encode_vary, intact, millis};
use super::{Draft, ENTRY_COLUMNS, Entry};
use crate::policy::condition;

/// Whether a new answer, with a body of `size` bytes, takes the place of an older one for the same requests: the whole
/// does, a part of another state of the object does, and a part with all that the older one has.
fn supersedes(draft: &Draft, size: u64, old: &Entry) -> bool {
    let (Some(new), same) = (draft.part, condition::same_state(&draft.headers, &old.draft.headers)) else {
        return true;
    };
    match old.draft.part {
        Some(part) => !same || part.total != new.total || new.covers(size, &part, old.size),
        None => !same,
    }
}

/// Whether parts of a newer state of the object are there than an answer is of.
pub(super) fn has_newer_parts(transaction: &Transaction<'_>, draft: &Draft) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS} FROM entry JOIN blob ON blob.id = entry.blob \
         WHERE entry.key = ?1 AND entry.vary = ?2 AND entry.part_from IS NOT NULL AND entry.responded > ?3"
    );
    let mut statement = transaction.prepare_cached(&sql)?;
    let mut rows = statement.query(params![&draft.key[..], encode_vary(&draft.vary), millis(draft.responded)])?;
    while let Some(row) = rows.next()? {
        if intact(row).is_some_and(|part| !condition::same_state(&draft.headers, &part.draft.headers)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what a new entry makes superfluous, or itself where it is a part of what is there whole, and returns the blobs
/// that were named. Whether one of them was pinned goes over to the new one.
pub(super) fn remove_superseded(
    transaction: &Transaction<'_>,
    (id, blob): (i64, i64),
    draft: &Draft,
    size: u64,
) -> rusqlite::Result<Vec<i64>> {
    let others: i64 = transaction
        .prepare_cached("SELECT count(*) FROM entry WHERE key = ?1 AND id <> ?2 AND vary = ?3")?
        .query_row(params![&draft.key[..], id, encode_vary(&draft.vary)], |row| row.get(0))?;
    if others == 0 {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {ENTRY_COLUMNS}, entry.blob FROM entry JOIN blob ON blob.id = entry.blob \
         WHERE entry.key = ?1 AND entry.id <> ?2 AND entry.vary = ?3"
    );
    let mut statement = transaction.prepare(&sql)?;
    let mut rows = statement.query(params![&draft.key[..], id, encode_vary(&draft.vary)])?;
    let (mut gone, mut covered) = (Vec::new(), false);
    while let Some(row) = rows.next()? {
        // A damaged row is left to those who count them.
        let Some(old) = intact(row) else { continue };
        let same = condition::same_state(&draft.headers, &old.draft.headers);
        covered |= draft.part.is_some() && old.draft.part.is_none() && same;
        if supersedes(draft, size, &old) {
            gone.push((old.id, old.pinned, row.get::<_, i64>(23)?));
        }
    }
    drop(rows);
    if covered {
        // The whole has come meanwhile.
        transaction.execute("DELETE FROM entry WHERE id = ?1", [id])?;
        return Ok(vec![blob]);
    }
    for (old, pinned, _) in &gone {
        transaction.execute("DELETE FROM entry WHERE id = ?1", [old])?;
        if *pinned {
            transaction.execute("UPDATE entry SET pinned = 1 WHERE id = ?1", [id])?;
        }
    }
    Ok(gone.into_iter().map(|(_, _, blob)| blob).collect())
}
