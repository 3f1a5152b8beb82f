//! Hits, revalidation, conditions, ranges, variants, modes.

use super::*;

#[tokio::test]
async fn a_package_is_fetched_once_also_by_the_next_process() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("package").with("cache-control", "max-age=0"));
    assert_eq!(bed.get(DEB).await.text(), "package");
    assert_eq!(bed.outcome(), Outcome::Miss);
    assert_eq!(bed.last().bytes_upstream, 7);
    bed.later(1_000_000);
    let answer = bed.with(DEB, &[("cache-control", "no-cache, max-age=0")]).await;
    assert_eq!(answer.text(), "package");
    assert_eq!((bed.outcome(), bed.last().bytes_cache, bed.last().bytes_upstream), (Outcome::Hit, 7, 0));
    assert!(answer.header("cache-status").starts_with("larder; hit"), "{:?}", answer.headers);
    assert_eq!(answer.header("age"), "1000000");

    let next = bed.again();
    assert_eq!(next.get(DEB).await.text(), "package");
    assert_eq!((next.outcome(), next.origin.count()), (Outcome::Hit, 0));
    assert_eq!(bed.origin.count(), 1);
    bed.assert_sound();
}

#[tokio::test]
async fn an_index_is_confirmed_once_a_run() {
    let bed = Bed::new();
    for _ in 0..3 {
        bed.origin.reply(INDEX, Reply::ok("index").tagged("\"1\""));
    }
    bed.cache.begin_run();
    bed.get(INDEX).await;
    bed.later(10);
    bed.with(INDEX, &[("cache-control", "max-age=0")]).await;
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 1));

    bed.later(10);
    bed.cache.begin_run();
    let answer = bed.get(INDEX).await;
    assert_eq!((answer.text(), bed.outcome(), bed.origin.count()), ("index", Outcome::Revalidated, 2));
    assert_eq!(bed.origin.asked("if-none-match").as_deref(), Some("\"1\""));
    assert_eq!(bed.last().bytes_upstream, 0);
    assert_eq!(bed.last().bytes_cache, 5);
    bed.get(INDEX).await;
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 2));

    // A reload is a reload.
    bed.with(INDEX, &[("cache-control", "no-cache")]).await;
    assert_eq!(bed.origin.count(), 3);
}

#[tokio::test]
async fn a_changed_index_replaces_the_old_one() {
    let bed = Bed::new();
    bed.origin.reply(INDEX, Reply::ok("old").tagged("\"1\""));
    bed.origin.reply(INDEX, Reply::ok("new").tagged("\"2\""));
    bed.get(INDEX).await;
    assert_eq!(bed.get(INDEX).await.text(), "new");
    assert_eq!(bed.outcome(), Outcome::Miss);
    assert_eq!(bed.store.stats().unwrap().blobs, 1, "the old blob is gone");
    bed.assert_sound();
}

#[tokio::test]
async fn an_index_is_served_stale_when_upstream_fails() {
    let bed = Bed::new();
    bed.origin.reply(INDEX, Reply::ok("index").tagged("\"1\""));
    bed.get(INDEX).await;
    bed.origin.reply(INDEX, Reply::failure(Phase::Connect, false));
    let answer = bed.get(INDEX).await;
    assert_eq!((answer.text(), bed.outcome()), ("index", Outcome::Stale));
    assert!(bed.last().why.contains("scripted failure"), "{}", bed.last().why);
    assert!(answer.header("cache-status").contains("fwd=stale"));
    bed.origin.reply(INDEX, Reply::new(503, "busy"));
    assert_eq!(bed.get(INDEX).await.text(), "index");
    assert_eq!(bed.outcome(), Outcome::Stale);
}

#[tokio::test]
async fn errors_become_responses() {
    let bed = Bed::new();
    for (phase, status, error) in [
        (Phase::Resolve, 502, "dns_error"),
        (Phase::Timeout, 504, "http_response_timeout"),
        (Phase::Denied, 403, "destination_ip_prohibited"),
    ] {
        bed.origin.reply(PLAIN, Reply::failure(phase, false));
        let answer = bed.get(PLAIN).await;
        assert_eq!(answer.status, status);
        assert!(answer.header("proxy-status").contains(error), "{:?}", answer.headers);
        assert!(answer.text().contains("scripted failure"));
    }
    assert_eq!(bed.outcome(), Outcome::Denied);
}

#[tokio::test]
async fn a_failure_before_the_head_is_tried_once_more() {
    let bed = Bed::new();
    bed.origin.reply(PLAIN, Reply::failure(Phase::Exchange, true));
    bed.origin.reply(PLAIN, Reply::ok("x"));
    assert_eq!(bed.get(PLAIN).await.text(), "x");
    assert_eq!(bed.origin.count(), 2);
}

#[tokio::test]
async fn client_conditions_are_answered_from_the_store() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("package").with("etag", "\"1\"").with("content-type", "a/b"));
    let first = bed.with(DEB, &[("if-none-match", "\"1\""), ("if-modified-since", "x")]).await;
    assert_eq!(first.status, 304);
    assert_eq!(bed.origin.asked("if-none-match"), None, "the whole object is fetched for the store");
    let again = bed.with(DEB, &[("if-none-match", "\"1\"")]).await;
    assert_eq!((again.status.as_u16(), again.text(), again.header("content-length")), (304, "", ""));
    assert_eq!(bed.with(DEB, &[("if-none-match", "\"2\"")]).await.text(), "package");
    assert_eq!(bed.origin.count(), 1);
}

#[tokio::test]
async fn ranges_come_from_the_whole_object() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("0123456789").with("content-length", "10").with("etag", "\"1\""));
    let first = bed.with(DEB, &[("range", "bytes=2-4")]).await;
    assert_eq!((first.status.as_u16(), first.text()), (206, "234"));
    assert_eq!(first.header("content-range"), "bytes 2-4/10");
    assert_eq!(bed.origin.asked("range"), None);
    for (fields, status, body) in [
        (&[("range", "bytes=-3")][..], 206, "789"),
        (&[("range", "bytes=5-")], 206, "56789"),
        (&[("range", "bytes=10-")], 416, ""),
        (&[("range", "bytes=0-1,3-4")], 206, "01234"),
        (&[("range", "bytes=5-"), ("if-range", "\"1\"")], 206, "56789"),
        (&[("range", "bytes=5-"), ("if-range", "\"2\"")], 200, "0123456789"),
    ] {
        let answer = bed.with(DEB, fields).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, body), "{fields:?}");
    }
    assert_eq!(bed.origin.count(), 1);
}

#[tokio::test]
async fn head_is_answered_from_a_stored_get_and_stores_nothing() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("").with("content-length", "7"));
    let miss = bed.send("HEAD", DEB, &[]).await;
    assert_eq!(miss.header("content-length"), "7");
    assert_eq!(bed.store.stats().unwrap().entries, 0);
    bed.origin.reply(DEB, Reply::ok("package"));
    bed.get(DEB).await;
    let hit = bed.send("HEAD", DEB, &[]).await;
    assert_eq!((hit.text(), hit.header("content-length"), bed.outcome()), ("", "7", Outcome::Hit));
}

#[tokio::test]
async fn variants_are_kept_apart_and_bounded() {
    let bed = Bed::new();
    let reply = |body: &str| Reply::ok(body.to_owned()).with("vary", "Accept").with("cache-control", "max-age=60");
    for number in 0..20 {
        bed.origin.reply(PLAIN, reply(&number.to_string()));
        let accept = format!("text/{number}");
        bed.later(1);
        assert_eq!(bed.with(PLAIN, &[("accept", &accept)]).await.text(), number.to_string());
    }
    assert_eq!(bed.with(PLAIN, &[("accept", "text/19")]).await.text(), "19");
    assert_eq!(bed.outcome(), Outcome::Hit);
    assert_eq!(bed.store.stats().unwrap().entries, 16);
    bed.assert_sound();
}

#[tokio::test]
async fn offline_asks_nobody() {
    let bed = Bed::new();
    bed.origin.reply(INDEX, Reply::ok("index").with("cache-control", "max-age=1, must-revalidate"));
    bed.get(INDEX).await;
    bed.later(100);
    bed.cache.set_mode(Mode::Offline);
    assert_eq!(bed.get(INDEX).await.text(), "index");
    assert_eq!(bed.outcome(), Outcome::Stale);
    let miss = bed.get(PLAIN).await;
    assert_eq!(miss.status, 403);
    assert!(miss.text().contains(PLAIN));
    assert_eq!(miss.header("cache-status"), "larder; fwd=miss; detail=offline");
    assert_eq!(bed.send("POST", PLAIN, &[]).await.status, 403);
    assert_eq!(bed.origin.count(), 1);
}

#[tokio::test]
async fn only_if_cached_is_504_on_a_miss() {
    let bed = Bed::new();
    assert_eq!(bed.with(PLAIN, &[("cache-control", "only-if-cached")]).await.status, 504);
}

#[tokio::test]
async fn an_unsafe_method_makes_the_store_forget() {
    let bed = Bed::new();
    for body in ["a", "b", "c"] {
        bed.origin.reply(PLAIN, Reply::ok(body).with("cache-control", "max-age=60"));
    }
    bed.get(PLAIN).await;
    bed.send("POST", PLAIN, &[]).await;
    assert_eq!(bed.outcome(), Outcome::Bypass);
    assert_eq!(bed.get(PLAIN).await.text(), "c");
}

#[tokio::test]
async fn a_signed_redirect_is_not_kept_and_its_target_is() {
    let bed = Bed::new();
    let target = |signature: &str| format!("http://example.org/data?expires=1{signature}&signature={signature}");
    let redirect = |to: &str| Reply::new(307, "").with("location", to).with("cache-control", "max-age=600");
    for signature in ["1", "2"] {
        bed.origin.reply(PLAIN, redirect(&target(signature)));
        assert_eq!(bed.get(PLAIN).await.status, 307);
    }
    bed.origin.reply(&target("1"), Reply::ok("data").with("cache-control", "max-age=600"));
    assert_eq!(bed.get(&target("1")).await.text(), "data");
    assert_eq!(bed.get(&target("2")).await.text(), "data");
    assert_eq!(bed.origin.count(), 3);
}

#[tokio::test]
async fn explain_tells_what_happened() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("package"));
    bed.get(DEB).await;
    bed.get(DEB).await;
    let now = *bed.time.lock().unwrap();
    let found = bed.store.explain(DEB, &Rules::default(), now).unwrap().unwrap();
    assert_eq!((found.verdict.rule, found.variants.len()), ("apt pool", 1));
    // With neither digest nor validator: to ask would mean to fetch it again, every run.
    assert_eq!((found.variants[0].entry.uses, found.variants[0].usable), (1, true));
    assert_eq!(found.last.unwrap().0, "HIT");
}

#[tokio::test]
async fn without_a_store_everything_passes() {
    let bed = Bed::new();
    let cache = Cache::new(None, bed.origin.clone(), Mode::Cache, Rules::default());
    for _ in 0..2 {
        bed.origin.reply(DEB, Reply::ok("package"));
        let request = Request::get(DEB).body(empty()).unwrap();
        assert_eq!(read(cache.call(request, bed.context(DEB)).await).await.text(), "package");
        assert_eq!((bed.outcome(), bed.last().bytes_upstream), (Outcome::Bypass, 7));
    }
}

#[tokio::test]
async fn heuristics_and_plain_revalidation() {
    let bed = Bed::new();
    let now = *bed.time.lock().unwrap();
    let modified = date(now - Duration::from_secs(1000));
    bed.origin.reply(PLAIN, Reply::ok("a").with("last-modified", &modified).tagged("\"1\""));
    bed.get(PLAIN).await;
    bed.later(99);
    bed.get(PLAIN).await;
    assert_eq!((bed.outcome(), bed.origin.count()), (Outcome::Hit, 1));
    bed.later(2);
    bed.origin.reply(PLAIN, Reply::ok("a").with("last-modified", &modified).tagged("\"1\""));
    bed.get(PLAIN).await;
    assert_eq!(bed.outcome(), Outcome::Revalidated);
    assert_eq!(bed.origin.asked("if-modified-since"), Some(modified));
}

use crate::origin::Phase;

#[tokio::test]
async fn a_refetch_asks_upstream_also_for_what_never_changes() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok("package").tagged("\"1\""));
    bed.origin.reply(DEB, Reply::ok("package").tagged("\"1\""));
    bed.origin.reply(DEB, Reply::ok("another").tagged("\"2\""));
    bed.get(DEB).await;
    assert_eq!((refetch(&bed, DEB).await.text(), bed.outcome()), ("package", Outcome::Revalidated));
    assert_eq!((refetch(&bed, DEB).await.text(), bed.outcome()), ("another", Outcome::Miss));
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("another", Outcome::Hit));
    // Upstream that does not answer changes nothing.
    bed.origin.reply(DEB, Reply::failure(Phase::Connect, false));
    assert_eq!((refetch(&bed, DEB).await.text(), bed.outcome()), ("another", Outcome::Stale));
    bed.cache.set_mode(Mode::Offline);
    assert_eq!((refetch(&bed, DEB).await.text(), bed.outcome()), ("another", Outcome::Stale));
    assert_eq!(bed.origin.count(), 4);
    bed.assert_sound();
}

async fn refetch(bed: &Bed, url: &str) -> Answer {
    let mut request = Request::builder().uri(url).body(empty()).unwrap();
    request.extensions_mut().insert(Refetch);
    let answer = read(bed.cache.call(request, bed.context(url)).await).await;
    bed.settle().await;
    answer
}

#[tokio::test]
async fn what_is_removed_while_it_is_served_is_served_to_its_end() {
    let bed = Bed::new();
    let long = vec![b'x'; 3_000_000];
    bed.origin.reply(DEB, Reply::ok(long.clone()));
    bed.get(DEB).await;
    let mut serving = bed.call("GET", DEB, &[]).await.into_body();
    let first = serving.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.len() < long.len());
    let dropped = bed.cache.remove(Target::Url(DEB.to_owned())).await.unwrap();
    assert_eq!((dropped.removed.entries, dropped.removed.bytes), (1, 3_000_000));
    let rest = serving.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), long.len());
    bed.origin.reply(DEB, Reply::ok("again"));
    assert_eq!((bed.get(DEB).await.text(), bed.outcome()), ("again", Outcome::Miss));
    bed.assert_sound();
}

/// As another process removes it, unseen for up to a second by this one.
#[tokio::test]
async fn what_another_removes_is_fetched_again() {
    let bed = Bed::new();
    for body in ["index", "index", "newer"] {
        bed.origin.reply(INDEX, Reply::ok(body).tagged(body));
    }
    bed.get(INDEX).await;
    let other = Store::open(bed.dir.path()).unwrap();
    let _ = other.remove(&Target::Url(INDEX.to_owned()), false).unwrap();
    // Upstream may confirm what is no more; the answer is right, and the next one as well.
    assert_eq!(bed.get(INDEX).await.text(), "index");
    bed.later(1);
    assert_eq!(bed.get(INDEX).await.text(), "newer");
    bed.assert_sound();
}

/// However fast its client reads, it does not keep the thread from others.
#[tokio::test]
async fn a_large_body_lets_others_have_their_turn() {
    let bed = Bed::new();
    bed.origin.reply(DEB, Reply::ok(vec![1; 2_000_000]));
    assert_eq!(bed.get(DEB).await.body.unwrap().len(), 2_000_000);
    let mut body = bed.call("GET", DEB, &[]).await.into_body();
    let (mut all, mut at_once, mut most) = (0, 0, 0);
    loop {
        match futures_util::FutureExt::now_or_never(body.frame()) {
            Some(Some(frame)) => {
                let count = frame.unwrap().into_data().unwrap().len();
                (all, at_once) = (all + count, at_once + count);
                most = most.max(at_once);
            }
            Some(None) => break,
            None => {
                at_once = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    assert_eq!(all, 2_000_000);
    assert!(most <= 256 * 1024, "{most} bytes without a pause");
}
