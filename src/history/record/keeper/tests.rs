use std::sync::Arc;

use larder_proxy::store::Digest;

use super::*;
use crate::history::testing;

/// A flow with an answer that was kept.
fn fetched(url: &str, body: &str) -> Flow {
    let mut flow = testing::flow("debian", "install", Outcome::Miss, 4);
    flow.url = url.to_owned();
    flow.key = url.to_owned();
    flow.method = "GET".into();
    flow.upstream_status = Some(200);
    flow.digest = Some(Digest::of(body.as_bytes()).to_string().into());
    flow.answer = Some(Arc::new(Answered { status: 200, size: Some(body.len() as u64), ..Answered::default() }));
    flow
}

fn with(flow: Flow, change: impl FnOnce(&mut Answered)) -> Flow {
    let mut flow = flow;
    change(Arc::make_mut(flow.answer.as_mut().unwrap()));
    flow
}

/// A flow without one.
fn lost(method: &str, url: &str, outcome: Outcome) -> Flow {
    let mut flow = fetched(url, "");
    (flow.method, flow.outcome) = (method.to_owned().into(), outcome);
    (flow.answer, flow.digest) = (None, None);
    flow.why = "a reason".into();
    flow
}

fn about() -> About {
    About {
        run: "r".to_owned(),
        net: "cache".to_owned(),
        egress: Egress::Enforced,
        template_digest: None,
        cut_short: Vec::new(),
        now: Timestamp::UNIX_EPOCH,
    }
}

fn record(flows: &[Flow]) -> Record {
    let keeper = Keeper::default();
    for flow in flows {
        keeper.flow(flow);
    }
    keeper.finish(about())
}

fn gaps(record: &Record) -> Vec<String> {
    let gap = |gap: &Incomplete| {
        format!("{} {}: {}", gap.method.clone().unwrap_or_default(), gap.url.clone().unwrap_or_default(), gap.why)
    };
    record.incomplete.iter().map(gap).collect()
}

const URL: &str = "http://example.org/a";

#[test]
fn what_was_fetched_once_is_one_entry_however_often_it_was_asked_for() {
    let mut other = fetched(URL, "a");
    other.identity.build = "other".into();
    other.identity.step = Some("test".into());
    let record = record(&[fetched(URL, "a"), fetched(URL, "a"), other]);
    assert!(record.complete);
    let [entry] = record.entries.as_slice() else { panic!("{record:?}") };
    assert_eq!(entry.builds.iter().collect::<Vec<_>>(), ["debian", "other"]);
    assert_eq!(entry.steps.iter().collect::<Vec<_>>(), ["install", "test"]);
    assert_eq!((entry.seq, entry.size, entry.kind), (None, Some(1), Kind::Mutable));
}

#[test]
fn who_joined_a_fetch_is_named_with_it() {
    let mut joined = fetched(URL, "a");
    joined.digest = None;
    joined.identity.build = "other".into();
    for flows in [[joined.clone(), fetched(URL, "a")], [fetched(URL, "a"), joined.clone()]] {
        let record = record(&flows);
        assert_eq!(record.entries.len(), 1);
        assert!(record.entries[0].builds.contains("other"));
        assert!(record.complete);
    }
    assert_eq!(gaps(&record(&[joined])), ["GET http://example.org/a: it did not arrive whole"]);
}

#[test]
fn different_answers_to_one_request_are_numbered() {
    let record = record(&[fetched(URL, "b"), fetched(URL, "a"), fetched(URL, "b")]);
    let found: Vec<_> = record.entries.iter().map(|entry| (entry.seq, entry.digest.unwrap().0)).collect();
    assert_eq!(found, [(Some(1), Digest::of(b"b")), (Some(2), Digest::of(b"a"))]);
}

#[test]
fn kinds() {
    let record = record(&[
        with(fetched("http://example.org/a", "a"), |answer| answer.immutable = true),
        with(fetched("http://example.org/b", "b"), |answer| answer.status = 404),
        with(fetched("http://example.org/c", ""), |answer| {
            answer.status = 302;
            answer.location = Some("http://example.org/d".to_owned());
        }),
        with(fetched("http://example.org/d", ""), |answer| {
            answer.status = 307;
            answer.location = Some("http://example.org/a".to_owned());
        }),
    ]);
    let kinds: Vec<Kind> = record.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [Kind::Immutable, Kind::Negative, Kind::Redirect, Kind::Redirect]);
    assert_eq!(record.entries[2].alias_of, record.entries[0].digest, "through both");
    assert_eq!(record.entries[3].alias_of, record.entries[0].digest);
}

#[test]
fn what_cannot_be_given_again_is_listed() {
    let url = |end: &str| format!("http://example.org/{end}");
    let mut tunnel = lost("CONNECT", "example.org:443", Outcome::Tunnel);
    tunnel.key = String::new();
    let mut own = lost("TRACE", &url("own"), Outcome::Bypass);
    own.upstream_status = None;
    let mut secret = fetched(&url("secret"), "a");
    secret.key_is_cut = true;
    let mut offline = lost("GET", &url("offline"), Outcome::Denied);
    offline.offline_miss = true;
    let record = record(&[
        tunnel,
        own,
        secret,
        offline,
        lost("POST", &url("post"), Outcome::Bypass),
        lost("GET", &url("down"), Outcome::Error),
        lost("GET", &url("denied"), Outcome::Denied),
        lost("HEAD", &url("head"), Outcome::Miss),
        with(fetched(&url("unkept"), "a"), |answer| answer.lost = Some("it was not kept: no-store".to_owned())),
    ]);
    assert!(!record.complete && record.entries.is_empty());
    let mut found = gaps(&record);
    found.sort();
    assert_eq!(
        found,
        [
            "CONNECT example.org:443: a tunnel: what went through it is not known",
            "GET http://example.org/down: upstream failed: a reason",
            "GET http://example.org/offline: it was not in the cache, and the run was offline",
            "GET http://example.org/secret: its URL holds what may be a secret, which is not written down",
            "GET http://example.org/unkept: it was not kept: no-store",
            "HEAD http://example.org/head: it was not kept: a reason",
            "POST http://example.org/post: passed around the cache: a reason",
        ]
    );
}

#[test]
fn what_came_in_the_end_makes_good_for_what_failed_before() {
    let record = record(&[
        lost("GET", URL, Outcome::Error),
        lost("HEAD", URL, Outcome::Miss),
        fetched(URL, "a"),
        with(fetched(URL, "b"), |answer| answer.lost = Some("it was not kept: a cookie".to_owned())),
    ]);
    assert_eq!(gaps(&record), ["GET http://example.org/a: it was not kept: a cookie"]);
}

#[test]
fn a_run_cut_short_is_not_complete() {
    let record = Keeper::default().finish(About { cut_short: vec!["debian failed".to_owned()], ..about() });
    assert!(!record.complete);
    assert_eq!(record.incomplete[0].why, "debian failed");
}

#[test]
fn no_secret_is_written_down() {
    let redactor = Redactor::default();
    redactor.register("geheim");
    let keeper = Keeper::new(redactor);
    keeper.flow(&fetched("http://example.org/geheim/a", "a"));
    keeper.flow(&with(fetched(URL, "a"), |answer| {
        answer.headers = vec![("etag".to_owned(), "geheim".to_owned())];
        answer.location = Some("http://example.org/geheim".to_owned());
        answer.vary = vec![("x".to_owned(), Some("geheim".to_owned()))];
    }));
    let mut post = lost("POST", "http://example.org/?geheim", Outcome::Bypass);
    post.why = "geheim".into();
    keeper.flow(&post);
    let text = keeper.finish(About { cut_short: vec!["geheim".to_owned()], ..about() }).to_text().unwrap();
    assert!(!text.contains("geheim"), "{text}");
    assert_eq!(text.matches("what may be a secret").count(), 1, "{text}");
}
