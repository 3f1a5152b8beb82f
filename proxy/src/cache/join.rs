//! Stored parts of one object are made one where they touch (RFC 9111 section 3.4), and the whole where nothing lacks.
//!
//! Parts answer together also while they are apart, so this is about their number. A small part is not joined to a
//! large one: a client that reads an object bit by bit would have all of it written again for each bit.

use std::io;
use std::sync::Arc;

use super::Inner;
use super::part::{Piece, Span, pieces, span, together};
use super::promises::Known;
use super::shelf::Shelf;
use crate::rules::Promised;
use crate::store::{Entry, Part, Store, StoreError};

/// Parts that are small together are joined whatever their sizes.
const SMALL: u64 = 4 * 1024 * 1024;
const CHUNK: usize = 256 * 1024;

impl Inner {
    /// Joins a part that was just stored to those it touches, behind everybody's back.
    pub(super) fn join_parts(self: &Arc<Self>, entry: Entry, known: Option<Known>) {
        let inner = self.clone();
        self.behind(async move {
            let Some(shelf) = &inner.shelf else { return };
            let joining = inner.joined_with(shelf, &entry, known.map(|known| known.promised));
            if let Some(Err(error)) = inner.cancel.run_until_cancelled(joining).await {
                match error {
                    StoreError::Mismatch(why) => {
                        tracing::warn!(url = entry.draft.url, why, "parts of a body that is not the one promised");
                        inner.invalidate(entry.draft.key).await;
                    }
                    // They go on as parts.
                    error => tracing::debug!(url = entry.draft.url, %error, "parts could not be joined"),
                }
            }
        });
    }

    async fn joined_with(&self, shelf: &Shelf, entry: &Entry, promised: Option<Promised>) -> Result<(), StoreError> {
        let Some(part) = entry.draft.part else { return Ok(()) };
        let entries = shelf.lookup(entry.draft.key).await?;
        let Some(newest) = entries.iter().find(|found| found.id == entry.id) else { return Ok(()) };
        let parts = together(newest, &entries);
        let spans: Vec<Span> = parts.iter().map(span).collect();
        let Some(joined) = to_join(&spans, span(newest), part.total) else { return Ok(()) };
        for (part, span) in parts.iter().zip(&spans) {
            // Opened once by the shelf, which looks whether it is what was stored.
            if span.0 < joined.1
                && joined.0 < span.1
                && let Err(error) = shelf.content(part).await
            {
                if super::shelf::is_damage(&error) {
                    shelf.forget(part.digest).await?;
                }
                return Err(StoreError::Stopped(error.to_string()));
            }
        }
        let whole = joined == (0, part.total);
        let (store, order) = (shelf.store().clone(), pieces(&spans, joined));
        let promised = promised.filter(|_| whole && !newest.draft.headers.contains_key(http::header::CONTENT_ENCODING));
        let copied = tokio::task::spawn_blocking(move || copy(&store, &parts, &order, promised)).await;
        let writer = copied.map_err(|error| StoreError::Stopped(error.to_string()))??;
        let mut draft = (*newest.draft).clone();
        draft.part = if whole { None } else { Some(Part { from: joined.0, total: part.total }) };
        shelf.commit(writer, draft, self.run()).await.map(|_| ())
    }
}

/// The bytes to be made one around a part; `None` where there is nothing to do.
fn to_join(held: &[Span], around: Span, total: u64) -> Option<Span> {
    let touching = |(from, to): Span| held.iter().filter(move |other| other.0 <= to && from <= other.1);
    // As far as nothing lacks.
    let mut reach = around;
    loop {
        let next = touching(reach).fold(reach, |reach, other| (reach.0.min(other.0), reach.1.max(other.1)));
        if next == reach {
            break;
        }
        reach = next;
    }
    if reach == (0, total) {
        return Some(reach);
    }
    let mut joined = around;
    while let Some(other) = touching(joined).find(|other| {
        let (size, own) = (other.1 - other.0, joined.1 - joined.0);
        let outside = other.0 < joined.0 || joined.1 < other.1;
        outside && (size <= 2 * own || size + own <= SMALL)
    }) {
        joined = (joined.0.min(other.0), joined.1.max(other.1));
    }
    (joined != around).then_some(joined)
}

fn copy(
    store: &Store,
    parts: &[Entry],
    order: &[Piece],
    promised: Option<Promised>,
) -> Result<crate::store::BlobWriter, StoreError> {
    let mut writer = store.writer()?;
    if let Some(promised) = promised {
        writer.promise(promised);
    }
    let mut buffer = vec![0; CHUNK];
    for piece in order {
        let Piece::Held(number, (from, to)) = *piece else {
            return Err(StoreError::Stopped("a part has gone meanwhile".to_owned()));
        };
        let entry = &parts[number];
        let path = store.blob_path(&entry.digest);
        let failed = |error| StoreError::io("read", &path, error);
        let file = store.open_blob(&entry.digest, entry.size).map_err(failed)?;
        let mut at = from;
        while at < to {
            let count = usize::try_from((to - at).min(CHUNK as u64)).unwrap_or(CHUNK);
            read_at(&file, &mut buffer[..count], at - span(entry).0).map_err(failed)?;
            writer.write(&buffer[..count])?;
            at += count as u64;
        }
    }
    writer.check()?;
    Ok(writer)
}

fn read_at(file: &std::fs::File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn parts_are_joined_where_they_touch_and_it_is_worth_it() {
        for (held, around, expected) in [
            (vec![(0, 10), (10, 20)], (10, 20), Some((0, 20))),
            (vec![(0, 10), (11, 20)], (11, 20), None),
            (vec![(0, 10), (5, 20), (20, 30), (40, 50)], (5, 20), Some((0, 30))),
            // A little at the end of much stays apart.
            (vec![(0, 100 * MB), (100 * MB, 101 * MB)], (100 * MB, 101 * MB), None),
            (vec![(0, 10 * MB), (10 * MB, 16 * MB)], (10 * MB, 16 * MB), Some((0, 16 * MB))),
            // But not where nothing lacks then.
            (vec![(0, 199 * MB), (199 * MB, 200 * MB)], (199 * MB, 200 * MB), Some((0, 200 * MB))),
        ] {
            assert_eq!(to_join(&held, around, 200 * MB), expected, "{held:?}");
        }
    }

    #[test]
    fn reading_bit_by_bit_does_not_write_all_again_for_each_bit() {
        let (mut held, mut written): (Vec<Span>, u64) = (Vec::new(), 0);
        for number in 0..1000 {
            let new = (number * 5 * MB, (number + 1) * 5 * MB);
            held.push(new);
            let joined = to_join(&held, new, 10_000 * MB);
            if let Some(joined) = joined {
                written += joined.1 - joined.0;
                held.retain(|&(from, to)| !(joined.0 <= from && to <= joined.1));
                held.push(joined);
            }
        }
        assert!(held.len() < 24, "{} parts", held.len());
        assert!(written < 20 * 5000 * MB, "{} times", written / (5000 * MB));
    }
}
