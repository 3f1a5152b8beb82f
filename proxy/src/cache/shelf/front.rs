//! What the front in memory holds: the answers of a URL, what is told of them, and bodies.

use std::fs::{File, Metadata};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::lock;
use crate::body::{Body, full};
use crate::cache::file_body::FileBody;
use crate::cache::report::CacheStatus;
use crate::cache::stored::stored;
use crate::direct::{Outbox, WORTH};
use crate::flow::{Answered, FlowRecorder};
use crate::hop_by_hop::Via;
use crate::policy::freshness::Terms;
use crate::rules::Nature;
use crate::store::{Draft, Entry};

/// A stored body, ready to be read.
#[derive(Clone, Debug)]
pub(in crate::cache) enum Content {
    /// With its file, where a connection may send that.
    Memory(Bytes, Option<Arc<File>>),
    File(Arc<File>),
}

impl Content {
    /// Some of its bytes, counted as read from the cache.
    pub(in crate::cache) fn body(&self, (from, to): (u64, u64), flow: &Arc<FlowRecorder>) -> Body {
        match self {
            Self::Memory(bytes, _) => {
                let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
                let bytes = bytes.slice(index(from)..index(to));
                flow.update(|flow| flow.bytes_cache += bytes.len() as u64);
                full(bytes)
            }
            Self::File(file) => FileBody::whole(file.clone(), (from, to), Some(flow.clone())).boxed(),
        }
    }

    /// The same bytes in their file, where a connection had better send that.
    pub(in crate::cache) fn in_file(&self, (from, to): (u64, u64)) -> Option<InFile> {
        let (file, counted) = match self {
            Self::Memory(_, file) => (file.as_ref()?, true),
            Self::File(file) => (file, false),
        };
        (to.saturating_sub(from) >= WORTH).then(|| InFile { file: file.clone(), part: (from, to), counted })
    }
}

/// An answer's whole body as bytes of a file, for a connection that sends files itself.
#[derive(Clone)]
pub(crate) struct InFile {
    file: Arc<File>,
    part: (u64, u64),
    /// Whether it is counted as read from the cache already.
    counted: bool,
}

impl InFile {
    /// The body, of which `outbox` is told what its connection is to send.
    pub(crate) fn body(self, outbox: Arc<Outbox>, flow: &Arc<FlowRecorder>) -> Body {
        let counter = (!self.counted).then(|| flow.clone());
        FileBody::whole(self.file, self.part, counter).by(outbox).boxed()
    }
}

/// What identifies a file's content as long as nobody writes to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    pub(super) fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// The stored responses of a URL, the newest first.
pub(in crate::cache) struct Found {
    entries: Vec<Entry>,
    /// What is told of the one served last.
    told: Mutex<Option<Told>>,
    /// And its terms.
    terms: Mutex<Option<(Arc<Draft>, Arc<Terms>)>>,
    /// The head that was given with it as a whole.
    head: Mutex<Option<Head>>,
}

/// A head as it is given again within the same second.
struct Head {
    draft: Arc<Draft>,
    /// In seconds.
    age: u64,
    said: CacheStatus,
    headers: HeaderMap,
}

/// What is told of a stored answer, in flows and in `Cache-Status`.
#[derive(Clone)]
pub(in crate::cache) struct Told {
    draft: Arc<Draft>,
    /// By the rules.
    nature: Nature,
    pub answered: Arc<Answered>,
    /// The body's, in hex.
    pub digest: Arc<str>,
}

impl Told {
    pub(in crate::cache) fn of(entry: &Entry, nature: Nature, answered: Answered) -> Self {
        Self {
            draft: entry.draft.clone(),
            nature,
            answered: Arc::new(answered),
            digest: entry.digest.to_string().into(),
        }
    }
}

impl Found {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self { entries, told: Mutex::default(), terms: Mutex::default(), head: Mutex::default() }
    }

    /// The same, sharing nothing: what several threads count the users of, they fetch from each other for each hit.
    pub(super) fn apart(&self) -> Self {
        let apart = |entry: &Entry| Entry { draft: Arc::new(draft_apart(&entry.draft)), ..entry.clone() };
        Self::new(self.entries.iter().map(apart).collect())
    }

    /// An entry's terms, which are read once as long as the same is served.
    pub(in crate::cache) fn terms(&self, entry: &Entry) -> Arc<Terms> {
        let mut last = lock(&self.terms);
        if let Some((draft, terms)) = &*last
            && Arc::ptr_eq(draft, &entry.draft)
        {
            return terms.clone();
        }
        let terms = Arc::new(Terms::of(&stored(entry, Nature::Plain)));
        *last = Some((entry.draft.clone(), terms.clone()));
        terms
    }

    /// The head of a whole answer, which is put together once a second as long as the same is served.
    pub(in crate::cache) fn head(
        &self,
        entry: &Entry,
        age: u64,
        said: CacheStatus,
        make: impl FnOnce() -> HeaderMap,
    ) -> HeaderMap {
        let mut last = lock(&self.head);
        if let Some(head) = &*last
            && Arc::ptr_eq(&head.draft, &entry.draft)
            && (head.age, head.said) == (age, said)
        {
            return head.headers.clone();
        }
        let mut headers = make();
        Via::make_room(&mut headers);
        *last = Some(Head { draft: entry.draft.clone(), age, said, headers: headers.clone() });
        headers
    }

    /// What is told of an entry, which is worked out once as long as the same is served.
    pub(in crate::cache) fn told(&self, entry: &Entry, nature: Nature, tell: impl FnOnce() -> Told) -> Told {
        let mut last = lock(&self.told);
        if let Some(told) = &*last
            && Arc::ptr_eq(&told.draft, &entry.draft)
            && told.nature == nature
        {
            return told.clone();
        }
        let told = tell();
        *last = Some(told.clone());
        told
    }
}

fn draft_apart(draft: &Draft) -> Draft {
    let value = |value: &HeaderValue| {
        let mut own = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        own.set_sensitive(value.is_sensitive());
        Some(own)
    };
    let mut headers = HeaderMap::with_capacity(draft.headers.len() + ADDED);
    for (name, found) in &draft.headers {
        headers.append(name, value(found).unwrap_or_else(|| found.clone()));
    }
    Draft { headers, ..draft.clone() }
}

/// Fields that an answer has more than what is stored.
const ADDED: usize = 4;

impl Deref for Found {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        &self.entries
    }
}
