//! A script that was had: asked by several at a time, each answer kept for a while.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use regex::Regex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use super::answer::{self, Directive};
use super::engine::{Engine, Outcome};
use super::error::Failure;
use super::names::{Host, Names};
use super::{Limits, plain};

/// Threads for one script: a name that is slow must not hold up every host.
const ENGINES: usize = 4;

/// How long the thread may take beyond its limit, before it is given up.
const GRACE: Duration = Duration::from_secs(3);

/// Answers kept, and for how long: scripts may look at the clock, by minutes.
const MOST_KEPT: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
const KEEP: Duration = Duration::from_mins(1);
/// What failed is not tried for each request of a build, at seconds each.
const KEEP_FAILURE: Duration = Duration::from_secs(10);

/// What there is to do for a URL, in order.
pub(super) type Answer = Result<Arc<[Directive]>, Failure>;

/// A script and its threads.
pub(super) struct Script {
    text: Arc<str>,
    /// Where it came from, for the log.
    place: String,
    limits: Limits,
    names: Names,
    host: Arc<dyn Host>,
    by_host: bool,
    stuck: AtomicBool,
    idle: Mutex<Vec<Engine>>,
    /// One for each thread that works, also where nobody waits for it any more.
    places: Arc<Semaphore>,
    answers: Mutex<LruCache<String, (Instant, Answer)>>,
}

impl Script {
    pub(super) fn new(text: String, place: String, limits: Limits, names: Names, host: Arc<dyn Host>) -> Self {
        Self {
            by_host: looks_at_host_only(&text),
            text: text.into(),
            place,
            limits,
            names,
            host,
            stuck: AtomicBool::new(false),
            idle: Mutex::default(),
            places: Arc::new(Semaphore::new(ENGINES)),
            answers: Mutex::new(LruCache::new(MOST_KEPT)),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// How many more threads may work.
    #[cfg(test)]
    pub(super) fn free_places(&self) -> usize {
        self.places.available_permits()
    }

    pub(super) async fn ask(&self, url: &Url) -> Answer {
        let (url, host) = shown(url);
        let key = if self.by_host { host.clone() } else { url.clone() };
        if let Some(answer) = self.kept(&key) {
            return answer;
        }
        // A thread that was given up keeps its place.
        if self.stuck.load(Ordering::Relaxed) {
            return Err(Failure::Stuck);
        }
        let wait = self.limits.time * 2;
        let Ok(Ok(place)) = timeout(wait, self.places.clone().acquire_owned()).await else {
            return Err(Failure::Busy { waited: wait });
        };
        // Whoever had the place may have asked the same.
        if let Some(answer) = self.kept(&key) {
            return answer;
        }
        let answer = self.evaluate(url, host, place).await.and_then(|outcome| self.read(&key, &outcome));
        lock(&self.answers).put(key, (Instant::now(), answer.clone()));
        answer
    }

    fn kept(&self, key: &str) -> Option<Answer> {
        let mut answers = lock(&self.answers);
        let (at, answer) = answers.get(key)?;
        let keep = if answer.is_ok() { KEEP } else { KEEP_FAILURE };
        (at.elapsed() < keep).then(|| answer.clone())
    }

    async fn evaluate(&self, url: String, host: String, place: OwnedSemaphorePermit) -> Result<Outcome, Failure> {
        if self.stuck.load(Ordering::Relaxed) {
            return Err(Failure::Stuck);
        }
        let idle = lock(&self.idle).pop();
        let engine = match idle {
            Some(engine) => engine,
            None => Engine::start(self.text.clone(), self.limits, self.names.clone(), self.host.clone())
                .map_err(|error| Failure::Engine(error.to_string()))?,
        };
        // Twice the limit: a script that ran out of memory begins anew once.
        match timeout(self.limits.time * 2 + GRACE, engine.evaluate(url, host, place)).await {
            Ok(Ok((result, _place))) => {
                lock(&self.idle).push(engine);
                result
            }
            Ok(Err(_)) => Err(Failure::Engine("its thread ended".to_owned())),
            Err(_) => {
                // A thread cannot be ended. It is left alone, last in line for the processor, and the script gets no
                // other.
                engine.step_back();
                self.stuck.store(true, Ordering::Relaxed);
                tracing::error!(script = %self.place, "the PAC script does not stop; its thread is given up");
                Err(Failure::Stuck)
            }
        }
    }

    fn read(&self, key: &str, outcome: &Outcome) -> Answer {
        for message in &outcome.alerts {
            tracing::info!(script = %self.place, "the PAC script says: {message}");
        }
        if !outcome.late.is_empty() {
            tracing::warn!(script = %self.place, names = outcome.late.join(", "),
                "names that the PAC script asks for have no answer in time; it goes on without");
        }
        let answer::Answer { directives, notes } = answer::parse(&outcome.text);
        for note in &notes {
            tracing::warn!(script = %self.place, asked = %plain(key, 200), "left out of the PAC script's answer: {note}");
        }
        if directives.is_empty() { Err(Failure::NoDirective { notes }) } else { Ok(directives.into()) }
    }
}

/// What a script gets to see of a URL, as in browsers: of `https` the host only; never a login or a fragment.
fn shown(url: &Url) -> (String, String) {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    if url.scheme() != "http" {
        return (format!("{}://{host}{port}/", url.scheme()), bare);
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    (format!("http://{host}{port}{}{query}", url.path()), bare)
}

/// Whether the text shows that the script never looks at the URL: its answers are then the same for all of a host. Where
/// that cannot be told from the text alone, it is not so.
fn looks_at_host_only(text: &str) -> bool {
    static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
        let pattern =
            r"\bFindProxyForURL(?:Ex)?\s*(?:=\s*function\s*[\w$]*\s*)?\(\s*([A-Za-z_$][A-Za-z0-9_$]*)\s*,\s*[A-Za-z_$]";
        Regex::new(pattern).expect("a constant that compiles")
    });
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"[A-Za-z0-9_$]+").expect("a constant that compiles"));
    let first: Vec<&str> = ENTRY.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let words: Vec<&str> = WORD.find_iter(text).map(|found| found.as_str()).collect();
    let count = |all: &[&str], word: &str| all.iter().filter(|other| **other == word).count();
    let other_ways = ["arguments", "eval", "Function"].iter().any(|word| words.contains(word)) || text.contains("\\u");
    !first.is_empty() && !other_ways && first.iter().all(|name| count(&words, name) == count(&first, name))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url() {
        let table = [
            ("https://u:p@Example.org/a/b?c#d", "https://example.org/", "example.org"),
            ("https://example.org:8443/a", "https://example.org:8443/", "example.org"),
            ("http://u:p@example.org:8080/a/b?c=d#e", "http://example.org:8080/a/b?c=d", "example.org"),
            ("http://[2001:db8::1]/a", "http://[2001:db8::1]/a", "2001:db8::1"),
            ("http://b\u{fc}cher.example.org/", "http://xn--bcher-kva.example.org/", "xn--bcher-kva.example.org"),
        ];
        for (url, expected, host) in table {
            assert_eq!(shown(&Url::parse(url).unwrap()), (expected.to_owned(), host.to_owned()), "{url}");
        }
    }

    #[test]
    fn a_script_that_does_not_look_at_the_url_is_known() {
        let table = [
            ("function FindProxyForURL(url, host) { return host; }", true),
            ("FindProxyForURL = function (u, h) { return h; }", true),
            ("function FindProxyForURL(url, host) { return url; }", false),
            ("function FindProxyForURL(url, host) { return arguments[0]; }", false),
            ("function FindProxyForURL(url, host) { return eval('u' + 'rl'); }", false),
            ("function FindProxyForURL(url, host) { return \\u0075rl; }", false),
            ("function FindProxyForURL(a,b) { return f(a); }", false),
            (
                "function FindProxyForURL(url, host) { return x; } function FindProxyForURLEx(u, h) { return FindProxyForURL(u, h); }",
                true,
            ),
            (
                "function FindProxyForURL(url, host) { return url; } function FindProxyForURLEx(u, h) { return FindProxyForURL(u, h); }",
                false,
            ),
            ("function FindProxyForURL(...all) { return all[0]; }", false),
            ("var FindProxyForURL = (url, host) => host", false),
        ];
        for (text, expected) in table {
            assert_eq!(looks_at_host_only(text), expected, "{text}");
        }
    }
}
