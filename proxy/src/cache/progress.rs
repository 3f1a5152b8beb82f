//! How far a fetch has come: what its readers wait on.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use http::{HeaderMap, StatusCode};
use tokio::sync::watch;

use super::batch::Recent;
use crate::origin::UpstreamError;
use crate::store::{Entry, VaryField};

/// The state of a fetch. It only ever moves forward.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// What became of the answer's head.
    pub head: Option<Head>,
    /// Bytes of the body that readers may have.
    pub available: u64,
    /// Those that were written last, where they are still in memory.
    pub recent: Option<Arc<Recent>>,
    /// How the body ended.
    pub end: Option<End>,
}

/// What became of the answer's head.
#[derive(Clone, Debug)]
pub(super) enum Head {
    /// It is being stored, and may be shared.
    Shared(Arc<SharedHead>),
    /// It may not be stored: whoever began the fetch has it, the others must ask for themselves.
    Unshared,
    /// Upstream confirmed what is stored.
    Confirmed(Arc<Entry>),
    /// Upstream answered with a server error.
    ServerError(StatusCode),
    /// The whole is too large to be fetched for the sake of a range.
    TooLarge,
    /// Upstream gave no answer.
    Failed(Arc<UpstreamError>),
}

/// The head of an answer on its way into the store.
#[derive(Debug)]
pub(super) struct SharedHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub vary: Vec<VaryField>,
    /// Bytes of the whole object, where the origin said.
    pub total: Option<u64>,
    /// Position in the object of the first byte that is fetched.
    pub base: u64,
    /// Whether it is a part of the object.
    pub part: bool,
    pub file: Arc<File>,
    /// When it was asked for, and when it arrived.
    pub at: (SystemTime, SystemTime),
    /// Why it is fetched.
    pub why: &'static str,
    /// Whether it comes from where a guest may not go.
    pub kept_from_guests: bool,
}

/// How a body ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Whole.
    Whole,
    /// The store has failed; who began the fetch gets the rest directly, the others nothing more.
    Spilled,
    /// Not whole, and why.
    Broken(Arc<str>),
}

/// A fetch that others may join.
#[derive(Debug)]
pub(super) struct Fetch {
    /// Hash of the URL.
    url: [u8; 16],
    state: watch::Sender<Progress>,
    /// Set when what is being fetched has changed at the origin.
    outdated: AtomicBool,
}

impl Fetch {
    pub(super) fn new(url: [u8; 16]) -> Self {
        Self { url, state: watch::Sender::new(Progress::default()), outdated: AtomicBool::new(false) }
    }

    /// Whether it is of a part that has arrived, and is only being put in place.
    pub(super) fn places_part(&self) -> bool {
        let progress = self.state.borrow();
        matches!((&progress.end, &progress.head), (Some(End::Whole), Some(Head::Shared(head))) if head.part)
    }

    /// Whether it is of the URL with this hash.
    pub(super) fn is_of(&self, url: &[u8; 16]) -> bool {
        self.url == *url
    }

    /// Notes that the object has changed since it was asked for.
    pub(super) fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    pub(super) fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.state.subscribe()
    }

    pub(super) fn head(&self, head: Head) {
        self.state.send_modify(|progress| progress.head = Some(head));
    }

    pub(super) fn available(&self, bytes: u64) {
        self.state.send_modify(|progress| progress.available = bytes);
    }

    /// Tells of bytes that have been written.
    pub(super) fn written(&self, available: u64, recent: Option<Recent>) {
        let recent = recent.map(Arc::new);
        self.state.send_modify(|progress| {
            progress.available = available;
            progress.recent = recent;
        });
    }

    /// Lets go of what is in memory: whoever still reads has the file.
    pub(super) fn settled(&self) {
        self.state.send_if_modified(|progress| {
            progress.recent = None;
            false
        });
    }

    /// Ends the body. A second end changes nothing.
    pub(super) fn end(&self, end: End) {
        self.state.send_modify(|progress| {
            progress.end.get_or_insert(end);
        });
    }
}

/// Waits until a fetch is in place, or has failed to get there.
pub(super) async fn ended(mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {}
}
