use std::collections::BTreeMap;

use larder_proxy::flow::Outcome;
use serde::Deserialize;

use super::*;
use crate::tui::state::proxy::testing::flow;

/// The format as its specification has it: what must be there, and nothing that it does not know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    version: String,
    creator: Creator,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creator {
    name: String,
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: Timestamp,
    time: f64,
    request: Request,
    response: Response,
    cache: BTreeMap<String, Value>,
    timings: BTreeMap<String, f64>,
    /// Whatever else there is.
    #[serde(flatten)]
    own: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    method: String,
    url: String,
    http_version: String,
    cookies: Vec<Value>,
    headers: Vec<Pair>,
    query_string: Vec<Pair>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Response {
    status: u16,
    status_text: String,
    http_version: String,
    cookies: Vec<Value>,
    headers: Vec<Pair>,
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: String,
    headers_size: i64,
    body_size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Content {
    size: u64,
    mime_type: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    name: String,
    value: String,
}

#[test]
fn it_is_what_the_format_says() {
    let flows = [
        flow(7, Outcome::Miss, "http://example.org/a?x=1&y=%20z", 10),
        flow(3, Outcome::Denied, "http://example.org/b", 0),
        flow(5, Outcome::Tunnel, "example.org:443", 5),
    ];
    let text = serde_json::to_string(&archive(&flows)).unwrap();
    let Archive { log } = serde_json::from_str(&text).unwrap();
    assert_eq!((log.version.as_str(), log.creator.name.as_str()), ("1.2", "larder"));
    assert!(!log.creator.version.is_empty());
    let starts: Vec<_> = log.entries.iter().map(|entry| entry.started_date_time).collect();
    assert!(starts.is_sorted(), "the oldest first: {starts:?}");
    for entry in &log.entries {
        let spent: f64 = entry.timings.values().filter(|time| **time >= 0.0).sum();
        assert!((entry.time - spent).abs() < 0.001, "the time is the sum of the timings that are known");
        for needed in ["send", "wait", "receive"] {
            assert!(entry.timings[needed] >= 0.0);
        }
        assert!(entry.own.keys().all(|name| name.starts_with('_')), "{:?}", entry.own.keys());
        assert!(entry.cache.is_empty() && entry.request.cookies.is_empty() && entry.response.cookies.is_empty());
        assert!(entry.request.headers.is_empty() && entry.response.headers.is_empty());
        assert_eq!((entry.request.headers_size, entry.request.body_size, entry.response.headers_size), (-1, -1, -1));
        assert!(entry.request.http_version.starts_with("HTTP/") && entry.response.http_version.starts_with("HTTP/"));
        assert_eq!(i64::try_from(entry.response.content.size).unwrap(), entry.response.body_size);
        assert!(!entry.response.content.mime_type.is_empty() && entry.response.redirect_url.is_empty());
    }
    let miss = &log.entries[2];
    assert_eq!((miss.request.method.as_str(), miss.response.status), ("GET", 200));
    assert_eq!(miss.response.status_text, "OK");
    let pair = |name: &str, value: &str| Pair { name: name.to_owned(), value: value.to_owned() };
    assert_eq!(miss.request.query_string, [pair("x", "1"), pair("y", " z")]);
    assert_eq!(miss.request.url, "http://example.org/a?x=1&y=%20z");
    assert_eq!(miss.own["_outcome"], "MISS");
}
