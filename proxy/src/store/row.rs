//! A row of the index as the entry it stands for, and what of an entry is text there.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderName;
use rusqlite::Row;

use super::{Digest, Draft, Entry, Part, Provenance, VaryField, headers, seal};
use crate::cache::key::hash16;
use crate::flow::Class;

pub(crate) const ENTRY_COLUMNS: &str = "entry.id, entry.key, entry.url, entry.status, entry.headers, entry.vary, \
    entry.requested, entry.responded, entry.class, entry.last_used, entry.uses, entry.pinned, blob.digest, blob.size, \
    entry.part_from, entry.part_total, entry.run, entry.build, entry.step, entry.route, entry.source, entry.rule, entry.seal";

pub(crate) fn decode_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let class: String = row.get(8)?;
    let draft = Draft {
        key: row.get(1)?,
        url: row.get(2)?,
        status: row.get(3)?,
        headers: headers::decode(row.get_ref(4)?.as_blob().unwrap_or_default()),
        vary: decode_vary(&row.get::<_, String>(5)?),
        requested: from_millis(row.get(6)?),
        responded: from_millis(row.get(7)?),
        class: class_named(&class),
        part: part_at(row)?,
        provenance: provenance_at(row)?,
    };
    Ok(Entry {
        id: row.get(0)?,
        draft: Arc::new(draft),
        digest: digest_at(row, 12)?,
        size: row.get::<_, i64>(13)?.cast_unsigned(),
        last_used: from_millis(row.get(9)?),
        uses: row.get::<_, i64>(10)?.cast_unsigned(),
        pinned: row.get(11)?,
    })
}

/// The entry in a row, where the row is as it was written.
pub(crate) fn intact(row: &Row<'_>) -> Option<Entry> {
    let entry = decode_entry(row).ok()?;
    let seal: Option<i64> = row.get(22).ok()?;
    (seal == Some(seal::of_entry(&entry.draft, &entry.digest, entry.size))).then_some(entry)
}

pub(crate) fn digest_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    Ok(Digest(row.get(column)?))
}

fn part_at(row: &Row<'_>) -> rusqlite::Result<Option<Part>> {
    let (from, total): (Option<i64>, Option<i64>) = (row.get(14)?, row.get(15)?);
    Ok(from.zip(total).map(|(from, total)| Part { from: from.cast_unsigned(), total: total.cast_unsigned() }))
}

fn provenance_at(row: &Row<'_>) -> rusqlite::Result<Provenance> {
    Ok(Provenance {
        run: row.get::<_, Option<i64>>(16)?.map(from_millis),
        build: row.get(17)?,
        step: row.get(18)?,
        route: row.get(19)?,
        source: row.get(20)?,
        rule: row.get(21)?,
    })
}

fn class_named(name: &str) -> Class {
    [Class::Package, Class::Index, Class::Image]
        .into_iter()
        .find(|class| class.as_str() == name)
        .unwrap_or(Class::Other)
}

/// What tells the entries of one URL apart: what they vary on, and where a part begins.
pub(super) fn variant(vary: &[VaryField], part: Option<Part>) -> [u8; 16] {
    let vary = encode_vary(vary);
    match part {
        None => hash16(vary.as_bytes()),
        Some(part) => hash16(format!("{vary}\0{}", part.from).as_bytes()),
    }
}

pub(super) fn encode_vary(vary: &[VaryField]) -> String {
    let mut lines: Vec<String> = vary
        .iter()
        .map(|(name, value)| match value {
            Some(value) => format!("{name}: {value}"),
            None => format!("{name}"),
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

pub(super) fn decode_vary(text: &str) -> Vec<VaryField> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = match line.split_once(": ") {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (line, None),
            };
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        })
        .collect()
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

pub fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
