//! What a run that is online leaves for one that is not.

use super::*;

/// Serves what `requests` leave in the cache to the same requests, offline.
fn replay(bed: &Bed) -> Bed {
    let again = bed.again();
    again.cache.set_mode(Mode::Offline);
    again
}

#[tokio::test]
async fn what_is_not_there_is_not_there_offline() {
    let bed = Bed::new();
    let absent = "http://example.org/debian/dists/stable/InRelease.absent";
    let plain = "http://example.org/probe";
    for url in [INDEX, DEB, absent, plain] {
        bed.origin.reply(url, Reply::new(404, "no").with("content-type", "text/x"));
        assert_eq!(bed.get(url).await.status, StatusCode::NOT_FOUND);
        let answer = bed.last().answer.unwrap();
        assert_eq!((answer.status, answer.size, answer.lost.clone()), (404, Some(2), None), "{url}");
        assert_eq!(bed.last().digest.unwrap(), crate::store::Digest::of(b"no").to_string().into());
    }
    bed.settle().await;
    let offline = replay(&bed);
    for url in [INDEX, DEB, absent, plain] {
        let answer = offline.get(url).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::NOT_FOUND, "no"), "{url}");
        assert_eq!(answer.header("content-type"), "text/x");
        assert!(answer.header("cache-status").ends_with("detail=offline"), "{}", answer.header("cache-status"));
        assert!(!offline.last().offline_miss);
        assert_eq!(offline.last().answer.unwrap().status, 404);
    }
    assert_eq!(offline.origin.count(), 0);
    bed.assert_sound();
}

#[tokio::test]
async fn what_is_kept_for_offline_answers_nobody_online() {
    let bed = Bed::new();
    bed.origin.reply(PLAIN, Reply::new(302, "").with("location", "/other"));
    bed.origin.reply(PLAIN, Reply::ok("now there is something"));
    assert_eq!(bed.get(PLAIN).await.status, StatusCode::FOUND);
    assert_eq!(bed.get(PLAIN).await.text(), "now there is something");
    assert_eq!(bed.origin.count(), 2);
    let offline = replay(&bed);
    assert_eq!(offline.get(PLAIN).await.text(), "now there is something", "what is there counts for more");
}

#[tokio::test]
async fn a_hiccup_replaces_nothing() {
    let bed = Bed::new();
    bed.origin.reply(INDEX, Reply::ok("index").tagged("\"1\""));
    bed.origin.reply(INDEX, Reply::new(404, "no"));
    assert_eq!(bed.get(INDEX).await.text(), "index");
    bed.later(86_400);
    bed.cache.begin_run();
    assert_eq!(bed.get(INDEX).await.status, StatusCode::NOT_FOUND);
    let offline = replay(&bed);
    assert_eq!(offline.get(INDEX).await.text(), "index");
}

#[tokio::test]
async fn redirects_are_followed_offline_without_their_signature() {
    let bed = Bed::new();
    let signed = "https://example.net/o/x?Expires=1&Signature=geheim&Key-Pair-Id=k&v=2";
    bed.origin.reply(PLAIN, Reply::new(302, format!("see {signed}")).with("location", signed));
    bed.origin.reply(signed, Reply::ok("body"));
    assert_eq!(bed.get(PLAIN).await.header("location"), signed);
    assert_eq!(bed.last().answer.unwrap().location.as_deref(), Some("https://example.net/o/x?v=2"));
    assert_eq!(bed.get(signed).await.text(), "body");
    let offline = replay(&bed);
    let to = offline.get(PLAIN).await.header("location").to_owned();
    assert_eq!(to, "https://example.net/o/x?v=2");
    assert_eq!(offline.get(&to).await.text(), "body");
    let stored = format!("{:?}", bed.aside(PLAIN));
    assert!(!stored.contains("geheim"), "{stored}");
    assert_eq!(offline.get(PLAIN).await.text(), "", "the page names the URL as it was");
}

#[tokio::test]
async fn a_redirect_with_a_secret_is_not_kept() {
    let bed = Bed::new();
    for location in ["/x?token=geheim", "http://u:geheim@example.org/x"] {
        bed.origin.reply(PLAIN, Reply::new(302, "").with("location", location));
        assert_eq!(bed.get(PLAIN).await.status, StatusCode::FOUND);
        assert!(bed.last().answer.unwrap().lost.is_some(), "{location}");
        assert_eq!(bed.aside(PLAIN).len(), 0);
    }
}

#[tokio::test]
async fn what_must_not_be_stored_is_not_kept_aside() {
    for (headers, request) in [
        (&[("cache-control", "no-store")][..], &[][..]),
        (&[("cache-control", "private")][..], &[][..]),
        (&[("vary", "*")][..], &[][..]),
        (&[][..], &[("cookie", "a=b")][..]),
    ] {
        let bed = Bed::new();
        let mut reply = Reply::new(404, "no");
        for (name, value) in headers {
            reply = reply.with(name, value);
        }
        bed.origin.reply(PLAIN, reply);
        bed.with(PLAIN, request).await;
        let offline = replay(&bed);
        assert_eq!(offline.with(PLAIN, request).await.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
}

#[tokio::test]
async fn an_absence_seen_again_is_not_written_again() {
    let bed = Bed::new();
    for _ in 0..2 {
        bed.origin.reply(PLAIN, Reply::new(404, "no"));
        bed.get(PLAIN).await;
        bed.later(5);
    }
    let found = bed.aside(PLAIN);
    assert_eq!(found.len(), 1);
    assert!(found[0].draft.responded < found[0].last_used, "{found:?}");
}

#[tokio::test]
async fn a_long_apology_arrives_whole_and_is_not_kept() {
    let bed = Bed::new();
    let long = "x".repeat(200_000);
    bed.origin.reply(PLAIN, Reply::new(404, long.clone()));
    assert_eq!(bed.get(PLAIN).await.text(), long);
    assert!(bed.last().answer.unwrap().lost.is_some());
}

#[tokio::test]
async fn a_miss_offline_says_so_in_every_way() {
    let bed = Bed::new();
    bed.cache.set_mode(Mode::Offline);
    let miss = bed.get("http://example.org/a?x=1&token=geheim").await;
    assert_eq!(miss.status, StatusCode::FORBIDDEN);
    assert_eq!(miss.header("cache-status"), "larder; fwd=miss; detail=offline");
    assert!(
        miss.header("proxy-status").starts_with("larder; error=http_request_denied; details="),
        "{:?}",
        miss.headers
    );
    assert!(miss.text().contains("http://example.org/a?x=1 is not in Larder's cache"), "{}", miss.text());
    assert!(bed.last().offline_miss);
    let only = bed.with(PLAIN, &[("cache-control", "only-if-cached")]).await;
    assert_eq!(only.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(!bed.last().offline_miss, "who asks so, reckons with it");
}

#[tokio::test]
async fn the_facts_of_an_answer_are_the_same_fetched_and_stored() {
    let bed = Bed::new();
    let reply =
        Reply::ok("body").with("etag", "\"1\"").with("vary", "accept-language").with("date", "x").with("age", "3");
    bed.origin.reply(DEB, reply);
    let languages = [("accept-language", "de")];
    bed.with(DEB, &languages).await;
    let fetched = bed.last();
    bed.send("GET", DEB, &[("accept-language", "de"), ("range", "bytes=1-2")]).await;
    let part = bed.last();
    assert_eq!(part.status, 0, "the test has no service that notes it");
    let answer = fetched.answer.unwrap();
    assert_eq!(Some(&answer), part.answer.as_ref());
    assert_eq!(fetched.digest, part.digest);
    assert_eq!(answer.size, Some(4));
    assert!(answer.immutable);
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etag", "vary"]);
    assert_eq!(answer.vary, [("accept-language".to_owned(), Some("de;q=1000".to_owned()))], "as the store compares it");
}

#[tokio::test]
async fn credentials_are_told_of_and_not_told() {
    let bed = Bed::new();
    bed.origin.reply(PLAIN, Reply::ok("private").with("cache-control", "max-age=60"));
    let user = [("authorization", "Basic geheim")];
    bed.with(PLAIN, &user).await;
    for _ in 0..2 {
        let flow = bed.last();
        assert!(flow.authorized);
        assert!(!format!("{:?}", flow.answer).contains("authorization"), "{:?}", flow.answer);
        bed.with(PLAIN, &user).await;
    }
    assert_eq!(bed.last().outcome, Outcome::Hit);
}
