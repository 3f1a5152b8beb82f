//! The front in memory answers for the store, never against it.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use super::*;
use crate::store::Digest;

const PATIENCE: Duration = Duration::from_secs(20);

/// A cache that has `DEB` in memory, with this body.
async fn in_memory(body: &'static str) -> Bed {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok(body).tagged(body));
    bed.get(DEB).await;
    for _ in 0..2 {
        assert_eq!((bed.get(DEB).await.text(), bed.outcome()), (body, Outcome::Hit));
    }
    bed
}

/// Asks until the answer has this body: what another process changes may stay unseen for a second.
async fn becomes(bed: &Bed, body: &str) {
    let begun = Instant::now();
    while bed.get(DEB).await.text() != body {
        assert_eq!(bed.outcome(), Outcome::Hit);
        assert!(begun.elapsed() < PATIENCE, "the front still answers with what is no more");
    }
}

#[tokio::test]
async fn what_is_removed_is_not_answered_from_memory() {
    let bed = in_memory("old").await;
    bed.cache.remove(Target::Url(DEB.to_owned())).await.unwrap();
    bed.origin.reply(DEB, Reply::ok("new"));
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("new", Outcome::Miss));
}

#[tokio::test]
async fn what_is_replaced_is_not_answered_from_memory() {
    let bed = in_memory("old").await;
    bed.origin.reply(DEB, Reply::ok("new"));
    let mut request = Request::builder().uri(DEB).body(empty()).unwrap();
    request.extensions_mut().insert(Refetch);
    assert_eq!(read(bed.cache.call(request, bed.context(DEB)).await).await.text(), "new");
    bed.settle().await;
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("new", Outcome::Hit));
}

/// What flows say of an answer is worked out once for all hits; a confirmation may change it.
#[tokio::test]
async fn what_is_confirmed_with_other_fields_has_those() {
    let bed = Bed::new();
    let language = |flow: &Flow| {
        let answer = flow.answer.clone().unwrap();
        answer.headers.iter().find(|(name, _)| name == "content-language").map(|(_, value)| value.clone())
    };
    bed.origin
        .reply(PLAIN, Reply::ok("x").tagged("x").with("cache-control", "max-age=10").with("content-language", "de"));
    bed.get(PLAIN).await;
    for _ in 0..2 {
        assert_eq!(bed.get(PLAIN).await.header("content-language"), "de");
        assert_eq!((bed.outcome(), language(&bed.last()).as_deref()), (Outcome::Hit, Some("de")));
    }
    bed.later(20);
    bed.origin
        .reply(PLAIN, Reply::ok("x").tagged("x").with("cache-control", "max-age=10").with("content-language", "fr"));
    for outcome in [Outcome::Revalidated, Outcome::Hit] {
        assert_eq!(bed.get(PLAIN).await.header("content-language"), "fr");
        assert_eq!((bed.outcome(), language(&bed.last()).as_deref()), (outcome, Some("fr")));
    }
}

#[tokio::test]
async fn what_is_evicted_is_not_answered_from_memory() {
    let bed = in_memory("old").await;
    bed.later(3600);
    bed.cache.begin_run();
    bed.cache.keep_below(1);
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    bed.origin.reply(DEB, Reply::ok("new"));
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("new", Outcome::Miss));
}

#[tokio::test]
async fn what_another_process_removes_or_replaces_is_not_answered_from_memory_for_long() {
    let bed = in_memory("old").await;
    let other = bed.again();
    other.cache.remove(Target::Url(DEB.to_owned())).await.unwrap();
    bed.origin.reply(DEB, Reply::ok("new"));
    becomes(&bed, "new").await;

    other.cache.remove(Target::Url(DEB.to_owned())).await.unwrap();
    other.origin.reply(DEB, Reply::ok("newest"));
    assert_eq!(other.get(DEB).await.text(), "newest");
    becomes(&bed, "newest").await;
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 2), "it is in the index, and nobody is asked");
}

/// The body in memory is right, the one on disk is not: once that is found out, neither is served.
#[tokio::test]
async fn what_is_found_damaged_is_not_answered_from_memory_for_long() {
    let bed = in_memory("old").await;
    let path = bed.store.blob_path(&Digest::of(b"old"));
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"O", 0).unwrap();
    let report = Store::open(bed.dir.path()).unwrap().verify(true).unwrap();
    assert_eq!(report.damaged.len(), 1);
    bed.origin.reply(DEB, Reply::ok("new"));
    becomes(&bed, "new").await;
    bed.assert_sound();
}
