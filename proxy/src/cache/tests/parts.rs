//! Parts kept and completed, several ranges, HEAD, answers that make others outdated, and stale ones meanwhile.

use super::*;
use crate::origin::Phase;

const TOTAL: usize = 200_000;
const CAME: usize = 100_000;

fn object() -> Bytes {
    (0..TOTAL).map(|number| u8::try_from(number % 251).unwrap()).collect()
}

/// A download of `url` that breaks off at half, twice: the second time the rest cannot be had at once.
async fn broken(bed: &Bed, url: &str, tag: &str) {
    let reply = || Reply::ok("").with("content-length", "200000").with("etag", tag).with("cache-control", "max-age=60");
    let (reply, sender) = reply().drip();
    bed.origin.reply(url, reply);
    if tag.starts_with('"') {
        bed.origin.reply(url, Reply::failure(Phase::Connect, false));
    }
    let answer = bed.call("GET", url, &[]).await;
    sender.send(Ok(object().slice(..CAME))).await.unwrap();
    drop(sender);
    assert!(read(answer).await.body.is_err());
    bed.settle().await;
}

fn rest(tag: &str) -> Reply {
    Reply::new(206, object().slice(CAME..)).with("content-range", "bytes 100000-199999/200000").with("etag", tag)
}

#[tokio::test]
async fn what_broke_off_is_completed_by_the_next_request() {
    for url in [PLAIN, DEB] {
        let bed = Bed::new();
        broken(&bed, url, "\"1\"").await;
        assert_eq!(bed.store.stats().unwrap().entries, 1);
        bed.origin.reply(url, rest("\"1\""));
        let answer = bed.get(url).await;
        assert_eq!(bed.origin.asked("range").as_deref(), Some("bytes=100000-"));
        assert_eq!(bed.origin.asked("if-range").as_deref(), Some("\"1\""));
        assert!(answer.body == Ok(object()), "{url}");
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, "200000"));
        assert_eq!((answer.header("content-range"), bed.last().bytes_upstream), ("", (TOTAL - CAME) as u64));
        assert!(answer.header("cache-status").contains("fwd=partial"), "{:?}", answer.headers);
        bed.cache.set_mode(Mode::Offline);
        assert!(bed.get(url).await.body == Ok(object()), "{url}");
        bed.assert_sound();
    }
}

#[tokio::test]
async fn a_part_that_is_not_of_the_same_object_is_given_up() {
    let new = || Reply::ok("new").with("etag", "\"2\"");
    for (first, then) in [
        (new(), None),
        (rest("\"2\""), Some(new())),
        (Reply::new(206, "x").with("content-range", "bytes 5-5/200000").with("etag", "\"1\""), Some(new())),
        (Reply::new(416, ""), Some(new())),
        (Reply::new(304, "").with("etag", "\"1\""), Some(new())),
    ] {
        let bed = Bed::new();
        broken(&bed, PLAIN, "\"1\"").await;
        let asked = 3 + usize::from(then.is_some());
        bed.origin.reply(PLAIN, first);
        if let Some(then) = then {
            bed.origin.reply(PLAIN, then);
        }
        let answer = bed.get(PLAIN).await;
        assert_eq!((answer.status.as_u16(), answer.text(), bed.origin.count()), (200, "new", asked));
        bed.assert_sound();
    }
}

#[tokio::test]
async fn a_part_answers_for_what_is_in_it() {
    let bed = Bed::new();
    broken(&bed, PLAIN, "\"1\"").await;
    for (range, length) in [("bytes=10-19", 10), ("bytes=99999-99999", 1), ("bytes=0-1,99990-99999", 0)] {
        let answer = bed.with(PLAIN, &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), bed.outcome()), (206, Outcome::Hit), "{range}");
        assert!(length == 0 || answer.body.unwrap().len() == length, "{range}");
    }
    assert_eq!(bed.send("HEAD", PLAIN, &[]).await.header("content-length"), "200000");
    assert_eq!(bed.origin.count(), 2);
    bed.cache.set_mode(Mode::Offline);
    assert_eq!(bed.get(PLAIN).await.status, 403, "a part is never the whole");
}

#[tokio::test]
async fn without_a_strong_validator_nothing_is_kept() {
    let bed = Bed::new();
    broken(&bed, PLAIN, "W/\"1\"").await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
}

#[tokio::test]
async fn several_ranges_come_in_parts() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok(object()).with("content-type", "a/b").with("content-length", "200000"));
    bed.get(DEB).await;
    let answer = bed.with(DEB, &[("range", "bytes=0-1,1000-1001")]).await;
    let kind = answer.header("content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = answer.body.as_ref().unwrap();
    assert_eq!(answer.header("content-length"), body.len().to_string());
    let part = |range: &str, bytes: &[u8]| {
        let head = format!("\r\n--{boundary}\r\nContent-Type: a/b\r\nContent-Range: bytes {range}/200000\r\n\r\n");
        [head.as_bytes(), bytes].concat()
    };
    let end = format!("\r\n--{boundary}--\r\n");
    let expected = [part("0-1", &object()[..2]), part("1000-1001", &object()[1000..1002]), end.into()].concat();
    assert_eq!(body[..], expected[..]);
}

#[tokio::test]
async fn a_stale_answer_is_confirmed_behind_the_clients_back() {
    let bed = Bed::new();
    let reply = |body: &'static str| Reply::ok(body).with("cache-control", "max-age=10, stale-while-revalidate=60");
    bed.origin.reply(PLAIN, reply("old"));
    bed.get(PLAIN).await;
    bed.later(20);
    bed.origin.reply(PLAIN, reply("new"));
    assert_eq!((bed.get(PLAIN).await.text(), bed.outcome()), ("old", Outcome::Stale));
    assert_eq!((bed.get(PLAIN).await.text(), bed.outcome()), ("new", Outcome::Hit));
    assert_eq!(bed.origin.count(), 2);
}

#[tokio::test]
async fn head_confirms_what_is_stored_or_shows_it_outdated() {
    let bed = Bed::new();
    bed.origin.reply(PLAIN, Reply::ok("body").with("etag", "\"1\"").with("cache-control", "max-age=10"));
    bed.get(PLAIN).await;
    bed.later(20);
    bed.origin.reply(PLAIN, Reply::ok("").with("etag", "\"1\"").with("cache-control", "max-age=100"));
    let head = bed.send("HEAD", PLAIN, &[]).await;
    assert_eq!((head.header("content-length"), bed.outcome()), ("4", Outcome::Revalidated));
    bed.later(50);
    assert_eq!((bed.get(PLAIN).await.text(), bed.outcome()), ("body", Outcome::Hit));
    bed.later(100);
    bed.origin.reply(PLAIN, Reply::ok("").with("etag", "\"2\""));
    bed.send("HEAD", PLAIN, &[]).await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
}

#[tokio::test]
async fn an_unsafe_method_outdates_what_its_answer_names() {
    let (near, far) = ("http://example.org/near", "http://example.net/far");
    for (name, value, kept) in [
        ("location", "/near", 1),
        ("content-location", near, 1),
        ("location", far, 2),
        ("location", "http://example.org:81/near", 2),
    ] {
        let bed = Bed::new();
        for url in [near, far] {
            bed.origin.reply(url, Reply::ok("x").with("cache-control", "max-age=60"));
            bed.get(url).await;
        }
        bed.origin.reply(PLAIN, Reply::new(201, "").with(name, value));
        bed.send("POST", PLAIN, &[]).await;
        assert_eq!(bed.store.stats().unwrap().entries, kept, "{name}: {value}");
    }
}

#[tokio::test]
async fn what_was_under_way_when_it_changed_is_not_kept() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(PLAIN, reply.with("cache-control", "max-age=60"));
    let answer = bed.call("GET", PLAIN, &[]).await;
    bed.origin.reply(PLAIN, Reply::ok(""));
    read(bed.call("PUT", PLAIN, &[]).await).await;
    sender.send(Ok(Bytes::from_static(b"old"))).await.unwrap();
    drop(sender);
    assert_eq!(read(answer).await.text(), "old");
    bed.settle().await;
    assert_eq!(bed.store.stats().unwrap().entries, 0);
}
