//! Where a script comes from, and keeping it up to date: looked at again now and then, the last good one kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use super::error::PacError;
use super::fetch::{Fetched, Fetcher, Validators};
use super::names::{Host, Names};
use super::script::Script;
use super::{Limits, text, wpad};

/// Where a script comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A URL, fetched directly.
    Url(Url),
    /// Found by WPAD, by the name `wpad` in the host's domain.
    Wpad,
}

impl Source {
    /// Reads `wpad`, an `http(s)` or `file` URL, or a path. The error says what can be written.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("wpad") {
            return Ok(Self::Wpad);
        }
        if !text.contains("://") {
            return if text.is_empty() { Err("it is empty") } else { Ok(Self::File(PathBuf::from(text))) };
        }
        let url = Url::parse(text).map_err(|_| "it is not a URL")?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Url(url)),
            "file" => url.to_file_path().map(Self::File).map_err(|()| "its path is not one of this host"),
            _ => Err("its scheme is none of http, https and file"),
        }
    }
}

/// Without a login.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => f.write_str(&without_login(url)),
            Self::Wpad => f.write_str("of WPAD"),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({self})")
    }
}

fn without_login(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail for URLs that cannot have any.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// When a script is looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// A file, by its time and size.
    pub file: Duration,
    /// A URL whose server names no time of its own; that of a server is kept within a twelfth and six times this.
    pub url: Duration,
    /// What could not be had, or is no script.
    pub failed: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self { file: Duration::from_secs(2), url: Duration::from_mins(10), failed: Duration::from_secs(15) }
    }
}

/// A script that was had.
#[derive(Clone)]
struct Had {
    script: Arc<Script>,
    /// Its file or URL, as shown.
    place: String,
    stamp: Stamp,
}

/// By what it is told whether it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stamp {
    File(Option<SystemTime>, u64),
    Url(Url, Validators),
}

/// The script as it is now.
#[derive(Default)]
struct Now {
    had: Option<Had>,
    /// Why the last attempt failed.
    failed: Option<PacError>,
    /// When to look again.
    next: Option<Instant>,
}

/// Gives the script, as new as it is to be.
pub(super) struct Loader {
    source: Source,
    intervals: Intervals,
    limits: Limits,
    fetcher: Fetcher,
    names: Names,
    host: Arc<dyn Host>,
    now: Mutex<Now>,
    /// Held by who looks again; the others take what there is.
    looking: tokio::sync::Mutex<()>,
}

/// What an attempt gave, and when to look again.
enum Looked {
    Same(Duration),
    New(Had, Duration),
}

impl Loader {
    pub(super) fn new(
        source: Source,
        extra_roots: Vec<PathBuf>,
        limits: Limits,
        intervals: Intervals,
        host: Arc<dyn Host>,
    ) -> Self {
        Self {
            source,
            intervals,
            limits,
            fetcher: Fetcher::new(extra_roots, limits.script),
            names: Names::new(host.clone()),
            host,
            now: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// The script and its place.
    pub(super) async fn script(&self) -> Result<(Arc<Script>, String), PacError> {
        if let Some(found) = self.known() {
            return found;
        }
        let had = self.now().had.clone();
        let looking = match (&had, self.looking.try_lock()) {
            (_, Ok(looking)) => looking,
            (Some(had), Err(_)) => return Ok((had.script.clone(), had.place.clone())),
            (None, Err(_)) => self.looking.lock().await,
        };
        // Whoever held it may have looked just now.
        if let Some(found) = self.known() {
            return found;
        }
        let looked = self.look(had.as_ref()).await;
        self.note(looked);
        drop(looking);
        let now = self.now();
        match (&now.had, &now.failed) {
            (Some(had), _) => Ok((had.script.clone(), had.place.clone())),
            (None, failed) => {
                Err(failed.clone().unwrap_or_else(|| unread(&self.source.to_string(), "nothing came".to_owned())))
            }
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known, where it is not time to look again.
    fn known(&self) -> Option<Result<(Arc<Script>, String), PacError>> {
        let now = self.now();
        if now.next.is_none_or(|next| Instant::now() >= next) {
            return None;
        }
        match (&now.had, &now.failed) {
            (Some(had), _) => Some(Ok((had.script.clone(), had.place.clone()))),
            (None, Some(error)) => Some(Err(error.clone())),
            (None, None) => None,
        }
    }

    fn note(&self, looked: Result<Looked, PacError>) {
        let mut now = self.now();
        let after = match looked {
            Ok(Looked::Same(after)) => {
                now.failed = None;
                after
            }
            Ok(Looked::New(had, after)) => {
                tracing::info!(script = %had.place, bytes = had.script.text().len(), "a PAC script is in use");
                // The same text keeps its answers and its threads.
                let same =
                    now.had.take().filter(|old| old.script.text() == had.script.text() && old.place == had.place);
                let script = same.map_or_else(|| had.script.clone(), |old| old.script);
                now.had = Some(Had { script, ..had });
                now.failed = None;
                after
            }
            Err(error) => {
                if now.had.is_some() {
                    tracing::warn!(%error, "the last good PAC script stays in use");
                }
                now.failed = Some(error);
                self.intervals.failed
            }
        };
        now.next = Some(Instant::now() + after);
    }

    async fn look(&self, had: Option<&Had>) -> Result<Looked, PacError> {
        match &self.source {
            Source::File(path) => self.file(path, had).await,
            Source::Url(url) => self.url(url, had, "").await,
            Source::Wpad => self.wpad(had).await,
        }
    }

    async fn file(&self, path: &Path, had: Option<&Had>) -> Result<Looked, PacError> {
        let place = path.display().to_string();
        let fail = |reason: String| unread(&place, reason);
        let meta = tokio::fs::metadata(path).await.map_err(|error| fail(error.to_string()))?;
        if !meta.is_file() {
            return Err(fail("it is not a file".to_owned()));
        }
        if meta.len() > self.limits.script as u64 {
            return Err(fail(format!("it is longer than {} bytes", self.limits.script)));
        }
        let stamp = Stamp::File(meta.modified().ok(), meta.len());
        if had.is_some_and(|had| had.stamp == stamp) {
            return Ok(Looked::Same(self.intervals.file));
        }
        let bytes = tokio::fs::read(path).await.map_err(|error| fail(error.to_string()))?;
        Ok(Looked::New(self.made(&bytes, place, stamp)?, self.intervals.file))
    }

    async fn url(&self, url: &Url, had: Option<&Had>, how: &str) -> Result<Looked, PacError> {
        let place = format!("{}{how}", without_login(url));
        let validators = had.and_then(|had| match &had.stamp {
            Stamp::Url(of, validators) if of == url => Some(validators.clone()),
            _ => None,
        });
        let fetched = self.fetcher.fetch(url, &validators.unwrap_or_default()).await;
        match fetched.map_err(|reason| unread(&place, reason))? {
            Fetched::Same => Ok(Looked::Same(self.intervals.url)),
            Fetched::Body { bytes, validators, fresh } => {
                let usual = self.intervals.url;
                let after = fresh.map_or(usual, |fresh| fresh.clamp(usual / 12, usual * 6));
                Ok(Looked::New(self.made(&bytes, place, Stamp::Url(url.clone(), validators))?, after))
            }
        }
    }

    async fn wpad(&self, had: Option<&Had>) -> Result<Looked, PacError> {
        let host = self.host.clone();
        let domain = tokio::task::spawn_blocking(move || host.domain()).await.unwrap_or_default().unwrap_or_default();
        let mut reasons = Vec::new();
        for url in wpad::urls(&domain) {
            match self.url(&url, had, " (found by WPAD)").await {
                Ok(found) => return Ok(found),
                Err(PacError::Source { reason, .. }) => reasons.push(format!("{url}: {reason}")),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let reason = match (domain.is_empty(), reasons.is_empty()) {
            (true, _) => "this host has no domain (in its name, or in /etc/resolv.conf) to look in".to_owned(),
            (false, true) => format!("the domain {domain} is not one that somebody has registered"),
            _ => reasons.join("; "),
        };
        Err(unread(&self.source.to_string(), format!("{reason}; name the script's URL instead of wpad")))
    }

    fn made(&self, bytes: &[u8], place: String, stamp: Stamp) -> Result<Had, PacError> {
        let text = text::decode(bytes).map_err(|reason| unread(&place, reason.to_owned()))?;
        let script = Script::new(text, place.clone(), self.limits, self.names.clone(), self.host.clone());
        Ok(Had { script: Arc::new(script), place, stamp })
    }
}

fn unread(place: &str, reason: String) -> PacError {
    PacError::Source { place: place.to_owned(), reason }
}

#[cfg(test)]
mod tests;
