//! Downloads from a transport that answers from a script.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use larder_proxy::body::{self, Body};
use tokio_util::sync::CancellationToken;

use super::*;

/// Answers requests in order, and remembers them.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Response<Body>>>,
    seen: Mutex<Vec<Request<()>>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Response<Body>>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() })
    }

    fn header(&self, request: usize, name: &str) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen[request].headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Transport for Script {
    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        self.seen.lock().unwrap().push(request.map(|_| ()));
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async { answer.expect("no more requests were expected") })
    }
}

fn ok(text: &'static str) -> Response<Body> {
    Response::new(body::full(text))
}

fn redirect(to: &str) -> Response<Body> {
    Response::builder().status(302).header("location", to).body(body::empty()).unwrap()
}

/// A body that ends in an error after `text`.
fn dying(text: &'static str) -> Body {
    let frames: Vec<io::Result<Frame<Bytes>>> =
        vec![Ok(Frame::data(Bytes::from_static(text.as_bytes()))), Err(io::Error::other("connection reset"))];
    BodyExt::boxed(StreamBody::new(stream::iter(frames)))
}

fn died(text: &'static str) -> Response<Body> {
    Response::builder().header("etag", "\"v1\"").header("content-length", "10").body(dying(text)).unwrap()
}

fn rest(range: &'static str, text: &'static str) -> Response<Body> {
    let response = Response::builder().status(206).header("etag", "\"v1\"").header("content-range", range);
    response.body(body::full(text)).unwrap()
}

fn digest(text: &str) -> Checksum {
    let mut hasher = Algorithm::Sha512.hasher();
    hasher.update(text.as_bytes());
    Checksum::new(Algorithm::Sha512, &hex::encode(hasher.finalize())).unwrap()
}

async fn to_file(script: &Arc<Script>, checksum: Option<&Checksum>) -> Result<String, DownloadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let result = Downloader::new(script.clone()).get_to_file("http://example.org/a/file", &path, checksum).await;
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, usize::from(result.is_ok()), "nothing but the finished file may stay");
    let download = result?;
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(download.bytes, text.len() as u64);
    Ok(text)
}

#[tokio::test]
async fn resumes_where_the_body_died() {
    let script = Script::new([died("01234"), rest("bytes 5-9/10", "56789")]);
    assert_eq!(to_file(&script, Some(&digest("0123456789"))).await.unwrap(), "0123456789");
    assert_eq!(script.header(1, "range").as_deref(), Some("bytes=5-"));
    assert_eq!(script.header(1, "if-range").as_deref(), Some("\"v1\""));
}

#[tokio::test]
async fn starts_over_when_the_file_has_changed() {
    let script = Script::new([died("01234"), ok("abcdefghijk")]);
    assert_eq!(to_file(&script, Some(&digest("abcdefghijk"))).await.unwrap(), "abcdefghijk");
}

#[tokio::test]
async fn a_short_body_is_no_success() {
    let short = || Response::builder().header("content-length", "10").body(body::full("0123")).unwrap();
    let script = Script::new([short(), short(), short(), short()]);
    let error = to_file(&script, None).await.unwrap_err();
    assert!(matches!(error, DownloadError::Body { received: 4, .. }), "{error}");
    assert_eq!(script.header(1, "range"), None, "without a validator there is nothing to resume by");
}

#[tokio::test]
async fn wrong_checksum() {
    let error = to_file(&Script::new([ok("tampered")]), Some(&digest("original"))).await.unwrap_err();
    let shown: crate::error::Error = error.into();
    assert!(shown.to_string().starts_with("the sha512 digest of http://example.org/a/file is "), "{shown}");
    assert!(shown.hints()[0].contains("tampered with"));
}

#[tokio::test]
async fn redirects() {
    let script = Script::new([redirect("/b?x=1#frag"), redirect("https://other.example.org/c"), ok("there")]);
    let downloader = Downloader::new(script.clone());
    let fetched = downloader.get_bytes("http://user:p%40ss@example.org/a", 100).await.unwrap();
    assert_eq!((fetched.url.as_str(), &fetched.bytes[..]), ("https://other.example.org/c", &b"there"[..]));
    assert_eq!(script.header(0, "authorization").as_deref(), Some("Basic dXNlcjpwQHNz"));
    assert!(script.header(1, "authorization").is_some(), "the same host may see the credentials again");
    assert_eq!(script.header(2, "authorization"), None, "another host must not");
    let seen = script.seen.lock().unwrap();
    assert_eq!(seen[0].uri(), "http://example.org/a");
    assert_eq!(seen[1].uri(), "http://example.org/b?x=1");
}

#[tokio::test]
async fn no_redirect_from_https_to_http_without_a_checksum() {
    let downgrade = || Script::new([redirect("http://example.org/plain"), ok("x")]);
    let error = Downloader::new(downgrade()).get_bytes("https://example.org/", 10).await.unwrap_err();
    assert!(matches!(error, DownloadError::Redirect { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let got = Downloader::new(downgrade()).get_to_file("https://example.org/", &path, Some(&digest("x"))).await;
    assert!(got.is_ok());
}

#[tokio::test]
async fn redirects_without_end() {
    let script = Script::new((0..11).map(|_| redirect("/again")));
    let error = Downloader::new(script).get_bytes("http://example.org/", 10).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooManyRedirects { limit: 10, .. }), "{error}");
}

#[tokio::test]
async fn an_error_status_tells_the_proxys_reason() {
    let answer = Response::builder()
        .status(StatusCode::BAD_GATEWAY)
        .header("content-type", "text/plain; charset=utf-8")
        .body(body::full("cannot resolve example.org\nmore"))
        .unwrap();
    let error = Downloader::new(Script::new([answer])).get_bytes("http://example.org/", 10).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot download http://example.org/: the server answered 502 Bad Gateway (cannot resolve example.org)"
    );
    assert!(error.hint().unwrap().contains("cannot be reached"));
}

#[tokio::test]
async fn limits_and_schemes() {
    let downloader = Downloader::new(Script::new([ok("12345")]));
    let error = downloader.get_bytes("http://example.org/", 4).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { limit: 4, .. }), "{error}");
    let error = downloader.get_bytes("ftp://example.org/", 4).await.unwrap_err();
    assert!(matches!(error, DownloadError::Url { .. }), "{error}");
}

#[tokio::test]
async fn cancelled_while_the_body_comes() {
    let endless = StreamBody::new(stream::pending::<io::Result<Frame<Bytes>>>());
    let script = Script::new([Response::new(BodyExt::boxed(endless))]);
    let cancel = CancellationToken::new();
    let downloader = Downloader::new(script).with_cancel(cancel.clone());
    let work = downloader.get_bytes("http://example.org/", 10);
    let (result, ()) = tokio::join!(work, async { cancel.cancel() });
    assert!(matches!(result, Err(DownloadError::Cancelled { .. })));
}

#[tokio::test]
async fn checksum_files() {
    let sums = "d41d8cd98f00b204e9800998ecf8427e  other.iso\n900150983cd24fb0d6963f7d28e17f72  my disk.iso\n";
    let script = Script::new([ok(sums)]);
    let spec = ChecksumSpec::parse("file:http://example.org/MD5SUMS").unwrap();
    let found = Downloader::new(script).resolve_checksum(&spec, "http://example.org/my%20disk.iso").await.unwrap();
    assert_eq!(found.unwrap().to_string(), "md5:900150983cd24fb0d6963f7d28e17f72");
    let missing = ChecksumSpec::parse("file:/nonexistent/SUMS").unwrap();
    let error = Downloader::new(Script::new([])).resolve_checksum(&missing, "http://example.org/x").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read /nonexistent/SUMS");
}
