//! PAC files: scripts of the user's network that say which proxy to take for which URL.
//!
//! A script comes from a file, a URL, or by WPAD ([`Source`]); it is run in a thread of its own under [`Limits`], and
//! its answers are kept for a while. The script is somebody else's program: it gets no files and no network but the
//! addresses of names, and whatever it does ends in an answer or in a [`PacError`] that says what happened.

mod address;
mod answer;
mod engine;
mod error;
mod fetch;
mod functions;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod names;
mod range;
mod script;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod wpad;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::origin::BoxFuture;
use crate::upstream::route::{ProxyKind, ProxyUrl, Route, RouteSource, Target};

pub use answer::{Directive, Scheme};
pub use error::{Failure, PacError};
pub use names::{Host, System};
pub use source::{Intervals, Source};

/// What to do for a URL when the script gives no route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// The request fails, and says why.
    #[default]
    Fail,
    /// It goes without a proxy, and the log says why.
    Direct,
}

/// A PAC script in use.
pub struct Pac {
    source: Source,
    loader: source::Loader,
    fallback: Fallback,
}

impl Pac {
    /// The script of `source`, with the usual limits, on this machine. `extra_roots` are PEM files trusted for its URL
    /// beside the system's roots. Nothing is read before it is first asked.
    pub fn new(source: Source, extra_roots: Vec<PathBuf>) -> Self {
        Self::with(source, extra_roots, Limits::default(), Intervals::default(), Arc::new(System))
    }

    /// The same with limits, intervals and a machine to choose.
    pub fn with(
        source: Source,
        extra_roots: Vec<PathBuf>,
        limits: Limits,
        intervals: Intervals,
        host: Arc<dyn Host>,
    ) -> Self {
        let loader = source::Loader::new(source.clone(), extra_roots, limits, intervals, host);
        Self { source, loader, fallback: Fallback::default() }
    }

    /// Sets what happens when the script gives no route.
    #[must_use]
    pub fn fallback(mut self, fallback: Fallback) -> Self {
        self.fallback = fallback;
        self
    }

    /// Where the script comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the script says of a URL, in its order: at least one entry.
    pub async fn directives(&self, url: &Url) -> Result<Arc<[Directive]>, PacError> {
        let (script, place) = self.loader.script().await?;
        script.ask(url).await.map_err(|failure| PacError::Script {
            place,
            host: url.host_str().unwrap_or_default().to_owned(),
            failure,
        })
    }

    /// The routes to a URL, in the script's order.
    pub async fn routes(&self, url: &Url) -> Result<Vec<Route>, PacError> {
        match (self.directives(url).await, self.fallback) {
            (Ok(directives), _) => Ok(directives.iter().map(route).collect()),
            (Err(error), Fallback::Direct) => {
                tracing::warn!(%error, "going without a proxy, as upstream_pac_failure says");
                Ok(vec![Route::DIRECT])
            }
            (Err(error), Fallback::Fail) => Err(error),
        }
    }
}

impl std::fmt::Debug for Pac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pac").field("source", &self.source).field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

impl RouteSource for Pac {
    fn routes<'a>(
        &'a self,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Vec<Route>, Box<dyn std::error::Error + Send + Sync>>> {
        Box::pin(async move {
            let url = Url::parse(&target.url())?;
            Ok(self.routes(&url).await?)
        })
    }
}

/// SOCKS as browsers do it: of version 5 the proxy finds the address, of version 4 this machine does.
fn route(directive: &Directive) -> Route {
    let Directive::Proxy { scheme, host, port } = directive else { return Route::DIRECT };
    let kind = match scheme {
        Scheme::Http => ProxyKind::Http,
        Scheme::Https => ProxyKind::Https,
        Scheme::Socks4 => ProxyKind::Socks4,
        Scheme::Socks5 => ProxyKind::Socks5h,
    };
    Route::by(ProxyUrl { kind, host: host.clone(), port: *port, login: None })
}

/// What a script may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one evaluation in all: loading, names, and the answer.
    pub time: Duration,
    /// For one name.
    pub name_time: Duration,
    /// Names that one evaluation may ask for.
    pub names: usize,
    /// Whether names are resolved at all; where they are not, no name has an address for the script.
    pub dns: bool,
    /// Bytes of memory.
    pub memory: usize,
    /// Bytes of stack.
    pub stack: usize,
    /// Bytes of the script.
    pub script: usize,
    /// Characters of an answer.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            name_time: Duration::from_secs(2),
            names: 64,
            dns: true,
            memory: 64 << 20,
            stack: 1 << 20,
            script: 1 << 20,
            answer: 16 << 10,
        }
    }
}

/// Somebody else's text for a message: on one line, without control characters, of at most `most` characters.
fn plain(text: &str, most: usize) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        short.push('\u{2026}');
    }
    short
}
