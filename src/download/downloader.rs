//! Fetches URLs into memory or files: redirects, resume, digests, cancellation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, IF_RANGE, LOCATION, RANGE, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use larder_proxy::body::{self, Body};
use larder_proxy::flow::Outcome;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::checksum::{Checksum, ChecksumSpec, find_in_sums};
use super::error::DownloadError;
use super::response::{content_length, content_range, reason, shown, validator};
use super::sink::Sink;

/// Redirects followed for one download, as curl and browsers do within a factor of two.
const MAX_REDIRECTS: usize = 10;
/// How often a body that broke off is asked for again.
const MAX_RETRIES: u32 = 3;
/// Wait before the first retry; doubles each time.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// A body that sends nothing for so long has died.
const STALL: Duration = Duration::from_mins(2);
/// Most of an error's body that is read for its reason.
const MAX_REASON: usize = 4 * 1024;
/// Largest checksum file read.
const MAX_SUMS: u64 = 4 * 1024 * 1024;

/// Takes a request to the proxy. Failures are responses, as the proxy answers any client.
pub trait Transport: Send + Sync {
    /// Sends `request`, whose URI is absolute, and returns the response's head with its body to come.
    fn request(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>>;
}

/// Told of a download's progress: URL as shown, bytes so far, bytes in all if known.
pub type ProgressHook = Arc<dyn Fn(&str, u64, Option<u64>) + Send + Sync>;

/// Fetches through a [`Transport`]. Cheap to clone.
#[derive(Clone)]
pub struct Downloader {
    transport: Arc<dyn Transport>,
    progress: Option<ProgressHook>,
    cancel: CancellationToken,
}

/// What [`Downloader::get_to_file`] wrote.
#[derive(Clone, Debug)]
pub struct Download {
    /// The URL the content came from, after redirects.
    pub url: Url,
    /// The file written.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 digest.
    pub sha256: [u8; 32],
    /// How the proxy got it, where the transport tells.
    pub outcome: Option<Outcome>,
}

/// What [`Downloader::get_bytes`] read.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The URL the content came from, after redirects.
    pub url: Url,
    /// The content.
    pub bytes: Bytes,
    /// How the proxy got it, where the transport tells.
    pub outcome: Option<Outcome>,
}

/// A response whose head is good.
struct Opened {
    url: Url,
    response: Response<Body>,
}

/// Why a body ended other than well.
enum Broken {
    /// Worth another request.
    Died(io::Error),
    Fatal(DownloadError),
}

impl From<DownloadError> for Broken {
    fn from(error: DownloadError) -> Self {
        Self::Fatal(error)
    }
}

impl Downloader {
    /// A downloader that reports to nobody and cannot be cancelled.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport, progress: None, cancel: CancellationToken::new() }
    }

    /// Reports progress to `hook`.
    #[must_use]
    pub fn with_progress(mut self, hook: ProgressHook) -> Self {
        self.progress = Some(hook);
        self
    }

    /// Ends downloads when `cancel` fires.
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Reads a small thing into memory; fails when it has more than `limit` bytes.
    pub async fn get_bytes(&self, url: &str, limit: u64) -> Result<Fetched, DownloadError> {
        let url = parse(url)?;
        let mut retries = 0;
        loop {
            let opened = self.open(&url, None, false).await?;
            let outcome = opened.response.extensions().get::<Outcome>().copied();
            match self.collect(&opened.url, opened.response.into_body(), limit).await {
                Ok(bytes) => return Ok(Fetched { url: opened.url, bytes, outcome }),
                Err(Broken::Fatal(error)) => return Err(error),
                Err(Broken::Died(source)) => self.before_retry(&mut retries, &url, 0, source).await?,
            }
        }
    }

    /// Writes the content of `url` to `path`, which appears, replaced as a whole, only once everything has
    /// arrived and agrees with `checksum`.
    pub async fn get_to_file(
        &self,
        url: &str,
        path: &Path,
        checksum: Option<&Checksum>,
    ) -> Result<Download, DownloadError> {
        self.get_to_file_within(url, path, checksum, u64::MAX).await
    }

    /// As [`Downloader::get_to_file`], and fails when there are more than `limit` bytes.
    pub async fn get_to_file_within(
        &self,
        url: &str,
        path: &Path,
        checksum: Option<&Checksum>,
        limit: u64,
    ) -> Result<Download, DownloadError> {
        let url = parse(url)?;
        let cannot_write = |source| DownloadError::File { action: "write", path: path.to_owned(), source };
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::NamedTempFile::new_in(folder).map_err(cannot_write)?;
        let (file, temporary) = temporary.into_parts();
        let sink = Sink::new(file, checksum.map(|c| c.algorithm));
        let filled = self.fill(&url, &sink, checksum.is_some(), limit).await;
        // A failed write ends the filling too, and is the better reason.
        let digests = sink.finish().await.map_err(cannot_write)?;
        let (final_url, bytes, outcome) = filled?;
        if let Some(checksum) = checksum {
            let actual = digests.asked.as_deref().unwrap_or(&digests.sha256);
            if !checksum.matches(actual) {
                return Err(DownloadError::Checksum {
                    url: shown(&final_url),
                    algorithm: checksum.algorithm,
                    expected: checksum.to_hex(),
                    actual: hex::encode(actual),
                });
            }
        }
        set_readable(&digests.file).map_err(cannot_write)?;
        temporary.persist(path).map_err(|error| cannot_write(error.error))?;
        Ok(Download { url: final_url, path: path.to_owned(), bytes, sha256: digests.sha256, outcome })
    }

    /// The checksum that `spec` means for the file at `url`: fetches (or reads) the checksum file it names.
    pub async fn resolve_checksum(&self, spec: &ChecksumSpec, url: &str) -> Result<Option<Checksum>, DownloadError> {
        let location = match spec {
            ChecksumSpec::None => return Ok(None),
            ChecksumSpec::Value(checksum) => return Ok(Some(checksum.clone())),
            ChecksumSpec::File(location) => location,
        };
        let is_remote = Url::parse(location).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        let (text, location) = if is_remote {
            let fetched = self.get_bytes(location, MAX_SUMS).await?;
            (fetched.bytes.to_vec(), shown(&fetched.url))
        } else {
            let path = PathBuf::from(location.strip_prefix("file://").unwrap_or(location));
            let text = tokio::fs::read(&path).await;
            let text = text.map_err(|source| DownloadError::File { action: "read", path, source })?;
            (text, location.clone())
        };
        let names = names_of(url);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(Some(find_in_sums(&String::from_utf8_lossy(&text), &names, &location)?))
    }

    /// Fills `sink`, asking again for what is missing when the body breaks off.
    async fn fill(
        &self,
        url: &Url,
        sink: &Sink,
        checked: bool,
        limit: u64,
    ) -> Result<(Url, u64, Option<Outcome>), DownloadError> {
        let mut received = 0;
        let mut retries = 0;
        let mut resume_with: Option<HeaderValue> = None;
        loop {
            let resume = resume_with.as_ref().filter(|_| received > 0).map(|validator| (received, validator));
            let opened = match self.open(url, resume, checked).await {
                Err(DownloadError::Status { status, .. }) if received > 0 && retries < MAX_RETRIES => {
                    let source = io::Error::other(format!("the server answered {status} when asked for the rest"));
                    resume_with = resume_with.filter(|_| status != StatusCode::RANGE_NOT_SATISFIABLE);
                    self.before_retry(&mut retries, url, received, source).await?;
                    continue;
                }
                opened => opened?,
            };
            let (parts, body) = opened.response.into_parts();
            let outcome = parts.extensions.get::<Outcome>().copied();
            let range = content_range(&parts.headers).filter(|_| parts.status == StatusCode::PARTIAL_CONTENT);
            if range.is_none_or(|(first, _)| first != received) && received > 0 {
                sink.restart().await;
                received = 0;
            }
            resume_with = validator(&parts.headers);
            let total = match range {
                Some((_, total)) => total,
                None => content_length(&parts.headers),
            };
            match self.pour(&opened.url, body, sink, &mut received, total, limit).await {
                Ok(()) => return Ok((opened.url, received, outcome)),
                Err(Broken::Fatal(error)) => return Err(error),
                Err(Broken::Died(source)) => self.before_retry(&mut retries, url, received, source).await?,
            }
        }
    }

    async fn pour(
        &self,
        url: &Url,
        mut body: Body,
        sink: &Sink,
        received: &mut u64,
        total: Option<u64>,
        limit: u64,
    ) -> Result<(), Broken> {
        let name = shown(url);
        if total.is_some_and(|total| total > limit) {
            return Err(DownloadError::TooLarge { url: name, limit }.into());
        }
        while let Some(data) = self.next_chunk(url, &mut body).await? {
            *received += data.len() as u64;
            if *received > limit {
                return Err(DownloadError::TooLarge { url: name, limit }.into());
            }
            if !sink.chunk(data).await {
                // The disk failed: `Sink::finish` tells why.
                return Ok(());
            }
            if let Some(progress) = &self.progress {
                progress(&name, *received, total);
            }
        }
        match total {
            Some(total) if *received != total => {
                Err(Broken::Died(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{total} bytes were announced"))))
            }
            _ => Ok(()),
        }
    }

    async fn collect(&self, url: &Url, mut body: Body, limit: u64) -> Result<Bytes, Broken> {
        let mut bytes = BytesMut::new();
        while let Some(data) = self.next_chunk(url, &mut body).await? {
            if (bytes.len() + data.len()) as u64 > limit {
                return Err(DownloadError::TooLarge { url: shown(url), limit }.into());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    /// The next bytes of a body; `None` at its end.
    async fn next_chunk(&self, url: &Url, body: &mut Body) -> Result<Option<Bytes>, Broken> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(DownloadError::Cancelled { url: shown(url) }.into()),
                frame = tokio::time::timeout(STALL, body.frame()) => frame,
            };
            match frame {
                Err(_) => {
                    let why = format!("no byte came for {} s", STALL.as_secs());
                    return Err(Broken::Died(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(Broken::Died(error)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    async fn before_retry(
        &self,
        retries: &mut u32,
        url: &Url,
        received: u64,
        source: io::Error,
    ) -> Result<(), DownloadError> {
        if *retries == MAX_RETRIES {
            return Err(DownloadError::Body { url: shown(url), received, source });
        }
        let wait = RETRY_AFTER * 2_u32.pow(*retries);
        *retries += 1;
        tokio::select! {
            () = self.cancel.cancelled() => Err(DownloadError::Cancelled { url: shown(url) }),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Requests `url`, follows redirects, and fails unless the answer is 200 (or 206 to a range asked for).
    /// `checked` tells that a checksum guards the content, so that a redirect may leave https.
    async fn open(
        &self,
        url: &Url,
        resume: Option<(u64, &HeaderValue)>,
        checked: bool,
    ) -> Result<Opened, DownloadError> {
        let mut at = url.clone();
        let mut credentials = take_credentials(&mut at);
        for _ in 0..=MAX_REDIRECTS {
            let request = build_request(&at, credentials.as_ref(), resume)?;
            let response = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(DownloadError::Cancelled { url: shown(url) }),
                response = self.transport.request(request) => response,
            };
            let status = response.status();
            if status == StatusCode::OK || (status == StatusCode::PARTIAL_CONTENT && resume.is_some()) {
                return Ok(Opened { url: at, response });
            }
            if !is_redirect(status) {
                return Err(status_error(&at, response).await);
            }
            let mut next = redirect_target(&at, &response, checked)?;
            let own = take_credentials(&mut next);
            credentials = own.or(credentials.filter(|_| next.origin() == at.origin()));
            at = next;
        }
        Err(DownloadError::TooManyRedirects { url: shown(url), limit: MAX_REDIRECTS })
    }
}

fn parse(text: &str) -> Result<Url, DownloadError> {
    let wrong = |reason: String| DownloadError::Url { url: text.to_owned(), reason };
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("`{}` is no scheme Larder downloads by", url.scheme())));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Takes user name and password out of a URL, as the header that carries them.
fn take_credentials(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text: &str| percent_decode(text);
    let pair = [decode(url.username()), b":".to_vec(), decode(url.password().unwrap_or_default())].concat();
    // Both fail only for URLs that cannot have a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let byte = tail.get(..2).filter(|_| first == b'%').and_then(|digits| hex::decode(digits).ok());
        if let Some(byte) = byte {
            out.extend(byte);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn build_request(
    url: &Url,
    credentials: Option<&HeaderValue>,
    resume: Option<(u64, &HeaderValue)>,
) -> Result<Request<Body>, DownloadError> {
    let mut request = Request::get(url.as_str())
        .header(USER_AGENT, concat!("larder/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "*/*")
        .header(ACCEPT_ENCODING, "identity");
    if let Some(credentials) = credentials {
        request = request.header(AUTHORIZATION, credentials);
    }
    if let Some((from, validator)) = resume {
        request = request.header(RANGE, format!("bytes={from}-")).header(IF_RANGE, validator);
    }
    request.body(body::empty()).map_err(|error| DownloadError::Url { url: shown(url), reason: error.to_string() })
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(at: &Url, response: &Response<Body>, checked: bool) -> Result<Url, DownloadError> {
    let wrong = |to: &str, reason| DownloadError::Redirect { url: shown(at), to: to.to_owned(), reason };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| wrong("nowhere", "has no Location header"))?;
    let mut next = at.join(location).map_err(|_| wrong(location, "is not a URL"))?;
    next.set_fragment(None);
    match (at.scheme(), next.scheme()) {
        ("https", "http") if !checked => Err(wrong(&shown(&next), "is not encrypted, and there is no checksum")),
        (_, "http" | "https") => Ok(next),
        _ => Err(wrong(&shown(&next), "is neither http nor https")),
    }
}

async fn status_error(url: &Url, response: Response<Body>) -> DownloadError {
    let (parts, body) = response.into_parts();
    let mut body = http_body_util::Limited::new(body, MAX_REASON);
    let mut text = Vec::new();
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_secs(5), body.frame()).await {
        if let Ok(data) = frame.into_data() {
            text.extend_from_slice(&data);
        }
    }
    DownloadError::Status { url: shown(url), status: parts.status, reason: reason(&parts.headers, &text) }
}

/// The names a checksum file may list the file at `url` under: its last path segment, decoded and as written.
fn names_of(url: &str) -> Vec<String> {
    let path = Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.path().to_owned());
    let raw = path.rsplit('/').next().unwrap_or_default().to_owned();
    let decoded = String::from_utf8_lossy(&percent_decode(&raw)).into_owned();
    if decoded == raw { vec![raw] } else { vec![decoded, raw] }
}

/// Gives a finished file the mode of ordinary files: temporary ones are for their owner alone.
fn set_readable(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
