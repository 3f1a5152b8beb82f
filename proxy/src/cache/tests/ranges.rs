//! Ranges of what is too large to be fetched whole for them: kept as parts, completed, joined, and never mixed up.

use super::*;

const TOTAL: usize = 1_000_000;
const IMAGE: &str = "http://example.org/images/disk.img";

fn object() -> Bytes {
    (0..TOTAL).map(|number| u8::try_from(number % 251).unwrap()).collect()
}

/// A bed where nothing above 100 KB is fetched whole for a range.
fn bed() -> Bed {
    let bed = Bed::new();
    bed.cache.keep(Keep { whole_for_range: Some(100_000), ..Keep::default() });
    bed
}

fn whole(tag: &str) -> Reply {
    Reply::ok(object()).with("content-length", "1000000").with("etag", tag).with("cache-control", "max-age=60")
}

fn part(from: usize, to: usize, tag: &str) -> Reply {
    Reply::new(206, object().slice(from..to))
        .with("content-range", &format!("bytes {from}-{}/{TOTAL}", to - 1))
        .with("content-length", &(to - from).to_string())
        .with("etag", tag)
        .with("cache-control", "max-age=60")
}

/// Asks for a range, which has to be answered rightly; what it was told of its way.
async fn range(bed: &Bed, from: usize, to: usize) -> Outcome {
    let answer = bed.with(IMAGE, &[("range", &format!("bytes={from}-{}", to - 1))]).await;
    assert_eq!(answer.status, 206, "{from}-{to}");
    assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/{TOTAL}", to - 1));
    assert!(answer.body == Ok(object().slice(from..to)), "{from}-{to}");
    bed.outcome()
}

/// A first range, which finds out how large the object is.
async fn first(bed: &Bed, from: usize, to: usize) {
    bed.origin.reply(IMAGE, whole("\"1\""));
    bed.origin.reply(IMAGE, part(from, to, "\"1\""));
    assert_eq!(range(bed, from, to).await, Outcome::Miss);
}

/// What is stored: where each body begins, and its bytes.
fn held(bed: &Bed) -> Vec<(u64, u64)> {
    let entries = bed.store.list(&crate::inspect::Filter::default()).unwrap();
    let mut held: Vec<_> =
        entries.iter().map(|entry| (entry.draft.part.map_or(0, |part| part.from), entry.size)).collect();
    held.sort_unstable();
    held
}

#[tokio::test]
async fn a_range_of_a_large_object_is_fetched_alone_and_kept() {
    let bed = bed();
    first(&bed, 500_000, 501_000).await;
    assert_eq!((bed.origin.count(), bed.last().bytes_upstream), (2, 1000));
    assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=500000-500999"));
    assert_eq!(held(&bed), [(500_000, 1000)]);
    for (from, to) in [(500_000, 501_000), (500_100, 500_101), (500_999, 501_000)] {
        assert_eq!(range(&bed, from, to).await, Outcome::Hit);
    }
    let again = bed.again();
    assert_eq!(range(&again, 500_010, 500_020).await, Outcome::Hit);
    bed.cache.set_mode(Mode::Offline);
    assert_eq!(bed.get(IMAGE).await.status, 403, "a part is never the whole");
    assert_eq!(bed.with(IMAGE, &[("range", "bytes=0-9")]).await.status, 403);
    assert_eq!(bed.origin.count(), 2);
    bed.assert_sound();
}

#[tokio::test]
async fn suffix_and_open_ranges_are_kept_as_what_they_are() {
    for (asked, from) in [("bytes=-1000", 999_000), ("bytes=998000-", 998_000)] {
        let bed = bed();
        bed.origin.reply(IMAGE, whole("\"1\""));
        bed.origin.reply(IMAGE, part(from, TOTAL, "\"1\""));
        let answer = bed.with(IMAGE, &[("range", asked)]).await;
        assert!(answer.body == Ok(object().slice(from..)), "{asked}");
        assert_eq!(bed.origin.asked("range").as_deref(), Some(asked), "the origin answers what the client asked");
        assert_eq!(range(&bed, 999_500, TOTAL).await, Outcome::Hit, "{asked}");
        assert_eq!(bed.with(IMAGE, &[("range", "bytes=-5")]).await.text().len(), 5);
        assert_eq!(bed.origin.count(), 2, "{asked}");
    }
}

#[tokio::test]
async fn several_ranges_at_once_are_passed_on_unless_all_is_there() {
    let bed = bed();
    first(&bed, 0, 1000).await;
    let multipart =
        Reply::new(206, "--x").with("content-type", "multipart/byteranges; boundary=x").with("etag", "\"1\"");
    bed.origin.reply(IMAGE, multipart);
    let answer = bed.with(IMAGE, &[("range", "bytes=0-1,5000-5001")]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (206, "--x"));
    assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=0-1,5000-5001"));
    assert_eq!(bed.with(IMAGE, &[("range", "bytes=0-1,500-501")]).await.status, 206);
    assert_eq!((bed.outcome(), bed.origin.count(), held(&bed)), (Outcome::Hit, 3, vec![(0, 1000)]));
}

#[tokio::test]
async fn what_overlaps_asks_for_the_rest_and_becomes_one() {
    let bed = bed();
    first(&bed, 100_000, 200_000).await;
    bed.origin.reply(IMAGE, part(200_000, 250_000, "\"1\""));
    assert_eq!(range(&bed, 150_000, 250_000).await, Outcome::Miss);
    assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=200000-249999"));
    assert_eq!(bed.origin.asked("if-range").as_deref(), Some("\"1\""));
    assert_eq!(bed.last().bytes_upstream, 50_000);
    assert_eq!(held(&bed), [(100_000, 150_000)], "they are one by now");
    bed.origin.reply(IMAGE, part(50_000, 100_000, "\"1\""));
    assert_eq!(range(&bed, 50_000, 110_000).await, Outcome::Miss);
    bed.origin.reply(IMAGE, part(400_000, 500_000, "\"1\""));
    assert_eq!(range(&bed, 400_000, 500_000).await, Outcome::Miss);
    assert_eq!(held(&bed), [(50_000, 200_000), (400_000, 100_000)]);
    for (from, to) in [(60_000, 240_000), (400_000, 400_001)] {
        assert_eq!(range(&bed, from, to).await, Outcome::Hit);
    }
    bed.assert_sound();
}

#[tokio::test]
async fn the_whole_is_completed_gap_by_gap() {
    for (url, digest) in
        [(IMAGE.to_owned(), false), (format!("http://example.org/x/by-hash/SHA256/{}", of_object()), true)]
    {
        let bed = bed();
        bed.origin.reply(&url, whole("\"1\""));
        bed.origin.reply(&url, part(100_000, 200_000, "\"1\""));
        bed.with(&url, &[("range", "bytes=100000-199999")]).await;
        bed.origin.reply(&url, part(400_000, 500_000, "\"1\""));
        bed.with(&url, &[("range", "bytes=400000-499999")]).await;
        for (from, to) in [(0, 100_000), (200_000, 400_000), (500_000, TOTAL)] {
            bed.origin.reply(&url, part(from, to, "\"1\""));
        }
        let answer = bed.get(&url).await;
        assert!(answer.body == Ok(object()) && answer.status == 200, "{answer:?}", answer = answer.status);
        assert_eq!((bed.last().bytes_upstream, bed.last().bytes_cache), (800_000, 200_000));
        assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=500000-"));
        assert_eq!((held(&bed), bed.origin.count()), (vec![(0, TOTAL as u64)], 6), "digest: {digest}");
        bed.cache.set_mode(Mode::Offline);
        assert!(bed.get(&url).await.body == Ok(object()));
        bed.assert_sound();
    }
}

fn of_object() -> crate::store::Digest {
    crate::store::Digest::of(&object())
}

#[tokio::test]
async fn parts_that_lack_nothing_become_the_whole_by_themselves() {
    let bed = bed();
    first(&bed, 300_000, TOTAL).await;
    bed.origin.reply(IMAGE, part(0, 300_000, "\"1\""));
    assert_eq!(range(&bed, 0, 300_000).await, Outcome::Miss);
    assert_eq!(held(&bed), [(0, TOTAL as u64)]);
    bed.cache.set_mode(Mode::Offline);
    assert!(bed.get(IMAGE).await.body == Ok(object()));
}

#[tokio::test]
async fn parts_of_a_body_that_is_not_the_promised_one_are_never_the_whole() {
    let url = format!("http://example.org/x/by-hash/SHA256/{}", "0".repeat(64));
    let bed = bed();
    bed.origin.reply(&url, whole("\"1\""));
    for (from, to) in [(500_000, TOTAL), (0, 500_000)] {
        bed.origin.reply(&url, part(from, to, "\"1\""));
        let answer = bed.with(&url, &[("range", &format!("bytes={from}-{}", to - 1))]).await;
        assert_eq!(answer.status, 206);
    }
    bed.settle().await;
    assert_eq!(held(&bed), []);
}

#[tokio::test]
async fn parts_of_two_states_are_never_joined() {
    for answer in [part(200_000, 250_000, "\"2\""), part(150_000, 250_000, "\"2\"")] {
        let bed = bed();
        first(&bed, 100_000, 200_000).await;
        bed.origin.reply(IMAGE, answer);
        // If-Range was not kept to, or it was another range: the client's own is asked for again.
        bed.origin.reply(IMAGE, part(150_000, 250_000, "\"2\""));
        assert_eq!(range(&bed, 150_000, 250_000).await, Outcome::Miss);
        assert_eq!(bed.origin.asked("if-range"), None);
        assert_eq!(held(&bed), [(150_000, 100_000)], "the older state has gone");
        bed.assert_sound();
    }
}

#[tokio::test]
async fn a_whole_answer_to_if_range_replaces() {
    // Of a sane size it is taken as it is.
    let bed = bed();
    first(&bed, 100_000, 200_000).await;
    bed.origin.reply(IMAGE, Reply::ok("new").with("etag", "\"2\"").with("content-length", "3"));
    assert_eq!(bed.with(IMAGE, &[("range", "bytes=150000-249999")]).await.status, 416);
    assert_eq!(held(&bed), [(0, 3)]);
    // Otherwise the range of it is asked for.
    let bed = self::bed();
    first(&bed, 100_000, 200_000).await;
    bed.origin.reply(IMAGE, whole("\"2\""));
    bed.origin.reply(IMAGE, part(150_000, 250_000, "\"2\""));
    assert_eq!(range(&bed, 150_000, 250_000).await, Outcome::Miss);
    assert_eq!(held(&bed), [(150_000, 100_000)]);
}

#[tokio::test]
async fn without_a_strong_validator_a_range_is_only_passed_on() {
    for tag in ["W/\"1\"", "unquoted"] {
        let bed = bed();
        bed.origin.reply(IMAGE, whole(tag));
        for _ in 0..2 {
            bed.origin.reply(IMAGE, part(0, 1000, tag));
            assert_eq!(range(&bed, 0, 1000).await, Outcome::Miss);
        }
        assert_eq!((bed.origin.count(), held(&bed)), (3, vec![]), "{tag}: its size is remembered");
    }
}

#[tokio::test]
async fn what_is_not_the_range_asked_for_is_not_stored() {
    let other = Reply::new(206, object().slice(..10)).with("content-range", "bytes 0-9/1000000").with("etag", "\"1\"");
    let long = Reply::new(206, object().slice(..1000))
        .with("content-range", "bytes 0-999/1000000")
        .with("content-length", "999")
        .with("etag", "\"1\"");
    let ignored = whole("\"1\"");
    for (reply, status) in [(other, 206), (long, 206), (ignored, 200), (Reply::new(500, "broken"), 500)] {
        let bed = bed();
        bed.origin.reply(IMAGE, whole("\"1\""));
        bed.origin.reply(IMAGE, reply);
        assert_eq!(bed.with(IMAGE, &[("range", "bytes=0-999")]).await.status.as_u16(), status);
        assert_eq!(held(&bed), []);
    }
}

#[tokio::test]
async fn stale_parts_are_confirmed_or_replaced() {
    let bed = bed();
    first(&bed, 100_000, 200_000).await;
    bed.later(100);
    bed.origin.reply(IMAGE, part(100_000, 100_010, "\"1\"").tagged("\"1\""));
    assert_eq!(range(&bed, 100_000, 100_010).await, Outcome::Revalidated);
    assert_eq!(bed.origin.asked("if-none-match").as_deref(), Some("\"1\""));
    assert_eq!(range(&bed, 150_000, 150_010).await, Outcome::Hit);
    bed.later(100);
    bed.origin.reply(IMAGE, part(100_000, 100_010, "\"2\""));
    assert_eq!(range(&bed, 100_000, 100_010).await, Outcome::Miss);
    assert_eq!(held(&bed), [(100_000, 10)], "of the new state");
}

#[tokio::test]
async fn a_range_that_broke_off_is_resumed_and_kept() {
    let bed = bed();
    bed.origin.reply(IMAGE, whole("\"1\""));
    let (reply, sender) = part(100_000, 300_000, "\"1\"").drip();
    bed.origin.reply(IMAGE, reply);
    bed.origin.reply(IMAGE, part(200_000, 300_000, "\"1\""));
    let answer = bed.call("GET", IMAGE, &[("range", "bytes=100000-299999")]).await;
    sender.send(Ok(object().slice(100_000..200_000))).await.unwrap();
    drop(sender);
    assert!(read(answer).await.body == Ok(object().slice(100_000..300_000)));
    bed.settle().await;
    assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=200000-299999"));
    assert_eq!(held(&bed), [(100_000, 200_000)]);
}

#[tokio::test]
async fn the_same_range_at_once_is_one_fetch() {
    let bed = bed();
    first(&bed, 0, 10).await;
    let (reply, sender) = part(500_000, 500_010, "\"1\"").drip();
    bed.origin.reply(IMAGE, reply);
    let fields = [("range", "bytes=500000-500009")];
    let one = bed.call("GET", IMAGE, &fields).await;
    let other = bed.call("GET", IMAGE, &fields).await;
    sender.send(Ok(object().slice(500_000..500_010))).await.unwrap();
    drop(sender);
    for answer in [one, other] {
        assert!(read(answer).await.body == Ok(object().slice(500_000..500_010)));
    }
    assert_eq!(bed.origin.count(), 3);
}

/// A client that has read its range asks for the next at once, while the disk is still busy with the first.
#[tokio::test]
async fn a_part_that_is_being_put_in_place_is_waited_for() {
    for _ in 0..5 {
        let bed = bed();
        bed.origin.serve(IMAGE, object(), "\"1\"");
        for (from, to) in [(0, 300_000), (100_000, 400_000), (50_000, 350_000)] {
            let fields = [("range", &*format!("bytes={from}-{}", to - 1))];
            let answer = read(bed.call("GET", IMAGE, &fields).await).await;
            assert!(answer.body == Ok(object().slice(from..to)), "{from}-{to}");
        }
        assert_eq!((bed.origin.count(), bed.outcome()), (3, Outcome::Hit));
        assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=300000-399999"));
        bed.settle().await;
    }
}

#[tokio::test]
async fn who_wants_the_whole_does_not_suffer_from_who_wants_a_range() {
    let bed = bed();
    bed.origin.serve(IMAGE, object(), "\"1\"");
    let fields = [("range", "bytes=0-9")];
    let (ranged, answer) = tokio::join!(bed.call("GET", IMAGE, &fields), bed.call("GET", IMAGE, &[]));
    let (ranged, answer) = tokio::join!(read(ranged), read(answer));
    assert!(answer.body == Ok(object()) && ranged.body == Ok(object().slice(..10)));
    bed.settle().await;
    assert_eq!(held(&bed), [(0, TOTAL as u64)]);
}

#[tokio::test]
async fn a_part_that_comes_after_the_whole_is_not_kept() {
    let bed = bed();
    first(&bed, 400_000, 500_000).await;
    let (reply, sender) = part(0, 10, "\"1\"").drip();
    bed.origin.reply(IMAGE, reply);
    let late = bed.call("GET", IMAGE, &[("range", "bytes=0-9")]).await;
    for (from, to) in [(0, 400_000), (500_000, TOTAL)] {
        bed.origin.reply(IMAGE, part(from, to, "\"1\""));
    }
    let answer = read(bed.call("GET", IMAGE, &[]).await).await;
    assert!(answer.body == Ok(object()));
    let whole_is_stored = async {
        while held(&bed) != [(0, TOTAL as u64)] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), whole_is_stored).await.unwrap();
    sender.send(Ok(object().slice(..10))).await.unwrap();
    drop(sender);
    assert!(read(late).await.body == Ok(object().slice(..10)));
    bed.settle().await;
    assert_eq!(held(&bed), [(0, TOTAL as u64)]);
    bed.assert_sound();
}

#[tokio::test]
async fn a_sane_object_is_fetched_whole_for_a_range() {
    let bed = Bed::new();
    bed.origin.reply(IMAGE, whole("\"1\""));
    assert_eq!(range(&bed, 500_000, 500_010).await, Outcome::Miss);
    assert_eq!((bed.origin.asked("range"), held(&bed)), (None, vec![(0, TOTAL as u64)]));
    // Of a cache this small it would be too much.
    let bed = Bed::new();
    bed.cache.keep_below(4_000_000);
    first(&bed, 0, 10).await;
    assert_eq!(held(&bed), [(0, 10)]);
}

#[tokio::test]
async fn a_short_range_far_ahead_does_not_wait_for_the_whole() {
    let bed = Bed::new();
    let total = 20_000_000;
    let body = Bytes::from(vec![7; total]);
    let (live, sender) = Reply::ok("").with("content-length", "20000000").with("etag", "\"1\"").drip();
    bed.origin.reply(DEB, live);
    bed.origin.reply(DEB, Reply::new(206, "end").with("content-range", "bytes 19999997-19999999/20000000"));
    let answer = read(bed.call("GET", DEB, &[("range", "bytes=-3")]).await).await;
    assert_eq!((answer.status.as_u16(), answer.text(), bed.origin.count()), (206, "end", 2));
    sender.send(Ok(body)).await.unwrap();
    drop(sender);
    bed.settle().await;
    assert_eq!(held(&bed), [(0, total as u64)], "the whole is fetched behind it");
}

/// A client that reads here and there, and at last all of it, gets what it asks for, and most bytes come once.
#[tokio::test]
async fn reading_here_and_there() {
    let bed = bed();
    bed.origin.serve(IMAGE, object(), "\"1\"");
    let (mut seed, mut upstream) = (7_u64, 0);
    for _ in 0..100 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let from = usize::try_from((seed >> 33) % 990_000).unwrap();
        let to = TOTAL.min(from + 1 + usize::try_from((seed >> 20) % 60_000).unwrap());
        range(&bed, from, to).await;
        upstream += bed.last().bytes_upstream;
    }
    assert!(bed.get(IMAGE).await.body == Ok(object()));
    upstream += bed.last().bytes_upstream;
    assert!(upstream < TOTAL as u64 * 11 / 10, "{upstream} bytes");
    assert_eq!(held(&bed), [(0, TOTAL as u64)]);
    bed.assert_sound();
}

/// The process dies between any two steps of its parts' way into the store: what the next finds is right.
#[tokio::test]
async fn parts_outlive_the_process() {
    let bed = bed();
    bed.origin.serve(IMAGE, object(), "\"1\"");
    range(&bed, 0, 100_000).await;
    range(&bed, 300_000, 400_000).await;
    let next = Bed::mending(bed.dir.clone());
    next.cache.keep(Keep { whole_for_range: Some(100_000), ..Keep::default() });
    next.origin.serve(IMAGE, object(), "\"1\"");
    assert!(next.get(IMAGE).await.body == Ok(object()));
    assert_eq!(next.last().bytes_upstream, 800_000);
    next.assert_sound();
}

#[tokio::test]
async fn a_damaged_part_is_fetched_again() {
    let bed = bed();
    first(&bed, 100_000, 200_000).await;
    let entry = bed.store.list(&crate::inspect::Filter::default()).unwrap().remove(0);
    let path = bed.store.blob_path(&entry.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let again = bed.again();
    again.cache.keep(Keep { whole_for_range: Some(100_000), ..Keep::default() });
    again.origin.reply(IMAGE, whole("\"1\""));
    again.origin.reply(IMAGE, part(100_000, 100_010, "\"1\""));
    assert_eq!(range(&again, 100_000, 100_010).await, Outcome::Miss);
    assert!(again.last().damaged);
    again.assert_sound();
}

#[tokio::test]
async fn an_unsafe_method_outdates_a_fetch_with_credentials() {
    let bed = Bed::new();
    for fields in [[("authorization", "Bearer x")], [("cookie", "a=b")]] {
        let (reply, sender) = Reply::live();
        bed.origin.reply(PLAIN, reply.with("cache-control", "public, max-age=60"));
        let answer = bed.call("GET", PLAIN, &fields).await;
        bed.origin.reply(PLAIN, Reply::ok(""));
        read(bed.call("POST", PLAIN, &[]).await).await;
        sender.send(Ok(Bytes::from_static(b"old"))).await.unwrap();
        drop(sender);
        assert_eq!(read(answer).await.text(), "old");
        bed.settle().await;
        assert_eq!(bed.store.stats().unwrap().entries, 0, "{fields:?}");
    }
}
