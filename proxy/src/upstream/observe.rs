//! Lets whoever asks why a way fails look on while a connection is made.
//!
//! What happens is told to the task that waits for it, and to nobody where nobody looks on: the code that makes
//! connections carries no observer through its arguments.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls_pki_types::CertificateDer;
use tokio::task_local;

task_local! {
    static WATCH: Watch;
}

/// Something that happened on the way.
#[derive(Clone, Debug)]
pub enum Event {
    /// A URL is asked for: the public one, or a mirror's.
    Asked {
        /// Without credentials.
        url: String,
        /// By which way: `direct`, or by which proxies.
        way: String,
    },
    /// A way failed, and another is tried where there is one.
    WayFailed {
        /// As above.
        way: String,
        /// Why.
        why: String,
    },
    /// A name was resolved to these addresses.
    Resolved {
        /// The name, or the address where none had to be found.
        host: String,
        /// In the order they are tried.
        addresses: Vec<SocketAddr>,
    },
    /// A TCP connection is there.
    Connected {
        /// Where to.
        host: String,
        /// The address that took it.
        address: SocketAddr,
        /// Addresses that did not, and why.
        failed: Vec<String>,
    },
    /// A peer has shown its certificates.
    Certificates {
        /// Whose they should be.
        host: String,
        /// Its own first.
        chain: Vec<CertificateDer<'static>>,
        /// What speaks against them.
        refused: Option<String>,
    },
    /// TLS is spoken.
    Tls {
        /// With whom.
        host: String,
        /// `TLSv1_3`, as rustls has it.
        version: String,
        /// `TLS13_AES_256_GCM_SHA384`, as rustls has it.
        cipher: String,
        /// The protocol agreed on, such as `h2`.
        alpn: Option<String>,
    },
    /// A proxy has answered what it was asked.
    Proxy {
        /// The proxy, without credentials.
        proxy: String,
        /// What it was asked, such as `CONNECT example.org:443`.
        asked: String,
        /// Its answer in words, such as `200`.
        answer: String,
        /// The scheme of authentication it was answered with.
        scheme: Option<String>,
    },
    /// The head of the answer has arrived.
    Answer {
        /// Status.
        status: u16,
        /// `HTTP/1.1`.
        version: String,
    },
}

/// Collects what happens, with the time it took since what was noted before.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<Notes>>);

#[derive(Debug)]
struct Notes {
    last: Instant,
    events: Vec<(Duration, Event)>,
}

impl Watch {
    /// Begins to look on; the first event's time counts from here.
    pub fn begin() -> Self {
        Self(Arc::new(Mutex::new(Notes { last: Instant::now(), events: Vec::new() })))
    }

    /// Looks on while `future` runs.
    pub async fn over<F: Future>(&self, future: F) -> F::Output {
        WATCH.scope(self.clone(), future).await
    }

    /// What happened up to now, each with the time since the event before it.
    pub fn events(&self) -> Vec<(Duration, Event)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).events.clone()
    }

    fn add(&self, event: Event) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let took = now.duration_since(notes.last);
        notes.last = now;
        notes.events.push((took, event));
    }
}

/// Tells who looks on; `event` is made only where somebody does.
pub(crate) fn note(event: impl FnOnce() -> Event) {
    // No watch is the rule.
    let _ = WATCH.try_with(|watch| watch.add(event()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_task_that_asks_is_told() {
        note(|| panic!("nobody looks on"));
        let watch = Watch::begin();
        let told = watch.over(async {
            note(|| Event::WayFailed { way: "direct".to_owned(), why: String::new() });
            tokio::spawn(async { note(|| panic!("another task")) }).await
        });
        told.await.unwrap();
        assert!(matches!(&watch.events()[..], [(_, Event::WayFailed { way, .. })] if way == "direct"));
    }
}
