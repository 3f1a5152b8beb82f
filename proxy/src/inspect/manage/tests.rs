use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;

use super::*;
use crate::inspect::Limits;
use crate::inspect::tree::tests::put;

fn urls(store: &Store) -> Vec<String> {
    let mut urls: Vec<String> = store
        .list(&crate::inspect::Filter::default())
        .unwrap()
        .into_iter()
        .map(|entry| entry.draft.url.clone())
        .collect();
    urls.sort();
    urls
}

fn below(url: &str) -> Target {
    Target::parse(url, true).unwrap()
}

#[test]
fn below_ends_at_a_slash() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for path in ["a", "a/b", "a/c/d", "ab", "a?x", "a-b"] {
        put(&store, &format!("http://example.org/{path}"), path.as_bytes());
    }
    put(&store, "http://example.org:8080/a", b"port");
    let found = |target: &Target| -> Vec<String> {
        store.find(target).unwrap().into_iter().map(|entry| entry.draft.url.clone()).collect()
    };
    assert_eq!(
        found(&below("HTTP://Example.org:80/a")),
        ["http://example.org/a", "http://example.org/a/b", "http://example.org/a/c/d", "http://example.org/a?x"]
    );
    assert_eq!(found(&below("http://example.org/a/")).len(), 2);
    assert_eq!(found(&below("http://example.org")).len(), 6);
    assert_eq!(found(&Target::parse("http://example.org/a", false).unwrap()).len(), 1);
    assert_eq!(Target::parse("example.org/a", true), None);
}

#[test]
fn what_is_removed_is_what_was_counted_and_pinned_entries_stay() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, "http://example.org/a/1", b"shared");
    put(&store, "http://example.org/a/2", b"shared");
    put(&store, "http://example.org/a/3", b"own");
    put(&store, "http://example.org/a/4", b"pinned");
    put(&store, "http://example.org/b", b"shared");
    assert_eq!(store.set_pinned(&Target::parse("http://example.org/a/4", false).unwrap(), true).unwrap(), 1);
    let counted = store.remove(&below("http://example.org/a"), true).unwrap();
    assert_eq!(counted, Dropped { removed: Removed { entries: 3, bytes: 3 }, pinned: 1 });
    assert_eq!(urls(&store).len(), 5);
    assert_eq!(store.remove(&below("http://example.org/a"), false).unwrap(), counted);
    assert_eq!(urls(&store), ["http://example.org/a/4", "http://example.org/b"]);
    let found = store.find(&Target::Url("http://example.org/a/4".to_owned())).unwrap();
    assert_eq!(store.remove(&Target::Ids(vec![found[0].id]), false).unwrap().pinned, 1);
    assert_eq!(store.set_pinned(&below("http://example.org/a"), false).unwrap(), 1);
    assert_eq!(store.remove(&below("http://example.org"), false).unwrap().removed.entries, 2);
    assert!(store.verify(false).unwrap().is_sound());
    assert_eq!(store.stats().unwrap().blobs, 0);
}

#[test]
fn no_limit_touches_what_is_pinned() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    put(&store, "http://example.org/kept", &[b'k'; 1000]);
    put(&store, "http://example.org/not", &[b'n'; 1000]);
    store.set_pinned(&below("http://example.org/kept"), true).unwrap();
    let now = UNIX_EPOCH + Duration::from_hours(100_000);
    let limits = Limits { max_bytes: Some(10), max_age: Some(Duration::from_secs(1)), ..Limits::default() };
    assert_eq!(store.gc(&limits, now).unwrap(), Removed { entries: 1, bytes: 1000 });
    assert_eq!(urls(&store), ["http://example.org/kept"]);
    // A new body for the same URL leaves the pin where it is.
    put(&store, "http://example.org/kept", b"newer");
    assert!(store.find(&below("http://example.org/kept")).unwrap()[0].pinned);
}

/// Rows are counted from the highest number in use, so one that was removed is given out again.
#[test]
fn a_row_given_to_another_url_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let old = put(&store, "http://example.org/old", b"old");
    store.remove(&below("http://example.org/old"), false).unwrap();
    let new = put(&store, "http://example.org/new", b"new");
    assert_eq!(old.id, new.id, "else there is nothing to see here");
    let mut confirmed = old.clone();
    Arc::make_mut(&mut confirmed.draft).headers.clear();
    store.refresh(&confirmed).unwrap();
    store
        .touch(&[crate::store::Touch {
            key: old.draft.key,
            entry: Some(old.id),
            at: UNIX_EPOCH,
            outcome: crate::flow::Outcome::Hit,
            why: "".into(),
            uses: 7,
        }])
        .unwrap();
    let found = &store.find(&below("http://example.org/new")).unwrap()[0];
    assert_eq!((found.uses, found.draft.headers.len()), (0, 1));
}

#[test]
fn a_body_is_checked() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let entry = put(&store, "http://example.org/a", b"body");
    assert_eq!(store.check(&entry).unwrap(), Soundness::Sound);
    let path = store.blob_path(&entry.digest);
    for (content, found) in [(&b"bodz"[..], Soundness::Damaged), (b"longer than it was", Soundness::Damaged)] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        assert_eq!(store.check(&entry).unwrap(), found);
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(store.check(&entry).unwrap(), Soundness::Missing);
}
