//! What must never be answered from the store, and what must not be merged in it.

use futures_util::future::join_all;

use super::*;
use crate::origin::Phase;

const MINUTE: (&str, &str) = ("cache-control", "max-age=60");

fn fresh(body: impl Into<Bytes>) -> Reply {
    Reply::ok(body).with(MINUTE.0, MINUTE.1)
}

#[tokio::test]
async fn hosts_ports_and_schemes_are_kept_apart() {
    let bed = Bed::new();
    let urls = [
        "http://example.org/x",
        "https://example.org/x",
        "http://example.net/x",
        "http://example.org:8080/x",
        "https://example.org:80/x",
        "http://example.org:443/x",
        "http://sub.example.org/x",
    ];
    for url in urls {
        bed.origin.reply(url, fresh(url));
        assert_eq!(bed.get(url).await.text(), url);
    }
    for url in urls {
        assert_eq!((bed.get(url).await.text(), bed.outcome()), (url, Outcome::Hit));
    }
    assert_eq!(bed.store.stats().unwrap().entries, urls.len() as u64);
}

#[tokio::test]
async fn what_varies_on_everything_is_stored_for_nobody() {
    for vary in ["*", "accept, *", "*, accept", "acc ept"] {
        let bed = Bed::new();
        for body in ["1", "2"] {
            bed.origin.reply(PLAIN, fresh(body).with("vary", vary));
            assert_eq!(bed.get(PLAIN).await.text(), body, "{vary}");
        }
        assert_eq!(bed.store.stats().unwrap().entries, 0, "{vary}");
    }
}

/// Codings that nobody knows make no variants.
#[tokio::test]
async fn junk_in_accept_encoding_is_one_variant() {
    let bed = Bed::new();
    bed.origin.reply(PLAIN, fresh("one").with("vary", "Accept-Encoding"));
    for number in 0..50 {
        let junk = format!("junk-{number}, x;q=0.{number}");
        assert_eq!(bed.with(PLAIN, &[("accept-encoding", &junk)]).await.text(), "one");
    }
    assert_eq!((bed.origin.count(), bed.store.stats().unwrap().entries), (1, 1));
}

/// What is one client's is not another's, whether the request says so or the answer.
#[tokio::test]
async fn nobody_gets_what_is_anothers() {
    let set_cookie = ("set-cookie", "session=1");
    for (request, answer) in [
        (("authorization", "Bearer a"), MINUTE),
        (("cookie", "session=a"), MINUTE),
        (("x-api-key", "a"), MINUTE),
        (("private-token", "a"), MINUTE),
        (("accept", "*/*"), ("cache-control", "private, max-age=60")),
        (("accept", "*/*"), ("cache-control", "no-store")),
        (("accept", "*/*"), ("cache-control", "max-age=60, private=\"set-cookie\"")),
        (("accept", "*/*"), set_cookie),
        (("cache-control", "no-store"), MINUTE),
    ] {
        let bed = Bed::new();
        bed.origin.reply(PLAIN, Reply::ok("mine").with(answer.0, answer.1));
        bed.origin.reply(PLAIN, Reply::ok("yours").with(answer.0, answer.1));
        assert_eq!(bed.with(PLAIN, &[request]).await.text(), "mine");
        let other = bed.get(PLAIN).await;
        assert_eq!(other.text(), "yours", "{request:?} {answer:?}");
        assert_eq!(bed.origin.count(), 2);
    }
}

/// A package or index that failed is not kept as one; what says nothing of a lifetime is never kept as a failure.
#[tokio::test]
async fn failures_and_parts_do_not_stay() {
    for url in [DEB, INDEX, PLAIN] {
        for status in [400, 401, 403, 404, 410, 429, 500, 502, 503, 504, 206, 304] {
            let bed = Bed::new();
            let failed = Reply::new(status, "no");
            // A part that nobody asked for is no answer either.
            bed.origin.reply(url, if status == 206 { failed.with("content-range", "bytes 0-1/7") } else { failed });
            bed.origin.reply(url, Reply::ok("package"));
            bed.get(url).await;
            assert_eq!(bed.stored(url).len(), 0, "{url} {status}");
            // That something is not there is remembered for a moment of the run.
            bed.later(3600);
            bed.cache.begin_run();
            assert_eq!(bed.get(url).await.text(), "package", "{url} {status}");
        }
    }
    // Of packages and indexes not even where it gives a lifetime.
    for url in [DEB, INDEX] {
        for status in [403, 500, 503] {
            let bed = Bed::new();
            bed.origin.reply(url, Reply::new(status, "no").with(MINUTE.0, MINUTE.1));
            bed.origin.reply(url, Reply::ok("package"));
            bed.get(url).await;
            assert_eq!(bed.get(url).await.text(), "package", "{url} {status}");
        }
    }
}

/// However a range is written, an object in the store answers it, and with no more bytes than it has.
#[tokio::test]
async fn ranges_of_what_is_stored_are_answered_out_of_it() {
    let bed = Bed::new();
    let object = Bytes::from((0..100_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<_>>());
    bed.origin.reply(PLAIN, fresh(object.clone()).with("etag", "\"1\""));
    bed.get(PLAIN).await;
    let sixteen = (0..16).map(|at| format!("{}-{}", at * 5000, at * 5000 + 9)).collect::<Vec<_>>().join(",");
    let (sixteen, seventeen) = (sixteen.as_str(), format!("{sixteen},99990-"));
    for (range, status, most) in [
        ("0-", 206, 100_000),
        ("0-0", 206, 1),
        ("-1", 206, 1),
        ("-0", 416, 0),
        ("-99999999999999999999", 206, 100_000),
        ("9223372036854775807-", 416, 0),
        ("18446744073709551615-18446744073709551616", 416, 0),
        ("0-18446744073709551615", 206, 100_000),
        ("100000-", 416, 0),
        ("5-4", 200, 100_000),
        ("0-9,0-9,0-9", 206, 10),
        ("0-99999,0-99999,0-99999,0-99999", 206, 100_000),
        ("0-,1-,2-,3-", 206, 100_000),
        (sixteen, 206, 16 * (10 + 150) + 100),
        (&seventeen, 200, 100_000),
        ("0-0,,,-1", 200, 100_000),
        ("0-0,-1", 206, 400),
        ("junk", 200, 100_000),
    ] {
        let answer = bed.with(PLAIN, &[("range", &format!("bytes={range}"))]).await;
        assert_eq!(answer.status, status, "{range}");
        let length = answer.body.unwrap().len();
        assert!(length <= most, "{range}: {length}");
        // What leaves the store is what is sent, but for the heads of the parts.
        assert!(bed.last().bytes_cache <= length as u64, "{range}: {}", bed.last().bytes_cache);
    }
    for (tag, status) in [("\"1\"", 206), ("\"2\"", 200), ("W/\"1\"", 200), ("Tue, 14 Nov 2023 22:13:20 GMT", 200)] {
        let answer = bed.with(PLAIN, &[("range", "bytes=0-0"), ("if-range", tag)]).await;
        assert_eq!(answer.status, status, "{tag}");
    }
    assert_eq!(bed.origin.count(), 1);
}

/// Two hundred wait for one answer, which turns out to be one client's: each gets its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_who_wait_for_a_private_answer_get_their_own() {
    let bed = Bed::new();
    let (first, sender) = Reply::live();
    bed.origin.reply(PLAIN, first.with("cache-control", "private, max-age=60"));
    for number in 1..200 {
        bed.origin.reply(PLAIN, Reply::ok(number.to_string()).with("cache-control", "private, max-age=60"));
    }
    let asking = join_all((0..200).map(|_| async { read(bed.call("GET", PLAIN, &[]).await).await }));
    let telling = async {
        sender.send(Ok(Bytes::from_static(b"0"))).await.unwrap();
        drop(sender);
    };
    let (answers, ()) = tokio::join!(asking, telling);
    let mut bodies: Vec<usize> = answers.iter().map(|answer| answer.text().parse().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, (0..200).collect::<Vec<_>>());
    assert_eq!((bed.origin.count(), bed.store.stats().unwrap().entries), (200, 0));
}

/// Who began a fetch goes away before the answer's head is there: those who wait lose nothing.
#[tokio::test]
async fn who_waits_outlives_who_began() {
    let bed = Bed::new();
    let (reply, sender) = Reply::live();
    bed.origin.reply(DEB, reply);
    let leader = tokio::spawn({
        let (cache, context) = (bed.cache.clone(), bed.context(DEB));
        async move { cache.call(Request::get(DEB).body(empty()).unwrap(), context).await.status() }
    });
    while bed.origin.count() == 0 {
        tokio::task::yield_now().await;
    }
    leader.abort();
    let waiter = async { read(bed.call("GET", DEB, &[]).await).await };
    let telling = async {
        sender.send(Ok(Bytes::from_static(b"package"))).await.unwrap();
        drop(sender);
    };
    let (answer, ()) = tokio::join!(waiter, telling);
    assert_eq!((answer.text(), bed.origin.count()), ("package", 1));
    // One that fails is no reason for the others to fail: they are told, and the next asks again.
    bed.origin.reply(PLAIN, Reply::failure(Phase::Connect, false));
    bed.origin.reply(PLAIN, Reply::ok("again"));
    assert_eq!(bed.get(PLAIN).await.status, 502);
    assert_eq!(bed.get(PLAIN).await.text(), "again");
}

/// Fields that a 304 adds count to the limit as those of the answer do, however often it is confirmed.
#[tokio::test]
async fn confirmations_do_not_make_a_head_grow_without_end() {
    let bed = Bed::new();
    let head_of = |bed: &Bed| -> usize {
        let entries = bed.stored(PLAIN);
        entries[0].draft.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    };
    let tagged = || Reply::ok("body").with("etag", "\"1\"").with("cache-control", "max-age=1");
    bed.origin.reply(PLAIN, tagged());
    bed.get(PLAIN).await;
    for number in 0..12 {
        bed.later(10);
        let big = "x".repeat(10_000);
        bed.origin.reply(PLAIN, Reply::new(304, "").with("etag", "\"1\"").with(&format!("x-{number}"), &big));
        assert_eq!(bed.get(PLAIN).await.text(), "body");
        assert_eq!(bed.outcome(), Outcome::Revalidated);
        assert!(head_of(&bed) <= 64 * 1024, "{}", head_of(&bed));
    }
    // All of it came, so that the limit was what kept it out.
    assert!(head_of(&bed) > 50_000, "{}", head_of(&bed));
    // One at once beyond it is not taken.
    bed.later(10);
    let before = head_of(&bed);
    bed.origin.reply(PLAIN, Reply::new(304, "").with("etag", "\"1\"").with("x-huge", &"x".repeat(100_000)));
    assert_eq!(bed.get(PLAIN).await.text(), "body");
    assert_eq!(head_of(&bed), before);
}

/// An origin that makes an answer private when it confirms it is asked for each client from then on.
#[tokio::test]
async fn what_a_confirmation_makes_private_is_not_shared_unasked() {
    for control in ["private", "no-store"] {
        let bed = Bed::new();
        bed.origin.reply(PLAIN, Reply::ok("body").with("etag", "\"1\"").with("cache-control", "max-age=1"));
        bed.get(PLAIN).await;
        bed.later(10);
        bed.origin.reply(PLAIN, Reply::new(304, "").with("etag", "\"1\"").with("cache-control", control));
        assert_eq!(bed.get(PLAIN).await.text(), "body");
        for _ in 0..2 {
            bed.origin.reply(PLAIN, Reply::new(304, "").with("etag", "\"1\"").with("cache-control", control));
            assert_eq!((bed.get(PLAIN).await.text(), bed.outcome()), ("body", Outcome::Revalidated), "{control}");
        }
        bed.origin.reply(PLAIN, fresh("new"));
        assert_eq!(bed.get(PLAIN).await.text(), "new");
    }
}

/// An origin that sends gzip to who asked for none is believed, and its answer kept from who refuses gzip.
#[tokio::test]
async fn a_coding_nobody_asked_for_is_not_given_to_who_refuses_it() {
    let bed = Bed::new();
    let coded = || fresh("\u{1f}gzip").with("content-encoding", "gzip");
    bed.origin.reply(PLAIN, coded());
    let identity = [("accept-encoding", "identity")];
    assert_eq!(bed.with(PLAIN, &identity).await.header("content-encoding"), "gzip");
    assert_eq!(bed.stored(PLAIN)[0].draft.headers["content-encoding"], "gzip");
    bed.with(PLAIN, &[("accept-encoding", "gzip")]).await;
    assert_eq!(bed.outcome(), Outcome::Hit);
    for refuses in ["identity", "gzip;q=0", "br", "*;q=0"] {
        bed.origin.reply(PLAIN, coded().with("x-again", "1"));
        let answer = bed.with(PLAIN, &[("accept-encoding", refuses)]).await;
        assert_ne!(bed.outcome(), Outcome::Hit, "{refuses}");
        assert_eq!(answer.header("x-again"), "1", "{refuses}");
    }
}

/// A clock that is set wrong, and right again: nothing is fresh for the years between, and nothing panics.
#[tokio::test]
async fn a_clock_that_jumps_ten_years_makes_nothing_last() {
    const YEARS: Duration = Duration::from_hours(10 * 365 * 24);
    for ahead in [true, false] {
        let bed = Bed::new();
        let jump = |forward: bool| {
            let mut time = bed.time.lock().unwrap();
            *time = if forward { *time + YEARS } else { *time - YEARS };
        };
        for url in [DEB, INDEX, PLAIN] {
            bed.origin.reply(url, fresh("1").with("etag", "\"1\"").with("date", &date(*bed.time.lock().unwrap())));
            bed.get(url).await;
        }
        bed.cache.begin_run();
        jump(ahead);
        bed.cache.begin_run();
        for url in [DEB, INDEX, PLAIN] {
            bed.origin.reply(url, fresh("2").with("etag", "\"2\""));
            let answer = bed.get(url).await;
            assert_eq!(answer.text(), "2", "{url} ahead: {ahead}");
            let again = bed.get(url).await;
            assert_eq!((again.text(), bed.outcome()), ("2", Outcome::Hit), "{url}");
            assert!(again.header("age").parse::<u64>().unwrap() < 5, "{}", again.header("age"));
        }
        // Set right: what was stored in the years between is not younger than now.
        jump(!ahead);
        bed.cache.begin_run();
        for url in [DEB, INDEX, PLAIN] {
            bed.origin.reply(url, fresh("3").with("etag", "\"3\""));
            assert_eq!(bed.get(url).await.text(), "3", "{url} ahead: {ahead}");
        }
        bed.assert_sound();
    }
}

/// Dates of an origin that lives in another age, or says nonsense.
#[tokio::test]
async fn dates_of_other_ages_are_survived() {
    for value in [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 0001 00:00:00 GMT",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "0",
        "-1",
    ] {
        for field in ["date", "expires", "last-modified", "age"] {
            let bed = Bed::new();
            bed.origin.reply(PLAIN, Reply::ok("1").with(field, value));
            bed.origin.reply(PLAIN, Reply::ok("2").with(field, value));
            bed.get(PLAIN).await;
            let again = bed.get(PLAIN).await;
            assert!(matches!(again.text(), "1" | "2"));
            if field == "expires" && ["Thu, 01 Jan 1970 00:00:00 GMT", "0", "-1"].contains(&value) {
                assert_eq!((again.text(), bed.outcome() != Outcome::Hit), ("2", true), "{value}: it was over at once");
            }
            let age = again.header("age");
            assert!(bed.outcome() != Outcome::Hit || age.parse::<u64>().unwrap() <= 1 << 31, "{field}: {value}: {age}");
        }
    }
}

/// A HEAD shows what a GET would say, and stores no empty body for one.
#[tokio::test]
async fn a_head_leaves_no_empty_answer_behind() {
    for url in [DEB, INDEX, PLAIN] {
        let bed = Bed::new();
        let lasting = || fresh("").with("content-length", "7").with("etag", "\"1\"");
        bed.origin.reply(url, lasting());
        assert_eq!(bed.send("HEAD", url, &[]).await.header("content-length"), "7");
        assert!(bed.stored(url).is_empty() && bed.aside(url).is_empty());
        bed.origin.reply(url, fresh("package"));
        assert_eq!(bed.get(url).await.text(), "package");
    }
}

#[tokio::test]
async fn answers_to_other_methods_are_kept_for_nobody() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "QUERY", "TRACE"] {
        let bed = Bed::new();
        bed.origin.reply(PLAIN, fresh("stored"));
        bed.get(PLAIN).await;
        bed.origin.reply(PLAIN, fresh("answer").with("content-location", PLAIN));
        assert_eq!(bed.send(method, PLAIN, &[]).await.text(), "answer", "{method}");
        bed.origin.reply(PLAIN, fresh("new"));
        let expected = if matches!(method, "OPTIONS" | "TRACE" | "QUERY") { "stored" } else { "new" };
        assert_eq!(bed.get(PLAIN).await.text(), expected, "{method}");
        // One that fails outdates nothing.
        bed.origin.reply(PLAIN, Reply::new(500, "no"));
        bed.send(method, PLAIN, &[]).await;
        assert_eq!((bed.get(PLAIN).await.text(), bed.outcome()), (expected, Outcome::Hit), "{method}");
    }
}

/// A GET that has a body is passed on and answered by nobody else's answer: an origin may heed it.
#[tokio::test]
async fn a_get_with_a_body_is_around_the_store() {
    let bed = Bed::new();
    for body in ["1", "2", "3"] {
        bed.origin.reply(PLAIN, fresh(body));
    }
    bed.get(PLAIN).await;
    assert_eq!(bed.with(PLAIN, &[("content-length", "5")]).await.text(), "2");
    assert_eq!((bed.get(PLAIN).await.text(), bed.origin.count()), ("1", 2));
}

/// Wrong bytes for what an index promises never end as a whole body, are told of, and leave the right ones where they are.
#[tokio::test]
async fn wrong_bytes_do_not_take_the_place_of_the_right_ones() {
    let bed = Bed::new();
    let (sums, image) = ("https://example.org/images/SHA256SUMS", "https://example.org/images/disk.img");
    let right = crate::store::Digest::of(b"right");
    bed.origin.reply(sums, Reply::ok(format!("{right}  disk.img\n")));
    bed.origin.reply(image, Reply::ok("right"));
    bed.cache.begin_run();
    bed.get(sums).await;
    assert_eq!(bed.get(image).await.text(), "right");
    for _ in 0..2 {
        bed.origin.reply(image, Reply::ok("wrong"));
    }
    let mut request = Request::get(image).body(empty()).unwrap();
    request.extensions_mut().insert(Refetch);
    let answer = read(bed.cache.call(request, bed.context(image)).await).await;
    bed.settle().await;
    let told = answer.body.err().unwrap_or_default();
    assert!(answer.status.is_server_error() || told.contains("was promised"), "{} {told}", answer.status);
    assert_eq!(bed.stored(image)[0].digest, right);
    let asked = bed.origin.count();
    assert_eq!((bed.get(image).await.text(), bed.origin.count()), ("right", asked));
    bed.assert_sound();
}

/// What a run or a digest keeps fresh has no negative lifetime; what is stale has.
#[tokio::test]
async fn the_lifetime_told_is_that_which_counts() {
    let blob = format!("https://example.org/v2/x/blobs/sha256:{}", crate::store::Digest::of(b"layer"));
    let bed = Bed::new();
    bed.cache.begin_run();
    for (url, body) in [(DEB, "package"), (INDEX, "index"), (blob.as_str(), "layer"), (PLAIN, "plain")] {
        bed.origin.reply(url, Reply::ok(body.to_owned()).with("cache-control", "max-age=10"));
        bed.get(url).await;
    }
    bed.later(4);
    assert_eq!(bed.get(PLAIN).await.header("cache-status"), "larder; hit; ttl=6");
    assert_eq!(bed.get(DEB).await.header("cache-status"), "larder; hit; ttl=6");
    bed.later(100);
    for url in [DEB, INDEX, &blob] {
        assert_eq!((bed.get(url).await.header("cache-status"), bed.outcome()), ("larder; hit", Outcome::Hit), "{url}");
    }
    let stale = bed.with(PLAIN, &[("cache-control", "max-stale")]).await;
    assert_eq!(stale.header("cache-status"), "larder; hit; ttl=-94");
}

/// A link to a signed URL lets in whoever has it: it is kept without the signature, for others and in what is recorded.
#[tokio::test]
async fn no_signature_is_kept_in_a_link() {
    let link = "<https://cdn.example.net/o?expires=1&signature=secret>; rel=\"canonical\", </next?n=2>; rel=\"next\"";
    let kept = "<https://cdn.example.net/o>; rel=\"canonical\", </next?n=2>; rel=\"next\"";
    let bed = Bed::new();
    bed.origin.reply(PLAIN, fresh("page").with("link", link).with("content-location", "/o?signature=secret&expires=1"));
    for outcome in [Outcome::Miss, Outcome::Hit] {
        let answer = bed.get(PLAIN).await;
        assert_eq!((bed.outcome(), answer.header("link")), (outcome, kept));
        assert!(!format!("{:?} {:?}", answer.headers, bed.last()).contains("secret"));
    }
    // A redirect that is kept for runs offline, and an answer that is not kept, but recorded.
    let (from, private) = ("https://example.org/latest/disk.iso", "https://example.org/private");
    let moved = Reply::new(302, "").with("location", "https://example.org/disk.iso").with("link", link);
    bed.origin.reply(from, moved);
    bed.origin.reply("https://example.org/disk.iso", Reply::ok("disk"));
    bed.get(from).await;
    bed.origin.reply(private, Reply::ok("mine").with("cache-control", "private").with("link", link));
    bed.get(private).await;
    assert!(bed.last().answer.is_some());
    let stored: Vec<_> =
        [PLAIN, from, private].iter().flat_map(|url| [bed.stored(url), bed.aside(url)].concat()).collect();
    assert!(!format!("{stored:?} {:?}", bed.flows.lock().unwrap()).contains("secret"), "{stored:?}");
}
