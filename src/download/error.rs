//! Why a download failed, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::error::Error;

use super::checksum::{Algorithm, ChecksumError};

/// Why a download failed. Each variant names the URL as shown to the user: without credentials.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The URL cannot be fetched: no http or https, or not a URL.
    #[error("cannot download {url}: {reason}")]
    Url { url: String, reason: String },
    /// The server (or the proxy on its behalf) answered with a failure.
    #[error("cannot download {url}: the server answered {status}{}", reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default())]
    Status { url: String, status: http::StatusCode, reason: Option<String> },
    /// More redirects than are followed.
    #[error("cannot download {url}: more than {limit} redirects")]
    TooManyRedirects { url: String, limit: usize },
    /// A redirect that cannot be followed.
    #[error("cannot download {url}: redirected to {to}, which {reason}")]
    Redirect { url: String, to: String, reason: &'static str },
    /// The body ended early or in error, also after every retry.
    #[error("the download of {url} broke off after {received} bytes")]
    Body {
        url: String,
        received: u64,
        #[source]
        source: io::Error,
    },
    /// The body is larger than it may be.
    #[error("{url} is larger than the {limit} bytes it may have")]
    TooLarge { url: String, limit: u64 },
    /// The content is not what the checksum says.
    #[error("the {algorithm} digest of {url} is {actual}, not {expected}")]
    Checksum { url: String, algorithm: Algorithm, expected: String, actual: String },
    /// The checksum file does not tell.
    #[error(transparent)]
    ChecksumFile(#[from] ChecksumError),
    /// The file cannot be written, or a checksum file cannot be read.
    #[error("cannot {action} {}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The work was cancelled.
    #[error("the download of {url} was cancelled")]
    Cancelled { url: String },
}

impl DownloadError {
    /// The status the server answered, where that is what failed.
    pub fn status(&self) -> Option<http::StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What to do next, where something can be said.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url { .. } => "use an http:// or https:// URL",
            // The end of the run tells of it, with all else that was missing.
            Self::Status { reason: Some(reason), .. } if reason.contains("Larder is offline") => return None,
            Self::Status { status, .. } => return status_hint(*status),
            Self::TooManyRedirects { .. } => "the server sends the request in circles; use the URL it should end at",
            Self::Redirect { .. } => "give a checksum, or use the URL it was redirected to",
            Self::Body { .. } => "check the network and try again; what is complete is not fetched a second time",
            Self::TooLarge { .. } => "this is not the file it should be: a mirror out of step, or a captive portal",
            Self::Checksum { .. } => {
                "the file has changed at the source, or was tampered with on the way: compare with what its publisher says"
            }
            Self::ChecksumFile(_) => "give the checksum itself, as `sha256:...`",
            Self::File { source, .. } => return file_hint(source),
            Self::Cancelled { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn status_hint(status: http::StatusCode) -> Option<String> {
    let hint = match status.as_u16() {
        401 | 403 => "the server refuses: check the credentials and access rules for it",
        404 | 410 => "check the URL: the file is not there (any more)",
        407 => "the upstream proxy wants credentials: check its settings",
        429 => "the server asks for fewer requests: try again later",
        502..=504 => {
            "the server cannot be reached or does not answer: check its name, the network and the upstream proxy"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn file_hint(source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("free some space on that file system".to_owned())
        }
        io::ErrorKind::PermissionDenied => Some("check the permissions of that path".to_owned()),
        _ => None,
    }
}

impl DownloadError {
    /// Whether it is a matter of this machine's files, and not of where they come from.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

impl From<DownloadError> for Error {
    fn from(error: DownloadError) -> Self {
        let mut shown = Self::new(error.to_string());
        if let Some(hint) = error.hint() {
            shown = shown.hint(hint);
        }
        match error {
            DownloadError::Body { source, .. } | DownloadError::File { source, .. } => shown.caused_by(source),
            _ => shown,
        }
    }
}
