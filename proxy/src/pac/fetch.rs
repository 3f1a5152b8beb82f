//! Fetches a script from its URL: directly, since which proxy to take is what the script is to say.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, ETAG, HOST, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION, USER_AGENT,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use crate::mirror::MirrorMap;
use crate::upstream::tls::OriginTls;

/// For one attempt in all, redirects included.
const LIMIT: Duration = Duration::from_secs(10);
const REDIRECTS: usize = 5;

/// What a server said of a script, to be asked by the next time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// What a server answered.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The script, and how long the server says it holds.
    Body { bytes: Bytes, validators: Validators, fresh: Option<Duration> },
    /// It has not changed.
    Same,
}

/// Fetches scripts.
#[derive(Debug)]
pub(super) struct Fetcher {
    tls: OriginTls,
    most: usize,
}

impl Fetcher {
    pub(super) fn new(extra_roots: Vec<PathBuf>, most: usize) -> Self {
        Self { tls: OriginTls::new(extra_roots, &MirrorMap::default(), Vec::new(), LIMIT), most }
    }

    /// Fetches, or says in words why not.
    pub(super) async fn fetch(&self, url: &Url, validators: &Validators) -> Result<Fetched, String> {
        timeout(LIMIT, self.follow(url.clone(), validators))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", LIMIT.as_secs())))
    }

    async fn follow(&self, mut url: Url, validators: &Validators) -> Result<Fetched, String> {
        for _ in 0..=REDIRECTS {
            let response = self.ask(&url, validators).await?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED && *validators != Validators::default() {
                return Ok(Fetched::Same);
            }
            if let (true, Some(location)) = (status.is_redirection(), response.headers().get(LOCATION)) {
                let next = location.to_str().ok().and_then(|to| url.join(to).ok());
                let next = next.ok_or_else(|| "it redirects to what is no URL".to_owned())?;
                if url.scheme() == "https" && next.scheme() != "https" {
                    return Err("it redirects from https to an unencrypted URL".to_owned());
                }
                url = next;
                continue;
            }
            if status != StatusCode::OK {
                return Err(format!("the server answered {status}"));
            }
            let validators = Validators {
                etag: response.headers().get(ETAG).cloned(),
                modified: response.headers().get(LAST_MODIFIED).cloned(),
            };
            let fresh = freshness(response.headers());
            let most = self.most;
            let bytes = Limited::new(response.into_body(), most)
                .collect()
                .await
                .map_err(|error| {
                    let long = error.is::<http_body_util::LengthLimitError>();
                    if long {
                        format!("it is longer than {most} bytes")
                    } else {
                        format!("it did not arrive whole: {error}")
                    }
                })?
                .to_bytes();
            return Ok(Fetched::Body { bytes, validators, fresh });
        }
        Err(format!("it redirects more than {REDIRECTS} times"))
    }

    async fn ask(&self, url: &Url, validators: &Validators) -> Result<Response<Incoming>, String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("only http and https URLs can be fetched, not {}", url.scheme()));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().ok_or("the URL names no port")?;
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(|error| format!("cannot connect to {host} port {port}: {error}"))?;
        let request = request(url, validators)?;
        if url.scheme() == "http" {
            return exchange(stream, request).await;
        }
        let stream = self.tls.handshake(host, port, stream, &[]).await.map_err(|error| error.message)?;
        exchange(stream, request).await
    }
}

fn request(url: &Url, validators: &Validators) -> Result<Request<Empty<Bytes>>, String> {
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = Request::get(target)
        .header(HOST, authority)
        .header(ACCEPT, "application/x-ns-proxy-autoconfig, */*")
        .header(USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")));
    let known = [(IF_NONE_MATCH, &validators.etag), (IF_MODIFIED_SINCE, &validators.modified)];
    for (name, value) in known.into_iter().filter_map(|(name, value): (HeaderName, _)| Some((name, value.as_ref()?))) {
        request = request.header(name, value);
    }
    if !url.username().is_empty() || url.password().is_some() {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let login = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
        let encoded = base64::engine::general_purpose::STANDARD.encode(login);
        let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    request.body(Empty::new()).map_err(|error| error.to_string())
}

async fn exchange<T>(stream: T, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("the connection broke: {error}"))?;
    // It ends with the answer's body, or when that is dropped.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| format!("there was no proper answer: {error}"))
}

/// `max-age` of `Cache-Control`; the rest is of no use to a script that is asked for again and again.
fn freshness(headers: &HeaderMap) -> Option<Duration> {
    let parts = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let seconds = parts.flat_map(|value| value.split(',')).find_map(|part| part.trim().strip_prefix("max-age="))?;
    Some(Duration::from_secs(seconds.trim_matches('"').parse().ok()?))
}
